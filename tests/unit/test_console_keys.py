"""API keys, Source Keys and the Signature Key in the console."""

import re
from datetime import timedelta

import pytest
from tests.support.browsing import Browser, ConsoleWorld

from payhooks import ids, limits
from payhooks.console.pages.keys import PERMISSIONS
from payhooks.control import secrets
from payhooks.control.context import SYSTEM
from payhooks.model.key import Scope
from payhooks.model.merchant import Merchant
from payhooks.model.user import Role
from payhooks.ports.controlling import Window

LIST = "/console/settings/keys"
SHOWN = re.compile(r"phk_sandbox_[A-Za-z0-9_]+")
FIELDS = [
    ("label", "Till"),
    ("expires_in", "90"),
    ("scopes", "events:write"),
    ("scopes", "events:read"),
]


@pytest.fixture
async def world() -> ConsoleWorld:
    """Return an installation."""
    return ConsoleWorld()


@pytest.fixture
async def merchant(world: ConsoleWorld) -> Merchant:
    """Return a merchant of it."""
    return await world.tenant()


@pytest.fixture
async def owner(world: ConsoleWorld, merchant: Merchant) -> Browser:
    """Return the browser of an owner, who has just given a second factor."""
    return await signed_in(world, merchant, Role.OWNER)


async def signed_in(world: ConsoleWorld, merchant: Merchant, role: Role) -> Browser:
    browser = await Browser(world).sign_in(await world.person(merchant, role))
    await browser.get(LIST)
    return browser


def printed(merchant: Merchant) -> str:
    return ids.to_text(ids.MERCHANT, merchant.id)


async def test_a_key_is_shown_once_and_opens_what_it_was_made_for(
    world: ConsoleWorld, merchant: Merchant, owner: Browser
) -> None:
    """Whoever makes a key has to be able to use it, and nobody may read it later."""
    made = await owner.post(LIST, FIELDS)
    assert (made.status, made.heading) == (200, "The key is made")
    [text] = set(SHOWN.findall(made.text))
    here = f"/v1/merchants/{printed(merchant)}"
    assert (await world.call("GET", f"{here}/events", key=text)).status == 200
    assert (await world.call("GET", f"{here}/endpoints", key=text)).status == 403
    listed = await owner.get(LIST)
    assert "Till" in listed.text
    assert text not in listed.text
    [key] = await world.store.keys(merchant.id, Window(limit=5))
    assert key.expires_at == key.created_at + timedelta(days=90)
    assert (await world.audit_actions(printed(merchant)))[-1] == "key.created"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param([("label", ""), *FIELDS[1:]], "label", id="no label"),
        pytest.param([("label", "x" * 81), *FIELDS[1:]], "label", id="a label too long"),
        pytest.param(FIELDS[:2], "at least one permission", id="no permission"),
        pytest.param([*FIELDS, ("scopes", "operator")], "permissions listed", id="operator"),
        pytest.param([*FIELDS, ("scopes", "all")], "permissions listed", id="unknown scope"),
        pytest.param([FIELDS[0], ("expires_in", "-1"), FIELDS[2]], "expires", id="expiry"),
    ],
)
async def test_a_key_that_cannot_be_made_keeps_what_was_typed(
    world: ConsoleWorld,
    merchant: Merchant,
    owner: Browser,
    fields: list[tuple[str, str]],
    words: str,
) -> None:
    """Nobody fills a form twice because of one field."""
    seen = await owner.post(LIST, fields)
    assert (seen.status, seen.heading) == (422, "Create key")
    assert words in seen.text
    assert f'value="{fields[0][1]}"' in seen.text
    assert await world.store.keys(merchant.id, Window(limit=5)) == []


async def test_a_revoked_key_opens_nothing_and_stays_in_the_list(
    world: ConsoleWorld, merchant: Merchant, owner: Browser
) -> None:
    """A key on a lost laptop has to stop at once, and its past has to stay readable."""
    text = await world.key(printed(merchant), "events:read")
    [key] = await world.store.keys(merchant.id, Window(limit=5))
    place = f"{LIST}/{ids.to_text(ids.KEY, key.id)}/revoke"
    assert (await owner.post(place)).goes_to == LIST
    seen = await owner.get(LIST)
    assert "A key is revoked." in seen.text
    assert ">Revoked<" in seen.text
    answer = await world.call("GET", f"/v1/merchants/{printed(merchant)}/events", key=text)
    assert answer.status == 401


