"""Connectors and receipts in a store, made in one line each."""

import hashlib

import msgspec
from tests.support.world import OWNER, World

from payhooks.ids import ConnectorId, EventId, ReceiptId
from payhooks.model.connector import Connector, ConnectorStatus
from payhooks.model.event import Event, Finding
from payhooks.model.expectation import Expectation
from payhooks.model.merchant import Merchant
from payhooks.model.receipt import Receipt, ReceiptState, Verdict
from payhooks.ports.accepting import Acceptance
from payhooks.ports.controlling import Change
from payhooks.ports.receiving import (
    Conclusion,
    ConnectorHealth,
    HeardBefore,
    Link,
    Moved,
    Remembered,
    Subject,
    Wait,
)

FOR_S = 30.0
QUARANTINE_MAX = 5
QUARANTINE_BYTES_MAX = 1_000
PAYMENT = "gateway.transaction"  # the provider's object, as links call it


class Inbound:
    """The inbound half of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = world.store

    def new_connector(self, merchant: Merchant, **members: object) -> Connector:
        """Return a connector that is not stored."""
        connector = Connector(
            id=ConnectorId(self.world.ids.new()),
            merchant_id=merchant.id,
            name="till",
            dialect="standard",
            status=ConnectorStatus.ACTIVE,
            version=1,
            created_at=self.world.now(),
            updated_at=self.world.now(),
        )
        return msgspec.structs.replace(connector, **members)

    async def write(self, connector: Connector) -> None:
        """Store a connector, or its next version."""
        audit = self.world.audit(connector.merchant_id)
        await self.store.apply(Change(audit=audit, connector=connector))

    async def connector(self, merchant: Merchant, **members: object) -> Connector:
        """Return a connector that is stored."""
        connector = self.new_connector(merchant, **members)
        await self.write(connector)
        return connector

    async def edit(self, connector: Connector, **members: object) -> Connector:
        """Return the next version of a connector, stored."""
        version = connector.version + 1
        edited = msgspec.structs.replace(connector, version=version, **members)
        await self.write(edited)
        return edited

    def receipt(self, connector: Connector, **members: object) -> Receipt:
        """Return a verified receipt that is not stored."""
        body = b'{"id": "evt_1"}'
        receipt = Receipt(
            id=ReceiptId(self.world.ids.new()),
            merchant_id=connector.merchant_id,
            connector_id=connector.id,
            method="POST",
            query="",
            headers=(("content-type", "application/json"),),
            body=body,
            body_sha256=hashlib.sha256(body).digest(),
            verdict=Verdict.VERIFIED,
            answered=200,
        )
        return msgspec.structs.replace(receipt, **members)

    def forged(self, connector: Connector, **members: object) -> Receipt:
        """Return a receipt for the quarantine."""
        return self.receipt(
            connector,
            **{
                "verdict": Verdict.UNVERIFIED,
                "state": ReceiptState.QUARANTINED,
                "reason": "No secret of this connector made the signature.",
                "answered": 401,
                **members,
            },
        )

    async def receive(self, *receipts: Receipt, owner: int = OWNER, for_s: float = FOR_S) -> None:
        """Offer a batch of requests."""
        await self.store.receive(
            receipts,
            owner=owner,
            for_s=for_s,
            quarantine_max=QUARANTINE_MAX,
            quarantine_bytes_max=QUARANTINE_BYTES_MAX,
        )

    async def received(self, connector: Connector, **members: object) -> Receipt:
        """Return a receipt that is stored."""
        receipt = self.receipt(connector, **members)
        await self.receive(receipt)
        return receipt

    def conclusion(self, receipt: Receipt, **members: object) -> Conclusion:
        """Return that a receipt was processed."""
        conclusion = Conclusion(
            merchant_id=receipt.merchant_id,
            receipt_id=receipt.id,
            connector_id=receipt.connector_id,
            state=ReceiptState.PROCESSED,
            word="transaction.captured",
            object_type="transaction",
            object_id="t-1",
        )
        return msgspec.structs.replace(conclusion, **members)

    async def concluded(self, receipt: Receipt, **members: object) -> Receipt:
        """Return a receipt as it is after it was concluded."""
        conclusion = self.conclusion(receipt, **members)
        await self.store.conclude([conclusion])
        return after(receipt, conclusion)

    async def heard(
        self, connector: Connector, object_id: str, *said: str, **members: object
    ) -> Receipt:
        """Return a receipt that was received, and processed as one about this object."""
        link = Link(object_type=PAYMENT, object_id=object_id, said=said)
        return await self.concluded(await self.received(connector), links=(link,), **members)

    async def history(
        self, connector: Connector, object_id: str, *, limit: int = 100
    ) -> list[HeardBefore]:
        """Return what was heard of an object before."""
        return list((await self.remembered(connector, object_id, limit=limit)).heard)

    async def remembered(
        self, connector: Connector, object_id: str, *, limit: int = 100
    ) -> Remembered:
        """Return what was heard of an object before, and what of it is only remembered."""
        subject = Subject(
            merchant_id=connector.merchant_id,
            connector_id=connector.id,
            object_type=PAYMENT,
            object_id=object_id,
        )
        return await self.store.heard_before(subject, limit=limit)

    async def stored(self, receipt: Receipt) -> Receipt | None:
        """Return a receipt as it is stored."""
        return await self.store.receipt(receipt.merchant_id, receipt.id)

    async def health(self, connector: Connector) -> ConnectorHealth:
        """Return how one connector fares."""
        [health] = await self.store.connector_health(connector.merchant_id, [connector.id])
        return health

    async def tell(
        self, event: Event, conclusion: Conclusion, *, key: bytes | None = None
    ) -> Acceptance:
        """Return what becomes of an event that a receipt tells."""
        arrival = await self.world.arrival(event, key=key)
        [acceptance] = await self.world.accept(
            msgspec.structs.replace(arrival, conclusion=conclusion)
        )
        return acceptance

    async def is_told(self, merchant: Merchant, event_id: EventId) -> bool:
        """Return whether there is such an event."""
        return await self.store.event(merchant.id, event_id) is not None

    def expectation(
        self, connector: Connector, object_id: str = "pay_1", **members: object
    ) -> Expectation:
        """Return an expectation that is not stored."""
        expectation = Expectation(
            id=self.world.ids.new(),
            merchant_id=connector.merchant_id,
            connector_id=connector.id,
            object_type="payment",
            object_id=object_id,
            heard_type=PAYMENT,
            heard_id=f"t-{object_id}",
            since=self.world.now(),
            due_at=self.world.now(),
        )
        return msgspec.structs.replace(expectation, **members)

    async def expects(self, expectation: Expectation, *, due_in_s: float = 0.0) -> Expectation:
        """Return an expectation that came with a receipt of its connector."""
        connector = await self.store.connector(expectation.merchant_id, expectation.connector_id)
        assert connector is not None
        receipt = await self.received(connector)
        await self.concluded(receipt, waits=(Wait(expectation=expectation, due_in_s=due_in_s),))
        return expectation

    async def moves(self, expectation: Expectation, *others: Expectation) -> None:
        """Have it told of their objects, with one receipt, that they wait no more."""
        connector = await self.store.connector(expectation.merchant_id, expectation.connector_id)
        assert connector is not None
        moved = [
            Moved(object_type=one.object_type, object_id=one.object_id)
            for one in (expectation, *others)
        ]
        await self.concluded(await self.received(connector), moved=tuple(moved))


def after(receipt: Receipt, conclusion: Conclusion) -> Receipt:
    """Return what *conclusion* makes of a receipt."""
    return msgspec.structs.replace(
        receipt,
        state=conclusion.state,
        detail=conclusion.detail,
        word=conclusion.word,
        object_type=conclusion.object_type,
        object_id=conclusion.object_id,
    )


CARD = Finding(pointer="/card/number", code="card_number", detail="A card number was masked.")
