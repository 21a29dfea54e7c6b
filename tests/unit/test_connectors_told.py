"""What providers' messages are told as: which object, how much, in whose currency, and why."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.support.dialect_events import MERCHANT, endpoint_of
from tests.support.heard_histories import (
    NOW,
    OF_FAMILY,
    Written,
    event_of,
    played,
    provider_of,
    request_of,
    written_of,
)

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.validation import faults
from payhooks.connectors import custom, registry, unified
from payhooks.connectors.contract import Heard, Incoming, Keys, Told
from payhooks.connectors.foloosi import FOLOOSI, FOLOOSI_SIGNED
from payhooks.connectors.said import Said, Unit
from payhooks.dialects.registry import bound
from payhooks.errors import InvalidError
from payhooks.model.event import Event
from payhooks.sandbox.scenarios import shipped

pytestmark = pytest.mark.shows("N05")

_EUR = "EUR"


def _told(family: str, *said: tuple[str, dict[str, Any]], **options: str) -> list[Written]:
    """Return what is told of examples with members written over, a pointer each."""
    provider, own = provider_of(family)
    heards: list[Heard] = []
    for name, members in said:
        event = event_of(family, name)
        data = msgspec.json.decode(event.data)
        for pointer, value in members.items():
            *steps, last = pointer.split("/")[1:]
            here = data
            for step in steps:
                here = here[int(step)] if isinstance(here, list) else here.setdefault(step, {})
            here[last] = value
        changed = msgspec.structs.replace(event, data=msgspec.json.encode(data))
        heards += provider.read(request_of(provider.name, changed), {**own, **options})
    return written_of(provider, {**own, **options}, heards)


def _names(told: list[Written]) -> list[str]:
    return [one.name for one in told]


@pytest.mark.parametrize("family", OF_FAMILY)
def test_whatever_is_told_is_what_its_schema_says(family: str) -> None:
    """Who hears the unified events checks them against what we publish."""
    provider, options = provider_of(family)
    requests = [
        request_of(provider.name, event_of(family, type_.name))
        for type_ in CATALOGUE.types
        if type_.family == family
    ]
    requests += [
        request
        for name, scenario in shipped().scenarios.items()
        if scenario.family == family
        for request in played(name)
    ]
    for request in requests:
        for one in written_of(provider, options, provider.read(request, options)):
            type_ = CATALOGUE.find("owngateway", one.name)
            assert type_ is not None
            assert faults(type_, one.data, at_most=3) == (), one.name
            assert one.told.object_type == type_.object_type


@pytest.mark.parametrize("name", ["payment_cancelled", "refund_failed", "dispute_lost"])
def test_what_names_no_money_is_given_none(name: str) -> None:
    """A currency that was made up would be booked."""
    told = Told(object_type=unified.object_of(name), object_id="it_1")
    data = unified.written(
        told,
        name,
        connector_name="acquirer",
        connector_id_text="con_1",
        merchant=MERCHANT,
        at=NOW,
    )
    type_ = CATALOGUE.find("owngateway", name)
    assert type_ is not None
    assert faults(type_, data, at_most=3) == ()
    said = json.loads(data)
    assert (said["currency"], said["amount_known"]) == ("X" * 3, False)


def test_a_refund_is_an_object_of_its_own_and_names_its_payment() -> None:
    """Two refunds of one payment must not be one object."""
    [told] = _told("owlpay", ("payment_intent.refunded", {"/status": "partial_refund"}))
    data = json.loads(told.data)
    assert told.name == "refund_succeeded"
    assert data["refund_id"].startswith("re_")
    assert data["payment_id"].startswith("pi_")
    assert (data["amount"], told.told.amount) == (4000, Decimal("40.00"))


def test_a_part_that_was_captured_is_told_with_what_is_left() -> None:
    """Whoever ships by what was captured needs both figures."""
    members = {"/amount": 10000, "/captured_amount": 3000, "/capturable_amount": 7000}
    [told] = _told("owlpay", ("payment_intent.partial_captured", members))
    data = json.loads(told.data)
    assert (data["amount"], data["amount_received"], data["amount_capturable"]) == (
        10000,
        3000,
        7000,
    )
    assert data["status"] == "partially_captured_and_capturable"


def test_nothing_left_to_capture_makes_a_partial_capture_final() -> None:
    """A merchant waits for the rest as long as the status says that it may come."""
    [told] = _told("owlpay", ("payment_intent.partial_captured", {"/capturable_amount": 0}))
    assert json.loads(told.data)["status"] == "partially_captured"


@pytest.mark.parametrize(
    ("members", "told"),
    [
        pytest.param({}, ["payment_cancelled"], id="nothing was captured"),
        pytest.param({"/captured_amount": 5000}, [], id="what was captured stays or is void"),
        pytest.param({"/status": "partial_refund"}, [], id="only the rest is released"),
    ],
)
def test_a_cancelled_authorization_says_by_itself_whether_it_ends_the_payment(
    members: dict[str, Any], told: list[str]
) -> None:
    """It may be heard before the capture that came before it."""
    assert _names(_told("owlpay", ("payment_intent.cancel_authorization", members))) == told


def test_a_cancelled_authorization_that_does_not_say_is_told_by_what_was_heard_before() -> None:
    """Who was told of the void is not to hear that nothing was ever taken."""
    later = {"/captured_amount": None, "/updated_at": "2026-03-04T00:00:00+00:00"}
    said = ("payment_intent.cancel_authorization", later)
    told = _told("owlpay", ("payment_intent.captured", {}), said)
    assert _names(told) == ["payment_succeeded"]


def test_a_payout_that_goes_to_the_bank_at_once_is_announced_once() -> None:
    """Its creation says so, and its execution says it again."""
    created = ("accounting.created", {"/status": "in_process"})
    told = _told("owlpay", created, ("accounting.executed", {}))
    assert _names(told) == ["payout_initiated"]
    assert _names(_told("owlpay", ("accounting.executed", {}))) == ["payout_initiated"]


def test_a_capture_that_does_not_say_what_is_left_may_be_followed_by_more() -> None:
    """Taking it for the last would close an order that is still being delivered."""
    [told] = _told("owlpay", ("payment_intent.partial_captured", {"/capturable_amount": None}))
    assert json.loads(told.data)["status"] == "partially_captured_and_capturable"


def test_a_payment_that_failed_says_why() -> None:
    """Support is asked for the reason first."""
    [told] = _told("owlpay", ("payment_intent.failed", {}))
    data = json.loads(told.data)
    assert data["error_code"] == "card_declined"
    assert data["error_message"] == "The issuer refused the card."


def test_the_merchants_order_is_a_name_of_the_payment() -> None:
    """Merchants look for their own order number, not for the provider's id."""
    [told] = _told("owlpay", ("payment_intent.captured", {"/order_serial": "ORD-7"}))
    assert told.told.references == ("ORD-7",)


