"""What every store must do when a receipt is concluded: once, whole, with the event it tells."""

import asyncio

import msgspec
import pytest
from tests.support.inbound import FOR_S, PAYMENT, Inbound, after
from tests.support.world import OWNER, World

from payhooks.model.connector import Connector
from payhooks.model.receipt import REPROCESSABLE, Receipt, ReceiptState, Verdict
from payhooks.ports.accepting import Accepted, Repeated, StaleRouting
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import Conclusion, Link, Reference, Wait

pytestmark = pytest.mark.shows("N11")

ALL = Window(limit=100)
KEY = b"k" * 16
CAPTURED = "payment_captured 1.10 EUR"
ORDER = Reference(reference="order-7", object_type="payment", object_id="pay_1")


@pytest.fixture
def inbound(world: World) -> Inbound:
    """Return the inbound half of each world."""
    return Inbound(world)


def _whole(inbound: Inbound, connector: Connector, receipt: Receipt) -> Conclusion:
    """Return a conclusion with all that one can bring."""
    return inbound.conclusion(
        receipt,
        detail="Told.",
        links=(
            Link(object_type=PAYMENT, object_id="t-1", said=(CAPTURED,)),
            Link(object_type="payment", object_id="pay_1"),
        ),
        references=(ORDER,),
        waits=(Wait(expectation=inbound.expectation(connector), due_in_s=0.0),),
    )


async def _is_whole(inbound: Inbound, connector: Connector, expected: Receipt) -> bool:
    """Return whether all of ``_whole`` was written; half of it must not be."""
    merchant_id, store = connector.merchant_id, inbound.store
    heard = await inbound.history(connector, "t-1")
    written = [
        await inbound.stored(expected) == expected,
        [(one.receipt, one.said) for one in heard] == [(expected, (CAPTURED,))],
        await store.receipts_about(merchant_id, "payment", "pay_1", ALL) == [expected],
        await store.objects_called(merchant_id, ORDER.reference, limit=10) == [ORDER],
        len(await store.claim_expectations(limit=10, for_s=0.0)) == 1,
    ]
    assert len(set(written)) == 1, written
    return written[0]


async def test_an_event_and_the_conclusion_of_its_receipt_are_written_together(
    inbound: Inbound,
) -> None:
    """Else a crash between them tells the event twice, or never."""
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    receipt = await inbound.received(connector)
    conclusion = _whole(inbound, connector, receipt)
    event = inbound.world.event(merchant)

    assert isinstance(await inbound.tell(event, conclusion, key=KEY), Accepted)

    assert await inbound.is_told(merchant, event.id)
    assert await _is_whole(inbound, connector, after(receipt, conclusion))
    await inbound.world.advance(FOR_S + 1)
    assert await inbound.store.claim_receipts(owner=OWNER, limit=10, for_s=FOR_S) == []


@pytest.mark.parametrize("key", [KEY, None], ids=["with a key", "without a key"])
async def test_a_told_batch_that_is_sent_again_says_and_writes_the_same(
    inbound: Inbound, key: bytes | None
) -> None:
    """Its reply was lost: it cannot know whether it was written."""
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    receipt = await inbound.received(connector)
    conclusion = _whole(inbound, connector, receipt)
    event = inbound.world.event(merchant)

    for _ in range(2):
        assert isinstance(await inbound.tell(event, conclusion, key=key), Accepted)
        assert await _is_whole(inbound, connector, after(receipt, conclusion))


async def test_an_event_that_is_there_concludes_a_receipt_that_is_not(inbound: Inbound) -> None:
    """Where a store could write the event alone and then be asked again."""
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    receipt = await inbound.received(connector)
    conclusion = _whole(inbound, connector, receipt)
    event = inbound.world.event(merchant)
    await inbound.world.accept(await inbound.world.arrival(event, key=KEY))

    assert isinstance(await inbound.tell(event, conclusion, key=KEY), Accepted)
    assert await _is_whole(inbound, connector, after(receipt, conclusion))


async def test_a_repeated_key_concludes_nothing(inbound: Inbound) -> None:
    """Who finds the word said by another message must read the history again first."""
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    receipt = await inbound.received(connector)
    said = inbound.world.event(merchant)
    await inbound.world.accept(await inbound.world.arrival(said, key=KEY))

    event = inbound.world.event(merchant)
    answer = await inbound.tell(event, _whole(inbound, connector, receipt), key=KEY)

    assert isinstance(answer, Repeated)
    assert not await _is_whole(inbound, connector, after(receipt, inbound.conclusion(receipt)))
    assert await inbound.stored(receipt) == receipt


