"""Receipts over the API: listed, read, and read again once the secret is mended."""

import hashlib
from base64 import b64decode
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import pytest
from tests.connectors import signed_by_paypal as paypal
from tests.support.api_world import Answer, World
from tests.support.owlpay_sender import OTHER_SECRET, SECRET, message, signed

from payhooks.control import receipts
from payhooks.ids import (
    CONNECTOR,
    MERCHANT,
    RECEIPT,
    ConnectorId,
    MerchantId,
    ReceiptId,
    from_text,
    to_text,
)
from payhooks.limits import MIB
from payhooks.model.expectation import Expectation
from payhooks.model.receipt import Receipt, ReceiptState, Verdict
from payhooks.ports.fetching import Fetched
from payhooks.ports.receiving import Conclusion, Wait

pytestmark = pytest.mark.shows("N06")

PAID = message("payment_intent.succeeded", {"uuid": "pi_1", "status": "succeeded", "amount": 1})


@dataclass(frozen=True)
class Shop:
    """A merchant with a connector, and its provider."""

    world: World
    merchant: str
    connector_id: str
    url: str

    @classmethod
    async def open(cls, world: World, name: str = "owlpay") -> "Shop":
        merchant = await world.merchant()
        said = {"name": name, "dialect": "owlpay", "secrets": [SECRET]}
        made = await world.call("POST", f"/v1/merchants/{merchant}/connectors", said)
        assert made.status == 201, made.body
        path = "/" + made.json["url"].split("/", 3)[3]
        return cls(world, merchant, made.json["id"], path)

    async def hear(self, body: bytes = PAID, secret: str = SECRET) -> str:
        """Send a message; return the id of its receipt."""
        headers = signed(body, self.world.clock.now(), secret)
        await self.world.call("POST", self.url, raw=body, key=None, headers=headers)
        [newest] = (await self.get("/receipts?limit=1")).json["data"]
        self.world.clock.advance(timedelta(seconds=1))
        found: str = newest["id"]
        return found

    async def get(self, rest: str) -> Answer:
        return await self.world.call("GET", f"/v1/merchants/{self.merchant}{rest}")

    async def post(self, rest: str, body: object = None) -> Answer:
        return await self.world.call("POST", f"/v1/merchants/{self.merchant}{rest}", body)

    async def mend(self) -> None:
        """Give the connector the secret that the provider signs with."""
        rotated = await self.post(
            f"/connectors/{self.connector_id}/rotate-secret", {"secret": OTHER_SECRET}
        )
        assert rotated.status == 200, rotated.body

    async def stored(self, receipt: str) -> Receipt:
        """Return the receipt as the store has it."""
        found = await self.world.store.receipt(self._merchant_id, ReceiptId(_raw(RECEIPT, receipt)))
        assert found is not None
        return found

    async def end(self, receipt: str, state: ReceiptState) -> None:
        """Conclude a receipt, as who processes it would."""
        conclusion = Conclusion(
            merchant_id=self._merchant_id,
            receipt_id=ReceiptId(_raw(RECEIPT, receipt)),
            connector_id=ConnectorId(_raw(CONNECTOR, self.connector_id)),
            state=state,
            detail="In words.",
            word="payment_intent.succeeded",
            object_type="payment_intent",
            object_id="pi_1",
        )
        await self.world.store.conclude([conclusion])

    async def keep(self, *receipts: Receipt) -> str:
        """Store receipts like these under ids of their own; return that of the newest."""
        kept = [
            msgspec.structs.replace(one, id=ReceiptId(self.world.ids.new())) for one in receipts
        ]
        await self.world.store.receive(
            kept, owner=1, for_s=1, quarantine_max=1_000, quarantine_bytes_max=64 * MIB
        )
        return to_text(RECEIPT, kept[-1].id)

    async def overdue(self, object_id: str) -> None:
        """Let an object wait for too long."""
        now = self.world.clock.now()
        waiting = Expectation(
            id=self.world.ids.new(),
            merchant_id=self._merchant_id,
            connector_id=ConnectorId(_raw(CONNECTOR, self.connector_id)),
            object_type="payment",
            object_id=object_id,
            heard_type="payment_intent",
            heard_id=f"pi_{object_id}",
            since=now - timedelta(days=1),
            due_at=now,
        )
        receipt = await self.hear()
        conclusion = Conclusion(
            merchant_id=self._merchant_id,
            receipt_id=ReceiptId(_raw(RECEIPT, receipt)),
            connector_id=waiting.connector_id,
            state=ReceiptState.PROCESSED,
            waits=(Wait(expectation=waiting, due_in_s=0.0),),
        )
        await self.world.store.conclude([conclusion])
        late = msgspec.structs.replace(waiting, overdue=True)
        await self.world.store.write_expectation(late, due_in_s=3_600)

    @property
    def _merchant_id(self) -> MerchantId:
        return MerchantId(_raw(MERCHANT, self.merchant))