def test_an_update_that_says_nothing_newer_means_nothing() -> None:
    """Any state may have been before it."""
    pending = {"/payins/0/payinStatus": "PENDING", "/payins/0/codeStatus": "140001"}
    assert _told("treezor", ("payin.update", pending)) == []


def test_a_payin_that_is_told_as_validated_twice_succeeded_once() -> None:
    """A refund updates the payin, under a new webhook_id."""
    done = {"/payins/0/payinStatus": "VALIDATED", "/payins/0/codeStatus": "150118"}
    refunded = done | {"/payins/0/refundAmount": "5.00"}
    told = _told("treezor", ("payin.update", done), ("payin.update", refunded))
    assert _names(told) == ["payment_succeeded"]


def test_newest_takes_a_payin_for_accepted_only_once_it_is_validated() -> None:
    """Goods that leave on PENDING may never be paid."""
    told = _told("treezor", ("payin.create", {"/payins/0/payinStatus": "PENDING"}))
    assert _names(told) == ["payment_processing"]


def test_legacy_takes_any_payin_for_accepted_once() -> None:
    """An account of that generation hears of nothing but its creation."""
    told = _told(
        "treezor",
        ("payin.create", {"/payins/0/payinStatus": "PENDING"}),
        ("payin.update", {"/payins/0/payinStatus": "VALIDATED"}),
        payins="legacy",
    )
    assert _names(told) == ["payment_succeeded"]