async def test_a_source_key_that_signs_names_its_webhook_and_stays(
    world: ConsoleWorld, merchant: Merchant, owner: Browser
) -> None:
    """Without the key the webhook's deliveries could not be signed any more."""
    await world.key(printed(merchant), "events:read", signing=True)
    [key] = await world.store.keys(merchant.id, Window(limit=5))
    key_id = ids.to_text(ids.KEY, key.id)
    signature = {"type": "source_key", "key_id": key_id}
    await world.endpoint(printed(merchant), label="Ledger <b>", signature=signature)
    listed = await owner.get(LIST)
    assert "signs Ledger &lt;b&gt;" in listed.text
    assert f"{key_id}/revoke" not in listed.text
    refused = await owner.post(f"{LIST}/{key_id}/revoke")
    assert (refused.status, refused.heading) == (409, "API keys")
    assert "An endpoint signs with this key" in refused.text


async def test_the_signature_key_is_revealed_on_record(
    world: ConsoleWorld, merchant: Merchant, owner: Browser
) -> None:
    """Who has looked at a secret is asked first when it leaks."""
    assert (await owner.get(LIST)).text.count("Reveal Signature Key") == 1
    seen = await owner.post(f"{LIST}/signature-key/reveal")
    [key] = await secrets.reveal_signature_key(world.control, SYSTEM, merchant)
    assert key.text in seen.text
    assert seen.header("cache-control") == "no-store"
    actions = await world.audit_actions(printed(merchant))
    assert actions[-2:] == ["signature_key.revealed", "signature_key.revealed"]


async def test_the_signature_key_rotates_with_the_grace_that_was_chosen(
    world: ConsoleWorld, merchant: Merchant, owner: Browser
) -> None:
    """Receivers change keys one after the other; the old one has to count meanwhile."""
    seen = await owner.post(f"{LIST}/signature-key/rotate", {"grace": "3600"})
    new, old = await secrets.reveal_signature_key(world.control, SYSTEM, merchant)
    assert new.text in seen.text
    assert old.text not in seen.text
    assert old.expires_at == world.clock.now() + timedelta(hours=1)
    for grace in ("", "-1", "99999999", "1e3"):
        refused = await owner.post(f"{LIST}/signature-key/rotate", {"grace": grace})
        assert (refused.status, refused.heading) == (422, "API keys")


@pytest.mark.parametrize(
    ("role", "buttons"),
    [
        pytest.param(Role.OWNER, {"Create key", "Reveal Signature Key", "Rotate"}, id="owner"),
        pytest.param(Role.DEVELOPER, {"Reveal Signature Key"}, id="developer"),
        pytest.param(Role.SUPPORT, set(), id="support"),
        pytest.param(Role.VIEWER, set(), id="viewer"),
    ],
)
async def test_a_role_is_shown_the_buttons_it_may_press(
    world: ConsoleWorld, merchant: Merchant, role: Role, buttons: set[str]
) -> None:
    """A button that answers "not allowed" is a trap."""
    await world.key(printed(merchant), "events:read")
    seen = await (await signed_in(world, merchant, role)).get(LIST)
    every = {"Create key", "Reveal Signature Key", "Rotate", "Revoke"}
    expected = buttons | ({"Revoke"} if role is Role.OWNER else set())
    assert {words for words in every if words in seen.text} == expected


@pytest.mark.shows("W10", "K13")
async def test_making_a_key_asks_for_a_fresh_factor_and_goes_on_with_the_form(
    world: ConsoleWorld, merchant: Merchant
) -> None:
    """Nobody types a form twice because five minutes have passed."""
    user = await world.person(merchant)
    browser = await Browser(world).sign_in(user)
    world.advance(limits.FRESH_FACTOR_S + 1)
    asked = await browser.post(LIST, FIELDS)
    await browser.get(LIST + "/new")
    asked = await browser.post(LIST, FIELDS)
    assert (asked.status, asked.heading) == (403, "Two-factor authentication")
    code = await world.code(user)
    made = await browser.post(LIST, [*FIELDS, ("second_factor", code)])
    assert made.heading == "The key is made"


@pytest.mark.shows("W12")
async def test_another_merchants_key_is_not_there(world: ConsoleWorld, owner: Browser) -> None:
    """Whose key it is must not be told by the answer."""
    other = await world.tenant("Other")
    await world.key(printed(other), "events:read")
    [key] = await world.store.keys(other.id, Window(limit=5))
    place = f"{LIST}/{ids.to_text(ids.KEY, key.id)}/revoke"
    assert (await owner.post(place)).status == 404
    assert (await owner.post(f"{LIST}/key_nonsense/revoke")).status == 404
    assert (await owner.get(f"{LIST}?after=key_nonsense")).status == 422
    [same] = await world.store.keys(other.id, Window(limit=5))
    assert same.revoked_at is None


def test_every_permission_a_key_may_have_is_offered_in_words() -> None:
    """A permission without words could not be given here."""
    assert set(PERMISSIONS) == set(Scope) - {Scope.OPERATOR}
