"""What it costs to hold an event of 1 KB to its type's schema, beside reading it at all.

    python -m benchmarks.validation

Each row is the whole of ``decode_event``: what the door does with the bytes of one event, for
a merchant that wants its events looked at so.
"""

import statistics
import time
from dataclasses import dataclass
from typing import Final

import msgspec
from tests.support.dialect_events import MERCHANT

from benchmarks.load import payment
from payhooks.api.publication import decode_event
from payhooks.catalogue import CATALOGUE
from payhooks.flow.routing import RoutingTable
from payhooks.model.merchant import TypeCheck
from payhooks.ports.accepting import Routing

ROUNDS: Final = 101
EVENT_TYPE: Final = "payment_succeeded"
_EVENTS: Final = 100  # of a round
# As publishers get it wrong: members missing, and a number in a text.
_FAULTY: Final = (
    b'{"type":"payment_succeeded","data":{"amount":"12.50","currency":"EUR","note":"%b"}}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The median of the rounds, for each event."""

    name: str
    us: float
    findings: int

    def __str__(self) -> str:
        return f"{self.name:<24} {self.us:6.2f} us  {self.findings} findings"


def measure(rounds: int = ROUNDS) -> list[Cost]:
    """Return what each way costs; they take turns, so that a slow minute is everybody's."""
    good = payment(EVENT_TYPE)
    faulty = _FAULTY % (b"x" * (len(good) - len(_FAULTY) + 2))
    assert len(faulty) == len(good)
    ways = [
        ("off", TypeCheck.OFF, good),
        ("warn", TypeCheck.WARN, good),
        ("strict", TypeCheck.STRICT, good),
        ("off, with faults", TypeCheck.OFF, faulty),
        ("warn, with faults", TypeCheck.WARN, faulty),
    ]
    tables = [(_table(type_check), body) for _, type_check, body in ways]
    spent: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for (table, body), known in zip(tables, spent, strict=True):
            known.append(_timed_us(table, body))
    return [
        Cost(
            name=name,
            us=statistics.median(known),
            findings=len(decode_event(body, table, CATALOGUE, None).findings),
        )
        for (name, _, _), (table, body), known in zip(ways, tables, spent, strict=True)
    ]


def _table(type_check: TypeCheck) -> RoutingTable:
    merchant = msgspec.structs.replace(MERCHANT, type_check=type_check)
    routing = Routing(merchant=merchant, version=1, endpoints=(), secrets=(), keys=())
    return RoutingTable(routing, lambda _sealed: "")


def _timed_us(table: RoutingTable, body: bytes) -> float:
    """Return the microseconds of CPU for each event: a busy neighbour costs nothing."""
    began_ns = time.process_time_ns()
    for _ in range(_EVENTS):
        decode_event(body, table, CATALOGUE, None)
    return (time.process_time_ns() - began_ns) / _EVENTS / 1_000


if __name__ == "__main__":
    for cost in measure():
        print(cost)
