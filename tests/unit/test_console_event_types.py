"""The catalogue in the console: the tree, a family, a type, and its example sent to a webhook."""

import re
from html import unescape

import pytest
from tests.support.browsing import Browser, ConsoleWorld
from tests.support.console_tenants import Rooms

from payhooks import ids
from payhooks.catalogue import CATALOGUE
from payhooks.control import merchants
from payhooks.control.context import SYSTEM
from payhooks.control.deliveries import TESTS_PER_MINUTE_MAX
from payhooks.control.merchants import MerchantDraft
from payhooks.model.event_type import Provenance
from payhooks.model.merchant import Merchant, Mode
from payhooks.model.user import Role

TREE = "/console/event-types"
SALE = f"{TREE}/merchant-console/transaction.sale.success"
_LINK = re.compile(rf'href="({TREE}/[^/"]+/[^"]+)"')


@pytest.fixture
def world() -> ConsoleWorld:
    """Return an installation without anybody."""
    return ConsoleWorld()


async def shop(
    world: ConsoleWorld,
    role: Role = Role.OWNER,
    *,
    mode: Mode = Mode.SANDBOX,
    families: tuple[str, ...] = ("merchant-console",),
) -> tuple[Merchant, Browser]:
    """Return a merchant of the merchant console, and a browser of somebody of its team."""
    draft = MerchantDraft(name="Harbour Coffee", families=families)
    merchant = await merchants.create(world.control, SYSTEM, mode, draft)
    return merchant, await Browser(world).sign_in(await world.person(merchant, role))


async def webhook(world: ConsoleWorld, merchant: Merchant, **members: object) -> str:
    """Make a webhook and return its printed id."""
    text: str = (await world.endpoint(ids.to_text(ids.MERCHANT, merchant.id), **members))["id"]
    return text


async def events_of(world: ConsoleWorld, merchant: Merchant) -> list[dict[str, str]]:
    """Return the merchant's events as the API lists them."""
    at = f"/v1/merchants/{ids.to_text(ids.MERCHANT, merchant.id)}/events"
    found: list[dict[str, str]] = (await world.call("GET", at)).json["data"]
    return found


async def test_every_type_has_its_page_and_the_tree_leads_to_it(world: ConsoleWorld) -> None:
    """A hundred pages that nobody would click through: each says where its words come from."""
    _merchant, browser = await shop(world, Role.VIEWER)
    tree = (await browser.get(TREE)).text
    linked = set(_LINK.findall(tree))
    assert linked == {f"{TREE}/{one.family}/{one.name}" for one in CATALOGUE.types}
    for type_ in CATALOGUE.types:
        seen = await browser.get(f"{TREE}/{type_.family}/{type_.name}")
        assert (seen.status, seen.heading) == (200, type_.name)
        text = unescape(seen.text)
        assert type_.words in text
        assert type_.note in text
        ours = type_.family == "payhooks"
        designed = type_.provenance is Provenance.DESIGNED and not ours
        told = "Designed by us: no document shows a sample." in text
        assert told is designed, type_.name
        assert all(alias in text for alias in type_.aliases)
    assert not world.bugs


@pytest.mark.parametrize(
    ("families", "first"),
    [
        pytest.param(("merchant-console",), ["Merchant console"], id="one"),
        pytest.param(("merchant-console", "foloosi"), ["Merchant console", "Foloosi"], id="two"),
        pytest.param((), ["Foloosi"], id="none"),
    ],
)
async def test_a_merchants_own_families_stand_first_and_one_is_open(
    world: ConsoleWorld, families: tuple[str, ...], first: list[str]
) -> None:
    """Whoever has one provider is not to look for it among five; all open fill twenty screens."""
    _merchant, browser = await shop(world, families=families)
    tree = (await browser.get(TREE)).text
    told = re.findall(r'<details class="more"( open)?><summary>([^<]+?) <', tree)
    assert [title for _opened, title in told[: len(first)]] == first
    assert told[0][0] == " open"
    assert told[-1] == ("", "Payhooks")
    assert {opened for opened, _title in told[1:]} == {""}


