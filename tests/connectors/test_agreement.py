"""What came of an object is said with one amount, or a person decides which is right."""

import json
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest
from tests.connectors.samples import MAKERS
from tests.connectors.signed_by_adyen import KEY, PAYMENT, batch, signed
from tests.support.dialect_events import MERCHANT
from tests.support.inbound_world import HEARD_AT, InboundWorld

from payhooks.catalogue import CATALOGUE
from payhooks.connectors.contract import Source
from payhooks.connectors.history import folded
from payhooks.connectors.registry import PROVIDERS
from payhooks.connectors.words import Message
from payhooks.control import connectors, receipts
from payhooks.control.connector_draft import ConnectorDraft
from payhooks.model.receipt import ReceiptState

pytestmark = pytest.mark.shows("N13")

_SUCCEEDED = "payment_succeeded"
_KINDS = {
    _SUCCEEDED: ("payment", "payment_id"),
    "refund_succeeded": ("refund", "refund_id"),
    "payout_success": ("payout", "payout_id"),
}
_PROCESSED, _CONFLICTING = ReceiptState.PROCESSED, ReceiptState.CONFLICTING


class _World(InboundWorld):
    """An installation whose merchant hears a gateway, and what was told him of it."""

    merchant_text: str
    number = 0

    async def begin(self) -> None:
        self.merchant_text = await self.merchant()
        await self.connector(self.merchant_text, "owngateway")

    async def says(
        self, event: str, amount: object, *, minute: int, object_id: str = "one", **more: object
    ) -> None:
        kind, id_name = _KINDS.get(event, _KINDS[_SUCCEEDED])
        said = {id_name: object_id, "payment_id": object_id, "amount": amount, "currency": "EUR"}
        self.number += 1
        await self.hears_event(
            self.merchant_text,
            "owngateway",
            event,
            said | more,
            object_type=kind,
            object_id=object_id,
            at=HEARD_AT + timedelta(minutes=minute),
            number=self.number,
        )
        await self.process()

    async def told(self) -> list[tuple[str, int]]:
        events = await self.events(self.merchant_text)
        return [(event.type, json.loads(event.data)["amount"]) for event in events]

    async def states(self) -> list[ReceiptState]:
        return [receipt.state for receipt in await self.stored(self.merchant_text)]

    async def reads_last_again(self, *, despite_conflict: bool = False) -> None:
        whose = await self.merchant_itself(self.merchant_text)
        [*_, last] = await self.stored(self.merchant_text)
        await receipts.reprocess(
            self.control, self.caller, whose, [last], despite_conflict=despite_conflict
        )
        [again] = await self.store.claim_receipts(owner=9, limit=10, for_s=1)
        await self.normaliser.process(again)


@pytest.fixture
async def world() -> _World:
    """Return an installation."""
    made = _World()
    await made.begin()
    return made


@pytest.mark.parametrize("event", sorted(_KINDS))
@pytest.mark.parametrize("minutes", [(1, 2), (2, 1), (1, 1)], ids=["later", "earlier", "at once"])
async def test_another_amount_is_not_told_but_alarmed_whichever_came_first(
    world: _World, event: str, minutes: tuple[int, int]
) -> None:
    """In order it vanished without a word; the other way round both were told."""
    first, second = minutes
    await world.says(event, 1000, minute=first)
    await world.says(event, 7777, minute=second)
    assert await world.told() == [(event, 1000)]
    assert await world.states() == [_PROCESSED, _CONFLICTING]
    assert [kind for kind, _ in world.telemetry.alarms] == ["conflicting_receipt"]
    [*_, last] = await world.stored(world.merchant_text)
    assert last.detail is not None
    assert "10.00 EUR" in last.detail
    assert "77.77 EUR" in last.detail


async def test_a_person_has_it_told_all_the_same(world: _World) -> None:
    """Read again it conflicts as before; insisted on it is told, and stays told once."""
    await world.says(_SUCCEEDED, 1000, minute=1)
    await world.says(_SUCCEEDED, 7777, minute=2)
    await world.reads_last_again()
    assert await world.states() == [_PROCESSED, _CONFLICTING]
    await world.reads_last_again(despite_conflict=True)
    both = [(_SUCCEEDED, 1000), (_SUCCEEDED, 7777)]
    assert await world.told() == both
    await world.says(_SUCCEEDED, 1000, minute=3)
    assert await world.told() == both
    assert await world.states() == [_PROCESSED] * 3


@pytest.mark.parametrize("amount", [1000, 1000.0, "1000"])
async def test_the_same_amount_is_no_news_however_it_is_spelled(
    world: _World, amount: object
) -> None:
    await world.says(_SUCCEEDED, 1000, minute=1)
    await world.says(_SUCCEEDED, amount, minute=2)
    assert await world.told() == [(_SUCCEEDED, 1000)]
    assert await world.states() == [_PROCESSED] * 2


