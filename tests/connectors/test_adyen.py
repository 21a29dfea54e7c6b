"""Adyen: whose request it is, and what each of its event codes tells."""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.connectors.signed_by_adyen import (
    KEY,
    NOW,
    OTHER_KEY,
    PAYMENT,
    batch,
    signature_of,
    signed,
)
from tests.support.heard_histories import words_of

from payhooks.connectors.adyen import ADYEN
from payhooks.connectors.contract import Heard, Incoming, Keys, Options
from payhooks.errors import InvalidError, SignatureError


def about(code: str, *, success: bool = True, **members: object) -> dict[str, Any]:
    """Return what is said of something done with the payment."""
    own = {"pspReference": "9913140798220028", "originalReference": PAYMENT["pspReference"]}
    said = {"eventCode": code, "success": "true" if success else "false"}
    return {**PAYMENT, **own, **said, **members}


def heard(item: Mapping[str, Any], options: Options | None = None) -> Sequence[Heard]:
    return ADYEN.read(batch(item), options or {})


# Published: in Adyen's documentation, in the tests of its PHP library (two), and the last made
# with its Python package, Adyen 16.0.0, which makes the same of the other three.
@pytest.mark.parametrize(
    ("item", "key", "signature"),
    [
        pytest.param(
            PAYMENT, KEY, "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=", id="documentation"
        ),
        pytest.param(
            PAYMENT, OTHER_KEY, "Ny9gS2veKo5E4w8/OL6xz1/wvT/hYkAXy1xNc/QvO4I=", id="library"
        ),
        pytest.param(
            {**PAYMENT, "amount": {"value": 0, "currency": "EUR"}, "eventCode": "REFUND"},
            KEY,
            "J7HhsgZo5KwqdB7LFZJV6rfQgp+RqC2kuYyw/3x3w+8=",
            id="an amount of zero",
        ),
        pytest.param(
            {
                **PAYMENT,
                "originalReference": "9913140798220028",
                "merchantReference": "order:2/é",
                "eventCode": "CAPTURE",
            },
            KEY,
            "B2gdD2yMyDzADmrsLUnZuDRWIvFDYPFRGGAjj3IoJLw=",
            id="a colon in the merchant's reference",
        ),
    ],
)
def test_what_adyen_published_is_verified(
    item: Mapping[str, Any], key: str, signature: str
) -> None:
    """Our own reading of a rule is shown right by somebody else's numbers alone."""
    sent = batch({**item, "additionalData": {"hmacSignature": signature}})
    ADYEN.verify(sent, Keys((key,)), NOW, {})
    with pytest.raises(SignatureError):
        ADYEN.verify(sent, Keys((KEY if key == OTHER_KEY else OTHER_KEY,)), NOW, {})


def test_every_item_of_a_batch_has_to_be_signed() -> None:
    """One good item must not bring in others that somebody has put beside it."""
    good, forged = signed(PAYMENT), {**signed(PAYMENT), "amount": {"value": 1, "currency": "EUR"}}
    ADYEN.verify(batch(good, signed(about("REFUND"))), Keys((KEY,)), NOW, {})
    for items in ((good, forged), (forged, good), (good, PAYMENT)):
        with pytest.raises(SignatureError):
            ADYEN.verify(batch(*items), Keys((KEY,)), NOW, {})


def test_a_colon_cannot_move_a_text_from_one_member_to_the_next() -> None:
    """Members are joined with colons and nothing is escaped, so 1 EUR could become 1130."""
    item = {**PAYMENT, "merchantReference": "a:7:EUR"}
    made = signature_of(item)
    for altered in (
        {**item, "merchantAccountCode": "TestMerchant:a", "merchantReference": "7:EUR"},
        {**item, "eventCode": "X:AUTHORISATION"},
        {**item, "pspReference": "7914073381342284:"},
    ):
        # Even with a signature of its own: what can be read in two ways is taken in none.
        for signature in (made, signature_of(altered)):
            sent = batch({**altered, "additionalData": {"hmacSignature": signature}})
            with pytest.raises(SignatureError):
                ADYEN.verify(sent, Keys((KEY,)), NOW, {})