@pytest.mark.parametrize(
    ("word", "found"),
    [
        pytest.param("UNVOIDED", ["transaction.sale.unvoided"], id="in a name, in any case"),
        pytest.param("cardupdate.account_closed", ["cau.account_closed"], id="another name"),
        pytest.param("3DS (OTP)", ["payment_intent.checking_out"], id="in the words"),
        pytest.param("<nothing>", [], id="nowhere"),
    ],
)
async def test_the_tree_is_searched(world: ConsoleWorld, word: str, found: list[str]) -> None:
    """By what somebody remembers of it, in all families."""
    _merchant, browser = await shop(world, Role.SUPPORT)
    seen = await browser.get(f"{TREE}?q={word}")
    assert [place.rpartition("/")[2] for place in _LINK.findall(seen.text)] == found
    assert ("No event type has that in it" in seen.text) is (found == [])
    assert "<nothing>" not in seen.text


async def test_a_type_says_what_it_does_and_means(world: ConsoleWorld) -> None:
    """The picture, the states in words, the unified event or why there is none."""
    _merchant, browser = await shop(world)
    text = unescape((await browser.get(SALE)).text)
    assert "The document's words: “A sale transaction has been approved”" in text
    assert "<title>The life of transaction.sale</title>" in text
    assert "The issuer has approved it." in text
    assert "Nothing: Its approval was told as payment_succeeded" in text
    assert '"authcode": "538228"' in text
    assert re.search(r"<code>/amount_detail</code></td>\s*<td[^>]*>an object, required<", text)
    assert "style=" not in text


async def test_a_family_shows_its_flow_chart_and_what_its_documents_leave_open(
    world: ConsoleWorld,
) -> None:
    """The chart of the acquiring document is on no other page of ours."""
    _merchant, browser = await shop(world)
    text = (await browser.get(f"{TREE}/treezor")).text
    assert "Webhooks flow chart" in text
    assert "payin.create</text>" in text
    assert CATALOGUE.families["treezor"].notes[0] in unescape(text)
    assert (await browser.get(f"{TREE}/nobodys")).status == 404
    assert (await browser.get(f"{TREE}/treezor/payin.nothing")).status == 404


async def test_an_operators_own_type_is_shown_as_such(world: ConsoleWorld) -> None:
    """It has neither object nor life cycle, and what it says is nobody else's."""
    said = {"family": "house", "name": "till.opened", "words": "A <b>till</b> was opened."}
    assert (await world.call("POST", "/v1/event-types", said)).status == 201
    _merchant, browser = await shop(world)
    assert f'href="{TREE}/house/till.opened"' in (await browser.get(TREE)).text
    text = (await browser.get(f"{TREE}/house/till.opened")).text
    assert "A &lt;b&gt;till&lt;/b&gt; was opened." in text
    assert "Registered by whoever runs this installation." in text
    assert "The document's words" not in text
    assert "Send example" not in text


async def test_who_is_subscribed_is_told_and_who_is_not_may_be_added(world: ConsoleWorld) -> None:
    """A paused webhook hears of it later; a pattern counts as the type does."""
    merchant, browser = await shop(world)
    await webhook(world, merchant, label="By pattern", events=["transaction.*"])
    await webhook(world, merchant, label="Of another", events=["ach.*"])
    text = (await browser.get(SALE)).text
    [subscribed] = re.findall(r"Who is subscribed</h2>.*?</section>", text, re.DOTALL)
    assert "By pattern" in subscribed
    assert "Of another" not in subscribed
    text = (await browser.get(f"{TREE}/treezor/payin.update")).text
    assert 'href="/console/settings/webhooks/new?event=payin.update"' in text
    form = (await browser.get("/console/settings/webhooks/new?event=payin.update")).text
    assert 'name="events" value="payin.update" checked' in form
    form = (await browser.get('/console/settings/webhooks/new?event=">')).text
    assert "0 selected" in form


