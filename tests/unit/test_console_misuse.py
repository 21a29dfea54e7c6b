"""What users, tabs and odd browsers do to the console that no page of it asks for."""

import re

import pytest
from tests.support.browsing import Browser, ConsoleWorld

from payhooks import ids
from payhooks.control import users
from payhooks.control.context import SYSTEM, audit_entry
from payhooks.model.user import Membership, Role
from payhooks.ports.identity import IdentityChange


@pytest.fixture
def world() -> ConsoleWorld:
    """Return an installation without anybody."""
    return ConsoleWorld()


@pytest.mark.shows("W12")
async def test_a_form_of_another_merchants_page_changes_nothing(world: ConsoleWorld) -> None:
    """Sandbox in one tab, Production in the other: a key rotated in the wrong one is an outage."""
    sandbox, production = await world.tenant(), await world.tenant("Acme live")
    user = await world.person(sandbox)
    membership = Membership(
        user_id=user.id, merchant_id=production.id, role=Role.OWNER, created_at=user.created_at
    )
    entry = audit_entry(
        world.control, SYSTEM, merchant_id=production.id, action="member.added", target="test"
    )
    await world.store.apply_identity(IdentityChange(audit=entry, joining=membership))
    browser = await Browser(world).sign_in(user)
    page = await browser.get("/console/settings/keys")
    seen_for = re.findall(r'name="form_merchant" value="([^"]+)"', page.text)
    assert set(seen_for) == {ids.to_text(ids.MERCHANT, sandbox.id)}
    rotate = (
        "/console/settings/keys/signature-key/rotate",
        {"form_merchant": seen_for[0], "grace": "0"},
    )
    other = {"form_merchant": seen_for[0], "merchant": ids.to_text(ids.MERCHANT, production.id)}
    assert (await browser.post("/console/merchant", other)).status == 303
    before = await world.store.secrets(production.id, production.id)
    refused = await browser.post(*rotate)
    assert refused.status == 409
    assert "switched to another merchant" in refused.text
    assert await world.store.secrets(production.id, production.id) == before
    back = {"merchant": seen_for[0]}
    assert (await browser.post("/console/merchant", back)).status == 303
    assert (await browser.post(*rotate)).status == 200


@pytest.mark.shows("W2")
@pytest.mark.parametrize("origin", ["http://[", "https://]payhooks.test", "null"])
async def test_an_origin_that_is_no_url_is_refused(world: ConsoleWorld, origin: str) -> None:
    """What anybody may send is no bug of ours, and must not wake the operator as one."""
    browser = Browser(world)
    await browser.get("/console/sign-in")
    headers = {"sec-fetch-site": "", "origin": origin}
    seen = await browser.post("/console/theme", {"theme": "dark"}, headers=headers)
    assert seen.status == 403
    assert not world.bugs


async def test_a_script_is_sent_to_pages_of_any_name(world: ConsoleWorld) -> None:
    """A path in another alphabet must be told to the script in what a header can hold."""
    browser = await Browser(world).sign_in(await world.person(await world.tenant()), factor=False)
    seen = await browser.get("/console/settings/webhooks/%E2%82%AC", headers={"x-partial": "1"})
    assert (seen.status, seen.header("x-go")) == (204, "/console/settings/webhooks/%E2%82%AC")
    assert not world.bugs


@pytest.mark.shows("W17")
async def test_a_removed_owner_does_not_come_back_by_a_link_of_theirs(world: ConsoleWorld) -> None:
    """Whoever sees it coming would invite themselves as owner first, and be back an hour later."""
    merchant = await world.tenant()
    await world.person(merchant)
    leaver = await world.person(merchant)
    browser = await Browser(world).sign_in(leaver)
    await browser.get("/console/settings/team/invitations/new")
    made = await browser.post(
        "/console/settings/team/invitations", {"email": "me@example.net", "role": "owner"}
    )
    [link] = set(re.findall(r"/console/invitations/[A-Za-z0-9_-]+", made.text))
    assert (await Browser(world).get(link)).status == 200
    member = await users.find_member(world.control, merchant.id, ids.to_text(ids.USER, leaver.id))
    await users.remove(world.control, SYSTEM, member)
    await browser.get("/console/account")
    assert (await browser.post(f"{link}/join")).status == 404
    assert await world.store.member(merchant.id, leaver.id) is None
