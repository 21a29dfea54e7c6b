"""Rows that cannot be read: damaged by a disk, a restore or a hand. Row F71.

What cannot be read costs what hangs on it, and nothing beside it.
"""

import asyncio
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import asyncpg  # type: ignore[import-untyped] # It ships no types.
import pytest
from tests.support.postgres import cluster
from tests.support.server import Api, Refused, Server, Tenant, postgres_url, sqlite_url
from tests.support.soak import OtherProcess, receiver_process

from payhooks import ids

S_MAX = 20.0
# The last byte, which belongs to the tag.
SPOIL_SECRET = """UPDATE secrets SET sealed = set_byte(sealed, length(sealed) - 1,
    255 - get_byte(sealed, length(sealed) - 1)) WHERE owner_id = $1"""
READ = "SELECT document FROM endpoints WHERE id = $1"
WRITE = "UPDATE endpoints SET document = $2 WHERE id = $1"
RELOAD = "UPDATE routing SET version = version + 1 WHERE merchant_id = $1"
REST_NO_MORE = "UPDATE lanes SET rest_until = '-infinity', look_at = now()"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def receiver(stack: ExitStack, tmp_path: Path) -> OtherProcess:
    return stack.enter_context(receiver_process(tmp_path / "journal"))


@pytest.fixture
def server(stack: ExitStack, tmp_path: Path) -> Server:
    name = f"unreadable_{abs(hash(str(tmp_path))) % 10**12}"
    url = stack.enter_context(postgres_url(stack.enter_context(cluster()), name))
    server = Server(tmp_path / "server", url)
    stack.callback(server.close)
    return server.start()


def _edit(server: Server, statement: str, *values: object) -> None:
    """Change rows behind the back of everybody who could object."""

    async def run() -> None:
        connection = await asyncpg.connect(server.database_url)
        await connection.execute(statement, *values)
        await connection.close()

    asyncio.run(run())


def _read(server: Server, endpoint_id: UUID) -> str:
    async def run() -> str:
        connection = await asyncpg.connect(server.database_url)
        found: str = await connection.fetchval(READ, endpoint_id)
        await connection.close()
        return found

    return asyncio.run(run())


def _raw(printed: str) -> UUID:
    """Return an id as PostgreSQL has it."""
    raw = ids.from_text(printed.partition("_")[0], printed)
    assert raw is not None
    return UUID(bytes=raw)


def _until(is_so: Callable[[], bool], *, s: float = S_MAX) -> None:
    ends_s = time.monotonic() + s
    while not is_so():
        assert time.monotonic() < ends_s
        threading.Event().wait(0.05)


def _alarms(server: Server, kind: str) -> int:
    text = str(Api(server.port).get("/metrics")["text"])
    found = re.search(rf'^payhooks_alarms_total{{kind="{kind}"}} (\d+)', text, re.MULTILINE)
    return 0 if found is None else int(found[1])


def _count(receiver: OtherProcess, path: str) -> int:
    return sum(each.path == path for each in receiver.received())


@pytest.mark.shows("F71")
def test_a_secret_that_cannot_be_opened_rests_its_endpoint_alone(
    server: Server, receiver: OtherProcess
) -> None:
    """Our own damage: no attempt is spent on it, an operator is told, the merchant's others go."""
    tenant = Tenant(Api(server.port))
    damaged = tenant.endpoint(receiver.url("/ok/damaged"))
    tenant.endpoint(receiver.url("/ok/well"))
    _edit(server, SPOIL_SECRET, _raw(damaged))
    for number in range(5):
        tenant.publish({"key": f"k{number}"})
    _until(lambda: _count(receiver, "/ok/well") == 5)
    _until(lambda: _alarms(server, "our_fault") > 0)
    path = f"{tenant.path}/deliveries?endpoint_id={damaged}"
    _until(lambda: all(each["status"] == "scheduled" for each in tenant.api.pages(path)))
    assert [each["attempts_made"] for each in tenant.api.pages(path)] == [0] * 5
    assert _count(receiver, "/ok/damaged") == 0
    # One for each that was under way when the first was found, then the lane rests.
    assert _alarms(server, "our_fault") <= 5


@pytest.mark.shows("F71")
def test_a_secret_that_is_cut_off_does_not_stop_a_start(server: Server) -> None:
    """One damaged row of one merchant must not keep every other merchant's process down."""
    tenant = Tenant(Api(server.port))
    endpoint = tenant.endpoint("http://127.0.0.1:9999/hook")
    _edit(server, "UPDATE secrets SET sealed = 'x' WHERE owner_id = $1", _raw(endpoint))
    server.kill()
    server.start()
    assert Api(server.port).get("/readyz")["status"] == "ok"


@pytest.mark.shows("F71")
def test_an_endpoint_that_cannot_be_read_holds_up_its_merchant_alone(
    server: Server, receiver: OtherProcess
) -> None:
    """Who publishes is told to come back, what waits waits, and other merchants notice nothing."""
    ill, well = (Tenant(Api(server.port), name) for name in ("Ill", "Well"))
    endpoint = ill.endpoint(receiver.url("/503"), retry_policy=[1, 1, 1, 1])
    ill.publish({"key": "before"})
    _until(lambda: _count(receiver, "/503") == 1)
    well.endpoint(receiver.url("/ok"), events=["*"])
    document = _read(server, _raw(endpoint))
    _edit(server, WRITE, _raw(endpoint), document[:-1])
    # What a process has read already goes on; so let it read again.
    _edit(server, RELOAD, _raw(ill.id))
    with pytest.raises(Refused) as refused:
        ill.publish({"key": "refused"})
    assert refused.value.status == 503
    well.endpoint(receiver.url("/ok/second"))
    well.publish({"key": "well"})
    # The event twice, and at the first the news of both.
    _until(lambda: _count(receiver, "/ok") == 3 and _count(receiver, "/ok/second") == 1)
    [waiting] = ill.api.pages(f"{ill.path}/deliveries?endpoint_id={endpoint}")
    assert (waiting["status"], waiting["attempts_made"]) == ("scheduled", 1)
    _edit(server, WRITE, _raw(endpoint), document)
    _edit(server, REST_NO_MORE)
    _until(lambda: _count(receiver, "/503") >= 2)


@pytest.mark.shows("F71")
def test_a_delivery_whose_event_is_gone_does_not_stop_the_others(
    stack: ExitStack, receiver: OtherProcess, tmp_path: Path
) -> None:
    """A file that was restored in part: one look at the schedule brings what it can."""
    server = Server(tmp_path / "sqlite", stack.enter_context(sqlite_url(tmp_path)))
    stack.callback(server.close)
    server.start()
    tenant = Tenant(Api(server.port))
    endpoint = tenant.endpoint(receiver.url("/ok"))
    tenant.api.post(f"{tenant.path}/endpoints/{endpoint}/pause")
    gone = tenant.publish({"key": "gone"})
    tenant.publish({"key": "there"})
    server.kill()
    with sqlite3.connect(server.sqlite_path) as db:
        db.execute("DELETE FROM events WHERE id = ?", (_raw(gone["id"]).bytes,))
    db.close()
    server.start()
    tenant.api.post(f"{tenant.path}/endpoints/{endpoint}/resume")
    _until(lambda: _count(receiver, "/ok") == 1)
