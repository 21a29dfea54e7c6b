"""The diagnosis of a quarantined receipt, as the API has it where one is read."""

import asyncio
import os
import threading
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from tests.connectors import signed_by_adyen
from tests.connectors import signed_by_paypal as paypal
from tests.support.api_world import World
from tests.support.custom_formats import HUB
from tests.support.owlpay_sender import OTHER_SECRET, signed
from tests.support.receipts_shop import PAID, Shop

from payhooks import limits
from payhooks.control.diagnosis import diagnosis
from payhooks.control.keyring import Keyring
from payhooks.dialects.owngateway import OWNGATEWAY
from payhooks.model.receipt import ReceiptState
from payhooks.ports.fetching import Fetched

pytestmark = pytest.mark.shows("N06")

_THIRD = "whs_00000000000000000000000000"


@pytest.fixture
async def shop() -> Shop:
    """Return a shop that was told nothing yet."""
    return await Shop.open(World())


async def _connector(shop: Shop, name: str, dialect: str = "owlpay", secret: str = _THIRD) -> None:
    said = {"name": name, "dialect": dialect, "secrets": [secret]}
    made = await shop.post("/connectors", said)
    assert made.status == 201, made.body


async def _diagnosis(shop: Shop, receipt: str) -> list[str]:
    found: list[str] = (await shop.get(f"/receipts/{receipt}")).json["diagnosis"]
    return found


async def _heard(shop: Shop, headers: dict[str, str], body: bytes = PAID) -> str:
    sent = await shop.world.call("POST", shop.url, raw=body, key=None, headers=headers)
    assert sent.status == 401, sent.body
    [newest] = (await shop.get("/receipts?limit=1")).json["data"]
    found: str = newest["id"]
    return found


async def test_what_is_left_is_said_until_the_secret_is_mended(shop: Shop) -> None:
    """From the wrong paste to the button, whoever looks knows what to do next."""
    receipt = await shop.hear(secret=OTHER_SECRET)
    [words] = await _diagnosis(shop, receipt)
    assert words.startswith("Nothing fits that was tried: the connector's secret, ")

    shop.world.clock.advance(timedelta(days=3))
    await shop.mend()
    [words] = await _diagnosis(shop, receipt)
    assert "have it read again" in words

    again = await shop.post(f"/receipts/{receipt}/reprocess")
    assert (again.status, again.json["diagnosis"]) == (202, [])


async def test_each_secret_that_still_counts_is_tried(shop: Shop) -> None:
    """While one replaces another, two do."""
    receipt = await shop.hear(secret=OTHER_SECRET)
    rotated = {"secret": _THIRD, "grace_s": 60}
    await shop.post(f"/connectors/{shop.connector_id}/rotate-secret", rotated)
    [words] = await _diagnosis(shop, receipt)
    assert "the connector's 2 secrets" in words


@pytest.mark.parametrize("state", sorted(set(ReceiptState) - {ReceiptState.QUARANTINED}))
async def test_what_is_not_in_quarantine_has_none(shop: Shop, state: ReceiptState) -> None:
    stored = await shop.stored(await shop.hear(secret=OTHER_SECRET))
    kept = await shop.keep(msgspec.structs.replace(stored, state=state))
    assert await _diagnosis(shop, kept) == []


async def test_a_list_has_no_diagnosis(shop: Shop) -> None:
    """A hundred of them would take a server minutes."""
    await shop.hear(secret=OTHER_SECRET)
    [listed] = (await shop.get("/receipts")).json["data"]
    assert "diagnosis" not in listed


async def test_the_connector_that_it_was_meant_for_is_named(shop: Shop) -> None:
    await _connector(shop, "berlin")
    await _connector(shop, "lisbon", secret=OTHER_SECRET)
    receipt = await shop.hear(secret=OTHER_SECRET)
    [words] = await _diagnosis(shop, receipt)
    assert words.startswith("It is signed for another connector of yours, lisbon: ")


@pytest.mark.shows("S26")
async def test_another_merchants_connector_is_not_even_tried(shop: Shop) -> None:
    """That somebody else has this secret, or any, is nobody's business."""
    other = Shop(shop.world, await shop.world.merchant(), shop.connector_id, shop.url)
    await _connector(other, "theirs", secret=OTHER_SECRET)
    receipt = await shop.hear(secret=OTHER_SECRET)
    [words] = await _diagnosis(shop, receipt)
    assert words.startswith("Nothing fits that was tried")
    assert (await other.get(f"/receipts/{receipt}")).status == 404


@pytest.mark.parametrize(
    ("dialect", "is_tried"),
    [
        pytest.param("owngateway", True, id="others of the same provider come first"),
        pytest.param("owlpay", False, id="and no more than 20"),
    ],
)
async def test_how_many_connectors_are_tried_is_bounded(
    shop: Shop, dialect: str, *, is_tried: bool
) -> None:
    """Each has up to five secrets, and each of these hashes the body."""
    await _connector(shop, "meant", secret=OTHER_SECRET)
    for number in range(20):
        await _connector(shop, f"another-{number}", dialect)
    headers = signed(PAID, shop.world.clock.now(), OTHER_SECRET)
    receipt = await _heard(shop, {**headers, OWNGATEWAY.scheme.header.lower(): "00"})
    [words] = await _diagnosis(shop, receipt)
    assert ("meant" in words) == is_tried


