"""What is expunged is in no file of the embedded store any more; who has the disk finds nothing."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import apsw
import msgspec
import pytest
from tests.support.stores import OpenedStore
from tests.support.world import World

from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
from payhooks.storage.sqlite import SqliteStore
from payhooks.storage.sqlite.writer import Kind, Writer
from payhooks.testing import ManualClock

SECRET = b"Ada Lovelace, Marylebone"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file of this test is."""
    return tmp_path / "payhooks.sqlite"


@pytest.fixture
async def world(path: Path) -> AsyncIterator[World]:
    """Yield a world around an open store; a test may close it first."""
    clock = ManualClock()
    store = await SqliteStore.open(path, clock=clock, random=Random(1))
    world = World(OpenedStore(store, clock))
    yield world
    await world.store.close()


def _found(path: Path) -> list[str]:
    """Return the names of the store's files that have the secret."""
    return sorted(file.name for file in path.parent.iterdir() if SECRET in file.read_bytes())


async def _told(world: World, *, data_bytes: int) -> tuple[Merchant, Event]:
    """Publish a secret among other events, and let a receiver refuse it and quote it."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    for _ in range(20):
        await world.publish(merchant)
    data = b'{"name":"%b","filler":"%b"}' % (SECRET, b"x" * data_bytes)
    event = await world.publish(merchant, endpoint, data=data, metadata=b'["%b"]' % SECRET)
    for _ in range(20):
        await world.publish(merchant)
    leased = await world.lease_one()
    failed = world.failed(leased, rendered=data)
    assert failed.attempt is not None
    quoting = msgspec.structs.replace(failed.attempt, answer_body=SECRET)
    assert await world.settle(msgspec.structs.replace(failed, attempt=quoting)) == [True]
    return merchant, event


def _copy_log(path: Path) -> None:
    """Copy the log into the file, as the store does where it has grown long."""
    other = apsw.Connection(str(path))
    other.execute("SELECT count(*) FROM events").fetchall()  # only so it knows of the log
    other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    other.close()


async def _expunge(world: World, merchant: Merchant, event: Event) -> None:
    assert await world.store.expunge(merchant.id, event.id, world.audit(merchant.id))


@pytest.mark.parametrize(
    "data_bytes",
    [
        pytest.param(10, id="among others on a page"),
        # Of those that were there when the first page of events was full.
        pytest.param(500, id="moved with its page"),
        pytest.param(100_000, id="on pages of its own"),
    ],
)
async def test_nothing_of_an_expunged_payload_is_left_in_the_files(
    world: World, path: Path, data_bytes: int
) -> None:
    """SQLite marks as free what is deleted and leaves it there, and the log keeps what it said."""
    merchant, event = await _told(world, data_bytes=data_bytes)
    _copy_log(path)
    assert _found(path) == [path.name, f"{path.name}-wal"]

    later = await world.arrival(world.event(merchant))

    await _expunge(world, merchant, event)

    # The log is cut off behind the answer. What is asked for then reads nothing, or it might stay.
    await world.accept(later)
    assert _found(path) == []
    await world.store.close()
    assert _found(path) == []
    plain = apsw.Connection(str(path))
    assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    plain.close()


async def test_the_log_is_cut_off_when_nobody_reads_it_any_more(world: World, path: Path) -> None:
    """A backup may read for minutes; nobody's event waits for it."""
    merchant, event = await _told(world, data_bytes=10)
    later = [await world.arrival(world.event(merchant)) for _ in range(3)]
    backup = apsw.Connection(str(path))
    backup.execute("BEGIN; SELECT count(*) FROM events")
    await _expunge(world, merchant, event)
    await world.accept(later[0])
    assert _found(path)

    backup.close()

    await world.accept(later[1])
    await world.accept(later[2])
    assert _found(path) == []


async def test_whole_pages_are_overwritten_for_what_is_to_be_erased_alone(path: Path) -> None:
    """Upkeep deletes day and night, and each page that it frees would be written once more."""
    everything, where_it_costs_no_write = 1, 2

    def overwritten(db: apsw.Connection) -> int:
        return int(db.pragma("secure_delete"))

    def fails(db: apsw.Connection) -> None:
        assert overwritten(db) == everything
        raise ArithmeticError

    writer = Writer(path, prepare=lambda _: None)
    assert await writer.submit(Kind.ERASING, overwritten) == everything
    assert await writer.submit(Kind.SLOW, overwritten) == where_it_costs_no_write
    with pytest.raises(ArithmeticError):
        await writer.submit(Kind.ERASING, fails)
    assert await writer.submit(Kind.SLOW, overwritten) == where_it_costs_no_write
    await writer.close()


async def test_what_erases_takes_its_turn_among_slices_that_always_wait(path: Path) -> None:
    """Two consumers that pull without pause have a slice waiting whenever another ends."""
    ran: list[str] = []
    all_wait = threading.Event()
    writer = Writer(path, prepare=lambda _: None)

    def submit(kind: Kind, name: str) -> asyncio.Task[None]:
        return asyncio.create_task(writer.submit(kind, lambda _: ran.append(name)))

    before = asyncio.create_task(writer.submit(Kind.QUICK, lambda _: all_wait.wait(5)))
    waiting = [
        submit(Kind.SLOW, "one's slice"),
        submit(Kind.ERASING, "what erases"),
        submit(Kind.SLOW, "the other's slice"),
        submit(Kind.SLOW, "one's next slice"),
    ]
    await asyncio.sleep(0)  # let them reach the writer
    all_wait.set()
    await asyncio.gather(before, *waiting)

    assert ran == ["one's slice", "what erases", "the other's slice", "one's next slice"]
    await writer.close()
