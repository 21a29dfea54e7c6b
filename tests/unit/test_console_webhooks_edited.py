"""Editing and deleting webhooks without a browser: nothing is lost by mistake, nor saved by it."""

import re

import pytest
from tests.support.browsing import ConsoleWorld
from tests.support.webhook_shop import LIST, PARTIAL, Shop, at, filled, in_order, shop_of

from payhooks.control import endpoints
from payhooks.control.context import SYSTEM
from payhooks.control.endpoint_draft import EndpointDraft
from payhooks.model.endpoint import AuthenticationType
from payhooks.ports.controlling import Window


@pytest.fixture
async def shop() -> Shop:
    """Return a shop whose owner has just given a second factor."""
    return await shop_of(ConsoleWorld())


async def test_an_edit_changes_what_was_changed_and_leaves_the_password(shop: Shop) -> None:
    """The form does not know the password, and must not save that it has none."""
    endpoint = await shop.added()
    seen = await shop.browser.post(
        at(endpoint, "/edit"), filled(endpoint, label="Till", events="ach.failed")
    )
    assert seen.goes_to == LIST
    edited = await shop.stored(endpoint)
    assert (edited.label, edited.events) == ("Till", ("ach.failed",))
    assert edited.authentication == endpoint.authentication
    assert await shop.password(endpoint) == "correct horse"


async def test_reset_toggles_to_keep_and_back_and_saves_nothing(shop: Shop) -> None:
    """Somebody who looks what the button does must not have lost the password by it."""
    endpoint = await shop.added()
    page = await shop.browser.get(at(endpoint, "/edit"))
    assert "Reset Webhook Authentication" in page.text
    assert 'name="password"' not in page.text
    typed = filled(endpoint, label="Typed")
    opened = await shop.browser.post(at(endpoint, "/reset"), typed)
    assert "Keep Current Configuration" in opened.text
    assert 'name="password"' in opened.text
    assert 'value="Typed"' in opened.text
    kept = await shop.browser.post(at(endpoint, "/reset"), {**typed, "reset": "1"})
    assert "Reset Webhook Authentication" in kept.text
    assert 'name="reset"' not in kept.text
    assert await shop.stored(endpoint) == endpoint
    await shop.browser.post(at(endpoint, "/edit"), typed)
    assert await shop.password(endpoint) == "correct horse"


async def test_a_reset_that_is_saved_replaces_the_authentication(shop: Shop) -> None:
    """Keeping the old password beside the new one would be two ways in."""
    endpoint = await shop.added()
    anew = {"reset": "1", "authentication": "basic", "username": "new", "password": "battery"}
    await shop.browser.post(at(endpoint, "/edit"), filled(endpoint, **anew))
    edited = await shop.stored(endpoint)
    assert (edited.authentication.username, await shop.password(edited)) == ("new", "battery")
    none = filled(edited, reset="1", authentication="none", username="x", password="y")
    await shop.browser.post(at(edited, "/edit"), none)
    assert (await shop.stored(edited)).authentication.type is AuthenticationType.NONE
    assert await shop.password(edited) is None


async def test_close_asks_only_where_something_would_be_lost(shop: Shop) -> None:
    """A question asked for nothing is answered without reading when it counts."""
    endpoint = await shop.added()
    seen = await shop.browser.post(at(endpoint, "/close"), filled(endpoint))
    assert seen.goes_to == LIST
    for fields in ({"label": "Other"}, {"events": "ach.failed"}, {"reset": "1"}):
        asked = await shop.browser.post(at(endpoint, "/close"), filled(endpoint, **fields))
        assert asked.status == 200, fields
        assert in_order(asked.text, ("Keep Editing", "Abandon Changes"))
    assert await shop.stored(endpoint) == endpoint