def test_legacy_does_not_take_a_cancelled_payin_for_accepted() -> None:
    """Accepted means any that goes on, not one that was called off."""
    told = _told("treezor", ("payin.cancel", {}), payins="legacy")
    assert "payment_succeeded" not in _names(told)


def test_the_acquirers_reference_is_found_in_text_and_in_an_object() -> None:
    """The provider writes it both ways."""
    reference = {"card": {"externalProvider": {"transactionReference": "800098"}}}
    for spelled in (json.dumps(reference), reference):
        [told] = _told("treezor", ("payin.create", {"/payins/0/additionalData": spelled}))
        assert "800098" in told.told.references


def test_a_list_of_payins_tells_of_each() -> None:
    """The payload is a list, and the id outside is that of one of them."""
    provider, options = provider_of("treezor")
    event = event_of("treezor", "payin.create")
    [payin] = json.loads(event.data)["payins"]
    other = payin | {"payinId": "707207", "amount": "3.00"}
    data = json.dumps({"payins": [payin, other]}).encode()
    request = request_of("treezor", msgspec.structs.replace(event, data=data))
    heards = provider.read(request, options)
    told = [written_of(provider, options, [heard])[0].told for heard in heards]
    assert [(one.object_id, one.amount) for one in told] == [
        ("707206", Decimal("11.26")),
        ("707207", Decimal("3.00")),
    ]


def test_amounts_are_of_the_connectors_currency() -> None:
    """Its messages name none, and a shop in Toronto has another than ours."""
    [told] = _told("merchant-console", ("transaction.sale.success", {}), currency="CAD")
    assert (told.told.currency, json.loads(told.data)["amount"]) == ("CAD", 500)


def test_a_declined_sale_is_told_with_what_was_asked_for() -> None:
    """What was approved is 0.00, and the merchant asks which sale that was."""
    [told] = _told("merchant-console", ("transaction.sale.failure", {"/auth_amount": "0.00"}))
    assert told.told.amount == Decimal("5.00")


def test_a_bank_payment_without_an_amount_says_that_it_is_not_known() -> None:
    """Nought and not known are not the same to whoever adds them up."""
    [told] = _told("merchant-console", ("ach.settled", {}))
    data = json.loads(told.data)
    assert (data["amount"], data["amount_known"]) == (0, False)


_TRANSFER = {
    "transaction_status": "failed",
    "transaction_no": "FLNIAREC61a859e4a8977",
    "payment_reference": "order-7",
    "transaction_amount": "100",
    "transaction_currency": "AED",
    "transaction_message": "declined",
}


def _foloosi(**members: object) -> Incoming:
    said = {"data": {"transfer": _TRANSFER | members}}
    return Incoming("POST", "", {}, json.dumps(said).encode())


def _foloosi_told(**members: object) -> dict[str, Any]:
    heards = FOLOOSI_SIGNED.read(_foloosi(**members), {})
    [told] = written_of(FOLOOSI_SIGNED, {}, heards)
    return dict(json.loads(told.data))


def test_a_transfer_tells_of_its_payment_in_units() -> None:
    """Its amounts are dirhams and not fils."""
    data = _foloosi_told(transaction_status="success")
    assert (data["payment_id"], data["amount"]) == ("FLNIAREC61a859e4a8977", 10000)


def test_what_the_issuer_debited_of_a_failed_payment_goes_back() -> None:
    """The customer has paid for nothing until somebody returns it."""
    assert _foloosi_told(pay_back=True)["pay_back"] == {
        "required": True,
        "amount": 10000,
        "currency": "AED",
        "reason": "issuer_debited",
    }
    assert _foloosi_told(pay_back={"amount": "20.50"})["pay_back"]["amount"] == 2050
    assert "pay_back" not in _foloosi_told()


def test_a_request_that_nobody_signed_is_asked_for_and_not_believed() -> None:
    """Anybody can post that a payment succeeded."""
    [heard] = FOLOOSI.read(_foloosi(transaction_status="success"), {})
    assert heard.data == b"{}"
    asked = FOLOOSI.ask(heard, Keys((), "the-account's-key"), {})
    assert asked is not None
    assert asked.url.endswith("/transaction-detail/FLNIAREC61a859e4a8977")
    assert asked.headers == (("secret_key", "the-account's-key"),)
    body = {"data": {"status": "failed", "send_amount": 100, "sender_currency": "AED"}}
    heards = FOLOOSI.asked(heard, json.dumps(body).encode(), {})
    [told] = written_of(FOLOOSI, {}, heards)
    assert (told.name, told.told.amount) == ("payment_failed", Decimal(100))


