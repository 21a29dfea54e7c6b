"""What it costs to look for card data in an event or in what a provider sends, by what is in it.

    python -m benchmarks.card_numbers

Beside the time, what it is for 1,000 bytes, and as a ratio to reading the same bytes: with msgspec,
or as a form. Of what is made to be slow, the largest that is let in.

Measuring it taught: with patterns of the standard library what is dear are stops, not bytes. Each
stop at an escape or a run of digits costs 0.03 to 0.4 us, a body has a hundred, and so the time was
2.7 to 6.5 us for 1 KB, by what stood in it, and 17 us with an IBAN in it. One automaton of all
patterns takes 2 us whatever stands there. What is dear to it is a state that no document has led
to before (1 us), so payments that nobody has seen yet are among the ways; patterns that begin
anywhere in a run of digits made a state of nearly every digit. Escapes of forms are read as
quoted-printable, in C (0.6 us), where to stop at each cost 3 to 9.
"""

import base64
import json
import statistics
import string
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode
from uuid import UUID

import msgspec

from benchmarks.load import payment
from payhooks import limits
from payhooks.catalogue import CATALOGUE
from payhooks.policy import card_text
from payhooks.policy.card_numbers import found

ROUNDS: Final = 101
_LOOKS: Final = 100  # of a round, where it is the same document each time
_UNSEEN: Final = 100  # documents of a round, where each is another
# What is made to be slow, or has something to be found; all else is usual.
UNUSUAL: Final = frozenset({"a card", "256 KiB of digits", "256 KiB of digits apart"})
US_FOR_A_KB_MAX: Final = 5.0
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
    """Of each look, in the faster quarter of the rounds: what else runs can only add to it."""

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
    """Documents that are looked at: of each round others, or one again and again."""

    raws: Sequence[bytes]
    is_form: bool = False

    def round(self, number: int) -> Sequence[bytes]:
        """Return the documents of a round."""
        if len(self.raws) == 1:
            times = _LOOKS if len(self.raws[0]) < limits.KIB * 8 else 1
            return [*self.raws] * times
        begin = number * _UNSEEN % len(self.raws)
        return self.raws[begin : begin + _UNSEEN]

    def look(self, raw: bytes) -> int:
        """Return how many places have card data."""
        if self.is_form:
            return len(card_text.masked(raw, is_form=True)[1])
        return len(found(raw, "/data", at_most=limits.EVENT_FINDINGS_MAX))

    def read(self, raw: bytes) -> object:
        """Return what the bytes say."""
        if self.is_form:
            return parse_qsl(raw, keep_blank_values=True, max_num_fields=len(raw))
        return msgspec.json.decode(raw)


def measure(rounds: int = ROUNDS) -> list[Cost]:
    """Return what each look costs; what is usual takes turns, a slow minute is everybody's."""
    ways = _ways()
    usual = {name: way for name, way in ways.items() if name not in UNUSUAL}
    # Apart: 40 ms at 256 KiB leave nothing of the others in the processor's caches.
    unusual = {name: way for name, way in ways.items() if name in UNUSUAL}
    return [*_costs(usual, rounds), *_costs(unusual, rounds)]


def _costs(ways: Mapping[str, _Way], rounds: int) -> Iterator[Cost]:
    looks: list[list[float]] = [[] for _ in ways]
    readings: list[list[float]] = [[] for _ in ways]
    for number in range(rounds):
        for way, looked, read in zip(ways.values(), looks, readings, strict=True):
            raws = way.round(number)
            looked.append(_timed_us(way.look, raws))
            read.append(_timed_us(way.read, raws))
    for (name, way), looked, read in zip(ways.items(), looks, readings, strict=True):
        yield Cost(
            name=name,
            us=statistics.quantiles(looked, n=4)[0],
            reading_us=statistics.quantiles(read, n=4)[0],
            kb=statistics.mean(map(len, way.raws)) / 1_000,
            places=sum(map(way.look, way.raws)),
        )


def _ways() -> dict[str, _Way]:
    short = _grown({"items": [_SHORT, _SHORT]})
    escaped = json.dumps({"text": "Café réglé à Orléans. " * 30}).encode()
    largest = limits.EVENT_BODY_BYTES_MAX - 8
    members = dict(_members(json.loads(short)))
    flat = {name.replace("[", "_").replace("]", ""): value for name, value in members.items()}
    return {
        "no long runs of digits": _Way(raws=[short]),
        "some long runs": _Way(raws=[_grown({"items": [_SHORT, _SHORT | _LONG]})]),
        "payments, each seen once": _Way(raws=_unseen(ROUNDS * _UNSEEN)),
        "the load's payment": _Way(raws=[payment("payment_succeeded")]),
        "escapes": _Way(raws=[escaped]),
        "the catalogue's examples, 4 KiB": _Way(raws=[_examples()]),
        "a form": _Way(raws=[urlencode(flat).encode()], is_form=True),
        "a form with brackets": _Way(raws=[urlencode(members).encode()], is_form=True),
        "a form, every space escaped": _Way(
            raws=[urlencode(members, quote_via=quote).encode()], is_form=True
        ),
        "a form with JSON in it": _Way(raws=[b"data=" + quote(short).encode()], is_form=True),
        "a card": _Way(raws=[_grown({"items": [_SHORT, _SHORT], "card": _CARD})]),
        "256 KiB of digits": _Way(raws=[b'{"a":"%b"}' % (b"4" * largest)]),
        "256 KiB of digits apart": _Way(raws=[b'{"a":"%b"}' % (b"4 " * (largest // 2))]),
    }


def _unseen(count: int) -> list[bytes]:
    """Return payments that have ids, numbers and times of their own."""
    random = Random(4)

    def digits(number: int) -> str:
        return "".join(random.choices(string.digits, k=number))

    return [
        _grown(
            {
                **_SHORT,
                "id": f"pi_{random.randbytes(10).hex()}",
                "amount": random.randrange(1_000_000),
                "status": random.choice(("authorised", "captured", "refunded")),
                "created_at": f"2026-11-{digits(2)}T12:{digits(2)}:{digits(2)}.{digits(6)}Z",
                "customer": {"phone": f"+34 {digits(3)} {digits(3)} {digits(3)}"},
                "iban": f"ES{digits(22)}",
                "reference": f"2026{digits(12)}",
                "at_ms": 1_732_186_800_000 + random.randrange(10**9),
                "batch": digits(10),
                "trace": str(UUID(bytes=random.randbytes(16))),
                "token": base64.urlsafe_b64encode(random.randbytes(30)).decode(),
            }
        )
        for _ in range(count)
    ]


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


def _timed_us(do: Callable[[bytes], object], raws: Sequence[bytes]) -> float:
    """Return the microseconds of CPU for each: a busy neighbour costs nothing."""
    began_ns = time.process_time_ns()
    for raw in raws:
        do(raw)
    return (time.process_time_ns() - began_ns) / len(raws) / 1_000


if __name__ == "__main__":
    print(*measure(), sep="\n")
