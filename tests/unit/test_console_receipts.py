"""Receipts: what came, whose it was, what was told with it, and having it read again."""

import re
from html import unescape

import msgspec
import pytest
from tests.support.browsing import Browser, read
from tests.support.hearing_console import NAME, HearingConsole

from payhooks import ids
from payhooks.console.pages.receipts import STATES, VERDICTS, sentence
from payhooks.model.event import Finding
from payhooks.model.merchant import Merchant
from payhooks.model.receipt import Receipt, ReceiptState, Verdict
from payhooks.model.user import Role

pytestmark = pytest.mark.shows("N10")

PAGE = "/console/receipts"


@pytest.fixture
def world() -> HearingConsole:
    """Return an installation that hears connectors."""
    return HearingConsole()


async def hearing(world: HearingConsole, role: Role = Role.OWNER) -> tuple[Merchant, Browser]:
    """Return a merchant with a connector, and somebody who looks at it."""
    merchant = await world.tenant()
    await world.connector(ids.to_text(ids.MERCHANT, merchant.id), NAME)
    return merchant, await world.signed_in(merchant, role)


def at(receipt: Receipt) -> str:
    """Return the path of a receipt's page."""
    return f"{PAGE}/{ids.to_text(ids.RECEIPT, receipt.id)}"


async def kept(world: HearingConsole, receipt: Receipt, **members: object) -> Receipt:
    """Store another receipt, which is as this one but for some of it."""
    other = msgspec.structs.replace(receipt, id=ids.ReceiptId(world.ids.new()), **members)
    await world.store.receive(
        [other], owner=1, for_s=60, quarantine_max=100, quarantine_bytes_max=1 << 20
    )
    return other


async def test_a_receipt_shows_what_came_and_leads_to_what_was_told(
    world: HearingConsole,
) -> None:
    """Whoever argues with a provider has the bytes, and whoever misses an event finds why."""
    merchant, browser = await hearing(world, Role.VIEWER)
    receipt = await world.says(merchant)
    listed = await browser.get(PAGE)
    assert f'href="{at(receipt)}"' in listed.text
    assert "payment_intent.captured" in listed.text
    seen = await browser.get(at(receipt))
    words = read(seen.text)
    assert "Processed Verified It was read, and what it had to tell was told." in words
    assert "owlpay-signature: t=" in words
    assert '"order_serial": "ORD-1"' in words
    assert receipt.body_sha256.hex() in words
    [event] = await world.events(ids.to_text(ids.MERCHANT, merchant.id))
    assert f'href="/console/events/{ids.to_text(ids.EVENT, event.id)}"' in seen.text
    assert 'href="/console/payments?id=pi_1&amp;type=payment"' in seen.text
    assert "Read again" not in words
    found = await browser.get(f"/console/payments?id={ids.to_text(ids.RECEIPT, receipt.id)}")
    assert found.goes_to == at(receipt)


async def test_what_a_late_message_brings_out_is_told_of_the_message_it_follows_from(
    world: HearingConsole,
) -> None:
    """Each receipt has its own events, whichever of them was the last to arrive."""
    merchant, browser = await hearing(world)
    captured = await world.says(merchant, minutes=2)
    checked = await world.says(
        merchant, "payment_intent.checking_out", minutes=1, status="requires_action"
    )
    assert "payment_succeeded" in read((await browser.get(at(captured))).text)
    assert "payment_succeeded" not in read((await browser.get(at(checked))).text)


async def test_a_request_that_is_not_verified_says_so_and_changes_nothing(
    world: HearingConsole,
) -> None:
    """Pressing the button on a forged one must not make it true."""
    merchant, browser = await hearing(world)
    receipt = await world.says(merchant, secret="whs_of_somebody_else")
    words = read((await browser.get(at(receipt))).text)
    assert "Quarantined Not verified" in words
    assert "No signature matches." in words
    assert "Verify and read again" in words
    seen = await browser.post(f"{at(receipt)}/read-again")
    assert (seen.status, "It is still not verified" in seen.text) == (409, True)
    assert await world.stored(ids.to_text(ids.MERCHANT, merchant.id)) == [receipt]
    assert await world.events(ids.to_text(ids.MERCHANT, merchant.id)) == []


async def test_one_that_conflicts_is_told_where_a_person_says_so(world: HearingConsole) -> None:
    """A provider may number two captures alike; which is right, no program can know."""
    merchant, browser = await hearing(world)
    await world.says(merchant, number=5)
    other = await world.says(
        merchant, minutes=9, number=5, amount=990, captured_amount=990, uuid="pi_1"
    )
    other = await kept(world, other, state=ReceiptState.CONFLICTING, detail="Said otherwise.")
    seen = await browser.get(at(other))
    assert "Tell it all the same?" in seen.text
    assert "Ask there which is right. Said otherwise." in read(seen.text)
    done = await browser.post(f"{at(other)}/read-again", {"despite": "1"})
    assert done.goes_to == at(other)
    stored = await world.store.receipt(merchant.id, other.id)
    assert stored is not None
    assert (stored.state, stored.despite_conflict) == (ReceiptState.RECEIVED, True)
    waiting = await browser.get(at(other))
    assert 'data-every="1"' in waiting.text
    assert "Tell it all the same" not in waiting.text


