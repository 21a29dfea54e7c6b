"""Settings → Connectors: a provider is added, heard, given another secret, and let go."""

import re

import msgspec
import pytest
from tests.support.browsing import read
from tests.support.hearing_console import LIST, NAME, HearingConsole
from tests.support.inbound_world import SECRET

from payhooks import ids
from payhooks.connectors import registry
from payhooks.control import connectors
from payhooks.control.receipts import REPROCESSED_MAX
from payhooks.limits import MIB
from payhooks.model.connector import Connector, ConnectorStatus
from payhooks.model.merchant import Merchant, Mode
from payhooks.model.user import Role
from payhooks.ports.controlling import Window

pytestmark = pytest.mark.shows("N10")

CANARY = "whs_canary_that_is_shown_nowhere"
OLD_KEY, NEW_KEY = "test_9aXoldaXoldaXoldaXoldaXoldaX12", "test_9aXnewaXnewaXnewaXnewaXnewaX12"


@pytest.fixture
def world() -> HearingConsole:
    """Return an installation that hears connectors."""
    return HearingConsole()


async def connected(world: HearingConsole, merchant: Merchant) -> tuple[Connector, str]:
    """Return a connector and the path of its page."""
    made = await world.connector(ids.to_text(ids.MERCHANT, merchant.id), NAME)
    return made, f"{LIST}/{ids.to_text(ids.CONNECTOR, made.id)}"


async def stored(world: HearingConsole, merchant: Merchant) -> list[Connector]:
    return await world.store.connectors(merchant.id, Window(limit=10))


async def test_a_connector_is_added_and_says_where_its_url_is_to_be_pasted(
    world: HearingConsole,
) -> None:
    """From an empty page to a provider's dashboard without a look into the manual."""
    merchant = await world.tenant()
    browser = await world.signed_in(merchant, Role.DEVELOPER)
    assert "Add a connector to hear from a payment provider" in (await browser.get(LIST)).text
    chosen = await browser.get(f"{LIST}/new")
    assert f'href="{LIST}/new?provider={NAME}"' in chosen.text
    asked = await browser.get(f"{LIST}/new?provider={NAME}")
    guide = registry.PROVIDERS[NAME].guide
    assert guide.secret in read(asked.text)
    # Some tell their secret only once they know the URL.
    assert f"/{NAME}" in re.findall(r'data-copy="(http[^"]+)"', asked.text)[0]
    seen = await browser.post(
        LIST,
        {
            "provider": NAME,
            "name": "owlpay-main",
            "secret": SECRET,
            "events": "payment_intent.*\r\n\r\naccounting.paid",
        },
    )
    [made] = await stored(world, merchant)
    assert (made.name, made.dialect) == ("owlpay-main", NAME)
    assert made.events == ("payment_intent.*", "accounting.paid")
    assert seen.goes_to == f"{LIST}/{ids.to_text(ids.CONNECTOR, made.id)}"
    shown = await browser.get(seen.goes_to)
    url = connectors.url_of(world.control, merchant, made)
    assert f'data-copy="{url}"' in shown.text
    words = read(shown.text)
    assert "Its URL is to be pasted at" in words
    for sentence in (guide.where, guide.events, guide.secret):
        assert sentence in words
    assert f'href="{guide.source_url}"' in shown.text
    assert "Nothing has come yet" in words
    assert SECRET not in shown.text


async def test_what_is_wrong_is_said_beside_its_field(world: HearingConsole) -> None:
    """In the provider's words, all of it at once, and nothing that was typed is lost."""
    merchant = await world.tenant()
    browser = await world.signed_in(merchant)
    await browser.get(f"{LIST}/new?provider={NAME}")
    fields = {"provider": NAME, "name": "Owl Pay", "secret": "", "events": "pay ments?"}
    seen = await browser.post(LIST, fields)
    assert seen.status == 422
    for field in ("name", "secret", "events"):
        assert f'id="{field}-wrong"' in seen.text, field
    assert 'value="Owl Pay"' in seen.text
    await connected(world, merchant)
    seen = await browser.post(LIST, {"provider": NAME, "name": NAME, "secret": SECRET})
    assert (seen.status, 'id="name-wrong"' in seen.text) == (422, True)
    seen = await browser.post(LIST, {"provider": "nobody", "name": "x", "secret": SECRET})
    assert seen.status == 422
    assert len(await stored(world, merchant)) == 1


