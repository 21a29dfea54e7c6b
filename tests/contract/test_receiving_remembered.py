"""What every store must still know of receipts that are retired: what was told with them."""

from datetime import timedelta

import pytest
from tests.support.inbound import PAYMENT, Inbound
from tests.support.world import World

from payhooks.ids import first_id_at
from payhooks.model.connector import Connector
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import Conclusion, Link, Seen

pytestmark = pytest.mark.shows("N04")

DAY_S = 86_400.0


@pytest.fixture
def inbound(world: World) -> Inbound:
    """Return the inbound half of each world."""
    return Inbound(world)


async def _connector(inbound: Inbound, name: str = "till") -> Connector:
    return await inbound.connector(await inbound.world.merchant(), name=name)


async def _retire_all(inbound: Inbound) -> None:
    await inbound.world.advance(5 * DAY_S)
    before = inbound.world.now() - timedelta(days=2)
    while await inbound.store.retire_receipts(before=before, limit=2):
        pass


async def _ancient(
    inbound: Inbound, connector: Connector, object_id: str = "t-1", *, limit: int = 100
) -> tuple[str, ...]:
    return (await inbound.remembered(connector, object_id, limit=limit)).ancient


async def test_what_was_told_is_known_when_its_receipts_are_gone(inbound: Inbound) -> None:
    """Providers say the same for longer than receipts are kept: it must not be told twice."""
    connector = await _connector(inbound)
    first = await inbound.heard(connector, "t-1", "paid 1 EUR", "é, “x”")
    await inbound.heard(connector, "t-1")
    await inbound.heard(connector, "t-1", "paid 2 EUR")
    assert await _ancient(inbound, connector) == ()

    await _retire_all(inbound)
    young = await inbound.heard(connector, "t-1", "paid 3 EUR")

    remembered = await inbound.remembered(connector, "t-1")
    assert remembered.ancient == ("paid 1 EUR", "é, “x”", "paid 2 EUR")
    assert [(one.receipt, one.said) for one in remembered.heard] == [(young, ("paid 3 EUR",))]
    assert await inbound.stored(first) is None


async def test_what_was_told_before_the_newest_is_known_without_its_receipts(
    inbound: Inbound,
) -> None:
    """A provider may send the first of 300 once more: it was told, whoever folds it or not."""
    connector = await _connector(inbound)
    for number in range(3):
        await inbound.heard(connector, "t-1", f"paid {number} EUR")
    await _retire_all(inbound)
    for number in range(3, 5):
        await inbound.heard(connector, "t-1", f"paid {number} EUR")
    await inbound.heard(connector, "t-2", "of another")
    young = [await inbound.heard(connector, "t-1", "young") for _ in range(2)]

    remembered = await inbound.remembered(connector, "t-1", limit=2)
    assert remembered.ancient == tuple(f"paid {number} EUR" for number in range(5))
    assert [one.receipt for one in remembered.heard] == young


async def test_only_what_was_processed_of_that_object_by_that_connector_is_known(
    inbound: Inbound,
) -> None:
    merchant = await inbound.world.merchant()
    connector, other = [await inbound.connector(merchant, name=name) for name in ("a", "b")]
    await inbound.heard(connector, "t-1", "mine")
    await inbound.heard(other, "t-1", "theirs")
    await inbound.heard(connector, "t-2", "of another")
    await inbound.heard(connector, "t-1", "refused", state=ReceiptState.REFUSED)
    await _retire_all(inbound)

    assert await _ancient(inbound, connector) == ("mine",)
    assert await _ancient(inbound, other) == ("theirs",)
    assert await _ancient(inbound, connector, "t-2") == ("of another",)
    assert await _ancient(inbound, await _connector(inbound)) == ()


async def test_what_is_only_remembered_counts_for_no_history_and_is_listed_nowhere(
    inbound: Inbound,
) -> None:
    """A conclusion is drawn from the receipts that there are; a page shows them."""
    connector = await _connector(inbound)
    for _ in range(3):
        await inbound.heard(connector, "t-1", "paid 1 EUR")
    await _retire_all(inbound)
    young = await inbound.heard(connector, "t-1")

    receipt = await inbound.received(connector)
    assert await inbound.store.conclude([_drawn(inbound, receipt, seen=4)]) == {receipt.id}
    assert not await inbound.store.conclude([_drawn(inbound, receipt, seen=1)])
    window = Window(limit=1)
    listed = await inbound.store.receipts_about(connector.merchant_id, PAYMENT, "t-1", window)
    assert [one.id for one in listed] == [receipt.id]
    window = Window(limit=2, after=receipt.id)
    listed = await inbound.store.receipts_about(connector.merchant_id, PAYMENT, "t-1", window)
    assert listed == [young]


async def test_what_was_told_too_long_ago_is_forgotten_in_slices(inbound: Inbound) -> None:
    connector = await _connector(inbound)
    for number in range(3):
        await inbound.heard(connector, "t-1", f"paid {number} EUR")
    await _retire_all(inbound)
    bound = inbound.world.now() - timedelta(days=1)
    await inbound.heard(connector, "t-1", "paid 3 EUR")
    await _retire_all(inbound)
    assert len(await _ancient(inbound, connector)) == 4

    assert await inbound.store.forget_said(before=bound, limit=2) == 2
    assert await _ancient(inbound, connector) == ("paid 2 EUR", "paid 3 EUR")
    assert await inbound.store.forget_said(before=bound, limit=2) == 1
    assert await inbound.store.forget_said(before=bound, limit=2) == 0
    assert await _ancient(inbound, connector) == ("paid 3 EUR",)


async def test_what_receipts_that_are_there_have_told_is_not_forgotten(inbound: Inbound) -> None:
    """Receipts may be kept for longer than what retired ones told."""
    connector = await _connector(inbound)
    receipt = await inbound.heard(connector, "t-1", "paid 1 EUR")
    await inbound.world.advance(5 * DAY_S)

    assert receipt.id < first_id_at(inbound.world.now())
    assert await inbound.store.forget_said(before=inbound.world.now(), limit=10) == 0
    [heard] = await inbound.history(connector, "t-1")
    assert heard.said == ("paid 1 EUR",)


def _drawn(inbound: Inbound, receipt: Receipt, *, seen: int) -> Conclusion:
    look = Seen(object_type=PAYMENT, object_id="t-1", count=seen)
    link = Link(object_type=PAYMENT, object_id="t-1")
    return inbound.conclusion(receipt, links=(link,), seen=(look,))
