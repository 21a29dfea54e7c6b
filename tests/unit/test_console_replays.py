"""Recovering after an outage: counted first, begun by a person, watched, called off."""

import re
from html import unescape

import pytest
from tests.support.api_world import OWNER, finish
from tests.support.browsing import Browser, ConsoleWorld

from payhooks import ids
from payhooks.control.replay import Replayer
from payhooks.model.attempt import Reason
from payhooks.model.delivery import Trigger
from payhooks.model.merchant import Merchant
from payhooks.model.user import Role

LIST = "/console/replays"


@pytest.fixture
def world() -> ConsoleWorld:
    """Return an installation without anybody."""
    return ConsoleWorld()


async def after_an_outage(world: ConsoleWorld, name: str = "Acme") -> Merchant:
    """Return a merchant of whose deliveries three have failed."""
    merchant = await world.tenant(name)
    text = ids.to_text(ids.MERCHANT, merchant.id)
    await world.endpoint(text, label="Ledger")
    for kind in ("payment_succeeded", "payment_succeeded", "refund_succeeded"):
        assert (await world.publish(text, type=kind)).status == 202
    await finish(world, Trigger.GIVE_UP)
    world.advance(60)
    return merchant


async def signed_in(world: ConsoleWorld, merchant: Merchant, role: Role = Role.OWNER) -> Browser:
    return await Browser(world).sign_in(await world.person(merchant, role))


def hidden(page: str) -> list[tuple[str, str]]:
    """Return the fields of the form that begins the replay."""
    form = page.split(f'action="{LIST}"', 1)[1].split("</form>", 1)[0]
    pairs = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return [(name, unescape(value)) for name, value in pairs if name != "form_token"]


async def test_all_that_match_are_counted_begun_and_watched(world: ConsoleWorld) -> None:
    """From the filtered list to the end, and exactly what was counted is what is sent."""
    merchant = await after_an_outage(world)
    browser = await signed_in(world, merchant, Role.SUPPORT)
    seen = await browser.get("/console/deliveries?status=failed&type=payment_*")
    link = re.search(r'href="(/console/replays/new[^"]+)"[^>]*>Replay all that match', seen.text)
    assert link is not None
    seen = await browser.get(unescape(link[1]))
    assert "2 deliveries match" in seen.text
    seen = await browser.post(LIST, hidden(seen.text))
    place = seen.goes_to or ""
    seen = await browser.get(place)
    assert "0 of 2 sent on their way" in seen.text
    assert 'data-live="' in seen.text
    replayer = Replayer(world.control, owner=OWNER)
    for _ in range(5):
        await replayer.step()
        world.advance(1)
    assert "2 of them still wait" in (await browser.get(place)).text
    await finish(world, Trigger.SUCCEED)
    seen = await browser.get(place)
    assert "2 of 2 sent on their way" in seen.text
    assert "data-live" not in seen.text
    assert "2 of 2" in (await browser.get(LIST)).text


async def test_all_that_failed_with_one_reason_is_recovered_from_one_of_them(
    world: ConsoleWorld,
) -> None:
    """Whoever has mended a certificate opens one delivery and sends again what it had stopped."""
    merchant = await after_an_outage(world)
    text = ids.to_text(ids.MERCHANT, merchant.id)
    await world.endpoint(text, label="Stranger")
    await world.publish(text)
    await finish(world, Trigger.GIVE_UP, Reason.TLS)
    world.advance(60)
    browser = await signed_in(world, merchant, Role.SUPPORT)
    listed = await browser.get("/console/deliveries?status=failed&reason=http_5xx")
    one = re.search(r'href="(/console/deliveries/del_[^"]+)"', listed.text)
    assert one is not None
    seen = await browser.get(one[1])
    link = re.search(
        r'href="(/console/replays/new[^"]+)">Recover all that failed with http_5xx', seen.text
    )
    assert link is not None
    seen = await browser.get(unescape(link[1]))
    assert "3 deliveries match" in seen.text
    seen = await browser.post(LIST, hidden(seen.text))
    assert (
        "<dt>Reason</dt><dd><code>http_5xx</code>" in (await browser.get(seen.goes_to or "")).text
    )
    viewer = await signed_in(world, merchant, Role.VIEWER)
    assert "Recover all that failed" not in (await viewer.get(one[1])).text


