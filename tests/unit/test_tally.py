"""Counting beside the way of the data: what counts, and what an answer that is lost costs."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.support.flow import Flow, payment
from tests.support.stores import OpenedStore
from tests.support.world import World

from payhooks import limits
from payhooks.errors import OutcomeUnknownError, PayhooksError, UnavailableError
from payhooks.flow.tally import Tallier
from payhooks.ids import DeliveryId, EndpointId, MerchantId
from payhooks.model.attempt import Answer, Outcome, Reason, Silence, Timing
from payhooks.model.merchant import Merchant
from payhooks.policy.fitness import RESPONSE_MS
from payhooks.ports.sweeping import Expired
from payhooks.ports.tallying import HOUR_S, MINUTE_S, Tally
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock, QuietTelemetry
from payhooks.testing.transport import answer

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
MINE = MerchantId(bytes(16))
SHOP = EndpointId(b"\x01" * 16)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def world(clock: ManualClock) -> World:
    return World(OpenedStore(store=MemoryStore(clock=clock), clock=clock))


class Ledger(MemoryStore):
    """A store that keeps what it is given, or answers as told."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.answers: list[PayhooksError | None] = []
        self.given: list[Sequence[Tally]] = []
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def add_tallies(self, tallies: Sequence[Tally]) -> None:
        self.asked.set()
        await self.go_on.wait()
        error = self.answers.pop(0) if self.answers else None
        if isinstance(error, UnavailableError) and not isinstance(error, OutcomeUnknownError):
            raise error
        self.given.append(tallies)
        if error is not None:
            raise error

    def accepted(self) -> int:
        given = [one for tallies in self.given for one in tallies]
        return sum(one.accepted for one in given if one.step_s == HOUR_S)


def tallier_over(store: MemoryStore, clock: ManualClock) -> Tallier:
    return Tallier(store=store, clock=clock, telemetry=QuietTelemetry())


async def counted(flow: Flow, merchant: Merchant, step_s: int = HOUR_S) -> list[Tally]:
    await flow.tallier.hand_over()
    return await flow.store.merchant_tallies(
        merchant.id, step_s=step_s, since=LONG_AGO, until=NEVER
    )


def late(seconds: float) -> Outcome:
    good = answer(200)
    assert isinstance(good, Answer)
    return msgspec.structs.replace(good, timing=Timing(total_s=seconds))


async def test_an_event_its_attempts_and_its_end_are_counted_once_each(world: World) -> None:
    """The chart of a merchant, and the row of its webhook."""
    script = [late(0.02), answer(500), answer(200)]
    flow = Flow(world, script=lambda _request: script.pop())
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await flow.publish(merchant, payment(1), payment(2))
    await flow.settled()
    [whole] = await counted(flow, merchant)
    assert (whole.accepted, whole.delivered, whole.failed) == (2, 1, 0)
    assert (whole.attempts, whole.attempts_failed) == (2, 1)
    [of_endpoint] = await flow.store.endpoint_tallies(merchant.id, [endpoint.id], since=LONG_AGO)
    assert (of_endpoint.accepted, of_endpoint.attempts, of_endpoint.delivered) == (0, 2, 1)
    await world.advance(10)
    assert await flow.lease_and_send() == 1
    [later] = await counted(flow, merchant)
    assert (later.accepted, later.delivered, later.failed) == (2, 2, 0)
    assert (later.attempts, later.attempts_failed) == (3, 1)


async def test_a_key_that_was_known_is_no_event(world: World) -> None:
    """A publisher that repeats itself would else seem to sell twice as much."""
    flow = Flow(world)
    merchant = await world.merchant()
    await flow.publish(merchant, payment(key="a"))
    await flow.publish(merchant, payment(key="a"))
    [whole] = await counted(flow, merchant)
    assert whole.accepted == 1


async def test_a_delivery_that_is_given_up_has_failed(world: World) -> None:
    """Failed is what somebody has to recover; what is tried again is not."""
    flow = Flow(world, script=lambda _request: answer(500))
    merchant = await world.merchant()
    await world.endpoint(merchant, retry_delays_s=(1.0,), retry_policy=None)
    await flow.publish(merchant, payment())
    await flow.settled()
    await world.advance(10)
    await flow.lease_and_send()
    [whole] = await counted(flow, merchant)
    assert (whole.delivered, whole.failed, whole.attempts, whole.attempts_failed) == (0, 1, 2, 2)