@pytest.mark.parametrize("name", sorted(registry.PROVIDERS))
async def test_every_provider_has_a_form_in_its_own_words(world: HearingConsole, name: str) -> None:
    """What a provider calls its secret is what people look for in its dashboard."""
    merchant = await world.tenant()
    browser = await world.signed_in(merchant)
    provider = registry.PROVIDERS[name]
    seen = await browser.get(f"{LIST}/new?provider={name}")
    if name == "custom":
        # Until the merchant has said what its words are, there is nothing to hear.
        assert seen.status == 422
        return
    words = read(seen.text)
    for asked in filter(None, (provider.secret, provider.credential)):
        assert f"{asked.label} " in words
        assert asked.words in words
    for choice in provider.choices:
        assert f'name="option-{choice.name}"' in seen.text
        assert choice.words in words


async def test_an_option_is_chosen_and_changed(world: HearingConsole) -> None:
    """One provider may mean two things by a word; which, its merchant knows."""
    merchant = await world.tenant()
    browser = await world.signed_in(merchant)
    choice = registry.PROVIDERS["treezor"].choices[0]
    first, other = choice.default, next(one for one in choice.values if one != choice.default)
    await browser.get(f"{LIST}/new?provider=treezor")
    option = f"option-{choice.name}"
    fields = {"provider": "treezor", "name": "bank", "secret": SECRET, option: first}
    at = (await browser.post(LIST, fields)).goes_to
    assert at is not None
    [made] = await stored(world, merchant)
    assert dict(made.options)[choice.name] == first
    edit = await browser.get(f"{at}/edit")
    assert f'<option value="{first}" selected>' in edit.text
    assert 'name="secret"' not in edit.text
    said = {"version": str(made.version), option: other, "events": ""}
    assert (await browser.post(f"{at}/edit", said)).goes_to == at
    [edited] = await stored(world, merchant)
    assert dict(edited.options)[choice.name] == other
    # Made from what is no more: somebody else's edit is not lost unseen.
    stale = await browser.post(f"{at}/edit", {**said, option: first})
    assert (stale.status, "Somebody else changed it" in stale.text) == (412, True)
    wrong = await browser.post(f"{at}/edit", {"version": str(edited.version), "events": "?"})
    assert (wrong.status, 'id="events-wrong"' in wrong.text) == (422, True)
    assert await stored(world, merchant) == [edited]


async def test_a_secret_is_replaced_and_the_one_before_counts_for_a_while(
    world: HearingConsole,
) -> None:
    """Nothing is refused between the change here and the change at the provider."""
    merchant = await world.tenant()
    made, at = await connected(world, merchant)
    browser = await world.signed_in(merchant)
    await browser.get(at)
    refused = await browser.post(f"{at}/rotate", {"secret": "", "grace": "3600"})
    assert (refused.status, 'id="secret-wrong"' in refused.text) == (422, True)
    assert (await browser.post(f"{at}/rotate", {"secret": CANARY, "grace": "5"})).status == 422
    seen = await browser.post(f"{at}/rotate", {"secret": CANARY, "grace": "3600"})
    assert seen.goes_to == at
    keys = await connectors.opened_keys(world.control, merchant, made)
    assert keys.secrets == [CANARY, SECRET]
    shown = await browser.get(at)
    assert CANARY not in shown.text
    assert re.search(r"Secrets 2, one of them until [\d-]+ [\d:]+ UTC", read(shown.text))
    world.advance(3_601)
    later = await world.signed_in(merchant)
    assert "Secrets 1 Events" in read((await later.get(at)).text)
    keys = await connectors.opened_keys(world.control, merchant, made)
    assert keys.secrets == [CANARY]


