"""One good request of every provider that we hear, for tests that ask the same of each.

Whoever adds a provider adds his sample here, and nothing else is needed for the contract test.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import msgspec
from tests.connectors import answered_by_mollie, signed_by_adyen, signed_by_paypal
from tests.support.dialect_events import MERCHANT, endpoint_of, new_event_id
from tests.support.heard_histories import NOW, event_of

from payhooks.connectors import custom
from payhooks.connectors.catalogued import Catalogued
from payhooks.connectors.contract import Incoming, Keys, Options, Provider
from payhooks.connectors.registry import PROVIDERS
from payhooks.dialects.contract import Dialect
from payhooks.dialects.stripe import STRIPE as STRIPE_DIALECT
from payhooks.model.event import Event

_RANDOM: Final = (b"n" * 32, b"b" * 32)  # of the newest secret, and of the one before it
_STRANGERS_RANDOM: Final = b"s" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A request that tells of money, what verifies it, and some that nothing may verify."""

    provider: Provider
    incoming: Incoming
    keys: Keys
    now: datetime
    tells: str  # the unified event
    strangers: Keys  # somebody else's
    forged: tuple[Incoming, ...] = ()  # with something changed that was signed
    options: Options = field(default_factory=dict)
    answer: bytes = b""  # to what is asked; where nothing is, nothing


# Makes the sample, signed with the newest secret (0) or with the one before it (1).
Maker = Callable[[int], Sample]


def _adyen(which: int) -> Sample:
    keys = (signed_by_adyen.KEY, signed_by_adyen.OTHER_KEY)
    item = signed_by_adyen.signed(signed_by_adyen.PAYMENT, keys[which])
    changes: tuple[dict[str, Any], ...] = (
        {"pspReference": "7914073381342285"},
        {"amount": {"value": 113_000, "currency": "EUR"}},
        {"amount": {"value": 1130, "currency": "USD"}},
        {"success": "false"},
        {"eventCode": "REFUND"},
        {"merchantReference": "another"},
    )
    return Sample(
        provider=PROVIDERS["adyen"],
        incoming=signed_by_adyen.batch(item),
        keys=Keys(keys),
        now=signed_by_adyen.NOW,
        tells="payment_succeeded",
        strangers=Keys(("00" * 32,)),
        forged=tuple(signed_by_adyen.batch({**item, **change}) for change in changes),
    )


def _mollie(which: int) -> Sample:
    return Sample(
        provider=PROVIDERS["mollie"],
        incoming=answered_by_mollie.called(f"id={answered_by_mollie.ID}".encode()),
        keys=answered_by_mollie.LIVE,
        now=answered_by_mollie.NOW,
        tells="payment_succeeded",
        strangers=Keys(()),
        answer=json.dumps(answered_by_mollie.PAID).encode(),
    )


def _paypal(which: int) -> Sample:
    incoming = signed_by_paypal.signed(signed_by_paypal.BODY)
    changed = {"paypal-transmission-id": "another", "paypal-transmission-time": "2030-01-10"}
    stranger = signed_by_paypal.chain(authority="Stranger")
    return Sample(
        provider=signed_by_paypal.provider(),
        incoming=incoming,
        keys=signed_by_paypal.keys(),
        now=signed_by_paypal.NOW,
        tells="payment_succeeded",
        strangers=signed_by_paypal.keys(stranger.pem),
        forged=(
            incoming._replace(body=incoming.body.replace(b"5.00", b"9.00")),
            incoming._replace(headers={}),
            *(
                incoming._replace(headers={**incoming.headers, name: value})
                for name, value in changed.items()
            ),
            signed_by_paypal.signed(signed_by_paypal.BODY, webhook_id="1JE4291016473214C"),
        ),
        options=signed_by_paypal.OPTIONS,
    )