async def test_a_late_word_counts_as_an_attempt_and_ends_nothing(world: World) -> None:
    """Two workers sent it; the receiver saw two requests, the merchant has one delivery."""
    flow = Flow(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    [leased] = await world.lease()
    flow.tallier.settled(world.succeeded(leased), held=False)
    flow.tallier.settled(world.succeeded(leased), held=True)
    [whole] = await counted(flow, merchant)
    assert (whole.attempts, whole.delivered) == (2, 1)


async def test_a_late_word_of_what_was_broken_off_tells_of_an_attempt_that_was_counted(
    world: World,
) -> None:
    """One is on record, from when its lease ran out; a chart must not show two."""
    flow = Flow(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    await world.advance(31)
    for expired in await world.store.expire(limit=10):
        flow.tallier.expired(expired)
    flow.settler.interrupt(leased, 0.0)
    await flow.settler.drain()
    [hour] = await counted(flow, merchant)
    assert (hour.attempts, hour.attempts_failed) == (1, 1)


async def test_what_was_broken_off_is_an_attempt(world: World) -> None:
    flow = Flow(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    flow.settler.interrupt(await world.lease_one(), 0.0)
    await flow.settler.drain()
    [hour] = await counted(flow, merchant)
    assert (hour.attempts, hour.attempts_failed, hour.failed) == (1, 1, 0)


async def test_what_was_given_back_is_no_attempt(world: World) -> None:
    """Nothing was sent."""
    flow = Flow(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    [leased] = await world.lease()
    flow.settler.give_back(leased)
    await flow.settler.drain()
    assert await counted(flow, merchant) == []


@pytest.mark.parametrize(
    ("outcome", "place"),
    [
        pytest.param(late(0.05), 0, id="just within the first bound"),
        pytest.param(late(0.051), 1, id="just beyond it"),
        pytest.param(late(15.1), len(RESPONSE_MS), id="longer than the last"),
        pytest.param(
            Silence(reason=Reason.TIMEOUT, detail="", timing=Timing(total_s=4.0)),
            RESPONSE_MS.index(5_000),
            id="nobody answered in time",
        ),
        pytest.param(
            Silence(reason=Reason.CONNECT, detail="", timing=Timing(total_s=0.001)),
            None,
            id="nobody was there",
        ),
    ],
)
async def test_a_response_counts_under_the_first_bound_that_it_kept(
    world: World, outcome: Outcome, place: int | None
) -> None:
    """A time-out took its time; a refused connection says nothing of how long answers take."""
    flow = Flow(world, script=lambda _request: outcome)
    merchant = await world.merchant()
    await world.endpoint(merchant)
    await flow.publish(merchant, payment())
    await flow.settled()
    [whole] = await counted(flow, merchant)
    assert [at for at, count in enumerate(whole.responses) if count] == (
        [] if place is None else [place]
    )


async def test_a_lease_that_ran_out_is_a_failed_attempt(clock: ManualClock) -> None:
    """Nobody knows how it ended, and the third in a row ends the delivery."""
    store = Ledger(clock)
    tallier = tallier_over(store, clock)
    for poisoned in (False, True):
        tallier.expired(
            Expired(
                delivery_id=DeliveryId(bytes(16)),
                merchant_id=MINE,
                endpoint_id=SHOP,
                poisoned=poisoned,
            )
        )
    await tallier.hand_over()
    [tallies] = store.given
    assert {(one.attempts, one.attempts_failed, one.failed) for one in tallies} == {(2, 2, 1)}
    assert len(tallies) == 3


async def test_minutes_are_kept_apart_and_hours_put_together(clock: ManualClock) -> None:
    """Two minutes of one hour are two bars of a chart, and one of another."""
    store = Ledger(clock)
    tallier = tallier_over(store, clock)
    clock.advance(timedelta(seconds=-clock.now().timestamp() % HOUR_S))
    for _ in range(2):
        tallier.accepted(MINE)
        clock.advance(timedelta(minutes=1))
    await tallier.hand_over()
    [tallies] = store.given
    assert sorted((one.step_s, one.at.minute, one.accepted) for one in tallies) == [
        (MINUTE_S, 0, 1),
        (MINUTE_S, 1, 1),
        (HOUR_S, 0, 2),
    ]


async def test_a_store_that_is_down_gets_the_counts_later(clock: ManualClock) -> None:
    """An outage of a minute must not leave a hole in the chart."""
    store = Ledger(clock)
    tallier = tallier_over(store, clock)
    tallier.accepted(MINE)
    store.answers = [UnavailableError("down")]
    await tallier.hand_over()
    assert store.given == []
    tallier.accepted(MINE)
    await tallier.hand_over()
    assert store.accepted() == 2


async def test_counts_that_are_perhaps_stored_are_not_given_again(clock: ManualClock) -> None:
    """A chart that shows too little for a moment is better than money that never came."""
    store = Ledger(clock)
    tallier = tallier_over(store, clock)
    tallier.accepted(MINE)
    store.answers = [OutcomeUnknownError("reply lost")]
    await tallier.hand_over()
    await tallier.hand_over()
    assert store.accepted() == 1


async def test_many_rows_go_in_slices_and_a_slice_that_went_stays_gone(clock: ManualClock) -> None:
    """One transaction of a crowd would hold its rows for long."""
    store = Ledger(clock)
    tallier = tallier_over(store, clock)
    merchants = [MerchantId(number.to_bytes(16, "big")) for number in range(600)]
    for merchant_id in merchants:
        tallier.accepted(merchant_id)
    store.answers = [None, UnavailableError("down")]
    await tallier.hand_over()
    await tallier.hand_over()
    assert max(map(len, store.given)) == limits.SLICE_ROWS_MAX
    assert store.accepted() == 600


async def test_what_many_endpoints_have_little_of_waits_its_turn(clock: ManualClock) -> None:
    """A row for each attempt would make the fifty thousandth endpoint dearer than the first."""
    store = Ledger(clock)
    tallier = tallier_over(store, clock)
    endpoints = [EndpointId(number.to_bytes(16, "big")) for number in range(40)]
    for endpoint_id in (*endpoints, endpoints[0]):
        tallier.expired(
            Expired(
                delivery_id=DeliveryId(bytes(16)),
                merchant_id=MINE,
                endpoint_id=endpoint_id,
                poisoned=False,
            )
        )
    await tallier.hand_over(rows_max=12)
    [first] = store.given
    # The merchant's minute and hour, whole; then whoever was first.
    assert [one.attempts for one in first if one.endpoint_id is None] == [41, 41]
    assert [one.endpoint_id for one in first[2:]] == endpoints[:10]
    await tallier.hand_over()
    given = [one.endpoint_id for tallies in store.given for one in tallies if one.endpoint_id]
    assert sorted(given) == endpoints


async def test_a_process_that_stops_leaves_nothing_behind(clock: ManualClock) -> None:
    """Counted while a hand-over was under way, and still not lost."""
    store = Ledger(clock)
    tallier = tallier_over(store, clock)
    tallier.accepted(MINE)
    store.go_on.clear()
    handing_over = asyncio.create_task(tallier.hand_over())
    await store.asked.wait()
    tallier.accepted(MINE)
    store.go_on.set()
    await handing_over
    tallier.start()
    tallier.accepted(MINE)
    await tallier.stop()
    assert store.accepted() == 3


async def test_a_bug_in_handing_over_is_counted_and_ends_nothing(clock: ManualClock) -> None:
    """Statistics must not keep a process from stopping in order."""

    class Broken(Ledger):
        async def add_tallies(self, tallies: Sequence[Tally]) -> None:
            raise ZeroDivisionError

    telemetry = QuietTelemetry()
    tallier = Tallier(store=Broken(clock), clock=clock, telemetry=telemetry)
    tallier.start()
    tallier.accepted(MINE)
    await tallier.stop()
    assert {where for where, _ in telemetry.bugs} == {"tallies"}
