"""One request in each dialect: what the docs print, and what their snippets are tried on.

It is made by the step that sends, so headers and body are those of a delivery.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Any, Final

import msgspec
from tests.support.dialect_events import MERCHANT, endpoint_of

from payhooks.dialects.contract import Dialect
from payhooks.dialects.registry import bound
from payhooks.flow.routing import RoutingTable
from payhooks.flow.send import Sender
from payhooks.ids import TimeOrderedIds, delivery_id
from payhooks.model.attempt import Outcome
from payhooks.model.endpoint import Signature, SignatureType
from payhooks.model.event import Event
from payhooks.model.secret import SealedSecret, SecretPurpose
from payhooks.ports.accepting import Routing
from payhooks.ports.leasing import Leased
from payhooks.ports.transport import OutboundRequest
from payhooks.testing.clock import ManualClock

SENT_AT: Final = datetime(2024, 3, 22, 9, 41, 44, tzinfo=UTC)
_HAPPENED_AT: Final = datetime(2024, 3, 22, 9, 41, 43, 342_000, tzinfo=UTC)
_MERCHANT: Final = msgspec.structs.replace(
    MERCHANT,
    provider_ids=(("merchant_id", "merchant_1710609960"), ("merch_key", "7qwnw4j2kmqvrb3")),
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Story:
    """What happened, in the words of those who speak the dialect."""

    type: str
    about: tuple[str, str]
    data: Json
    family: str = "shop"
    metadata: Json = field(default_factory=dict)


_PAYMENT: Final = _Story(
    type="payment_succeeded",
    about=("payment", "pay_6AMmb6rtlPDarBLlotAH"),
    family="owngateway",
    data={
        "payment_id": "pay_6AMmb6rtlPDarBLlotAH",
        "status": "succeeded",
        "amount": 6540,
        "currency": "USD",
        "updated": "2024-03-22T09:41:43.342Z",
    },
)
_STORIES: Final[Mapping[str, _Story]] = MappingProxyType(
    {
        "owlpay": _Story(
            type="payment_intent.captured",
            about=("payment_intent", "pi_test"),
            family="owlpay",
            data={
                "uuid": "pi_test",
                "object": "payment_intent",
                "status": "captured",
                "amount": 1000,
                "currency": "TWD",
                "updated_at": "2024-03-22T09:41:43+00:00",
            },
        ),
        "treezor": _Story(
            type="payin.update",
            about=("payin", "707206"),
            family="treezor",
            data={
                "payins": [
                    {
                        "payinId": "707206",
                        "payinStatus": "VALIDATED",
                        "amount": "11.26",
                        "walletEventName": "Café “held”",
                        "forwardUrl": "https://example.com/a/b",
                    }
                ]
            },
        ),
        "merchant-console": _Story(
            type="ach.settled",
            about=("transaction", "1nftvzx7xtcggm3"),
            family="merchant-console",
            data={
                "type": "transaction",
                "key": "1nftvzx7xtcggm3",
                "refnum": "100758",
                "uri": "transactions/1nftvzx7xtcggm3",
            },
            metadata={
                "changes": {
                    "old": {"status": "B", "settled": None},
                    "new": {"status": "S", "settled": "2024-03-22"},
                }
            },
        ),
        "foloosi": replace(
            _PAYMENT,
            data={
                "transaction_status": "success",
                "transaction_no": "FLNIAREC61a859e4a8977",
                "payment_reference": "e8807a6b-4496-4b4d-a101-7eec0cf60754",
                "transaction_amount": "100",
                "transaction_currency": "AED",
            },
        ),
        "stripe": _Story(
            type="payment_intent.succeeded",
            about=("payment_intent", "pi_test"),
            data={
                "id": "pi_test",
                "object": "payment_intent",
                "amount": 6540,
                "currency": "usd",
                "status": "succeeded",
            },
        ),
    }
)


def spoken(dialect: str) -> Dialect:
    """Return a dialect as the merchant of the docs speaks it."""
    return bound(dialect, _MERCHANT)


def secret_of(dialect: str, *, first: int = 0) -> str:
    """Return the text of a secret that the docs show; others begin with another byte."""
    return spoken(dialect).new_secret(bytes(range(first, first + 32)))


def request_in(
    dialect: str, *, sent_at: datetime = SENT_AT, secrets: Sequence[str] | None = None
) -> OutboundRequest:
    """Return one attempt in *dialect*, signed with its own secret or with these, newest first.

    No secrets: of an endpoint that wants no signature.
    """
    event = _event(_STORIES.get(dialect, _PAYMENT))
    texts = [secret_of(dialect)] if secrets is None else secrets
    signature = SignatureType.ENDPOINT_SECRET if texts else SignatureType.NONE
    endpoint = msgspec.structs.replace(endpoint_of(dialect), signature=Signature(type=signature))
    held = [
        SealedSecret(
            id=bytes([number]),
            merchant_id=_MERCHANT.id,
            owner_id=endpoint.id,
            purpose=SecretPurpose.ENDPOINT,
            sealed=text.encode(),
            created_at=sent_at - timedelta(days=1 + number),
            expires_at=None,
        )
        for number, text in enumerate(texts)
    ]
    routing = Routing(
        merchant=_MERCHANT, version=1, endpoints=(endpoint,), secrets=tuple(held), keys=()
    )
    table = RoutingTable(routing, lambda secret: secret.sealed.decode())
    leased = Leased(
        id=delivery_id(event.id, endpoint.number),
        endpoint_id=endpoint.id,
        merchant_id=_MERCHANT.id,
        event=event,
        fence=1,
        attempts_made=0,
        lease_s=30.0,
        order_key=None,
        dialect=dialect,
        dialect_version=spoken(dialect).version,
        replay_id=None,
        replay_bulk=None,
        rendered=None,
        routing_version=1,
        lane_failing=False,
        lane_probe=False,
    )
    taken = _Taken()
    sender = Sender(transport=taken, clock=ManualClock(sent_at), allow_http=False)
    sender.begin(leased, endpoint, table, lambda _sent: None, deadline_s=leased.lease_s)
    [request] = taken.requests
    return request


def named(request: OutboundRequest) -> dict[str, str]:
    """Return the headers by their names in lower case, as most servers give them."""
    return {name.lower(): value for name, value in request.headers}


class _Taken:
    """The way out, as far as the first step of it."""

    def __init__(self) -> None:
        self.requests: list[OutboundRequest] = []

    def begin(self, request: OutboundRequest, done: Callable[[Outcome], None]) -> None:
        self.requests.append(request)

    async def close(self) -> None:
        """Nothing is open."""


def _event(story: _Story) -> Event:
    ids = TimeOrderedIds(ManualClock(_HAPPENED_AT), Random(1))
    metadata = json.dumps(story.metadata, separators=(",", ":")).encode()
    return Event(
        id=ids.new_event(),
        merchant_id=_MERCHANT.id,
        type=story.type,
        family=story.family,
        data=json.dumps(story.data, ensure_ascii=False, separators=(",", ":")).encode(),
        object_type=story.about[0],
        object_id=story.about[1],
        occurred_at=_HAPPENED_AT,
        metadata=metadata if story.metadata else None,
    )
