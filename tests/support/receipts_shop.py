"""A shop that is told by OwlPay, asked over the API for what came."""

from dataclasses import dataclass
from datetime import timedelta

import msgspec
from tests.support.api_world import Answer, World
from tests.support.owlpay_sender import OTHER_SECRET, SECRET, message, signed

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
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.receiving import Conclusion, Wait

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