@pytest.mark.parametrize(
    ("header", "is_his"),
    [
        pytest.param("Basic " + base64.b64encode(b"shop:word:2").decode(), True, id="his"),
        pytest.param("basic " + base64.b64encode(b"shop:word:2").decode(), True, id="any case"),
        pytest.param("Basic " + base64.b64encode(b"shop:word").decode(), False, id="another word"),
        pytest.param("Bearer " + base64.b64encode(b"shop:word:2").decode(), False, id="no basic"),
        pytest.param("Basic", False, id="nothing"),
        pytest.param(None, False, id="no header"),
    ],
)
def test_basic_authentication_is_asked_for_beside_the_signature(
    header: str | None, *, is_his: bool
) -> None:
    """Who has set it up relies on both: an HMAC key alone may have leaked."""
    sent = batch(signed(PAYMENT), headers={} if header is None else {"authorization": header})
    keys = Keys((KEY,), "shop:word:2")
    if is_his:
        ADYEN.verify(sent, keys, NOW, {})
        with pytest.raises(SignatureError):
            ADYEN.verify(sent, Keys((OTHER_KEY,), "shop:word:2"), NOW, {})
    else:
        with pytest.raises(SignatureError):
            ADYEN.verify(sent, keys, NOW, {})


def test_a_request_without_a_signature_is_named_as_such() -> None:
    """The usual mistake is that no HMAC key was generated; the quarantine has to say so."""
    assert ADYEN.missing(batch(signed(PAYMENT)), {}) is None
    assert "hmacSignature" in (ADYEN.missing(batch(signed(PAYMENT), PAYMENT), {}) or "")
    assert ADYEN.missing(Incoming("POST", "", {}, b"live=false"), {}) is not None


def test_it_is_answered_with_the_word_that_adyen_waits_for() -> None:
    """Any other answer makes Adyen send it again, for days."""
    assert ADYEN.answer(verified=True)[:2] == (200, b"[accepted]")
    assert ADYEN.answer(verified=False).status == 401


_KINDS = [
    ("AUTHORISATION", True, "payment_succeeded", "payment"),
    ("AUTHORISATION", False, "payment_failed", "payment"),
    ("PENDING", True, "payment_processing", "payment"),
    ("CAPTURE_FAILED", True, "payment_failed", "payment"),
    ("CANCELLATION", True, "payment_cancelled", "payment"),
    ("TECHNICAL_CANCEL", True, "payment_cancelled", "payment"),
    ("OFFER_CLOSED", True, "payment_expired", "payment"),
    ("EXPIRE", True, "payment_expired", "payment"),
    ("REFUND", True, "refund_succeeded", "refund"),
    ("REFUND", False, "refund_failed", "refund"),
    ("REFUND_FAILED", True, "refund_failed", "refund"),
    ("REFUNDED_REVERSED", True, "refund_failed", "refund"),
    ("REQUEST_FOR_INFORMATION", True, "dispute_opened", "dispute"),
    ("NOTIFICATION_OF_CHARGEBACK", True, "dispute_opened", "dispute"),
    ("CHARGEBACK", True, "dispute_opened", "dispute"),
    ("INFORMATION_SUPPLIED", True, "dispute_challenged", "dispute"),
    ("CHARGEBACK_REVERSED", True, "dispute_won", "dispute"),
    ("PREARBITRATION_WON", True, "dispute_won", "dispute"),
    ("ISSUER_RESPONSE_TIMEFRAME_EXPIRED", True, "dispute_won", "dispute"),
    ("PREARBITRATION_LOST", True, "dispute_lost", "dispute"),
    ("SECOND_CHARGEBACK", True, "dispute_lost", "dispute"),
    ("DISPUTE_DEFENSE_PERIOD_ENDED", True, "dispute_expired", "dispute"),
    ("PAYOUT_THIRDPARTY", True, "payout_success", "payout"),
    ("PAYOUT_THIRDPARTY", False, "payout_failed", "payout"),
    ("PAYOUT_DECLINE", True, "payout_cancelled", "payout"),
    ("PAYOUT_EXPIRE", True, "payout_expired", "payout"),
    ("PAIDOUT_REVERSED", True, "payout_reversed", "payout"),
]


