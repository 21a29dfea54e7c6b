"""What a provider answers when he is asked is kept, and the next answer is judged by it."""

import json
from typing import Any

import msgspec
import pytest
from tests.connectors import answered_by_mollie as mollie
from tests.support.inbound_world import InboundWorld

from payhooks.model.event import Event
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.fetching import Fetch, Fetched

NUMBER = "FLSAPI7711"
PAY_BACK = {"required": True, "amount": "12.50", "currency": "AED"}


class Foloosi:
    """A merchant with a connector, and Foloosi's account as it stands."""

    def __init__(self, world: InboundWorld, merchant: str) -> None:
        self.world, self.merchant = world, merchant
        world.fetcher.script = self._answer
        self._says: dict[str, Any] = {}

    def _answer(self, _request: Fetch) -> Fetched:
        answer = {"message": "ok", "data": {"transaction_no": NUMBER, **self._says}}
        return Fetched(status=200, body=json.dumps(answer).encode())

    def stands(self, status: str, **said: Any) -> None:  # noqa: ANN401 - members of JSON
        """Let the account say so from now on."""
        self._says = {"status": status, "amount": "12.50", "currency": "AED", **said}

    async def calls(self) -> None:
        """Call about the transaction, whatever has become of it."""
        body = json.dumps(
            {"data": {"transfer": {"transaction_no": NUMBER, "transaction_status": "pending"}}}
        ).encode()
        assert (await self.world.hears(self.merchant, "foloosi", {}, body)).status == 200

    async def becomes(self, status: str, **said: Any) -> None:  # noqa: ANN401 - members of JSON
        """Let it become so, call about it, and let it be asked for."""
        self.world.advance(1)
        self.stands(status, **said)
        await self.calls()
        await self.world.process()

    async def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the events with what was known of each when it was told."""
        return [(event.type, _known(event)) for event in await self.world.events(self.merchant)]

    async def receipts(self) -> list[Receipt]:
        """Return the merchant's receipts, oldest first."""
        return await self.world.stored(self.merchant)


async def _foloosi() -> Foloosi:
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "foloosi", secrets=(), credential="sk_of_an_account")
    return Foloosi(world, merchant)


def _known(event: Event) -> dict[str, Any]:
    metadata = msgspec.json.decode(event.metadata or b"{}")
    return {name: metadata[name] for name in ("superseded", "correction") if name in metadata}


@pytest.mark.shows("N04", "N08")
async def test_what_is_so_again_is_told_again() -> None:
    """A provider who is asked says how things are, and not how often they have changed."""
    foloosi = await _foloosi()
    for status in ("failed", "failed", "success", "success", "failed", "failed"):
        await foloosi.becomes(status)
    assert await foloosi.told() == [
        ("payment_failed", {}),
        ("payment_succeeded", {"correction": True}),
        ("payment_failed", {"correction": True}),
    ]


@pytest.mark.shows("N08")
async def test_an_answer_is_kept_where_it_is_news() -> None:
    """Whoever calls a hundred times makes us ask a hundred times, and keep one answer."""
    foloosi = await _foloosi()
    for _ in range(3):
        await foloosi.becomes("success")
    calls = [one for one in await foloosi.receipts() if not one.is_answer]
    [answer] = [one for one in await foloosi.receipts() if one.is_answer]
    assert answer.state is ReceiptState.PROCESSED
    assert (answer.object_type, answer.object_id) == ("transfer", NUMBER)
    assert [one.state for one in calls] == ["processed", "duplicate", "duplicate"]
    assert calls[0].detail is not None
    assert calls[0].detail.startswith("The provider was asked; his answer is rcp")
    health = await foloosi.world.store.connector_health(answer.merchant_id, [answer.connector_id])
    assert health[0].received == 3, "what we asked for was not sent"


@pytest.mark.shows("N08")
async def test_an_old_answer_that_is_read_late_does_not_look_like_the_last() -> None:
    """It was asked for before the other, whoever was faster."""
    foloosi = await _foloosi()
    world = foloosi.world
    # Asked for now, and read when somebody else has asked and told.
    foloosi.stands("pending")
    await foloosi.calls()
    [call] = world.receipts
    account = await world.normaliser.account(call)
    late = await world.asker.fetch(account, call)
    world.receipts.clear()
    await foloosi.becomes("success")
    for answer in late.news:
        await world.asker.keep(account, answer)
        await world.normaliser.process(answer)
    assert (await foloosi.told())[-1] == ("payment_processing", {"superseded": True})


@pytest.mark.shows("N08")
async def test_a_debit_that_is_learnt_of_later_is_told() -> None:
    """The payment has failed before and after; that its customer was debited is the news."""
    foloosi = await _foloosi()
    await foloosi.becomes("failed")
    await foloosi.becomes("failed", reason="declined")
    await foloosi.becomes("failed", pay_back=PAY_BACK)
    await foloosi.becomes("failed", pay_back=dict(reversed(PAY_BACK.items())))
    events = await foloosi.world.events(foloosi.merchant)
    assert [event.type for event in events] == ["payment_failed", "payment_failed"]
    said = [json.loads(event.data).get("pay_back") for event in events]
    assert said[0] is None
    assert (said[1]["required"], said[1]["amount"]) == (True, 1_250)


@pytest.mark.shows("N08")
async def test_an_answer_that_says_nothing_yet_is_not_kept() -> None:
    """An open payment of Mollie's is no news, however often somebody calls about it."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "mollie", secrets=(), credential=mollie.LIVE.credential)
    opened = Fetched(status=200, body=json.dumps(mollie.PAYMENT).encode())
    world.fetcher.script = lambda _asked: opened
    for _ in range(2):
        await world.hears(merchant, "mollie", {}, f"id={mollie.ID}".encode())
        await world.process()
    assert [one.state for one in await world.stored(merchant)] == [ReceiptState.PROCESSED] * 2