async def test_an_example_goes_to_the_webhook_that_was_chosen_alone(world: ConsoleWorld) -> None:
    """Whatever it has selected; and the others, who have selected the type, hear nothing."""
    merchant, browser = await shop(world, Role.DEVELOPER)
    await webhook(world, merchant, label="Hears of all", events=["*"])
    chosen = await webhook(world, merchant, label="Tried out", events=["ach.*"])
    await browser.get(SALE)
    seen = await browser.post(f"{SALE}/send", {"webhook": chosen})
    place = seen.goes_to or ""
    assert place.startswith(f"/console/settings/webhooks/{chosen}/test/del_")
    assert "Sent; no 2xx answer yet." in (await browser.get(place)).text
    [event] = await events_of(world, merchant)
    assert event["type"] == "transaction.sale.success"
    at = f"/v1/merchants/{ids.to_text(ids.MERCHANT, merchant.id)}/events/{event['id']}"
    told = (await world.call("GET", at)).json["data"]
    assert told["amount_detail"]["amount"] == "5.00"
    [delivery] = (await world.call("GET", f"{at}/deliveries")).json["data"]
    assert delivery["endpoint_id"] == chosen
    records = (await world.call("GET", f"{at.partition('/events')[0]}/audit-log")).json["data"]
    [tested] = [one for one in records if one["action"] == "endpoint.tested"]
    assert tested["changes"] == {"event": [None, event["id"]]}


async def test_in_production_no_example_is_sent(world: ConsoleWorld) -> None:
    """A server that ships goods would ship them; the page says so, and a form of old cannot."""
    merchant, browser = await shop(world, mode=Mode.LIVE)
    chosen = await webhook(world, merchant, url="https://shop.example/hooks")
    text = (await browser.get(SALE)).text
    assert "take it for real money" in text
    assert "/send" not in text
    seen = await browser.post(f"{SALE}/send", {"webhook": chosen})
    assert seen.status == 409
    assert "This merchant is live" in seen.text
    assert await events_of(world, merchant) == []


@pytest.mark.parametrize(
    ("place", "members", "words"),
    [
        pytest.param(SALE, {"dialect": "treezor"}, "exactly one member", id="it cannot carry it"),
        pytest.param(
            f"{TREE}/payhooks/webhook.disabled", {}, "no example of this", id="ours to say"
        ),
    ],
)
async def test_what_cannot_be_sent_is_told(
    world: ConsoleWorld, place: str, members: dict[str, object], words: str
) -> None:
    """In a sentence, and nothing is stored of it."""
    merchant, browser = await shop(world)
    chosen = await webhook(world, merchant, **members)
    await browser.get(SALE)
    rooms = Rooms(world)
    before = rooms.kept()
    seen = await browser.post(f"{place}/send", {"webhook": chosen})
    assert (seen.status, words in seen.text) == (409, True)
    assert rooms.kept() == before


async def test_examples_are_sent_at_a_pace_and_by_who_may_edit_webhooks(
    world: ConsoleWorld,
) -> None:
    """As test events are: a URL that somebody just typed may be anybody's."""
    merchant, browser = await shop(world)
    chosen = await webhook(world, merchant)
    await browser.get(SALE)
    printed = ids.to_text(ids.MERCHANT, merchant.id)
    for _ in range(TESTS_PER_MINUTE_MAX):
        # What is sold meanwhile is no test.
        await world.publish(printed, type="transaction.sale.success", data={})
    for _ in range(TESTS_PER_MINUTE_MAX):
        assert (await browser.post(f"{SALE}/send", {"webhook": chosen})).status == 303
    # Of whatever type: there are more types than anybody's server wants requests.
    other = f"{TREE}/owlpay/order.received"
    seen = await browser.post(f"{other}/send", {"webhook": chosen})
    assert seen.status == 409
    assert "times a minute" in seen.text
    support = await Browser(world).sign_in(await world.person(merchant, Role.SUPPORT))
    assert "Your role lets you look." in (await support.get(SALE)).text
    assert (await support.post(f"{SALE}/send", {"webhook": chosen})).status == 403
