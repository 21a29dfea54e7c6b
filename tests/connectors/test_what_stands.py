"""Captured money stands, whatever became of another part: no other end of the payment is told."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from tests.connectors.folding import told_of_paypals
from tests.connectors.signed_by_adyen import KEY, PAYMENT, batch, signed
from tests.connectors.signed_by_paypal import AMOUNT
from tests.connectors.test_paypal_events import ORDER, event, heard
from tests.support.inbound_world import InboundWorld

from payhooks.connectors.contract import Heard
from payhooks.connectors.words import Word

_ENDS = ["CANCELLATION", "TECHNICAL_CANCEL", "EXPIRE", "OFFER_CLOSED"]
_RETENTION = timedelta(days=30)


# --- Adyen ----------------------------------------------------------------------------------------


def _item(code: str, day: int, reference: str = "A", **members: object) -> dict[str, Any]:
    """Return what is said of a part of 50.00 on a day of November."""
    own = {"pspReference": reference, "originalReference": PAYMENT["pspReference"]}
    said = {"eventCode": code, "eventDate": f"2026-11-{day:02}T12:00:00+01:00"}
    return {**PAYMENT, **own, **said, "amount": {"value": 5000, "currency": "EUR"}, **members}


class _World(InboundWorld):
    """An installation whose merchant hears Adyen."""

    merchant_text: str

    async def begin(self, capture: str = "manual_multiple") -> None:
        self.merchant_text = await self.merchant()
        await self.connector(
            self.merchant_text, "adyen", secrets=(KEY,), options={"capture": capture}
        )

    async def says(self, *items: dict[str, Any]) -> list[str]:
        """Return all that was told once each came."""
        for item in items:
            body = batch(signed(item)).body
            assert (await self.hears(self.merchant_text, "adyen", {}, body)).status == 200
            await self.process()
        return [told.type for told in await self.events(self.merchant_text)]

    async def retires(self) -> None:
        """Forget every receipt, as after their time."""
        assert await self.retire_receipts(after=_RETENTION * 2, kept=_RETENTION) > 0


@pytest.fixture
def world() -> _World:
    """Return an installation."""
    return _World()


@pytest.mark.parametrize("code", _ENDS)
async def test_the_rest_that_is_let_go_after_a_part_failed_ends_no_payment(
    world: _World, code: str
) -> None:
    """Who takes back the goods because B failed gives away what A brought."""
    await world.begin()
    parts = [_item("CAPTURE", 2), _item("CAPTURE", 3, "B"), _item("CAPTURE_FAILED", 4, "B")]
    told = ["payment_captured", "payment_captured", "action_required"]
    assert await world.says(*parts, _item(code, 9, "X")) == told


@pytest.mark.parametrize(("capture", "failed"), [
    ("manual", "payment_failed"),
    ("manual_multiple", "action_required"),
])  # fmt: skip
async def test_the_end_is_told_where_the_only_capture_failed(
    world: _World, capture: str, failed: str
) -> None:
    """No money came, and none comes."""
    await world.begin(capture)
    told = await world.says(
        _item("CAPTURE", 2), _item("CAPTURE_FAILED", 3), _item("CANCELLATION", 4, "X")
    )
    assert told[1:] == [failed, "payment_cancelled"]


async def test_what_failed_and_was_captured_again_stands(world: _World) -> None:
    """Adyen captures again by itself: the end of the rest takes nothing of that, either."""
    await world.begin()
    again = _item("CAPTURE", 4, reason="Transaction Recaptured")
    told = await world.says(
        _item("CAPTURE", 2), _item("CAPTURE_FAILED", 3), again, _item("EXPIRE", 5, "X")
    )
    assert told == ["payment_captured", "action_required", "payment_captured"]


@pytest.mark.parametrize("code", _ENDS)
@pytest.mark.parametrize("capture", ["manual", "manual_multiple"])
async def test_the_end_of_the_rest_is_no_news_where_the_capture_has_retired(
    world: _World, capture: str, code: str
) -> None:
    """An authorization lapses after a month, and receipts are kept for as long."""
    await world.begin(capture)
    before = await world.says(_item("CAPTURE", 2))
    await world.retires()
    assert await world.says(_item(code, 28, "X")) == before


async def test_the_end_is_told_where_the_capture_that_failed_has_retired(world: _World) -> None:
    """Whether it failed before its receipt retired, or after that."""
    for retires_first in (False, True):
        await world.begin()
        await world.says(_item("CAPTURE", 2))
        if retires_first:
            await world.retires()
        await world.says(_item("CAPTURE_FAILED", 3))
        await world.retires()
        told = await world.says(_item("EXPIRE", 28, "X"))
        assert told == ["payment_captured", "action_required", "payment_expired"]


async def test_a_refused_authorization_takes_no_capture_away(world: _World) -> None:
    """The second try of a payment was paid; all of it has retired when the rest is let go."""
    await world.begin()
    refused = {**_item("AUTHORISATION", 1, PAYMENT["pspReference"], success="false")}
    del refused["originalReference"]
    told = await world.says(refused, _item("CAPTURE", 2))
    assert told == ["payment_failed", "payment_captured"]
    await world.retires()
    assert await world.says(_item("EXPIRE", 28)) == told


async def test_the_end_is_told_after_a_failure_of_what_was_told_long_ago(world: _World) -> None:
    """Of the capture nothing is left but that it was told."""
    await world.begin()
    await world.says(_item("CAPTURE", 2))
    await world.retires()
    told = await world.says(_item("CAPTURE_FAILED", 3), _item("EXPIRE", 28, "X"))
    assert told == ["payment_captured", "action_required", "payment_expired"]


async def test_an_authorization_told_as_success_is_no_capture_to_its_cancellation(
    world: _World,
) -> None:
    """Where captures go by themselves, nothing was captured of what is cancelled."""
    await world.begin("automatic")
    await world.says({**PAYMENT})
    await world.retires()
    told = await world.says(_item("CANCELLATION", 28, "X"))
    assert told == ["payment_succeeded", "payment_cancelled"]


# --- PayPal ---------------------------------------------------------------------------------------


def _unit(word: str, capture: str, value: str, second: int, **members: object) -> Heard:
    related = {"supplementary_data": {"related_ids": {"order_id": ORDER["id"]}}}
    amount = {**AMOUNT, "value": value}
    return heard(
        event(
            f"PAYMENT.{word}",
            {"id": capture, "amount": amount, **related, **members},
            id=f"WH-{capture}-{word}",
            create_time=f"2019-02-14T21:50:{second:02}Z",
        )
    )


def _captured(capture: str, second: int, *, final: bool = True) -> Heard:
    return _unit("CAPTURE.COMPLETED", capture, "50.00", second, final_capture=final)


def _denied(capture: str, second: int, value: str = "70.00") -> Heard:
    return _unit("CAPTURE.DENIED", capture, value, second)


def _marked(words: Sequence[Word]) -> list[tuple[str, Decimal | None, bool, bool]]:
    return [(word.unified, word.told.amount, word.superseded, word.correction) for word in words]


_A = ("payment_succeeded", Decimal("50.00"), False, False)
_B_DENIED = ("action_required", Decimal("70.00"), False, False)


def test_a_unit_that_was_pending_and_is_denied_fails_no_payment() -> None:
    """The unit beside it was captured: the order has money."""
    pending = _unit("CAPTURE.PENDING", "C2", "70.00", 2)
    words = told_of_paypals([_captured("C1", 1), pending, _denied("C2", 3)])
    waits = ("payment_processing", Decimal("70.00"), False, False)
    assert _marked(words) == [_A, waits, _B_DENIED]
    late = told_of_paypals([_captured("C1", 1), _denied("C2", 3), pending])
    assert _marked(late) == [_A, _B_DENIED, (*waits[:2], True, False)]


def test_each_unit_that_is_denied_beside_a_captured_one_is_told() -> None:
    """Two sellers are not paid, by the same amount or another."""
    for value in ("30.00", "70.00"):
        units = [_captured("C1", 1), _denied("C2", 2), _denied("C3", 3, value)]
        third = ("action_required", Decimal(value), False, False)
        assert _marked(told_of_paypals(units + units)) == [_A, _B_DENIED, third]


def test_that_a_unit_was_denied_is_told_once() -> None:
    """PayPal has two words for it, and a message each."""
    declined = _unit("CAPTURE.DECLINED", "C2", "70.00", 3)
    for arrivals in permutations([_denied("C2", 2), declined]):
        assert _marked(told_of_paypals([_captured("C1", 1), *arrivals])) == [_A, _B_DENIED]


def test_the_rest_is_let_go_after_a_unit_was_denied() -> None:
    part = _captured("C1", 1, final=False)
    void = _unit("AUTHORIZATION.VOIDED", "AUTH", "120.00", 4)
    words = told_of_paypals([part, _denied("C2", 3), void])
    assert [word.unified for word in words] == ["payment_captured", "action_required"]


def test_what_is_captured_after_another_unit_was_denied_corrects_nothing() -> None:
    """Nobody was told that the payment had failed."""
    words = told_of_paypals([_captured("C1", 1), _denied("C2", 2), _captured("C3", 3)])
    assert _marked(words) == [_A, _B_DENIED, _A]


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_money_is_not_superseded_by_the_end_of_another_part(order: Sequence[int]) -> None:
    """Who passes over what is superseded would miss the money."""
    story = [_captured("C1", 1), _denied("C2", 2), _denied("C3", 3, "30.00")]
    words = told_of_paypals([story[place] for place in order])
    money = [word for word in words if word.unified == "payment_succeeded"]
    assert [word.superseded for word in money] == [False]
    assert len(words) == len(story)


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_money_is_not_superseded_by_the_money_of_another_part(order: Sequence[int]) -> None:
    """Each part brings its own; none is further than another."""
    pending = _unit("CAPTURE.PENDING", "C2", "70.00", 2)
    story = [_captured("C1", 1), pending, _captured("C2", 3)]
    words = told_of_paypals([story[place] for place in order])
    money = [word for word in words if word.unified == "payment_succeeded"]
    assert [word.superseded for word in money] == [False, False]


def test_a_capture_that_is_denied_itself_fails_the_payment() -> None:
    """There is no other one that stands."""
    words = told_of_paypals([_captured("C1", 1), _denied("C1", 2)])
    assert [word.unified for word in words] == ["payment_succeeded", "payment_failed"]


def test_a_unit_is_denied_beside_one_whose_receipt_has_retired() -> None:
    """The order still has its money; and each of two such units is news."""
    [first] = told_of_paypals([_captured("C1", 1)])
    denied = told_of_paypals([_denied("C2", 2)], [first.said])
    assert _marked(denied) == [_B_DENIED]
    ancient = [first.said, denied[0].said]
    assert _marked(told_of_paypals([_denied("C3", 3)], ancient)) == [_B_DENIED]
    assert told_of_paypals([_denied("C2", 2)], ancient) == []
    void = _unit("AUTHORIZATION.VOIDED", "AUTH", "120.00", 4)
    assert told_of_paypals([void], ancient) == []


def test_a_failure_before_any_capture_is_the_payments() -> None:
    """The capture takes it back, and says so."""
    words = told_of_paypals([_denied("C0", 1), _captured("C1", 2)])
    assert [(word.unified, word.correction) for word in words] == [
        ("payment_failed", False),
        ("payment_succeeded", True),
    ]