@pytest.mark.parametrize(
    ("code", "success", "unified", "kind"),
    [pytest.param(*row, id=f"{row[0]} {row[1]}") for row in _KINDS],
)
def test_an_event_code_is_told_as_what_happened(
    code: str, unified: str, kind: str, *, success: bool
) -> None:
    """A merchant who reads one unified event has to find the same money in it."""
    (found,) = heard(about(code, success=success))
    own = kind in ("refund", "dispute")
    told = ADYEN.tell(found, unified, {})
    assert (found.word, found.type) == (code, unified)
    assert (told.object_type, told.object_id) == (
        kind,
        "9913140798220028" if own else PAYMENT["pspReference"],
    )
    assert (told.amount, told.currency) == (Decimal("11.30"), "EUR")
    assert not own or told.payment_id == PAYMENT["pspReference"]
    assert "TestPayment-1407325143704" in told.references
    assert found.occurred_at == datetime(2019, 6, 28, 17, 3, 50, tzinfo=UTC)


@pytest.mark.parametrize(
    ("capture", "authorised", "captured"),
    [
        pytest.param("automatic", "payment_succeeded", None, id="by itself"),
        pytest.param("manual", "payment_authorized", "payment_succeeded", id="once"),
        pytest.param("manual_multiple", "payment_authorized", "payment_captured", id="in parts"),
    ],
)
def test_what_an_authorisation_means_is_how_the_account_captures(
    capture: str, authorised: str, captured: str | None
) -> None:
    """One message does not say it: a shop that ships on an authorisation alone may lose goods."""
    options = {"capture": capture}
    assert [each.type for each in heard(PAYMENT, options)] == [authorised]
    found = [each.type for each in heard(about("CAPTURE"), options)]
    assert found == ([] if captured is None else [captured])
    assert heard(about("CAPTURE", success=False), options) == []


def test_captures_in_parts_are_each_told() -> None:
    """Two parts of the same amount are twice the money."""
    options = {"capture": "manual_multiple"}
    history = [
        *heard(PAYMENT, options),
        *heard(about("CAPTURE", pspReference="A", eventDate="2019-06-29T18:03:50+01:00"), options),
        *heard(about("CAPTURE", pspReference="B", eventDate="2019-06-30T18:03:50+01:00"), options),
    ]
    told = [word[0] for word in words_of(ADYEN, options, history)]
    assert told == ["payment_authorized", "payment_captured", "payment_captured"]


def test_two_messages_of_the_same_second_are_both_told_in_any_order() -> None:
    """Adyen's times have no parts of a second, and what came first is not known."""
    options = {"capture": "manual"}
    story = [*heard(PAYMENT, options), *heard(about("CAPTURE"), options)]
    for history in (story, story[::-1]):
        told = [word[0] for word in words_of(ADYEN, options, history)]
        assert sorted(told) == ["payment_authorized", "payment_succeeded"]


@pytest.mark.parametrize("turn", range(3))
def test_a_dispute_that_goes_on_opens_once(turn: int) -> None:
    """Adyen has three words for its beginning, and may send all of them, in any order."""
    days = {"REQUEST_FOR_INFORMATION": 1, "NOTIFICATION_OF_CHARGEBACK": 2, "CHARGEBACK": 3}
    codes = [*days][turn:] + [*days][:turn]
    history = [
        each
        for code in [*codes, "SECOND_CHARGEBACK"]
        for each in heard(about(code, eventDate=f"2019-07-0{days.get(code, 9)}T12:00:00+00:00"))
    ]
    told = [word[0] for word in words_of(ADYEN, {}, history)]
    assert told == ["dispute_opened", "dispute_lost"]


