"""What the table of misuse asks of the whole console, and no page alone can answer."""

import asyncio
import re

import pyotp
import pytest
from tests.support.browsing import PASSWORD, Browser, ConsoleWorld
from tests.support.console_tenants import Rooms, furnished, with_session
from tests.support.webhook_shop import GOOD, LIST, shop_of

from payhooks.console.app import pages
from payhooks.console.page import ROOT, Factor, Page
from payhooks.control.secrets import open_secret
from payhooks.model.user import NO_MERCHANT

# Written out: a page that is added under one of these words has to be as hard to come by.
HARD_TO_UNDO = (
    "reveal",
    "rotate",
    "secret",
    "credential",
    "revoke",
    "remove",
    "role",
    "delete",
    "off",
    "codes",
    "expunge",
)
# By their whole path: sending many again, giving somebody a key or a place in the team.
_MANY = ("/replays", "/deliveries/replay", "/settings/keys", "/settings/team/invitations")
_ELSEWHERE = (
    "//evil.test",
    "/\\evil.test",
    "https:evil.test",
    "https://evil.test/console/",
    "/console/%0d%0aset-cookie:a=b",
    "/console/../../evil",
)
_NAMES = (
    pytest.param("🦀🦀🦀", id="emoji alone"),
    pytest.param("חנות הדגים", id="from right to left"),
    pytest.param("متجر السمك", id="joined letters"),
    pytest.param("Ŝafalo Ẅ̴̢i̴̛", id="marks upon marks"),
)


@pytest.fixture
def world() -> ConsoleWorld:
    """Return an installation without anybody."""
    return ConsoleWorld()


@pytest.mark.shows("W10")
def test_what_is_hard_to_undo_declares_a_fresh_factor() -> None:
    """By the words in its path, so that the next page of the kind cannot forget it."""
    posts = [page for page in pages() if page.method == "POST" and isinstance(page, Page)]
    hard = [
        page for page in posts if page.path.split("/")[-1] in HARD_TO_UNDO or page.path in _MANY
    ]
    assert len(hard) == 20
    assert [page.path for page in hard if page.factor is not Factor.FRESH] == []


@pytest.mark.shows("W4")
@pytest.mark.parametrize("text", _ELSEWHERE)
async def test_no_page_sends_anybody_elsewhere(world: ConsoleWorld, text: str) -> None:
    """Wherever a page takes a next: at signing in, at the gate, with a theme."""
    user = await world.person(await world.tenant())
    browser = Browser(world)
    await browser.get(f"/console/sign-in?next={text}")
    said = {"name": user.username, "password": PASSWORD, "next": text}
    went = [(await browser.post("/console/sign-in", said)).goes_to]
    await browser.get("/console/account")
    code = {"second_factor": await world.code(user), "next": text}
    went.append((await browser.post("/console/factor", code)).goes_to)
    said = {"theme": "dark", "next": text}
    posted = [await browser.post(f"/console/{page}", said) for page in ("theme", "shortcuts")]
    went += [seen.goes_to for seen in posted]
    assert went == ["/console/"] * 4


@pytest.mark.shows("W6")
async def test_the_code_of_somebody_else_opens_nothing(world: ConsoleWorld) -> None:
    """A colleague's telephone on the desk is not one's own second factor."""
    merchant = await world.tenant()
    own, other = await world.person(merchant), await world.person(merchant)
    browser = await Browser(world).sign_in(own, factor=False)
    await browser.get("/console/account")
    theirs = await world.code(other)
    [seed] = await world.store.secrets(NO_MERCHANT, own.id)
    assert theirs != pyotp.TOTP(open_secret(world.control.keyring, seed)).at(world.clock.now())
    for code in (theirs, "1234", "abcdef", "123456789", " ", "1" * 64):
        seen = await browser.post(
            "/console/factor", {"second_factor": code, "next": "/console/account"}
        )
        assert seen.status in {422, 429}, code
    assert (await browser.get("/console/account")).status == 403


