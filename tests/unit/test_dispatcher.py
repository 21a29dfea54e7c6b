"""The dispatcher: whose turn it is, and that nobody takes everything."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from random import Random

import msgspec
import pytest
from tests.support.room import ANSWERS, HANGS, Room

from payhooks import limits
from payhooks.ids import EndpointId, MerchantId
from payhooks.model.attempt import Reason
from payhooks.model.delivery import Trigger
from payhooks.policy.classify import Verdict, VerdictKind
from payhooks.ports.leasing import LaneNews, Leased
from payhooks.ports.transport import UnderWay
from payhooks.testing import ManualClock, QuietTelemetry
from payhooks.worker.dispatcher import Dispatcher, Done
from payhooks.worker.lanes import Held, Lane, judge


@pytest.fixture
async def make_room() -> AsyncIterator[Callable[..., Room]]:
    rooms: list[Room] = []

    def make(*, slots: int = 8) -> Room:
        rooms.append(Room(slots=slots))
        return rooms[-1]

    yield make
    for room in rooms:
        await room.close()


async def test_an_unknown_lane_gets_a_few_slots_and_a_proven_one_more(
    make_room: Callable[..., Room],
) -> None:
    room = make_room(slots=100)
    room.offer(ANSWERS, count=40)
    await room.turn()
    assert len(room.under_way) == limits.IN_FLIGHT_PER_UNPROVEN_LANE
    await room.end()
    assert len(room.under_way) == limits.IN_FLIGHT_PER_LANE


@pytest.mark.parametrize(("dialect", "at_once"), [("standard", 20), ("merchant-console", 20)])
async def test_a_lane_has_as_many_under_way_as_its_dialect_names_and_never_one_more(
    make_room: Callable[..., Room], dialect: str, at_once: int
) -> None:
    """Merchants size their servers by the number that their provider publishes."""
    room = make_room(slots=100)

    def offer(count: int) -> None:
        for _ in range(count):
            leased = msgspec.structs.replace(room.leased(ANSWERS), dialect=dialect)
            room.dispatcher.offer(leased, taken_at_s=room.clock.monotonic_s())

    offer(1)
    await room.turn()
    await room.end()
    offer(70)
    await room.turn()
    assert len(room.under_way) == at_once
    for _ in range(50):
        await room.end(room.under_way[:1].__contains__)
        assert len(room.under_way) == at_once


async def test_a_lane_whose_endpoint_changes_over_has_the_cap_of_its_new_dialect(
    make_room: Callable[..., Room],
) -> None:
    """Nobody restarts a process because a merchant has chosen another format."""
    room = make_room(slots=100)
    caps = []
    for dialect in ("merchant-console", "standard", "installed elsewhere"):
        leased = msgspec.structs.replace(room.leased(ANSWERS), dialect=dialect)
        room.dispatcher.offer(leased, taken_at_s=room.clock.monotonic_s())
        await room.turn()
        await room.end()
        lane = room.dispatcher.lane(EndpointId(ANSWERS))
        assert lane is not None
        caps.append(lane.cap)
        # As if it had been one of somebody's that allows a single request.
        lane.dialect, lane.in_flight_max = "of somebody", 1
    assert caps == [20, 20, 20]


def test_an_unproven_lane_has_no_larger_cap_than_a_proven_one() -> None:
    """A dialect that somebody brings may allow a single request."""
    lane = Lane(EndpointId(ANSWERS), MerchantId(b"m"))
    lane.in_flight_max = 1
    assert lane.cap == 1


@pytest.mark.shows("F56")
async def test_lanes_take_turns(make_room: Callable[..., Room]) -> None:
    """A lane with a backlog does not go before one with a single delivery."""
    room = make_room(slots=8)
    room.offer(b"one", count=5)
    await room.turn()
    assert room.lanes_under_way() == [b"one", b"one"]  # a quarter of the slots: it is unproven
    room.offer(b"two")
    await room.end()
    assert b"two" in room.lanes_under_way()


@pytest.mark.shows("F53")
async def test_lanes_that_hang_leave_half_the_slots_to_those_that_answer(
    make_room: Callable[..., Room],
) -> None:
    """A thousand dead endpoints must not stop one that works."""
    room = make_room(slots=8)
    room.offer(ANSWERS)
    await room.turn()
    await room.end()
    for number in range(10):
        room.offer(b"dead%d" % number, count=4)
    await room.turn()
    assert len(room.under_way) == 4
    room.offer(ANSWERS, count=4)
    await room.turn()
    # All of the other half but the slot that is left to other merchants.
    assert room.lanes_under_way().count(ANSWERS) == 3


@pytest.mark.parametrize("known", ["by this process", "by the store"])
@pytest.mark.shows("F53")
async def test_lanes_known_to_fail_leave_a_new_one_its_first_request(
    make_room: Callable[..., Room], known: str
) -> None:
    """After a restart every endpoint is new here: the dead must not keep the others waiting."""
    room = make_room(slots=8)
    dead = [HANGS + b"%d" % number for number in range(10)]
    if known == "by this process":
        for lane in dead:
            room.offer(lane)
            await room.turn()
            await room.end()
    for lane in dead:
        leased = msgspec.structs.replace(room.leased(lane), lane_failing=known == "by the store")
        room.dispatcher.offer(leased, taken_at_s=room.clock.monotonic_s())
    await room.turn()
    assert len(room.under_way) == 2
    room.offer(ANSWERS, count=20)
    await room.turn()
    assert room.lanes_under_way().count(ANSWERS) == 1
    await room.end(lambda leased: leased.endpoint_id == ANSWERS)
    assert room.lanes_under_way().count(ANSWERS) == 5  # and one is left to other merchants


async def test_a_lane_that_shows_that_it_answers_waits_no_longer_among_the_unproven(
    make_room: Callable[..., Room],
) -> None:
    """Its turn there may be fifteen seconds away."""
    room = make_room(slots=8)
    room.offer(HANGS, count=2)
    await room.turn()
    room.offer(ANSWERS, count=4)
    await room.turn()
    assert room.lanes_under_way() == [HANGS, HANGS, ANSWERS]
    await room.end(lambda leased: leased.endpoint_id == ANSWERS)
    assert room.lanes_under_way().count(ANSWERS) == 3


@pytest.mark.shows("F56")
async def test_a_merchant_that_is_not_alone_gets_half(make_room: Callable[..., Room]) -> None:
    room = make_room(slots=8)
    for merchant, lane in ((b"big", b"a"), (b"big", b"b"), (b"small", b"c")):
        room.offer(lane, merchant=merchant)
    await room.turn()
    await room.end()  # all three lanes are proven now
    room.offer(b"c", merchant=b"small")
    room.offer(b"a", merchant=b"big", count=10)
    room.offer(b"b", merchant=b"big", count=10)
    await room.turn()
    merchants = [leased.merchant_id for leased in room.under_way]
    assert merchants.count(MerchantId(b"big")) == 4
    await room.end(lambda leased: leased.merchant_id == b"big")
    merchants = [leased.merchant_id for leased in room.under_way]
    assert merchants.count(MerchantId(b"big")) == 4  # parked lanes came again


async def test_what_waited_too_long_is_given_back(make_room: Callable[..., Room]) -> None:
    """Its lease was made for so long a wait and not longer."""
    room = make_room(slots=2)
    room.offer(HANGS, count=3)
    await room.turn()
    assert len(room.under_way) == 1
    room.clock.advance(timedelta(seconds=limits.WAIT_IN_MEMORY_S_MAX + 0.1))
    room.dispatcher.give_back_overdue()
    await room.turn()
    assert len(room.given_back) == 2
    assert room.dispatcher.waiting == 0


@pytest.mark.shows("F78")
async def test_a_process_that_overslept_looks_at_the_lease_before_it_sends(
    make_room: Callable[..., Room],
) -> None:
    room = make_room(slots=4)
    room.offer(HANGS, count=2)
    await room.turn()
    room.clock.advance(timedelta(seconds=60))
    await room.end()
    assert len(room.written) == 1
    assert len(room.given_back) == 1
    assert room.under_way == []


@pytest.mark.shows("F50", "F53")
async def test_what_waits_here_of_a_lane_that_begins_to_rest_goes_back(
    make_room: Callable[..., Room],
) -> None:
    """Else a dead endpoint, or one that asked for an hour, would get all of it at once."""
    room = make_room(slots=32)
    room.offer(HANGS, count=10)
    room.offer(ANSWERS, count=1)
    await room.turn()
    sent = list(room.under_way)
    room.rests = True
    await room.end(lambda leased: leased.endpoint_id == HANGS)
    assert len(sent) == 5
    assert room.lanes_under_way() == [ANSWERS]
    assert len(room.given_back) == 6
    assert not {each.id for each in room.given_back} & {each.id for each in sent}
    assert room.dispatcher.waiting == 0


@pytest.mark.shows("F53")
async def test_lanes_that_hang_leave_room_to_lease_what_others_have_in_the_store(
    make_room: Callable[..., Room],
) -> None:
    """Retries and ordered deliveries are leased: without room they would wait for the dead."""
    room = make_room()
    for number in range(20):
        room.offer(HANGS + b"%d" % number)
    await room.turn()
    assert len(room.under_way) == 4
    assert room.dispatcher.room > 0
    assert len(room.dispatcher.full_lanes()) == 20, "of these a look would bring what cannot begin"
    assert not room.dispatcher.has_room(EndpointId(b"stranger"))
    room.offer(HANGS + b"0", count=3)
    assert len(room.given_back) == 2, "one may wait, so that the lane is known to"


async def test_one_event_for_thousands_of_strangers_is_not_taken_whole(
    make_room: Callable[..., Room],
) -> None:
    """It is planned before anything is begun; taken whole, it would fill the process."""
    room = make_room(slots=8)
    strangers = [EndpointId(b"%d" % number) for number in range(100)]
    assert sum(room.dispatcher.has_room(each) for each in strangers) == 4
    room.offer(ANSWERS)
    await room.turn()
    await room.end()
    assert sum(room.dispatcher.has_room(each) for each in strangers) == 4
    assert room.dispatcher.has_room(EndpointId(ANSWERS))


async def test_a_full_lane_is_not_worth_leasing_more_of(make_room: Callable[..., Room]) -> None:
    room = make_room(slots=100)
    room.offer(HANGS, count=limits.IN_FLIGHT_PER_LANE)
    await room.turn()
    assert room.dispatcher.full_lanes() == [HANGS]
    assert room.dispatcher.has_room(EndpointId(ANSWERS))


async def test_a_bug_in_one_attempt_frees_its_slot(make_room: Callable[..., Room]) -> None:
    """One poisoned delivery must not eat a slot for ever."""
    telemetry = QuietTelemetry()

    def attempt(_held: Held, _done: Done) -> UnderWay:
        raise ZeroDivisionError

    def give_back(_leased: Leased, _left_s: float = 0.0) -> None:
        raise AssertionError

    room = make_room()
    dispatcher = Dispatcher(
        attempt=attempt,
        give_back=give_back,
        interrupt=give_back,
        unsettled=lambda: 0,
        clock=room.clock,
        telemetry=telemetry,
        slots=2,
    )
    dispatcher.offer(room.leased(HANGS), taken_at_s=0.0)
    await dispatcher.settled()
    assert [type(error) for _, error in telemetry.bugs] == [ZeroDivisionError]
    assert dispatcher.in_flight == 0


def failure() -> Verdict:
    return Verdict(
        kind=VerdictKind.RETRY, reason=Reason.TIMEOUT, counts_for_breaker=True, detail="x"
    )


def news_of(lane: Lane, leased: Leased, verdict: Verdict, clock: ManualClock) -> list[LaneNews]:
    trigger = Trigger.SUCCEED if verdict.kind is VerdictKind.DELIVERED else Trigger.RETRY
    reports = judge(lane, leased, verdict, trigger, clock=clock, random=Random(1))
    return [report.news for report in reports]


async def test_a_lane_reports_only_what_is_new(make_room: Callable[..., Room]) -> None:
    """News are writes; a thousand failures of a dead endpoint are a handful of them."""
    room = make_room()
    lane, leased = Lane(EndpointId(HANGS), MerchantId(b"m")), room.leased(HANGS)
    told = [news_of(lane, leased, failure(), room.clock) for _ in range(5)]
    assert told == [[LaneNews.FAILING], [], [], [], [LaneNews.TRIPPED]]
    assert news_of(lane, leased, failure(), room.clock) == []  # it had left before
    delivered = Verdict(kind=VerdictKind.DELIVERED)
    assert news_of(lane, leased, delivered, room.clock) == [LaneNews.RECOVERED]
    assert news_of(lane, leased, delivered, room.clock) == []


@pytest.mark.parametrize("flag", ["lane_failing", "lane_probe"])
async def test_a_success_is_told_where_the_store_knows_of_failures(
    make_room: Callable[..., Room], flag: str
) -> None:
    """Another process may have seen them, and died."""
    room = make_room()
    lane = Lane(EndpointId(ANSWERS), MerchantId(b"m"))
    lane.proven = True

    leased = msgspec.structs.replace(room.leased(ANSWERS), **{flag: True})
    delivered = Verdict(kind=VerdictKind.DELIVERED)
    assert news_of(lane, leased, delivered, room.clock) == [LaneNews.RECOVERED]


async def test_a_lane_that_was_full_asks_for_more_before_it_is_empty(
    make_room: Callable[..., Room],
) -> None:
    """Its backlog is in the store, and was skipped there; else it would wait for the next poll."""
    room = make_room()
    room.offer(ANSWERS, count=limits.IN_FLIGHT_PER_UNPROVEN_LANE)
    await room.turn()
    await room.end()
    count = limits.WAITING_PER_LANE_MAX // 2 + 8
    room.offer(ANSWERS, count=count)
    assert room.dispatcher.full_lanes()
    room.dispatcher.hinted.clear()
    while len(room.under_way) + room.dispatcher.waiting > limits.WAITING_PER_LANE_MAX // 4 + 8:
        assert not room.dispatcher.hinted.is_set()
        await room.end()
    assert room.dispatcher.hinted.is_set()
    assert room.dispatcher.waiting > 0
