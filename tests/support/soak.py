"""Publishing while the server is killed again and again, and the judgement afterwards."""

import asyncio
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.support.journal import Verdict, judge
from tests.support.publisher import Item, Publisher
from tests.support.receiver import Reception, read_journal
from tests.support.server import EVENT_TYPE, ROOT, Api, Refused, Server, Tenant

CONNECTIONS: Final = 64
OBJECTS_PER_CONNECTION: Final = 4
_SETTLED_POLL_S: Final = 0.25
_UNFINISHED: Final = ("scheduled", "sending", "blocked", "held")


class OtherProcess:
    """A receiver in a process of its own, with its journal in a file."""

    def __init__(self, port: int, journal: Path) -> None:
        self.port = port
        self.journal = journal

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def learn(self, secrets: dict[str, str]) -> None:
        """Tell it the secrets to verify with."""
        self._ask("POST", "/secrets", json.dumps(secrets))

    def count(self) -> int:
        """Return how many requests came."""
        return int(self._ask("GET", "/count"))

    def received(self) -> list[Reception]:
        """Return everything that came so far."""
        self.count()  # makes it write down what it has
        return read_journal(self.journal)

    def _ask(self, method: str, path: str, body: str | None = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body)
            return connection.getresponse().read()
        finally:
            connection.close()


@contextmanager
def receiver_process(journal: Path) -> Iterator[OtherProcess]:
    """Run a receiver until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.receiver", str(journal)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield OtherProcess(int(process.stdout.readline()), journal)
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@dataclass(slots=True, kw_only=True)
class Soak:
    """What happened."""

    verdict: Verdict
    in_flight_at_kills: list[int] = field(default_factory=list)
    broken_off: int = 0
    ended: int = 0  # deliveries that visibly failed
    took_s: float = 0.0
    settled_s: float = 0.0  # from the last acknowledgement to the last delivery


async def soak(  # noqa: PLR0913 - every part is named at the call site
    server: Server,
    tenant: Tenant,
    receiver: OtherProcess,
    *,
    events: int,
    kills: int,
    in_flight_min: int,
    ordered: Mapping[str, str] = MappingProxyType({}),
    before_kill: Callable[[], float] = lambda: 0.0,
) -> Soak:
    """Publish until at least *events* were acknowledged and *kills* happened; judge the rest.

    A kill comes when enough was acknowledged since the last one and enough is under way, and
    then *before_kill* seconds later.
    """
    publisher = Publisher(server.port, tenant.path, tenant.key)
    done = 0

    def is_enough() -> bool:
        return done >= kills and publisher.acked >= events

    begun_s = time.monotonic()
    lists = [_items(number, is_enough) for number in range(CONNECTIONS)]
    publishing = asyncio.create_task(publisher.run(lists))
    in_flight = []
    while done < kills:
        await publisher.until(_at_least(publisher, publisher.acked + events // (kills + 1)))
        await asyncio.sleep(before_kill())
        await publisher.until(lambda: publisher.in_flight >= in_flight_min)
        in_flight.append(publisher.in_flight)
        server.kill()
        done += 1
        await server.start_async()
    await publishing
    acked_s = time.monotonic()
    await asyncio.to_thread(wait_until_settled, tenant)
    settled_s = time.monotonic()
    ended = await asyncio.to_thread(_ended, tenant)
    verdict = judge(
        publisher.journal,
        await asyncio.to_thread(receiver.received),
        paths=list(tenant.secrets),
        attempts=lambda message_id: _attempts(tenant, message_id),
        ended=ended,
        ordered=ordered,
    )
    return Soak(
        verdict=verdict,
        in_flight_at_kills=in_flight,
        broken_off=publisher.broken_off,
        ended=len(ended),
        took_s=acked_s - begun_s,
        settled_s=settled_s - acked_s,
    )


def _at_least(publisher: Publisher, acked: int) -> Callable[[], bool]:
    return lambda: publisher.acked >= acked


def wait_until_settled(tenant: Tenant, *, s: float = 180.0) -> None:
    """Return when nothing of the merchant waits or is under way any more."""
    ends_s = time.monotonic() + s
    quiet = 0
    # Twice, because one may be moved from the status that is asked next to the one before.
    while quiet < 2:
        left = [status for status in _UNFINISHED if _first(tenant, status)]
        quiet = 0 if left else quiet + 1
        if time.monotonic() > ends_s:
            raise TimeoutError(f"still {left} after {s:.0f} s")
        time.sleep(_SETTLED_POLL_S)


def _items(connection: int, is_enough: Callable[[], bool]) -> Iterator[Item]:
    number = 0
    while not is_enough():
        object_id = f"{connection}-{number % OBJECTS_PER_CONNECTION}"
        key = f"{connection}-{number}"
        sequence = number // OBJECTS_PER_CONNECTION + 1
        data = {"key": key, "object": object_id, "sequence": sequence}
        yield Item(key=key, data=data, object_id=object_id)
        number += 1


def _first(tenant: Tenant, status: str) -> bool:
    return bool(tenant.api.get(f"{tenant.path}/deliveries?status={status}&limit=1")["data"])


def _ended(tenant: Tenant) -> frozenset[tuple[str, str]]:
    """Return the path and key of every delivery that visibly failed or was cancelled."""
    paths = {
        endpoint["id"]: "/" + endpoint["url"].split("/", 3)[3]
        for endpoint in tenant.api.pages(f"{tenant.path}/endpoints")
    }
    found = set()
    for status in ("failed", "cancelled"):
        path = f"{tenant.path}/deliveries?status={status}&event_type={EVENT_TYPE}"
        for delivery in tenant.api.pages(path):
            event = tenant.api.get(f"{tenant.path}/events/{delivery['event_id']}")
            found.add((paths[delivery["endpoint_id"]], event["data"]["key"]))
    return frozenset(found)


def _attempts(tenant: Tenant, message_id: str) -> int:
    try:
        found = Api(tenant.api.port).get(f"{tenant.path}/deliveries/{message_id}")
    except Refused:
        return 0
    return len(found["attempts"])
