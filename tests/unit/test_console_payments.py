"""Find by payment: what became of an object, in words, and which webhook heard of it."""

import re
from html import unescape

import pytest
from tests.support.api_world import finish
from tests.support.browsing import Browser, ConsoleWorld, read

from payhooks import ids
from payhooks.ids import MerchantId
from payhooks.model.delivery import Trigger
from payhooks.model.merchant import Merchant
from payhooks.model.user import Role
from payhooks.ports.controlling import Window
from payhooks.ports.reading import EventFilter, StoredEvent

PAGE = "/console/payments"
_ODD = "pay/1 ?&#<b>é"


@pytest.fixture
def world() -> ConsoleWorld:
    """Return an installation without anybody."""
    return ConsoleWorld()


async def told(
    world: ConsoleWorld,
    merchant: Merchant,
    type_: str,
    *,
    id_: str = "pay_1",
    at: str | None = None,
    **data: object,
) -> str:
    """Publish what happened to a payment of the unified events; return the event's id."""
    world.advance(1)
    members: dict[str, object] = {
        "type": type_,
        "object": {"type": "payment", "id": id_},
        "data": {"payment_id": id_, **data},
    }
    if at is not None:
        members["occurred_at"] = f"2026-11-20T{at}:00Z"
    answer = await world.publish(ids.to_text(ids.MERCHANT, merchant.id), **members)
    text: str = answer.json["id"]
    return text


async def signed_in(world: ConsoleWorld, merchant: Merchant, role: Role = Role.SUPPORT) -> Browser:
    return await Browser(world).sign_in(await world.person(merchant, role))


async def test_a_payment_is_found_by_its_id(world: ConsoleWorld) -> None:
    """The customer is on the telephone and has a number; the page says how it stands."""
    merchant = await world.tenant()
    browser = await signed_in(world, merchant, Role.VIEWER)
    assert "Payment id" in (await browser.get(PAGE)).text
    await told(world, merchant, "payment_processing", at="10:00")
    await told(world, merchant, "payment_succeeded", at="10:01")
    reads, events = [], world.store.events

    async def counted(
        merchant_id: MerchantId, filter_: EventFilter, window: Window
    ) -> list[StoredEvent]:
        reads.append(filter_.object_id)
        return await events(merchant_id, filter_, window)

    world.break_store("events", counted)
    seen = await browser.get(f"{PAGE}?id=+pay_1+")
    # Read once: what is large is dear.
    assert (seen.status, seen.heading, reads) == (200, "pay_1", ["pay_1"])
    text = read(seen.text)
    assert "succeeded final" in text
    assert "From processing to succeeded." in text
    assert "In the unified events: payment_succeeded" in text
    assert text.index("From processing to succeeded.") < text.index("It began as processing.")


async def test_what_is_not_there_is_told_and_ids_of_events_lead_to_them(
    world: ConsoleWorld,
) -> None:
    """Whoever pastes an id does not ask of what it is."""
    merchant = await world.tenant()
    browser = await signed_in(world, merchant)
    event = await told(world, merchant, "payment_succeeded")
    assert "Nothing has this id" in (await browser.get(f"{PAGE}?id=pay_2")).text
    assert (await browser.get(f"{PAGE}?id=pay_1&type=refund")).status == 404
    assert (await browser.get(f"{PAGE}?id={event}")).goes_to == f"/console/events/{event}"
    seen = (await browser.get(f"/console/events/{event}")).text
    assert f'href="{PAGE}?id=pay_1&amp;type=payment"' in seen


async def test_an_id_of_two_objects_asks_which(world: ConsoleWorld) -> None:
    """A refund that has its payment's number is not the payment."""
    merchant = await world.tenant()
    browser = await signed_in(world, merchant)
    await told(world, merchant, "payment_succeeded")
    text = ids.to_text(ids.MERCHANT, merchant.id)
    await world.publish(text, type="refund_failed", object={"type": "refund", "id": "pay_1"})
    seen = (await browser.get(f"{PAGE}?id=pay_1")).text
    assert f'href="{PAGE}?id=pay_1&amp;type=payment">payment</a>' in seen
    assert f'href="{PAGE}?id=pay_1&amp;type=refund">refund</a>' in seen


async def test_any_character_may_stand_in_an_id(world: ConsoleWorld) -> None:
    """Ids are the publisher's; a slash or a quotation mark must not hide a payment."""
    merchant = await world.tenant()
    browser = await signed_in(world, merchant)
    await told(world, merchant, "payment_succeeded", id_=_ODD)
    shown = await browser.get(f"{PAGE}?id=pay%2F1+%3F%26%23%3Cb%3E%C3%A9")
    assert (shown.status, unescape(shown.heading)) == (200, _ODD)
    assert "<b>" not in shown.text


