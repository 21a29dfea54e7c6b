"""Events in the console: what was published, who was told, whom to tell again, what to forget."""

import re
from html import unescape

import pytest
from tests.support.api_world import finish
from tests.support.browsing import Browser, ConsoleWorld
from tests.support.shipped import example_of

from payhooks import ids
from payhooks.model.delivery import Trigger
from payhooks.model.merchant import Merchant
from payhooks.model.user import Role

LIST = "/console/events"


@pytest.fixture
def world() -> ConsoleWorld:
    """Return an installation without anybody."""
    return ConsoleWorld()


async def published(world: ConsoleWorld, merchant: Merchant, **members: object) -> str:
    """Publish an event and return its printed id."""
    text: str = (await world.publish(ids.to_text(ids.MERCHANT, merchant.id), **members)).json["id"]
    return text


async def webhook(world: ConsoleWorld, merchant: Merchant, **members: object) -> str:
    """Make a webhook and return its printed id."""
    text: str = (await world.endpoint(ids.to_text(ids.MERCHANT, merchant.id), **members))["id"]
    return text


async def signed_in(world: ConsoleWorld, merchant: Merchant, role: Role = Role.OWNER) -> Browser:
    return await Browser(world).sign_in(await world.person(merchant, role))


async def test_an_event_is_listed_even_if_nobody_wanted_it(world: ConsoleWorld) -> None:
    """A type that is spelled wrong in a webhook is found here and nowhere else."""
    merchant = await world.tenant()
    browser = await signed_in(world, merchant, Role.VIEWER)
    assert "No events yet" in (await browser.get(LIST)).text
    text = await published(world, merchant, object={"type": "payment", "id": "pay_1"})
    seen = await browser.get(f"{LIST}?object=pay_1&status=unsubscribed&type=payment_*")
    assert f'href="{LIST}/{text}"' in seen.text
    assert "No event matches" in (await browser.get(f"{LIST}?object=pay_2")).text
    assert "No webhook had selected this type" in (await browser.get(f"{LIST}/{text}")).text


@pytest.mark.shows("W1")
async def test_a_payload_is_read_with_its_numbers_as_they_were_spelled(world: ConsoleWorld) -> None:
    """1.10 is not 1.1 where it is money, and what is copied is what was published."""
    merchant = await world.tenant()
    answer = await world.call(
        "POST",
        f"/v1/merchants/{ids.to_text(ids.MERCHANT, merchant.id)}/events",
        raw=b'{"type":"x","data":{"b":1.10,"a":1E2},"metadata":{"note":"<b>"}}',
        headers={"content-type": "application/json"},
    )
    browser = await signed_in(world, merchant)
    seen = (await browser.get(f"{LIST}/{answer.json['id']}")).text
    assert '"b": 1.10,\n  "a": 1E2' in unescape(seen)
    assert 'data-copy="{&#34;b&#34;:1.10,&#34;a&#34;:1E2}"' in seen
    assert "<b>" not in seen


async def test_an_event_is_sent_to_webhooks_that_are_chosen(world: ConsoleWorld) -> None:
    """For the first time or again, whatever they selected, under one entry of the audit log."""
    merchant = await world.tenant()
    had = await webhook(world, merchant, label="Had it")
    text = await published(world, merchant)
    await finish(world, Trigger.SUCCEED)
    late = await webhook(world, merchant, label="Came late", events=["other"])
    browser = await signed_in(world, merchant, Role.SUPPORT)
    await browser.get(f"{LIST}/{text}")
    seen = await browser.post(f"{LIST}/{text}/resend", [("webhook", had), ("webhook", late)])
    seen = await browser.get(seen.goes_to or "")
    assert "It is on its way to 2 of 2 webhooks." in seen.text
    assert await finish(world, Trigger.SUCCEED) == 2
    merchant_text = ids.to_text(ids.MERCHANT, merchant.id)
    assert (await world.audit_actions(merchant_text)).count("event.resent") == 1
    seen = await browser.post(f"{LIST}/{text}/resend")
    assert "Tick the webhooks" in (await browser.get(seen.goes_to or "")).text


async def test_only_an_owner_removes_a_payload_and_says_who_they_are(world: ConsoleWorld) -> None:
    """It cannot be undone; afterwards nothing of it is shown or sent."""
    merchant = await world.tenant()
    endpoint = await webhook(world, merchant)
    text = await published(world, merchant, data={"name": "Ada Example"})
    await finish(world, Trigger.GIVE_UP)
    for role in (Role.DEVELOPER, Role.SUPPORT, Role.VIEWER):
        browser = await signed_in(world, merchant, role)
        assert "expunge" not in (await browser.get(f"{LIST}/{text}")).text
        assert (await browser.post(f"{LIST}/{text}/expunge")).status == 403
    owner = await world.person(merchant)
    browser = await Browser(world).sign_in(owner)
    world.advance(400)
    assert "Ada Example" in (await browser.get(f"{LIST}/{text}")).text
    assert (await browser.post(f"{LIST}/{text}/expunge")).heading == "Two-factor authentication"
    code = {"second_factor": await world.code(owner)}
    seen = await browser.post(f"{LIST}/{text}/expunge", code)
    seen = await browser.get(seen.goes_to or "")
    assert "The payload is removed." in seen.text
    assert "Ada Example" not in seen.text
    delivery = re.search(r'href="(/console/deliveries/del_[0-9A-Z]+)"', seen.text)
    assert delivery is not None
    assert "Ada Example" not in (await browser.get(delivery[1])).text
    seen = await browser.post(f"{LIST}/{text}/resend", {"webhook": endpoint})
    assert "no longer kept" in (await browser.get(seen.goes_to or "")).text


@pytest.mark.shows("W12")
async def test_another_merchants_event_or_webhook_does_not_exist(world: ConsoleWorld) -> None:
    """Neither to read nor to send, nor to send to."""
    theirs, ours = await world.tenant("Theirs"), await world.tenant()
    their_webhook = await webhook(world, theirs)
    their_event, our_event = await published(world, theirs), await published(world, ours)
    browser = await signed_in(world, ours)
    await browser.get(LIST)
    for place in (their_event, ids.to_text(ids.EVENT, world.ids.new_event()), "nothing"):
        assert (await browser.get(f"{LIST}/{place}")).status == 404
        for act in ("resend", "expunge"):
            assert (await browser.post(f"{LIST}/{place}/{act}", {"webhook": "x"})).status == 404
    seen = await browser.post(f"{LIST}/{our_event}/resend", {"webhook": their_webhook})
    assert seen.status == 404
    assert their_event not in (await browser.get(LIST)).text


async def test_what_was_found_of_an_event_stands_on_its_page_and_marks_it(
    world: ConsoleWorld,
) -> None:
    """A merchant who misses an event looks here; the answer to its publisher is long gone."""
    merchant = await world.tenant()
    example = example_of("owngateway", "payment_succeeded")
    good = await published(world, merchant, type="payment_succeeded", data=example)
    text = await published(world, merchant, type="payment_succeded")
    browser = await signed_in(world, merchant, Role.VIEWER)
    listed = unescape((await browser.get(LIST)).text)
    marked = [row.split("</a>")[0] for row in listed.split("<tr>") if "1 finding<" in row]
    assert [text in row for row in marked] == [True]
    seen = unescape((await browser.get(f"{LIST}/{text}")).text)
    assert "<code>/type</code> No such event type is known. Did you mean payment_succeeded?" in seen
    assert "Findings" not in (await browser.get(f"{LIST}/{good}")).text
