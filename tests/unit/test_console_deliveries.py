"""Deliveries in the console: who may see and do what, what is said, and what is never said."""

import re
from datetime import timedelta
from html import unescape

import pytest
from tests.support.api_world import finish
from tests.support.browsing import Browser, ConsoleWorld

from payhooks import ids
from payhooks.console.story import ADVICE
from payhooks.model.attempt import Reason
from payhooks.model.delivery import Trigger
from payhooks.model.merchant import Merchant
from payhooks.model.user import Role

LIST = "/console/deliveries"


@pytest.fixture
def world() -> ConsoleWorld:
    """Return an installation without anybody."""
    return ConsoleWorld()


async def shop(world: ConsoleWorld, name: str = "Acme", **members: object) -> Merchant:
    """Return a merchant with one webhook that selects everything."""
    merchant = await world.tenant(name)
    await world.endpoint(ids.to_text(ids.MERCHANT, merchant.id), label="Ledger", **members)
    return merchant


async def published(world: ConsoleWorld, merchant: Merchant, **members: object) -> str:
    """Publish an event and return the printed id of its only delivery."""
    answer = await world.publish(ids.to_text(ids.MERCHANT, merchant.id), **members)
    event_id = ids.from_text(ids.EVENT, answer.json["id"])
    assert event_id is not None
    return ids.to_text(ids.DELIVERY, ids.delivery_id(ids.EventId(event_id), 1))


async def signed_in(world: ConsoleWorld, merchant: Merchant, role: Role = Role.OWNER) -> Browser:
    return await Browser(world).sign_in(await world.person(merchant, role))


async def test_a_failed_delivery_is_found_told_and_replayed(world: ConsoleWorld) -> None:
    """The story that the console is there for: from the list to why, and to the result."""
    merchant = await shop(world)
    text = await published(world, merchant)
    await finish(world, Trigger.GIVE_UP)
    browser = await signed_in(world, merchant, Role.SUPPORT)

    seen = await browser.get(f"{LIST}?status=failed")
    assert f'href="{LIST}/{text}"' in seen.text
    seen = await browser.get(f"{LIST}/{text}")
    assert "Your server answered 503." in unescape(seen.text)
    assert ADVICE[Reason.HTTP_5XX] in unescape(seen.text)
    seen = await browser.post(f"{LIST}/{text}/replay")
    assert seen.status == 303
    after = seen.goes_to or ""
    assert "The replay is on its way." in (await browser.get(after)).text
    await finish(world, Trigger.SUCCEED)
    assert "Fixed: the replay was delivered." in (await browser.get(after)).text
    merchant_text = ids.to_text(ids.MERCHANT, merchant.id)
    assert "delivery.retried" in await world.audit_actions(merchant_text)


async def test_a_replay_that_fails_again_says_so(world: ConsoleWorld) -> None:
    """Who mended the wrong thing must not be told that it works."""
    merchant = await shop(world)
    text = await published(world, merchant)
    await finish(world, Trigger.GIVE_UP)
    browser = await signed_in(world, merchant)
    await browser.get(f"{LIST}/{text}")
    after = (await browser.post(f"{LIST}/{text}/replay")).goes_to or ""
    await finish(world, Trigger.GIVE_UP)
    assert "Still failing." in (await browser.get(after)).text


async def test_what_its_dialect_could_not_say_can_be_replayed_once_that_is_mended(
    world: ConsoleWorld,
) -> None:
    """Its page says to mend the cause and replay it; nothing can be shown of a request then."""
    merchant = await shop(world, dialect="treezor")
    text = await published(world, merchant)
    await finish(world, Trigger.GIVE_UP)
    browser = await signed_in(world, merchant, Role.SUPPORT)
    seen = await browser.get(f"{LIST}/{text}")
    assert "cannot say this event, so nothing was sent" in seen.text
    assert f'action="{LIST}/{text}/replay"' in seen.text


