"""What it costs to look for card data in an event or in what a provider sends, by what is in it.

    python -m benchmarks.card_numbers

Beside the time, what it is for 1,000 bytes, and as a ratio to reading the same bytes: with msgspec,
or as a form. Of what is made to be slow, the largest that is let in.

At most 5 us for 1 KB is the bound of what is usual. All of it together has to keep it on whatever
machine this is; each document for itself where msgspec reads 1 KB of a payment in 2 us, as on the
machine whose figures the bound was set by: that is 2.5 times what reading takes, `in_payments`.

Measuring it taught: what is dear are stops, not bytes. A pass over 1 KB with a table costs 0.5 us,
and a search that never stops 0.3; each stop at an escape or a run of digits costs 0.03 to 0.4, and
a body has a hundred. So what is usual there has a pattern of its own, that passes it over; the next
run of digits is sought as bytes, for a pattern is slow to find nothing; base64 is seen in what was
made of the document for the other looks, where the five capitals that matter are one; and escapes
of forms are read as quoted-printable, in C (0.6 us), where to stop at each cost 3 to 9.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from benchmarks.load import payment
from payhooks import limits
from payhooks.catalogue import CATALOGUE
from payhooks.policy import card_text
from payhooks.policy.card_numbers import found

ROUNDS: Final = 101
_LOOKS: Final = 100  # of a round
PAYMENT: Final = "the load's payment"
# What is made to be slow, or has something to be found; all else is usual.
UNUSUAL: Final = frozenset({"a card", "256 KiB of digits", "256 KiB of digits apart"})
US_FOR_A_KB_MAX: Final = 5.0
READING_US_FOR_A_KB: Final = 2.0  # of a payment, where the bound is of
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
    reading_us: float  # the same bytes
    kb: float
    places: int

    @property
    def us_for_a_kb(self) -> float:
        """What 1,000 bytes take."""
        return self.us / self.kb

    def __str__(self) -> str:
        ratio = self.us / self.reading_us
        return (
            f"{self.name:<32} {self.us:9.2f} us  {self.us_for_a_kb:7.2f} us for 1 KB  "
            f"{ratio:6.2f} of reading it  {self.places} places"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """Bytes that are looked at."""

    raw: bytes
    is_form: bool = False

    def look(self) -> int:
        """Return how many places have card data."""
        if self.is_form:
            return len(card_text.masked(self.raw, is_form=True)[1])
        return len(found(self.raw, "/data", at_most=limits.EVENT_FINDINGS_MAX))

    def read(self) -> object:
        """Return what the bytes say."""
        if self.is_form:
            return parse_qsl(self.raw, keep_blank_values=True, max_num_fields=len(self.raw))
        return msgspec.json.decode(self.raw)


def measure(rounds: int = ROUNDS) -> list[Cost]:
    """Return what each look costs; they take turns, so that a slow minute is everybody's."""
    ways = _ways()
    looks: list[list[float]] = [[] for _ in ways]
    readings: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, looked, read in zip(ways.values(), looks, readings, strict=True):
            count = _LOOKS if len(way.raw) < limits.KIB * 8 else 1
            looked.append(_timed_us(way.look, times=count))
            read.append(_timed_us(way.read, times=count))
    return [
        Cost(
            name=name,
            us=statistics.median(looked),
            reading_us=statistics.median(read),
            kb=len(way.raw) / 1_000,
            places=way.look(),
        )
        for (name, way), looked, read in zip(ways.items(), looks, readings, strict=True)
    ]


def in_payments(costs: Sequence[Cost]) -> dict[str, float]:
    """Return what 1 KB of each takes, in what it takes to read 1 KB of a payment."""
    [payment_] = [cost for cost in costs if cost.name == PAYMENT]
    return {cost.name: cost.us_for_a_kb * payment_.kb / payment_.reading_us for cost in costs}


def _ways() -> dict[str, _Way]:
    short = _grown({"items": [_SHORT, _SHORT]})
    escaped = json.dumps({"text": "Café réglé à Orléans. " * 30}).encode()
    largest = limits.EVENT_BODY_BYTES_MAX - 8
    members = dict(_members(json.loads(short)))
    flat = {name.replace("[", "_").replace("]", ""): value for name, value in members.items()}
    return {
        "no long runs of digits": _Way(raw=short),
        "some long runs": _Way(raw=_grown({"items": [_SHORT, _SHORT | _LONG]})),
        PAYMENT: _Way(raw=payment("payment_succeeded")),
        "escapes": _Way(raw=escaped),
        "the catalogue's examples, 4 KiB": _Way(raw=_examples()),
        "a form": _Way(raw=urlencode(flat).encode(), is_form=True),
        "a form with brackets": _Way(raw=urlencode(members).encode(), is_form=True),
        "a form, every space escaped": _Way(
            raw=urlencode(members, quote_via=quote).encode(), is_form=True
        ),
        "a form with JSON in it": _Way(raw=b"data=" + quote(short).encode(), is_form=True),
        "a card": _Way(raw=_grown({"items": [_SHORT, _SHORT], "card": _CARD})),
        "256 KiB of digits": _Way(raw=b'{"a":"%b"}' % (b"4" * largest)),
        "256 KiB of digits apart": _Way(raw=b'{"a":"%b"}' % (b"4 " * (largest // 2))),
    }


def _examples() -> bytes:
    """Return as many as fit, one of every ten, as one document: most are too short to be timed."""
    taken: list[bytes] = []
    for type_ in CATALOGUE.types[::10]:
        if type_.example is not None and sum(map(len, taken)) + len(type_.example) < 4 * limits.KIB:
            taken.append(type_.example)
    return b"[%b]" % b",".join(taken)


def _members(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Yield the members of a document as a form names them."""
    inner: Iterable[tuple[object, object]]
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    else:
        yield name, value
        return
    for key, part in inner:
        yield from _members(part, f"{name}[{key}]" if name else str(key))


def _grown(value: dict[str, object]) -> bytes:
    """Return the document as 1 KiB."""
    raw = json.dumps(value, separators=(",", ":")).encode()
    return raw[:-1] + b',"note":"%b"}' % (b"words " * 200)[: limits.KIB - len(raw) - 10]


def _timed_us(do: Callable[[], object], *, times: int) -> float:
    """Return the microseconds of CPU for each: a busy neighbour costs nothing."""
    began_ns = time.process_time_ns()
    for _ in range(times):
        do()
    return (time.process_time_ns() - began_ns) / times / 1_000


if __name__ == "__main__":
    measured = measure()
    shares = in_payments(measured)
    for cost in measured:
        as_fast_us = shares[cost.name] * READING_US_FOR_A_KB
        print(f"{cost}  {as_fast_us:7.2f} us where a KB is read in {READING_US_FOR_A_KB:g}")
