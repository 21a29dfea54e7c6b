"""A connector is edited at one process, and another one on the same store reads its receipts."""

import asyncio
import json
from dataclasses import dataclass

import pytest
from tests.connectors import answered_by_mollie as mollie
from tests.connectors import signed_by_adyen as adyen
from tests.support.inbound_world import InboundWorld

from payhooks.errors import NotFetchedError
from payhooks.flow.normalise import Normaliser
from payhooks.flow.routing import CONFIRMED_S
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.fetching import Fetch, Fetched

pytestmark = pytest.mark.shows("N06")


@dataclass(frozen=True)
class Shop:
    """A merchant whose connectors one process hears, and edits, and another one reads."""

    world: InboundWorld
    merchant: str
    worker: Normaliser

    @classmethod
    async def open(cls) -> "Shop":
        world = InboundWorld()
        return cls(world, await world.merchant(), world.another_normaliser())

    async def edit(self, name: str, members: dict[str, object]) -> None:
        path = f"/v1/merchants/{self.merchant}/connectors/{name}"
        assert (await self.world.call("PATCH", path, members)).status == 200

    async def adyen_says(self, reference: str) -> Receipt:
        """Let Adyen authorise a payment; return the receipt, which nobody has read."""
        item = adyen.signed({**adyen.PAYMENT, "pspReference": reference})
        await self.world.hears(self.merchant, "adyen", {}, adyen.batch(item).body)
        return self.world.receipts.pop()

    async def told(self) -> list[tuple[str, str | None]]:
        return [(event.type, event.object_id) for event in await self.world.events(self.merchant)]


@pytest.fixture
async def shop() -> Shop:
    """Return a shop without a connector."""
    return await Shop.open()


async def test_what_comes_after_an_edit_is_read_by_it_whichever_process_does(shop: Shop) -> None:
    """What is only authorised would be told as paid, until somebody restarts the worker."""
    await shop.world.connector(shop.merchant, "adyen", secrets=(adyen.KEY,))
    await shop.worker.process(await shop.adyen_says("before"))
    await shop.edit("adyen", {"options": {"capture": "manual"}})
    shop.world.advance(CONFIRMED_S)

    await shop.worker.process(await shop.adyen_says("after"))

    assert await shop.told() == [("payment_succeeded", "before"), ("payment_authorized", "after")]


async def test_what_is_put_back_just_after_an_edit_is_read_by_it_all_of_it(shop: Shop) -> None:
    """Read by what was before it is ignored once more, and nobody looks at it again."""
    await shop.world.connector(shop.merchant, "adyen", secrets=(adyen.KEY,), events=("REFUND",))
    for number in range(3):
        await shop.worker.process(await shop.adyen_says(f"p{number}"))
    assert {one.state for one in await shop.world.stored(shop.merchant)} == {ReceiptState.IGNORED}
    await shop.edit("adyen", {"events": []})
    path = f"/v1/merchants/{shop.merchant}/connectors/adyen/reprocess"
    assert (await shop.world.call("POST", path, {"states": ["ignored"]})).json["reprocessed"] == 3

    again = await shop.world.store.claim_receipts(owner=2, limit=10, for_s=1)
    await asyncio.gather(*[shop.worker.process(receipt) for receipt in again])

    assert [type_ for type_, _ in await shop.told()] == ["payment_succeeded"] * 3


async def test_a_mended_key_is_asked_with_whichever_process_asks(shop: Shop) -> None:
    """The key was never used until a restart, and what waits for it is given up after a day."""

    def answer(asked: Fetch) -> Fetched:
        is_known = f"Bearer {mollie.LIVE.credential}" in dict(asked.headers).values()
        body = json.dumps({**mollie.PAID, "mode": "live"}).encode()
        return Fetched(status=200, body=body) if is_known else Fetched(status=401, body=b"{}")

    shop.world.fetcher.script = answer
    wrong = "live_" + "x" * 30
    await shop.world.connector(shop.merchant, "mollie", secrets=(), credential=wrong)
    await shop.world.hears(shop.merchant, "mollie", {}, f"id={mollie.ID}".encode())
    [call] = shop.world.receipts
    with pytest.raises(NotFetchedError):
        await shop.worker.process(call)
    await shop.edit("mollie", {"credential": mollie.LIVE.credential})
    shop.world.advance(CONFIRMED_S)

    await shop.worker.process(call)

    assert await shop.told() == [("payment_succeeded", mollie.ID)]
