"""Very many at once: one event for many endpoints, and retries that are due together. F73, F74."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import asyncpg  # type: ignore[import-untyped] # It ships no types.
import pytest
from benchmarks.stocks import Place, fill_scheduled
from tests.support.postgres import cluster
from tests.support.server import Api, Server, Tenant, postgres_url
from tests.support.soak import receiver_process, wait_until_settled
from tests.support.stores import OpenedStore, ShiftedClock
from tests.support.world import World

from payhooks import ids, limits
from payhooks.model.merchant import Merchant
from payhooks.policy.retry import POLICIES
from payhooks.ports.leasing import Leased
from payhooks.storage.postgres import PostgresStore
from payhooks.worker.loop import LANES_PER_LOOK, PER_LANE_PER_LOOK

ANSWER_S_MAX = 2.0
FRESH_LOOKS_MAX = 3
NEXT_WAVE_SHARE_MAX = 0.2  # of the retries in any one second; all at once would be 1


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def database(stack: ExitStack, tmp_path: Path) -> str:
    name = f"waves_{abs(hash(str(tmp_path))) % 10**12}"
    return stack.enter_context(postgres_url(stack.enter_context(cluster()), name))


@pytest.mark.shows("F73")
@pytest.mark.parametrize("count", [100, pytest.param(10_000, marks=pytest.mark.long)])
def test_one_event_for_many_endpoints_is_one_answer_and_holds_up_nobody(
    stack: ExitStack, database: str, tmp_path: Path, count: int
) -> None:
    """All of its deliveries are there with the answer, and it came as soon as for one."""
    receiver = stack.enter_context(receiver_process(tmp_path / "journal"))
    server = Server(tmp_path / "server", database)
    stack.callback(server.close)
    server.start()
    many, other = (Tenant(Api(server.port), name) for name in ("Many", "Other"))
    other.endpoint(receiver.url("/ok/other"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: many.endpoint(receiver.url(f"/ok/{n}")), range(count)))
    many.publish({"key": "warm"})
    wait_until_settled(many)
    began_s = time.monotonic()
    published = many.publish({"key": "wide"})
    took_s = time.monotonic() - began_s
    assert published["deliveries"] == count
    assert took_s < ANSWER_S_MAX
    began_s = time.monotonic()
    other.publish({"key": "beside"})
    assert time.monotonic() - began_s < ANSWER_S_MAX
    wait_until_settled(many)
    wait_until_settled(other)
    came = Counter((each.path, each.data["key"]) for each in receiver.received())
    assert set(came.values()) == {1}
    assert len(came) == 2 * count + 1


@dataclass(slots=True)
class Wave:
    """What it took to take everything that was due."""

    looks_s: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    looks_until_fresh: int | None = None


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    clock = ShiftedClock()
    store = await PostgresStore.open(
        database, clock=clock, random=Random(1), clock_offset=lambda: clock.ahead_s
    )
    yield World(OpenedStore(store, clock))
    await store.close()


@pytest.mark.shows("F74")
@pytest.mark.parametrize(
    ("count", "merchants"), [(2_400, 8), pytest.param(200_000, 20, marks=pytest.mark.long)]
)
async def test_a_wave_of_retries_is_taken_in_small_bites_and_starves_nobody(
    world: World, database: str, count: int, merchants: int
) -> None:
    """After an outage of everybody's network; a fresh event must not wait for all of it."""
    await _due_together(world, database, count, merchants)
    fresh = await world.merchant()
    wave = await _take_all(world, fresh, count)
    assert max(wave.sizes) <= LANES_PER_LOOK * PER_LANE_PER_LOOK
    assert wave.looks_until_fresh is not None
    assert wave.looks_until_fresh <= FRESH_LOOKS_MAX
    # A look costs what it brings, not what it leaves behind.
    tenth = max(1, len(wave.looks_s) // 10)
    full, empty = wave.looks_s[1 : tenth + 1], wave.looks_s[-tenth - 1 : -1]
    assert statistics.median(full) < 3 * statistics.median(empty) + 0.05
    assert statistics.median(full) < limits.STATEMENT_TIMEOUT_S / 4
    waits_s = await _waits_s(database)
    assert len(waits_s) == count
    assert max(Counter(int(wait_s) for wait_s in waits_s).values()) < NEXT_WAVE_SHARE_MAX * count


async def _due_together(world: World, database: str, count: int, merchants: int) -> None:
    for _ in range(merchants):
        merchant = await world.merchant()
        endpoint = await world.endpoint(merchant)
        place = Place(
            database_url=database,
            merchant_id=ids.to_text(ids.MERCHANT, merchant.id),
            endpoint_id=ids.to_text(ids.ENDPOINT, endpoint.id),
        )
        await asyncio.to_thread(fill_scheduled, place, count // merchants)
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE queue SET due_at = date_trunc('second', now())")
    await connection.execute("UPDATE lanes SET look_at = now()")
    await connection.execute("ANALYZE")
    await connection.close()


async def _take_all(world: World, fresh: Merchant, count: int) -> Wave:
    """Lease and let fail whatever is due; an event of another merchant comes in the middle."""
    wave, random, taken, published_at = Wave(), Random(74), 0, 0
    endpoint = await world.endpoint(fresh)
    while taken < count + 1:
        if not published_at and taken >= count // 2:
            await world.publish(fresh, endpoint)
            published_at = len(wave.sizes)
        began_s = time.monotonic()
        lease = await world.look(lanes_max=LANES_PER_LOOK, per_lane_max=PER_LANE_PER_LOOK)
        wave.looks_s.append(time.monotonic() - began_s)
        wave.sizes.append(len(lease.leased))
        assert lease.leased
        taken += len(lease.leased)
        if any(each.merchant_id == fresh.id for each in lease.leased):
            wave.looks_until_fresh = len(wave.sizes) - published_at
        settlements = [
            world.succeeded(each)
            if each.merchant_id == fresh.id
            else world.failed(each, delay_s=_delay_s(each, random))
            for each in lease.leased
        ]
        for start in range(0, len(settlements), limits.SETTLE_BATCH_MAX):
            assert all(await world.settle(*settlements[start : start + limits.SETTLE_BATCH_MAX]))
    return wave


def _delay_s(leased: Leased, random: Random) -> float:
    delay_s = POLICIES["standard"].delay_after(leased.attempts_made + 1, random)
    assert delay_s is not None
    return delay_s


async def _waits_s(database: str) -> list[float]:
    connection = await asyncpg.connect(database)
    rows = await connection.fetch(
        "SELECT extract(epoch FROM due_at)::float8 AS due_s FROM queue WHERE state = 0"
    )
    await connection.close()
    return [row["due_s"] for row in rows]
