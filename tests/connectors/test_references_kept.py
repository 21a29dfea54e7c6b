"""What a connector reads as an id or a reference is not changed, however like a card it looks.

What these are is not listed here but tried: a member is one if the message, with another text in
it, is read as of another object, event or reference.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
import pytest
from tests.connectors.samples import MAKERS, Sample
from tests.support.cards import guarded_body
from tests.support.heard_histories import OF_FAMILY, event_of, provider_of, request_of

from payhooks.catalogue import CATALOGUE
from payhooks.connectors import stripe
from payhooks.connectors.catalogued import Catalogued
from payhooks.connectors.contract import Heard, Incoming, Options, Provider
from payhooks.connectors.registry import PROVIDERS
from payhooks.errors import InvalidError
from payhooks.policy.card_references import is_reference

pytestmark = pytest.mark.shows("I14")

# Both have a right check digit and begin as Visa's do. Masked, both are 400012XXXXXX1237.
ONE: Final = "4000121000091237"
OTHER: Final = "4000121000171237"
_FORMS: Final = ("{}", "tr_{}")
_UNIFIED: Final = (
    "payment_succeeded",
    "payment_captured",
    "refund_succeeded",
    "dispute_opened",
    "payout_success",
)
# Parts of an event's id that name nothing: what happened, how much, who sends, a signature.
_NO_IDS: Final = frozenset(
    {
        "currency",
        "event",
        "object_payload_signature",
        "source",
        "success",
        "transaction_status",
        "value",
    }
)
# What an example need not have: it is read all the same.
_FURTHER: Final[Mapping[str, Mapping[str, Any]]] = {
    "adyen": {
        "/notificationItems/0/NotificationRequestItem": {"originalReference": "7914073381342285"}
    },
    "merchant-console": {
        "/event_body/object": {
            "refnum": "100061",
            "orderid": "o1",
            "invoice": "i1",
            "check": {"trackingcode": "t1"},
        }
    },
    "stripe": {"/data/object": {"latest_charge": "ch_1", "metadata": {"order_id": "o1"}}},
    "paypal": {
        "/resource": {
            "supplementary_data": {
                "related_ids": {"order_id": "o1", "authorization_id": "a1", "capture_id": "c1"}
            },
            "custom_id": "m1",
            "invoice_id": "i1",
        }
    },
}
_PAYPALS: Final[Mapping[str, Mapping[str, Any]]] = {
    "CHECKOUT.ORDER.APPROVED": {
        "id": "o1",
        "purchase_units": [
            {
                "custom_id": "m1",
                "invoice_id": "i1",
                "amount": {"value": "5.00", "currency_code": "EUR"},
            }
        ],
    },
    "CUSTOMER.DISPUTE.CREATED": {
        "dispute_id": "PP-D-1",
        "disputed_transactions": [{"seller_transaction_id": "t1", "invoice_number": "i1"}],
        "dispute_amount": {"value": "5.00", "currency_code": "EUR"},
    },
    "PAYMENT.PAYOUTS-ITEM.SUCCEEDED": {
        "payout_item_id": "p1",
        "transaction_id": "t1",
        "payout_item": {"sender_item_id": "s1", "amount": {"value": "5.00", "currency": "EUR"}},
    },
}


def _identity(provider: Provider, options: Options, heards: list[Heard]) -> list[object]:
    """Return all that tells the objects, events and references of messages from others."""
    found: list[object] = []
    for heard in heards:
        found.append((heard.object_id, heard.event_id))
        for unified in _UNIFIED:
            try:
                told = provider.tell(heard, unified, options)
            except InvalidError:
                continue
            found.append((told.object_id, told.payment_id, tuple(told.references)))
    return found


def _read(provider: Provider, incoming: Incoming, options: Options) -> list[object]:
    try:
        return _identity(provider, options, list(provider.read(incoming, options)))
    except InvalidError:
        return []


def _answered(sample: Sample, answer: bytes, about: str) -> list[object]:
    provider, options = sample.provider, sample.options
    [heard] = provider.read(sample.incoming, options)
    try:
        heards = provider.asked(msgspec.structs.replace(heard, object_id=about), answer, options)
    except InvalidError:
        return []
    return _identity(provider, options, list(heards))


def _places(said: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield where texts and numbers stand."""
    members: list[tuple[str | int, object]] = []
    if isinstance(said, dict):
        members = list(said.items())
    elif isinstance(said, list):
        members = list(enumerate(said))
    elif isinstance(said, (str, int)) and not isinstance(said, bool):
        yield path
    for step, member in members:
        yield from _places(member, (*path, step))


def _with(body: bytes, path: tuple[str | int, ...], value: str) -> bytes:
    said = json.loads(body)
    here = said
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return json.dumps(said).encode()


