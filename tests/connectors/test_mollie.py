"""Mollie: a call says nothing but an id; what is told is what Mollie answers."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from tests.connectors.answered_by_mollie import ID, LIVE, NOW, PAID, PAYMENT, TEST, called
from tests.support.heard_histories import words_of

from payhooks.connectors.contract import Heard, Keys
from payhooks.connectors.judging import judged
from payhooks.connectors.mollie import MOLLIE
from payhooks.connectors.words import Message, distinct
from payhooks.errors import InvalidError, SignatureError
from payhooks.model.receipt import Verdict

REFUND: Mapping[str, Any] = {
    "resource": "refund",
    "id": "re_4qqhO89gsT",
    "amount": {"currency": "EUR", "value": "5.95"},
    "status": "pending",
    "createdAt": "2018-03-21T17:09:02+00:00",
    "paymentId": ID,
}
CHARGEBACK: Mapping[str, Any] = {
    "resource": "chargeback",
    "id": "chb_n9z0tp",
    "amount": {"currency": "EUR", "value": "10.00"},
    "settlementAmount": {"currency": "EUR", "value": "-10.00"},
    "reason": {"code": "AC01", "description": "Account identifier incorrect"},
    "createdAt": "2018-04-14T17:00:50+00:00",
    "reversedAt": None,
}


def pointer(payment: str = ID) -> Heard:
    (found,) = MOLLIE.read(called(f"id={payment}".encode()), {})
    return found


def asked(payment: Mapping[str, Any]) -> Sequence[Heard]:
    return MOLLIE.asked(pointer(), json.dumps(payment).encode(), {})


def embedded(payment: Mapping[str, Any], **listed: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {**payment, "_embedded": listed}


def told(payment: Mapping[str, Any]) -> list[tuple[str, str, Decimal | None, str | None]]:
    """Return what the answer tells, object by object."""
    heards = asked(payment)
    objects = dict.fromkeys(heard.object_id for heard in heards)
    return [
        word
        for about in objects
        for word in words_of(MOLLIE, {}, [each for each in heards if each.object_id == about])
    ]


def test_a_call_is_believed_nothing_but_where_to_look() -> None:
    """Whoever knows the URL can call it; only what Mollie says becomes an event."""
    sent = called(b"id=tr_d0b0E3EA3v&status=paid&amount=1000000")
    assert judged(MOLLIE, sent, LIVE, NOW, {}).verdict is Verdict.FETCH
    (found,) = MOLLIE.read(sent, {})
    assert (found.object_type, found.object_id, found.data) == ("payment", "tr_d0b0E3EA3v", b"{}")
    assert found.family == "mollie", "no type of ours: told as it is, it would be none"
    with pytest.raises(SignatureError):
        MOLLIE.verify(sent, LIVE, NOW, {})


def test_the_question_shows_the_key_to_mollie_alone() -> None:
    """In a URL it would stand in every log on the way."""
    question = MOLLIE.ask(pointer(), LIVE, {})
    assert question is not None
    assert question.url == f"https://api.mollie.com/v2/payments/{ID}?embed=refunds,chargebacks"
    assert ("Authorization", f"Bearer {LIVE.credential}") in question.headers
    assert MOLLIE.ask(pointer(), Keys(()), {}) is None


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(b"id=tr_1/../../organizations/me", id="another path"),
        pytest.param(b"id=tr_1%3Ftestmode=true", id="a query"),
        pytest.param(b"id=tr_1%0d%0aX: y", id="another line"),
        pytest.param(b"id=ord_kEn1PlbGa", id="no payment"),
        pytest.param(b"id=tr_", id="no id"),
        pytest.param(b"id=", id="empty"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"id=tr_1&id=tr_2", id="two"),
        pytest.param(b'{"id":"tr_1"}', id="JSON"),
        pytest.param(b"&".join([b"id=tr_1"] * 100), id="many"),
        pytest.param(b"\xff", id="no text"),
    ],
)
def test_what_is_not_the_id_of_a_payment_is_not_asked_for(form: bytes) -> None:
    """It stands in the path of a request that shows a key; who calls us must not choose it."""
    with pytest.raises(InvalidError):
        MOLLIE.read(called(form), {})


def test_the_call_that_tries_the_url_tells_nothing() -> None:
    """Mollie makes it when somebody saves the URL; there is no payment behind it."""
    assert MOLLIE.read(called(b"testByMollie=1"), {}) == ()
    assert MOLLIE.read(called(b"", query="testByMollie=1"), {}) == ()


@pytest.mark.parametrize(
    ("payment", "events"),
    [
        pytest.param(PAYMENT, [], id="open"),
        pytest.param({**PAYMENT, "status": "pending"}, ["payment_processing"], id="pending"),
        pytest.param(PAID, ["payment_succeeded"], id="paid"),
        pytest.param(
            {**PAYMENT, "status": "authorized", "authorizedAt": "2018-03-20T13:19:15+00:00"},
            ["payment_authorized"],
            id="authorized",
        ),
        pytest.param(
            {**PAID, "authorizedAt": "2018-03-20T13:19:10+00:00"},
            ["payment_authorized", "payment_succeeded"],
            id="authorized and then paid",
        ),
        pytest.param(
            {**PAYMENT, "status": "canceled", "canceledAt": "2018-03-20T13:19:15+00:00"},
            ["payment_cancelled"],
            id="canceled",
        ),
        pytest.param(
            {**PAYMENT, "status": "expired", "expiredAt": "2018-03-20T13:28:37+00:00"},
            ["payment_expired"],
            id="expired",
        ),
        pytest.param(
            {**PAYMENT, "status": "failed", "failedAt": "2018-03-20T13:28:37+00:00"},
            ["payment_failed"],
            id="failed",
        ),
        pytest.param({**PAYMENT, "status": "failed"}, ["payment_failed"], id="failed, no time"),
        pytest.param({**PAYMENT, "status": "something_new"}, [], id="a new status"),
    ],
)
def test_a_status_is_told_as_what_happened(payment: Mapping[str, Any], events: list[str]) -> None:
    """All that an answer says of the past is told, also by who was asked too late to see it."""
    assert told(payment) == [(event, f"payment {ID}", Decimal("10.00"), "EUR") for event in events]


def test_a_payment_of_which_a_part_was_captured_is_no_whole_one() -> None:
    """Shipping all of it for a part of the money is a loss."""
    authorized = {**PAID, "authorizedAt": "2018-03-20T13:00:00+00:00"}
    part = {**authorized, "amountCaptured": {"value": "4.00", "currency": "EUR"}}
    whole = {**authorized, "amountCaptured": {"value": "10.00", "currency": "EUR"}}
    assert told(part)[-1] == ("payment_captured", f"payment {ID}", Decimal("4.00"), "EUR")
    assert told(whole)[-1][0] == "payment_succeeded"


@pytest.mark.parametrize(
    ("status", "events"),
    [
        pytest.param("queued", [], id="queued"),
        pytest.param("pending", [], id="pending"),
        pytest.param("processing", [], id="processing"),
        pytest.param("refunded", ["refund_succeeded"], id="refunded"),
        pytest.param("failed", ["refund_failed"], id="failed"),
        pytest.param("canceled", ["refund_failed"], id="canceled"),
    ],
)
def test_a_refund_is_told_when_its_money_moved_or_did_not(status: str, events: list[str]) -> None:
    """One that was only asked for has brought nothing back to anybody."""
    heards = asked(embedded(PAID, refunds=[{**REFUND, "status": status}]))
    refunds = [heard for heard in heards if heard.object_type == "refund"]
    assert [heard.type for heard in refunds] == events
    for heard in refunds:
        said = MOLLIE.tell(heard, heard.type, {})
        assert (said.object_id, said.payment_id) == ("re_4qqhO89gsT", ID)
        assert (said.amount, said.currency) == (Decimal("5.95"), "EUR")


def test_a_chargeback_opens_a_dispute_and_its_reversal_wins_it() -> None:
    """Heard late, both are told; the merchant books them both."""
    reversed_one = {**CHARGEBACK, "reversedAt": "2018-04-20T17:00:50+00:00"}
    about = ("dispute chb_n9z0tp", Decimal("10.00"), "EUR")
    assert told(embedded(PAID, chargebacks=[CHARGEBACK]))[1:] == [("dispute_opened", *about)]
    assert told(embedded(PAID, chargebacks=[reversed_one]))[1:] == [
        ("dispute_opened", *about),
        ("dispute_won", *about),
    ]


def test_asking_at_any_moments_in_any_order_tells_the_same_in_the_end() -> None:
    """Calls are repeated and overtake each other, and each brings all that was so far."""
    pending = {**PAYMENT, "status": "authorized", "authorizedAt": "2018-03-20T13:15:00+00:00"}
    paid = {**PAID, "authorizedAt": "2018-03-20T13:15:00+00:00"}
    refunded = embedded(paid, refunds=[{**REFUND, "status": "refunded"}])
    reversed_one = {**CHARGEBACK, "reversedAt": "2018-04-20T17:00:50+00:00"}
    last = {**refunded["_embedded"], "chargebacks": [reversed_one]}
    answers = [
        pending,
        paid,
        refunded,
        {**paid, "_embedded": {**last, "chargebacks": [CHARGEBACK]}},
        {**paid, "_embedded": last},
    ]
    wanted = Counter(told(answers[-1]))
    assert len(wanted) == 5
    for seed in range(20):
        random = Random(seed)
        seen = [*answers, *random.sample(answers, 2)]
        random.shuffle(seen)
        messages = distinct(
            Message(heard=heard, receipt_id=bytes(16)) for one in seen for heard in asked(one)
        )
        objects = dict.fromkeys(message.heard.object_id for message in messages)
        found: Counter[object] = Counter()
        for about in objects:
            history = [each.heard for each in messages if each.heard.object_id == about]
            found.update(words_of(MOLLIE, {}, history))
        assert found == wanted, f"seed {seed}"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({**PAID, "id": "tr_another"}, id="another payment"),
        pytest.param({**PAID, "resource": "order"}, id="no payment"),
        pytest.param({"resource": "payment", "id": ID}, id="no status"),
        pytest.param([], id="a list"),
    ],
)
def test_an_answer_about_something_else_is_refused(answer: object) -> None:
    """What was asked for is what is told, or nothing."""
    with pytest.raises(InvalidError):
        MOLLIE.asked(pointer(), json.dumps(answer).encode(), {})


@pytest.mark.parametrize(
    "payment",
    [
        pytest.param({**PAID, "amount": None}, id="no amount"),
        pytest.param({**PAID, "amount": {"value": "1e9", "currency": "EUR"}}, id="an exponent"),
        pytest.param({**PAID, "amount": {"value": "10.001", "currency": "EUR"}}, id="no such coin"),
        pytest.param({**PAID, "amount": {"value": "-10.00", "currency": "EUR"}}, id="negative"),
        pytest.param({**PAID, "amount": {"value": "10.00", "currency": "€"}}, id="no currency"),
    ],
)
def test_money_that_nobody_can_count_is_not_told(payment: Mapping[str, Any]) -> None:
    """An event with a made-up amount would be booked."""
    (heard,) = asked(payment)
    with pytest.raises(InvalidError):
        MOLLIE.tell(heard, heard.type, {})


@pytest.mark.parametrize("options", [{}, {"api_url": ""}])
def test_a_stand_in_that_is_nowhere_makes_no_test_of_money(options: Mapping[str, str]) -> None:
    """Connectors are stored with one that is empty; a live merchant would be told of nothing."""
    answer = json.dumps({**PAID, "mode": "live"}).encode()
    assert [heard.is_test for heard in MOLLIE.asked(pointer(), answer, options)] == [False]


def test_a_stand_in_is_never_shown_a_live_key() -> None:
    """Who may change a connector may not read its key; he must not have it sent to himself."""
    options = {"api_url": "http://127.0.0.1:8080"}
    question = MOLLIE.ask(pointer(), TEST, options)
    assert question is not None
    assert question.url.startswith("http://127.0.0.1:8080/v2/payments/")
    assert MOLLIE.ask(pointer(), LIVE, options) is None
    MOLLIE.check(options, [], TEST.credential)
    for credential in (LIVE.credential, None):
        with pytest.raises(InvalidError) as refused:
            MOLLIE.check(options, [], credential)
        assert "/options/api_url" in [fault.pointer for fault in refused.value.faults]


@pytest.mark.parametrize(
    "url", ["ftp://x", "https://x/path", "https://user@x", "https://x?y", "https://x#y", "//x"]
)
def test_a_stand_in_is_a_place_and_nothing_else(url: str) -> None:
    """What follows it would change what is asked."""
    with pytest.raises(InvalidError):
        MOLLIE.check({"api_url": url}, [], TEST.credential)


def test_a_key_that_cannot_be_one_is_refused() -> None:
    """Better while somebody looks than when the first payment is asked for."""
    MOLLIE.check({}, [], LIVE.credential)
    for credential in (None, "", "live_", "live_abc\r\nX: y", "secret"):
        with pytest.raises(InvalidError):
            MOLLIE.check({}, [], credential)
    with pytest.raises(InvalidError):
        MOLLIE.check({}, ["a secret"], LIVE.credential)
