"""Find by payment, where connectors are heard: by anybody's name for it, back to what came."""

import re
from html import unescape

import pytest
from tests.support.api_world import finish
from tests.support.browsing import read
from tests.support.hearing_console import NAME, HearingConsole

from payhooks import ids
from payhooks.control.objects import RECEIPTS_SHOWN_MAX
from payhooks.model.delivery import Trigger
from payhooks.model.merchant import Merchant
from payhooks.model.user import Role

pytestmark = pytest.mark.shows("N09")

PAGE = "/console/payments"


@pytest.fixture
def world() -> HearingConsole:
    """Return an installation that hears connectors."""
    return HearingConsole()


async def hearing(world: HearingConsole) -> Merchant:
    """Return a merchant with a connector."""
    merchant = await world.tenant()
    await world.connector(ids.to_text(ids.MERCHANT, merchant.id), NAME)
    return merchant


async def test_a_payment_is_found_by_the_merchants_own_reference(world: HearingConsole) -> None:
    """The customer knows the number of the order, and nobody else's."""
    merchant = await hearing(world)
    await world.says(merchant)
    browser = await world.signed_in(merchant, Role.SUPPORT)
    seen = await browser.get(f"{PAGE}?id=+ORD-1+")
    assert (seen.status, seen.heading) == (200, "pi_1")
    assert "Also called" in seen.text
    assert "<code>ORD-1</code>" in seen.text
    assert "Nothing has this id" in (await browser.get(f"{PAGE}?id=ORD-2")).text


async def test_an_order_that_was_paid_twice_asks_which(world: HearingConsole) -> None:
    """Two payments of one order are the reason for the call."""
    merchant = await hearing(world)
    await world.says(merchant)
    await world.says(merchant, minutes=1, uuid="pi_2")
    browser = await world.signed_in(merchant, Role.SUPPORT)
    seen = (await browser.get(f"{PAGE}?id=ORD-1")).text
    for payment in ("pi_1", "pi_2"):
        assert f'href="{PAGE}?id={payment}&amp;type=payment"' in seen
        assert f"<code>{payment}</code>" in seen


async def test_receipts_events_deliveries_and_attempts_are_one_list_by_time(
    world: HearingConsole,
) -> None:
    """Where a payment got stuck is between two lines of it."""
    merchant = await hearing(world)
    text = ids.to_text(ids.MERCHANT, merchant.id)
    await world.endpoint(text, label="Finance ledger", events=["payment_*"])
    first = await world.says(merchant)
    again = await world.says(merchant)
    await finish(world, Trigger.GIVE_UP)
    browser = await world.signed_in(merchant, Role.VIEWER)
    told = await browser.get(f"{PAGE}?id=pi_1&type=payment")
    link = f'href="/console/receipts/{ids.to_text(ids.RECEIPT, first.id)}"'
    assert f"It follows from <a {link}>" in told.text
    assert f'href="{PAGE}?id=pi_1&amp;type=payment&amp;view=time"' in told.text
    seen = await browser.get(f"{PAGE}?id=pi_1&type=payment&view=time")
    assert link in seen.text
    words = read(seen.text)
    steps = [
        "Attempt",
        "Receipt payment_intent.captured Duplicate",
        "Delivery to Finance ledger Failed",
        "Event payment_succeeded",
        "Receipt payment_intent.captured Processed",
    ]
    assert again.id != first.id
    places = [words.index(step) for step in steps]
    assert places == sorted(places)


async def test_receipts_stand_on_the_page_of_the_events_around_them(
    world: HearingConsole,
) -> None:
    """A receipt that were shown on every page would have come as often as there are pages."""
    merchant = await hearing(world)
    text = ids.to_text(ids.MERCHANT, merchant.id)
    heard = await world.says(merchant)
    said = {"type": "payment", "id": "pi_1"}
    for number in range(52):
        world.advance(1)
        await world.publish(text, type="payment_processing", object=said, data={})
        if number == 1:
            # Between the oldest event of the first page and the newest of the second.
            between = await world.says(merchant)
    latest = await world.says(merchant)
    browser = await world.signed_in(merchant)
    links = [ids.to_text(ids.RECEIPT, one.id) for one in (heard, between, latest)]
    seen = (await browser.get(f"{PAGE}?id=pi_1&type=payment&view=time")).text
    assert [link in seen for link in links] == [False, False, True]
    [following] = re.findall(r'href="([^"]+)" rel="next"', seen)
    assert "view=time" in following
    seen = (await browser.get(unescape(following))).text
    assert [link in seen for link in links] == [True, True, False]


async def test_what_told_a_payment_is_listed_beside_its_newest_repeats(
    world: HearingConsole,
) -> None:
    """A provider that never has its answer sends for days; the first message is the one to see."""
    merchant = await hearing(world)
    first = await world.says(merchant)
    browser = await world.signed_in(merchant)
    for _ in range(RECEIPTS_SHOWN_MAX - 1):
        await world.says(merchant)
    left_out = "It has more receipts than are listed"
    assert left_out not in (await browser.get(f"{PAGE}?id=pi_1&type=payment&view=time")).text
    for _ in range(2):
        await world.says(merchant)
    seen = (await browser.get(f"{PAGE}?id=pi_1&type=payment&view=time")).text
    assert seen.count('href="/console/receipts/') == RECEIPTS_SHOWN_MAX + 1
    assert f'href="/console/receipts/{ids.to_text(ids.RECEIPT, first.id)}"' in seen
    assert f"{left_out}: the newest {RECEIPTS_SHOWN_MAX}" in seen


async def test_what_was_published_follows_from_no_receipt(world: HearingConsole) -> None:
    """Merchants publish metadata of their own, and whatever they like in it."""
    merchant = await hearing(world)
    text = ids.to_text(ids.MERCHANT, merchant.id)
    browser = await world.signed_in(merchant)
    for number, metadata in enumerate(
        ({"receipt": ["x"]}, {"receipt": 7}, {"receipt": "../x"}, {"till": 1})
    ):
        said = {"type": "payment", "id": f"pay_{number}"}
        await world.publish(text, type="payment_succeeded", object=said, data={}, metadata=metadata)
        for view in ("", "&view=time"):
            seen = await browser.get(f"{PAGE}?id=pay_{number}&type=payment{view}")
            assert seen.status == 200
            assert "/console/receipts/" not in seen.text