async def test_a_credential_is_replaced_at_once(world: HearingConsole) -> None:
    """Of what we show the provider there is one: two would be tried in turn."""
    merchant = await world.tenant()
    text = ids.to_text(ids.MERCHANT, merchant.id)
    made = await world.connector(text, "mollie", secrets=(), credential=OLD_KEY)
    at = f"{LIST}/{ids.to_text(ids.CONNECTOR, made.id)}"
    browser = await world.signed_in(merchant)
    shown = await browser.get(at)
    assert "By nothing that it sends" in shown.text
    assert OLD_KEY not in shown.text
    refused = await browser.post(f"{at}/credential", {"credential": ""})
    assert (refused.status, 'id="credential-wrong"' in refused.text) == (422, True)
    assert (await browser.post(f"{at}/credential", {"credential": NEW_KEY})).goes_to == at
    keys = await connectors.opened_keys(world.control, merchant, made)
    assert keys.credential == NEW_KEY
    entries = await world.store.audit_latest(merchant.id, before=None, limit=10)
    assert not any(NEW_KEY.encode() in entry.entry.changes for entry in entries)


async def test_a_disabled_connector_hears_nothing_and_a_deleted_one_is_gone(
    world: HearingConsole,
) -> None:
    """Both are asked about first, and say what stops and what stays."""
    merchant = await world.tenant()
    made, at = await connected(world, merchant)
    browser = await world.signed_in(merchant)
    shown = await browser.get(at)
    assert f"Disable {NAME}?" in shown.text
    assert f"Delete {NAME}?" in shown.text
    assert (await browser.post(f"{at}/move", {"to": "disable"})).goes_to == at
    [disabled] = await stored(world, merchant)
    assert disabled.status is ConnectorStatus.DISABLED
    assert "Its URL answers as if there were none" in (await browser.get(at)).text
    await browser.post(f"{at}/move", {"to": "enable"})
    [enabled] = await stored(world, merchant)
    assert enabled.status is ConnectorStatus.ACTIVE
    assert (await browser.post(f"{at}/move", {"to": "elsewhere"})).status == 422
    assert (await browser.post(f"{at}/delete")).goes_to == LIST
    assert await stored(world, merchant) == []
    assert (await browser.get(at)).status == 404
    assert made.name == NAME


async def test_the_list_tells_how_each_fares(world: HearingConsole) -> None:
    """A secret that was rotated at the provider shows here before anybody misses a payment."""
    merchant = await world.tenant()
    await connected(world, merchant)
    browser = await world.signed_in(merchant, Role.VIEWER)
    assert "Active never 0 0 0 0" in read((await browser.get(LIST)).text)
    await world.says(merchant)
    for minute in (1, 2):
        await world.says(merchant, minutes=minute, secret="whs_of_somebody_else")
    seen = await browser.get(LIST)
    assert "now 1 2 2 in the quarantine" in read(seen.text)
    assert "&amp;state=quarantined" in seen.text
    assert "Add a connector" not in seen.text


async def test_news_that_is_not_told_is_on_the_overview(world: HearingConsole) -> None:
    """That page is opened every morning, the list of connectors is not."""
    merchant = await world.tenant()
    _made, at = await connected(world, merchant)
    await world.connector(ids.to_text(ids.MERCHANT, merchant.id), NAME, name="fine")
    browser = await world.signed_in(merchant, Role.VIEWER)
    heading = "Connectors with news that is not told"
    assert heading not in (await browser.get("/console/overview")).text
    await world.says(merchant, secret="whs_of_somebody_else")
    seen = await browser.get("/console/overview")
    assert f'href="{at}">{NAME}</a>' in seen.text.partition(heading)[2]
    assert "1 in the quarantine" in read(seen.text)
    assert ">fine</a>" not in seen.text
    await world.overdue(merchant)
    browser = await world.signed_in(merchant, Role.VIEWER)
    assert f"1 overdue of {NAME}" in read((await browser.get("/console/overview")).text)
    stranger = await world.signed_in(await world.tenant("Other"), Role.OWNER)
    assert heading not in (await stranger.get("/console/overview")).text


