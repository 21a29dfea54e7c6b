"""What stands before every page of the console: sign-in, forms that are ours, second factors."""

import re

import pytest
from tests.support.browsing import PASSWORD, Browser, ConsoleWorld, Seen

from payhooks import limits
from payhooks.console.app import POLICY, pages
from payhooks.console.forms import FORM_BYTES_MAX
from payhooks.console.guard import safe_next
from payhooks.console.page import Factor, Page
from payhooks.errors import UnavailableError
from payhooks.model.user import SCOPES, Role

PROMPT = "Two-factor authentication"
NEEDED = "Two-factor authentication is needed"
FORM = "application/x-www-form-urlencoded"
CODES = "/console/account/two-factor/codes"  # a page that asks for a fresh factor
SERVED = [page for page in pages() if isinstance(page, Page)]
BEHIND = [page for page in SERVED if page.factor in {Factor.GATE, Factor.FRESH}]


@pytest.fixture
def world() -> ConsoleWorld:
    """Return an installation without anybody."""
    return ConsoleWorld()


def address(page: Page) -> str:
    """Return an address of the page; whatever it names is not there."""
    return "/console" + re.sub(r"\{[^}]+\}", "nothing", page.path)


def named(page: Page) -> str:
    return f"{page.method} {page.path}"


async def ask(browser: Browser, page: Page) -> Seen:
    """Ask for a page as the one who found its address would."""
    return await (browser.get if page.method == "GET" else browser.post)(address(page))


@pytest.mark.shows("K01")
async def test_nobody_sees_a_page_without_signing_in(world: ConsoleWorld) -> None:
    """A page that forgot to ask would be open to the world."""
    browser = Browser(world)
    await browser.get("/console/sign-in")
    for page in SERVED:
        seen = await ask(browser, page)
        assert seen.status == 303, named(page)
        assert (seen.goes_to or "").startswith("/console/sign-in?next=/console/"), named(page)


@pytest.mark.shows("K02")
async def test_nothing_behind_the_gate_opens_without_a_second_factor(world: ConsoleWorld) -> None:
    """A password that leaked must not be enough to send payment data elsewhere."""
    merchant = await world.tenant()
    plain = await Browser(world).sign_in(await world.person(merchant, factor=False))
    half = await Browser(world).sign_in(await world.person(merchant), factor=False)
    for browser, heading in ((plain, NEEDED), (half, PROMPT)):
        await browser.get("/console/account")
        for page in BEHIND:
            seen = await ask(browser, page)
            assert (seen.status, seen.heading) == (403, heading), named(page)


@pytest.mark.shows("K02")
def test_the_whole_section_of_webhooks_is_behind_the_gate() -> None:
    """What the merchants' document says, for pages that come later too."""
    section = [page for page in SERVED if page.path.startswith("/settings/webhooks")]
    assert section
    assert {named(page) for page in section} <= {named(page) for page in BEHIND}


@pytest.mark.shows("K01")
async def test_a_second_factor_wears_off(world: ConsoleWorld) -> None:
    """Whoever sits down at a desk that somebody left finds the section closed."""
    browser = await Browser(world).sign_in(await world.person(await world.tenant()))
    # Seen in between, so that it is not the session that ends.
    for _ in range(2):
        world.advance(limits.SESSION_IDLE_S * 0.6)
        await browser.get("/console/account")
    for page in BEHIND:
        seen = await ask(browser, page)
        assert (seen.status, seen.heading) == (403, PROMPT), named(page)


@pytest.mark.parametrize("role", Role)
async def test_a_role_is_let_in_to_what_its_scopes_say(world: ConsoleWorld, role: Role) -> None:
    """The table of roles and the pages are written apart; here they meet."""
    browser = await Browser(world).sign_in(await world.person(await world.tenant(), role))
    await browser.get("/console/account")
    for page in SERVED:
        if page.needs is not None:
            seen = await ask(browser, page)
            refused = (seen.status, seen.heading) == (403, "This is not allowed")
            assert refused == (page.needs not in SCOPES[role]), (named(page), seen.status)
    assert not world.bugs


@pytest.mark.shows("W2")
async def test_a_form_without_the_token_of_this_session_does_nothing(world: ConsoleWorld) -> None:
    """W2: another site can make a browser send forms, but not read the token of one."""
    merchant = await world.tenant()
    browser = await Browser(world).sign_in(await world.person(merchant))
    other = await Browser(world).sign_in(await world.person(merchant))
    await other.get("/console/account")
    for page in SERVED:
        for token in (None, "", "0" * 48, other.token) if page.method == "POST" else ():
            seen = await browser.post(address(page), token=token)
            assert (seen.status, seen.heading) == (403, "This is not allowed"), named(page)


