"""What every store must do with expectations: one an object, judged by one, shown when overdue."""

import msgspec
import pytest
from tests.support.inbound import PAYMENT, Inbound
from tests.support.world import World

from payhooks.model.connector import Connector, ConnectorStatus
from payhooks.model.expectation import Expectation
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import Moved, Seen, Wait

pytestmark = pytest.mark.shows("N11")

ALL = Window(limit=100)
HOUR_S = 3_600.0
FOR_S = 60.0


@pytest.fixture
def inbound(world: World) -> Inbound:
    """Return the inbound half of each world."""
    return Inbound(world)


async def _claim(inbound: Inbound, *, limit: int = 10) -> list[bytes]:
    """Return the ids of what is due, claimed."""
    claimed = await inbound.store.claim_expectations(limit=limit, for_s=FOR_S)
    return [one.id for one in claimed]


async def _overdue(
    inbound: Inbound, connector: Connector, object_id: str, *, due_in_s: float = HOUR_S
) -> Expectation:
    """Return an expectation that was found overdue."""
    waiting = await inbound.expects(inbound.expectation(connector, object_id), due_in_s=HOUR_S)
    overdue = msgspec.structs.replace(waiting, overdue=True)
    await inbound.store.write_expectation(overdue, due_in_s=due_in_s)
    return overdue


def _same(found: list[Expectation], expected: list[Expectation]) -> bool:
    """Return whether they are equal but for the time, which is the store's."""
    return [msgspec.structs.replace(one, due_at=one.since) for one in found] == [
        msgspec.structs.replace(one, due_at=one.since) for one in expected
    ]


async def test_an_expectation_is_due_when_its_time_has_passed(inbound: Inbound) -> None:
    """Before, the provider takes its usual time, and nobody need look."""
    connector = await inbound.connector(await inbound.world.merchant())
    waiting = await inbound.expects(inbound.expectation(connector), due_in_s=HOUR_S)
    assert await _claim(inbound) == []
    await inbound.world.advance(HOUR_S + 1)
    claimed = await inbound.store.claim_expectations(limit=10, for_s=FOR_S)
    assert _same(claimed, [waiting])


async def test_an_expectation_is_judged_by_one_and_by_others_when_that_died(
    inbound: Inbound,
) -> None:
    connector = await inbound.connector(await inbound.world.merchant())
    first = await inbound.expects(inbound.expectation(connector, "pay_1"))
    await inbound.world.advance(1)
    second = await inbound.expects(inbound.expectation(connector, "pay_2"))
    await inbound.world.advance(1)

    assert await _claim(inbound, limit=1) == [first.id]
    assert await _claim(inbound) == [second.id]
    assert await _claim(inbound) == []
    await inbound.world.advance(FOR_S + 1)
    assert set(await _claim(inbound)) == {first.id, second.id}


async def test_whose_turn_it_is_not_is_left_for_later(inbound: Inbound) -> None:
    """Of a merchant whose provider is silent as much is under way as may be: others come next."""
    connector = await inbound.connector(await inbound.world.merchant())
    other = await inbound.connector(await inbound.world.merchant())
    third = await inbound.connector(await inbound.world.merchant())
    mine = [await inbound.expects(inbound.expectation(connector, f"p{n}")) for n in range(3)]
    await inbound.world.advance(1)
    theirs = await inbound.expects(inbound.expectation(other))
    await inbound.expects(inbound.expectation(third))
    await inbound.world.advance(1)

    claim = inbound.store.claim_expectations
    skipped = [connector.merchant_id, third.merchant_id]
    claimed = await claim(limit=2, for_s=FOR_S, skip=skipped)
    assert [one.id for one in claimed] == [theirs.id]
    assert await claim(limit=2, for_s=FOR_S, skip=skipped) == []
    left = await claim(limit=3, for_s=FOR_S)
    assert {one.id for one in left} == {one.id for one in mine}