async def test_a_stale_routing_concludes_nothing(inbound: Inbound) -> None:
    """It is planned again and comes back; the receipt must still be there to be concluded."""
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    receipt = await inbound.received(connector)
    conclusion = _whole(inbound, connector, receipt)
    event = inbound.world.event(merchant)
    arrival = await inbound.world.arrival(event, key=KEY)
    stale = msgspec.structs.replace(
        arrival, conclusion=conclusion, routing_version=arrival.routing_version - 1
    )

    assert await inbound.world.accept(stale) == [StaleRouting()]
    assert await inbound.stored(receipt) == receipt
    assert not await _is_whole(inbound, connector, after(receipt, conclusion))
    assert isinstance(await inbound.tell(event, conclusion, key=KEY), Accepted)
    assert await _is_whole(inbound, connector, after(receipt, conclusion))


async def test_each_of_a_batch_is_concluded_for_itself(inbound: Inbound) -> None:
    """New ones, repeated ones and plain publishing stand side by side."""
    merchant, world = await inbound.world.merchant(), inbound.world
    connector = await inbound.connector(merchant)
    receipts = [await inbound.received(connector) for _ in range(3)]
    await world.accept(await world.arrival(world.event(merchant), key=KEY))
    conclusions = [inbound.conclusion(receipt) for receipt in receipts]
    keys = [b"a" * 16, KEY, None]
    told = [
        msgspec.structs.replace(
            await world.arrival(world.event(merchant), key=key), conclusion=conclusion
        )
        for conclusion, key in zip(conclusions, keys, strict=True)
    ]
    plain = await world.arrival(world.event(merchant))

    answers = await world.accept(plain, *told)

    assert [type(one) for one in answers] == [Accepted, Accepted, Repeated, Accepted]
    assert await inbound.stored(receipts[0]) == after(receipts[0], conclusions[0])
    assert await inbound.stored(receipts[1]) == receipts[1]
    assert await inbound.stored(receipts[2]) == after(receipts[2], conclusions[2])


async def test_the_first_conclusion_of_a_receipt_holds(inbound: Inbound) -> None:
    """A process that slept tells its event, if it may; the receipt is over."""
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    receipt = await inbound.received(connector)
    first = await inbound.concluded(receipt, state=ReceiptState.DUPLICATE)

    late = _whole(inbound, connector, receipt)
    event = inbound.world.event(merchant)
    assert isinstance(await inbound.tell(event, late), Accepted)
    await inbound.store.conclude([late])

    assert await inbound.is_told(merchant, event.id)
    assert await inbound.stored(receipt) == first
    assert not await _is_whole(inbound, connector, after(receipt, late))


async def test_one_of_many_conclusions_at_once_holds_whole(inbound: Inbound) -> None:
    """A process that was thought dead wakes up beside the one that took over."""
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    receipt = await inbound.received(connector)
    conclusions = [
        inbound.conclusion(
            receipt,
            detail=str(n),
            links=(Link(object_type=PAYMENT, object_id="t-1", said=(str(n),)),),
        )
        for n in range(6)
    ]
    events = [inbound.world.event(merchant) for _ in conclusions]

    told = zip(events, conclusions, strict=True)
    answers = await asyncio.gather(*(inbound.tell(*one) for one in told))

    assert {type(one) for one in answers} == {Accepted}
    [heard] = await inbound.history(connector, "t-1")
    assert heard.said == (heard.receipt.detail,)


async def test_a_receipt_that_tells_nothing_is_concluded_alone(inbound: Inbound) -> None:
    connector = await inbound.connector(await inbound.world.merchant())
    receipt = await inbound.received(connector)
    conclusion = _whole(inbound, connector, receipt)
    late = inbound.conclusion(
        receipt,
        state=ReceiptState.DUPLICATE,
        links=(Link(object_type=PAYMENT, object_id="t-1", said=("late",)),),
    )
    await inbound.store.conclude([conclusion, late])
    assert await _is_whole(inbound, connector, after(receipt, conclusion))


