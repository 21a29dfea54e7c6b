"""History by day: partitions are there before their day, found alone, and dropped whole."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.support.postgres_hand import Hand
from tests.support.stores import postgres_database
from tests.support.world import World

from payhooks import limits
from payhooks.model.delivery import State
from payhooks.ports.controlling import Window
from payhooks.ports.reading import EventFilter
from payhooks.storage.postgres import partitions
from payhooks.storage.postgres.connections import Target
from payhooks.storage.postgres.partitions import Partition

_DAY_S = 86_400.0


@pytest.fixture
def database() -> Iterator[str]:
    """Yield a database for one test: partitions outlive the rows in them."""
    with postgres_database() as url:
        yield url


async def _partitions(database: str, table: str) -> list[Partition]:
    connection = await Target.of(database).connect()
    try:
        return await partitions.existing(connection, table)
    finally:
        await connection.close()


async def _retire_all(world: World) -> None:
    """Purge what is older than ten days, to the end."""
    for _ in range(1_000):
        before = world.now().replace(hour=0, minute=0, second=0, microsecond=0)
        if not await world.store.retire(before=before - 10 * _days(1), limit=100):
            return
    raise AssertionError("retiring does not end")


def _days(count: int) -> timedelta:
    return timedelta(days=count)


async def test_the_coming_week_has_its_partitions(world: World, database: str) -> None:
    """A day without one lands in the default partition and must be deleted row by row."""
    today = world.now().date()

    for table in partitions.TABLES:
        days = [partition.day for partition in await _partitions(database, table)]
        assert [(day - today).days for day in days] == list(
            range(-1, limits.PARTITIONS_AHEAD_DAYS + 1)
        )


async def test_partitions_that_are_there_are_not_made_again(database: str) -> None:
    """The sweeper of every process asks for them."""
    connection = await Target.of(database).connect()
    try:
        assert await partitions.ensure(connection) == 0
    finally:
        await connection.close()


async def test_a_partition_of_which_another_process_has_made_the_half_is_left_to_it(
    database: str,
) -> None:
    """Between two looks of the server at its names the type of a table's rows may come first.

    Two processes that started together met it, and one ended; a type alone is met each time.
    """
    connection = await Target.of(database).connect()
    try:
        [row] = await connection.fetch("SELECT payhooks_now() AS now")
        ahead = Partition(
            table="events", day=row["now"].date() + _days(limits.PARTITIONS_AHEAD_DAYS)
        )
        await connection.execute(f"DROP TABLE {ahead.name}")
        await connection.execute(f"CREATE TYPE {ahead.name} AS ENUM ()")
        assert await partitions.ensure(connection) == 0
        await connection.execute(f"DROP TYPE {ahead.name}")
        assert await partitions.ensure(connection) == 1
    finally:
        await connection.close()


async def test_a_day_whose_rows_are_in_the_default_partition_stays_there(
    world: World, database: str
) -> None:
    """A clock that ran ahead must not stop the sweeper for ever after."""
    await world.advance(30 * _DAY_S)  # Beyond the partitions there are.
    merchant = await world.merchant()
    event = await world.publish(merchant)
    connection = await Target.of(database).connect()
    try:
        ahead = f"{30 * _DAY_S} seconds"
        await connection.fetch("SELECT set_config('payhooks.clock_offset', $1, false)", ahead)
        made = await partitions.ensure(connection)
    finally:
        await connection.close()

    assert made == len(partitions.TABLES) * (limits.PARTITIONS_AHEAD_DAYS + 2) - 1
    assert await world.store.event(merchant.id, event.id) is not None


async def test_rows_of_one_event_lie_in_its_day(world: World, hand: Hand) -> None:
    """Everything of an event goes in one drop, however late its attempts were."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    await world.settle(world.failed(await world.lease_one(), delay_s=3 * _DAY_S))
    day = f"{world.now():%Y%m%d}"
    await world.advance(3 * _DAY_S)
    await world.deliver(await world.lease_one())

    for table in partitions.TABLES:
        rows = await hand.run(f"SELECT DISTINCT tableoid::regclass::text AS name FROM {table}")  # noqa: S608 - our own names
        assert [row["name"] for row in rows] == [f"{table}_p{day}"]


async def test_an_event_is_looked_for_in_its_day_only(world: World, hand: Hand) -> None:
    """A look-up must not cost more for every day that is kept."""
    merchant = await world.merchant()
    event = await world.publish(merchant)
    day = f"{world.now():%Y%m%d}"

    rows = await hand.run(
        "EXPLAIN SELECT * FROM events WHERE merchant_id = $1 AND id = $2", merchant.id, event.id
    )

    plan = "\n".join(row["QUERY PLAN"] for row in rows)
    assert f"events_p{day}" in plan
    assert plan.count("Scan") == 1


