"""Receipts over the API: listed, read, and read again once the secret is mended."""

import hashlib
from base64 import b64decode
from datetime import timedelta

import msgspec
import pytest
from tests.support.api_world import World
from tests.support.owlpay_sender import OTHER_SECRET, SECRET
from tests.support.receipts_shop import PAID, Shop

from payhooks.model.receipt import ReceiptState

pytestmark = pytest.mark.shows("N06")


@pytest.fixture
async def shop() -> Shop:
    """Return a shop that was told nothing yet."""
    return await Shop.open(World())


async def test_a_receipt_is_listed_without_its_body_and_read_with_it(shop: Shop) -> None:
    """A list of a hundred must not weigh a hundred bodies."""
    receipt = await shop.hear()

    [listed] = (await shop.get("/receipts")).json["data"]
    read = (await shop.get(f"/receipts/{receipt}")).json

    assert listed == {
        "id": receipt,
        "connector_id": shop.connector_id,
        "received_at": "2026-11-20T12:00:00.000Z",
        "method": "POST",
        "verdict": "verified",
        "reason": None,
        "answered": 200,
        "state": "received",
        "detail": None,
        "event": None,
        "object": None,
        "despite_conflict": False,
        "body_bytes": len(PAID),
        "body_sha256": hashlib.sha256(PAID).hexdigest(),
        "findings": [],
    }
    assert listed.items() <= read.items()
    assert (read["body"], b64decode(read["body_base64"])) == (PAID.decode(), PAID)
    assert (read["query"], read["masked"]) == ("", False)
    assert "owlpay-signature" in dict(read["headers"])


async def test_a_body_that_is_no_text_is_read_all_the_same(shop: Shop) -> None:
    """What cannot be decoded is exactly what somebody has to look at."""
    receipt = await shop.hear(b"\xff\xfe\x00")
    read = (await shop.get(f"/receipts/{receipt}")).json
    assert (read["body"], b64decode(read["body_base64"])) == (None, b"\xff\xfe\x00")


async def test_what_became_of_a_receipt_is_told_in_words(shop: Shop) -> None:
    receipt = await shop.hear()
    await shop.end(receipt, ReceiptState.UNMAPPED)
    read = (await shop.get(f"/receipts/{receipt}")).json
    assert (read["state"], read["detail"]) == ("unmapped", "In words.")
    assert read["event"] == "payment_intent.succeeded"
    assert read["object"] == {"type": "payment_intent", "id": "pi_1"}


async def test_a_list_is_narrowed_and_read_page_by_page(shop: Shop) -> None:
    """A quarantine of thousands is looked through by connector and state."""
    good = [await shop.hear() for _ in range(3)]
    bad = await shop.hear(secret=OTHER_SECRET)
    await shop.end(good[0], ReceiptState.PROCESSED)
    said = {"name": "silent", "dialect": "owlpay", "secrets": [SECRET]}
    silent = (await shop.post("/connectors", said)).json["id"]

    async def listed(query: str) -> list[str]:
        return [one["id"] for one in (await shop.get(f"/receipts?{query}")).json["data"]]

    assert await listed("state=quarantined") == [bad]
    assert await listed("state=quarantined&state=processed") == [bad, good[0]]
    assert await listed(f"connector_id={shop.connector_id}&state=received") == [good[2], good[1]]
    assert await listed("connector_id=owlpay") == [bad, *good[::-1]]
    assert await listed(f"connector_id={silent}") == []
    page = (await shop.get("/receipts?limit=3")).json
    assert [one["id"] for one in page["data"]] == [bad, good[2], good[1]]
    assert await listed(f"limit=3&after={page['next']}") == [good[0]]
    assert (await shop.get("/receipts?state=nonsense")).status == 422
    assert (await shop.get("/receipts?connector_id=nobody")).status == 404


async def test_a_quarantined_receipt_is_read_again_once_the_secret_is_mended(shop: Shop) -> None:
    """A wrong paste must not cost a payment: the provider gives up after some days."""
    receipt = await shop.hear(secret=OTHER_SECRET)
    before = (await shop.get(f"/receipts/{receipt}")).json
    assert (before["state"], before["verdict"], before["answered"]) == (
        "quarantined",
        "unverified",
        401,
    )
    refused = await shop.post(f"/receipts/{receipt}/reprocess")
    assert refused.status == 409
    assert before["reason"] in refused.json["detail"]

    # Signed times are judged as of when it came, not of when somebody finds the time.
    shop.world.clock.advance(timedelta(days=3))
    await shop.mend()
    answer = await shop.post(f"/receipts/{receipt}/reprocess")

    assert answer.status == 202
    assert (answer.json["state"], answer.json["verdict"]) == ("received", "verified")
    assert answer.json["reason"] is None
    assert (await shop.world.audit_actions(shop.merchant))[-1] == "receipt.reprocessed"
    health = (await shop.get("/connectors/owlpay")).json["health"]
    assert health["quarantined"] == health["quarantined_bytes"] == 0