@pytest.mark.parametrize(
    ("action", "types"),
    [
        pytest.param("cancel", ["payment_cancelled"], id="cancelled"),
        pytest.param("refund", ["refund_succeeded"], id="refunded"),
        pytest.param(None, ["CANCEL_OR_REFUND"], id="nobody says which"),
    ],
)
def test_cancel_or_refund_is_what_it_became(action: str | None, types: list[str]) -> None:
    """One brings money back that the other never took; what is not said is not guessed."""
    beside = {} if action is None else {"modification.action": action}
    found = heard(about("CANCEL_OR_REFUND", additionalData=beside))
    assert [each.type for each in found] == types
    if action is None:
        assert found[0].family == "adyen"


def test_liability_that_was_accepted_is_no_missed_deadline() -> None:
    """Both end the time to defend a dispute; the one was decided, the other slept through."""
    item = about("DISPUTE_DEFENSE_PERIOD_ENDED", additionalData={"disputeStatus": "Accepted"})
    assert [each.type for each in heard(item)] == ["dispute_accepted"]


@pytest.mark.parametrize(
    "code", ["REPORT_AVAILABLE", "RECURRING_CONTRACT", "NOTIFICATION_OF_FRAUD"]
)
def test_what_moves_no_money_tells_nothing(code: str) -> None:
    """A report is no payment, and stands in no merchant's books."""
    assert heard(about(code)) == []


def test_a_test_from_the_customer_area_tells_nothing() -> None:
    """Somebody pressed a button; nobody paid."""
    assert heard({**PAYMENT, "pspReference": "test_AUTHORISATION_1"}) == []


def test_a_new_code_is_kept_as_something_that_nobody_knows() -> None:
    """Adyen says that it adds codes; none may be taken for another, not even for one of ours."""
    for code in ("SOMETHING_NEW", "payment_succeeded"):
        (found,) = heard(about(code))
        assert (found.family, found.type, found.object_id) == (
            "adyen",
            code,
            PAYMENT["pspReference"],
        )


@pytest.mark.parametrize(
    ("currency", "value", "amount"),
    [
        pytest.param("EUR", 1130, "11.30", id="as in ISO 4217"),
        pytest.param("JPY", 1130, "1130", id="without a point"),
        pytest.param("BHD", 1130, "1.130", id="three digits"),
        pytest.param("CLP", 113_000, "1130", id="CLP has two at Adyen"),
        pytest.param("ISK", 113_000, "1130", id="ISK has two at Adyen"),
        pytest.param("IDR", 1130, "1130", id="IDR has none at Adyen"),
    ],
)
def test_amounts_are_counted_as_adyen_counts_them(currency: str, value: int, amount: str) -> None:
    """Where its own table differs, a wrong digit is a hundred times the money."""
    (found,) = heard({**PAYMENT, "amount": {"value": value, "currency": currency}})
    assert ADYEN.tell(found, found.type, {}).amount == Decimal(amount)


def test_a_payment_that_succeeded_says_nothing_of_its_card() -> None:
    """Adyen's reason of a success is made of the card's last digits and its end."""
    (found,) = heard({**PAYMENT, "reason": "033899:1111:10/2030"})
    assert b"1111" not in found.data
    (failed,) = heard({**PAYMENT, "success": "false", "reason": "Refused"})
    assert ADYEN.tell(failed, "payment_failed", {}).extra == {"error_message": "Refused"}


def test_a_redelivery_has_the_id_of_the_first() -> None:
    """Adyen sends again what was not accepted in time, and may correct what is beside it."""
    (first,) = heard(PAYMENT)
    (again,) = heard({**PAYMENT, "eventDate": "2019-06-28T19:00:00+01:00"})
    (other,) = heard({**PAYMENT, "success": "false"})
    assert first.event_id == again.event_id != other.event_id


def test_settings_that_cannot_work_are_refused() -> None:
    """Better while somebody looks than when the first webhook is refused."""
    ADYEN.check({"capture": "manual"}, [KEY, OTHER_KEY], "shop:word")
    ADYEN.check({}, [KEY], None)
    for options, secrets, credential in (
        ({}, [], None),
        ({}, ["secret"], None),
        ({}, [KEY[:-1]], None),
        ({}, [KEY], "shop"),
        ({"capture": "later"}, [KEY], None),
    ):
        with pytest.raises(InvalidError):
            ADYEN.check(options, secrets, credential)
