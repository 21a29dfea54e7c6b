"""Overdue: what waits for longer than is usual, since when, and where to ask."""

import re
from datetime import timedelta
from html import unescape

import pytest
from tests.support.browsing import read
from tests.support.hearing_console import LIST, NAME, HearingConsole

from payhooks import ids
from payhooks.console.pages.overdue import _spelled
from payhooks.model.merchant import Merchant
from payhooks.model.user import Role
from payhooks.ports.controlling import Window

PAGE = "/console/payments/overdue"


@pytest.fixture
def world() -> HearingConsole:
    """Return an installation that hears connectors."""
    return HearingConsole()


async def hearing(world: HearingConsole) -> tuple[Merchant, str]:
    """Return a merchant with a connector, and the connector's id."""
    merchant = await world.tenant()
    made = await world.connector(ids.to_text(ids.MERCHANT, merchant.id), NAME)
    return merchant, ids.to_text(ids.CONNECTOR, made.id)


async def test_what_waits_too_long_is_listed_with_what_is_usual(world: HearingConsole) -> None:
    """Whoever is asked where the money is, knows before the customer calls."""
    merchant, connector = await hearing(world)
    await world.overdue(merchant)
    browser = await world.signed_in(merchant, Role.SUPPORT)
    seen = await browser.get(PAGE)
    assert 'href="/console/payments?id=pi_1&amp;type=payment"' in seen.text
    assert f'href="{LIST}/{connector}"' in seen.text
    assert re.search(r"payment pi_1 [\d.]+ (d|h) ago up to 7 days owlpay", read(seen.text))
    # That it is delayed is told as an event as well, which is no wait of its own.
    text = ids.to_text(ids.MERCHANT, merchant.id)
    said = {"type": "payment", "id": "pi_1"}
    await world.publish(text, type="payment_processing", object=said, data={"delayed": True})
    assert "up to 7 days" in read((await browser.get(PAGE)).text)


async def test_a_number_that_no_decoder_takes_hides_nothing(world: HearingConsole) -> None:
    """JSON bounds none; whoever looks for money that is late must find it."""
    merchant, _connector = await hearing(world)
    await world.overdue(merchant)
    event = b'{"type":"payment_authorized","object":{"type":"payment","id":"pi_1"},"data":'
    event += b'{"n":%b}}' % (b"1" * 5_000)
    path = f"/v1/merchants/{ids.to_text(ids.MERCHANT, merchant.id)}/events"
    assert (await world.call("POST", path, raw=event)).status == 202
    browser = await world.signed_in(merchant)

    seen = await browser.get(PAGE)

    assert "pi_1" in seen.text


async def test_connectors_say_how_much_of_theirs_is_overdue(world: HearingConsole) -> None:
    """One provider that is late is an incident there; all that are late, one here."""
    merchant, connector = await hearing(world)
    await world.connector(ids.to_text(ids.MERCHANT, merchant.id), NAME, name="second")
    await world.overdue(merchant)
    browser = await world.signed_in(merchant)
    assert f'href="{PAGE}?connector={connector}">1<' in (await browser.get(LIST)).text
    assert "pi_1" in (await browser.get(f"{PAGE}?connector={connector}")).text
    second = (await world.store.connectors(merchant.id, Window(limit=1)))[0]
    other = ids.to_text(ids.CONNECTOR, second.id)
    assert "Nothing is overdue" in (await browser.get(f"{PAGE}?connector={other}")).text
    assert (await browser.get(f"{PAGE}?connector=owl")).status == 422


async def test_what_is_overdue_comes_in_pages(world: HearingConsole) -> None:
    """A provider that is down for a day delays more than a page holds."""
    merchant, _connector = await hearing(world)
    await world.overdue(merchant, payments=52)
    browser = await world.signed_in(merchant)
    seen = (await browser.get(PAGE)).text
    assert seen.count("type=payment") == 50
    [following] = re.findall(r'href="([^"]+)" rel="next"', seen)
    seen = (await browser.get(unescape(following))).text
    assert seen.count("type=payment") == 2


async def test_another_merchants_waiting_is_not_ours(world: HearingConsole) -> None:
    """Neither in the list, nor by the connector's id."""
    merchant, connector = await hearing(world)
    await world.overdue(merchant)
    stranger = await world.signed_in(await world.tenant("Beach Bar"))
    assert "Nothing is overdue" in (await stranger.get(PAGE)).text
    assert (await stranger.get(f"{PAGE}?connector={connector}")).status == 404


@pytest.mark.parametrize(
    ("span", "words"),
    [
        pytest.param(timedelta(days=7), "7 days", id="days"),
        pytest.param(timedelta(days=1), "1 day", id="a day"),
        pytest.param(timedelta(hours=1), "1 hour", id="an hour"),
        pytest.param(timedelta(hours=36), "1.5 days", id="a day and a half"),
        pytest.param(timedelta(minutes=30), "30 minutes", id="minutes"),
    ],
)
def test_spans_are_told_as_people_count_them(span: timedelta, words: str) -> None:
    """Nobody thinks of a bank's week as 604,800 seconds."""
    assert _spelled(span) == words
