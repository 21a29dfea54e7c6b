"""What only the embedded store promises: one file, one writer, one server."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import apsw
import msgspec
import pytest
from tests.support.stores import OpenedStore
from tests.support.world import World, attempts_of

from payhooks.errors import StaleVersionError, UnavailableError, WrongStateError
from payhooks.model.attempt import Reason
from payhooks.model.delivery import State
from payhooks.ports.accepting import Accepted
from payhooks.ports.controlling import Window
from payhooks.ports.leasing import Trial
from payhooks.ports.reading import EventFilter
from payhooks.storage.sqlite import SqliteStore
from payhooks.storage.sqlite.connection import connect, run_many
from payhooks.storage.sqlite.writer import Kind, Writer
from payhooks.testing import ManualClock

_ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file of this test is."""
    return tmp_path / "payhooks.sqlite"


@pytest.fixture
async def world(path: Path) -> AsyncIterator[World]:
    """Yield a world around an open store; a test may close it first."""
    world = await _open(path, ManualClock())
    yield world
    await world.store.close()


async def _open(path: Path, clock: ManualClock) -> World:
    store = await SqliteStore.open(path, clock=clock, random=Random(1))
    return World(OpenedStore(store, clock))


async def _start(program: str, path: Path) -> asyncio.subprocess.Process:
    folders = os.pathsep.join([str(_ROOT / "src"), str(_ROOT)])
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        str(path),
        env={**os.environ, "PYTHONPATH": folders},
        stdout=asyncio.subprocess.PIPE,
    )


_OPEN_ONCE = """
import asyncio, sys
from random import Random
from payhooks.clock import SystemClock
from payhooks.errors import WrongStateError
from payhooks.storage.sqlite import SqliteStore
try:
    asyncio.run(SqliteStore.open(sys.argv[1], clock=SystemClock(), random=Random(1)))
except WrongStateError as error:
    print(error)
    sys.exit(3)
"""


async def test_a_second_process_on_the_same_file_refuses_and_says_who_has_it(
    world: World, path: Path
) -> None:
    """Two servers on one file would each release the other's leases: every delivery twice."""
    second = await _start(_OPEN_ONCE, path)

    said, _ = await second.communicate()

    assert second.returncode == 3
    assert str(path) in said.decode()
    assert f"process {os.getpid()}" in said.decode()


async def test_the_file_can_be_served_again_once_it_was_closed(path: Path) -> None:
    """A restart must not need anybody to remove a stale lock."""
    clock = ManualClock()
    first = await _open(path, clock)
    await first.store.close()

    second = await _open(path, clock)

    assert (await second.store.health()).durability == "fsync"
    await second.store.close()


async def test_opening_twice_in_one_process_is_refused_too(world: World, path: Path) -> None:
    """A program that bootstraps twice by mistake would otherwise corrupt its own leases."""
    with pytest.raises(WrongStateError, match="only one may at a time"):
        await SqliteStore.open(path, clock=ManualClock(), random=Random(1))


async def test_a_thousand_concurrent_accepts_share_few_commits(world: World) -> None:
    """Each commit waits for the disk; one per event would cap us at the disk's rate."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    arrivals = [
        await world.arrival(world.event(merchant), endpoint, hand_off=True) for _ in range(1_000)
    ]
    assert isinstance(world.store, SqliteStore)
    before = world.store.commits

    answers = await asyncio.gather(*(world.accept(arrival) for arrival in arrivals))

    assert all(isinstance(answer, Accepted) for [answer] in answers)
    assert world.store.commits - before <= 100


async def test_an_error_of_one_job_takes_nothing_from_those_it_shares_a_commit_with(
    world: World,
) -> None:
    """A console user's stale edit must not cost a publisher its event."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = world.event(merchant)
    arrival = await world.arrival(event, endpoint)
    stale = world.edit(msgspec.structs.replace(endpoint, version=6))

    refused, accepted = await asyncio.gather(stale, world.accept(arrival), return_exceptions=True)

    assert isinstance(refused, StaleVersionError)
    assert isinstance(accepted, list)
    assert await world.store.event(merchant.id, event.id) is not None
    [entry] = await world.store.audit_latest(merchant.id, before=None, limit=1)
    assert entry.number == 2  # the merchant and the endpoint; nothing of the stale edit
    [routing] = await world.store.routing([merchant.id])
    assert routing.version == arrival.routing_version


