"""What came of an object is said with one amount, or each is told and somebody is alarmed."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import permutations

import msgspec
import pytest
from tests.connectors.folding import history_of
from tests.connectors.samples import MAKERS
from tests.connectors.signed_by_adyen import KEY, PAYMENT, batch, signed
from tests.support.inbound_world import HEARD_AT, InboundWorld

from payhooks.connectors.agreement import marked
from payhooks.connectors.contract import Source
from payhooks.connectors.registry import PROVIDERS
from payhooks.connectors.words import Message
from payhooks.model.receipt import ReceiptState

pytestmark = pytest.mark.shows("N13")

_SUCCEEDED = "payment_succeeded"
_KINDS = {
    _SUCCEEDED: ("payment", "payment_id"),
    "refund_succeeded": ("refund", "refund_id"),
    "payout_success": ("payout", "payout_id"),
}


class _World(InboundWorld):
    """An installation whose merchant hears a gateway, and what was told him of it."""

    merchant_text: str
    count = 0

    async def begin(self) -> None:
        self.merchant_text = await self.merchant()
        await self.connector(self.merchant_text, "owngateway")

    async def says(
        self,
        event: str,
        amount: object,
        *,
        minute: int,
        object_id: str = "one",
        number: int | None = None,  # of the message; none: one of its own
        **more: object,
    ) -> None:
        kind, id_name = _KINDS.get(event, _KINDS[_SUCCEEDED])
        said = {id_name: object_id, "payment_id": object_id, "amount": amount, "currency": "EUR"}
        self.count += 1
        await self.hears_event(
            self.merchant_text,
            "owngateway",
            event,
            said | more,
            object_type=kind,
            object_id=object_id,
            at=HEARD_AT + timedelta(minutes=minute),
            number=self.count + 100 if number is None else number,
        )
        await self.process()

    async def told(self) -> list[tuple[str, int]]:
        events = await self.events(self.merchant_text)
        return [(event.type, json.loads(event.data)["amount"]) for event in events]

    async def conflicting(self) -> list[bool]:
        """Return of each event whether it is marked so."""
        events = await self.events(self.merchant_text)
        return [json.loads(event.metadata or b"{}").get("conflicting", False) for event in events]


@pytest.fixture
async def world() -> _World:
    """Return an installation."""
    made = _World()
    await made.begin()
    return made


@pytest.mark.parametrize("event", sorted(_KINDS))
@pytest.mark.parametrize("minutes", [(1, 2), (2, 1), (1, 1)], ids=["later", "earlier", "at once"])
async def test_another_amount_is_told_and_alarmed_whichever_came_first(
    world: _World, event: str, minutes: tuple[int, int]
) -> None:
    """In order it vanished without a word; the other way round nobody was alarmed."""
    first, second = minutes
    await world.says(event, 1000, minute=first)
    assert world.telemetry.alarms == []
    await world.says(event, 7777, minute=second)
    assert await world.told() == [(event, 1000), (event, 7777)]
    assert await world.conflicting() == [False, True]
    assert [kind for kind, _ in world.telemetry.alarms] == ["conflicting_amount"]
    [*_, last] = await world.stored(world.merchant_text)
    assert last.detail is not None
    assert "10.00 EUR" in last.detail


async def test_each_amount_is_told_once(world: _World) -> None:
    """Whoever repeats himself under new ids has said nothing new."""
    for minute, amount in enumerate([1000, 7777, 1000, 7777, 7777]):
        await world.says(_SUCCEEDED, amount, minute=minute)
    assert await world.told() == [(_SUCCEEDED, 1000), (_SUCCEEDED, 7777)]
    assert len(world.telemetry.alarms) == 1


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_the_order_of_arrival_changes_nothing_of_what_is_told(
    world: _World, order: Sequence[int]
) -> None:
    """A payment that failed in between has two amounts by right, however late that comes."""
    said = [(_SUCCEEDED, 1000), ("payment_failed", 1000), (_SUCCEEDED, 900)]
    for place in order:
        event, amount = said[place]
        await world.says(event, amount, minute=place)
    assert sorted(await world.told()) == sorted(said)
    # Only who has not heard yet that it failed can be in doubt.
    assert any(await world.conflicting()) == (order[2] == 1)


async def test_what_goes_through_after_it_failed_is_told_whatever_amount_was_said_before(
    world: _World,
) -> None:
    """That a repeat had named it makes the last word of the payment no repeat."""
    said = [(_SUCCEEDED, 1200), (_SUCCEEDED, 1000), ("payment_failed", 1200), (_SUCCEEDED, 1000)]
    for minute, (event, amount) in enumerate(said):
        await world.says(event, amount, minute=minute)
    assert await world.told() == said


@pytest.mark.parametrize("fresh", [1200, 1000])
async def test_amounts_that_were_told_are_known_after_months(world: _World, fresh: int) -> None:
    """The receipts are gone, and it is said once more, alone or behind another amount."""
    await world.says(_SUCCEEDED, 1000, minute=1)
    await world.says(_SUCCEEDED, 1200, minute=2)
    assert await world.retire_receipts(after=timedelta(days=10), kept=timedelta(days=1)) == 2
    for minute, amount in enumerate([fresh, 1000, 1200], start=3):
        await world.says(_SUCCEEDED, amount, minute=minute)
    assert await world.told() == [(_SUCCEEDED, 1000), (_SUCCEEDED, 1200)]


@pytest.mark.parametrize("amount", [1000, 1000.0, "1000"])
async def test_the_same_amount_is_no_news_however_it_is_spelled(
    world: _World, amount: object
) -> None:
    await world.says(_SUCCEEDED, 1000, minute=1)
    await world.says(_SUCCEEDED, amount, minute=2)
    assert await world.told() == [(_SUCCEEDED, 1000)]


async def test_another_currency_is_another_amount(world: _World) -> None:
    await world.says(_SUCCEEDED, 1000, minute=1)
    await world.says(_SUCCEEDED, 1000, minute=2, currency="USD")
    assert await world.conflicting() == [False, True]


async def test_what_the_object_did_since_hides_no_other_amount(world: _World) -> None:
    """It went on, and nothing was undone: two amounts are two."""
    await world.says(_SUCCEEDED, 1000, minute=1)
    await world.says("payment_captured", 1000, minute=2)
    await world.says(_SUCCEEDED, 7777, minute=3)
    assert await world.conflicting() == [False, False, True]
    assert len(world.telemetry.alarms) == 1


@pytest.mark.parametrize(
    ("event", "amounts"),
    [
        # How much is authorized may be changed until it is captured.
        ("payment_authorized", [1000, 1200]),
        # Parts: each is told.
        ("payment_captured", [400, 600]),
    ],
)
async def test_what_may_have_several_amounts_alarms_nobody(
    world: _World, event: str, amounts: list[int]
) -> None:
    for minute, amount in enumerate(amounts):
        await world.says(event, amount, minute=minute)
    assert not any(await world.conflicting())
    assert world.telemetry.alarms == []


async def test_refunds_of_one_payment_have_amounts_of_their_own(world: _World) -> None:
    for number, amount in enumerate((100, 900)):
        await world.says("refund_succeeded", amount, minute=number, object_id=f"re_{number}")
    assert await world.told() == [("refund_succeeded", 100), ("refund_succeeded", 900)]
    assert world.telemetry.alarms == []


@pytest.mark.parametrize("days", [(1, 2), (2, 1)], ids=["in order", "second first"])
async def test_a_second_capture_is_told_where_an_option_says_that_there_is_but_one(
    days: tuple[int, int],
) -> None:
    """The account captures in parts, and its connector says that it does not."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "adyen", secrets=(KEY,), options={"capture": "manual"})
    for value, day in zip((400, 600), days, strict=True):
        item = {
            **PAYMENT,
            "eventCode": "CAPTURE",
            "pspReference": f"C{value}",
            "originalReference": PAYMENT["pspReference"],
            "eventDate": f"2026-11-0{day}T12:00:00+01:00",
            "amount": {"value": value, "currency": "EUR"},
        }
        for _ in range(2):
            await world.hears(merchant, "adyen", {}, batch(signed(item)).body)
            await world.process()
    events = await world.events(merchant)
    told = [(one.type, json.loads(one.data)["amount"]) for one in events]
    assert told == [(_SUCCEEDED, 400), (_SUCCEEDED, 600)]
    assert [kind for kind, _ in world.telemetry.alarms] == ["conflicting_amount"]


