"""Processes that want the same rows: nobody deadlocks, nobody waits for one that stopped."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

import msgspec
from tests.support.postgres_hand import Hand, open_hand
from tests.support.world import OWNER, World, events_of

from payhooks.clock import SystemClock
from payhooks.ids import MerchantId, TimeOrderedIds, delivery_id, endpoint_number_of
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
from payhooks.ports.accepting import (
    Accepted,
    Arrival,
    KeyBusy,
    PlannedDelivery,
    Repeated,
    StaleRouting,
)
from payhooks.ports.controlling import Requeue
from payhooks.storage import statements
from payhooks.storage.postgres import PostgresStore

_ROUNDS = 100
_KEYS = 20
# Enough that the two statements overlap; unsorted, they then deadlock in 8 of 100 rounds or more.
_KEYS_MET = 200
# On a machine that is busy with other tests, who holds a lock may come to stand for 250 ms.
_ROLLBACKS_MAX = 2
_REPLAYING = statements.load("payhooks.storage.postgres", "replaying.sql")


def _key(number: int) -> bytes:
    return number.to_bytes(16, "big")


async def test_two_processes_with_the_same_keys_in_any_order_do_not_deadlock(
    world: World, database: str
) -> None:
    """Publishers retry to whichever process answers; the same keys meet in both all the time."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    template = await world.arrival(world.event(merchant), endpoint)
    random = Random(7)
    before = await _transactions(database, at_least=0)
    async with _another_process(database) as one, _another_process(database) as other:
        for round_ in range(_ROUNDS):
            keys = [_key(100_000 + round_ * _KEYS_MET + number) for number in range(_KEYS_MET)]
            mine, theirs = (
                [_with_key(world.ids, template, key) for key in random.sample(keys, _KEYS_MET)]
                for _ in range(2)
            )
            both = await asyncio.gather(
                one.accept(mine, owner=OWNER), other.accept(theirs, owner=OWNER + 1)
            )
            outcomes = [outcome for side in both for outcome in side]
            assert sum(isinstance(one, Accepted) for one in outcomes) == _KEYS_MET
            assert sum(isinstance(one, Repeated) for one in outcomes) == _KEYS_MET
    after = await _transactions(database, at_least=before["commits"] + 2 * _ROUNDS)
    # A deadlock, or a lock waited for until the time-out, rolls back and is tried in halves.
    assert after["rollbacks"] - before["rollbacks"] <= _ROLLBACKS_MAX


async def test_two_slices_over_the_same_deliveries_in_opposite_order_do_not_deadlock(
    world: World, database: str
) -> None:
    """Two replays by filters that overlap, or a person who resends what a replay has reached."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    events = [await world.publish(merchant, endpoint) for _ in range(3)]
    await world.fail(*await world.lease())
    again = [world.again(event, endpoint) for event in events]
    async with (
        open_hand(database) as holding,
        open_hand(database) as one,
        open_hand(database) as other,
    ):
        # Who holds the middle one keeps both until each has begun at its own end, if it does.
        await holding.begin()
        assert await holding.requeue(again[1]) == 1
        slices = [
            asyncio.create_task(_slice(hand, items))
            for hand, items in ((one, again), (other, again[::-1]))
        ]
        await _wait_for_others(database, 2)
        await holding.roll_back()
        counts = await asyncio.gather(*slices)
    assert sorted(counts) == [0, 3]
    leased = await world.lease()
    first = events if counts == [3, 0] else events[::-1]
    assert events_of(leased) == [event.id for event in first]


async def test_what_another_has_put_back_meanwhile_is_hastened_where_it_stands_now(
    world: World, database: str
) -> None:
    """A slice finds its rows before they are its own: they may have moved while it waited."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    async with open_hand(database) as settling, open_hand(database) as hand:
        await settling.begin()
        await settling.settle(world.failed(leased, delay_s=3_600.0))
        slice_ = asyncio.create_task(_slice(hand, [world.again(event, endpoint)]))
        await _wait_for_others(database, 1)
        await settling.commit()
        assert await slice_ == 1
    assert events_of(await world.lease()) == [event.id]


async def test_what_is_sent_again_while_it_is_expunged_does_not_go(
    world: World, database: str
) -> None:
    """It went out, signed, with nothing in it: a receiver took that for what had happened."""
    merchant, endpoint, [event] = await _failed(world)
    async with open_hand(database) as expunging, open_hand(database) as hand:
        await expunging.begin()
        for name in ("expunge", "expunge_undone", "expunge_bodies"):
            await expunging.run(_REPLAYING[name], merchant.id, event.id)
        slice_ = asyncio.create_task(_slice(hand, [world.again(event, endpoint)]))
        await _wait_for_others(database, 1)
        await expunging.commit()
        assert await slice_ == 0
    assert await world.lease() == []


