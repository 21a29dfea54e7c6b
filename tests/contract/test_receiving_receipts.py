"""What every store must do with receipts: kept once, claimed by one, bounded, listed, retired."""

import asyncio
from datetime import datetime, timedelta

import msgspec
import pytest
from tests.support.inbound import (
    CARD,
    FOR_S,
    PAYMENT,
    QUARANTINE_BYTES_MAX,
    QUARANTINE_MAX,
    Inbound,
)
from tests.support.world import OWNER, World

from payhooks.ids import ReceiptId
from payhooks.model.receipt import Receipt, ReceiptState, Verdict
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import ReceiptFilter, Reference, Rest

pytestmark = pytest.mark.shows("N11")

ALL = Window(limit=100)
EVERY = ReceiptFilter()
OTHER_OWNER = OWNER + 1
DAY_S = 86_400.0


@pytest.fixture
def inbound(world: World) -> Inbound:
    """Return the inbound half of each world."""
    return Inbound(world)


async def _claim(inbound: Inbound, *, owner: int = OTHER_OWNER, limit: int = 10) -> list[Receipt]:
    return await inbound.store.claim_receipts(owner=owner, limit=limit, for_s=FOR_S)


async def _retire(inbound: Inbound, *, days: float, limit: int = 100) -> int:
    before = inbound.world.now() - timedelta(days=days)
    return await inbound.store.retire_receipts(before=before, limit=limit)


async def test_a_receipt_reads_back_as_it_was_received(inbound: Inbound) -> None:
    """Bytes that are no text, headers that come twice: it is evidence."""
    merchant, stranger = await inbound.world.merchant(), await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    receipt = await inbound.received(
        connector,
        method="PUT",
        query="a=1&b=%00",
        headers=(("x-twice", "1"), ("x-twice", "caf\xe9")),
        body=b"\x00\xff not json",
        body_sha256=b"\xfe" * 32,
        verdict=Verdict.FETCH,
        answered=202,
        findings=(CARD,),
    )
    forged = inbound.forged(connector, body=b"")
    await inbound.receive(forged)

    assert await inbound.stored(receipt) == receipt
    assert await inbound.stored(forged) == forged
    assert await inbound.store.receipt(stranger.id, receipt.id) is None
    assert await inbound.store.receipt(merchant.id, ReceiptId(bytes(16))) is None


async def test_a_batch_that_is_sent_again_changes_nothing(inbound: Inbound) -> None:
    """Its reply was lost; meanwhile some of it was read, and nothing of it is counted twice."""
    connector = await inbound.connector(await inbound.world.merchant())
    batch = [inbound.receipt(connector), inbound.receipt(connector), inbound.forged(connector)]
    await inbound.receive(*batch)
    done = await inbound.concluded(batch[0])
    health = await inbound.health(connector)
    more = inbound.receipt(connector)

    await inbound.receive(*batch, more, more, owner=OTHER_OWNER)

    assert await inbound.stored(done) == done
    again = await inbound.health(connector)
    assert (again.received, again.unverified) == (health.received + 1, health.unverified)
    assert (again.quarantined, again.quarantined_bytes) == (1, len(batch[2].body))
    listed = await inbound.store.receipts(connector.merchant_id, EVERY, ALL)
    assert listed == [more, batch[2], batch[1], done]


async def test_what_was_received_is_its_owners_until_that_dies(inbound: Inbound) -> None:
    """Who took it processes it from memory; nobody else may, while that lives."""
    connector = await inbound.connector(await inbound.world.merchant())
    first, second = await inbound.received(connector), await inbound.received(connector)

    assert await _claim(inbound) == []
    assert await _claim(inbound, owner=OWNER) == []
    await inbound.world.advance(FOR_S + 1)
    assert await _claim(inbound) == [first, second]


async def test_what_rests_is_claimed_by_nobody_until_its_rest_is_over(inbound: Inbound) -> None:
    """Else thousands that cannot be fetched are claimed for ever, and nothing younger is."""
    connector = await inbound.connector(await inbound.world.merchant())
    first, second, done = [await inbound.received(connector) for _ in range(3)]
    await inbound.store.conclude([inbound.conclusion(done)])
    await inbound.store.rest_receipts(
        [
            Rest(merchant_id=one.merchant_id, receipt_id=one.id, for_s=3 * FOR_S)
            for one in (done, first)
        ]
    )
    await inbound.world.advance(FOR_S + 1)
    assert await _claim(inbound, limit=1) == [second]
    assert await _claim(inbound) == []
    await inbound.world.advance(2 * FOR_S)
    assert await _claim(inbound) == [first, second]


