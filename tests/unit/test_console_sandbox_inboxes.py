"""Inboxes in the console: made, sent to, looked into, removed; what comes is a stranger's."""

import re
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from urllib.parse import urlsplit

import pytest
from tests.support.browsing import Browser, ConsoleWorld, Seen

from payhooks import ids, limits
from payhooks.api import create_application
from payhooks.control.context import UrlPolicy
from payhooks.control.inboxes import INBOXES_MAX
from payhooks.model.merchant import Merchant, Mode
from payhooks.model.user import Role
from payhooks.ports.controlling import Window

pytestmark = pytest.mark.shows("E21")

LIST = "/console/sandbox/inboxes"
SHOWN_BYTES_MAX = 32 * 1024
UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f]")
_PRE = re.compile(r'aria-label="Body[^"]*">(.*?)</pre>', re.DOTALL)


@pytest.fixture
def world() -> ConsoleWorld:
    """Return an installation without anybody, whose inboxes have a name that may be called."""
    world = ConsoleWorld()
    urls = UrlPolicy(inboxes="https://test.hooks.example/in/")
    services = replace(world.services, control=replace(world.control, urls=urls))
    world.app = create_application(services).app
    return world


async def signed_in(
    world: ConsoleWorld, role: Role = Role.DEVELOPER, mode: Mode = Mode.SANDBOX
) -> tuple[Browser, Merchant]:
    merchant = await world.tenant(mode=mode)
    browser = await Browser(world).sign_in(await world.person(merchant, role))
    await browser.get(LIST)
    return browser, merchant


async def made(browser: Browser) -> tuple[str, str]:
    """Make an inbox; return the address of its page, and the path of its URL."""
    await browser.get("/console/account")
    place = (await browser.post(LIST)).goes_to or ""
    assert place.startswith(f"{LIST}/inb_")
    url = re.search(r"<code>(https?://[^<]+/in/[0-9a-f]{32})</code>", await text_of(browser, place))
    assert url is not None
    return place, urlsplit(url[1]).path


async def text_of(browser: Browser, place: str) -> str:
    seen = await browser.get(place)
    assert seen.status == 200, seen.text
    return seen.text


async def came(
    world: ConsoleWorld,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
) -> Seen:
    """Send something to an inbox, as a stranger."""
    seen = await world.request(method, path, body, headers or {}, "203.0.113.9")
    world.advance(1)
    return seen


def bodies(text: str) -> list[str]:
    """Return the body as the page has it: indented, as it came."""
    return [unescape(found) for found in _PRE.findall(text)]


async def test_what_comes_is_shown_newest_first_and_one_of_it_as_a_whole(
    world: ConsoleWorld,
) -> None:
    """The URL is pasted somewhere, something is sent, and there it is."""
    browser, _ = await signed_in(world)
    assert "No inboxes yet" in await text_of(browser, LIST)
    place, path = await made(browser)
    empty = await text_of(browser, place)
    assert "Nothing has come yet" in empty
    assert f'data-live="{place}"' in empty
    await came(world, path, b'{"a": 1.10, "b": [true]}', {"x-mark": "first"})
    await came(world, f"{path}?status=503", b"second body", method="PUT")
    newest = await text_of(browser, place)
    assert newest.index("PUT ·") < newest.index("POST ·")
    assert bodies(newest) == ["second body"]
    assert "<dd>503</dd>" in newest
    assert "PUT ?status=503" in newest
    links = re.findall(r'href="([^"]+[?]request=hrd_[^"]+)"', newest)
    first = await text_of(browser, links[1])
    indented = '{\n  "a": 1.10,\n  "b": [\n    true\n  ]\n}'
    assert bodies(first) == [indented, '{"a": 1.10, "b": [true]}']
    assert "x-mark: first" in first
    await came(world, path, b"third")
    # What somebody reads does not go away under their eyes.
    assert bodies(await text_of(browser, links[1])) == bodies(first)
    assert "Follow the newest" in await text_of(browser, links[1])
    part = await browser.get(place, {"x-partial": "1"})
    assert part.text.lstrip().startswith('<div id="requests"')
    assert not world.bugs


async def test_a_request_that_is_gone_is_said_to_be(world: ConsoleWorld) -> None:
    """Its address may be older than the newest hundred, or made up."""
    browser, _ = await signed_in(world)
    place, path = await made(browser)
    await came(world, path, b"here")
    for raw in (b"\xab" * 16, b"\xff" * 16, b"\x00" * 16):
        text = await text_of(browser, f"{place}?request={ids.to_text(ids.HEARD, raw)}")
        assert "This request is gone" in text
    assert "This request is gone" in await text_of(browser, f"{place}?request=nothing")
    assert (await browser.get(f"{place}?after=nothing")).status == 422
    assert not world.bugs


HOSTILE = [
    pytest.param(b"<script>alert(1)</script>", id="a script"),
    pytest.param(b"</pre><form action=https://evil.test><button>", id="a form"),
    pytest.param(b'{"x": "</pre><img src=x onerror=alert(1)>"}', id="in JSON"),
    pytest.param(b"https://evil.test/", id="an address"),
    pytest.param(b"\x00\x1b[31m\xff\xfe\xc3(", id="no text"),
    pytest.param("\u202egnp.exe \u2066 \ufeff \u200b".encode(), id="turned around"),
    pytest.param(b"{{ visit.token }}{% raw %}", id="a template"),
]


