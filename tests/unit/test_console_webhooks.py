"""Settings → Webhooks without a browser: what each form does, to whom, and what it refuses."""

import re
from pathlib import Path

import pytest
from tests.support.browsing import Browser, ConsoleWorld
from tests.support.snippets import snippets_in
from tests.support.webhook_shop import GOOD, LIST, PARTIAL, Shop, at, filled, in_order, shop_of

from payhooks import ids
from payhooks.console.pages.webhooks_proof import snippets
from payhooks.control import endpoints, keys, secrets
from payhooks.control.context import SYSTEM
from payhooks.control.endpoint_draft import EndpointDraft
from payhooks.control.keys import KeyDraft
from payhooks.dialects.registry import DIALECTS
from payhooks.model.endpoint import SignatureType
from payhooks.model.key import Scope
from payhooks.model.user import Role


@pytest.fixture
async def shop() -> Shop:
    """Return a shop whose owner has just given a second factor."""
    return await shop_of(ConsoleWorld())


@pytest.mark.shows("M06")
async def test_the_form_has_the_documents_words_in_its_order(shop: Shop) -> None:
    """Merchants follow the manual of their console; another word is a call to support."""
    seen = await shop.browser.get(f"{LIST}/new")
    assert seen.heading == "Add Webhook"
    labels = (">Events<", ">Authentication<", "Basic", "Username", "Password", ">Signature<")
    first = ("All of the fields are required", "Webhook Label", "Hook URL")
    last = (">Source Key<", ">Signature Key<", ">Close<", ">Add Hook<")
    assert in_order(seen.text, (*first, *labels, *last))


async def test_a_webhook_is_added_with_all_that_was_said(shop: Shop) -> None:
    """What the form drops silently is missed when the first payment is."""
    endpoint = await shop.added(
        retry_policy="standard", rate_limit="2,5", timeout_s="7", headers="X-Shop: 1\r\nX-Two: b"
    )
    assert endpoint.label == "Shop"
    assert endpoint.events == ("ach.settled",)
    assert endpoint.authentication.username == "oms"
    assert await shop.password(endpoint) == "correct horse"
    assert endpoint.signature.type is SignatureType.SIGNATURE_KEY
    assert (endpoint.dialect, endpoint.retry_policy) == ("merchant-console", "standard")
    assert (endpoint.rate_limit_per_s, endpoint.timeout_s) == (2.5, 7.0)
    assert endpoint.headers == (("X-Shop", "1"), ("X-Two", "b"))
    [entry] = await shop.world.store.audit_latest(shop.merchant.id, before=None, limit=1)
    assert entry.entry.actor.startswith("user:")


async def test_a_source_key_is_chosen_by_its_name(shop: Shop) -> None:
    """The merchant knows its keys by label; only one that may sign is offered."""
    for label, signing in (("Till", True), ("Reader", False)):
        draft = KeyDraft(label=label, scopes=(Scope.EVENTS_READ,), signing=signing)
        made = await keys.create(shop.world.control, SYSTEM, shop.merchant, draft)
        if signing:
            till = made.key
    page = await shop.browser.get(f"{LIST}/new")
    assert f"Till (…{till.hint})" in page.text
    assert "Reader" not in page.text
    endpoint = await shop.added(signature="source_key", key_id=ids.to_text(ids.KEY, till.id))
    assert endpoint.signature.key_id == till.id
    unnamed = await shop.browser.post(LIST, {**GOOD, "signature": "source_key"})
    assert (unnamed.status, "Choose which Source Key signs." in unnamed.text) == (422, True)


WRONG = [
    pytest.param("label", "", "This must not be empty.", id="no label"),
    pytest.param("label", "x" * 500, "At most", id="a label without end"),
    pytest.param("label", "a\u202eb", "Control characters", id="a label that turns around"),
    pytest.param("url", "", 'id="url-wrong"', id="no URL"),
    pytest.param("url", "javascript:alert(1)", 'id="url-wrong"', id="a script for a URL"),
    pytest.param("url", "https://10.0.0.1/", 'id="url-wrong"', id="an address of a private net"),
    pytest.param("events", "no such*type", "Use an event type", id="no pattern"),
    pytest.param("username", "a:b", "A colon is not allowed here.", id="a colon in the name"),
    pytest.param("password", "", "at least one", id="no password"),
    pytest.param("authentication", "kerberos", "Choose one of these.", id="no such scheme"),
    pytest.param("authentication", "bearer", "Choose None or Basic.", id="a scheme of the API"),
    pytest.param("signature", "blood", "Choose one of these.", id="no such signer"),
    pytest.param("dialect", "esperanto", "No such dialect.", id="no such dialect"),
    pytest.param("ordering", "random", "Choose one of these.", id="no such order"),
    pytest.param("rate_limit", "many", "This is a number", id="words for a rate"),
    pytest.param("rate_limit", "nan", "This is between", id="a rate that is no number"),
    pytest.param("timeout_s", "1e9", "This is between", id="a time-out of years"),
    pytest.param("headers", "no colon", "One on each line", id="a header without a value"),
    pytest.param("headers", "X-Signature: mine", "writes this header", id="the dialect's header"),
    pytest.param("dialect_options", "time_zone = Mars/Base", "", id="a zone of another planet"),
]