async def test_an_old_day_is_dropped_whole(world: World, database: str) -> None:
    """Deleting 700 million rows a day would cost as much as writing them did."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    old = await world.publish(merchant, endpoint)
    await world.deliver(await world.lease_one())
    day = world.now().date()
    await world.advance(12 * _DAY_S)
    young = await world.publish(merchant, endpoint)

    await _retire_all(world)

    for table in partitions.TABLES:
        days = [partition.day for partition in await _partitions(database, table)]
        assert min(days) > day
    assert await world.store.event(merchant.id, old.id) is None
    assert await world.store.event(merchant.id, young.id) is not None


async def test_what_is_sent_again_during_a_turn_ends_before_its_day_goes(
    world: World, hand: Hand
) -> None:
    """What waits is looked for once a minute, not in each slice; but anew before a day goes."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    old = await world.publish(merchant, endpoint)
    await world.deliver(await world.lease_one())
    await world.advance(12 * _DAY_S)
    before = world.now() - _days(11)
    await world.store.retire(before=before - _days(10), limit=100)

    await world.requeue(world.again(old, endpoint))
    while await world.store.event(merchant.id, old.id) is not None:
        await world.store.retire(before=before, limit=100)

    assert await hand.run("SELECT id FROM queue") == []


async def test_a_slice_counts_deliveries_with_their_events(world: World) -> None:
    """What lies in no day goes row by row, and a statement may not take for longer than 2 s."""
    await world.advance(30 * _DAY_S)  # Beyond the partitions there are.
    merchant = await world.merchant()
    endpoints = [await world.endpoint(merchant) for _ in range(3)]
    few = [await world.publish(merchant, endpoints[0]) for _ in range(3)]
    many = [await world.publish(merchant, *endpoints) for _ in range(2)]
    await world.fail(*await world.lease())
    await world.advance(12 * _DAY_S)

    left = []
    for _ in range(4):
        await world.store.retire(before=world.now() - _days(10), limit=4)
        stored = await world.store.events(merchant.id, EventFilter(), Window(limit=10))
        left.append([one.event.id for one in reversed(stored)])

    order = [event.id for event in few + many]
    assert left == [order[2:], order[3:], order[4:], []]


async def test_answers_of_a_day_go_at_once_but_for_those_of_replays(
    world: World, hand: Hand, database: str
) -> None:
    """One replay must keep neither a day of strangers' words nor the days behind it."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    first = world.now().date()
    old = await world.publish(merchant, endpoint)
    await world.advance(_DAY_S)
    await world.publish(merchant, endpoint)
    await world.fail(*await world.lease())
    await world.advance(9 * _DAY_S)
    await world.requeue(world.again(old, endpoint))
    await world.fail(await world.lease_one())

    while await world.store.retire(before=world.now() - _days(90), limit=100):
        pass

    rows = await hand.run("SELECT fence FROM bodies")
    assert [row["fence"] for row in rows] == [2]
    days = [partition.day for partition in await _partitions(database, "bodies")]
    assert first in days
    assert first + _days(1) not in days


async def test_answers_from_before_they_had_a_time_are_as_old_as_their_deliveries(
    world: World, hand: Hand
) -> None:
    """An update must not keep what is there for another week, nor forget what is young."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    young = await world.publish(merchant, endpoint)
    await world.fail(await world.lease_one())
    await hand.run("UPDATE bodies SET kept_at = '-infinity'")

    await world.advance(5 * _DAY_S)
    assert await world.store.retire(before=world.now() - _days(90), limit=100) == 0
    await world.advance(4 * _DAY_S)
    assert await world.store.retire(before=world.now() - _days(90), limit=100)

    assert await hand.run("SELECT FROM bodies") == []
    assert await world.store.event(merchant.id, young.id) is not None


async def test_a_day_with_a_delivery_under_way_is_kept(world: World) -> None:
    """Its worker still needs the event; nothing that was accepted is lost by tidying up."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    event = await world.publish(merchant, endpoint)
    first, second = await world.lease()
    await world.deliver(first)
    await world.advance(12 * _DAY_S)

    await _retire_all(world)

    assert (await world.delivery(event, endpoint)).state is State.LEASED
    assert await world.store.event(merchant.id, event.id) is not None
    await world.deliver(second)
    await _retire_all(world)
    assert await world.store.event(merchant.id, event.id) is None