async def test_receipts_are_filtered_by_connector_and_state(world: HearingConsole) -> None:
    """Of a thousand that are well the one that is not has to be found."""
    merchant, browser = await hearing(world)
    text = ids.to_text(ids.MERCHANT, merchant.id)
    other = await world.connector(text, NAME, name="second")
    fine = await world.says(merchant)
    forged = await world.says(merchant, secret="whs_of_somebody_else", minutes=1)
    there = await world.says(merchant, name="second", minutes=2)
    everything = (await browser.get(PAGE)).text
    assert all(at(one) in everything for one in (fine, forged, there))
    quarantined = (await browser.get(f"{PAGE}?state=quarantined")).text
    assert at(forged) in quarantined
    assert at(fine) not in quarantined
    second = (await browser.get(f"{PAGE}?connector={ids.to_text(ids.CONNECTOR, other.id)}")).text
    assert at(there) in second
    assert at(fine) not in second
    assert (await browser.get(f"{PAGE}?state=asleep")).status == 422
    assert "No receipt matches" in (await browser.get(f"{PAGE}?state=refused")).text


async def test_many_receipts_come_in_pages(world: HearingConsole) -> None:
    """A day of a busy connector has thousands."""
    merchant, browser = await hearing(world)
    first = await world.says(merchant)
    for _ in range(51):
        world.advance(1)
        await kept(world, first)
    seen = (await browser.get(PAGE)).text
    assert seen.count(f'href="{PAGE}/rcp_') == 50
    [following] = re.findall(r'href="([^"]+)" rel="next"', seen)
    seen = (await browser.get(unescape(following))).text
    assert seen.count(f'href="{PAGE}/rcp_') == 2
    assert at(first) in seen


@pytest.mark.parametrize("state", ReceiptState)
async def test_every_state_is_told_in_words(world: HearingConsole, state: ReceiptState) -> None:
    """A state that the page cannot say would be a page that fails when it is needed."""
    merchant, browser = await hearing(world)
    receipt = await kept(world, await world.says(merchant), state=state)
    words = read((await browser.get(at(receipt))).text)
    assert f"{state.value.capitalize()} Verified {STATES[state][1]}" in words
    assert (await browser.get(f"{PAGE}?state={state}")).status == 200


def test_every_verdict_has_its_word() -> None:
    """One that is missing would fail on the page of a receipt alone."""
    assert set(VERDICTS) == set(Verdict)


async def test_what_strangers_send_is_text(world: HearingConsole) -> None:
    """A quarantine holds what an attacker wrote for whoever looks at it."""
    merchant, browser = await hearing(world)
    evil = "<script>alert(1)</script>\u202e{{7*7}}"
    receipt = await kept(
        world,
        await world.says(merchant),
        state=ReceiptState.UNDECODABLE,
        method="PUT",
        query=evil,
        headers=(("x-evil", evil),),
        body=evil.encode(),
        word=evil,
        object_type=evil,
        object_id=evil,
        detail=evil,
        reason=evil,
        findings=(Finding(pointer="/card", code="card_number", detail=evil),),
    )
    for path in (at(receipt), PAGE):
        seen = await browser.get(path)
        assert seen.status == 200
        assert "<script>alert" not in seen.text
        assert "49" not in seen.heading
    assert "PUT ?" in (await browser.get(at(receipt))).text


async def test_what_is_not_text_or_is_too_much_is_shown_as_far_as_it_goes(
    world: HearingConsole,
) -> None:
    """A megabyte of nothing must not stop the browser of whoever is called at night."""
    merchant, browser = await hearing(world)
    receipt = await kept(
        world, await world.says(merchant), body=b"\xff\x00" * 500_000, state=ReceiptState.REFUSED
    )
    seen = await browser.get(at(receipt))
    assert "This is the beginning of it; the API has all." in seen.text
    assert len(seen.text) < 400_000


async def test_what_was_masked_says_so(world: HearingConsole) -> None:
    """Whoever checks the signature by hand would look for a mistake that nobody made."""
    merchant, browser = await hearing(world)
    came = await world.says(merchant)
    words = "Card data in it was masked, so this is not what the signature is of."
    assert words not in (await browser.get(at(came))).text
    assert words in (await browser.get(at(await kept(world, came, body=b"masked")))).text