async def test_marks_are_told_in_plain_words(world: ConsoleWorld) -> None:
    """Late, corrected, repeated, out of turn: each is a question that somebody will ask."""
    merchant = await world.tenant()
    browser = await signed_in(world, merchant)
    await told(world, merchant, "payment_processing", at="10:00")
    await told(world, merchant, "payment_failed", at="10:05")
    await told(world, merchant, "action_required", at="09:59")
    await told(world, merchant, "payment_succeeded", at="10:09")
    await told(world, merchant, "payment_succeeded", at="10:10")
    await told(world, merchant, "payment_authorized", at="10:11")
    text = read((await browser.get(f"{PAGE}?id=pay_1&type=payment")).text)
    # The last one leaves a final state as well.
    assert "corrected 2 times" in text
    for words in (
        "It came late: newer news of this had come before.",
        "A correction: what was final is not any more.",
        "Told once more, in the state that it had brought about.",
        "Unexpected in this state; taken as it was told.",
    ):
        assert words in text


async def test_what_takes_too_long_and_what_is_to_go_back_is_told(world: ConsoleWorld) -> None:
    """The two that somebody has to act on."""
    merchant = await world.tenant()
    browser = await signed_in(world, merchant)
    await told(world, merchant, "payment_processing")
    place = f"{PAGE}?id=pay_1&type=payment"
    assert "delayed" not in read((await browser.get(place)).text)
    await told(world, merchant, "payment_processing", delayed=True)
    assert "longer than is usual" in (await browser.get(place)).text
    back = b'{"required": true, "amount": 10.00, "currency": "EUR", "reason": "<debited>"}'
    event = b'{"type":"payment_failed","object":{"type":"payment","id":"pay_1"},"data":'
    event += b'{"pay_back":%b}}' % back
    events = f"/v1/merchants/{ids.to_text(ids.MERCHANT, merchant.id)}/events"
    await world.call("POST", events, raw=event)
    text = read((await browser.get(place)).text)
    assert "To be paid back" in text
    assert "When the payment failed, its event said this" in text
    assert "A refund is an object of its own" in text
    assert '"amount": 10.00' in text
    assert '"reason": "<debited>"' in text


async def test_where_each_event_went_is_told_beside_it(world: ConsoleWorld) -> None:
    """Whether the shop was told is the second question, and its deliveries answer it."""
    merchant = await world.tenant()
    browser = await signed_in(world, merchant)
    text = ids.to_text(ids.MERCHANT, merchant.id)
    await told(world, merchant, "payment_processing")
    await world.endpoint(text, label="Finance ledger")
    event = await told(world, merchant, "payment_succeeded")
    await finish(world, Trigger.GIVE_UP)
    at = f"/v1/merchants/{text}/events/{event}/deliveries"
    [delivery] = (await world.call("GET", at)).json["data"]
    seen = (await browser.get(f"{PAGE}?id=pay_1&type=payment")).text
    assert f'href="/console/deliveries/{delivery["id"]}">Finance ledger</a>' in seen
    assert "Failed Finance ledger 1 attempt" in read(seen)
    assert "No webhook had selected it." in seen


async def test_many_events_come_in_pages(world: ConsoleWorld) -> None:
    """A subscription that is charged for years has more than a page holds."""
    merchant = await world.tenant()
    browser = await signed_in(world, merchant)
    for _ in range(52):
        await told(world, merchant, "payment_processing")
    seen = (await browser.get(f"{PAGE}?id=pay_1&type=payment")).text
    assert seen.count("<code>payment_processing</code></a>") == 50
    [following] = re.findall(r'href="([^"]+)" rel="next"', seen)
    seen = (await browser.get(unescape(following))).text
    assert seen.count("<code>payment_processing</code></a>") == 2


async def test_an_object_of_a_type_that_nobody_knows_has_events_all_the_same(
    world: ConsoleWorld,
) -> None:
    """A publisher's own word has no life cycle; where it went is known."""
    merchant = await world.tenant()
    browser = await signed_in(world, merchant)
    text = ids.to_text(ids.MERCHANT, merchant.id)
    await world.publish(text, type="till.opened", object={"type": "till", "id": "7"})
    seen = read((await browser.get(f"{PAGE}?id=7&type=till")).text)
    assert "Its events are not of the catalogue" in seen
    assert "What it does to an object is not known." in seen


async def test_another_merchants_payment_does_not_exist(world: ConsoleWorld) -> None:
    """Two shops at one provider may see numbers that are alike."""
    merchant, other = await world.tenant(), await world.tenant("Beach Bar")
    await told(world, other, "payment_succeeded", id_="theirs")
    await told(world, other, "payment_failed")
    await told(world, merchant, "payment_succeeded")
    browser = await signed_in(world, merchant, Role.OWNER)
    assert "Nothing has this id" in (await browser.get(f"{PAGE}?id=theirs")).text
    never = await browser.get(f"{PAGE}?id=never&type=payment")
    theirs = await browser.get(f"{PAGE}?id=theirs&type=payment")
    assert (never.status, theirs.status) == (404, 404)
    text = read((await browser.get(f"{PAGE}?id=pay_1&type=payment")).text)
    assert "payment_failed" not in text