async def test_what_is_expunged_while_it_is_sent_again_does_not_go(
    world: World, database: str
) -> None:
    """Whoever expunges did not see what a slice had put there a moment before."""
    merchant, endpoint, [event] = await _failed(world)
    async with open_hand(database) as hand:
        await hand.begin()
        assert await hand.requeue(world.again(event, endpoint)) == 1
        expunged = asyncio.create_task(
            world.store.expunge(merchant.id, event.id, world.audit(merchant.id))
        )
        await _wait_for_others(database, 1)
        # Meanwhile publishers are not kept waiting, nor told to plan anew.
        arrival = await world.arrival(world.event(merchant))
        assert await world.accept(arrival) == [Accepted(leased=())]
        await hand.commit()
        assert await expunged
    assert await world.lease() == []


async def test_what_went_while_a_slice_waited_is_leased_under_a_new_fence(
    world: World, database: str
) -> None:
    """A fence was given twice: who repeated the word of the lease before ended the next one."""
    _merchant, endpoint, events = await _failed(world, count=2)
    again = [world.again(event, endpoint) for event in events]
    async with open_hand(database) as holding, open_hand(database) as hand:
        await holding.begin()
        assert await holding.requeue(again[0]) == 1
        slice_ = asyncio.create_task(_slice(hand, again))
        await _wait_for_others(database, 1)
        # The slice has read how both ended. Somebody resends the second one, and it arrives.
        assert await world.requeue(again[1]) == 1
        before = await world.lease_one()
        await world.deliver(before)
        delivered_at = (await world.delivery(events[1], endpoint)).delivered_at
        assert delivered_at is not None
        await holding.roll_back()
        assert await slice_ == 2
    [once_more] = [one for one in await world.lease() if one.id == before.id]
    assert once_more.fence > before.fence
    await world.deliver(before)  # said again, as nobody had answered
    delivery = await world.delivery(events[1], endpoint)
    assert (delivery.state, delivery.delivered_at) == (State.LEASED, delivered_at)


async def test_a_contested_key_costs_its_own_event_and_not_its_batch(
    world: World, database: str
) -> None:
    """A process that stopped while holding one key must not fail 200 strangers."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    arrivals = [
        await world.arrival(world.event(merchant), endpoint, key=_key(10_000 + number))
        for number in range(8)
    ]
    rival = await world.arrival(world.event(merchant), endpoint, key=_key(10_003))
    async with open_hand(database) as hand:
        await hand.begin()
        await hand.accept(rival)

        outcomes = await world.accept(*arrivals)

        busy = [at for at, outcome in enumerate(outcomes) if isinstance(outcome, KeyBusy)]
        assert busy == [3]
        assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 7
        await hand.commit()
    [outcome] = await world.accept(arrivals[3])
    assert isinstance(outcome, Repeated)
    assert outcome.event_id == rival.event.id


async def test_a_merchant_that_is_being_changed_does_not_stop_the_others(
    world: World, database: str
) -> None:
    """A control process that stopped in the middle of a change must not stop publishers."""
    changing, quiet = await world.merchant(), await world.merchant()
    arrivals = [await world.arrival(world.event(one)) for one in (changing, quiet)]
    async with open_hand(database) as hand:
        await hand.begin()
        await hand.run("SELECT 1 FROM routing WHERE merchant_id = $1 FOR UPDATE", changing.id)

        outcomes = await world.accept(*arrivals)

    assert outcomes == [StaleRouting(), Accepted(leased=())]


async def test_a_process_that_is_stopped_holds_nothing_that_others_want(
    world: World, database: str
) -> None:
    """A machine that swaps or a debugger that stops must not stop the whole installation."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    template = await world.arrival(world.event(merchant), endpoint, hand_off=True)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, database, merchant.id.hex(), endpoint.id.hex()),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    try:
        for stop in range(20):
            assert await child.stdout.readline()  # It works, and goes on working.
            child.send_signal(signal.SIGSTOP)
            await _all_connections_idle(database)
            keys = [_key(20_000 + number) for number in range(_KEYS)]
            outcomes = await world.accept(*[_with_key(world.ids, template, key) for key in keys])
            assert not any(isinstance(one, KeyBusy) for one in outcomes), f"stop {stop}"
            child.send_signal(signal.SIGCONT)
    finally:
        child.kill()
        await child.wait()