@pytest.mark.parametrize("body", HOSTILE)
async def test_what_a_stranger_sends_is_text(world: ConsoleWorld, body: bytes) -> None:
    """Whoever has the URL writes onto a page of somebody who is signed in."""
    browser, _ = await signed_in(world)
    place, path = await made(browser)
    word = body.decode("latin-1").replace("\x00", "").replace("\x1b", "")
    await came(world, path, body, {"x-mark": word, "x-link": "javascript:alert(1)"})
    text = await text_of(browser, place)
    main = text.split('id="requests"')[1].split("<dialog")[0]
    assert set(re.findall(r"<(\w+)", main)) <= {
        *("a", "br", "button", "code", "dd", "details", "div", "dl", "dt", "h2", "h3", "li"),
        *("ol", "p", "pre", "section", "span", "strong", "summary", "time"),
    }
    assert all(link.startswith("/console/") for link in re.findall(r'href="([^"]*)"', main))
    assert not re.search(
        "[\x00-\x08\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f]", text
    )
    assert not world.bugs


async def test_of_too_much_only_the_beginning_is_shown(world: ConsoleWorld) -> None:
    """A page of megabytes helps nobody, and few bytes of brackets must not make one."""
    browser, _ = await signed_in(world)
    place, path = await made(browser)
    await came(world, path, b'"' + b"y" * (200 * 1024) + b'"')
    text = await text_of(browser, place)
    assert "200.0 KiB" in text
    assert "This is the beginning of it" in text
    assert [len(one) for one in bodies(text)] == [SHOWN_BYTES_MAX]
    deep = b"[" * 100 + b"1," * 12_000 + b"1" + b"]" * 100
    await came(world, path, deep)
    text = await text_of(browser, place)
    assert bodies(text) == [deep.decode()]
    await came(world, path, b"[" * 16_000)
    assert bodies(await text_of(browser, place)) == ["[" * 16_000]
    assert not world.bugs


async def test_credentials_are_shown_to_nobody(world: ConsoleWorld) -> None:
    """Whoever debugs a signature need not learn a password."""
    browser, _ = await signed_in(world)
    place, path = await made(browser)
    await came(world, path, b"", {"authorization": "Basic c2VjcmV0", "x-api-key": "k-secret"})
    text = await text_of(browser, place)
    assert "authorization: ••••••••" in text
    assert "c2VjcmV0" not in text
    assert "k-secret" not in text
    assert "It has none." in text


async def test_a_webhook_that_sends_here_is_one_click_away(world: ConsoleWorld) -> None:
    """And its secrets are then what each request is checked with."""
    browser, merchant = await signed_in(world)
    place, path = await made(browser)
    await came(world, path, b"{}")
    text = await text_of(browser, place)
    assert "Not checked" in text
    assert "there is no secret to check with" in text
    assert (await browser.post(f"{place}/webhook")).goes_to == place
    text = await text_of(browser, place)
    assert "Add a webhook" not in text
    assert "Not signed" in text
    link = re.search(r'href="(/console/settings/webhooks/ep_[^"]+)">Inbox<', text)
    assert link is not None
    assert path in await text_of(browser, f"{link[1]}?tab=settings")
    viewer = await Browser(world).sign_in(await world.person(merchant, Role.VIEWER))
    text = await text_of(viewer, place)
    main = text.split('id="main"')[1].split('id="shortcuts"')[0]
    assert "<form" not in main
    assert not world.bugs


async def test_an_inbox_is_removed_with_all_that_came(world: ConsoleWorld) -> None:
    """Its URL is none, and its page is none; there is room for another."""
    browser, _ = await signed_in(world)
    place, path = await made(browser)
    assert (await came(world, path, b"here")).status == 200
    assert (await browser.post(f"{place}/remove")).goes_to == LIST
    assert "The inbox is removed." in await text_of(browser, LIST)
    assert (await browser.get(place)).status == 404
    assert (await browser.post(f"{place}/remove")).status == 404
    assert (await came(world, path, b"gone")).status == 404


async def test_a_url_that_is_not_called_is_said_to_be_none(world: ConsoleWorld) -> None:
    """As on somebody's own machine, whose name leads to that machine alone."""
    urls = UrlPolicy(inboxes="http://127.0.0.1:8420/in/")
    services = replace(world.services, control=replace(world.control, urls=urls))
    world.app = create_application(services).app
    browser, merchant = await signed_in(world)
    place, _path = await made(browser)
    seen = await browser.get((await browser.post(f"{place}/webhook")).goes_to or "")
    assert re.search("private|not public|internet|address", seen.text.split('id="said"')[1])
    assert await world.store.endpoints(merchant.id, Window(limit=1)) == []
    assert not world.bugs


@pytest.mark.shows("W10")
async def test_an_inbox_is_removed_only_after_a_fresh_factor(world: ConsoleWorld) -> None:
    """What came is gone for good, and what sends to it fails."""
    browser, _ = await signed_in(world)
    place, _path = await made(browser)
    world.advance(limits.FRESH_FACTOR_S + 1)
    seen = await browser.post(f"{place}/remove")
    assert (seen.status, seen.heading) == (403, "Two-factor authentication")
    assert (await browser.get(place)).status == 200


async def test_there_are_only_so_many(world: ConsoleWorld) -> None:
    """The list says so before somebody is refused."""
    browser, _ = await signed_in(world)
    for _ in range(INBOXES_MAX):
        text = await text_of(browser, LIST)
        assert "Make an inbox" in text
        await made(browser)
    assert "Make an inbox" not in await text_of(browser, LIST)
    await browser.get("/console/account")
    assert (await browser.post(LIST)).goes_to == LIST
    text = await text_of(browser, LIST)
    said = text.split('id="said"')[1]
    assert str(INBOXES_MAX) in said


async def test_production_has_no_inboxes(world: ConsoleWorld) -> None:
    """Real payments go to servers, not to a page."""
    browser, _ = await signed_in(world, mode=Mode.LIVE)
    assert (await browser.get(LIST)).status == 409
    await browser.get("/console/account")
    assert (await browser.post(LIST)).status == 409
