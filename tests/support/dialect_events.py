"""Events that every dialect can carry, and the merchant and endpoint that they go to."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from types import MappingProxyType
from typing import Any, Final, Self

import msgspec

from payhooks.catalogue.registry import CATALOGUE
from payhooks.dialects.contract import NO_OPTIONS, Dialect, Options, SigningSecret, VerifyingSecret
from payhooks.dialects.registry import bound
from payhooks.ids import (
    DELIVERY,
    EndpointId,
    EventId,
    MerchantId,
    TimeOrderedIds,
    delivery_id,
    to_text,
)
from payhooks.model.custom_dialect import CustomDialect
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.event import Event
from payhooks.model.event_type import EventType
from payhooks.model.merchant import CardNumbers, Merchant, Mode, TypeCheck
from payhooks.testing.clock import ManualClock

AT: Final = datetime(2030, 1, 1, tzinfo=UTC)
_IDS: Final = TimeOrderedIds(ManualClock(AT), Random(1))

_CUSTOM: Final = CustomDialect(
    version=1,
    signature_header="X-Shop-Signature",
    signature_prefix="sha256=",
    signed="{timestamp}.{body}",
    timestamp_header="X-Shop-Timestamp",
    envelope='{"event":"{type}","id":"{id}","at":"{timestamp}","kind":"{object_type}",'
    '"about":"{object_id}","shop":"{merchant_reference}","data":"{data}"}',
)
# As the API takes it.
CUSTOM_DIALECT: Final = {
    name: value for name, value in msgspec.to_builtins(_CUSTOM).items() if name != "version"
}

MERCHANT: Final = Merchant(
    id=MerchantId(_IDS.new()),
    name="Corner shop",
    mode=Mode.SANDBOX,
    reference="corner-shop",
    families=(),
    provider_ids=(),
    card_numbers=CardNumbers.REPORT,
    type_check=TypeCheck.WARN,
    account_id=None,
    version=1,
    created_at=AT,
    updated_at=AT,
    custom_dialect=_CUSTOM,
)

# What a dialect's samples are about, where it cannot carry a payment as it stands.
_OBJECT_TYPES: Final[Mapping[str, str]] = MappingProxyType({"treezor": "payin", "foloosi": "order"})
_TEXTS: Final = ["", "succeeded", "Zürich", "a/b", '"', "\\", "\u2028", "\x7f", "😀", "<&>", "\t"]
_NAMES: Final = ["amount", "note", "a b", "é", "x/y", "list"]
_NUMBERS: Final = ["0", "-0", "1.10", "1e2", "20.0", "6540", "12345678901234567890123", "1E-7"]
_METADATA: Final = b'{"tenant":"a","changes":{"status":"settled"}}'
_SPACES: Final = ["", "", " ", "\n  "]


def endpoint_of(dialect: str, options: Options = NO_OPTIONS) -> Endpoint:
    """Return an endpoint that hears *dialect*."""
    return Endpoint(
        id=EndpointId(MERCHANT.id),
        merchant_id=MERCHANT.id,
        number=1,
        label="Ledger",
        url="https://example.com/hooks",
        events=("*",),
        status=EndpointStatus.ACTIVE,
        disabled_reason=None,
        version=1,
        created_at=AT,
        updated_at=AT,
        dialect=dialect,
        dialect_options=tuple(options.items()),
    )


def sample_object_type(dialect: str) -> str:
    """Return what kind of thing ``sample_data`` tells of."""
    return _OBJECT_TYPES.get(dialect, "payment")


def sample_data(dialect: str, members: str | None = None) -> bytes:
    """Return data that *dialect* can carry; *members* is the object it tells of, as JSON text."""
    text = '{"payment_id":"pay_1","amount":6540,"rate":1.10}' if members is None else members
    # An object of one plural key, which holds a list: the only data there is for it.
    return (f'{{"payins":[{text}]}}' if dialect == "treezor" else text).encode()


def sample_publication(dialect: str) -> dict[str, Any]:
    """Return what is published to send such data, but for its type."""
    return {
        "data": json.loads(sample_data(dialect)),
        "object": {"type": sample_object_type(dialect), "id": "pay_1"},
    }


def new_event_id() -> EventId:
    """Return an id that no other event here has."""
    return EventId(_IDS.new_event())


def drawn_events(dialect: str, *, count: int, seed: int) -> list[Event]:
    """Return events of every family in turn, with and without what an event may lack.

    Their data has the spellings that decoding and encoding again would change.
    """
    random = Random(seed)
    types = [type_ for type_ in CATALOGUE.types if _may_tell_of_payins(type_, dialect)]
    return [
        _drawn_event(random, dialect, types[number % len(types)], number) for number in range(count)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request as a receiver sees it, and what it verifies it with."""

    raw_headers: tuple[tuple[str, str], ...]  # as they are spelled
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    verifying: Sequence[VerifyingSecret]
    now: datetime

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return the same with other headers."""
        return replace(self, headers=headers)

    def with_body(self, body: bytes) -> Self:
        """Return the same with another body."""
        return replace(self, body=body)


def spoken(name: str) -> Dialect:
    """Return the dialect of this name as MERCHANT speaks it."""
    return bound(name, MERCHANT)


def attempt_of(
    dialect: Dialect,
    event: Event,
    *,
    secrets: Sequence[SigningSecret] | None = None,
    now: datetime = AT,
) -> Attempt:
    """Return an attempt of *event*, signed with a secret of its own or with these."""
    text = dialect.new_secret(bytes(range(32)))
    if secrets is None:
        secrets = [dialect.signing_secret(text)]
    assert dialect.refusal(event) is None, "drawn so that it can be carried"
    rendered = dialect.render(event=event, endpoint=endpoint_of(dialect.name), merchant=MERCHANT)
    message_id = to_text(DELIVERY, delivery_id(event.id, 1))
    signed = dialect.sign(message_id=message_id, body=rendered.body, secrets=secrets, now=now)
    return Attempt(
        raw_headers=signed.headers,
        headers={name.lower(): value for name, value in signed.headers},
        body=signed.body,
        verifying=[dialect.verifying_secret(text)],
        now=now,
    )


def _may_tell_of_payins(type_: EventType, dialect: str) -> bool:
    # Treezor's other names go with other plural keys, and a reader refuses what does not agree.
    own = dialect == type_.family == "treezor"
    return not own or type_.name.startswith("payin.")


def _drawn_event(random: Random, dialect: str, type_: EventType, number: int) -> Event:
    about = random.random() < 0.7
    # What a dialect whose events have no id of their own dedupes by.
    drawn = _drawn_object(random, f'"transaction_no":"t{number}"', depth=3)
    at = AT.replace(microsecond=random.randrange(1_000_000), second=number % 60)
    return Event(
        id=new_event_id(),
        merchant_id=MERCHANT.id,
        type=type_.name,
        family=type_.family,
        data=sample_data(dialect, drawn),
        object_type=sample_object_type(dialect) if about else None,
        object_id=f"obj_{number}" if about else None,
        occurred_at=at if random.random() < 0.5 else None,
        metadata=_METADATA if random.random() < 0.3 else None,
    )


def _drawn_object(random: Random, *first: str, depth: int) -> str:
    names = random.sample(_NAMES, random.randrange(len(_NAMES)))
    members = [
        f"{_space(random)}{json.dumps(name)}{_space(random)}:{_space(random)}"
        f"{_drawn(random, depth=depth - 1)}"
        for name in names
    ]
    return "{" + ",".join([*first, *members]) + _space(random) + "}"


def _drawn(random: Random, *, depth: int) -> str:
    kind = random.randrange(6 if depth else 4)
    if kind == 0:
        return json.dumps(random.choice(_TEXTS), ensure_ascii=random.random() < 0.5)
    if kind == 1:
        return random.choice(_NUMBERS)
    if kind in (2, 3):
        return random.choice(["true", "null", '"succeeded"', "10"])
    if kind == 4:
        return _drawn_object(random, depth=depth)
    items = [_drawn(random, depth=depth - 1) for _ in range(random.randrange(4))]
    return "[" + f"{_space(random)},".join(items) + "]"


def _space(random: Random) -> str:
    return random.choice(_SPACES)