@pytest.mark.shows("W10")
async def test_a_replay_is_begun_only_after_a_fresh_factor(world: ConsoleWorld) -> None:
    """Whoever finds an open laptop must not send a month of events again."""
    merchant = await after_an_outage(world)
    user = await world.person(merchant)
    browser = await Browser(world).sign_in(user)
    world.advance(400)
    page = (await browser.get(f"{LIST}/new?include=failed&count=1")).text
    seen = await browser.post(LIST, hidden(page))
    assert (seen.status, seen.heading) == (403, "Two-factor authentication")
    code = await world.code(user)
    seen = await browser.post(LIST, [*hidden(page), ("second_factor", code)])
    assert (seen.goes_to or "").startswith(f"{LIST}/rpl_")


async def test_a_replay_is_called_off_once(world: ConsoleWorld) -> None:
    """Its page says so, and it has no button for it any more."""
    merchant = await after_an_outage(world)
    browser = await signed_in(world, merchant)
    await browser.get(LIST)
    place = (await browser.post(LIST, {"include": "failed"})).goes_to or ""
    assert "Cancel this replay?" in (await browser.get(place)).text
    seen = await browser.post(f"{place}/cancel")
    seen = await browser.get(seen.goes_to or "")
    assert "The replay is cancelled." in seen.text
    assert "Cancel this replay?" not in seen.text


async def test_nothing_to_recover_is_said(world: ConsoleWorld) -> None:
    """And there is nothing to press."""
    browser = await signed_in(world, await world.tenant())
    seen = await browser.get(f"{LIST}/new?include=failed&count=1")
    assert "Nothing to recover." in seen.text
    assert f'action="{LIST}"' not in seen.text
    assert "No replays yet" in (await browser.get(LIST)).text


@pytest.mark.parametrize(
    "field",
    [
        pytest.param({"include": ""}, id="nothing included"),
        pytest.param({"include": "everything"}, id="no such kind"),
        pytest.param({"type": "a..b"}, id="no pattern"),
        pytest.param({"rate_per_s": "fast"}, id="no number"),
        pytest.param({"rate_per_s": "nan"}, id="not a number"),
        pytest.param({"rate_per_s": "1e9"}, id="too fast"),
        pytest.param({"rate_per_s": "0"}, id="never"),
        pytest.param({"from": "soon"}, id="no time"),
        pytest.param({"webhook": "mine"}, id="no webhook"),
        pytest.param({"reason": "bad luck"}, id="no reason"),
        pytest.param({"reason": "tls", "include": "missed"}, id="what was missed has no reason"),
    ],
)
async def test_what_cannot_be_replayed_keeps_its_fields(
    world: ConsoleWorld, field: dict[str, str]
) -> None:
    """Counting and beginning refuse alike, beside the field, and nothing has to be typed twice."""
    merchant = await after_an_outage(world)
    browser = await signed_in(world, merchant)
    fields = {"include": "failed", "object": "pay_1", **field}
    query = "&".join(f"{name}={value}" for name, value in fields.items())
    for seen in (
        await browser.get(f"{LIST}/new?count=1&{query}"),
        await browser.post(LIST, fields),
    ):
        assert seen.status == 422
        assert f'href="#{next(iter(field))}"' in seen.text
        assert 'value="pay_1"' in seen.text


async def test_a_viewer_may_only_look_at_replays(world: ConsoleWorld) -> None:
    """Reads are theirs; beginning and cancelling are not."""
    merchant = await after_an_outage(world)
    owner = await signed_in(world, merchant)
    await owner.get(LIST)
    place = (await owner.post(LIST, {"include": "failed"})).goes_to or ""
    browser = await signed_in(world, merchant, Role.VIEWER)
    assert (await browser.get(place)).status == 200
    assert f"{LIST}/new" not in (await browser.get(LIST)).text
    assert (await browser.get(f"{LIST}/new")).status == 403
    assert (await browser.post(LIST, {"include": "failed"})).status == 403
    assert (await browser.post(f"{place}/cancel")).status == 403


@pytest.mark.shows("W12")
async def test_another_merchants_replay_or_webhook_does_not_exist(world: ConsoleWorld) -> None:
    """Neither its progress nor its end is another's."""
    theirs = await after_an_outage(world, "Theirs")
    their_webhook = (await world.endpoint(ids.to_text(ids.MERCHANT, theirs.id)))["id"]
    owner = await signed_in(world, theirs)
    await owner.get(LIST)
    place = (await owner.post(LIST, {"include": "failed"})).goes_to or ""
    browser = await signed_in(world, await after_an_outage(world))
    await browser.get(LIST)
    for each in (place, f"{LIST}/nothing"):
        assert (await browser.get(each)).status == 404
        assert (await browser.post(f"{each}/cancel")).status == 404
    fields = {"include": "failed", "webhook": their_webhook}
    assert (await browser.post(LIST, fields)).status == 404
    assert (
        await browser.get(f"{LIST}/new?count=1&include=failed&webhook={their_webhook}")
    ).status == 404