async def test_a_connector_whose_last_request_was_not_verified_says_why(
    world: HearingConsole,
) -> None:
    """And once the secret is mended, what is in quarantine is read after all."""
    merchant = await world.tenant()
    _made, at = await connected(world, merchant)
    browser = await world.signed_in(merchant)
    await world.says(merchant, secret=CANARY)
    words = read((await browser.get(at)).text)
    assert "The last request was not verified" in words
    assert "Verify and read again" in words
    seen = await browser.post(f"{at}/read-again")
    said = read((await browser.get(seen.goes_to or "")).text)
    assert "0 are verified and will be read in a moment; 1 is still not." in said
    assert await world.events(ids.to_text(ids.MERCHANT, merchant.id)) == []
    await browser.post(f"{at}/rotate", {"secret": CANARY, "grace": "3600"})
    seen = await browser.post(f"{at}/read-again")
    said = read((await browser.get(seen.goes_to or "")).text)
    assert "1 is verified and will be read in a moment; 0 are still not." in said
    [receipt] = await world.stored(ids.to_text(ids.MERCHANT, merchant.id))
    await world.normaliser.process(receipt)
    [event] = await world.events(ids.to_text(ids.MERCHANT, merchant.id))
    assert event.type == "payment_succeeded"


async def test_a_quarantine_of_many_is_gone_through_from_where_the_last_press_ended(
    world: HearingConsole,
) -> None:
    """Begun anew, what is forged would be met again at each press, and nothing behind it."""
    merchant = await world.tenant()
    _made, at = await connected(world, merchant)
    browser = await world.signed_in(merchant)
    like = await world.says(merchant, secret=CANARY)
    kept = [
        msgspec.structs.replace(like, id=ids.ReceiptId(world.ids.new()))
        for _ in range(REPROCESSED_MAX)
    ]
    bounds = {"quarantine_max": 1_000, "quarantine_bytes_max": 64 * MIB}
    await world.store.receive(kept, owner=1, for_s=1, **bounds)
    await browser.post(f"{at}/rotate", {"secret": CANARY, "grace": "3600"})
    seen = await browser.post(f"{at}/read-again")
    assert seen.goes_to == f"{at}?after={ids.to_text(ids.RECEIPT, kept[-2].id)}"
    shown = await browser.get(seen.goes_to)
    assert "There are more: go on with the next ones." in read(shown.text)
    assert "Verify and read the next ones" in read(shown.text)
    [after] = re.findall(r'name="after" value="([^"]+)"', shown.text)
    seen = await browser.post(f"{at}/read-again", {"after": after})
    assert seen.goes_to == at
    said = read((await browser.get(at)).text)
    assert "1 is verified and will be read in a moment; 0 are still not." in said


async def test_whoever_may_only_look_finds_no_buttons(world: HearingConsole) -> None:
    """A button that leads to a refusal is worse than none."""
    merchant = await world.tenant()
    _made, at = await connected(world, merchant)
    await world.says(merchant, secret=CANARY)
    browser = await world.signed_in(merchant, Role.SUPPORT)
    shown = await browser.get(at)
    inside = shown.text.partition("<main")[2].partition("</main>")[0]
    assert shown.status == 200
    assert "<form" not in inside
    assert (await browser.get(f"{LIST}/new")).status == 403
    assert (await browser.post(f"{at}/delete")).status == 403


async def test_production_has_another_url_than_the_sandbox(world: HearingConsole) -> None:
    """What is pasted into the wrong dashboard would take play money for real."""
    for mode, words in ((Mode.LIVE, "for production"), (Mode.SANDBOX, "of the sandbox")):
        merchant = await world.tenant(f"Acme {mode}", mode)
        _made, at = await connected(world, merchant)
        browser = await world.signed_in(merchant)
        assert re.search(words, read((await browser.get(at)).text))


async def test_another_merchants_connector_does_not_exist(world: HearingConsole) -> None:
    """Neither by its id nor by its name."""
    merchant, other = await world.tenant(), await world.tenant("Beach Bar")
    _made, at = await connected(world, other)
    browser = await world.signed_in(merchant)
    for path in (at, f"{LIST}/{NAME}", f"{at}/edit"):
        assert (await browser.get(path)).status == 404
    for done in ("move", "delete", "rotate", "read-again", "credential"):
        fields = {"to": "disable", "secret": "x", "grace": "0"}
        assert (await browser.post(f"{at}/{done}", fields)).status == 404
    [kept] = await stored(world, other)
    assert kept.status is ConnectorStatus.ACTIVE