def _foloosi(which: int) -> Sample:
    number = "FLSAPI1234567"
    details = {
        "transaction_no": number,
        "transaction_status": "success",
        "transaction_amount": "10.00",
        "transaction_currency": "AED",
    }
    body = json.dumps({"data": {"transfer": details}}).encode()
    return Sample(
        provider=PROVIDERS["foloosi"],
        incoming=Incoming("POST", "", {"content-type": "application/json"}, body),
        keys=Keys((), "the-account's-key"),
        now=NOW,
        tells="payment_succeeded",
        strangers=Keys(()),
        answer=json.dumps({"data": details}).encode(),
    )


def _stripe(which: int) -> Sample:
    data = {"id": "pi_1", "object": "payment_intent", "amount": 1130, "currency": "eur"}
    event = msgspec.structs.replace(
        event_of("owngateway", "payment_succeeded"),
        type="payment_intent.succeeded",
        data=json.dumps(data).encode(),
    )
    return _written(PROVIDERS["stripe"], STRIPE_DIALECT, event, which, tells="payment_succeeded")


# What each of the others sends here: whose words, which type, and what that means.
_EXAMPLES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "owlpay": ("owlpay", "payment_intent.captured", "payment_succeeded"),
        "treezor": ("treezor", "payin.create", "payment_processing"),
        "merchant-console": ("merchant-console", "transaction.sale.success", "payment_succeeded"),
        "owngateway": ("owngateway", "payment_succeeded", "payment_succeeded"),
        "hyperswitch": ("owngateway", "payment_succeeded", "payment_succeeded"),
        "standard": ("owngateway", "payment_succeeded", "payment_succeeded"),
        "cloudevents": ("owngateway", "payment_succeeded", "payment_succeeded"),
        "custom": ("owngateway", "payment_succeeded", "payment_succeeded"),
    }
)


def _of_the_catalogue(name: str) -> Maker:
    def make(which: int) -> Sample:
        family, type_name, tells = _EXAMPLES[name]
        provider: Provider = PROVIDERS[name]
        if name == "custom":
            assert MERCHANT.custom_dialect is not None
            provider = custom.bind(MERCHANT.custom_dialect)
        assert isinstance(provider, Catalogued)
        event = event_of(family, type_name)
        return _written(provider, provider.dialect, event, which, tells=tells)

    return make


def _written(
    provider: Provider, dialect: Dialect, event: Event, which: int, *, tells: str
) -> Sample:
    """Return the sample of a provider in whose language we write as well."""
    event = msgspec.structs.replace(event, id=new_event_id(), occurred_at=NOW - timedelta(hours=1))
    secrets = [dialect.new_secret(random) for random in _RANDOM]
    rendered = dialect.render(event=event, endpoint=endpoint_of(dialect.name), merchant=MERCHANT)
    signed = dialect.sign(
        message_id="msg_1",
        body=rendered.body,
        secrets=[dialect.signing_secret(secrets[which])],
        now=NOW,
    )
    headers = {name.lower(): value for name, value in signed.headers}
    headers["content-type"] = rendered.content_type
    incoming = Incoming("POST", "", headers, signed.body)
    assert event.object_id is not None
    return Sample(
        provider=provider,
        incoming=incoming,
        keys=Keys(secrets),
        now=NOW,
        tells=tells,
        strangers=Keys((dialect.new_secret(_STRANGERS_RANDOM),)),
        forged=(
            incoming._replace(body=_one_digit_changed(signed.body)),
            incoming._replace(body=signed.body[:-1]),
            # Some have the signature in the body, and would miss nothing.
            *([incoming._replace(headers={})] if signed.headers else []),
        ),
    )


def _one_digit_changed(body: bytes) -> bytes:
    """Return *body* with another digit in the middle of it, where data is."""
    places = [at for at, char in enumerate(body) if chr(char).isdigit()]
    at = places[len(places) // 2]
    return body[:at] + (b"1" if body[at : at + 1] != b"1" else b"2") + body[at + 1 :]


MAKERS: Final[Mapping[str, Maker]] = MappingProxyType(
    {
        "adyen": _adyen,
        "foloosi": _foloosi,
        "mollie": _mollie,
        "paypal": _paypal,
        "stripe": _stripe,
        **{name: _of_the_catalogue(name) for name in _EXAMPLES},
    }
)