def test_the_answer_about_another_transaction_is_refused() -> None:
    """It would move a payment that nobody asked about."""
    [heard] = FOLOOSI.read(_foloosi(), {})
    body = b'{"data":{"transaction_no":"another","status":"success"}}'
    with pytest.raises(InvalidError):
        FOLOOSI.asked(heard, body, {})


@pytest.mark.parametrize(
    "number",
    [
        pytest.param("../keys", id="another path"),
        pytest.param("a?b=c", id="a query"),
        pytest.param("a b", id="a space"),
        pytest.param("x" * 65, id="no end"),
    ],
)
def test_a_number_that_would_ask_for_something_else_is_refused(number: str) -> None:
    """It stands in the path of a request that carries the account's key."""
    with pytest.raises(InvalidError):
        FOLOOSI.read(_foloosi(transaction_no=number), {})


def _in_format(name: str, event: Event) -> Incoming:
    dialect = bound(name, MERCHANT)
    body = dialect.render(event=event, endpoint=endpoint_of(name), merchant=MERCHANT).body
    return Incoming("POST", "", {"webhook-id": "msg_1"}, body)


@pytest.mark.parametrize("name", ["standard", "cloudevents", "custom"])
@pytest.mark.parametrize("family", ["owngateway", "owlpay", "merchant-console"])
def test_a_format_carries_the_words_of_the_family_that_is_chosen(name: str, family: str) -> None:
    """A gateway that speaks Standard Webhooks still has its own words, or somebody's."""
    provider = registry.find(name)
    if name == "custom":
        assert MERCHANT.custom_dialect is not None
        provider = custom.bind(MERCHANT.custom_dialect)
    type_name = {
        "owngateway": "payment_succeeded",
        "owlpay": "payment_intent.captured",
        "merchant-console": "transaction.sale.success",
    }[family]
    event = event_of(family, type_name)
    request = _in_format(name, event)
    options = {"family": family}
    [told] = written_of(provider, options, provider.read(request, options))
    assert (told.name, told.told.object_id) == ("payment_succeeded", event.object_id)


@pytest.mark.parametrize(
    ("spelled", "currency", "unit", "amount"),
    [
        pytest.param("12.50", "EUR", Unit.WHOLE, "12.5", id="text with cents"),
        pytest.param("12.5e1", "EUR", Unit.WHOLE, None, id="an exponent"),
        pytest.param("10.005", "EUR", Unit.WHOLE, None, id="half a cent"),
        pytest.param("10.005", "KWD", Unit.WHOLE, "10.005", id="five fils"),
        pytest.param("10.5", "JPY", Unit.WHOLE, None, id="half a yen"),
        pytest.param("1250", "EUR", Unit.SMALLEST, "12.5", id="cents"),
        pytest.param("1250", "JPY", Unit.SMALLEST, "1250", id="yen"),
        pytest.param("12.5", "EUR", Unit.SMALLEST, None, id="half a cent, counted"),
        pytest.param("-5", "EUR", Unit.WHOLE, None, id="less than nothing"),
        pytest.param("٣", "EUR", Unit.WHOLE, None, id="digits of another script"),
    ],
)
def test_an_amount_is_what_is_spelled_or_is_refused(
    spelled: str, currency: str, unit: Unit, amount: str | None
) -> None:
    """A double would make 0.1 + 0.2 of it, and a guess somebody else's money."""
    said = Said(json.dumps({"amount": spelled}).encode())
    if amount is None:
        with pytest.raises(InvalidError):
            said.amount("/amount", currency=currency, unit=unit)
    else:
        assert said.amount("/amount", currency=currency, unit=unit) == Decimal(amount)


def test_a_number_keeps_every_digit() -> None:
    """As a double it would be 0.30000000000000004."""
    said = Said(b'{"amount":1234567890123.30}')
    assert said.amount("/amount", currency=_EUR, unit=Unit.WHOLE) == Decimal("1234567890123.30")