async def test_whoever_may_only_look_cannot_have_it_read_again(world: HearingConsole) -> None:
    """To read again may send events to every system that the merchant has."""
    merchant, browser = await hearing(world, Role.SUPPORT)
    receipt = await world.says(merchant, secret="whs_of_somebody_else")
    assert "Verify and read again" not in (await browser.get(at(receipt))).text
    assert (await browser.post(f"{at(receipt)}/read-again")).status == 403


async def test_another_merchants_receipt_does_not_exist(world: HearingConsole) -> None:
    """What a provider tells one shop is no other shop's business."""
    merchant, _browser = await hearing(world)
    receipt = await world.says(merchant)
    stranger = await world.signed_in(await world.tenant("Beach Bar"))
    assert (await stranger.get(at(receipt))).status == 404
    assert (await stranger.post(f"{at(receipt)}/read-again")).status == 404
    assert at(receipt) not in (await stranger.get(PAGE)).text


@pytest.mark.parametrize(
    ("words", "whole"),
    [(None, ""), ("no signature matches", "No signature matches."), ("Done.", "Done.")],
)
def test_reasons_are_sentences(words: str | None, whole: str) -> None:
    """They are written for logs, and read by people."""
    assert sentence(words) == whole


async def test_a_receipt_that_told_nothing_leads_to_its_payment_all_the_same(
    world: HearingConsole,
) -> None:
    """A duplicate or a conflict is a question about a payment: what had been heard of it."""
    merchant, browser = await hearing(world)
    await world.says(merchant)
    again = await world.says(merchant)
    assert again.state is ReceiptState.DUPLICATE
    assert 'href="/console/payments?id=pi_1"' in (await browser.get(at(again))).text


async def test_a_receipt_in_quarantine_says_how_it_gets_out(world: HearingConsole) -> None:
    """Most of them are the provider's, and the secret is that of another endpoint."""
    merchant, browser = await hearing(world)
    receipt = await world.says(merchant, secret="whs_of_somebody_else")
    words = read((await browser.get(at(receipt))).text)
    assert "mend the cause and have it verified again" in words
    looking = await world.signed_in(merchant, Role.VIEWER)
    assert "mend the cause" not in read((await looking.get(at(receipt))).text)


async def test_a_receipt_in_quarantine_says_what_was_tried_beside_its_reason(
    world: HearingConsole,
) -> None:
    """No signature matches: that is what nearly every mistake of whoever sets up looks like."""
    merchant, browser = await hearing(world)
    text = ids.to_text(ids.MERCHANT, merchant.id)
    await world.connector(text, NAME, name="lisbon", secrets=["whs_of_somebody_else"])
    receipt = await world.says(merchant, secret="whs_of_somebody_else")
    words = "No signature matches. It is signed for another connector of yours, lisbon: "
    assert words in read((await browser.get(at(receipt))).text)
    looking = await world.signed_in(merchant, Role.VIEWER)
    assert words in read((await looking.get(at(receipt))).text)
    assert "lisbon:" not in read((await browser.get(PAGE)).text)
    fine = await world.says(merchant, minutes=1)
    assert "It is signed for" not in read((await browser.get(at(fine))).text)


async def test_a_reference_that_was_left_as_it_came_is_not_called_masked(
    world: HearingConsole,
) -> None:
    """Whoever answers for card data reads here what is still on the disk."""
    merchant, browser = await hearing(world)
    receipt = await world.says(
        merchant, order_serial="4111111111111111", note="4111 1111 1111 1111"
    )
    words = read((await browser.get(at(receipt))).text)
    assert "it was stored as it came" in words
    assert "is not kept" not in words
    assert "As it is kept" in words
    assert "As it came" not in words


async def test_what_waits_for_a_person_stands_on_the_overview(world: HearingConsole) -> None:
    """An alarm goes to whoever runs the installation; the merchant looks here."""
    merchant, browser = await hearing(world, Role.VIEWER)
    heading = "News that waits for you"
    receipt = await world.says(merchant)
    assert heading not in (await browser.get("/console/overview")).text
    for _ in range(2):
        await kept(world, receipt, state=ReceiptState.CONFLICTING)
    await kept(world, receipt, state=ReceiptState.REFUSED)
    seen = await browser.get("/console/overview")
    told = read(seen.text.partition(f"<h2>{heading}")[2])
    assert "Conflicting 2 The provider had said something else under the same id." in told
    assert "Refused 1 It was read" in told
    assert "Undecodable" not in told
    assert 'href="/console/receipts?state=conflicting"' in seen.text
    for _ in range(100):
        await kept(world, receipt, state=ReceiptState.REFUSED)
    assert "Refused 100+ It was read" in read((await browser.get("/console/overview")).text)
    stranger = await world.signed_in(await world.tenant("Other"), Role.OWNER)
    assert heading not in (await stranger.get("/console/overview")).text