def _completed(name: str, body: bytes) -> bytes:
    said = json.loads(body)
    for pointer, members in _FURTHER.get(name, {}).items():
        here = said
        for step in pointer.split("/")[1:]:
            here = here[int(step) if isinstance(here, list) else step]
        here.update({each: value for each, value in members.items() if each not in here})
    return json.dumps(said).encode()


def _messages() -> Iterator[Any]:
    """Yield everything that a provider is known to send here: samples and examples."""
    for name in sorted(MAKERS):
        if name != "mollie":  # a form
            sample = MAKERS[name](0)
            incoming = sample.incoming._replace(body=_completed(name, sample.incoming.body))
            yield pytest.param(sample.provider, incoming, sample.options, id=name)
    for family in OF_FAMILY:
        provider, options = provider_of(family)
        for type_ in CATALOGUE.types:
            if type_.family == family and type_.example and CATALOGUE.kind_of(type_):
                incoming = request_of(family, event_of(family, type_.name))
                body = _completed(family, incoming.body)
                yield pytest.param(
                    provider, incoming._replace(body=body), options, id=f"{family} {type_.name}"
                )
    for word, resource in _PAYPALS.items():
        body = json.dumps({"id": "WH-1", "event_type": word, "resource": resource}).encode()
        incoming = Incoming("POST", "", {}, body)
        yield pytest.param(PROVIDERS["paypal"], incoming, {}, id=f"paypal {word}")


@pytest.mark.parametrize(("provider", "incoming", "options"), list(_messages()))
def test_a_message_is_read_as_of_the_same_object_event_and_references(
    provider: Provider, incoming: Incoming, options: Options
) -> None:
    """Two payments became one, and the second was never told."""
    tried, masked = 0, set()
    for path in _places(json.loads(incoming.body)):
        for form in _FORMS:
            body = _with(incoming.body, path, form.format(ONE))
            read = _read(provider, incoming._replace(body=body), options)
            other = _with(incoming.body, path, form.format(OTHER))
            if not read or read == _read(provider, incoming._replace(body=other), options):
                continue
            tried += 1
            kept = incoming._replace(body=guarded_body(body, provider.own_ids))
            if path[-1] not in _NO_IDS and _read(provider, kept, options) != read:
                masked.add((*path, form))
    assert tried
    assert masked == set()


@pytest.mark.parametrize("name", ["foloosi", "mollie"])
def test_so_is_what_a_provider_answers(name: str) -> None:
    """It comes in place of a signed message."""
    sample = MAKERS[name](0)
    answer = json.loads(sample.answer)
    if name == "foloosi":
        answer["data"] |= {"optional1": "o1"}
    else:
        answer |= {"metadata": {"order_id": "o1"}, "orderId": "ord_1"}
    body = json.dumps(answer).encode()
    [asked] = sample.provider.read(sample.incoming, sample.options)
    tried = 0
    for path in _places(answer):
        for form in _FORMS:
            one, other = form.format(ONE), form.format(OTHER)
            for about, about_other in ((asked.object_id,) * 2, (one, other)):
                said = _with(body, path, one)
                read = _answered(sample, said, about)
                if read and read != _answered(sample, _with(body, path, other), about_other):
                    tried += path[-1] not in _NO_IDS
                    if path[-1] not in _NO_IDS:
                        assert _answered(sample, guarded_body(said), about) == read, path
    assert tried >= 3


def test_what_a_form_points_at_stays() -> None:
    """Mollie sends no more than the id of a payment."""
    assert guarded_body(f"id=tr_{ONE}".encode()) == f"id=tr_{ONE}".encode()


def _declared() -> Iterator[Any]:
    for name, provider in PROVIDERS.items():
        if isinstance(provider, Catalogued):
            for place in provider.places.values():
                for pointer in {*place.id, *place.payment_id, *place.references}:
                    yield name, pointer
    for row in stripe._ROWS.values():  # noqa: SLF001 - nothing else names them
        for pointer in {*row.object_id, *row.payment_id, *row.references}:
            yield "stripe", pointer


@pytest.mark.parametrize(("name", "pointer"), sorted(set(_declared())))
def test_every_pointer_to_an_id_or_a_reference_is_known_as_one(name: str, pointer: str) -> None:
    """The next provider's names are to be added to policy/card_references.py."""
    path = [int(step) if step.isdecimal() else step for step in pointer.split("/")[1:]]
    for form in _FORMS:
        assert is_reference(path, form.format(ONE)), (name, pointer)


@pytest.mark.parametrize("as_text", [False, True], ids=["an object", "its text"])
def test_the_reference_of_the_acquirers_transaction_stays(*, as_text: bool) -> None:
    """It stands below `card`, and is none. Treezor sends that as an object or as its text."""
    further: object = {"card": {"externalProvider": {"transactionReference": ONE}}}
    payin = {"additionalData": json.dumps(further) if as_text else further}
    body = json.dumps({"object_payload": {"payins": [payin]}}).encode()
    assert guarded_body(body) == body
