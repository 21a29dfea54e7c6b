"""How long is usual is asked of where an object stands now, not of where it stood once."""

import hashlib
import hmac
import json
from datetime import timedelta

import pytest
from tests.support.inbound_world import HEARD_AT, InboundWorld, later

from payhooks import ids
from payhooks.ports.controlling import Window

SECRET = "whsec_of_an_endpoint_at_stripe_0123"


async def _hears(world: InboundWorld, merchant: str, word: str, minutes: float) -> None:
    """Hear of one payment, a while after the first word of it."""
    at_s = int(later(minutes).timestamp())
    about = {"id": "pi_1", "amount": 1250, "amount_capturable": 1250, "currency": "eur"}
    body = json.dumps(
        {"id": f"evt_{word}", "type": word, "created": at_s, "data": {"object": about}}
    ).encode()
    sent_s = int(world.clock.now().timestamp())
    signature = hmac.digest(SECRET.encode(), f"{sent_s}.".encode() + body, hashlib.sha256).hex()
    headers = {"stripe-signature": f"t={sent_s},v1={signature}"}
    answer = await world.hears(merchant, "stripe", headers, body)
    assert answer.status == 200, answer.body
    await world.process()


async def _overdue(world: InboundWorld, merchant: str) -> list[tuple[str, object]]:
    whose = (await world.merchant_itself(merchant)).id
    found = await world.store.overdue(whose, None, Window(limit=10))
    return [(one.object_id, one.since) for one in found]


@pytest.mark.shows("N07")
async def test_a_payment_that_went_on_to_another_wait_gets_the_whole_time_of_that() -> None:
    """Banks take days: whoever says after a day that money is late is not believed next time."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "stripe", secrets=(SECRET,))
    await _hears(world, merchant, "payment_intent.amount_capturable_updated", 0)
    await _hears(world, merchant, "payment_intent.processing", 6 * 24 * 60)
    world.advance(timedelta(days=8).total_seconds())
    await world.expecter.step()
    assert await _overdue(world, merchant) == []
    world.advance(timedelta(days=13).total_seconds())
    await world.expecter.step()
    assert await _overdue(world, merchant) == [("pi_1", HEARD_AT + timedelta(days=6))]
    said = [json.loads(event.data).get("delayed") for event in await world.events(merchant)]
    assert said == [None, None, True]
    whose = json.loads((await world.events(merchant))[-1].metadata or b"{}")
    assert whose == {"connector": "stripe"}, "nobody else can be asked"


@pytest.mark.shows("N07")
async def test_an_authorization_that_nobody_captured_is_overdue_and_told_as_nothing_else() -> None:
    """Its money is given free soon; but to say that it is processing would not be true."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "stripe", secrets=(SECRET,))
    await _hears(world, merchant, "payment_intent.amount_capturable_updated", 0)
    world.advance(timedelta(days=8).total_seconds())
    await world.expecter.step()
    assert await _overdue(world, merchant) == [("pi_1", HEARD_AT)]
    assert [event.type for event in await world.events(merchant)] == ["payment_authorized"]
    await _hears(world, merchant, "payment_intent.succeeded", 8 * 24 * 60)
    world.advance(timedelta(hours=2).total_seconds())
    await world.expecter.step()
    assert await _overdue(world, merchant) == []


@pytest.mark.shows("N07")
async def test_a_payment_whose_data_was_removed_is_overdue_and_told_no_more_of() -> None:
    """Nobody can repeat what a person had removed; that money is late stays true."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "stripe", secrets=(SECRET,))
    await _hears(world, merchant, "payment_intent.processing", 0)
    [event] = await world.events(merchant)
    text = ids.to_text(ids.EVENT, event.id)
    assert (
        await world.call("POST", f"/v1/merchants/{merchant}/events/{text}/expunge")
    ).status == 200
    world.advance(timedelta(days=15).total_seconds())
    await world.expecter.step()
    assert await _overdue(world, merchant) == [("pi_1", HEARD_AT)]
    assert len(await world.events(merchant)) == 1
    assert world.telemetry.bugs == []
