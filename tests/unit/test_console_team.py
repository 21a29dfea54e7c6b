"""The team in the console: members, roles, invitations."""

import re

import pytest
from tests.support.browsing import PASSWORD, Browser, ConsoleWorld

from payhooks import ids
from payhooks.control import users
from payhooks.control.context import SYSTEM
from payhooks.control.users import UserDraft
from payhooks.model.merchant import Merchant
from payhooks.model.user import Role, User
from payhooks.ports.controlling import Window

TEAM = "/console/settings/team"
LINK = re.compile(r"https://payhooks\.test(/console/invitations/[A-Za-z0-9_-]+)")


@pytest.fixture
async def world() -> ConsoleWorld:
    """Return an installation."""
    return ConsoleWorld()


@pytest.fixture
async def merchant(world: ConsoleWorld) -> Merchant:
    """Return a merchant of it."""
    return await world.tenant()


async def signed_in(world: ConsoleWorld, user: User) -> Browser:
    browser = await Browser(world).sign_in(user)
    await browser.get(TEAM)
    return browser


def place(user: User, what: str) -> str:
    return f"{TEAM}/{ids.to_text(ids.USER, user.id)}/{what}"


async def role_of(world: ConsoleWorld, merchant: Merchant, user: User) -> Role | None:
    member = await world.store.member(merchant.id, user.id)
    return None if member is None else member.membership.role


async def test_whoever_is_invited_comes_in_by_the_link_that_was_shown(
    world: ConsoleWorld, merchant: Merchant
) -> None:
    """The link is the only way into a team, so it has to work as it is copied."""
    owner = await signed_in(world, await world.person(merchant))
    said = {"email": "new@example.com", "role": "support"}
    made = await owner.post(f"{TEAM}/invitations", said)
    assert (made.status, made.heading) == (200, "Invitation")
    [link] = set(LINK.findall(made.text))
    assert "new@example.com" in (await owner.get(TEAM)).text
    guest = Browser(world)
    await guest.get(link)
    fields = {"username": "newcomer", "password": PASSWORD, "password_again": PASSWORD}
    assert (await guest.post(link, fields)).status == 303
    team = await owner.get(TEAM)
    assert "newcomer" in team.text
    assert "Invited" not in team.text


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"email": "", "role": "viewer"}, id="no e-mail"),
        pytest.param({"email": "nobody", "role": "viewer"}, id="no address"),
        pytest.param({"email": "a@example.com", "role": ""}, id="no role"),
        pytest.param({"email": "a@example.com", "role": "operator"}, id="no such role"),
    ],
)
async def test_an_invitation_that_cannot_be_made_keeps_what_was_typed(
    world: ConsoleWorld, merchant: Merchant, said: dict[str, str]
) -> None:
    """Nobody fills a form twice because of one field."""
    owner = await signed_in(world, await world.person(merchant))
    seen = await owner.post(f"{TEAM}/invitations", said)
    assert (seen.status, seen.heading) == (422, "Invite")
    assert f'value="{said["email"]}"' in seen.text
    assert await world.store.invitations(merchant.id, Window(limit=5)) == []


@pytest.mark.shows("W17")
async def test_a_revoked_link_lets_nobody_in(world: ConsoleWorld, merchant: Merchant) -> None:
    """A link sent to the wrong person has to be worthless at once."""
    owner = await signed_in(world, await world.person(merchant))
    made = await owner.post(f"{TEAM}/invitations", {"email": "a@example.com", "role": "viewer"})
    [link] = set(LINK.findall(made.text))
    [waiting] = await world.store.invitations(merchant.id, Window(limit=5))
    revoke = f"{TEAM}/invitations/{ids.to_text(ids.INVITATION, waiting.id)}/revoke"
    assert (await owner.post(revoke)).goes_to == TEAM
    assert (await Browser(world).get(link)).status == 404
    assert (await owner.post(revoke)).status == 404


