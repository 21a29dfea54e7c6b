"""What happens to connections, and what the store then says: done, not done, or not known."""

import asyncio
import socket
from datetime import datetime, timedelta
from random import Random

import pytest
from tests.support.postgres_hand import Hand, open_hand
from tests.support.world import OWNER, World, events_of

from payhooks.clock import SystemClock
from payhooks.errors import InvalidError, OutcomeUnknownError, UnavailableError
from payhooks.model.delivery import State
from payhooks.ports.accepting import Acceptance, Accepted, Arrival, Refused
from payhooks.ports.controlling import Window
from payhooks.ports.reading import EventFilter
from payhooks.storage.postgres import PostgresStore
from payhooks.testing import ManualClock

_TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


class SkewedClock(SystemClock):
    """A machine whose clock nobody set."""

    def now(self) -> datetime:
        """Return the time, ten seconds late."""
        return super().now() - timedelta(seconds=10)


async def test_everything_works_without_prepared_statements(world: World, database: str) -> None:
    """PgBouncer in transaction mode gives each transaction another server connection."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    bouncing = await PostgresStore.open(
        f"{database}?pgbouncer=true", clock=SystemClock(), random=Random(1)
    )
    try:
        event = world.event(merchant)
        [outcome] = await bouncing.accept([await world.arrival(event, endpoint)], owner=OWNER)
        assert outcome == Accepted(leased=())
        lease = await bouncing.lease(owner=OWNER, lanes_max=1, per_lane_max=1, skip=())
        assert await bouncing.settle([world.succeeded(lease.leased[0])]) == [True]
        await world.edit(endpoint, label="Till")
        assert (await bouncing.routing([merchant.id]))[0].endpoints[0].label == "Till"
    finally:
        await bouncing.close()
    assert (await world.delivery(event, endpoint)).state is State.DELIVERED


async def test_a_restarted_server_is_found_again(world: World, database: str) -> None:
    """A failover takes every connection away at once; the process must live through it."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    arrival = await world.arrival(world.event(merchant), endpoint)
    await world.accept(await world.arrival(world.event(merchant), endpoint))
    async with open_hand(database) as hand:
        await hand.run(_TERMINATE)

    outcome = await _until_answered(world, arrival)

    assert outcome == [Accepted(leased=())]
    assert len(await world.lease()) == 2


async def test_a_lost_reply_is_not_known_and_the_same_batch_again_is_safe(
    world: World, database: str
) -> None:
    """Between commit and reply the line may break: then nobody knows, and asking again tells."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    arrival = await world.arrival(world.event(merchant), endpoint, key=b"k" * 16)
    rival = await world.arrival(world.event(merchant), endpoint, key=b"k" * 16)
    async with open_hand(database) as hand, open_hand(database) as killer:
        await hand.begin()
        await hand.accept(rival)
        waiting = asyncio.create_task(world.accept(arrival))
        await _until_one_waits(killer)
        await killer.run(f"{_TERMINATE} AND wait_event_type = 'Lock'")
        with pytest.raises(OutcomeUnknownError):
            await waiting
        await hand.roll_back()

    assert await world.accept(arrival) == [Accepted(leased=())]
    assert await world.accept(arrival) == [Accepted(leased=())]
    assert len(await world.lease()) == 1


async def test_a_server_that_is_not_there_is_not_asked_by_every_caller() -> None:
    """While the database is down each request must fail at once, not queue for a connection."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # Bound, not listening: refused.
        port = listener.getsockname()[1]
        clock = ManualClock()
        store = PostgresStore(
            f"postgresql://postgres@127.0.0.1:{port}/none", clock=clock, random=Random(1)
        )
        with pytest.raises(UnavailableError, match="ConnectionRefusedError"):
            await store.event_types()
        with pytest.raises(UnavailableError, match="could not be reached") as second:
            await store.event_types()
        clock.advance(timedelta(seconds=second.value.retry_after_s + 0.001))
        with pytest.raises(UnavailableError, match="ConnectionRefusedError"):
            await store.event_types()
        await store.close()


async def test_a_server_that_says_nothing_is_given_up() -> None:
    """A dropped packet must not hold a caller for the minutes that TCP would wait."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # The kernel accepts, nobody answers.
        port = listener.getsockname()[1]
        store = PostgresStore(
            f"postgresql://postgres@127.0.0.1:{port}/none", clock=SystemClock(), random=Random(1)
        )
        async with asyncio.timeout(10):
            with pytest.raises(UnavailableError):
                await store.event_types()
        await store.close()


async def test_a_clock_that_differs_too_much_refuses_to_start(database: str) -> None:
    """Ids carry our time and decide the partition; leases carry the database's."""
    with pytest.raises(UnavailableError, match="away from the database's"):
        await PostgresStore.open(database, clock=SkewedClock(), random=Random(1))


async def test_a_text_that_cannot_be_stored_is_the_callers_to_mend(world: World) -> None:
    """U+0000 is legal in JSON and not in PostgreSQL; it must read as bad input, not as a crash."""
    merchant = await world.merchant()
    event = world.event(merchant, object_type="payment", object_id="p\x00")

    [refused] = await world.accept(await world.arrival(event))

    assert isinstance(refused, Refused)
    assert [fault.code for fault in refused.error.faults] == ["null_character"]
    assert await world.store.events(merchant.id, EventFilter(), Window(limit=1)) == []


@pytest.mark.parametrize("text", ["p\x00", "p\ud800"], ids=["U+0000", "half a character"])
async def test_what_cannot_be_stored_is_refused_alone(world: World, text: str) -> None:
    """A batch holds the events of many merchants; none of them may pay for another's."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    texts = ["a", "b", text, "c", text, "d", "e"]
    events = [world.event(merchant, object_type="payment", object_id=one) for one in texts]

    answers = await world.accept(*[await world.arrival(one, endpoint) for one in events])

    good = [event.id for event, one in zip(events, texts, strict=True) if one != text]
    assert [isinstance(one, Refused) for one in answers] == [one == text for one in texts]
    assert events_of(await world.lease()) == good


async def test_a_reader_who_asks_for_the_impossible_is_told_so(world: World) -> None:
    """The connection is well, and is used again."""
    merchant = await world.merchant()

    with pytest.raises(InvalidError):
        await world.store.events(merchant.id, EventFilter(object_id="p\ud800"), Window(limit=1))

    assert await world.store.events(merchant.id, EventFilter(), Window(limit=1)) == []


async def test_health_says_what_a_commit_means(world: World) -> None:
    """A 202 is only as durable as the server's settings: they belong on the health page."""
    health = await world.store.health()

    assert health.durability == "fsync"
    assert abs(health.clock_skew_s) < 1


async def _until_answered(world: World, arrival: Arrival) -> list[Acceptance]:
    for _ in range(5):
        try:
            return await world.accept(arrival)
        except UnavailableError:
            continue
    raise AssertionError("the store did not come back")


async def _until_one_waits(hand: Hand) -> None:
    for _ in range(10_000):
        rows = await hand.run(
            "SELECT 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        if rows:
            return
    raise AssertionError("nobody waits")