@pytest.mark.shows("W2")
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"sec-fetch-site": "cross-site"}, 403, id="another site"),
        pytest.param({"sec-fetch-site": "same-site"}, 403, id="a sibling of our domain"),
        pytest.param({"sec-fetch-site": "none"}, 403, id="nowhere"),
        pytest.param({"sec-fetch-site": ""}, 403, id="a browser that does not say"),
        pytest.param(
            {"sec-fetch-site": "", "origin": "https://evil.test"}, 403, id="a foreign origin"
        ),
        pytest.param({"sec-fetch-site": "", "origin": "null"}, 403, id="no origin"),
        pytest.param(
            {"sec-fetch-site": "", "origin": "https://payhooks.test"}, 303, id="our origin"
        ),
        pytest.param({}, 303, id="our page"),
    ],
)
async def test_forms_come_from_our_own_pages(
    world: ConsoleWorld, headers: dict[str, str], status: int
) -> None:
    """W2: also where the token were known, as for signing somebody in to another's account."""
    user = await world.person(await world.tenant(), factor=False)
    browser = Browser(world)
    await browser.get("/console/sign-in")
    fields = {"name": user.username, "password": PASSWORD}
    seen = await browser.post("/console/sign-in", fields, headers=headers)
    assert seen.status == status


@pytest.mark.shows("W9")
async def test_a_session_ends_by_itself_and_by_hand(world: ConsoleWorld) -> None:
    """W9: fifteen minutes without a look, twelve hours in all, at once when signed out."""
    user = await world.person(await world.tenant(), factor=False)
    idle = await Browser(world).sign_in(user)
    world.advance(limits.SESSION_IDLE_S)
    assert (await idle.get("/console/account")).status == 303
    out = await Browser(world).sign_in(user)
    await out.get("/console/account")
    kept = dict(out.cookies)
    seen = await out.post("/console/sign-out")
    assert seen.goes_to == "/console/sign-in"
    assert "__Host-payhooks" not in out.cookies
    out.cookies = kept
    assert (await out.get("/console/account")).status == 303


@pytest.mark.shows("W9")
async def test_a_tail_that_polls_is_nobodys_presence(world: ConsoleWorld) -> None:
    """An open tab on a desk must not keep a session alive all day."""
    browser = await Browser(world).sign_in(await world.person(await world.tenant(), factor=False))
    for _ in range(4):
        world.advance(limits.SESSION_IDLE_S / 4)
        seen = await browser.get("/console/account", {"x-live": "1", "x-partial": "1"})
    assert seen.header("x-go") == "/console/sign-in?next=/console/account"


async def test_a_cookie_goes_to_this_host_alone_and_to_no_script(world: ConsoleWorld) -> None:
    """__Host- makes browsers hold it to Secure, no Domain and the whole path."""
    user = await world.person(await world.tenant(), factor=False)
    browser = Browser(world)
    first = await browser.get("/console/sign-in")
    seen = await browser.post("/console/sign-in", {"name": user.username, "password": PASSWORD})
    set_ = [value for name, value in (*first.headers, *seen.headers) if name == "set-cookie"]
    begun = [value for value in set_ if "max-age=0" not in value.lower()]
    assert len(begun) == 2
    for value in begun:
        assert value.startswith(("__Host-payhooks=", "__Host-payhooks-guest="))
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(value.split("; "))
        assert "domain" not in value.lower()


@pytest.mark.shows("W9")
async def test_signing_in_makes_a_new_session(world: ConsoleWorld) -> None:
    """W9: a cookie that somebody planted before is not the one that is signed in."""
    user = await world.person(await world.tenant(), factor=False)
    browser = Browser(world)
    browser.cookies["__Host-payhooks"] = "planted"
    await browser.get("/console/sign-in")
    await browser.sign_in(user)
    assert browser.cookies["__Host-payhooks"] != "planted"
    assert "__Host-payhooks-guest" not in browser.cookies


@pytest.mark.shows("K13")
async def test_a_form_that_lacked_a_second_factor_is_not_typed_twice(world: ConsoleWorld) -> None:
    """The page that asks sends the same fields again, and the code with them."""
    user = await world.person(await world.tenant(), factor=True)
    browser = await Browser(world).sign_in(user)
    await browser.get("/console/account")
    world.advance(limits.FRESH_FACTOR_S + 1)
    seen = await browser.post(CODES, [("next", "/console/a"), ("box", "<1>"), ("box", "2")])
    assert (seen.status, seen.heading) == (403, PROMPT)
    assert f'action="{CODES}"' in seen.text
    fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', seen.text)
    assert [pair for pair in fields if not pair[0].startswith("form_")][:3] == [
        ("next", "/console/a"),
        ("box", "&lt;1&gt;"),
        ("box", "2"),
    ]
    wrong = await browser.post(CODES, {"second_factor": "000000"})
    assert (wrong.status, wrong.heading) == (422, PROMPT)
    assert "That code did not match" in wrong.text
    right = await browser.post(CODES, {"second_factor": await world.code(user)})
    assert (right.status, right.heading) == (200, "Recovery codes")


async def test_after_the_gate_the_page_that_was_asked_for_opens(world: ConsoleWorld) -> None:
    """A link in a mail must lead to its delivery, not to the start."""
    user = await world.person(await world.tenant())
    browser = await Browser(world).sign_in(user, factor=False)
    seen = await browser.get("/console/account?tab=1")
    assert 'name="next" value="/console/account?tab=1"' in seen.text
    code = await world.code(user)
    fields = {"second_factor": code, "next": "/console/account?tab=1"}
    seen = await browser.post("/console/factor", fields)
    assert seen.goes_to == "/console/account?tab=1"
    again = await Browser(world).sign_in(user, factor=False)
    await again.get("/console/account")
    seen = await again.post("/console/factor", fields)
    assert seen.status == 422, "a code counts once"


