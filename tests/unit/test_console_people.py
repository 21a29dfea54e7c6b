"""The console's own pages about people: signing in, invitations, second factors, accounts."""

import re

import pyotp
import pytest
from tests.support.browsing import PASSWORD, Browser, ConsoleWorld

from payhooks import ids
from payhooks.control import invitations, users
from payhooks.control.context import SYSTEM
from payhooks.model.merchant import Merchant, Mode
from payhooks.model.user import Role, User

SIGN_IN = "/console/sign-in"
ACCOUNT = "/console/account"
TWO_FACTOR = "/console/account/two-factor"


@pytest.fixture
def world() -> ConsoleWorld:
    """Return an installation without anybody."""
    return ConsoleWorld()


async def invited(world: ConsoleWorld, merchant: Merchant, email: str = "new@example.com") -> str:
    """Return the path of a new invitation."""
    made = await invitations.invite(
        world.control, SYSTEM, merchant, email=email, role=Role.SUPPORT, base_url=""
    )
    return made.url


@pytest.mark.shows("W5")
@pytest.mark.parametrize(
    ("name", "password"),
    [
        pytest.param("nobody", PASSWORD, id="an unknown name"),
        pytest.param("{name}", "another password", id="another password"),
        pytest.param("{name}", "", id="no password"),
        pytest.param("", "", id="nothing"),
        pytest.param("{name}", f" {PASSWORD}", id="a blank before it"),
        pytest.param("{name}", "x" * 100_000, id="a very long one"),
        pytest.param("{name}\u202e", PASSWORD, id="a name that turns the text around"),
    ],
)
async def test_whoever_is_not_let_in_is_told_the_same(
    world: ConsoleWorld, name: str, password: str
) -> None:
    """W5: nobody learns from the answer which names exist."""
    user = await world.person(await world.tenant(), factor=False)
    browser = Browser(world)
    await browser.get(SIGN_IN)
    seen = await browser.post(
        SIGN_IN, {"name": name.format(name=user.username), "password": password}
    )
    assert (seen.status, seen.heading) == (422, "Sign in")
    assert "The username, e-mail or password is not right." in seen.text
    assert "__Host-payhooks" not in browser.cookies
    assert not password or password not in seen.text


@pytest.mark.shows("W5")
async def test_whoever_guesses_waits_and_is_told_how_long(world: ConsoleWorld) -> None:
    """W5: for the name, whatever the password is then."""
    user = await world.person(await world.tenant(), factor=False)
    browser = Browser(world)
    await browser.get(SIGN_IN)
    wrong = {"name": user.username, "password": "not it, not it"}
    for _ in range(5):
        assert (await browser.post(SIGN_IN, wrong)).status == 422
    seen = await browser.post(SIGN_IN, {"name": user.username, "password": PASSWORD})
    assert seen.status == 429
    assert re.search(r"Try again in \d+ (seconds|minutes)\.", seen.text)
    world.advance(900)
    seen = await browser.post(SIGN_IN, {"name": user.username, "password": PASSWORD})
    assert seen.status == 303


@pytest.mark.shows("W17")
async def test_an_invitation_makes_a_user_who_goes_on_to_a_second_factor(
    world: ConsoleWorld,
) -> None:
    """From the link to a page behind the gate, as a new member of a team goes."""
    path = await invited(world, await world.tenant())
    browser = Browser(world)
    seen = await browser.get(path)
    assert "new@example.com" in seen.text
    weak = {"username": "new one", "password": "short", "password_again": "short"}
    seen = await browser.post(path, weak)
    assert seen.status == 422
    assert "A password has at least 12 characters." in seen.text
    assert "A username is letters" in seen.text
    assert 'value="new one"' in seen.text
    assert 'value="short"' not in seen.text
    good = {"username": "newcomer", "password": PASSWORD, "password_again": PASSWORD}
    differs = await browser.post(path, {**good, "password_again": "another"})
    assert "The two passwords are not the same." in differs.text
    seen = await browser.post(path, good)
    assert seen.goes_to == TWO_FACTOR
    await browser.get(TWO_FACTOR)
    seen = await browser.post(TWO_FACTOR)
    assert "<svg" in seen.text
    seed = re.search(r">([A-Z2-7]{32})<", seen.text)
    assert seed is not None
    code = pyotp.TOTP(seed[1]).at(world.clock.now())
    seen = await browser.post(f"{TWO_FACTOR}/confirm", {"code": code})
    codes = re.findall(r"<code>([a-z2-7-]+)</code>", seen.text)
    assert len(set(codes)) == 10
    assert (await Browser(world).get(path)).status == 404, "it counts once"