async def test_an_object_has_one_expectation_the_first(inbound: Inbound) -> None:
    """It waits since then; a later message that finds it waiting must not begin anew."""
    merchant, other = await inbound.world.merchant(), await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    first = await inbound.expects(inbound.expectation(connector, "pay_1"))
    await inbound.expects(inbound.expectation(connector, "pay_1"), due_in_s=HOUR_S)
    theirs = await inbound.expects(inbound.expectation(await inbound.connector(other), "pay_1"))
    refund = inbound.expectation(connector, "pay_1", object_type="refund")
    refund = await inbound.expects(refund)
    await inbound.world.advance(1)
    assert set(await _claim(inbound)) == {first.id, theirs.id, refund.id}


async def test_a_written_expectation_is_due_when_that_says(inbound: Inbound) -> None:
    connector = await inbound.connector(await inbound.world.merchant())
    overdue = await _overdue(inbound, connector, "pay_1", due_in_s=2 * HOUR_S)
    await inbound.world.advance(HOUR_S + 1)
    assert await _claim(inbound) == []
    await inbound.world.advance(HOUR_S + 1)
    [claimed] = await inbound.store.claim_expectations(limit=10, for_s=FOR_S)
    assert claimed.overdue
    assert claimed.id == overdue.id


async def test_what_waits_no_more_is_forgotten_and_not_written_again(inbound: Inbound) -> None:
    """Who judged it meanwhile must not bring it back."""
    connector = await inbound.connector(await inbound.world.merchant())
    overdue = await _overdue(inbound, connector, "pay_1")
    await inbound.store.forget_expectation(overdue)
    await inbound.store.forget_expectation(overdue)
    await inbound.store.write_expectation(overdue, due_in_s=0.0)
    await inbound.world.advance(HOUR_S + 1)
    assert await inbound.store.overdue(connector.merchant_id, None, ALL) == []
    assert await _claim(inbound) == []


async def test_who_judges_an_old_expectation_leaves_the_new_one_of_its_object(
    inbound: Inbound,
) -> None:
    """The object went on and waits again: the old one's time says nothing of that."""
    connector = await inbound.connector(await inbound.world.merchant())
    old = await _overdue(inbound, connector, "pay_1")
    await inbound.store.forget_expectation(old)
    new = await inbound.expects(inbound.expectation(connector, "pay_1"), due_in_s=HOUR_S)

    await inbound.store.write_expectation(old, due_in_s=0.0)
    await inbound.store.forget_expectation(old)

    assert await _claim(inbound) == []
    await inbound.world.advance(HOUR_S + 1)
    assert await _claim(inbound) == [new.id]


async def test_what_is_heard_again_while_it_is_judged_stays_as_it_is(inbound: Inbound) -> None:
    """The object went on, and waits anew: what was known when it was claimed says nothing of that.

    Two in one batch are as good as one.
    """
    connector = await inbound.connector(await inbound.world.merchant())
    await inbound.expects(inbound.expectation(connector, "pay_1"))
    await inbound.world.advance(1)
    [judged] = await inbound.store.claim_expectations(limit=1, for_s=FOR_S)
    wait = Wait(expectation=inbound.expectation(connector, "pay_1"), due_in_s=HOUR_S)
    receipts = [await inbound.received(connector) for _ in range(2)]
    await inbound.store.conclude([inbound.conclusion(one, waits=(wait,)) for one in receipts])

    await inbound.store.forget_expectation(judged)
    late = msgspec.structs.replace(judged, overdue=True)
    await inbound.store.write_expectation(late, due_in_s=HOUR_S)

    assert await inbound.store.overdue(connector.merchant_id, None, ALL) == []
    await inbound.world.advance(FOR_S + 1)
    [again] = await inbound.store.claim_expectations(limit=1, for_s=FOR_S)
    assert again.id == judged.id
    overdue = msgspec.structs.replace(again, overdue=True)
    await inbound.store.write_expectation(overdue, due_in_s=HOUR_S)
    [shown] = await inbound.store.overdue(connector.merchant_id, None, ALL)
    await inbound.store.forget_expectation(shown)
    assert await inbound.store.overdue(connector.merchant_id, None, ALL) == []