@pytest.mark.shows("W4")
@pytest.mark.parametrize(
    "text",
    [
        "//evil.test",
        "/\\evil.test",
        "https://evil.test",
        "https:evil.test",
        "/console//evil.test",
        "/console/a\r\nset-cookie: a=b",
        "/console/\tevil",
        "/consolex",
        "/v1/events",
        "javascript:alert(1)",
        "/console/" + "a" * 1_000,
        "",
    ],
)
def test_nobody_is_sent_elsewhere(text: str) -> None:
    """W4: a sign-in page that forwards to any address is a tool of phishers."""
    assert safe_next(text) == "/"


def test_where_one_was_going_is_kept() -> None:
    """With its filters."""
    path = "/deliveries?status=failed&created%5Bgte%5D=2026-11-20"
    assert safe_next(f"/console{path}") == path


@pytest.mark.shows("W2", "W14")
@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        pytest.param(b"a" * (FORM_BYTES_MAX + 1), FORM, 413, id="too large"),
        pytest.param(b"a=1", "application/json", 415, id="JSON"),
        pytest.param(b"a=1", "text/plain", 415, id="text"),
        pytest.param(b"--x--", "multipart/form-data; boundary=x", 415, id="with files"),
        pytest.param(b"a=%ff", FORM, 422, id="not UTF-8"),
        pytest.param(b"a=%00", FORM, 422, id="a NUL"),
        pytest.param(b"\xff", FORM, 422, id="not ASCII"),
        pytest.param(b"&".join([b"a=1"] * 2_001), FORM, 422, id="too many fields"),
    ],
)
async def test_what_is_no_form_of_ours_is_refused_as_a_page(
    world: ConsoleWorld, body: bytes, media_type: str, status: int
) -> None:
    """Bytes from outside never end in a traceback, nor in memory."""
    browser = Browser(world)
    await browser.get("/console/sign-in")
    headers = {"sec-fetch-site": "same-origin", "content-type": media_type}
    seen = await browser.send("POST", "/console/sign-in", body, headers)
    assert seen.status == status
    assert "req_" in seen.text
    assert not world.bugs


@pytest.mark.shows("W3", "W15")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/console/sign-in", 200),
        ("GET", "/console/nothing-here", 404),
        ("GET", "/console/account", 303),
        ("DELETE", "/console/account", 405),
        ("POST", "/console/sign-in", 403),
        ("GET", "/", 303),
        ("GET", "/console", 303),
    ],
)
async def test_every_answer_has_the_policy(
    world: ConsoleWorld, method: str, path: str, status: int
) -> None:
    """One answer without it is where an injected script would run."""
    seen = await Browser(world).send(method, path)
    assert seen.status == status
    assert seen.header("content-security-policy") == POLICY
    assert seen.header("cache-control") == "no-store"
    assert seen.header("x-content-type-options") == "nosniff"
    assert seen.header("x-request-id") is not None


async def test_what_never_changes_may_be_kept(world: ConsoleWorld) -> None:
    """Only the two files with a hash in their names; another hash is another file."""
    browser = Browser(world)
    page = await browser.get("/console/sign-in")
    for path in re.findall(r'"(/console/static/[^"#]+)"', page.text):
        seen = await browser.get(path)
        assert seen.status == 200
        assert "immutable" in (seen.header("cache-control") or "")
        assert seen.header("content-security-policy") == POLICY
        old = re.sub(r"\.[0-9a-f]{12}\.", ".000000000000.", path)
        assert (await browser.get(old)).status == 404


async def test_a_store_that_is_away_is_told_as_a_page(world: ConsoleWorld) -> None:
    """Whoever works in the console learns that nothing is lost, and may try again."""
    browser = await Browser(world).sign_in(await world.person(await world.tenant(), factor=False))

    async def away(*_args: object, **_named: object) -> None:
        raise UnavailableError("the store does not answer")

    world.break_store("signed_in", away)
    seen = await browser.get("/console/account")
    assert (seen.status, seen.heading) == (503, "We cannot reach our records")
    assert "Try again" in seen.text
    assert not world.bugs


async def test_a_bug_tells_nothing_and_is_told(world: ConsoleWorld) -> None:
    """The page has the request id; what went wrong is for the operator."""
    browser = await Browser(world).sign_in(await world.person(await world.tenant(), factor=False))

    async def broken(*_args: object, **_named: object) -> None:
        raise ValueError("the password is hunter2")

    world.break_store("signed_in", broken)
    seen = await browser.get("/console/account")
    assert (seen.status, seen.heading) == (500, "We failed")
    assert "hunter2" not in seen.text
    assert (seen.header("x-request-id") or "missing") in seen.text
    assert [str(bug) for bug in world.bugs] == ["the password is hunter2"]