async def test_nobody_concludes_a_receipt_of_another_merchant(inbound: Inbound) -> None:
    connector = await inbound.connector(await inbound.world.merchant())
    receipt = await inbound.received(connector)
    stranger = await inbound.world.merchant()
    theirs = inbound.conclusion(
        receipt, merchant_id=stranger.id, links=(Link(object_type=PAYMENT, object_id="t-1"),)
    )
    await inbound.store.conclude([theirs])
    assert await inbound.stored(receipt) == receipt
    assert await inbound.store.receipts_about(stranger.id, PAYMENT, "t-1", ALL) == []


async def test_what_was_heard_before_is_told_oldest_first_the_newest_of_it(
    inbound: Inbound,
) -> None:
    """The fold reads so many and no more; what was said of them must be in order."""
    connector = await inbound.connector(await inbound.world.merchant())
    receipts = [await inbound.heard(connector, "t-1", f"paid {n} EUR", "é, “x”") for n in range(4)]
    silent = await inbound.heard(connector, "t-1")

    history = await inbound.history(connector, "t-1")
    assert [one.receipt for one in history] == [*receipts, silent]
    assert [one.said for one in history[-2:]] == [("paid 3 EUR", "é, “x”"), ()]
    newest = await inbound.history(connector, "t-1", limit=2)
    assert [one.receipt for one in newest] == [receipts[3], silent]


async def test_only_what_was_processed_of_that_object_by_that_connector_was_heard(
    inbound: Inbound,
) -> None:
    """Two accounts of one provider may number their payments alike."""
    merchant, other = await inbound.world.merchant(), await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    await inbound.heard(await inbound.connector(merchant, name="second"), "t-1")
    await inbound.heard(await inbound.connector(other), "t-1")
    await inbound.heard(connector, "t-2")
    for state in sorted(
        set(ReceiptState)
        - {ReceiptState.RECEIVED, ReceiptState.PROCESSED, ReceiptState.QUARANTINED}
    ):
        await inbound.heard(connector, "t-1", "said", state=state)
    waiting = await inbound.received(connector)
    assert await inbound.history(connector, "t-1", limit=1) == []

    links = (Link(object_type=PAYMENT, object_id="t-1", said=(CAPTURED,)),)
    done = await inbound.concluded(waiting, links=links)
    assert [one.receipt for one in await inbound.history(connector, "t-1")] == [done]


async def test_receipts_about_an_object_come_by_any_connector_newest_first(
    inbound: Inbound,
) -> None:
    """The timeline of a payment shows duplicates and late ones as well."""
    merchant, stranger = await inbound.world.merchant(), await inbound.world.merchant()
    one = await inbound.connector(merchant, name="one")
    two = await inbound.connector(merchant, name="two")
    first = await inbound.heard(one, "t-1")
    second = await inbound.heard(two, "t-1", state=ReceiptState.DUPLICATE)
    third = await inbound.heard(one, "t-1")
    await inbound.heard(one, "t-2")

    about = inbound.store.receipts_about
    assert await about(merchant.id, PAYMENT, "t-1", ALL) == [third, second, first]
    assert await about(merchant.id, PAYMENT, "t-1", Window(limit=1)) == [third]
    after_third = Window(limit=1, after=third.id)
    assert await about(merchant.id, PAYMENT, "t-1", after_third) == [second]
    assert await about(merchant.id, "payment", "t-1", ALL) == []
    assert await about(stranger.id, PAYMENT, "t-1", ALL) == []


async def test_objects_are_found_by_their_names_and_names_by_their_objects(
    inbound: Inbound,
) -> None:
    """A merchant searches for its order; several objects and several receipts name it."""
    merchant, stranger = await inbound.world.merchant(), await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    refund = Reference(reference="order-7", object_type="refund", object_id="ref_1")
    number = Reference(reference="A-99", object_type="payment", object_id="pay_1")
    await inbound.heard(connector, "t-1", references=(refund, ORDER))
    await inbound.heard(connector, "t-1", references=(ORDER, number))

    called = inbound.store.objects_called
    assert await called(merchant.id, "order-7", limit=10) == [ORDER, refund]
    assert await called(merchant.id, "order-7", limit=1) == [ORDER]
    assert await called(merchant.id, "order-8", limit=10) == []
    assert await called(stranger.id, "order-7", limit=10) == []
    names = inbound.store.references_of
    assert set(await names(merchant.id, "payment", "pay_1", limit=10)) == {ORDER, number}
    assert len(await names(merchant.id, "payment", "pay_1", limit=1)) == 1
    assert await names(stranger.id, "payment", "pay_1", limit=10) == []


