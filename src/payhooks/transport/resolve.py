"""From a name to addresses that may be called.

Every answer is judged, and one that is refused refuses them all: whoever controls a name could
otherwise mix a private address in and wait for the connection to fall on it.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from payhooks import limits
from payhooks.clock import Clock
from payhooks.policy.address_guard import AllowList, verdict

# Long enough to spare a busy receiver's name a query per request, short enough that a name that
# moves is followed before anybody notices. Never a way around the check: only judged answers
# are kept, and the socket is judged again.
KEPT_S: Final = 5.0
KEPT_MAX: Final = 4_096
# A hanging name server holds a thread for as long as the system's resolver waits for it.
THREADS: Final = 32
# The resolver is held to be down when so many different domains failed in a row and nothing,
# not even a "no such name", came back for so long. One domain whose own servers are broken looks
# the same as a broken resolver; several unrelated ones at once do not happen.
DOWN_DOMAINS: Final = 3
DOWN_AFTER_S: Final = 60.0

_ERRORS_FINAL: Final = frozenset({socket.EAI_NONAME, socket.EAI_NODATA})


class Unresolved(StrEnum):
    """Why a name led nowhere."""

    UNKNOWN = "unknown"  # an answer: there is no such name, or it has no address
    TEMPORARY = "temporary"  # no answer


class Resolver(Protocol):
    """Asks what addresses a name has."""

    async def resolve(self, host: str) -> tuple[str, ...] | Unresolved:
        """Return every address, or why there is none. Never raises for what DNS does."""
        ...

    async def close(self) -> None:
        """Stop asking."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Addresses that may be called, every one judged."""

    addresses: tuple[str, ...]


class Refused:
    """At least one address may not be called, so none is."""


REFUSED: Final = Refused()
Found = Checked | Refused | Unresolved


class SystemResolver:
    """The machine's resolver, in threads of its own.

    Not the loop's pool: on uvloop that has four threads, and four endpoints with slow name
    servers would stop everybody's deliveries.
    """

    def __init__(self, *, relative_names: frozenset[str] = frozenset()) -> None:
        # Names that may be short, as inside a cluster; all others are asked as absolute ones,
        # which saves the queries for each search domain and cannot end up in one.
        self._relative_names = relative_names
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="resolver")

    async def resolve(self, host: str) -> tuple[str, ...] | Unresolved:
        """See Resolver."""
        name = host if host in self._relative_names else f"{host}."
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _ask, name)

    async def close(self) -> None:
        """See Resolver. A query under way ends by itself; nobody waits for it."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _ask(name: str) -> tuple[str, ...] | Unresolved:
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return Unresolved.UNKNOWN if error.errno in _ERRORS_FINAL else Unresolved.TEMPORARY
    except (OSError, UnicodeError):
        return Unresolved.TEMPORARY
    return tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))


class AddressBook:
    """Judged addresses by name: asks once for all who wait, and keeps answers for seconds."""

    def __init__(self, *, resolver: Resolver, clock: Clock, allowed: AllowList) -> None:
        self._resolver = resolver
        self._clock = clock
        self._allowed = allowed
        self._kept: dict[str, tuple[float, Found]] = {}
        self._under_way: dict[str, asyncio.Task[Found]] = {}
        self._failing_domains: set[str] = set()
        self._answered_s = float("-inf")

    def recent(self, host: str) -> Found | None:
        """Return what was found out in the last seconds, if anything was."""
        kept = self._kept.get(host)
        if kept is None or kept[0] <= self._clock.monotonic_s():
            return None
        return kept[1]

    async def look_up(self, host: str, *, timeout_s: float) -> Found:
        """Return what *host* leads to, within *timeout_s*."""
        task = self._under_way.get(host)
        if task is None:
            task = asyncio.create_task(self._find(host))
            self._under_way[host] = task
            task.add_done_callback(lambda _task: self._under_way.pop(host, None))
        done, _ = await asyncio.wait((task,), timeout=timeout_s)
        if not done:
            self._note(host, Unresolved.TEMPORARY)
            return Unresolved.TEMPORARY
        # Only closing cancels it.
        return Unresolved.TEMPORARY if task.cancelled() else task.result()

    def resolver_is_down(self) -> bool:
        """Return whether it is us who cannot resolve, rather than one name that fails."""
        silent_s = self._clock.monotonic_s() - self._answered_s
        return len(self._failing_domains) >= DOWN_DOMAINS and silent_s >= DOWN_AFTER_S

    async def close(self) -> None:
        """Stop asking; whoever waits is told that there was no answer."""
        tasks = tuple(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._resolver.close()

    async def _find(self, host: str) -> Found:
        answer = await self._resolver.resolve(host)
        self._note(host, answer)
        found = self._judge(host, answer)
        if len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        # Taken out first, so that the order of the dictionary is the order of age.
        self._kept.pop(host, None)
        self._kept[host] = (self._clock.monotonic_s() + KEPT_S, found)
        return found

    def _judge(self, host: str, answer: tuple[str, ...] | Unresolved) -> Found:
        if isinstance(answer, Unresolved):
            return answer
        if not answer:
            return Unresolved.UNKNOWN
        if host not in self._allowed.names and any(
            verdict(address, allowed=self._allowed) is not None for address in answer
        ):
            return REFUSED
        return Checked(addresses=answer[: limits.RESOLVED_ADDRESSES_MAX])

    def _note(self, host: str, answer: tuple[str, ...] | Unresolved) -> None:
        if answer is not Unresolved.TEMPORARY:
            self._answered_s = self._clock.monotonic_s()
            self._failing_domains.clear()
        elif len(self._failing_domains) < DOWN_DOMAINS:
            self._failing_domains.add(".".join(host.split(".")[-2:]))