@pytest.mark.shows("M09")
@pytest.mark.parametrize(("field", "text", "words"), WRONG)
async def test_what_cannot_be_is_said_beside_its_field_and_nothing_is_lost(
    shop: Shop, field: str, text: str, words: str
) -> None:
    """A form that forgets what was typed is filled in once, and wrongly."""
    seen = await shop.browser.post(LIST, {**GOOD, "label": "Kept", field: text})
    assert seen.status == 422
    assert words in seen.text
    assert f'href="#{field}"' in seen.text
    if field != "label":
        assert 'value="Kept"' in seen.text
    if field != "events":
        assert 'value="ach.settled" checked' in seen.text
    assert await shop.all() == []
    assert shop.world.bugs == []


@pytest.mark.shows("W1")
async def test_typed_markup_stays_text(shop: Shop) -> None:
    """A label is shown to the whole team; a script in it would act as each of them."""
    endpoint = await shop.added(label='<b onclick="x">"&\'')
    for path in (LIST, at(endpoint), at(endpoint, "/edit")):
        seen = await shop.browser.get(path)
        assert seen.status == 200
        assert "<b onclick" not in seen.text


@pytest.mark.shows("W10")
async def test_the_key_is_shown_once_and_only_to_a_fresh_factor(shop: Shop) -> None:
    """Who finds the browser open must not take the key along."""
    [known] = await secrets.reveal_signature_key(shop.world.control, SYSTEM, shop.merchant)
    seen = await shop.browser.post(LIST, GOOD)
    assert known.text in seen.text
    shop.wait_past_fresh()
    later = await shop.browser.post(LIST, {**GOOD, "label": "Later"})
    assert "Reveal Signature Key" in later.text
    [endpoint, _first] = await shop.all()
    for page in (later, await shop.browser.get(at(endpoint, "?tab=settings"))):
        assert known.text not in page.text
    asked = await shop.browser.post(at(endpoint, "/secret"))
    assert (asked.status, asked.heading) == (403, "Two-factor authentication")


async def test_a_webhook_is_paused_resumed_and_tested(shop: Shop) -> None:
    """The buttons of the page do what the API does."""
    endpoint = await shop.added()
    for to, status in (("pause", "paused"), ("resume", "active")):
        assert (await shop.browser.post(at(endpoint, "/move"), {"to": to})).status == 303
        assert (await shop.stored(endpoint)).status == status
    assert (await shop.browser.post(at(endpoint, "/move"), {"to": "fly"})).status == 422
    sent = await shop.browser.post(at(endpoint, "/test"))
    shown = await shop.browser.get(sent.goes_to or "")
    assert "Sent; no 2xx answer yet." in shown.text
    part = await shop.browser.post(at(endpoint, "/test"), headers=PARTIAL)
    assert part.text.startswith('<div id="test"')
    listed = await shop.browser.get(at(endpoint))
    assert "webhook.test" in listed.text
    assert "Deliveries" in listed.text


async def test_own_secret_is_rotated_with_a_grace(shop: Shop) -> None:
    """A secret that was seen by too many must go without a delivery lost."""
    control = shop.world.control
    draft = EndpointDraft(label="Own", url="https://own.example.com/", events=("*",))
    endpoint, first = await endpoints.create(control, SYSTEM, shop.merchant, draft)
    page = await shop.browser.get(at(endpoint, "?tab=settings"))
    assert "Own secret" in page.text
    seen = await shop.browser.post(at(endpoint, "/rotate"), {"grace": "3600"})
    found = await secrets.reveal_endpoint_secret(control, SYSTEM, endpoint)
    assert [one.text in seen.text for one in found] == [True, True]
    assert found[1].text == first.text
    assert (await shop.browser.post(at(endpoint, "/rotate"), {"grace": "5"})).status == 422
    kept = filled(endpoint, label="Renamed", signature="endpoint_secret")
    assert (await shop.browser.post(at(endpoint, "/edit"), kept)).status == 303


