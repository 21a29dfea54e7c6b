"""Every page of the console, for everybody, with own ids and another merchant's: one table.

What is expected follows from what a page declares (its permission, its second factor) and from
the roles; no page is written down here. What is refused changes nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import pytest
from tests.support.browsing import Browser, ConsoleWorld, Seen
from tests.support.console_tenants import (
    EVERYBODYS,
    NOBODYS,
    Rooms,
    Tenant,
    furnished,
    parameters,
    plain,
    told_of,
    with_session,
)

from payhooks import limits
from payhooks.console.app import pages
from payhooks.console.page import ROOT, Factor, Page, PublicPage
from payhooks.model.key import Scope
from payhooks.model.user import SCOPES, Role

SERVED = [page for page in pages() if isinstance(page, Page)]
OPEN = [page for page in pages() if isinstance(page, PublicPage)]
_OLDER_S = limits.FRESH_FACTOR_S + 60  # too old for what is hard to undo, not for the gate
_STEP_S = limits.SESSION_IDLE_S * 0.8
# Where nothing chosen is nothing to look for.
_FIELDS = {"/merchant": "merchant"}
# A form without a URL is one that changes it, which is found out only once the webhook is.
_CHANGES_URL = {("POST", "/settings/webhooks/{endpoint_id}/edit")}


class Came(StrEnum):
    """What a request came to."""

    SIGN_IN = "sent to sign in"
    NEEDED = "told that a second factor is needed"
    PROMPT = "asked for the second factor"
    NO_TEAM = "told that there is no team"
    REFUSED = "refused for the role"
    NOTHING = "told that there is no such page"
    IN = "let in"


@dataclass(frozen=True)
class Visitor:
    """Who asks: the role in the team, and how long ago the second factor was given."""

    name: str
    role: Role | None = Role.OWNER
    signed_in: bool = True
    has_factor: bool = True
    given: bool = True
    old: Factor | None = None  # the first that it is too old for

    def __str__(self) -> str:
        return self.name


VISITORS = [
    Visitor("nobody", signed_in=False),
    Visitor("an owner without a second factor", has_factor=False),
    Visitor("an owner who did not give it yet", given=False),
    Visitor("an owner who gave it long ago", old=Factor.GATE),
    Visitor("an owner who gave it a while ago", old=Factor.FRESH),
    Visitor("somebody of no team", role=None),
    *(Visitor(f"a {role} who just gave it", role=role) for role in Role),
]
_ASKED_LATER = {Factor.GATE: {Factor.GATE, Factor.FRESH}, Factor.FRESH: {Factor.FRESH}, None: set()}


def expected(page: Page, visitor: Visitor, *, own: bool) -> Came:
    """Return what the declarations say."""
    if not visitor.signed_in:
        return Came.SIGN_IN
    behind = page.factor in {Factor.GATE, Factor.FRESH}
    if not visitor.has_factor and behind:
        return Came.NEEDED
    unasked = visitor.has_factor and not visitor.given and page.factor is not Factor.NONE
    if unasked or page.factor in _ASKED_LATER[visitor.old]:
        return Came.PROMPT
    if page.needs is not None and page.needs not in _scopes(visitor):
        return Came.NO_TEAM if visitor.role is None else Came.REFUSED
    late = visitor.old is not None and (page.method, page.path) in _CHANGES_URL
    found = Came.PROMPT if late else Came.IN
    return found if own else Came.NOTHING


def _scopes(visitor: Visitor) -> frozenset[Scope]:
    return frozenset() if visitor.role is None else SCOPES[visitor.role]


def came_to(seen: Seen) -> Came:
    """Return what an answer says, by its words."""
    if (seen.goes_to or "").startswith("/console/sign-in?next="):
        return Came.SIGN_IN
    told = {
        (403, "Two-factor authentication is needed"): Came.NEEDED,
        (403, "Two-factor authentication"): Came.PROMPT,
        (403, "You are in no team"): Came.NO_TEAM,
        (403, "This is not allowed"): Came.REFUSED,
        (404, "There is no such page"): Came.NOTHING,
    }
    found = told.get((seen.status, seen.heading), Came.IN)
    assert found is not Came.IN or seen.status in {200, 303, 409, 412, 422}, seen.text
    return found


async def come(world: ConsoleWorld, visitor: Visitor, tenant: Tenant) -> tuple[Browser, Tenant]:
    """Return the visitor's browser, and the tenant with a second session where it is theirs."""
    browser = Browser(world)
    if not visitor.signed_in:
        await browser.get("/console/sign-in")
        return browser, await with_session(world, tenant, tenant.owner)
    team = None if visitor.role is None else tenant.merchant
    user = await world.person(team, visitor.role or Role.OWNER, factor=visitor.has_factor)
    tenant = await with_session(world, tenant, user)
    await browser.sign_in(user, factor=visitor.given)
    if visitor.old is Factor.FRESH:
        world.advance(_OLDER_S)
    for _ in range(2 if visitor.old is Factor.GATE else 0):
        # Seen in between, so that it is not the session that ends.
        world.advance(_STEP_S)
        await browser.get("/console/account")
    await browser.get("/console/account")
    return browser, tenant


async def ask(browser: Browser, page: Page, ids: Mapping[str, str], tenant: Tenant) -> Seen:
    """Ask for a page as whoever knows its address would."""
    path = ROOT + page.path.format_map(ids)
    if page.method == "GET":
        return await browser.get(path)
    name = _FIELDS.get(page.path)
    return await browser.post(path, {} if name is None else {name: tenant.id})


