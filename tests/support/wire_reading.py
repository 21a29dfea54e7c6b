"""What a receiver reads of a request, in each provider's own words and with nothing of the product.

Written from the envelopes that the providers print. What a dialect does not print is None, and
nothing is taken for it from anywhere else.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from tests.support.captured import Captured

_DETAILS: Final = "_details"
# Where a provider's objects have their own id; Treezor's are one inside a list.
_ID_MEMBERS: Final = {"owlpay": "uuid", "merchant-console": "key", "foloosi": "id"}
_TREEZOR_IDS: Final = {
    "authorizations": "authorizationId",
    "chargebacks": "payinrefundId",  # it has none, but is known by the refund that it makes
    "payins": "payinId",
    "payinrefunds": "payinrefundId",
    "topupCards": "topupCardId",
}
_OWNGATEWAY_IDS: Final = (
    "dispute_id", "refund_id", "payout_id", "mandate_id", "payment_id", "id",
)  # fmt: skip


class Told(NamedTuple):
    """One request, as read."""

    message: str  # the same for every time that it is sent
    type: str | None
    object_type: str | None
    object_id: str | None
    data: Mapping[str, Any]


def told(dialect: str, request: Captured) -> Told:
    """Return what *request* says to a receiver of *dialect*."""
    return _READERS[dialect](request, json.loads(request.body))


def own_id(family: str, data: Mapping[str, Any]) -> str | None:
    """Return the id that the provider's object has inside itself."""
    if family == "treezor":
        [(plural, [found])] = data.items()
        return str(found[_TREEZOR_IDS[plural]])
    if family == "owngateway":
        # What is about a payment names that too; a subscription calls its own id just that.
        return next((str(data[name]) for name in _OWNGATEWAY_IDS if name in data), None)
    found = data.get(_ID_MEMBERS[family])
    return None if found is None else str(found)


def can_carry(dialect: str, data: Mapping[str, Any]) -> bool:
    """Whether *dialect* has a place for such data: Treezor's has only for lists with one name."""
    return dialect != "treezor" or (
        len(data) == 1 and all(isinstance(value, list) for value in data.values())
    )


def _standard(request: Captured, body: Any) -> Told:  # noqa: ANN401 - JSON is anything
    return Told(request.named["webhook-id"], body["type"], None, None, body["data"])


def _owlpay(_: Captured, body: Any) -> Told:  # noqa: ANN401 - JSON is anything
    [(kind, data)] = body["data"].items()
    return Told(body["uuid"], body["observation"], kind, None, data)


def _treezor(_: Captured, body: Any) -> Told:  # noqa: ANN401 - JSON is anything
    return Told(
        body["webhook_id"],
        body["webhook"],
        body["object"],
        body["object_id"],
        body["object_payload"],
    )


def _merchant_console(_: Captured, body: Any) -> Told:  # noqa: ANN401 - JSON is anything
    return Told(body["event_id"], body["event_type"], None, None, body["event_body"]["object"])


def _foloosi(request: Captured, body: Any) -> Told:  # noqa: ANN401 - JSON is anything
    # It prints no id of the webhook; its body is the same each time, and no time is in it.
    message = hashlib.sha256(request.body).hexdigest()
    [(kind, data)] = body["data"].items()
    # What is no order is a transfer there, whatever it is.
    return Told(message, body.get("event"), kind if kind == "order" else None, None, data)


def _owngateway(_: Captured, body: Any) -> Told:  # noqa: ANN401 - JSON is anything
    content = body["content"]
    kind = content["type"].removesuffix(_DETAILS)
    return Told(body["event_id"], body["event_type"], kind, None, content["object"])


def _stripe(_: Captured, body: Any) -> Told:  # noqa: ANN401 - JSON is anything
    return Told(body["id"], body["type"], None, None, body["data"]["object"])


def _cloudevents(_: Captured, body: Any) -> Told:  # noqa: ANN401 - JSON is anything
    kind, _slash, number = body["subject"].partition("/")
    return Told(body["id"], body["type"], kind, number, body["data"])


def _custom(_: Captured, body: Any) -> Told:  # noqa: ANN401 - JSON is anything
    return Told(body["id"], body["event"], body["kind"], body["about"], body["data"])


_READERS: Final[Mapping[str, Callable[[Captured, Any], Told]]] = {
    "standard": _standard,
    "owlpay": _owlpay,
    "treezor": _treezor,
    "merchant-console": _merchant_console,
    "foloosi": _foloosi,
    "owngateway": _owngateway,
    "hyperswitch": _owngateway,
    "stripe": _stripe,
    "cloudevents": _cloudevents,
    "custom": _custom,
}