@pytest.mark.shows("W9")
async def test_a_role_counts_at_the_members_next_request(
    world: ConsoleWorld, merchant: Merchant
) -> None:
    """Whoever leaves a post must not keep its keys until they sign out."""
    owner = await signed_in(world, await world.person(merchant))
    colleague = await world.person(merchant, Role.DEVELOPER)
    theirs = await signed_in(world, colleague)
    changed = await owner.post(place(colleague, "role"), {"role": "viewer"})
    assert changed.goes_to == TEAM
    assert await role_of(world, merchant, colleague) is Role.VIEWER
    reveal = "/console/settings/keys/signature-key/reveal"
    assert (await theirs.post(reveal)).heading == "This is not allowed"
    await owner.post(place(colleague, "remove"))
    assert await role_of(world, merchant, colleague) is None
    assert (await theirs.get(TEAM)).heading == "You are in no team"


@pytest.mark.shows("W17")
async def test_the_last_owner_stays_and_is_told_why(
    world: ConsoleWorld, merchant: Merchant
) -> None:
    """A team without an owner could never be changed again."""
    user = await world.person(merchant)
    owner = await signed_in(world, user)
    for what, fields in (("role", {"role": "viewer"}), ("remove", {})):
        seen = await owner.post(place(user, what), fields)
        assert (seen.status, seen.heading) == (409, "Team")
        assert 'role="alert"' in seen.text
    assert await role_of(world, merchant, user) is Role.OWNER
    assert (await owner.post(place(user, "role"), {"role": "king"})).status == 422


async def test_a_button_that_was_meant_for_somebody_else_does_nothing(
    world: ConsoleWorld, merchant: Merchant
) -> None:
    """Whoever removes a viewer must not remove somebody whom a colleague has just made an owner."""
    owner = await signed_in(world, await world.person(merchant))
    colleague = await world.person(merchant, Role.VIEWER)
    await owner.post(place(colleague, "role"), {"role": "owner", "seen": "viewer"})
    for what, fields in (("role", {"role": "developer"}), ("remove", {})):
        seen = await owner.post(place(colleague, what), {**fields, "seen": "viewer"})
        assert (seen.status, seen.heading) == (412, "Somebody else changed this")
    assert await role_of(world, merchant, colleague) is Role.OWNER
    page = (await owner.get(TEAM)).text
    assert page.count('name="seen" value="owner"') == 4


async def test_a_large_team_is_read_in_pages_and_searched(
    world: ConsoleWorld, merchant: Merchant
) -> None:
    """Five hundred members with their buttons would be a page of a megabyte."""
    browser = await signed_in(world, await world.person(merchant))
    for number in range(55):
        draft = UserDraft(
            username=f"member{number}",
            email=f"m{number}@example.com",
            password=PASSWORD,
            merchant=merchant,
            role=Role.VIEWER,
        )
        await users.create(world.control, SYSTEM, draft)
    first = await browser.get(TEAM)
    assert first.text.count('data-label="Member"') == 50
    following = first.text.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
    second = await browser.get(following)
    assert second.text.count('data-label="Member"') == 6
    found = await browser.get(f"{TEAM}?name=MEMBER42")
    assert found.text.count('data-label="Member"') == 1
    assert "m42@example.com" in found.text
    assert "Nobody matches" in (await browser.get(f"{TEAM}?name=nobody")).text
    assert (await browser.get(f"{TEAM}?after=usr_x")).status == 422


async def test_whoever_only_reads_sees_the_team_and_no_buttons(
    world: ConsoleWorld, merchant: Merchant
) -> None:
    """A button that answers "not allowed" is a trap."""
    await world.person(merchant)
    for role in (Role.DEVELOPER, Role.SUPPORT, Role.VIEWER):
        browser = await signed_in(world, await world.person(merchant, role))
        seen = await browser.get(TEAM)
        assert seen.status == 200
        for words in ("Invite", "Remove", "Revoke", "Role of"):
            assert words not in seen.text


@pytest.mark.shows("W12")
async def test_another_merchants_members_are_not_there(
    world: ConsoleWorld, merchant: Merchant
) -> None:
    """An owner of one merchant is nobody for another."""
    owner = await signed_in(world, await world.person(merchant))
    other = await world.tenant("Other")
    stranger = await world.person(other)
    assert stranger.username not in (await owner.get(TEAM)).text
    assert (await owner.post(place(stranger, "role"), {"role": "viewer"})).status == 404
    assert (await owner.post(place(stranger, "remove"))).status == 404
    assert await role_of(world, other, stranger) is Role.OWNER
