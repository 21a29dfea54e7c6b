"""Connectors: stories heard from another Payhooks, forgeries by the ten thousand, kills in a storm.

Every line asks the API of the process that heard, not its insides.
"""

import asyncio
import http.client
import itertools
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.card_numbers import (
    UNUSUAL,
    US_FOR_A_KB_MAX,
    measure,
)
from tests.support.heard_scenarios import Pair, content
from tests.support.inbound_load import at_rate, forged, in_turn, percentile, signed
from tests.support.played_scenarios import scenarios
from tests.support.providers import connector, post
from tests.support.receiving import until
from tests.support.server import Api, Json, Server, Tenant, sqlite_url

from proofs.ground import QUICK, Size, Store, database, open_store
from proofs.lines import Line, at_least, at_most, exactly

DISORDER: Final = 100
DUPLICATES: Final = 30
FORGED: Final = 50_000
FORGED_QUICK: Final = 2_000
KILLS: Final = 20
KILLS_QUICK: Final = 3
ANSWER_P99_MS_MAX: Final = 50.0
_LOOKS: Final = 101
_LOOKS_QUICK: Final = 11
_LINES: Final = 16
_SENDERS: Final = 12
_BETWEEN_KILLS: Final = 50
_EVENT: Final = "payment_succeeded"


def prove_wire(size: Size) -> Iterator[Line]:
    """Yield what becomes of every scenario that one Payhooks tells another's connectors."""
    chosen = scenarios()
    for store, hearer, stack in _hearers(size):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="payhooks-proof-")))
        sender = Server(folder / "sender", stack.enter_context(sqlite_url(folder)))
        stack.callback(sender.close)
        sender.start()
        ordered = Pair(sender, hearer, ordering="strict")
        disordered = Pair(sender, hearer, ordering="none")
        sent = ordered.play(chosen)
        sent_again = disordered.play(chosen, disorder=DISORDER, duplicate=DUPLICATES)
        yield _all_well(f"{store.name}: {len(chosen)} scenarios to five connectors, in order", sent)
        yield _all_well(f"{store.name}: in disorder, {DUPLICATES} % twice", sent_again)
        for words, heard in (
            ("in order", ordered.concluded()),
            ("in disorder", disordered.concluded()),
        ):
            for dialect, states in heard.items():
                # Stories in other providers' words are told to it too: kept, and not guessed at.
                own = sum(len(each.events) for each in chosen if each.family == dialect)
                yield Line(
                    passed=states["processed"] == own
                    and not states["conflicting"] + states["quarantined"] + states["refused"],
                    name=f"{store.name}: {dialect} heard {words}",
                    figure=", ".join(f"{count} {state}" for state, count in sorted(states.items())),
                    limit=f"{own} processed, its own stories",
                )
        told, told_again = ordered.told(), disordered.told()
        yield _equal_events(store, told, told_again)
        stand, stand_again = ordered.states(told), disordered.states(told_again)
        differ = [place for place in stand if stand_again.get(place) != stand[place]]
        yield Line(
            passed=not differ and len(stand) == len(stand_again) > 0,
            name=f"{store.name}: objects stand as in the ordered run",
            figure=f"{len(stand) - len(differ)} of {len(stand)} {differ[:2] or ''}".strip(),
            limit=f"= {len(stand)}",
        )


def _equal_events(store: Store, told: Sequence[Json], again: Sequence[Json]) -> Line:
    first, second = Counter(map(content, told)), Counter(map(content, again))
    missing, more = first - second, second - first
    complaint = next(iter([*missing, *more]), b"").decode()[:120]
    return Line(
        passed=not missing and not more and bool(first),
        name=f"{store.name}: unified events equal those of the ordered run",
        figure=f"{sum((first & second).values())} of {sum(first.values())} {complaint}".strip(),
        limit=f"= {sum(first.values())}, none more",
    )


def _all_well(name: str, ended: Mapping[str, int]) -> Line:
    figure = ", ".join(f"{count} {status}" for status, count in sorted(ended.items()))
    return Line(
        passed=not ended["failed"] and not ended["cancelled"] and ended["delivered"] > 0,
        name=name,
        figure=figure,
        limit="delivered, or not to be carried",
    )