async def test_one_of_two_who_claim_gets_a_receipt(inbound: Inbound) -> None:
    connector = await inbound.connector(await inbound.world.merchant())
    receipts = [await inbound.received(connector) for _ in range(3)]
    await inbound.world.advance(FOR_S + 1)

    assert await _claim(inbound, owner=OWNER, limit=2) == receipts[:2]
    assert await _claim(inbound, owner=OTHER_OWNER) == receipts[2:]
    assert await _claim(inbound, owner=OWNER) == []
    await inbound.world.advance(FOR_S + 1)
    assert await _claim(inbound, owner=OTHER_OWNER) == receipts


async def test_many_who_claim_at_once_share_what_there_is(inbound: Inbound) -> None:
    """After a crash every process looks at the same moment."""
    connector = await inbound.connector(await inbound.world.merchant())
    receipts = [inbound.receipt(connector) for _ in range(30)]
    await inbound.receive(*receipts)
    await inbound.world.advance(FOR_S + 1)

    claims = await asyncio.gather(*(_claim(inbound, owner=n, limit=10) for n in range(6)))

    taken = [one.id for claim in claims for one in claim]
    assert len(taken) == len(set(taken))
    rest = await _claim(inbound, limit=100)
    assert sorted(taken + [one.id for one in rest]) == [one.id for one in receipts]


async def test_batches_that_come_at_once_are_all_counted(inbound: Inbound) -> None:
    """A forger uses many connections, and the bound is for all of them together."""
    merchant = await inbound.world.merchant()
    connectors = [await inbound.connector(merchant, name=name) for name in ("till", "shop")]
    batches = [
        [make(connector) for connector in order for make in (inbound.receipt, inbound.forged)]
        for order in (connectors, connectors[::-1]) * 6
    ]

    await asyncio.gather(*(inbound.receive(*batch) for batch in batches))

    for connector in connectors:
        health = await inbound.health(connector)
        assert (health.received, health.unverified) == (12, 12)
        assert (health.quarantined, health.dropped) == (QUARANTINE_MAX, 12 - QUARANTINE_MAX)
        which = ReceiptFilter(connector_id=connector.id, states=(ReceiptState.QUARANTINED,))
        held = await inbound.store.receipts(merchant.id, which, ALL)
        assert sum(len(one.body) for one in held) == health.quarantined_bytes
        assert len(held) == QUARANTINE_MAX


async def test_the_oldest_are_claimed_first_whoever_they_are_of(inbound: Inbound) -> None:
    one, other = [await inbound.connector(await inbound.world.merchant()) for _ in range(2)]
    receipts = [inbound.receipt(connector) for connector in (one, other, one, other)]
    await inbound.receive(*receipts[::-1])
    await inbound.world.advance(FOR_S + 1)

    assert await _claim(inbound, limit=3) == receipts[:3]
    assert await _claim(inbound) == receipts[3:]


async def test_only_what_is_received_is_claimed(inbound: Inbound) -> None:
    connector = await inbound.connector(await inbound.world.merchant())
    await inbound.concluded(await inbound.received(connector))
    ignored = inbound.receipt(connector, state=ReceiptState.IGNORED)
    await inbound.receive(inbound.forged(connector), ignored)
    await inbound.world.advance(FOR_S + 1)
    assert await _claim(inbound) == []


async def test_the_quarantine_keeps_the_newest_of_each_connector(inbound: Inbound) -> None:
    """A forger of one must not push out what another's merchant wants to look at."""
    merchant = await inbound.world.merchant()
    flooded = await inbound.connector(merchant, name="flooded")
    quiet = await inbound.connector(merchant, name="quiet")
    kept = inbound.forged(quiet)
    genuine = inbound.receipt(flooded)
    await inbound.receive(kept, genuine)
    forged = [inbound.forged(flooded) for _ in range(QUARANTINE_MAX + 3)]
    await inbound.receive(*forged[:2])
    await inbound.receive(*forged[2:])

    quarantined = ReceiptFilter(connector_id=flooded.id, states=(ReceiptState.QUARANTINED,))
    listed = await inbound.store.receipts(merchant.id, quarantined, ALL)
    assert listed == forged[: -QUARANTINE_MAX - 1 : -1]
    health = await inbound.health(flooded)
    assert (health.unverified, health.quarantined, health.dropped) == (8, QUARANTINE_MAX, 3)
    assert health.quarantined_bytes == QUARANTINE_MAX * len(forged[0].body)
    assert await inbound.stored(kept) == kept
    assert await inbound.stored(genuine) == genuine
    assert (await inbound.health(quiet)).dropped == 0