async def test_what_is_overdue_is_due_at_once_when_its_object_moves(inbound: Inbound) -> None:
    """It would be listed for an hour more. Of others nothing was told; most wait as is usual."""
    merchant, stranger = await inbound.world.merchant(), await inbound.world.merchant()
    connector, theirs = await inbound.connector(merchant), await inbound.connector(stranger)
    usual = inbound.expectation(connector, "pay_2")
    for one in (usual, inbound.expectation(connector, "pay_1", object_type="refund")):
        await inbound.expects(one, due_in_s=HOUR_S)
    moved = await _overdue(inbound, connector, "pay_1")
    for whose, object_id in ((connector, "pay_3"), (theirs, "pay_1")):
        await _overdue(inbound, whose, object_id)

    await inbound.moves(usual, moved, inbound.expectation(connector, "unknown"), moved)

    assert await _claim(inbound) == [moved.id]
    assert await inbound.store.reread_expectation(usual) is not None
    await inbound.store.forget_expectation(usual)
    assert await inbound.store.reread_expectation(usual) is None


async def test_what_moved_is_taken_before_all_else_whosever_turn_it_is(inbound: Inbound) -> None:
    """Thousands may be due for longer, whose provider is silent: it would stand behind them."""
    connector = await inbound.connector(await inbound.world.merchant())
    waiting = [await inbound.expects(inbound.expectation(connector, f"p{n}")) for n in range(2)]
    moved = [await _overdue(inbound, connector, f"pay_{n}") for n in range(3)]
    await inbound.world.advance(1)
    assert await inbound.store.claim_moved(limit=10, for_s=FOR_S) == []

    await inbound.moves(*moved)

    claimed = await inbound.store.claim_expectations(limit=1, for_s=FOR_S)
    for limit in (1, 10, 10):
        claimed += await inbound.store.claim_moved(limit=limit, for_s=FOR_S)
    assert sorted(one.id for one in claimed) == [one.id for one in moved]
    assert {one.heard_again for one in claimed} == {1}
    # Who took it died: then it is due like any other.
    await inbound.world.advance(FOR_S + 1)
    assert await inbound.store.claim_moved(limit=10, for_s=FOR_S) == []
    assert set(await _claim(inbound)) == {one.id for one in (*waiting, *moved)}


async def test_what_moved_and_is_still_listed_is_looked_at_now(inbound: Inbound) -> None:
    """That it is due before all else is no time that anybody could read."""
    connector = await inbound.connector(await inbound.world.merchant())
    await inbound.moves(await _overdue(inbound, connector, "pay_1"))
    [overdue] = await inbound.store.overdue(connector.merchant_id, None, ALL)
    assert abs((overdue.due_at - inbound.world.now()).total_seconds()) < FOR_S


async def test_news_that_is_told_with_its_event_makes_the_object_due_or_nothing_does(
    inbound: Inbound,
) -> None:
    """One transaction: whoever judges it then reads the event."""
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    overdue = await _overdue(inbound, connector, "pay_1")
    receipt = await inbound.received(connector)
    moved = (Moved(object_type=overdue.object_type, object_id=overdue.object_id),)
    seen = (Seen(object_type=PAYMENT, object_id="t-1", count=1),)
    stale = inbound.conclusion(receipt, moved=moved, seen=seen)

    await inbound.tell(inbound.world.event(merchant), stale)
    assert await _claim(inbound) == []
    conclusion = inbound.conclusion(receipt, moved=moved)
    await inbound.tell(inbound.world.event(merchant), conclusion)
    assert await _claim(inbound) == [overdue.id]
    await inbound.tell(inbound.world.event(merchant), conclusion)
    assert await _claim(inbound) == []


