"""PayPal: every capture of an order is told, each once, however its messages come."""

from decimal import Decimal
from itertools import permutations

import pytest
from tests.connectors.folding import told_of_paypals
from tests.connectors.signed_by_paypal import AMOUNT, NOW, OPTIONS
from tests.connectors.test_paypal_events import ORDER, event, heard
from tests.support.dialect_events import MERCHANT

from payhooks.catalogue import CATALOGUE
from payhooks.connectors.contract import Heard
from payhooks.connectors.history import folded
from payhooks.connectors.paypal import PAYPAL
from payhooks.connectors.untold import untold
from payhooks.connectors.words import Message

_FIRST, _SECOND = "2019-02-14T21:50:03Z", "2019-02-14T21:50:04Z"


def _about(capture: str, value: str, **members: object) -> dict[str, object]:
    related = {"supplementary_data": {"related_ids": {"order_id": ORDER["id"]}}}
    return {"id": capture, "amount": {**AMOUNT, "value": value}, **related, **members}


def _capture(capture: str, value: str, *, at: str = _FIRST, message: str = "1") -> Heard:
    said = {"id": f"WH-{capture}-{message}", "create_time": at}
    resource = _about(capture, value, status="COMPLETED", final_capture=True)
    return heard(event("PAYMENT.CAPTURE.COMPLETED", resource, **said))


@pytest.mark.parametrize(
    ("second", "at"),
    [
        pytest.param("70.00", _SECOND, id="one after the other"),
        pytest.param("70.00", _FIRST, id="at the same time"),
        pytest.param("50.00", _SECOND, id="of the same amount"),
    ],
)
def test_each_capture_of_an_order_is_told_once_in_whatever_order(second: str, at: str) -> None:
    """An order of two sellers is captured twice, each time for good: both are money."""
    twice = [_capture("C1", "50.00"), _capture("C2", second, at=at)] * 2
    for arrivals in permutations(twice):
        words = told_of_paypals(arrivals)
        assert {word.unified for word in words} == {"payment_succeeded"}
        assert {word.told.object_id for word in words} == {ORDER["id"]}
        amounts = sorted((word.told.references[0], word.told.amount) for word in words)
        assert amounts == [("C1", Decimal("50.00")), ("C2", Decimal(second))]


def test_a_capture_that_comes_under_another_id_of_its_message_is_told_once() -> None:
    """It is known by its own id: what PayPal calls the message adds no money."""
    one, again = _capture("C1", "50.00"), _capture("C1", "50.00", at=_SECOND, message="2")
    for arrivals in ([one, again], [again, one]):
        [word] = told_of_paypals(arrivals)
        assert word.unified == "payment_succeeded"


def test_a_single_capture_is_told_with_what_it_left_behind() -> None:
    """What was approved, waited and failed before it is passed; the failure is taken back."""
    story = [
        heard(event("CHECKOUT.ORDER.APPROVED", ORDER, create_time="2019-02-14T21:50:00Z")),
        heard(
            event(
                "PAYMENT.CAPTURE.DENIED", _about("C0", "5.00"), create_time="2019-02-14T21:50:01Z"
            )
        ),
        _capture("C1", "5.00"),
    ]
    told = [(word.unified, word.superseded, word.correction) for word in told_of_paypals(story)]
    assert told == [
        ("action_required", False, False),
        ("payment_failed", False, False),
        ("payment_succeeded", False, True),
    ]
    late = [(word.unified, word.superseded) for word in told_of_paypals(story[::-1])]
    assert late == [
        ("payment_succeeded", False),
        ("payment_failed", True),
        ("action_required", True),
    ]


def test_an_equal_capture_is_told_where_nobody_has_the_first_any_more() -> None:
    """It is told as a state that the payment reached, and is money all the same."""
    [first] = told_of_paypals([_capture("C1", "50.00")])
    second = Message(heard=_capture("C2", "50.00", at=_SECOND), receipt_id=bytes(16))
    history = folded(
        PAYPAL, [second], OPTIONS, catalogue=CATALOGUE, merchant_id=MERCHANT.id, now=NOW
    )
    [word] = untold(history.words, (), [first.said])
    assert (word.number, word.told.references[0]) == (2, "C2")
    assert untold(history.words, (), [first.said, word.said]) == ()


def test_the_rest_of_an_order_that_is_let_go_ends_no_payment() -> None:
    """An authorization lapses after a part of it was captured: that part is the merchant's."""
    part = _about("C1", "30.00", status="COMPLETED", final_capture=False)
    rest = _about("AUTH", "100.00", status="VOIDED")
    story = [
        heard(event("PAYMENT.CAPTURE.COMPLETED", part, id="WH-1", create_time=_FIRST)),
        heard(event("PAYMENT.AUTHORIZATION.VOIDED", rest, id="WH-2", create_time=_SECOND)),
    ]
    [word] = told_of_paypals(story)
    assert (word.unified, word.told.amount) == ("payment_captured", Decimal("30.00"))
    assert dict(word.told.extra)["amount_received"] is None  # of earlier ones it says nothing
    assert [word.unified for word in told_of_paypals(story[1:])] == ["payment_cancelled"]


def test_a_unit_that_is_declined_beside_a_captured_one_fails_no_payment() -> None:
    """Two sellers, and the second is not paid: the order has money, and needs a look."""
    declined = _about("C2", "70.00", status="DECLINED")
    failed = heard(event("PAYMENT.CAPTURE.DECLINED", declined, id="WH-2", create_time=_SECOND))
    words = told_of_paypals([_capture("C1", "50.00"), failed])
    assert [(word.unified, word.told.amount) for word in words] == [
        ("payment_succeeded", Decimal("50.00")),
        ("action_required", Decimal("70.00")),
    ]
    extra = dict(words[1].told.extra)
    assert (extra["status"], extra["amount_received"]) == ("requires_merchant_action", None)
    assert [word.unified for word in told_of_paypals([failed])] == ["payment_failed"]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("COMPLETED", "refund_succeeded"),
        ("FAILED", "refund_failed"),
        ("CANCELLED", "refund_failed"),
    ],
)
def test_a_refund_is_told_as_what_it_became(status: str, told: str) -> None:
    """The event's name is that of the step; nobody has the money of one that failed."""
    [word] = told_of_paypals(
        [heard(event("PAYMENT.CAPTURE.REFUNDED", _about("R1", "5.00", status=status)))]
    )
    assert word.unified == told