async def test_leases_of_a_process_that_died_are_free_at_the_next_start(path: Path) -> None:
    """The lock proves that nobody holds them, so nobody has to wait for them to run out."""
    clock = ManualClock()
    before = await _open(path, clock)
    merchant = await before.merchant()
    endpoint = await before.endpoint(merchant)
    event = await before.publish(merchant, endpoint, hand_off=True)
    await before.store.close()  # as far as the file shows, this is how a kill looks

    after = await _open(path, clock)

    leased = await after.lease_one()
    attempts = await attempts_of(after.store, merchant.id, leased.id)
    assert leased.event.id == event.id
    assert leased.fence == 2
    assert leased.attempts_made == 0
    assert [(attempt.fence, attempt.reason) for attempt in attempts] == [(1, Reason.ABANDONED)]
    await after.store.close()


@pytest.mark.shows("F70")
async def test_a_delivery_that_was_out_alone_at_three_kills_in_a_row_is_set_aside(
    path: Path,
) -> None:
    """Restarting for ever into the same delivery would take everybody's down with it."""
    clock = ManualClock()
    world = await _open(path, clock)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint, hand_off=True)
    await world.store.close()
    for trial in (Trial.NONE, Trial.TOGETHER, Trial.ALONE, Trial.ALONE, Trial.ALONE):
        world = await _open(path, clock)
        assert len((await world.look(trial=trial)).leased) == 1
        await world.store.close()

    world = await _open(path, clock)

    window = Window(limit=10)
    [delivery] = await world.store.deliveries_of(merchant.id, event.id, window)
    assert (delivery.state, delivery.reason) == (State.FAILED, Reason.POISON)
    await world.store.close()


async def test_order_goes_on_where_it_was_after_a_restart(path: Path) -> None:
    """What waited before the restart was accepted first, so it is sent first."""
    clock = ManualClock()
    before = await _open(path, clock)
    merchant = await before.merchant()
    endpoint = await before.endpoint(merchant)
    key = bytes(16)
    first = await before.publish(merchant, endpoint, order_key=key)
    await before.store.close()
    after = await _open(path, clock)
    after.ids = before.ids
    second = await after.publish(merchant, endpoint, order_key=key)

    leased = await after.lease_one()
    await after.deliver(leased)
    follower = await after.lease_one()

    assert (leased.event.id, follower.event.id) == (first.id, second.id)
    await after.store.close()


_ACCEPT_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from random import Random
from payhooks.clock import SystemClock
from payhooks.storage.sqlite import SqliteStore
from tests.support.stores import OpenedStore
from tests.support.world import World

async def main():
    clock = SystemClock()
    store = await SqliteStore.open(sys.argv[1], clock=clock, random=Random(1))
    world = World(OpenedStore(store, clock))
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    for _ in range(100_000):
        arrivals = [await world.arrival(world.event(merchant), endpoint) for _ in range(5)]
        await world.accept(*arrivals)
        for arrival in arrivals:
            print(merchant.id.hex(), arrival.event.id.hex(), flush=True)

asyncio.run(main())
"""


async def test_what_was_acknowledged_before_kill_9_is_there_afterwards(path: Path) -> None:
    """202 means stored: the first promise, and the one that merchants' money hangs on."""
    writer = await _start(_ACCEPT_FOR_EVER, path)
    assert writer.stdout is not None
    acknowledged = [(await writer.stdout.readline()).split() for _ in range(200)]

    writer.kill()

    # What it had said before it died counts too.
    acknowledged += [line.split() for line in (await writer.stdout.read()).splitlines()]
    await writer.wait()
    world = await _open(path, ManualClock())

    whole = [words for words in acknowledged if len(words) == 2 and len(words[1]) == 32]
    [merchant] = await world.store.merchants(Window(limit=10))
    stored = await world.store.events(merchant.id, EventFilter(), Window(limit=100_000))
    assert {words[1].decode() for words in whole} <= {one.event.id.hex() for one in stored}
    assert {one.status for one in stored} == {"pending"}
    await world.store.close()
    plain = apsw.Connection(str(path))
    assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    plain.close()


async def test_a_full_disk_is_told_as_unavailable_and_stores_nothing(path: Path) -> None:
    """Better late than half: the publisher is told to try again, and finds room later."""
    world = await _open(path, ManualClock())
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    assert isinstance(world.store, SqliteStore)
    await world.store._write(  # noqa: SLF001 - a full disk cannot be had otherwise
        Kind.QUICK, lambda db: db.execute("PRAGMA max_page_count = 1").fetchall()
    )
    large = world.event(merchant, data=b'"' + b"x" * 200_000 + b'"')
    arrival = await world.arrival(large, endpoint)

    with pytest.raises(UnavailableError, match=r"^the disk is full"):
        await world.accept(arrival)

    assert await world.store.event(merchant.id, large.id) is None
    await world.store._write(  # noqa: SLF001 - and this is room again
        Kind.QUICK, lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchall()
    )
    assert await world.accept(arrival) == [Accepted(leased=())]
    await world.store.close()