@pytest.mark.parametrize(
    "states", [[], ["processed"], ["quarantined", "received"], ["conflicting"], ["nonsense"]]
)
async def test_what_was_told_is_not_read_again(shop: Shop, states: list[str]) -> None:
    """Its events are out; a second reading could only tell them twice."""
    receipt = await shop.hear()
    for state in (ReceiptState.RECEIVED, ReceiptState.PROCESSED):
        if state is not ReceiptState.RECEIVED:
            await shop.end(receipt, state)
        refused = await shop.post(f"/receipts/{receipt}/reprocess")
        assert (refused.status, state.value in refused.json["detail"]) == (409, True)
    many = await shop.post("/connectors/owlpay/reprocess", {"states": states})
    assert (many.status, many.json["errors"][0]["pointer"].startswith("/states")) == (422, True)


async def test_a_conflicting_receipt_is_told_when_a_person_says_so(shop: Shop) -> None:
    """Two words of one provider under one id: a program cannot know which is true."""
    conflicting, other = await shop.hear(), await shop.hear()
    await shop.end(conflicting, ReceiptState.CONFLICTING)
    await shop.end(other, ReceiptState.UNMAPPED)

    unsaid = await shop.post(f"/receipts/{conflicting}/reprocess")
    assert (unsaid.status, "despite_conflict" in unsaid.json["detail"]) == (409, True)
    answer = await shop.post(f"/receipts/{conflicting}/reprocess", {"despite_conflict": True})
    assert (answer.status, answer.json["despite_conflict"]) == (202, True)
    assert (await shop.stored(conflicting)).state is ReceiptState.RECEIVED
    refused = await shop.post(f"/receipts/{other}/reprocess", {"despite_conflict": True})
    assert refused.status == 409


async def test_what_was_masked_cannot_be_verified_again_and_says_so(shop: Shop) -> None:
    """The signature is of bytes that nobody keeps, and no secret will ever fit."""
    stored = await shop.stored(await shop.hear(secret=OTHER_SECRET))
    masked = await shop.keep(msgspec.structs.replace(stored, body=PAID.replace(b"pi_1", b"**_1")))
    await shop.mend()

    refused = await shop.post(f"/receipts/{masked}/reprocess")

    assert refused.status == 409
    assert "masked" in refused.json["detail"]
    assert (await shop.get(f"/receipts/{masked}")).json["masked"] is True


async def test_what_a_deleted_connector_brought_is_kept_and_not_read_again(shop: Shop) -> None:
    receipt = await shop.hear(secret=OTHER_SECRET)
    path = f"/v1/merchants/{shop.merchant}/connectors/owlpay"
    assert (await shop.world.call("DELETE", path)).status == 204
    assert (await shop.get(f"/receipts/{receipt}")).status == 200
    refused = await shop.post(f"/receipts/{receipt}/reprocess")
    assert (refused.status, "deleted" in refused.json["detail"]) == (409, True)


@pytest.mark.shows("S26")
async def test_another_merchants_receipt_is_none(shop: Shop) -> None:
    receipt = await shop.hear(secret=OTHER_SECRET)
    other = Shop(shop.world, await shop.world.merchant(), shop.connector_id, shop.url)
    for theirs in (receipt, "rcp_00000000000000000000000000", "nonsense"):
        assert (await other.get(f"/receipts/{theirs}")).status == 404
        assert (await other.post(f"/receipts/{theirs}/reprocess")).status == 404
    assert (await other.get("/receipts")).json["data"] == []
    assert (await other.get(f"/receipts?connector_id={shop.connector_id}")).status == 404


async def test_what_waits_for_too_long_is_listed(shop: Shop) -> None:
    """Nobody misses a message by himself that does not come."""
    await shop.overdue("pay_1")
    await shop.overdue("pay_2")
    said = {"name": "silent", "dialect": "owlpay", "secrets": [SECRET]}
    await shop.post("/connectors", said)

    found = (await shop.get("/overdue")).json
    assert [one["object"]["id"] for one in found["data"]] == ["pay_2", "pay_1"]
    assert found["data"][1] == {
        "connector_id": shop.connector_id,
        "object": {"type": "payment", "id": "pay_1"},
        "provider_object": {"type": "payment_intent", "id": "pi_pay_1"},
        "since": "2026-11-19T12:00:00.000Z",
        "looked_at_again": found["data"][1]["looked_at_again"],
    }
    page = (await shop.get("/overdue?connector_id=owlpay&limit=1")).json
    assert (len(page["data"]), page["has_more"]) == (1, True)
    assert (await shop.get("/overdue?connector_id=silent")).json["data"] == []