async def test_another_currency_is_another_amount(world: _World) -> None:
    await world.says(_SUCCEEDED, 1000, minute=1)
    await world.says(_SUCCEEDED, 1000, minute=2, currency="USD")
    assert await world.states() == [_PROCESSED, _CONFLICTING]


async def test_what_failed_in_between_went_through_with_another_amount(world: _World) -> None:
    """The payment was elsewhere meanwhile: that is another success, and is told."""
    await world.says(_SUCCEEDED, 1000, minute=1)
    await world.says("payment_failed", 1000, minute=2)
    await world.says(_SUCCEEDED, 900, minute=3)
    assert await world.told() == [
        (_SUCCEEDED, 1000),
        ("payment_failed", 1000),
        (_SUCCEEDED, 900),
    ]


async def test_what_was_in_between_and_came_late_lets_it_be_read_again(world: _World) -> None:
    """Nobody could know; the receipt is there, and read again it conflicts no more."""
    await world.says(_SUCCEEDED, 1000, minute=1)
    await world.says(_SUCCEEDED, 900, minute=3)
    whose = await world.merchant_itself(world.merchant_text)
    [*_, conflicting] = await world.stored(world.merchant_text)
    assert conflicting.state is _CONFLICTING
    await world.says("payment_failed", 1000, minute=2)
    await receipts.reprocess(world.control, world.caller, whose, [conflicting])
    [again] = await world.store.claim_receipts(owner=9, limit=10, for_s=1)
    await world.normaliser.process(again)
    assert (await world.told())[-2:] == [("payment_failed", 1000), (_SUCCEEDED, 900)]


@pytest.mark.parametrize(
    ("event", "amounts"),
    [
        # How much is authorized may be changed until it is captured.
        ("payment_authorized", [1000, 1200]),
        # Parts: each is told.
        ("payment_captured", [400, 600]),
    ],
)
async def test_what_may_have_several_amounts_conflicts_with_none(
    world: _World, event: str, amounts: list[int]
) -> None:
    for minute, amount in enumerate(amounts):
        await world.says(event, amount, minute=minute)
    assert await world.states() == [_PROCESSED] * len(amounts)


async def test_refunds_of_one_payment_have_amounts_of_their_own(world: _World) -> None:
    for number, amount in enumerate((100, 900)):
        await world.says("refund_succeeded", amount, minute=number, object_id=f"re_{number}")
    assert await world.told() == [("refund_succeeded", 100), ("refund_succeeded", 900)]


@pytest.mark.parametrize("days", [(1, 2), (2, 1)], ids=["in order", "second first"])
async def test_a_second_capture_where_there_is_but_one_is_for_a_person(
    days: tuple[int, int],
) -> None:
    """The account captures in parts, and its connector says that it does not: nobody was told."""
    world = InboundWorld()
    merchant = await world.merchant()
    adyen = await world.connector(merchant, "adyen", secrets=(KEY,), options={"capture": "manual"})
    for value, day in zip((400, 600), days, strict=True):
        item = {
            **PAYMENT,
            "eventCode": "CAPTURE",
            "pspReference": f"C{value}",
            "originalReference": PAYMENT["pspReference"],
            "eventDate": f"2026-11-0{day}T12:00:00+01:00",
            "amount": {"value": value, "currency": "EUR"},
        }
        await world.hears(merchant, "adyen", {}, batch(signed(item)).body)
        await world.process()
    stored = await world.stored(merchant)
    assert [receipt.state for receipt in stored] == [_PROCESSED, _CONFLICTING]

    # With the option mended both are parts.
    whose = await world.merchant_itself(merchant)
    draft = ConnectorDraft(options={"capture": "manual_multiple"})
    adyen = await connectors.edit(world.control, world.caller, whose, adyen, draft, if_version=None)
    world.directory.outdate(whose.id)
    done = await receipts.reprocess_all(
        world.control, world.caller, whose, adyen, states=[_CONFLICTING]
    )
    assert done.done == 1
    [again] = await world.store.claim_receipts(owner=9, limit=10, for_s=1)
    await world.normaliser.process(again)
    events = await world.events(merchant)
    assert [(one.type, json.loads(one.data)["amount"]) for one in events] == [
        (_SUCCEEDED, 400),
        ("payment_captured", 600),
    ]


async def test_what_was_told_before_anybody_remembers_the_message_still_counts(
    world: _World,
) -> None:
    """Its receipt is gone after some months; what was told of it is kept for longer."""
    await world.says(_SUCCEEDED, 1000, minute=1)
    world.advance(10 * 86_400)
    before = world.control.clock.now() - timedelta(days=1)
    assert await world.store.retire_receipts(before=before, limit=10) == 1
    await world.says(_SUCCEEDED, 7777, minute=2)
    assert await world.told() == [(_SUCCEEDED, 1000)]
    assert await world.states() == [_CONFLICTING]


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
    past = folded(
        sample.provider,
        messages,
        sample.options,
        catalogue=CATALOGUE,
        merchant_id=MERCHANT.id,
        now=sample.now,
    )
    assert past.disagreements == ()
