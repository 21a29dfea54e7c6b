"""A console in this process whose installation hears connectors: pages, intake and processing."""

import json

import msgspec
from tests.support.browsing import Browser, ConsoleWorld
from tests.support.inbound_world import SECRET, InboundWorld, later, sent

from payhooks import ids
from payhooks.model.merchant import Merchant
from payhooks.model.receipt import Receipt
from payhooks.model.user import Role
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import ReceiptFilter

LIST = "/console/settings/connectors"
NAME = "owlpay"
PAYMENT = {
    "uuid": "pi_1",
    "status": "captured",
    "amount": 1250,
    "currency": "EUR",
    "captured_amount": 1250,
    "order_serial": "ORD-1",
}


class HearingConsole(InboundWorld, ConsoleWorld):
    """An installation that is looked at while providers send to it."""

    async def signed_in(self, merchant: Merchant, role: Role = Role.OWNER) -> Browser:
        """Return a browser of somebody of the merchant's team."""
        return await Browser(self).sign_in(await self.person(merchant, role))

    async def says(  # noqa: PLR0913 - a message has many parts
        self,
        merchant: Merchant,
        event: str = "payment_intent.captured",
        *,
        minutes: float = 0,
        secret: str = SECRET,
        name: str = NAME,
        number: int | None = None,
        **members: object,
    ) -> Receipt:
        """Have the provider send something of a payment; return its receipt once it was read."""
        self.advance(1)
        data = {**PAYMENT, **members, "updated_at": later(minutes).isoformat()}
        headers, body = sent(
            NAME,
            merchant,
            event,
            json.dumps(data).encode(),
            object_type="payment_intent",
            object_id=str(data["uuid"]),
            number=int(minutes * 10) + 1 if number is None else number,
            secret=secret,
            now=self.clock.now(),
        )
        await self.hears(ids.to_text(ids.MERCHANT, merchant.id), name, headers, body)
        await self.process()
        [newest] = await self.store.receipts(merchant.id, ReceiptFilter(), Window(limit=1))
        return newest

    async def overdue(self, merchant: Merchant, payments: int = 1) -> None:
        """Have payments wait for their capture for longer than the provider's take."""
        for number in range(1, payments + 1):
            await self.says(
                merchant,
                "payment_intent.authorized",
                number=number,
                status="authorized",
                uuid=f"pi_{number}",
            )
        self.advance(7 * 24 * 3_600)
        for waiting in await self.store.claim_expectations(limit=payments, for_s=60):
            late = msgspec.structs.replace(waiting, overdue=True)
            await self.store.write_expectation(late, due_in_s=3_600)