async def test_where_too_many_are_looked_at_the_receipt_is_shown_without(shop: Shop) -> None:
    """To look at one is what its merchant needs most, and it costs nothing."""
    receipt = await shop.hear(secret=OTHER_SECRET)
    free, diagnoses = threading.Event(), shop.world.control.diagnoses
    waiting = [
        asyncio.create_task(diagnoses.run(free.wait)) for _ in range(limits.DIAGNOSES_WAITING_MAX)
    ]
    await asyncio.sleep(0)
    try:
        [words] = await _diagnosis(shop, receipt)
    finally:
        free.set()
    assert words.startswith("Nothing was tried now, as too many receipts are looked at")
    await asyncio.gather(*waiting)
    assert (await _diagnosis(shop, receipt))[0].startswith("Nothing fits that was tried")


async def test_how_many_others_were_tried_is_said(shop: Shop) -> None:
    """Of 25 only 20 are, and one that has no secret is none."""
    receipt = await shop.hear(secret=OTHER_SECRET)
    assert "of yours" not in (await _diagnosis(shop, receipt))[0]
    for number in range(25):
        await _connector(shop, f"another-{number}")
    assert "those of 20 other connectors of yours" in (await _diagnosis(shop, receipt))[0]


async def test_a_user_name_that_did_not_come_is_told_from_a_wrong_key(shop: Shop) -> None:
    """None of it is kept, so that the reason alone says what it was."""
    said = {
        "name": "adyen",
        "dialect": "adyen",
        "secrets": [signed_by_adyen.KEY],
        "credential": "user:password",
    }
    made = await shop.post("/connectors", said)
    adyen = replace(shop, url="/" + made.json["url"].split("/", 3)[3])
    sent = signed_by_adyen.batch(signed_by_adyen.signed(signed_by_adyen.PAYMENT))
    good, shown = await _diagnosis(shop, await _heard(adyen, {}, sent.body))
    assert good == "Its signature is good: it can be read again."
    assert shown.startswith("It came without the user name and password")


async def test_what_is_in_the_merchants_own_format_says_so(shop: Shop) -> None:
    """Sent to a connector for another, where none is for the format."""
    merchant = f"/v1/merchants/{shop.merchant}"
    await shop.world.call("PATCH", merchant, {"custom_dialect": HUB})
    receipt = await _heard(shop, {str(HUB["signature_header"]).lower(): "00"})
    [words] = await _diagnosis(shop, receipt)
    assert words.startswith("It has a signature where your own format has one, and this connector")


async def test_a_wrong_clock_is_told_from_a_wrong_secret(shop: Shop) -> None:
    at = shop.world.clock.now() - timedelta(hours=1)
    receipt = await _heard(shop, signed(PAID, at))
    good, late = await _diagnosis(shop, receipt)
    assert good == "Its signature is good, but not its time."
    assert "3600 s before it came" in late


async def test_a_body_that_was_changed_on_its_way_is_told_from_a_wrong_secret(shop: Shop) -> None:
    headers = signed(PAID, shop.world.clock.now())
    receipt = await _heard(shop, headers, PAID + b"\n")
    [words] = await _diagnosis(shop, receipt)
    assert words.startswith("Its signature is good without the line feed at the end")


async def test_what_was_masked_is_not_blamed_on_the_secret(shop: Shop) -> None:
    """The secret is right, and nothing that anybody can still try shows it."""
    body = PAID.replace(b'"amount": 1', b'"card_number": "4111 1111 1111 1111"')
    assert body != PAID
    at = shop.world.clock.now()
    receipt = await _heard(shop, signed(body, at, OTHER_SECRET), body)
    await shop.mend()
    [words] = await _diagnosis(shop, receipt)
    assert words.startswith("Card data in it was masked before it was kept")


async def test_headers_that_were_masked_are_not_blamed_on_the_secret(shop: Shop) -> None:
    headers = signed(PAID, shop.world.clock.now(), OTHER_SECRET)
    receipt = await _heard(shop, {**headers, "x-reference": "4111 1111 1111 1111"})
    [words] = await _diagnosis(shop, receipt)
    assert words.startswith("Card data in its headers was masked before it was kept")


async def test_what_came_to_a_deleted_connector_says_so(shop: Shop) -> None:
    receipt = await shop.hear(secret=OTHER_SECRET)
    path = f"/v1/merchants/{shop.merchant}/connectors/{shop.connector_id}"
    assert (await shop.world.call("DELETE", path)).status == 204
    [words] = await _diagnosis(shop, receipt)
    assert "was deleted, and its secrets with it" in words


async def test_nothing_is_fetched_for_it(shop: Shop) -> None:
    """Whoever forges names what is fetched: to look at it must not be what asks for it."""
    said = {"name": "paypal", "dialect": "paypal", "options": paypal.OPTIONS}
    made = await shop.post("/connectors", said)
    url = "/" + made.json["url"].split("/", 3)[3]
    shop.world.fetcher.script = lambda _request: Fetched(status=404, body=b"")
    forged = paypal.signed(b"{}")
    receipt = await _heard(replace(shop, url=url), dict(forged.headers), b"{}")
    asked = len(shop.world.fetcher.asked)
    [words] = await _diagnosis(shop, receipt)
    assert f"webhook_id is {paypal.WEBHOOK_ID}" in words
    assert len(shop.world.fetcher.asked) == asked


async def test_secrets_that_cannot_be_opened_do_not_keep_the_receipt_from_being_read(
    shop: Shop,
) -> None:
    """A key that was lost is trouble enough."""
    await _connector(shop, "second", secret=OTHER_SECRET)
    receipt = await shop.stored(await shop.hear(secret=OTHER_SECRET))
    merchant = await shop.world.store.merchant(receipt.merchant_id)
    assert merchant is not None
    strange = Keyring([os.urandom(32)], random_bytes=os.urandom)
    control = replace(shop.world.control, keyring=strange)
    [words] = await diagnosis(control, merchant, receipt)
    assert words.startswith("The connector's secrets cannot be opened now")