async def test_who_was_made_by_a_link_signs_in_later_where_the_address_has_to_wait(
    world: ConsoleWorld,
) -> None:
    """A colleague's typos must not show a failure where the user was made and the link is used."""
    path = await invited(world, await world.tenant())
    browser = Browser(world)
    await browser.get(SIGN_IN)
    for number in range(20):
        await browser.post(SIGN_IN, {"name": f"user{number}", "password": "not it, not it"})
    await browser.get(path)
    good = {"username": "newcomer", "password": PASSWORD, "password_again": PASSWORD}
    assert (await browser.post(path, good)).goes_to == SIGN_IN
    assert "Your user is made. Sign in with it." in (await browser.get(SIGN_IN)).text
    assert (await users.find(world.control, "newcomer")).email == "new@example.com"


async def test_an_invitation_is_for_those_who_have_a_user_too(world: ConsoleWorld) -> None:
    """One person may look after several merchants with one sign-in."""
    here, there = await world.tenant("Here"), await world.tenant("There", Mode.LIVE)
    user = await world.person(here, factor=False)
    path = await invited(world, there)
    browser = await Browser(world).sign_in(user)
    seen = await browser.get(f"{path}/join")
    assert "There" in seen.text
    seen = await browser.post(f"{path}/join")
    assert seen.goes_to == "/console/"
    seen = await browser.get(ACCOUNT)
    assert "Production" in seen.text
    assert "Here (Sandbox)" in seen.text


@pytest.mark.shows("W17")
async def test_a_form_cannot_give_itself_a_role(world: ConsoleWorld) -> None:
    """W17: what an invitation gives is what the inviter chose."""
    path = await invited(world, await world.tenant())
    browser = Browser(world)
    await browser.get(path)
    fields = {
        "username": "climber",
        "password": PASSWORD,
        "password_again": PASSWORD,
        "role": "owner",
        "email": "other@example.com",
    }
    await browser.post(path, fields)
    user = await users.find(world.control, "climber")
    assert user.email == "new@example.com"
    memberships = await world.store.memberships(user.id)
    assert [one.role for one in memberships] == [Role.SUPPORT]


@pytest.mark.shows("W12")
async def test_one_switches_between_ones_own_merchants_alone(world: ConsoleWorld) -> None:
    """W12: the id of another's merchant is answered as one that never was."""
    here, there, foreign = [await world.tenant(name) for name in ("Here", "There", "Foreign")]
    user = await world.person(here, factor=False)
    browser = await Browser(world).sign_in(user)
    for merchant in (there, foreign):
        await browser.get(ACCOUNT)
        seen = await browser.post("/console/merchant", {"merchant": _id(merchant)})
        assert seen.status == 404
    path = await invited(world, there)
    await browser.get(f"{path}/join")
    await browser.post(f"{path}/join")
    await browser.get(ACCOUNT)
    seen = await browser.post("/console/merchant", {"merchant": _id(here)})
    assert seen.goes_to == "/console/"
    seen = await browser.get(ACCOUNT)
    assert re.search(r"selected>Here \(Sandbox\)", seen.text)
    for nonsense in ("", "mer_x", _id(foreign)):
        seen = await browser.post("/console/merchant", {"merchant": nonsense})
        assert seen.status == 404


@pytest.mark.shows("W9")
async def test_whoever_has_many_merchants_looks_for_one_on_a_page_of_its_own(
    world: ConsoleWorld,
) -> None:
    """Hundreds of options in the menu would be read and sent with every page."""
    tenants = [await world.tenant(f"Shop {number:02}") for number in range(60)]
    user = await world.person(tenants[0], factor=False)
    for tenant in tenants[1:]:
        await world.joins(user, tenant, Role.VIEWER)
    browser = await Browser(world).sign_in(user)
    seen = await browser.get(ACCOUNT)
    assert "Shop 01" not in seen.text
    assert 'href="/console/merchants"' in seen.text
    seen = await browser.get("/console/merchants")
    assert seen.text.count('aria-label="Switch to Shop') == 50 - 1
    further = seen.text.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
    seen = await browser.get(further)
    assert seen.text.count('aria-label="Switch to Shop') == 10
    seen = await browser.get("/console/merchants?name=SHOP+42")
    assert seen.text.count('aria-label="Switch to Shop') == 1
    seen = await browser.post("/console/merchant", {"merchant": _id(tenants[42])})
    assert seen.goes_to == "/console/"
    seen = await browser.get("/console/merchants?name=shop+42")
    assert "This one" in seen.text
    assert '<p class="tenant">Shop 42</p>' in seen.text
    for query, status in (("name=%3Cb%3E", 200), ("after=mer_x", 422)):
        seen = await browser.get(f"/console/merchants?{query}")
        assert seen.status == status
        assert "<b>" not in seen.text


async def test_the_merchants_of_others_are_on_nobodys_page(world: ConsoleWorld) -> None:
    """W12: who is a merchant here is nobody's business."""
    here, _ = await world.tenant("Here"), await world.tenant("Foreign")
    browser = await Browser(world).sign_in(await world.person(here, factor=False))
    assert "Foreign" not in (await browser.get("/console/merchants?name=")).text
    alone = await Browser(world).sign_in(await world.person(None, factor=False))
    assert "You are in no team" in (await alone.get("/console/merchants")).text
    assert (await Browser(world).get("/console/merchants")).status == 303