async def test_after_a_failed_write_nothing_is_written_any_more(path: Path) -> None:
    """An fsync that failed once may lie the next time, so the process must start anew."""
    writer = Writer(path, prepare=lambda _: None)

    def fail(_: apsw.Connection) -> None:
        raise apsw.IOError("IOError: disk I/O error")

    with pytest.raises(UnavailableError, match="cannot be used"):
        await writer.submit(Kind.ACCEPT, fail)
    with pytest.raises(UnavailableError, match="restart after mending the disk"):
        await writer.submit(Kind.ACCEPT, lambda _: None)

    assert writer.broken is not None
    await writer.close()


async def test_a_file_that_another_program_keeps_locked_is_unavailable(
    world: World, path: Path
) -> None:
    """A backup tool that takes the write lock makes us late; it must not make us lie."""
    merchant = await world.merchant()
    # Through the same library: locks of POSIX do not tell two libraries in a process apart.
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(UnavailableError, match="locked by another program"):
        await world.publish(merchant)

    other.execute("ROLLBACK")
    other.close()
    assert await world.publish(merchant)


async def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    """An old server on a new file would write rows that the new one cannot read."""
    clock = ManualClock()
    world = await _open(path, clock)
    await world.store.close()
    plain = apsw.Connection(str(path))
    plain.execute("INSERT INTO schema_migrations VALUES (9999, 0, 0)")
    plain.close()

    with pytest.raises(UnavailableError, match="9999"):
        await _open(path, clock)


async def test_closing_waits_for_what_was_submitted(path: Path) -> None:
    """A drain that dropped accepted work on its last step would be no drain."""
    clock = ManualClock()
    world = await _open(path, clock)
    merchant = await world.merchant()
    event = world.event(merchant)
    accepting = asyncio.ensure_future(world.accept(await world.arrival(event)))
    await asyncio.sleep(0)  # let it reach the writer

    await world.store.close()

    assert await accepting == [Accepted(leased=())]
    with pytest.raises(UnavailableError, match="closed"):
        await world.publish(merchant)


async def test_closing_waits_for_slices_that_have_a_transaction_each(path: Path) -> None:
    """Slow work goes one slice at a time, so the last of it begins after closing was asked."""
    world = await _open(path, ManualClock())
    slices = [asyncio.ensure_future(world.store.expire(limit=1)) for _ in range(3)]
    await asyncio.sleep(0)  # let them reach the writer

    await world.store.close()

    async with asyncio.timeout(5):
        assert await asyncio.gather(*slices) == [[], [], []]


async def test_the_log_is_copied_into_the_file_before_it_grows_long(
    world: World, path: Path
) -> None:
    """A log that only grows fills the disk, and makes every read slower."""
    merchant = await world.merchant()
    large = b'"' + b"x" * 250_000 + b'"'
    for _ in range(250):  # 62 MB: four times what the log may hold
        await world.publish(merchant, data=large)

    log = path.with_name(f"{path.name}-wal")

    log_bytes, file_bytes = (file.stat().st_size for file in (log, path))
    assert log_bytes < 24_000_000
    assert file_bytes > 30_000_000


async def test_nobody_else_on_the_machine_can_read_the_file(world: World, path: Path) -> None:
    """It holds what merchants earn, and whom their customers are."""
    await world.merchant()

    files = [path, *path.parent.glob(f"{path.name}-*"), path.with_name(f"{path.name}.lock")]

    assert len(files) == 4
    assert {file.stat().st_mode & 0o077 for file in files} == {0}


async def test_rows_of_every_count_are_written_once(path: Path) -> None:
    """Rows go in chunks; an edge of a chunk that lost or doubled a row would be silent."""
    db = connect(path, writes=True)
    db.execute("CREATE TABLE numbers (n INTEGER)")
    for count in (0, 1, 2, 63, 64, 65, 255, 256, 257, 321, 1_000):
        run_many(db, "INSERT INTO numbers (n) VALUES :rows", [(n,) for n in range(count)])
        found = [n for (n,) in db.execute("SELECT n FROM numbers ORDER BY n")]
        assert found == list(range(count))
        db.execute("DELETE FROM numbers")
    db.close()