async def test_the_quarantine_is_bounded_in_bytes_too(inbound: Inbound) -> None:
    connector = await inbound.connector(await inbound.world.merchant())
    half = b"x" * (QUARANTINE_BYTES_MAX // 2)
    first, second, third = [inbound.forged(connector, body=half) for _ in range(3)]
    await inbound.receive(first)
    await inbound.receive(second)
    assert (await inbound.health(connector)).dropped == 0
    await inbound.receive(third)

    assert await inbound.stored(first) is None
    assert await inbound.stored(second) == second
    assert await inbound.stored(third) == third
    health = await inbound.health(connector)
    assert (health.quarantined, health.quarantined_bytes) == (2, QUARANTINE_BYTES_MAX)
    assert health.dropped == 1


async def test_what_is_larger_than_the_quarantine_is_dropped_and_counted(inbound: Inbound) -> None:
    connector = await inbound.connector(await inbound.world.merchant())
    large = inbound.forged(connector, body=b"x" * (QUARANTINE_BYTES_MAX + 1))
    await inbound.receive(large)

    assert await inbound.stored(large) is None
    health = await inbound.health(connector)
    assert (health.unverified, health.dropped) == (1, 1)
    assert (health.quarantined, health.quarantined_bytes) == (0, 0)


async def test_receipts_are_listed_newest_first_and_narrowed(inbound: Inbound) -> None:
    merchant, stranger = await inbound.world.merchant(), await inbound.world.merchant()
    till = await inbound.connector(merchant, name="till")
    shop = await inbound.connector(merchant, name="shop")
    waiting = await inbound.received(till)
    told = await inbound.concluded(await inbound.received(till))
    odd = await inbound.concluded(await inbound.received(shop), state=ReceiptState.UNMAPPED)
    forged = inbound.forged(shop)
    await inbound.receive(forged)
    bad = await inbound.concluded(await inbound.received(till), state=ReceiptState.UNDECODABLE)

    async def listed(window: Window = ALL, **members: object) -> list[Receipt]:
        which = msgspec.structs.replace(EVERY, **members)
        return await inbound.store.receipts(merchant.id, which, window)

    unread = (ReceiptState.UNMAPPED, ReceiptState.UNDECODABLE)
    assert await listed() == [bad, forged, odd, told, waiting]
    assert await listed(connector_id=till.id) == [bad, told, waiting]
    assert await listed(states=unread) == [bad, odd]
    assert await listed(states=unread, connector_id=shop.id) == [odd]
    assert await listed(states=(ReceiptState.RECEIVED,)) == [waiting]
    assert await listed(states=()) == []
    assert await listed(Window(limit=2)) == [bad, forged]
    assert await listed(Window(limit=2, after=forged.id)) == [odd, told]
    assert await listed(Window(limit=1, after=bad.id), connector_id=till.id) == [told]
    assert await listed(Window(limit=9, after=bad.id), states=unread) == [odd]
    assert await inbound.store.receipts(stranger.id, EVERY, ALL) == []
    theirs = ReceiptFilter(connector_id=till.id, states=unread)
    assert await inbound.store.receipts(stranger.id, theirs, ALL) == []


async def test_receipts_in_a_state_are_counted_since_a_time_and_no_further(
    inbound: Inbound,
) -> None:
    merchant, stranger = await inbound.world.merchant(), await inbound.world.merchant()
    shops = [await inbound.connector(merchant, name=name) for name in ("till", "shop")]
    unmapped = ReceiptState.UNMAPPED
    old = await inbound.concluded(await inbound.received(shops[0]), state=unmapped)
    await inbound.world.advance(DAY_S)
    since = old.received_at + timedelta(hours=1)
    for shop in shops:
        await inbound.concluded(await inbound.received(shop), state=unmapped)
    await inbound.concluded(await inbound.received(shops[0]), state=ReceiptState.UNDECODABLE)
    theirs = await inbound.connector(stranger)
    await inbound.concluded(await inbound.received(theirs), state=unmapped)

    async def count(at_most: int = 100, *, from_: datetime = since) -> int:
        return await inbound.store.count_receipts(
            merchant.id, unmapped, since=from_, at_most=at_most
        )

    assert await count() == 2
    assert await count(from_=old.received_at) == 3
    assert await count(1) == 1
    assert await count(2, from_=old.received_at) == 2


async def test_what_may_be_read_again_is_found_from_the_oldest_on(inbound: Inbound) -> None:
    """In the order in which it came, of that connector and those states alone, page by page."""
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    other = await inbound.connector(merchant, name="other")
    states = (ReceiptState.QUARANTINED, ReceiptState.UNMAPPED)
    expected = []
    for _ in range(3):
        expected.append(inbound.forged(connector))
        await inbound.receive(expected[-1], inbound.forged(other))
        received = await inbound.received(connector)
        expected.append(await inbound.concluded(received, state=ReceiptState.UNMAPPED))
        await inbound.concluded(await inbound.received(connector), state=ReceiptState.IGNORED)

    async def page(after: ReceiptId | None) -> list[Receipt]:
        whose = (merchant.id, connector.id)
        return await inbound.store.reprocessable(*whose, [*states, *states], after=after, limit=4)

    first = await page(None)
    assert first == expected[:4]
    assert await page(first[-1].id) == expected[4:]
    assert await page(expected[-1].id) == []


async def test_old_receipts_are_retired_in_slices_with_their_links(inbound: Inbound) -> None:
    connector = await inbound.connector(await inbound.world.merchant())
    old = [await inbound.heard(connector, "t-1", "paid 1 EUR") for _ in range(3)]
    await inbound.world.advance(5 * DAY_S)
    young = await inbound.heard(connector, "t-1", "paid 2 EUR")

    assert await _retire(inbound, days=2, limit=2) == 2
    listed = await inbound.store.receipts(connector.merchant_id, EVERY, ALL)
    assert listed == [young, old[2]]
    assert await _retire(inbound, days=2, limit=2) == 1
    assert await _retire(inbound, days=2, limit=2) == 0
    assert await inbound.stored(old[0]) is None
    assert [one.receipt for one in await inbound.history(connector, "t-1")] == [young]


async def test_what_is_not_read_yet_is_not_retired(inbound: Inbound) -> None:
    """Whatever kept it waiting so long: nobody has told what it tells."""
    connector = await inbound.connector(await inbound.world.merchant())
    waiting = await inbound.received(connector)
    done = await inbound.concluded(await inbound.received(connector))
    await inbound.world.advance(5 * DAY_S)

    assert await _retire(inbound, days=2, limit=1) == 1
    assert await inbound.stored(waiting) == waiting
    assert await inbound.stored(done) is None


async def test_a_retired_receipt_leaves_the_counts_of_the_quarantine(inbound: Inbound) -> None:
    """Else an empty quarantine is full one day; and it was not dropped for want of room."""
    connector = await inbound.connector(await inbound.world.merchant())
    await inbound.receive(inbound.forged(connector), inbound.forged(connector))
    await inbound.world.advance(5 * DAY_S)
    young = inbound.forged(connector)
    await inbound.receive(young)

    assert await _retire(inbound, days=2) == 2
    health = await inbound.health(connector)
    assert (health.quarantined, health.quarantined_bytes) == (1, len(young.body))
    assert (health.unverified, health.dropped) == (3, 0)


async def test_the_names_of_an_object_go_with_the_last_of_its_receipts(inbound: Inbound) -> None:
    connector = await inbound.connector(await inbound.world.merchant())
    named = Reference(reference="order-7", object_type=PAYMENT, object_id="t-1")
    other = Reference(reference="order-7", object_type=PAYMENT, object_id="t-2")
    await inbound.heard(connector, "t-1", references=(named,))
    await inbound.heard(connector, "t-2", references=(other,))
    await inbound.world.advance(5 * DAY_S)
    await inbound.heard(connector, "t-2")

    assert await _retire(inbound, days=2) == 2
    found = await inbound.store.objects_called(connector.merchant_id, "order-7", limit=10)
    assert found == [other]


async def test_of_receipts_that_are_named_only_those_about_the_object_are_read(
    inbound: Inbound,
) -> None:
    """Whoever publishes may name any receipt as the one that his event follows from."""
    merchant, stranger = await inbound.world.merchant(), await inbound.world.merchant()
    connector, theirs = await inbound.connector(merchant), await inbound.connector(stranger)
    first = await inbound.heard(connector, "t-1")
    second = await inbound.heard(connector, "t-1", state=ReceiptState.DUPLICATE)
    other = await inbound.heard(connector, "t-2")
    of_stranger = await inbound.heard(theirs, "t-1")
    waiting = await inbound.received(connector)
    gone = inbound.receipt(connector)

    linked = inbound.store.linked_receipts
    named = [one.id for one in (first, other, of_stranger, waiting, gone, second, first)]
    assert await linked(merchant.id, PAYMENT, "t-1", named) == [second, first]
    assert await linked(merchant.id, PAYMENT, "t-1", [first.id]) == [first]
    assert await linked(merchant.id, PAYMENT, "t-1", []) == []
    assert await linked(merchant.id, "payment", "t-1", named) == []
    assert await linked(stranger.id, PAYMENT, "t-1", named) == [of_stranger]