@pytest.mark.shows("W10", "K13")
async def test_another_url_asks_for_a_fresh_factor_and_then_saves(shop: Shop) -> None:
    """Where payment data goes is what a thief of a session would change first."""
    endpoint = await shop.added(authentication="none")
    shop.wait_past_fresh()
    form = filled(endpoint, url="https://other.example.com/")
    asked = await shop.browser.post(at(endpoint, "/edit"), form)
    assert (asked.status, asked.heading) == (403, "Two-factor authentication")
    assert (await shop.stored(endpoint)).url == endpoint.url
    partial = await shop.browser.post(at(endpoint, "/edit"), form, headers=PARTIAL)
    assert (partial.status, partial.header("x-submit")) == (204, "1")
    users = await shop.world.store.members(shop.merchant.id, Window(limit=1))
    code = await shop.world.code(users[0].user)
    given = await shop.browser.post(at(endpoint, "/edit"), {**form, "second_factor": code})
    assert given.goes_to == LIST
    assert (await shop.stored(endpoint)).url == "https://other.example.com/"


@pytest.mark.shows("K12")
async def test_a_stale_edit_is_told_and_keeps_what_was_typed(shop: Shop) -> None:
    """The last to press the button must know what it is that goes under."""
    endpoint = await shop.added()
    other = EndpointDraft(label="Theirs")
    await endpoints.edit(
        shop.world.control, SYSTEM, shop.merchant, endpoint, other, if_version=None
    )
    seen = await shop.browser.post(at(endpoint, "/edit"), filled(endpoint, label="Mine"))
    assert seen.status == 412
    assert "system changed this webhook" in seen.text
    assert in_order(seen.text, ("Theirs", "Mine", "Load their version"))
    assert (await shop.stored(endpoint)).label == "Theirs"
    version = re.search(r'name="version" value="(\d+)"', seen.text)
    assert version is not None
    again = filled(endpoint, label="Mine", version=version[1])
    assert (await shop.browser.post(at(endpoint, "/edit"), again)).status == 303
    assert (await shop.stored(endpoint)).label == "Mine"


@pytest.mark.shows("K12")
@pytest.mark.parametrize("step", ["/reset", "/close"])
async def test_a_step_between_does_not_make_a_stale_form_a_new_one(shop: Shop, step: str) -> None:
    """Reset sends the form back; it must not forget which version it was made from."""
    endpoint = await shop.added()
    other = EndpointDraft(label="Theirs")
    control = shop.world.control
    await endpoints.edit(control, SYSTEM, shop.merchant, endpoint, other, if_version=None)
    seen = await shop.browser.post(at(endpoint, step), filled(endpoint, url="https://b.example/"))
    version = re.search(r'name="version" value="(\d+)"', seen.text)
    assert version is not None
    assert version[1] == str(endpoint.version)


@pytest.mark.shows("K12")
@pytest.mark.parametrize("version", ["", "-1", "9" * 5_000, "²"])
async def test_a_version_that_we_never_wrote_is_a_stale_one(shop: Shop, version: str) -> None:
    """A form without its version must not save over anything."""
    endpoint = await shop.added()
    form = filled(endpoint, label="Mine", version=version)
    assert (await shop.browser.post(at(endpoint, "/edit"), form)).status == 412
    assert (await shop.stored(endpoint)).label == "Shop"


@pytest.mark.shows("W10")
async def test_deleting_asks_for_a_fresh_factor_and_names_what_waits(shop: Shop) -> None:
    """What is deleted does not come back."""
    endpoint = await shop.added()
    page = await shop.browser.get(at(endpoint, "/edit"))
    assert in_order(page.text, ("Delete Hook", "Delete Shop?", "No delivery waits", "autofocus"))
    shop.wait_past_fresh()
    assert (await shop.browser.post(at(endpoint, "/delete"))).status == 403
    users = await shop.world.store.members(shop.merchant.id, Window(limit=1))
    code = await shop.world.code(users[0].user)
    gone = await shop.browser.post(at(endpoint, "/delete"), {"second_factor": code})
    assert gone.goes_to == LIST
    assert await shop.all() == []