async def test_a_replay_that_a_resting_webhook_holds_back_says_so(world: ConsoleWorld) -> None:
    """After an outage the webhook rests: a next attempt "a minute ago" would explain nothing."""
    merchant = await shop(world)
    text = await published(world, merchant)
    await finish(world, Trigger.GIVE_UP)
    browser = await signed_in(world, merchant)
    await browser.get(f"{LIST}/{text}")
    await browser.post(f"{LIST}/{text}/replay")
    seen = await browser.get(f"{LIST}/{text}")
    assert "The next attempt is" in seen.text
    assert "It is due" not in seen.text
    world.clock.advance(timedelta(minutes=1))
    seen = await browser.get(f"{LIST}/{text}")
    assert "The next attempt is" not in seen.text
    assert "It is due" in seen.text
    assert "click Pause and Resume there" in seen.text


async def test_a_viewer_sees_no_way_to_replay_and_is_refused_one(world: ConsoleWorld) -> None:
    """A button that is only hidden is no permission."""
    merchant = await shop(world)
    text = await published(world, merchant)
    await finish(world, Trigger.GIVE_UP)
    browser = await signed_in(world, merchant, Role.VIEWER)
    for place in (LIST, f"{LIST}/{text}"):
        seen = await browser.get(place)
        assert seen.status == 200
        assert not re.search(r'(?:form)?action="[^"]*/(?:replay|cancel)"', seen.text)
        assert "Recover" not in seen.text
    for place in (f"{LIST}/{text}/replay", f"{LIST}/{text}/cancel", f"{LIST}/replay"):
        assert (await browser.post(place)).status == 403


@pytest.mark.shows("W12")
async def test_another_merchants_delivery_does_not_exist(world: ConsoleWorld) -> None:
    """Neither its page nor anything that can be done with it."""
    theirs = await shop(world, "Theirs")
    text = await published(world, theirs)
    browser = await signed_in(world, await shop(world))
    await browser.get(LIST)
    never = ids.to_text(ids.DELIVERY, ids.delivery_id(world.ids.new_event(), 1))
    for place in (text, never, "nothing"):
        assert (await browser.get(f"{LIST}/{place}")).status == 404
        assert (await browser.post(f"{LIST}/{place}/replay")).status == 404
        assert (await browser.post(f"{LIST}/{place}/cancel")).status == 404
        seen = await browser.post(f"{LIST}/replay", {"delivery": place})
        assert seen.status == 404
    assert text not in (await browser.get(LIST)).text


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("status=lost", id="no such state"),
        pytest.param("webhook=ep_1", id="no id"),
        pytest.param("type=a..b", id="no pattern"),
        pytest.param("reason=bad+luck", id="no such reason"),
        pytest.param("from=yesterday", id="no time"),
        pytest.param("to=0001-01-01T00:00%2B23:59", id="a time before all time"),
        pytest.param("from=2026-01-02T00:00&to=2026-01-01T00:00", id="a span that ends first"),
        pytest.param("after=evt_1", id="no place"),
    ],
)
async def test_a_filter_that_cannot_be_read_is_refused(world: ConsoleWorld, query: str) -> None:
    """Dropped silently it would list more than was asked for."""
    merchant = await shop(world)
    text = await published(world, merchant)
    browser = await signed_in(world, merchant)
    seen = await browser.get(f"{LIST}?{query}")
    assert seen.status == 422
    assert text not in seen.text


async def test_a_search_goes_where_the_thing_is(world: ConsoleWorld) -> None:
    """By delivery, by event, else by the object of the payment."""
    merchant = await shop(world)
    text = await published(world, merchant)
    delivery_id = ids.from_text(ids.DELIVERY, text)
    assert delivery_id is not None
    event = ids.to_text(ids.EVENT, ids.event_id_of(ids.DeliveryId(delivery_id)))
    browser = await signed_in(world, merchant)
    for typed, place in (
        (text, f"{LIST}/{text}"),
        (event, f"/console/events/{event}"),
        ("pay_1/ä", "/console/events?object=pay_1%2F%C3%A4"),
    ):
        seen = await browser.send("GET", f"{LIST}?q={typed.replace('ä', '%C3%A4')}")
        assert seen.goes_to == place