@pytest.mark.parametrize("overdue", [False, True], ids=["for the first time", "once more"])
async def test_who_judges_an_object_without_its_news_does_not_write_over_that(
    inbound: Inbound, *, overdue: bool
) -> None:
    """He would list it for an hour, as what it is no more. His claim may be over: he is slow."""
    connector = await inbound.connector(await inbound.world.merchant())
    waiting = await inbound.expects(inbound.expectation(connector, "pay_1"))
    if overdue:
        late = msgspec.structs.replace(waiting, overdue=True)
        await inbound.store.write_expectation(late, due_in_s=0.0)
    await inbound.world.advance(1)
    for slow_s in (1, FOR_S + 1):
        [judged] = await inbound.store.claim_expectations(limit=1, for_s=FOR_S)
        await inbound.world.advance(slow_s)

        await inbound.moves(judged)
        late = msgspec.structs.replace(judged, overdue=True)
        await inbound.store.write_expectation(late, due_in_s=HOUR_S)
        await inbound.store.forget_expectation(judged)

        shown = await inbound.store.overdue(connector.merchant_id, None, ALL)
        assert len(shown) == overdue
    [again] = await inbound.store.claim_expectations(limit=1, for_s=FOR_S)
    assert again.heard_again == 2
    await inbound.store.forget_expectation(again)
    assert await inbound.store.overdue(connector.merchant_id, None, ALL) == []


async def test_what_moves_and_waits_for_something_else_is_judged_anew(inbound: Inbound) -> None:
    """It was overdue in processing; authorised it has another time. What is new has its own."""
    connector = await inbound.connector(await inbound.world.merchant())
    old = await _overdue(inbound, connector, "pay_2")
    expected = [inbound.expectation(connector, f"pay_{number}") for number in (1, 2, 3)]
    objects = [Moved(object_type=one.object_type, object_id=one.object_id) for one in expected]
    waits = tuple(Wait(expectation=one, due_in_s=FOR_S / 2) for one in expected)

    await inbound.concluded(await inbound.received(connector), moved=tuple(objects), waits=waits)

    assert await _claim(inbound) == [old.id]
    await inbound.world.advance(FOR_S / 2 + 1)
    assert set(await _claim(inbound)) == {expected[0].id, expected[2].id}


async def test_who_reads_it_anew_has_seen_what_was_heard_before_and_no_more(
    inbound: Inbound,
) -> None:
    """Who judges asks the provider, whose answer is heard: it must not keep him from judging."""
    connector = await inbound.connector(await inbound.world.merchant())
    await inbound.expects(inbound.expectation(connector, "pay_1"))
    await inbound.expects(inbound.expectation(connector, "pay_2"))
    await inbound.world.advance(1)
    [claimed, _] = await inbound.store.claim_expectations(limit=2, for_s=FOR_S)
    again = inbound.expectation(connector, claimed.object_id)
    await inbound.expects(again)

    reread = await inbound.store.reread_expectation(claimed)
    assert reread is not None
    assert _same([reread], [msgspec.structs.replace(claimed, heard_again=1)])
    await inbound.expects(again)
    overdue = msgspec.structs.replace(reread, overdue=True)
    await inbound.store.write_expectation(overdue, due_in_s=HOUR_S)
    assert await inbound.store.overdue(connector.merchant_id, None, ALL) == []
    reread = await inbound.store.reread_expectation(reread)
    assert reread is not None
    overdue = msgspec.structs.replace(reread, overdue=True)
    await inbound.store.write_expectation(overdue, due_in_s=HOUR_S)
    assert _same(await inbound.store.overdue(connector.merchant_id, None, ALL), [overdue])


async def test_what_is_gone_is_not_read_anew_nor_another_in_its_place(inbound: Inbound) -> None:
    """Another judged it; what stands there now has a time of its own."""
    connector = await inbound.connector(await inbound.world.merchant())
    old = await _overdue(inbound, connector, "pay_1")
    await inbound.store.forget_expectation(old)
    assert await inbound.store.reread_expectation(old) is None
    new = await inbound.expects(inbound.expectation(connector, "pay_1"))
    assert await inbound.store.reread_expectation(old) is None
    reread = await inbound.store.reread_expectation(new)
    assert reread is not None
    assert _same([reread], [new])