def swaps(page: Page, own: Tenant, ids: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """Yield own ids with each one that the page names taken from *ids*, and with all of them."""
    # The text of an invitation is not an id: whoever has the link is invited.
    names = [name for name in parameters(page.path) if name not in {"text", *EVERYBODYS}]
    for name in names:
        yield {**own.ids, name: ids[name]}
    if len(names) > 1:
        yield {**own.ids, **ids}


@pytest.mark.shows("W11", "W10", "K01", "K02")
@pytest.mark.parametrize("visitor", VISITORS, ids=str)
async def test_every_page_lets_in_whom_it_declares(visitor: Visitor) -> None:
    """The one table of who may do what; what is refused leaves no trace, and a bug none at all."""
    world = ConsoleWorld()
    tenant = await furnished(world, "heron")
    browser, tenant = await come(world, visitor, tenant)
    rooms = Rooms(world)
    before, cookies, token = rooms.kept(), dict(browser.cookies), browser.token
    for page in SERVED:
        named = f"{page.method} {page.path}"
        seen = await ask(browser, page, tenant.ids, tenant)
        # The merchant is somebody's own where they are in its team.
        own = page.path not in _FIELDS or visitor.role is not None
        wanted = expected(page, visitor, own=own)
        # This page is the prompt, so it says the same words to whom it lets in.
        if page.path != "/factor" or wanted is not Came.IN:
            assert came_to(seen) is wanted, (named, seen.status, seen.heading)
        if wanted is not Came.IN:
            assert rooms.kept() == before, named
            given = page.path.format_map(tenant.ids)
            told = told_of(tenant, seen, given)
            if page.method == "GET":
                part = await browser.get(ROOT + given, {"x-partial": "1"})
                assert part.status in {204, 403, 404}, named
                told |= told_of(tenant, part, given)
            assert told <= _in_the_frame(visitor, tenant), named
        rooms.put_back(before)
        before = rooms.kept()
        browser.cookies, browser.token = dict(cookies), token
    assert not world.bugs


def _in_the_frame(visitor: Visitor, tenant: Tenant) -> set[str]:
    """Return what every page says to whoever is in the team: which merchant it is."""
    inside = visitor.signed_in and visitor.role is not None
    return {tenant.id, "heron "} if inside else set()


@pytest.mark.shows("W11", "W12", "K03")
@pytest.mark.parametrize("role", Role)
async def test_another_merchants_ids_are_answered_as_ids_that_never_were(role: Role) -> None:
    """An answer that differs by a word tells who else is here, and what they have."""
    world = ConsoleWorld()
    own, other = await furnished(world, "heron"), await furnished(world, "kestrel")
    other = await with_session(world, other, other.owner)
    visitor = Visitor("", role=role)
    browser, own = await come(world, visitor, own)
    rooms = Rooms(world)
    before, asked = rooms.kept(), 0
    for page in SERVED:
        theirs = [dict(ids) for ids in swaps(page, own, other.ids)]
        never = [dict(ids) for ids in swaps(page, own, NOBODYS)]
        for given, unknown in zip(theirs, never, strict=True):
            named = (page.method, page.path, given)
            seen = await ask(browser, page, given, own)
            assert came_to(seen) is expected(page, visitor, own=False), named
            assert plain(seen, *given.values()) == plain(
                await ask(browser, page, unknown, own), *unknown.values()
            ), named
            assert not told_of(other, seen, page.path.format_map(given)), named
            assert rooms.kept() == before, named
            asked += 1
    assert asked > 25
    assert not world.bugs


@pytest.mark.shows("K02")
async def test_no_method_of_a_page_opens_what_its_declaration_closes() -> None:
    """HEAD is served wherever GET is, and tells by its status and its length."""
    world = ConsoleWorld()
    tenant = await furnished(world, "heron")
    for visitor in VISITORS[:3]:
        browser, tenant = await come(world, visitor, tenant)
        for page in SERVED:
            path = ROOT + page.path.format_map(tenant.ids)
            for method in ("HEAD",) if page.method == "GET" else ():
                looked, got = [await browser.send(one, path) for one in (method, "GET")]
                assert looked.status == got.status, page.path
                if expected(page, visitor, own=True) is not Came.IN:
                    assert looked.status in {303, 403}, page.path
            for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get"):
                assert (await browser.send(method, path)).status == 405, (method, page.path)
    assert not world.bugs


@pytest.mark.shows("K01")
async def test_what_is_open_to_everybody_is_declared_so_and_is_no_merchants() -> None:
    """A list that is short enough to be read: signing in, being invited, and two explanations."""
    world = ConsoleWorld()
    tenant = await furnished(world, "heron")
    browser, tenant = await come(world, VISITORS[0], tenant)
    for page in OPEN:
        if page.method == "GET":
            seen = await browser.get(ROOT + page.path.format_map(tenant.ids))
            assert seen.status == 200, page.path
            # Whoever was sent the link reads who invites them, and as whom.
            invited = {"heron ", "heron-new@", tenant.ids["text"]}
            assert told_of(tenant, seen) <= (invited if "text" in page.path else set()), page.path
    assert {page.path.split("/")[1] for page in OPEN} == {
        "sign-in",
        "shortcuts",
        "theme",
        "invitations",
        "help",
    }