def prove_forged(size: Size) -> Iterator[Line]:
    """Yield what forged and mutated requests do: nothing; and how long an answer takes."""
    count = FORGED_QUICK if size == QUICK else FORGED
    for store, hearer, _ in _hearers(size):
        tenant = Tenant(Api(hearer.port))
        path = _path(tenant)
        good = _numbers(count // 50)
        load = asyncio.run(in_turn(hearer.port, path, _mixed(count, good), lines=_LINES))
        _concluded(tenant)
        statuses = ", ".join(
            f"{number} x {status}" for status, number in sorted(load.statuses.items())
        )
        worse = sum(number for status, number in load.statuses.items() if status >= 500)
        name = f"{store.name}: {count:,} forged or mutated requests"
        yield exactly(f"{name}: answers of 5xx ({statuses})", worse, 0)
        yield exactly(
            f"{name}: signed ones among them, answered 200", load.statuses[200], len(good)
        )
        numbers = _told(tenant)
        yield exactly(
            f"{name}: events of signed ones", sum(numbers[f"pi_{each}"] for each in good), len(good)
        )
        yield exactly(f"{name}: events of others", sum(numbers.values()) - len(good), 0)
        yield from _half_load(store, hearer, size)


def _half_load(store: Store, hearer: Server, size: Size) -> Iterator[Line]:
    seconds = 2.0 if size == QUICK else 15.0
    tenant = Tenant(Api(hearer.port))
    path = _path(tenant)
    began_s = time.monotonic()
    many = (signed(f"full{number}") for number in itertools.count())
    until_s = itertools.takewhile(lambda _: time.monotonic() < began_s + seconds, many)
    full = asyncio.run(in_turn(hearer.port, path, until_s, lines=_LINES))
    rate = full.statuses[200] / (time.monotonic() - began_s)
    _concluded(tenant)
    half = asyncio.run(
        at_rate(
            hearer.port,
            path,
            lambda number: signed(f"half{number}"),
            per_s=rate / 2,
            s=seconds,
            lines=4 * _LINES,
        )
    )
    yield at_most(
        f"{store.name}: answer p99 at half load ({rate / 2:,.0f}/s of {rate:,.0f}/s)",
        percentile(half.took_s, 0.99) * 1_000,
        ANSWER_P99_MS_MAX,
        "ms",
    )


def prove_killed(size: Size) -> Iterator[Line]:
    """Yield what kills in a storm do to receipts: each that was answered is told, once."""
    kills = KILLS_QUICK if size == QUICK else KILLS
    for store, hearer, _ in _hearers(size):
        tenant = Tenant(Api(hearer.port))
        path = _path(tenant)
        storm = _Storm(hearer, path)
        storm.start()
        for kill in range(kills):
            storm.wait_for(storm.answered + _BETWEEN_KILLS)
            # Not at the same place of a batch each time.
            time.sleep(Random(kill).random() * 0.2)
            hearer.kill()
            hearer.start()
        answered = storm.stop()
        _concluded(tenant)
        numbers = _told(tenant)
        name = f"{store.name}: {kills} x kill -9 in a storm of {len(answered):,} messages"
        yield at_least(f"{name}: answered 2xx", len(answered), _BETWEEN_KILLS * kills, "")
        yield exactly(f"{name}: lost", sum(not numbers[each] for each in answered), 0)
        yield exactly(f"{name}: told twice", sum(count > 1 for count in numbers.values()), 0)


class _Storm:
    """Providers that send, and send again until they have a 2xx."""

    def __init__(self, server: Server, path: str) -> None:
        self._port = server.port
        self._path = path
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._answered: set[str] = set()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(_SENDERS)]

    @property
    def answered(self) -> int:
        return len(self._answered)

    def wait_for(self, answered: int) -> None:
        """Return when so many were answered in all."""
        until(lambda: self.answered, lambda now: now >= answered, s=60.0)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> set[str]:
        """Return what was answered, when nobody sends any more."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        return self._answered

    def _send(self) -> None:
        while not self._over.is_set():
            with self._lock:
                number = f"storm{next(self._numbers)}"
            while True:
                body, headers = signed(number)
                try:
                    status = post(self._port, self._path, body, headers).status
                except (OSError, http.client.HTTPException):
                    status = 0
                if status == 200:
                    with self._lock:
                        self._answered.add(f"pi_{number}")
                    break
                if self._over.wait(0.05):
                    return


def _hearers(size: Size) -> Iterator[tuple[Store, Server, ExitStack]]:
    """Yield a served process on each store, and what ends with it."""
    for name in ("sqlite",) if size == QUICK else ("sqlite", "postgres"):
        with ExitStack() as stack:
            store = open_store(stack, name)
            folder = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="payhooks-proof-"))
            )
            server = Server(folder / "server", stack.enter_context(database(store, folder)))
            stack.callback(server.close)
            yield store, server.start(), stack


def _path(tenant: Tenant) -> str:
    connector(tenant)
    return f"/webhooks/{tenant.id}/owlpay"


def _numbers(count: int) -> list[str]:
    return [f"good{number}" for number in range(count)]


def _mixed(count: int, good: Sequence[str]) -> Iterator[tuple[bytes, dict[str, str]]]:
    random = Random(7)
    waiting = iter(good)
    for number in range(count):
        yield forged(number, random)
        if number % (count // len(good)) == 0:
            yield signed(next(waiting))


def _told(tenant: Tenant) -> Counter[str]:
    """Return how often each payment was told of."""
    events = tenant.api.pages(f"{tenant.path}/events?type={_EVENT}")
    return Counter(each["object"]["id"] for each in events)


def _concluded(tenant: Tenant) -> None:
    until(
        lambda: tenant.api.get(f"{tenant.path}/receipts?state=received&limit=1")["data"],
        lambda found: not found,
        s=120.0,
    )


def prove_look(size: Size) -> Iterator[Line]:
    """Yield what it costs to look for card data, by what is in a document."""
    for cost in measure(_LOOKS_QUICK if size == QUICK else _LOOKS):
        if cost.name not in UNUSUAL:
            name = f"look for card data: {cost.name}"
            yield at_most(name, cost.us_for_a_kb, US_FOR_A_KB_MAX, "us for 1 KB", digits=1)


PARTS: Final[dict[str, Callable[[Size], Iterator[Line]]]] = {
    "heard": prove_wire,
    "forged": prove_forged,
    "storm": prove_killed,
    "look": prove_look,
}