async def test_a_reprocessed_receipt_is_free_to_be_read_as_it_is_judged_now(
    inbound: Inbound,
) -> None:
    """The secret is mended: what was in quarantine is verified, and leaves its counts."""
    connector = await inbound.connector(await inbound.world.merchant())
    forged, other = inbound.forged(connector), inbound.forged(connector)
    await inbound.receive(forged, other)

    judged = msgspec.structs.replace(
        forged, verdict=Verdict.VERIFIED, reason=None, put_back_at=inbound.world.now()
    )
    audit = inbound.world.audit(connector.merchant_id, "receipt.reprocessed")
    assert await inbound.store.reprocess([judged, judged], audit=audit) == 1

    expected = msgspec.structs.replace(judged, state=ReceiptState.RECEIVED)
    health = await inbound.health(connector)
    assert (health.quarantined, health.quarantined_bytes) == (1, len(other.body))
    assert (health.unverified, health.dropped) == (2, 0)
    claim = inbound.store.claim_receipts
    assert await claim(owner=OWNER, limit=10, for_s=FOR_S) == [expected]
    assert await inbound.stored(other) == other
    log = await inbound.store.audit(connector.merchant_id, after=0, limit=100)
    assert [one.entry.action for one in log].count("receipt.reprocessed") == 1


async def test_a_reprocessed_receipt_is_about_nothing_until_it_is_read_again(
    inbound: Inbound,
) -> None:
    """The decoder is mended, and may find another object in it."""
    connector = await inbound.connector(await inbound.world.merchant())
    receipt = await inbound.received(connector)
    links = (Link(object_type=PAYMENT, object_id="t-1", said=(CAPTURED,)),)
    conflicting = await inbound.concluded(
        receipt, state=ReceiptState.CONFLICTING, detail="Said before.", links=links
    )

    wanted = msgspec.structs.replace(conflicting, despite_conflict=True)
    audit = inbound.world.audit(connector.merchant_id)
    assert await inbound.store.reprocess([wanted], audit=audit) == 1

    waiting = msgspec.structs.replace(receipt, despite_conflict=True)
    assert await inbound.stored(receipt) == waiting
    assert await inbound.store.receipts_about(connector.merchant_id, PAYMENT, "t-1", ALL) == []
    again = await inbound.concluded(
        waiting, links=(msgspec.structs.replace(links[0], said=("b",)),)
    )
    assert [one.receipt for one in await inbound.history(connector, "t-1")] == [again]


@pytest.mark.parametrize("state", sorted(ReceiptState))
async def test_only_what_a_person_may_have_read_again_is_reprocessed(
    inbound: Inbound, state: ReceiptState
) -> None:
    """What was told must not be told again because somebody clicked twice."""
    connector = await inbound.connector(await inbound.world.merchant())
    if state is ReceiptState.QUARANTINED:
        receipt = inbound.forged(connector)
        await inbound.receive(receipt)
    else:
        receipt = await inbound.received(connector)
        if state is not ReceiptState.RECEIVED:
            receipt = await inbound.concluded(receipt, state=state)
    audit = inbound.world.audit(connector.merchant_id, "receipt.reprocessed")

    count = await inbound.store.reprocess([receipt], audit=audit)

    assert count == (1 if state in REPROCESSABLE else 0)
    log = await inbound.store.audit(connector.merchant_id, after=0, limit=100)
    assert [one.entry.action for one in log].count("receipt.reprocessed") == count
    claimed = await inbound.store.claim_receipts(owner=OWNER, limit=10, for_s=FOR_S)
    assert len(claimed) == count


async def test_nobody_reprocesses_a_receipt_of_another_merchant(inbound: Inbound) -> None:
    connector = await inbound.connector(await inbound.world.merchant())
    forged = inbound.forged(connector)
    await inbound.receive(forged)
    stranger = await inbound.world.merchant()

    theirs = msgspec.structs.replace(forged, merchant_id=stranger.id, verdict=Verdict.VERIFIED)
    audit = inbound.world.audit(stranger.id)
    assert await inbound.store.reprocess([theirs], audit=audit) == 0
    assert await inbound.stored(forged) == forged
