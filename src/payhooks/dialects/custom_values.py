"""What the placeholders of a custom envelope print: each one JSON value of an event."""

from collections.abc import Callable, Mapping
from typing import Final

from payhooks.dialects.printed import encode_json, happened_at, iso_microseconds
from payhooks.ids import DELIVERY, MERCHANT, delivery_id, to_text
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant

DATA: Final = "data"


def _printed_id(event: Event, endpoint: Endpoint) -> bytes:
    # What the id header says: equal on every attempt, and one per delivery.
    return encode_json(to_text(DELIVERY, delivery_id(event.id, endpoint.number)))


def _printed_time(event: Event) -> bytes:
    return f'"{iso_microseconds(happened_at(event))}"'.encode()


def _merchant_id(merchant: Merchant) -> bytes:
    ours = to_text(MERCHANT, merchant.id)
    return encode_json(dict(merchant.provider_ids).get("merchant_id", ours))


# What each placeholder of an envelope prints: one JSON value.
PRINTED: Final[Mapping[str, Callable[[Event, Endpoint, Merchant], bytes]]] = {
    "type": lambda event, _endpoint, _merchant: encode_json(event.type),
    "id": lambda event, endpoint, _merchant: _printed_id(event, endpoint),
    "timestamp": lambda event, _endpoint, _merchant: _printed_time(event),
    "unix": lambda event, _endpoint, _merchant: b"%d" % happened_at(event).timestamp(),
    # Spliced, not encoded: decoding data would change the spelling of its numbers.
    DATA: lambda event, _endpoint, _merchant: event.data,
    "object_type": lambda event, _endpoint, _merchant: encode_json(event.object_type),
    "object_id": lambda event, _endpoint, _merchant: encode_json(event.object_id),
    "merchant_id": lambda _event, _endpoint, merchant: _merchant_id(merchant),
    "merchant_reference": lambda _event, _endpoint, merchant: encode_json(merchant.reference),
    "mode": lambda _event, _endpoint, merchant: encode_json(merchant.mode),
}
