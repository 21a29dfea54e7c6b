"""What cannot be brought to its end for a day is kept for a person, with the reason."""

import json

import pytest
from tests.connectors import answered_by_mollie as mollie
from tests.connectors import signed_by_adyen as adyen
from tests.support.inbound_world import InboundWorld

from payhooks.flow import normalise
from payhooks.ids import RECEIPT, to_text
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.fetching import Fetched

_DAY_S = normalise.GIVE_UP.total_seconds()


async def _only(world: InboundWorld, merchant: str) -> Receipt:
    [receipt] = await world.stored(merchant)
    return receipt


async def _not_known() -> tuple[InboundWorld, str]:
    """Return a world whose merchant was called about a payment that Mollie does not know."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "mollie", secrets=(), credential=mollie.LIVE.credential)
    world.fetcher.script = lambda _asked: Fetched(status=404, body=b"{}")
    await world.hears(merchant, "mollie", {}, f"id={mollie.ID}".encode())
    await world.process()
    return world, merchant


@pytest.mark.shows("N08")
async def test_what_a_provider_does_not_answer_for_a_day_is_given_up() -> None:
    """Asked for without an end, what anybody made up would be asked for without an end, too."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "mollie", secrets=(), credential=mollie.LIVE.credential)
    await world.hears(merchant, "mollie", {}, f"id={mollie.ID}".encode())
    await world.process()
    world.advance(_DAY_S - 1)
    await world.process()
    receipt = await _only(world, merchant)
    assert receipt.state is ReceiptState.RECEIVED
    printed = to_text(RECEIPT, receipt.id)
    assert world.telemetry.alarms[-1] == (
        "not_fetched",
        f"mollie: {printed}: there is no answer",
    ), "who looks at metrics sees it before the day is over"
    world.advance(1)
    await world.process()
    receipt = await _only(world, merchant)
    assert receipt.state is ReceiptState.UNDECODABLE
    assert receipt.detail == "It could not be fetched: there is no answer."


@pytest.mark.shows("N08")
async def test_what_a_provider_does_not_know_yet_is_asked_for_again() -> None:
    """Its call may be sooner than the payment can be read there."""
    world, merchant = await _not_known()
    assert (await _only(world, merchant)).state is ReceiptState.RECEIVED
    paid = Fetched(status=200, body=json.dumps(mollie.PAID).encode())
    world.fetcher.script = lambda _asked: paid
    world.advance(60)
    await world.process()
    assert [event.type for event in await world.events(merchant)] == ["payment_succeeded"]


@pytest.mark.shows("N08")
async def test_what_a_provider_does_not_know_is_kept_and_told_once_the_key_is_mended() -> None:
    """A key of the other mode finds none of the payments, and that is all the provider says."""
    world, merchant = await _not_known()
    world.advance(normalise.NOT_KNOWN_GIVE_UP.total_seconds())
    await world.process()
    receipt = await _only(world, merchant)
    assert receipt.state is ReceiptState.UNDECODABLE
    assert receipt.detail == (
        "The provider knows of nothing by this id. "
        "If he should: is the connector's key his, and of the same mode?"
    )
    assert world.telemetry.alarms == [], "anybody may name what nobody knows"

    path = f"/v1/merchants/{merchant}/receipts/{to_text(RECEIPT, receipt.id)}"
    assert (await world.call("POST", f"{path}/reprocess")).status == 202
    paid = Fetched(status=200, body=json.dumps(mollie.PAID).encode())
    world.fetcher.script = lambda _asked: paid
    await world.normaliser.process(await _only(world, merchant))
    assert [event.type for event in await world.events(merchant)] == ["payment_succeeded"]


@pytest.mark.shows("N06")
async def test_what_was_given_up_and_is_put_back_is_tried_for_a_day_again() -> None:
    """Of many put back at once most would be given up again: their provider is busy with others."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "mollie", secrets=(), credential=mollie.LIVE.credential)
    world.fetcher.script = lambda _asked: Fetched(status=401, body=b"{}")
    await world.hears(merchant, "mollie", {}, f"id={mollie.ID}".encode())
    world.advance(_DAY_S)
    await world.process()
    receipt = await _only(world, merchant)
    assert receipt.state is ReceiptState.UNDECODABLE

    path = f"/v1/merchants/{merchant}/receipts/{to_text(RECEIPT, receipt.id)}"
    assert (await world.call("POST", f"{path}/reprocess")).status == 202
    world.receipts.append(await _only(world, merchant))
    world.fetcher.script = lambda _asked: Fetched(status=429, body=b"{}")
    await world.process()
    world.advance(_DAY_S - 1)
    await world.process()
    assert (await _only(world, merchant)).state is ReceiptState.RECEIVED
    world.advance(1)
    await world.process()
    assert (await _only(world, merchant)).state is ReceiptState.UNDECODABLE


@pytest.mark.shows("N06")
async def test_what_fails_by_a_bug_for_a_day_is_kept_and_told_once_that_is_mended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would be tried for ever, and nobody who looks at receipts would see that it fails."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "adyen", secrets=(adyen.KEY,))
    await world.hears(merchant, "adyen", {}, adyen.batch(adyen.signed(adyen.PAYMENT)).body)
    [receipt] = world.receipts

    def broken(*_: object) -> None:
        raise LookupError("a bug, and adyen's secret data in its words")

    with monkeypatch.context() as patched:
        patched.setattr(normalise, "wanted", broken)
        with pytest.raises(LookupError):
            await world.process()
        world.advance(_DAY_S)
        await world.normaliser.process(receipt)
    kept = await _only(world, merchant)
    assert kept.state is ReceiptState.UNDECODABLE
    assert kept.detail == (
        "Payhooks could not read it for a day, which is its fault and not the sender's."
    )
    assert [where for where, _ in world.telemetry.bugs] == ["normalise"]
    assert await world.events(merchant) == []

    path = f"/v1/merchants/{merchant}/receipts"
    [listed] = (await world.call("GET", path)).json["data"]
    assert (await world.call("POST", f"{path}/{listed['id']}/reprocess")).status == 202
    await world.normaliser.process(await _only(world, merchant))
    assert [event.type for event in await world.events(merchant)] == ["payment_succeeded"]
