"""What was told is told once, and what is news each time is told each time, whatever happens."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.connectors.signed_by_adyen import KEY, PAYMENT, batch, signed
from tests.support.inbound_world import HEARD_AT, InboundWorld

from payhooks.control import connectors
from payhooks.control.connector_draft import ConnectorDraft
from payhooks.errors import UnavailableError
from payhooks.flow import conclude, tell
from payhooks.flow.publication import Publication
from payhooks.model.connector import Connector
from payhooks.model.receipt import ReceiptState

_CAPTURED = ("payment_captured", 5000)
_FAILED = ("action_required", 5000)


class _World(InboundWorld):
    """An installation whose merchant hears Adyen, which captures in parts."""

    merchant_text: str
    adyen: Connector

    async def begin(self, capture: str = "manual_multiple") -> None:
        self.merchant_text = await self.merchant()
        self.adyen = await self.connector(
            self.merchant_text, "adyen", secrets=(KEY,), options={"capture": capture}
        )

    async def says(self, *items: dict[str, Any]) -> None:
        body = batch(*(signed(item) for item in items)).body
        assert (await self.hears(self.merchant_text, "adyen", {}, body)).status == 200
        await self.process()

    async def edit(self, draft: ConnectorDraft) -> None:
        whose = await self.merchant_itself(self.merchant_text)
        self.adyen = await connectors.edit(
            self.control, self.caller, whose, self.adyen, draft, if_version=None
        )
        self.directory.outdate(whose.id)

    async def told(self) -> list[tuple[str, int]]:
        """Return the events with their amounts, in the order in which they were told."""
        events = await self.events(self.merchant_text)
        return [(event.type, json.loads(event.data)["amount"]) for event in events]


@pytest.fixture
def world() -> _World:
    """Return an installation."""
    return _World()


def _item(code: str, reference: str, day: int, value: int = 5000) -> dict[str, Any]:
    own = {"pspReference": reference, "originalReference": PAYMENT["pspReference"]}
    said = {"eventCode": code, "eventDate": f"2026-11-{day:02}T12:00:00+01:00"}
    return {**PAYMENT, **own, **said, "amount": {"value": value, "currency": "EUR"}}


async def test_an_equal_part_is_news_where_nobody_has_the_first_any_more(world: _World) -> None:
    """A part that failed, or was captured, is told each time: a state that was reached is not."""
    await world.begin()
    await world.says(_item("CAPTURE", "A", 1))
    await world.says(_item("CAPTURE", "B", 2))
    await world.says(_item("CAPTURE_FAILED", "A", 3))
    assert await world.retire_receipts(after=timedelta(days=12), kept=timedelta(days=1)) == 3
    await world.says(_item("CAPTURE_FAILED", "B", 14))
    await world.says(_item("CAPTURE", "C", 15))
    assert await world.told() == [_CAPTURED, _CAPTURED, _FAILED, _FAILED, _CAPTURED]
    await world.says(_item("CAPTURE_FAILED", "A", 3))  # once more
    assert len(await world.told()) == 5


async def test_an_equal_part_is_news_after_one_that_was_told_with_a_later_message(
    world: _World,
) -> None:
    """The later one's receipt is there, the part's own is not: it is none of those of now."""
    await world.begin("manual")
    for reference, day in (("A", 1), ("B", 2)):  # there is but one, says the option
        await world.says(_item("CAPTURE", reference, day))
    await world.edit(ConnectorDraft(options={"capture": "manual_multiple"}))
    world.advance(10 * 86_400)
    await world.says(_item("CAPTURE", "C", 12))
    assert await world.told() == [("payment_succeeded", 5000), *[_CAPTURED] * 2]
    assert await world.retire_receipts(after=timedelta(days=10), kept=timedelta(days=15)) == 2
    await world.says(_item("CAPTURE", "D", 22))
    assert await world.told() == [("payment_succeeded", 5000), *[_CAPTURED] * 3]


async def test_another_option_tells_no_money_again(world: _World) -> None:
    """Read with it, what was told means something else; what was not told is told now."""
    await world.begin("manual")
    await world.says(_item("CAPTURE", "A", 1))
    await world.says(_item("CAPTURE", "B", 2))  # there is but one, says the option
    assert await world.told() == [("payment_succeeded", 5000)]
    await world.edit(ConnectorDraft(options={"capture": "manual_multiple"}))
    await world.says(_item("CAPTURE", "C", 3, value=1000))
    told = [("payment_succeeded", 5000), _CAPTURED, ("payment_captured", 1000)]
    assert await world.told() == told


async def test_another_currency_tells_no_money_again(world: _World) -> None:
    """The merchant console names none: that of the option is not what it was told in before."""
    merchant = await world.merchant()
    made = await world.connector(merchant, "merchant-console")
    await _sale(world, merchant, 1, "success", "10.00")
    whose = await world.merchant_itself(merchant)
    draft = ConnectorDraft(options={"currency": "CAD"})
    await connectors.edit(world.control, world.caller, whose, made, draft, if_version=None)
    world.directory.outdate(whose.id)
    await _sale(world, merchant, 2, "voided", "10.00")
    told = [
        (event.type, json.loads(event.data)["currency"]) for event in await world.events(merchant)
    ]
    assert told == [("payment_succeeded", "USD"), ("payment_cancelled_post_capture", "CAD")]


_PAYIN_WORDS = {"PENDING": "payin.create", "VALIDATED": "payin.update", "CANCELED": "payin.cancel"}


async def _payin(
    world: InboundWorld, merchant: str, status: str, number: int, *, word: str = ""
) -> list[str]:
    """Tell of the payin at this minute; return all that was told."""
    at = HEARD_AT + timedelta(minutes=number)
    said = {"payinId": "9001", "payinStatus": status, "amount": "25.00", "currency": "EUR"}
    await world.hears_event(
        merchant,
        "treezor",
        word or _PAYIN_WORDS[status],
        {"payins": [said | {"modifiedDate": f"{at:%Y-%m-%d %H:%M:%S}"}]},
        object_type="payin",
        object_id="9001",
        at=at,
        number=number,
    )
    await world.process()
    return [event.type for event in await world.events(merchant)]


@pytest.mark.parametrize(
    ("first", "then", "told"),
    [
        ("newest", "legacy", ["payment_processing", "payment_succeeded"]),
        ("legacy", "newest", ["payment_succeeded"]),
        ("legacy", "legacy", ["payment_succeeded"]),
        ("newest", "newest", ["payment_processing", "payment_succeeded"]),
    ],
)
async def test_money_that_nobody_told_is_told_whichever_option_it_is_read_with(
    first: str, then: str, told: list[str]
) -> None:
    """Read with the other one, the message that was told is the one to mean it."""
    world = InboundWorld()
    merchant = await world.merchant()
    made = await world.connector(merchant, "treezor", options={"payins": first})
    assert await _payin(world, merchant, "PENDING", 1) == told[:1]
    whose = await world.merchant_itself(merchant)
    draft = ConnectorDraft(options={"payins": then})
    await connectors.edit(world.control, world.caller, whose, made, draft, if_version=None)
    world.directory.outdate(whose.id)
    assert await _payin(world, merchant, "VALIDATED", 2) == told
    assert await _payin(world, merchant, "VALIDATED", 3) == told


async def test_what_is_owed_is_not_told_once_the_object_is_further() -> None:
    """Of a payin that was cancelled a late message told success, as the other option reads it."""
    world = InboundWorld()
    merchant = await world.merchant()
    made = await world.connector(merchant, "treezor", options={"payins": "newest"})
    await _payin(world, merchant, "PENDING", 1)
    told = await _payin(world, merchant, "CANCELED", 5)
    assert told == ["payment_processing", "payment_cancelled"]
    whose = await world.merchant_itself(merchant)
    draft = ConnectorDraft(options={"payins": "legacy"})
    await connectors.edit(world.control, world.caller, whose, made, draft, if_version=None)
    world.directory.outdate(whose.id)
    assert await _payin(world, merchant, "PENDING", 2, word="payin.update") == told


async def _sale(  # noqa: PLR0913 - a message has many parts
    world: InboundWorld, merchant: str, number: int, word: str, amount: str, *, key: str = "K1"
) -> None:
    said = {"key": key, "type": "transaction", "amount": amount, "refnum": "1"}
    await world.hears_event(
        merchant,
        "merchant-console",
        f"transaction.sale.{word}",
        said,
        object_type="transaction.sale",
        object_id=key,
        at=HEARD_AT + timedelta(minutes=number),
        number=number,
    )
    await world.process()


async def test_what_was_told_and_can_be_told_no_more_keeps_no_other_news(world: _World) -> None:
    """10.50 were dollars when they were told; the yen of the option of now has no cents."""
    merchant = await world.merchant()
    made = await world.connector(merchant, "merchant-console")
    await _sale(world, merchant, 1, "success", "10.50")
    whose = await world.merchant_itself(merchant)
    draft = ConnectorDraft(options={"currency": "JPY"})
    await connectors.edit(world.control, world.caller, whose, made, draft, if_version=None)
    world.directory.outdate(whose.id)
    await _sale(world, merchant, 2, "voided", "10.00")
    told = ["payment_succeeded", "payment_cancelled_post_capture"]
    assert [event.type for event in await world.events(merchant)] == told
    await _sale(world, merchant, 3, "success", "10.50", key="K2")
    newest = (await world.stored(merchant))[-1]
    assert newest.state is ReceiptState.UNDECODABLE  # it cannot be told itself


async def test_a_message_of_before_that_names_no_amount_keeps_no_other_news(
    world: _World,
) -> None:
    """It repeated a failure when it came, and told nothing; what comes late makes it one more."""
    await world.begin("automatic")
    failed = _item("AUTHORISATION", "P1", 5) | {"success": "false"}
    again = _item("AUTHORISATION", "P2", 7) | {"success": "false"}
    del again["amount"]
    await world.says(failed)
    await world.says(again)
    await world.says(_item("AUTHORISATION", "P3", 6))
    assert await world.told() == [("payment_failed", 5000), ("payment_succeeded", 5000)]


async def test_a_part_that_nobody_heard_in_the_end_takes_nothing_from_an_equal_one(
    world: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch died when the first of it was told, and then the merchant heard no captures more."""
    await world.begin()
    publish = world.services.acceptor.publish
    parts: list[int] = []

    async def dying(merchant: str, publications: list[Publication], **how: object) -> object:
        parts.append(len(publications))
        if len(parts) == 2:
            raise UnavailableError("killed between the parts")
        return await publish(merchant, publications, **how)  # type: ignore[arg-type] # as it came

    with monkeypatch.context() as patched:
        patched.setattr(world.services.acceptor, "publish", dying)
        await world.says(_item("CAPTURE", "A", 1), _item("CAPTURE", "B", 2, value=7000))
    assert await world.told() == [_CAPTURED]
    await world.edit(ConnectorDraft(events=("AUTHORISATION",)))
    await world.process()
    await world.edit(ConnectorDraft(events=("*",)))
    await world.says(_item("CAPTURE", "C", 3))
    world.advance(700)  # longer than what is not heard is waited for
    await world.process()
    assert await world.told() == [_CAPTURED, _CAPTURED]
    states = [receipt.state for receipt in await world.stored(world.merchant_text)]
    assert states == [ReceiptState.IGNORED, ReceiptState.PROCESSED]


async def test_what_is_older_than_what_is_folded_is_not_told_again(
    world: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 300 captures of one order the first may come once more, and is no 301st."""
    for module in (tell, conclude):
        monkeypatch.setattr(module, "HISTORY_MAX", 3)
    await world.begin()
    parts = [_item("CAPTURE", f"P{number}", number) for number in range(1, 9)]
    for part in [*parts, parts[0], parts[4], parts[7]]:
        await world.says(part)
    assert await world.told() == [_CAPTURED] * len(parts)