async def test_what_a_role_may_not_do_is_neither_shown_nor_done() -> None:
    """A viewer reads; a button that then refuses is a trap."""
    world = ConsoleWorld()
    owner = await shop_of(world)
    endpoint = await owner.added()
    for role in (Role.VIEWER, Role.SUPPORT):
        user = await world.person(owner.merchant, role)
        browser = await Browser(world).sign_in(user)
        for path in (LIST, at(endpoint), at(endpoint, "?tab=settings")):
            seen = await browser.get(path)
            assert seen.status == 200
            for words in ("Add Webhook", "Edit", "Pause", "Send test event", "Reveal"):
                assert words not in seen.text
        assert (await browser.get(at(endpoint, "/edit"))).status == 403
        for step in ("/edit", "/delete", "/reset", "/close", "/move", "/test", "/secret"):
            refused = await browser.post(at(endpoint, step), filled(endpoint, to="pause"))
            assert refused.status == 403, step
    assert await owner.stored(endpoint) == endpoint


@pytest.mark.shows("W12")
async def test_another_merchants_webhook_does_not_exist() -> None:
    """An id that leaked must open nothing."""
    world = ConsoleWorld()
    endpoint = await (await shop_of(world)).added()
    stranger = await shop_of(world)
    for step in ("", "/edit", "?tab=activity"):
        assert (await stranger.browser.get(at(endpoint, step))).status == 404
    for step in ("/edit", "/delete", "/reset", "/close", "/move", "/test", "/secret", "/rotate"):
        answer = await stranger.browser.post(at(endpoint, step), filled(endpoint))
        assert answer.status == 404, step
    assert endpoint.label not in (await stranger.browser.get(LIST)).text


@pytest.mark.shows("W2")
async def test_no_form_of_another_page_is_taken(shop: Shop) -> None:
    """Another site must not be able to add a webhook in the merchant's name."""
    endpoint = await shop.added()
    for path in (LIST, at(endpoint, "/edit"), at(endpoint, "/delete")):
        assert (await shop.browser.post(path, filled(endpoint), token="0" * 64)).status == 403
    assert [one.label for one in await shop.all()] == ["Shop"]


async def test_patterns_that_no_box_stands_for_stay_selected(shop: Shop) -> None:
    """The API took a pattern; saving the form for its label must not drop it."""
    draft = EndpointDraft(label="Api", url="https://a.example.com/", events=("payment_*", "*"))
    control = shop.world.control
    endpoint, _secret = await endpoints.create(control, SYSTEM, shop.merchant, draft)
    page = await shop.browser.get(at(endpoint, "/edit"))
    ticked = re.findall(r'name="events" value="([^"]+)" checked', page.text)
    assert set(ticked) == {"payment_*", "*"}
    form = [*filled(endpoint, signature="endpoint_secret").items()]
    form = [pair for pair in form if pair[0] != "events"] + [("events", one) for one in ticked]
    assert (await shop.browser.post(at(endpoint, "/close"), form)).goes_to == LIST


@pytest.mark.shows("M15")
async def test_only_the_families_of_the_merchant_are_offered(shop: Shop) -> None:
    """Twenty-five events can be read; a hundred of other providers cannot."""
    page = await shop.browser.get(f"{LIST}/new")
    offered = set(re.findall(r'name="events" value="([^"*]+)"', page.text))
    assert len(offered) == 25
    assert "transaction.sale.success" in offered
    assert "payment_intent.failed" not in offered
    assert 'value="merchant-console" selected' in page.text


async def test_a_dialect_that_cannot_carry_everything_is_named(shop: Shop) -> None:
    """With all events selected its deliveries fail, and nothing in the form says why."""
    text = (await shop.browser.get(f"{LIST}/new")).text
    assert "Select only events of its own family with treezor:" in text


async def test_a_part_is_asked_for_by_our_script_alone(shop: Shop) -> None:
    """The same template answers both; a dialog without its page, or two frames, would show."""
    whole = await shop.browser.get(f"{LIST}/new")
    part = await shop.browser.get(f"{LIST}/new", headers=PARTIAL)
    assert "<html" in whole.text
    assert '<dialog id="webhook"' not in whole.text
    assert part.text.lstrip().startswith('<div id="modal">')
    assert '<dialog id="webhook"' in part.text


def test_the_snippets_are_those_of_the_documentation() -> None:
    """Those of the docs are run against every dialect; others would only look right."""
    docs = Path(__file__).parents[2] / "docs" / "dialects"
    for dialect in set(DIALECTS) - {"custom", "hyperswitch"}:
        told = snippets_in((docs / f"{dialect}.md").read_text(encoding="utf-8"))
        assert dict(snippets(dialect)) == told
    assert 'dialect="hyperswitch"' in dict(snippets("hyperswitch"))["The SDK"]
    assert snippets("../../../etc/passwd") == ()