async def test_another_password_ends_the_other_sessions(world: ConsoleWorld) -> None:
    """W9: whoever changes it suspects that somebody knows the old one."""
    user = await world.person(await world.tenant(), factor=False)
    here, elsewhere = [await Browser(world).sign_in(user) for _ in range(2)]
    await here.get(ACCOUNT)
    fields = {"current_password": "not this one", "new_password": "eleven quiet otters"}
    seen = await here.post(f"{ACCOUNT}/password", fields)
    assert seen.status == 422
    assert "This is not your password." in seen.text
    fields["current_password"] = PASSWORD
    seen = await here.post(f"{ACCOUNT}/password", {**fields, "new_password": "password1234"})
    assert seen.status == 422
    seen = await here.post(f"{ACCOUNT}/password", fields)
    assert seen.goes_to == ACCOUNT
    assert "The password is changed." in (await here.get(ACCOUNT)).text
    assert (await elsewhere.get(ACCOUNT)).status == 303


@pytest.mark.shows("W9", "W12")
async def test_ones_sessions_are_ones_own_to_end(world: ConsoleWorld) -> None:
    """W9, W12: the id of another user's session ends nothing."""
    merchant = await world.tenant()
    user, other = [await world.person(merchant, factor=False) for _ in range(2)]
    here, elsewhere, foreign = [await Browser(world).sign_in(one) for one in (user, user, other)]
    theirs = await _sessions(world, other)
    await here.get(ACCOUNT)
    assert (await here.post(f"{ACCOUNT}/sessions/{theirs[0]}/end")).status == 404
    assert (await here.post(f"{ACCOUNT}/sessions/nonsense/end")).status == 404
    assert (await foreign.get(ACCOUNT)).status == 200
    assert (await here.post(f"{ACCOUNT}/sessions/end-others")).status == 303
    assert (await elsewhere.get(ACCOUNT)).status == 303
    assert (await here.get(ACCOUNT)).status == 200


@pytest.mark.shows("W10")
async def test_a_second_factor_is_turned_off_by_whoever_just_gave_it(world: ConsoleWorld) -> None:
    """W10: not by whoever finds a browser open."""
    user = await world.person(await world.tenant())
    browser = await Browser(world).sign_in(user)
    await browser.get(ACCOUNT)
    world.advance(400)
    seen = await browser.post(f"{TWO_FACTOR}/off")
    assert (seen.status, seen.heading) == (403, "Two-factor authentication")
    code = await world.code(user)
    seen = await browser.post(f"{TWO_FACTOR}/off", {"second_factor": code})
    assert seen.goes_to == ACCOUNT
    found = await world.store.user(user.id)
    assert found is not None
    assert not found.has_factor


@pytest.mark.shows("W1")
async def test_what_people_type_is_text_on_every_page(world: ConsoleWorld) -> None:
    """W1: names come from people, and people include attackers."""
    evil = "<script>alert(1)</script>\"'{{ 7*7 }}"
    merchant = await world.tenant(evil)
    user = await world.person(merchant, factor=False)
    browser = Browser(world)
    await browser.get(SIGN_IN)
    seen = await browser.post(SIGN_IN, {"name": evil, "password": "no"})
    assert "<script>alert" not in seen.text
    assert "{{ 7*7 }}" in seen.text
    await browser.sign_in(user)
    for path in (ACCOUNT, await invited(world, merchant)):
        seen = await browser.get(path)
        assert "&lt;script&gt;alert" in seen.text
        assert "<script>alert" not in seen.text
        assert "{{ 7*7 }}" in seen.text


@pytest.mark.shows("W1")
async def test_what_a_browser_calls_itself_is_text_too(world: ConsoleWorld) -> None:
    """W1: a header is as easily written as a field."""
    user = await world.person(await world.tenant(), factor=False)
    browser = Browser(world)
    await browser.get(SIGN_IN)
    fields = {"name": user.username, "password": PASSWORD}
    await browser.post(SIGN_IN, fields, headers={"user-agent": "<img src=x onerror=alert(1)>"})
    seen = await browser.get(ACCOUNT)
    assert "&lt;img src=x" in seen.text
    assert "<img src=x" not in seen.text


async def test_a_forged_word_is_not_said(world: ConsoleWorld) -> None:
    """What a page says of the last one comes from us, not from whoever can set a cookie."""
    browser = Browser(world)
    browser.cookies["__Host-payhooks-said"] = "Y2FsbCB0aGlzIG51bWJlcg=="
    seen = await browser.get(SIGN_IN)
    assert 'aria-live="polite"></div>' in seen.text
    assert "__Host-payhooks-said" not in browser.cookies


def _id(merchant: Merchant) -> str:

    return ids.to_text(ids.MERCHANT, merchant.id)


async def _sessions(world: ConsoleWorld, user: User) -> list[str]:

    found = await world.store.sessions(user.id)
    return [ids.to_text(ids.SESSION, session.id) for session in found]