async def test_the_list_goes_on_where_it_stopped(world: ConsoleWorld) -> None:
    """Every delivery is on one page or another, once, and the filter holds on all of them."""
    merchant = await shop(world)
    made = {await published(world, merchant) for _ in range(101)}
    browser = await signed_in(world, merchant)
    found: list[str] = []
    place: str | None = f"{LIST}?status=scheduled"
    for _ in range(3):
        assert place is not None
        assert "status=scheduled" in place
        seen = await browser.get(place)
        found += re.findall(r'name="delivery" value="(del_[0-9A-Z]+)"', seen.text)
        link = re.search(r'href="([^"]+)" rel="next"', seen.text)
        place = unescape(link[1]) if link else None
    assert place is None
    assert len(found) == len(made)
    assert set(found) == made


@pytest.mark.shows("W10")
async def test_what_is_selected_is_replayed_after_a_fresh_factor(world: ConsoleWorld) -> None:
    """Many at once may be many payments handled twice, so a person says who they are first."""
    merchant = await shop(world)
    texts = [await published(world, merchant) for _ in range(3)]
    await finish(world, Trigger.GIVE_UP)
    user = await world.person(merchant)
    browser = await Browser(world).sign_in(user)
    world.advance(400)
    await browser.get(LIST)
    fields = [("delivery", texts[0]), ("delivery", texts[1]), ("next", f"{LIST}?status=failed")]
    seen = await browser.post(f"{LIST}/replay", fields)
    assert (seen.status, seen.heading) == (403, "Two-factor authentication")
    code = await world.code(user)
    seen = await browser.post(f"{LIST}/replay", [*fields, ("second_factor", code)])
    assert seen.goes_to == f"{LIST}?status=failed"
    left = (await browser.get(seen.goes_to)).text
    assert "2 of 2 deliveries are on their way again." in left
    assert [text in left for text in texts] == [False, False, True]


async def test_a_waiting_delivery_can_be_called_off_once(world: ConsoleWorld) -> None:
    """The second time it is over, which is said and no error page."""
    merchant = await shop(world)
    text = await published(world, merchant)
    browser = await signed_in(world, merchant)
    assert "Cancel this delivery?" in (await browser.get(f"{LIST}/{text}")).text
    for said in ("The delivery is cancelled.", "This delivery is over already."):
        seen = await browser.post(f"{LIST}/{text}/cancel")
        assert said in (await browser.get(seen.goes_to or "")).text


@pytest.mark.parametrize(
    ("authentication", "masked", "in_curl"),
    [
        pytest.param(
            {"type": "basic", "username": "o'hara", "password": "hunter2-hunter2"},
            "authorization: Basic ••••",
            """-u 'o'"'"'hara:'"$WEBHOOK_SECRET\"""",
            id="basic",
        ),
        pytest.param(
            {"type": "bearer", "token": "hunter2-hunter2"},
            "authorization: Bearer ••••",
            """-H 'authorization: Bearer '"$WEBHOOK_SECRET\"""",
            id="bearer",
        ),
        pytest.param(
            {"type": "header", "name": "x-key", "value": "hunter2-hunter2"},
            "x-key: ••••",
            """-H 'x-key: '"$WEBHOOK_SECRET\"""",
            id="header",
        ),
    ],
)
async def test_the_request_is_shown_without_what_authenticates_us(
    world: ConsoleWorld, authentication: dict[str, str], masked: str, in_curl: str
) -> None:
    """Support reads this page, and must not learn a password from it."""
    merchant = await shop(world, authentication=authentication)
    text = await published(world, merchant)
    await finish(world, Trigger.GIVE_UP)
    browser = await signed_in(world, merchant, Role.SUPPORT)
    seen = unescape((await browser.get(f"{LIST}/{text}")).text)
    assert masked in seen
    assert in_curl in seen
    assert f"webhook-id: {text}" in seen
    assert "webhook-signature: v1," in seen
    for part in ("request", "response", "timing", "signature"):
        page = (await browser.get(f"{LIST}/{text}?view={part}")).text
        assert "hunter2" not in page
        assert "whsec_" not in page


