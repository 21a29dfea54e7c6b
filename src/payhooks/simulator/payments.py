"""Payments as their provider tells of them: short lives, a message for each thing that happened.

Pure. The words are OwlPay's; amounts are such that several messages of one life mean the same.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

_AMOUNT: Final = 1_000
_PART: Final = {"status": "partial_refund", "captured_amount": 400}
_WHOLE: Final = {"status": "captured", "captured_amount": _AMOUNT}
_FIRST_REFUND: Final = {"refund": {"uuid": "first", "amount": 300}}
_SECOND_REFUND: Final = {"refund": {"uuid": "second", "amount": 300}}
_SETTLEMENT: Final = {"settlement": {"uuid": "payout", "amount": _AMOUNT}}

# By what becomes of the payment: each message, and what changed with it.
LIVES: Final[Mapping[str, tuple[tuple[str, Mapping[str, Any]], ...]]] = MappingProxyType(
    {
        "captured": (("created", {}), ("authorized", {}), ("captured", _WHOLE)),
        # Each part says what it took by itself, so two of them mean the same.
        "captured in parts": (
            ("authorized", {}),
            ("partial_captured", _PART),
            ("partial_captured", _PART),
            ("captured", _WHOLE),
        ),
        "refunded": (
            ("authorized", {}),
            ("captured", _WHOLE),
            ("refund_created", _FIRST_REFUND),
            ("refunded", {"status": "partial_refund"}),
            ("refund_created", _SECOND_REFUND),
            ("refunded", {}),
        ),
        "failed, then captured": (
            ("failed", {"failure": {"code": "declined", "reason": "Declined."}}),
            ("authorized", {}),
            ("captured", _WHOLE),
        ),
        "settled": (
            ("captured", _WHOLE),
            ("request_settle", _SETTLEMENT),
            ("payout_failed", {}),
            # The same once more, which means what it says only because of what lies between.
            ("request_settle", {}),
            ("payout_failed", {}),
            ("request_settle", {}),
            ("payout_finished", {}),
        ),
        "voided": (
            ("authorized", {}),
            ("captured", _WHOLE),
            ("cancel_authorization", {"status": "cancelled"}),
            ("voided", {}),
        ),
        "cancelled": (("authorized", {}), ("cancel_authorization", {"status": "cancelled"})),
    }
)


class Happened(NamedTuple):
    """One thing that happened to a payment: what is equal in every message of it."""

    observation: str
    payment: bytes  # raw JSON, as it is since then


def lived(life: str, payment_id: str, since: datetime) -> Iterator[Happened]:
    """Yield what happens to a payment, in order, a second after the other."""
    payment: dict[str, Any] = {
        "uuid": payment_id,
        "amount": _AMOUNT,
        "currency": "EUR",
        "captured_amount": 0,
    }
    for number, (word, changes) in enumerate(LIVES[life]):
        payment |= changes
        at = since + timedelta(seconds=number)
        said = payment | {"updated_at": at.isoformat(timespec="seconds")}
        # Others have names of their own for theirs.
        for part in ("refund", "settlement"):
            if part in said:
                said[part] = said[part] | {"uuid": f"{payment_id}.{said[part]['uuid']}"}
        yield Happened(f"payment_intent.{word}", msgspec.json.encode(said))


def message(happened: Happened, attempt: str) -> bytes:
    """Return the body of one attempt to tell of it; *attempt* differs each time."""
    return msgspec.json.encode(
        {
            "uuid": attempt,
            "api_version": "1.0.0",
            "is_test": 1,
            "observation": happened.observation,
            "data": {"payment_intent": msgspec.Raw(happened.payment)},
        }
    )
