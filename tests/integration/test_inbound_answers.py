"""What a provider answers when he is asked is kept, and the next answer is judged by it."""

import asyncio
import json
from collections import Counter
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from tests.connectors import answered_by_mollie as mollie
from tests.support.cards import PRINTED
from tests.support.inbound_world import InboundWorld

from payhooks.errors import NotFetchedError, UnavailableError
from payhooks.flow.conclude import HISTORY_MAX
from payhooks.flow.messages import Account, read
from payhooks.ids import RECEIPT, ReceiptId, first_id_at, to_text
from payhooks.model.event import Event
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.fetching import Fetch, Fetched
from payhooks.ports.receiving import HeardBefore

NUMBER = "FLSAPI7711"
PAY_BACK = {"required": True, "amount": "12.50", "currency": "AED"}


class Foloosi:
    """A merchant with a connector, and Foloosi's account as it stands."""

    def __init__(self, world: InboundWorld, merchant: str) -> None:
        self.world, self.merchant = world, merchant
        world.fetcher.script = self.answer
        self._says: dict[str, Any] = {}

    def answer(self, _request: Fetch) -> Fetched:
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


async def _foloosi(events: tuple[str, ...] = ()) -> Foloosi:
    world = InboundWorld()
    merchant = await world.merchant()
    key = "sk_of_an_account"
    await world.connector(merchant, "foloosi", secrets=(), credential=key, events=events)
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
    for text in (None, None, "settled"):
        await foloosi.becomes("success", reason=text)
    calls = [one for one in await foloosi.receipts() if not one.is_answer]
    [answer] = [one for one in await foloosi.receipts() if one.is_answer]
    assert answer.state is ReceiptState.PROCESSED
    assert (answer.object_type, answer.object_id) == ("transfer", NUMBER)
    assert [one.state for one in calls] == ["processed", "duplicate", "duplicate"]
    named = f"The provider was asked; his answer is {to_text(RECEIPT, answer.id)}."
    assert calls[0].detail == named
    health = await foloosi.world.store.connector_health(answer.merchant_id, [answer.connector_id])
    assert health[0].received == 3, "what we asked for was not sent"


@pytest.mark.shows("N08")
async def test_calls_of_strangers_push_no_answer_out_of_the_history() -> None:
    """Anybody can make any number of them, and only so much of a history is read."""
    foloosi = await _foloosi()
    await foloosi.becomes("success")
    for _ in range(HISTORY_MAX + 1):
        await foloosi.becomes("success")
    await foloosi.becomes("failed")
    await foloosi.becomes("success")
    assert await foloosi.told() == [
        ("payment_succeeded", {}),
        ("payment_failed", {"correction": True}),
        ("payment_succeeded", {"correction": True}),
    ]


@pytest.mark.shows("N08")
@pytest.mark.parametrize("events", [("payment_succeeded",), ("order.*",)])
async def test_an_answer_that_nobody_hears_is_not_kept(events: tuple[str, ...]) -> None:
    """It ends as its call would have, had the provider said so there."""
    foloosi = await _foloosi(events=events)
    for _ in range(2):
        await foloosi.becomes("pending")
    assert [one.state for one in await foloosi.receipts()] == [ReceiptState.IGNORED] * 2


@pytest.mark.shows("N08")
async def test_who_calls_while_others_are_asked_for_is_answered_with_them() -> None:
    """A provider is asked twice, however many call at once: his news is as new as the call."""
    foloosi = await _foloosi()
    foloosi.stands("success")
    for _ in range(10):
        await foloosi.calls()
    waiting = list(foloosi.world.receipts)
    await asyncio.gather(*[foloosi.world.normaliser.process(one) for one in waiting])
    assert len(foloosi.world.fetcher.asked) == 2
    assert await foloosi.told() == [("payment_succeeded", {})]
    states = Counter(one.state for one in await foloosi.receipts())
    assert states == {ReceiptState.PROCESSED: 2, ReceiptState.DUPLICATE: 9}


@pytest.mark.shows("N08")
async def test_who_waited_for_what_nobody_knew_asks_again() -> None:
    """A provider may call before the payment can be read there."""
    foloosi = await _foloosi()
    for _ in range(4):
        await foloosi.calls()
    waiting = list(foloosi.world.receipts)
    foloosi.world.fetcher.script = lambda _asked: Fetched(status=404, body=b"{}")
    work = [foloosi.world.normaliser.process(one) for one in waiting]
    ends = await asyncio.gather(*work, return_exceptions=True)
    assert [type(end) for end in ends] == [NotFetchedError] * 4
    assert [one.state for one in await foloosi.receipts()] == [ReceiptState.RECEIVED] * 4
    assert len(foloosi.world.fetcher.asked) == 2