@pytest.mark.parametrize(
    ("role", "sees"),
    [(Role.OWNER, True), (Role.DEVELOPER, True), (Role.SUPPORT, False), (Role.VIEWER, False)],
)
async def test_headers_of_the_webhook_are_read_by_who_may_write_them(
    world: ConsoleWorld,
    role: Role,
    sees: bool,  # noqa: FBT001 - a table's column
) -> None:
    """People put keys into them, though the form says that they are not for secrets."""
    merchant = await shop(world, headers={"X-Gateway-Key": "hunter2-hunter2"})
    text = await published(world, merchant)
    await finish(world, Trigger.GIVE_UP)
    browser = await signed_in(world, merchant, role)
    for part in ("request", "response", "timing", "signature"):
        seen = unescape((await browser.get(f"{LIST}/{text}?view={part}")).text).lower()
        assert ("hunter2" in seen) is sees
        assert ("x-gateway-key: ••••••••" in seen) is not sees


async def test_the_signature_is_verified_step_by_step(world: ConsoleWorld) -> None:
    """With the words of the receiver's own tool, so that both sides speak of the same steps."""
    merchant = await shop(world)
    text = await published(world, merchant)
    await finish(world, Trigger.GIVE_UP)
    browser = await signed_in(world, merchant)
    seen = (await browser.get(f"{LIST}/{text}?view=signature")).text
    assert "✓ webhook-signature" in seen
    assert "✗" not in seen


@pytest.mark.shows("W1")
async def test_what_a_server_answered_is_text(world: ConsoleWorld) -> None:
    """An answer is written by a stranger: markup in it stays text, and bytes do no harm."""
    merchant = await shop(world)
    text = await published(world, merchant, type="x", data={"a": "<script>alert(1)</script>"})
    await finish(world, Trigger.GIVE_UP)
    browser = await signed_in(world, merchant)
    for part in ("request", "response"):
        seen = await browser.get(f"{LIST}/{text}?view={part}")
        assert seen.status == 200
        assert "<script>alert" not in seen.text


async def test_a_live_list_that_did_not_change_is_not_sent_again(world: ConsoleWorld) -> None:
    """It is asked for every three seconds by everybody who has it open."""
    merchant = await shop(world)
    await published(world, merchant)
    browser = await signed_in(world, merchant)
    headers = {"x-partial": "1", "x-live": "1"}
    seen = await browser.get(f"{LIST}?live=1", headers)
    assert seen.text.lstrip().startswith('<div id="rows" data-live=')
    tag = seen.header("etag") or ""
    again = await browser.get(f"{LIST}?live=1", {**headers, "if-none-match": tag})
    assert (again.status, again.text) == (304, "")
    await published(world, merchant)
    again = await browser.get(f"{LIST}?live=1", {**headers, "if-none-match": tag})
    assert again.status == 200


async def test_lists_say_what_to_do_where_there_is_nothing(world: ConsoleWorld) -> None:
    """An empty table explains nothing."""
    browser = await signed_in(world, await shop(world))
    assert "No deliveries yet" in (await browser.get(LIST)).text
    assert "No delivery matches" in (await browser.get(f"{LIST}?status=failed")).text


def test_there_is_advice_for_every_reason() -> None:
    """A failure without a way on is where a merchant calls."""
    assert set(ADVICE) == set(Reason)