@pytest.mark.parametrize("statuses", [("PENDING", "VALIDATED"), ("VALIDATED", "PENDING")])
async def test_a_payin_that_is_accepted_with_another_amount_than_it_began_with(
    statuses: tuple[str, str],
) -> None:
    """To an account of Treezor's older generation each state of a payin means that."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "treezor", options={"payins": "legacy"})
    amounts = {"PENDING": "10.00", "VALIDATED": "12.00"}
    words = {"PENDING": "payin.create", "VALIDATED": "payin.update"}
    for number, status in enumerate(statuses):
        at = HEARD_AT + timedelta(minutes=1 if status == "PENDING" else 2)
        payin = {
            "payinId": "9001",
            "payinStatus": status,
            "amount": amounts[status],
            "currency": "EUR",
            "modifiedDate": f"{at:%Y-%m-%d %H:%M:%S}",
        }
        await world.hears_event(
            merchant,
            "treezor",
            words[status],
            {"payins": [payin]},
            object_type="payin",
            object_id="9001",
            at=at,
            number=number,
        )
        await world.process()
    told = [json.loads(event.data)["amount"] for event in await world.events(merchant)]
    assert sorted(told) == [1000, 1200]
    assert [kind for kind, _ in world.telemetry.alarms] == ["conflicting_amount"]


@pytest.mark.parametrize("between", [None, "payment_authorized"])
async def test_what_was_told_counts_where_nobody_has_its_message_any_more(
    world: _World, between: str | None
) -> None:
    """Its receipt is gone after some months; what was told of it is kept for longer."""
    await world.says(_SUCCEEDED, 1000, minute=1)
    assert await world.retire_receipts(after=timedelta(days=10), kept=timedelta(days=1)) == 1
    if between is not None:
        await world.says(between, 1000, minute=2)
    await world.says(_SUCCEEDED, 7777, minute=3)
    assert (await world.told())[-1] == (_SUCCEEDED, 7777)
    assert (await world.conflicting())[-1]
    assert len(world.telemetry.alarms) == 1


async def test_what_a_person_has_insisted_on_is_no_question_any_more(world: _World) -> None:
    """Under one id two amounts wait for him; told, the second is an amount as any other."""
    await world.says(_SUCCEEDED, 1000, minute=1, number=1)
    await world.says(_SUCCEEDED, 7777, minute=1, number=1)
    await world.insist(world.merchant_text)
    await world.says(_SUCCEEDED, 7777, minute=3)
    assert await world.told() == [(_SUCCEEDED, 1000), (_SUCCEEDED, 7777)]
    assert await world.conflicting() == [False, False]
    assert [kind for kind, _ in world.telemetry.alarms] == ["conflicting_receipt"]


async def test_what_a_person_has_insisted_on_is_told_once_however_often_it_came(
    world: _World,
) -> None:
    """The provider repeats himself: before anybody looked, and afterwards."""
    await world.says(_SUCCEEDED, 1000, minute=1, number=1)
    for _ in range(2):
        await world.says(_SUCCEEDED, 7777, minute=1, number=1)
    for _ in range(2):
        await world.insist(world.merchant_text)
    await world.says(_SUCCEEDED, 7777, minute=1, number=1)
    assert await world.told() == [(_SUCCEEDED, 1000), (_SUCCEEDED, 7777)]
    states = [receipt.state for receipt in await world.stored(world.merchant_text)]
    assert sorted(states) == [ReceiptState.DUPLICATE] * 2 + [ReceiptState.PROCESSED] * 2


async def test_equal_parts_under_two_ids_are_two_however_they_are_insisted_on(
    world: _World,
) -> None:
    """A provider that uses its ids twice, with bodies that are equal: each was meant."""
    for number, amount in ((1, 1000), (1, 500), (2, 700), (2, 500)):
        await world.says("payment_captured", amount, minute=1, number=number)
    for _ in range(2):
        await world.insist(world.merchant_text)
    amounts = [amount for _event, amount in await world.told()]
    assert amounts == [1000, 700, 500, 500]


def _samples() -> Iterator[str]:
    for name, provider in sorted(PROVIDERS.items()):
        # An answer says all that there is, and is the last word of its account.
        if provider.source is not Source.FETCH and name in MAKERS:
            yield name


@pytest.mark.parametrize("name", [*_samples()])
def test_no_provider_disagrees_with_himself_by_repeating(name: str) -> None:
    """Under another id, a minute later: the same money, also where each such message is told."""
    sample = MAKERS[name](0)
    [heard] = sample.provider.read(sample.incoming, sample.options)
    later = msgspec.structs.replace(
        heard,
        event_id="another",
        occurred_at=(heard.occurred_at or HEARD_AT) + timedelta(minutes=1),
    )
    messages = [
        Message(heard=heard, receipt_id=bytes(16)),
        Message(heard=later, receipt_id=bytes([1] * 16)),
    ]
    words = history_of(sample, messages).words
    assert {word.conflicting for word in marked(words, words, ())} == {""}