async def test_what_a_deleted_connector_waited_for_makes_room_for_anothers(
    inbound: Inbound,
) -> None:
    """It was made again, and hears of the payment: else nobody would be asked for it any more."""
    merchant = await inbound.world.merchant()
    gone = await inbound.connector(merchant)
    old = [await _overdue(inbound, gone, name) for name in ("pay_1", "pay_2")]
    await inbound.edit(gone, status=ConnectorStatus.DELETED)
    made = await inbound.connector(merchant)
    new = await inbound.expects(inbound.expectation(made, "pay_1"), due_in_s=HOUR_S / 2)

    assert [await inbound.store.reread_expectation(one) is None for one in old] == [True, False]
    await inbound.store.forget_expectation(old[0])
    await inbound.world.advance(HOUR_S / 2 + 1)
    assert _same(await inbound.store.claim_expectations(limit=10, for_s=FOR_S), [new])


async def test_what_is_overdue_is_listed_newest_first(inbound: Inbound) -> None:
    merchant, stranger = await inbound.world.merchant(), await inbound.world.merchant()
    till = await inbound.connector(merchant, name="till")
    shop = await inbound.connector(merchant, name="shop")
    first = await _overdue(inbound, till, "pay_1")
    second = await _overdue(inbound, shop, "pay_2")
    third = await _overdue(inbound, till, "pay_3")
    await inbound.expects(inbound.expectation(till, "pay_4"), due_in_s=HOUR_S)

    overdue = inbound.store.overdue
    assert _same(await overdue(merchant.id, None, ALL), [third, second, first])
    assert _same(await overdue(merchant.id, till.id, ALL), [third, first])
    assert _same(await overdue(merchant.id, None, Window(limit=1, after=third.id)), [second])
    assert await overdue(stranger.id, None, ALL) == []
    assert await overdue(stranger.id, till.id, ALL) == []


async def test_what_a_deleted_connector_waited_for_is_not_listed(inbound: Inbound) -> None:
    """It is there until it is judged, an hour later at most; nobody can do anything about it."""
    merchant = await inbound.world.merchant()
    gone = await inbound.connector(merchant, name="gone")
    kept = await inbound.connector(merchant, name="kept")
    first = await _overdue(inbound, kept, "pay_1")
    await _overdue(inbound, gone, "pay_2")
    third = await _overdue(inbound, kept, "pay_3")
    await _overdue(inbound, gone, "pay_4")
    await inbound.edit(gone, status=ConnectorStatus.DELETED)

    overdue = inbound.store.overdue
    assert _same(await overdue(merchant.id, None, ALL), [third, first])
    assert _same(await overdue(merchant.id, None, Window(limit=1)), [third])
    assert _same(await overdue(merchant.id, None, Window(limit=1, after=third.id)), [first])
    assert await overdue(merchant.id, gone.id, ALL) == []


async def test_an_overdue_one_says_when_it_is_looked_at_next(inbound: Inbound) -> None:
    """Of the store's time, by which it will be claimed."""
    connector = await inbound.connector(await inbound.world.merchant())
    await _overdue(inbound, connector, "pay_1", due_in_s=HOUR_S)
    [overdue] = await inbound.store.overdue(connector.merchant_id, None, ALL)
    assert abs((overdue.due_at - inbound.world.now()).total_seconds() - HOUR_S) < FOR_S


async def test_overdue_ones_are_counted_by_the_dialect_of_their_connector(
    inbound: Inbound,
) -> None:
    """For an alarm, which is about a provider; nothing is late of a connector that is deleted."""
    merchant = await inbound.world.merchant()
    one = await inbound.connector(merchant, name="one", dialect="treezor")
    two = await inbound.connector(await inbound.world.merchant(), dialect="treezor")
    other = await inbound.connector(merchant, name="other", dialect="stripe")
    assert await inbound.store.overdue_counts() == []
    for number, connector in enumerate((one, two, other)):
        await _overdue(inbound, connector, f"pay_{number}")
    await inbound.expects(inbound.expectation(one, "pay_4"))
    await inbound.edit(two, status=ConnectorStatus.DELETED)
    assert sorted(await inbound.store.overdue_counts()) == [("stripe", 1), ("treezor", 1)]