def _raw(prefix: str, text: str) -> bytes:
    found = from_text(prefix, text)
    assert found is not None
    return found


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


async def test_all_of_a_quarantine_are_read_again_but_what_was_forged(shop: Shop) -> None:
    """Among what a wrong secret turned away is what nobody should believe."""
    real = [await shop.hear(secret=OTHER_SECRET) for _ in range(25)]
    forged = await shop.hear(secret="whs_0000000000")
    unmapped = await shop.hear()
    await shop.end(unmapped, ReceiptState.UNMAPPED)
    await shop.mend()
    at = "/connectors/owlpay/reprocess"

    first = await shop.post(at, {"states": ["quarantined"]})
    assert first.status == 202
    assert first.json == {"reprocessed": len(real), "unverified": 1, "has_more": False}
    assert (await shop.stored(real[0])).verdict is Verdict.VERIFIED
    assert (await shop.stored(forged)).state is ReceiptState.QUARANTINED
    assert (await shop.stored(unmapped)).state is ReceiptState.UNMAPPED
    again = await shop.post(at, {"states": ["quarantined", "unmapped"]})
    assert again.json == {"reprocessed": 1, "unverified": 1, "has_more": False}
    actions = await shop.world.audit_actions(shop.merchant)
    assert actions.count("receipt.reprocessed") == 2


@pytest.mark.parametrize(
    ("count", "body", "done"),
    [
        pytest.param(receipts.REPROCESSED_MAX + 10, PAID, receipts.REPROCESSED_MAX, id="many"),
        pytest.param(170, PAID + b" " * 250_000, 80, id="large"),
    ],
)
async def test_what_is_read_again_at_once_is_bounded(
    shop: Shop, count: int, body: bytes, done: int
) -> None:
    """A quarantine is up to 64 MiB; one call must not hold all of it, and says that it did not."""
    stored = await shop.stored(await shop.hear(body, secret=OTHER_SECRET))
    await shop.keep(*[stored] * (count - 1))
    await shop.mend()
    at, said = "/connectors/owlpay/reprocess", {"states": ["quarantined"]}

    first = await shop.post(at, said)
    assert first.json == {"reprocessed": done, "unverified": 0, "has_more": True}
    left = count - done
    while left:
        again = (await shop.post(at, said)).json
        assert (again["reprocessed"], again["has_more"]) == (min(left, done), left > done)
        left -= again["reprocessed"]


async def test_who_forges_does_not_have_us_ask_for_whatever_he_names(shop: Shop) -> None:
    """Each forged request names a certificate; all of them together are a flood of requests."""
    said = {"name": "paypal", "dialect": "paypal", "options": paypal.OPTIONS}
    made = await shop.post("/connectors", said)
    world, url = shop.world, "/" + made.json["url"].split("/", 3)[3]
    world.fetcher.script = lambda _request: Fetched(status=200, body=b"none")
    for number in range(15):
        named = f"https://api.paypal.com/v1/notifications/certs/CERT-{number:08x}-0-0"
        made_up = paypal.signed(b"{}", url=named)
        sent = await world.call("POST", url, raw=b"{}", key=None, headers=made_up.headers)
        assert sent.status == 401, sent.body
    asked = len(world.fetcher.asked)
    assert asked == 15
    again = await shop.post("/connectors/paypal/reprocess", {"states": ["quarantined"]})
    assert again.json == {"reprocessed": 0, "unverified": 15, "has_more": False}
    assert len(world.fetcher.asked) - asked == 10
    [one] = (await shop.get("/receipts?connector_id=paypal&limit=1")).json["data"]
    world.fetcher.script = lambda _request: None
    assert (await shop.post(f"/receipts/{one['id']}/reprocess")).status == 503
    world.fetcher.script = lambda _request: Fetched(status=503, body=b"")
    assert (await shop.post(f"/receipts/{one['id']}/reprocess")).status == 503
    world.fetcher.script = lambda _request: Fetched(status=404, body=b"")
    refused = await shop.post(f"/receipts/{one['id']}/reprocess")
    assert (refused.status, "nothing at the certificate" in refused.json["detail"]) == (409, True)
    # What it is signed with is nobody's to see: the body is signed as a checksum alone.
    headers = dict((await shop.get(f"/receipts/{one['id']}")).json["headers"])
    assert headers["paypal-transmission-sig"] == "(kept, not shown)"


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
