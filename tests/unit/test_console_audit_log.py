"""The audit log in the console: read, filtered, checked."""

import re
from hashlib import blake2b

import pytest
from tests.support.browsing import Browser, ConsoleWorld

from payhooks import ids
from payhooks.console.tokens import Tokens, Use
from payhooks.model.merchant import Merchant
from payhooks.model.user import Role

LOG = "/console/settings/audit-log"


@pytest.fixture
async def world() -> ConsoleWorld:
    """Return an installation."""
    return ConsoleWorld()


@pytest.fixture
async def merchant(world: ConsoleWorld) -> Merchant:
    """Return a merchant of it."""
    return await world.tenant()


@pytest.fixture
async def viewer(world: ConsoleWorld, merchant: Merchant) -> Browser:
    """Return the browser of somebody who only reads."""
    return await Browser(world).sign_in(await world.person(merchant, Role.VIEWER))


def printed(merchant: Merchant) -> str:
    return ids.to_text(ids.MERCHANT, merchant.id)


async def test_an_entry_says_who_did_what_with_before_and_after(
    world: ConsoleWorld, merchant: Merchant, viewer: Browser
) -> None:
    """Ids of users tell nobody whom to ask."""
    owner = await world.person(merchant)
    browser = await Browser(world).sign_in(owner)
    await browser.get("/console/settings/keys")
    colleague = await world.person(merchant, Role.DEVELOPER)
    place = f"/console/settings/team/{ids.to_text(ids.USER, colleague.id)}/role"
    await browser.post(place, {"role": "viewer"})
    seen = await viewer.get(LOG)
    assert f"<span>{owner.username}" in seen.text
    assert "member.changed" in seen.text
    assert "<del>developer</del> → viewer<" in seen.text


async def test_a_key_reads_as_a_key_whatever_it_is_called(
    world: ConsoleWorld, merchant: Merchant, viewer: Browser
) -> None:
    """Called like a colleague, it would pass for one."""
    text = await world.key(printed(merchant), "keys:write", "events:read", label="maria")
    said = {"label": "Another", "scopes": ["events:read"]}
    await world.call("POST", f"/v1/merchants/{printed(merchant)}/keys", said, key=text)
    seen = await viewer.get(LOG)
    assert "<span>Key maria" in seen.text
    assert "<span>maria" not in seen.text


async def test_secrets_are_in_no_entry(
    world: ConsoleWorld, merchant: Merchant, viewer: Browser
) -> None:
    """The log is read by more people than the secrets are."""
    authentication = {"type": "basic", "username": "shop", "password": "a-password-of-theirs"}
    endpoint = await world.endpoint(printed(merchant), authentication=authentication)
    text = await world.key(printed(merchant), "events:read", signing=True)
    seen = await viewer.get(LOG)
    assert "endpoint.created" in seen.text
    for secret in ("a-password-of-theirs", endpoint["secret"], text):
        assert secret not in seen.text


async def test_filters_are_in_the_address_and_kept_from_page_to_page(
    world: ConsoleWorld, merchant: Merchant, viewer: Browser
) -> None:
    """An address that is sent to a colleague has to show the same."""
    for number in range(60):
        await world.key(printed(merchant), "events:read", label=f"Till {number}")
        await world.endpoint(printed(merchant), label=f"Hook {number}")
    first = await viewer.get(f"{LOG}?action=key.&actor=operator")
    assert first.text.count("<code>key.created</code>") == 40
    assert "endpoint.created" not in first.text
    following = first.text.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
    second = await viewer.get(following.replace("&amp;", "&"))
    assert second.text.count("<code>key.created</code>") == 20
    assert "Till 0" in second.text
    assert "Next page" not in second.text


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        pytest.param("?action=nothing", 200, "No entry matches", id="no match"),
        pytest.param("?actor=%3Cb%3E", 200, "&lt;b&gt;", id="markup"),
        pytest.param("?before=0", 200, "Nothing was changed yet", id="before the first"),
        pytest.param("?before=-1", 422, "not a place", id="a negative number"),
        pytest.param("?before=9999999999999999999999", 422, "not a place", id="a huge number"),
        pytest.param("?before=%D9%A3", 422, "not a place", id="digits of another script"),
    ],
)
async def test_whatever_an_address_asks_for_is_answered_with_a_page(
    world: ConsoleWorld, viewer: Browser, query: str, status: int, words: str
) -> None:
    """Addresses are edited by hand and cut by mail programs."""
    seen = await viewer.get(LOG + query)
    assert seen.status == status
    assert words in seen.text
    assert not world.bugs