async def _failed(world: World, *, count: int = 1) -> tuple[Merchant, Endpoint, list[Event]]:
    """Return events whose deliveries to an endpoint are over, and can be sent again."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    events = [await world.publish(merchant, endpoint) for _ in range(count)]
    await world.fail(*await world.lease())
    return merchant, endpoint, events


async def _slice(hand: Hand, items: Sequence[Requeue]) -> int:
    """Run one slice of a replay; return how many it put on their way."""
    # Longer than the server takes to see a deadlock, and shorter than the statement may.
    await hand.script("SET lock_timeout = '1900ms'")
    await hand.begin()
    count = await hand.requeue(*items)
    await hand.commit()
    return count


@asynccontextmanager
async def _another_process(database: str) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(database, clock=SystemClock(), random=Random(2))
    try:
        yield store
    finally:
        await store.close()


async def _transactions(database: str, *, at_least: int) -> dict[str, int]:
    """Return the server's counts, as soon as so many commits are in them."""
    async with open_hand(database) as hand:
        for _ in range(10_000):
            [row] = await hand.run(
                "SELECT xact_commit AS commits, xact_rollback AS rollbacks FROM pg_stat_database"
                " WHERE datname = current_database()"
            )
            if row["commits"] >= at_least:
                return dict(row)
        raise AssertionError("the server does not count our commits")


async def _wait_for_others(database: str, count: int) -> None:
    """Return when so many statements wait for a lock that somebody else holds."""
    async with open_hand(database) as hand:
        for _ in range(10_000):
            [row] = await hand.run(
                "SELECT count(*)::int AS waiting FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if row["waiting"] == count:
                return
        raise AssertionError("a statement that should wait for another does not")


async def _all_connections_idle(database: str) -> None:
    """Return when the server has finished what was sent; nobody may be inside a transaction."""
    async with open_hand(database) as hand:
        for _ in range(1_000):
            rows = await hand.run(
                "SELECT state, wait_event FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            assert all(row["state"] != "idle in transaction" for row in rows)
            # Or it has sent half a statement: that holds nothing either.
            if all("idle" in row["state"] or row["wait_event"] == "ClientRead" for row in rows):
                return
        raise AssertionError("a statement of a stopped process does not end")


def _with_key(ids: TimeOrderedIds, template: Arrival, key: bytes) -> Arrival:
    """Return the same arrival with another key, and so with another event."""
    event = msgspec.structs.replace(template.event, id=ids.new_event())
    [planned] = template.deliveries
    id_ = delivery_id(event.id, endpoint_number_of(planned.id))
    return msgspec.structs.replace(
        template,
        event=event,
        idempotency=key,
        deliveries=(msgspec.structs.replace(planned, id=id_),),
    )


async def _publish_for_ever(database: str, merchant_id: bytes, endpoint_id: bytes) -> None:
    """Be the process that is stopped: accept and settle, and say so after each round."""
    clock = SystemClock()
    ids = TimeOrderedIds(clock, Random(os.getpid()))
    store = await PostgresStore.open(database, clock=clock, random=Random(1))
    random = Random(3)
    [routing] = await store.routing([MerchantId(merchant_id)])
    [endpoint] = [one for one in routing.endpoints if one.id == endpoint_id]
    for _ in range(100_000):
        keys = random.sample(range(20_000, 20_000 + _KEYS), _KEYS)
        event = Event(
            id=ids.new_event(), merchant_id=routing.merchant.id, type="a", family="b", data=b"{}"
        )
        planned = PlannedDelivery(
            id=delivery_id(event.id, endpoint.number),
            endpoint_id=endpoint.id,
            order_key=None,
            dialect="standard",
            dialect_version=1,
            lease_s=None,
        )
        template = Arrival(
            event=event,
            routing_version=routing.version,
            idempotency=None,
            content=bytes(16),
            deliveries=(planned,),
        )
        await store.accept([_with_key(ids, template, _key(key)) for key in keys], owner=OWNER)
        await store.lease(owner=OWNER, lanes_max=10, per_lane_max=10, skip=())
        await asyncio.to_thread(print, "round", flush=True)


if __name__ == "__main__":
    asyncio.run(
        _publish_for_ever(sys.argv[1], bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3]))
    )
