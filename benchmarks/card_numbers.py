"""What it costs to look for card data in the data of an event, by what is in it.

    python -m benchmarks.card_numbers

Beside the time, what it is for each KB; of what is made to be slow, the largest that is let in.
"""

import json
import statistics
import time
from dataclasses import dataclass
from typing import Final

from benchmarks.load import payment
from payhooks import limits
from payhooks.policy.card_numbers import found

ROUNDS: Final = 101
_LOOKS: Final = 100  # of a round
_CARD: Final = "4111111111111111"
_SHORT: Final = {
    "id": "pi_3f2a9c0de1b24f6a9d31",
    "amount": 12550,
    "detail": {"tax": "12.50", "discount": "0.00", "subtotal": "113.00"},
    "status": "captured",
    "created_at": "2026-11-20T12:30:45.123456Z",
    "customer": {"name": "Maria Gonzalez", "phone": "+34 612 345 678", "zip": "28013"},
    "card": {"number": "4444xxxxxxxxx7779", "expiration": "1227", "cvc": {"result": "Match"}},
}
_LONG: Final = {"reference": "2026000817264413", "at_ms": 1732186800000, "batch": "409384000000"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The median of the rounds, for each look."""

    name: str
    us: float
    kib: float
    places: int

    def __str__(self) -> str:
        each = self.us / self.kib
        return f"{self.name:<28} {self.us:9.2f} us  {each:7.2f} us per KiB  {self.places} places"


def measure(rounds: int = ROUNDS) -> list[Cost]:
    """Return what each look costs; they take turns, so that a slow minute is everybody's."""
    ways = _documents()
    spent: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for raw, known in zip(ways.values(), spent, strict=True):
            known.append(_timed_us(raw, looks=_LOOKS if len(raw) < limits.KIB * 8 else 1))
    return [
        Cost(
            name=name,
            us=statistics.median(known),
            kib=len(raw) / limits.KIB,
            places=len(_look(raw)),
        )
        for (name, raw), known in zip(ways.items(), spent, strict=True)
    ]


def _documents() -> dict[str, bytes]:
    short = _grown({"items": [_SHORT, _SHORT]})
    escaped = json.dumps({"text": "Café réglé à Orléans. " * 30}).encode()
    largest = limits.EVENT_BODY_BYTES_MAX - 8
    return {
        "no long runs of digits": short,
        "some long runs": _grown({"items": [_SHORT, _SHORT | _LONG]}),
        "the load's payment": payment("payment_succeeded"),
        "escapes": escaped,
        "a card": _grown({"items": [_SHORT, _SHORT], "card": _CARD}),
        "256 KiB of digits": b'{"a":"%b"}' % (b"4" * largest),
        "256 KiB of digits apart": b'{"a":"%b"}' % (b"4 " * (largest // 2)),
    }


def _grown(value: dict[str, object]) -> bytes:
    """Return the document as 1 KiB."""
    raw = json.dumps(value, separators=(",", ":")).encode()
    return raw[:-1] + b',"note":"%b"}' % (b"words " * 200)[: limits.KIB - len(raw) - 10]


def _look(raw: bytes) -> list[object]:
    return list(found(raw, "/data", at_most=limits.EVENT_FINDINGS_MAX))


def _timed_us(raw: bytes, *, looks: int) -> float:
    """Return the microseconds of CPU for each look: a busy neighbour costs nothing."""
    began_ns = time.process_time_ns()
    for _ in range(looks):
        _look(raw)
    return (time.process_time_ns() - began_ns) / looks / 1_000


if __name__ == "__main__":
    for cost in measure():
        print(cost)