async def test_a_chain_that_somebody_rewrote_is_shown_as_broken(
    world: ConsoleWorld, merchant: Merchant, viewer: Browser
) -> None:
    """Whoever audits needs no terminal to learn that the log was edited."""
    for _ in range(3):
        await world.key(printed(merchant), "events:read")
    assert "The chain holds" in (await viewer.get(f"{LOG}/chain")).text
    world.edit_audit_entry(merchant.id, number=2, actor="somebody else")
    seen = await viewer.get(f"{LOG}/chain")
    assert "broken at entry 2" in seen.text
    assert "The chain holds" not in seen.text


async def test_a_long_chain_is_checked_in_steps_that_tell_how_far(
    world: ConsoleWorld, merchant: Merchant, viewer: Browser
) -> None:
    """A log of years must not hold everybody else up for as long as it takes to compute."""
    before = (await world.store.audit_head(merchant.id)).number
    world.fill_audit_log(merchant.id, entries=6_000 - before)
    first = await viewer.get(f"{LOG}/chain")
    assert "Checked up to entry 5,000. So far the chain holds." in first.text
    assert "1,000 entries are left" in first.text
    [further] = re.findall(r'href="([^"]*so_far=[^"]*)">Go on', first.text)
    second = await viewer.get(further)
    assert "The chain holds: 6,000 entries" in second.text
    assert "Go on" not in second.text
    world.cut_audit_log(merchant.id, number=5_500)
    assert "broken at entry 5,500" in (await viewer.get(further)).text


async def test_a_log_written_anew_as_a_whole_shows_against_a_mark_kept_elsewhere(
    world: ConsoleWorld, merchant: Merchant, viewer: Browser
) -> None:
    """Whoever writes the records can compute hashes too; a mark on paper they cannot change."""
    for _ in range(3):
        await world.key(printed(merchant), "events:read")
    [mark] = re.findall(r"<pre[^>]*>(\d+ [0-9a-f]{64})<", (await viewer.get(f"{LOG}/chain")).text)
    query = mark.replace(" ", "+")
    await world.key(printed(merchant), "events:read")
    seen = await viewer.get(f"{LOG}/chain?mark={query}")
    assert "lies on the way" in seen.text
    world.rewrite_audit_log(merchant.id, actor="somebody else")
    assert "The chain holds" in (await viewer.get(f"{LOG}/chain")).text
    seen = await viewer.get(f"{LOG}/chain?mark={query}")
    assert f"broken at entry {mark.split()[0]}" in seen.text
    world.cut_audit_log(merchant.id, number=3)
    assert "broken at entry 3" in (await viewer.get(f"{LOG}/chain")).text


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("mark=nonsense", id="no mark"),
        pytest.param("mark=0+" + "0" * 64, id="an entry that cannot be"),
        pytest.param("mark=1+" + "g" * 64, id="no hash"),
        pytest.param("so_far=nonsense", id="a place that nobody sealed"),
        pytest.param("so_far=" + "A" * 400, id="a long one"),
        pytest.param("so_far=%F0%9F%92%A9", id="one of no letters"),
    ],
)
async def test_a_check_goes_on_only_from_where_one_came(viewer: Browser, query: str) -> None:
    """Else a link makes the page say that all holds, and nobody looked."""
    seen = await viewer.get(f"{LOG}/chain?{query}")
    assert seen.status == 422
    assert "The chain holds" not in seen.text


async def test_how_far_a_check_came_counts_for_its_own_merchant_alone(
    world: ConsoleWorld, merchant: Merchant, viewer: Browser
) -> None:
    """An empty chain would hold from the end of another."""
    other = await world.tenant("Other")
    tokens = Tokens(blake2b(b"forms", key=world.services.cursor_key).digest())
    hash_ = (await world.store.audit_head(merchant.id)).hash.hex()
    for use, whose, status in (
        (Use.CHAIN, merchant, 200),
        (Use.CHAIN, other, 422),
        (Use.SAID, merchant, 422),
    ):
        sealed = tokens.seal(use, f"{printed(whose)} 1 {hash_}")
        assert (await viewer.get(f"{LOG}/chain?so_far={sealed}")).status == status


async def test_another_merchants_entries_are_not_there(
    world: ConsoleWorld, viewer: Browser
) -> None:
    """What others change is nobody's business here."""
    other = await world.tenant("Other")
    await world.endpoint(printed(other), label="Theirs alone")
    assert "Theirs alone" not in (await viewer.get(LOG)).text
