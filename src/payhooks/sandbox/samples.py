"""An example of any event: what `payhooks trigger` publishes where the catalogue has none."""

import copy
from dataclasses import dataclass, field
from typing import Any, Final

_WORDS_OF_OBJECTS: Final = (
    "payment_intent", "payment", "transaction", "refund", "dispute", "mandate", "payout",
    "payin", "order", "transfer", "settlement", "customer", "card",
)  # fmt: skip
_SEPARATORS: Final = str.maketrans({".": "_", "-": "_"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """An event to publish. ``data`` may be edited before that."""

    object_type: str
    object_id: str
    data: dict[str, Any] = field(default_factory=dict)


def sample_of(event_type: str, *, example: dict[str, Any] | None, suffix: str) -> Sample:
    """Return an example of the type: the catalogue's, or one that looks like a payment's.

    *suffix* makes the object's id, so whoever wants another object draws another.
    """
    object_type = _object_type(event_type)
    object_id = f"{object_type}_{suffix}"
    data = copy.deepcopy(example)
    if data is None:
        data = {
            "id": object_id,
            "object": object_type,
            "status": event_type.translate(_SEPARATORS).rsplit("_", 1)[-1],
            "amount": "12.50",
            "currency": "EUR",
        }
    return Sample(object_type=object_type, object_id=object_id, data=data)


def _object_type(event_type: str) -> str:
    # The longest words first, so that payment_intent is not a payment.
    plain = event_type.translate(_SEPARATORS)
    for word in _WORDS_OF_OBJECTS:
        if word in plain:
            return word
    return "object"