@pytest.mark.shows("W6", "W8")
@pytest.mark.parametrize("kind", ["recovery", "app"])
async def test_of_two_who_give_one_code_at_once_one_gets_in(world: ConsoleWorld, kind: str) -> None:
    """The thief's tab and the owner's, in the same second."""
    user = await world.person(await world.tenant())
    first = await Browser(world).sign_in(user)
    shown = await first.post("/console/account/two-factor/codes")
    code = re.findall(r"<code>([a-z2-7-]+)</code>", shown.text)[0]
    if kind == "app":
        code = await world.code(user)
    tabs = [await Browser(world).sign_in(user, factor=False) for _ in range(4)]
    for tab in tabs:
        await tab.get("/console/account")
    said = {"second_factor": code, "next": "/console/account"}
    seen = await asyncio.gather(*(tab.post("/console/factor", said) for tab in tabs))
    assert [one.status for one in seen].count(303) == 1
    assert (await tabs[0].post("/console/factor", said)).status != 303
    assert not world.bugs


@pytest.mark.shows("W13")
async def test_whatever_the_console_answers_is_a_page(world: ConsoleWorld) -> None:
    """There is no export; one that is added has to defuse its cells, and to change this."""
    tenant = await furnished(world, "heron")
    tenant = await with_session(world, tenant, tenant.owner)
    browser = await Browser(world).sign_in(tenant.owner)
    await browser.get("/console/account")
    rooms = Rooms(world)
    kept, cookies, token = rooms.kept(), dict(browser.cookies), browser.token
    for page in pages():
        path = ROOT + page.path.format_map(tenant.ids)
        seen = await (browser.get if page.method == "GET" else browser.post)(path)
        if seen.status != 303:
            assert (seen.header("content-type") or "").startswith("text/html"), path
        assert seen.header("content-disposition") is None, path
        rooms.put_back(kept)
        browser.cookies, browser.token = dict(cookies), token


@pytest.mark.shows("W14")
@pytest.mark.parametrize("name", _NAMES)
async def test_names_of_all_alphabets_are_names(world: ConsoleWorld, name: str) -> None:
    """People call their shops as they like, and find them again under that name."""
    shop = await shop_of(world)
    await shop.added(label=name)
    for path in (LIST, "/console/deliveries", "/console/settings/audit-log"):
        seen = await shop.browser.get(path)
        assert seen.status == 200
        assert name in seen.text or path.endswith("audit-log")
    assert not world.bugs


@pytest.mark.shows("W14")
async def test_a_huge_text_is_refused_beside_its_field(world: ConsoleWorld) -> None:
    """A paste that went wrong costs neither the page nor what else was typed."""
    shop = await shop_of(world)
    for field in ("label", "url", "username", "password", "headers", "dialect_options", "events"):
        seen = await shop.browser.post(LIST, {**GOOD, field: "x" * 100_000})
        assert (seen.status, seen.heading) == (422, "Add Webhook"), field
        assert f'href="#{field}"' in seen.text
    for place in (
        "deliveries?q=",
        "events?q=",
        "deliveries?type=",
        "events?object=",
        "replays/new?type=",
        "payments?id=",
        "payments?type=payment&id=",
        "event-types?q=",
    ):
        seen = await shop.browser.get(f"/console/{place}{'x' * 10_000}")
        assert seen.status in {200, 303, 404, 414, 422}, place
    assert await shop.all() == []
    assert not world.bugs


@pytest.mark.shows("W15")
async def test_no_page_may_be_stored_by_a_browser(world: ConsoleWorld) -> None:
    """What is stored is shown again after signing out, to whoever sits there then."""
    tenant = await furnished(world, "heron")
    browser = await Browser(world).sign_in(tenant.owner)
    for page in pages():
        if page.method == "GET" and not re.search("session|user_id", page.path):
            seen = await browser.get(ROOT + page.path.format_map(tenant.ids))
            assert seen.header("cache-control") == "no-store", page.path
    left = await browser.post("/console/sign-out")
    assert left.header("clear-site-data") == '"storage"'