@pytest.mark.shows("N08")
async def test_who_waited_for_what_could_not_be_kept_asks_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What came of the question before that was asked too early for him."""
    foloosi = await _foloosi()
    world = foloosi.world
    answers = iter(["pending", "success", "success"])

    def moving(request: Fetch) -> Fetched:
        world.advance(1)
        foloosi.stands(next(answers))
        return foloosi.answer(request)

    world.fetcher.script = moving
    kept, done = world.asker.keep, []

    async def keep(account: Account, answer: Receipt) -> None:
        done.append(answer)
        if len(done) == 2:
            raise UnavailableError("the disk is full")
        await kept(account, answer)

    monkeypatch.setattr(world.asker, "keep", keep)
    for _ in range(3):
        await foloosi.calls()
    work = [world.normaliser.process(one) for one in world.receipts]
    ends = await asyncio.gather(*work, return_exceptions=True)
    assert [type(end) for end in ends] == [type(None), UnavailableError, type(None)]
    told = [type_ for type_, _ in await foloosi.told()]
    assert told == ["payment_processing", "payment_succeeded"]


@pytest.mark.shows("N08")
@pytest.mark.parametrize("now", ["failed", "success", "pending"])
async def test_of_an_answer_whose_process_died_nothing_is_told(now: str) -> None:
    """It was kept, and things may be otherwise by now: the provider is asked again."""
    foloosi = await _foloosi()
    world = foloosi.world
    await foloosi.becomes("failed")
    foloosi.stands("success")
    await foloosi.calls()
    [call] = world.receipts
    world.receipts.clear()
    account = await world.normaliser.account(call)
    [about] = read(account, call)
    died = await world.asker.ask(account, about, before=())
    assert died is not None
    await world.asker.keep(account, died)
    await foloosi.becomes(now)
    world.advance(1)
    await world.another_normaliser().process(died)
    await world.normaliser.process(call)
    before = [type_ for type_, _ in await foloosi.told()]
    assert before[-1] == {
        "failed": "payment_failed", "success": "payment_succeeded", "pending": "payment_processing",
    }[now]  # fmt: skip
    assert len(before) == 1 + (now != "failed")
    assert all(one.state is not ReceiptState.RECEIVED for one in await foloosi.receipts())


@pytest.mark.shows("N08")
async def test_an_answer_is_behind_those_before_it_whatever_clocks_say() -> None:
    """Another process, whose clock is ahead, may have asked before; and two may be behind it."""
    foloosi = await _foloosi()
    await foloosi.becomes("success")
    call, answer = await foloosi.receipts()
    if call.is_answer:
        call, answer = answer, call
    account = await foloosi.world.normaliser.account(call)
    ahead = ReceiptId(first_id_at(foloosi.world.clock.now() + timedelta(minutes=1)))
    before = [HeardBefore(receipt=msgspec.structs.replace(answer, id=ahead), said=())]
    [about] = read(account, call)
    asked = [await foloosi.world.asker.ask(account, about, before=before) for _ in range(2)]
    names = {one.id for one in asked if one is not None}
    assert len(names) == 2
    assert min(names) > ahead


@pytest.mark.shows("N08")
async def test_of_two_processes_that_ask_at_once_the_slower_asks_again() -> None:
    """Its answer may be older than what the other has told."""
    foloosi = await _foloosi()
    world = foloosi.world
    await foloosi.becomes("pending")
    await foloosi.calls()
    await foloosi.calls()
    first, second = world.receipts
    world.receipts.clear()
    answers = iter(["failed", "success", "success"])

    def slowly(request: Fetch) -> Fetched:
        world.advance(1)
        foloosi.stands(next(answers))
        return foloosi.answer(request)

    async def others_first(*_: object) -> None:
        """Let the other process ask and tell, when this one has its answer."""
        monkey.undo()
        await world.another_normaliser().process(second)

    world.fetcher.script = slowly
    with pytest.MonkeyPatch.context() as monkey:
        kept = world.asker.keep

        async def keep(account: Account, answer: Receipt) -> None:
            await others_first()
            await kept(account, answer)

        monkey.setattr(world.asker, "keep", keep)
        await world.normaliser.process(first)
    told = await foloosi.told()
    assert [type_ for type_, _ in told] == [
        "payment_processing", "payment_succeeded", "payment_failed",
    ]  # fmt: skip
    assert told[-1][1] == {"superseded": True}, "it was asked for before the other"
    assert list(answers) == [], "and once more, as nobody knows whether it was"


@pytest.mark.shows("N08")
async def test_a_debit_that_is_learnt_of_later_is_told() -> None:
    """The payment has failed before and after; that its customer was debited is the news."""
    foloosi = await _foloosi()
    await foloosi.becomes("failed")
    await foloosi.becomes("failed", reason="declined")
    await foloosi.becomes("failed", pay_back=PAY_BACK)
    for pay_back in (None, PAY_BACK, {**PAY_BACK, "amount": 12.5}, {**PAY_BACK, "required": False}):
        await foloosi.becomes("failed", pay_back=pay_back)
    events = await foloosi.world.events(foloosi.merchant)
    assert [event.type for event in events] == ["payment_failed", "payment_failed"]
    said = [json.loads(event.data).get("pay_back") for event in events]
    assert said[0] is None
    assert (said[1]["required"], said[1]["amount"]) == (True, 1_250)


@pytest.mark.shows("N08")
async def test_another_amount_is_told_and_another_text_is_not() -> None:
    """A shop goes by the last that it heard."""
    foloosi = await _foloosi()
    for amount in ("12.50", "12.5", "15.00", "12.50"):
        await foloosi.becomes("success", amount=amount, reason=f"of {amount}")
    events = await foloosi.world.events(foloosi.merchant)
    assert [json.loads(event.data)["amount"] for event in events] == [1_250, 1_500, 1_250]


@pytest.mark.shows("N08")
async def test_an_answer_with_a_card_number_is_kept_without() -> None:
    """A provider may answer with more than he would send."""
    foloosi = await _foloosi()
    await foloosi.becomes("success", card=PRINTED[0], cvv="737")
    [answer] = [one for one in await foloosi.receipts() if one.is_answer]
    assert PRINTED[0].encode() not in answer.body
    telemetry = foloosi.world.telemetry
    assert set(telemetry.card_data) == {"card_number_masked", "security_code_masked"}
    assert [kind for kind, _ in telemetry.alarms] == ["sensitive_card_data"]


def _mollie_says(world: InboundWorld, payment: dict[str, Any], *refunds: dict[str, Any]) -> None:
    said = {**payment, "_embedded": {"refunds": list(refunds)}}
    answer = Fetched(status=200, body=json.dumps(said).encode())
    world.fetcher.script = lambda _asked: answer


async def _mollie(*events: str) -> tuple[InboundWorld, str]:
    world = InboundWorld()
    merchant = await world.merchant()
    key = mollie.LIVE.credential
    await world.connector(merchant, "mollie", secrets=(), credential=key, events=events)
    return world, merchant


async def _mollie_calls(world: InboundWorld, merchant: str) -> list[tuple[str, str | None]]:
    world.advance(1)
    await world.hears(merchant, "mollie", {}, f"id={mollie.ID}".encode())
    await world.process()
    return [(event.type, event.object_id) for event in await world.events(merchant)]


@pytest.mark.shows("N08")
async def test_of_an_answer_that_says_everything_again_what_is_new_is_told() -> None:
    """In whatever order, with whatever reference added: a capture is money each time."""
    world, merchant = await _mollie()
    first, second = [
        {"id": f"re_{number}", "status": "refunded", "amount": {"value": "1.00", "currency": "EUR"}}
        for number in (1, 2)
    ]
    part = {**mollie.PAID, "amountCaptured": {"value": "4.00", "currency": "EUR"}}
    expected: list[tuple[str, str | None]] = [("payment_captured", mollie.ID)]
    _mollie_says(world, part)
    assert await _mollie_calls(world, merchant) == expected
    _mollie_says(world, {**part, "metadata": {"order_id": "77"}})
    assert await _mollie_calls(world, merchant) == expected
    _mollie_says(world, part, first)
    expected += [("refund_succeeded", "re_1")]
    assert await _mollie_calls(world, merchant) == expected
    _mollie_says(world, part, second, first)
    expected += [("refund_succeeded", "re_2")]
    assert await _mollie_calls(world, merchant) == expected
    _mollie_says(world, part, first)
    assert await _mollie_calls(world, merchant) == expected
    answers = [one for one in await world.stored(merchant) if one.is_answer]
    assert len(answers) == 3, "what says nothing new is not kept"


@pytest.mark.shows("N08")
async def test_what_a_connector_does_not_hear_is_not_told_with_the_next_answer() -> None:
    """An answer is kept whole, and read again with those that follow it."""
    world, merchant = await _mollie("payment.paid", "refund.*")
    paid = {**mollie.PAID, "authorizedAt": "2018-03-20T13:28:37+00:00"}
    refund = {"id": "re_1", "status": "refunded", "amount": {"value": "1.00", "currency": "EUR"}}
    _mollie_says(world, paid)
    assert await _mollie_calls(world, merchant) == [("payment_succeeded", mollie.ID)]
    _mollie_says(world, paid, refund)
    told = await _mollie_calls(world, merchant)
    assert told == [("payment_succeeded", mollie.ID), ("refund_succeeded", "re_1")]


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
