"""What every store must do with a conclusion that was drawn from less than was heard."""

import asyncio

import msgspec
import pytest
from tests.support.inbound import PAYMENT, Inbound
from tests.support.world import OWNER, World

from payhooks.flow.conclude import unless_heard
from payhooks.ids import ReceiptId
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.accepting import Accepted, StaleHistory
from payhooks.ports.receiving import Conclusion, Link, Seen

pytestmark = pytest.mark.shows("N12")

LINK = Link(object_type=PAYMENT, object_id="t-1")


@pytest.fixture
def inbound(world: World) -> Inbound:
    """Return the inbound half of each world."""
    return Inbound(world)


def _drawn(
    inbound: Inbound, receipt: Receipt, *, seen: int, since: ReceiptId | None = None
) -> Conclusion:
    """Return the end of a receipt about t-1 that was drawn from so many others."""
    look = Seen(object_type=PAYMENT, object_id="t-1", count=seen, since=since)
    return inbound.conclusion(receipt, links=(LINK,), seen=(look,))


async def test_an_event_of_half_a_history_is_not_stored(inbound: Inbound) -> None:
    """Two processes read two messages at once: together they may mean what neither does alone."""
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    await inbound.heard(connector, "t-1")
    receipt = await inbound.received(connector)
    event = inbound.world.event(merchant)

    assert await inbound.tell(event, _drawn(inbound, receipt, seen=0)) == StaleHistory()
    assert not await inbound.is_told(merchant, event.id)
    assert await inbound.stored(receipt) == receipt

    assert isinstance(await inbound.tell(event, _drawn(inbound, receipt, seen=1)), Accepted)
    assert await inbound.is_told(merchant, event.id)
    assert len(await inbound.history(connector, "t-1")) == 2


async def test_what_no_message_tells_is_not_stored_where_more_was_heard(inbound: Inbound) -> None:
    """That an object waits still must not be told after what came of it."""
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    await inbound.heard(connector, "t-1")
    looks = [
        Seen(object_type=PAYMENT, object_id=object_id, count=count)
        for object_id, count in (("t-1", 1), ("t-2", 0))
    ]
    late, later = [unless_heard(inbound.expectation(connector), looks) for _ in range(2)]
    events = [inbound.world.event(merchant) for _ in range(2)]
    assert isinstance(await inbound.tell(events[0], late), Accepted)
    assert len(await inbound.history(connector, "t-1")) == 1
    await inbound.heard(connector, "t-2")
    assert await inbound.tell(events[1], later) == StaleHistory()
    assert not await inbound.is_told(merchant, events[1].id)


async def test_what_stands_beside_half_a_history_is_stored(inbound: Inbound) -> None:
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    await inbound.heard(connector, "t-1")
    conclusions = [
        _drawn(inbound, await inbound.received(connector), seen=0),
        inbound.conclusion(await inbound.received(connector)),
        _drawn(inbound, await inbound.received(connector), seen=1),
        None,
    ]
    arrivals = [
        msgspec.structs.replace(
            await inbound.world.arrival(inbound.world.event(merchant)), conclusion=conclusion
        )
        for conclusion in conclusions
    ]
    answers = await inbound.store.accept(arrivals, owner=OWNER)
    assert [type(answer) for answer in answers] == [StaleHistory, Accepted, Accepted, Accepted]


async def test_a_receipt_that_tells_nothing_ends_with_all_of_it_too(inbound: Inbound) -> None:
    """Two messages that mean nothing alone may mean something together."""
    connector = await inbound.connector(await inbound.world.merchant())
    await inbound.heard(connector, "t-1")
    stale, other = await inbound.received(connector), await inbound.received(connector)
    conclusions = [_drawn(inbound, stale, seen=0), inbound.conclusion(other)]

    assert await inbound.store.conclude(conclusions) == {stale.id}
    assert await inbound.stored(stale) == stale
    assert (await inbound.stored(other) or other).state is ReceiptState.PROCESSED

    assert await inbound.store.conclude([_drawn(inbound, stale, seen=1)]) == frozenset()
    assert len(await inbound.history(connector, "t-1")) == 2


async def test_of_two_about_an_object_in_one_batch_the_second_has_not_seen_the_first(
    inbound: Inbound,
) -> None:
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    receipts = [await inbound.received(connector) for _ in range(3)]
    drawn = [_drawn(inbound, receipt, seen=0) for receipt in receipts]
    assert len(await inbound.store.conclude(drawn[:2])) == 1
    [first] = await inbound.history(connector, "t-1")

    events = [inbound.world.event(merchant) for _ in range(2)]
    arrivals = [
        msgspec.structs.replace(
            await inbound.world.arrival(event), conclusion=_drawn(inbound, receipt, seen=1)
        )
        for event, receipt in zip(
            events, [each for each in receipts if each.id != first.receipt.id], strict=True
        )
    ]
    answers = await inbound.store.accept(arrivals, owner=OWNER)
    assert {type(answer) for answer in answers} == {Accepted, StaleHistory}
    assert len(await inbound.history(connector, "t-1")) == 2


async def test_of_many_at_once_one_ends(inbound: Inbound) -> None:
    connector = await inbound.connector(await inbound.world.merchant())
    receipts = [await inbound.received(connector) for _ in range(6)]
    stale = await asyncio.gather(
        *(inbound.store.conclude([_drawn(inbound, receipt, seen=0)]) for receipt in receipts)
    )
    assert sum(map(len, stale)) == len(receipts) - 1
    assert len(await inbound.history(connector, "t-1")) == 1


async def test_only_the_newest_of_a_long_history_count(inbound: Inbound) -> None:
    """As many as are read: what is older changes nothing, and what is newer does."""
    connector = await inbound.connector(await inbound.world.merchant())
    heard = [await inbound.heard(connector, "t-1") for _ in range(4)]
    receipt = await inbound.received(connector)
    since = heard[2].id
    assert await inbound.store.conclude([_drawn(inbound, receipt, seen=1, since=since)])
    assert await inbound.store.conclude([_drawn(inbound, receipt, seen=3, since=since)])
    assert not await inbound.store.conclude([_drawn(inbound, receipt, seen=2, since=since)])


async def test_others_and_what_only_repeats_do_not_count(inbound: Inbound) -> None:
    """What is not read with an object's history cannot have been missed."""
    merchant = await inbound.world.merchant()
    connector, other = [await inbound.connector(merchant, name=name) for name in ("a", "b")]
    await inbound.heard(connector, "t-2")
    await inbound.heard(other, "t-1")
    await inbound.heard(connector, "t-1", state=ReceiptState.DUPLICATE)
    receipt = await inbound.received(connector)
    assert not await inbound.store.conclude([_drawn(inbound, receipt, seen=0)])
    assert len(await inbound.history(connector, "t-1")) == 1
