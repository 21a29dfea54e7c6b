"""What it costs to write an event of 1 KB: body and signature, in every dialect.

    python -m benchmarks.dialects

Beside each stands one HMAC-SHA256 of 1 KB, measured in the same rounds: where that is slow, the
machine is, and the figures say little about the dialects.
"""

import hmac
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec
from tests.support.dialect_events import (
    AT,
    MERCHANT,
    drawn_events,
    endpoint_of,
    new_event_id,
    sample_data,
    sample_object_type,
    spoken,
)

from payhooks.dialects.contract import Dialect
from payhooks.dialects.registry import DIALECTS
from payhooks.ids import DELIVERY, delivery_id, to_text
from payhooks.model.event import Event

EVENT_BYTES: Final = 1_024
ROUNDS: Final = 101
STANDARD_US_MAX: Final = 15.0  # with a v1 secret
OTHERS_US_MAX: Final = 40.0
_EVENTS: Final = 100  # of a round: each dialect writes each of them once
# What payments look like: sums, ids, a time, an address, what has to be escaped somewhere.
_MEMBERS: Final = (
    '{"payment_id":"pay_6AMmb6rtlPDarBLlotAH","status":"succeeded","amount":6540,"net":6327.50,'
    '"currency":"EUR","created":"2029-12-31T23:59:58.001Z","customer":{"id":"cus_1","name":'
    '"Zoë Müller","email":"zoe@example.com","phone":null},"live":true,"lines":[{"sku":"A-1",'
    '"price":1.10,"count":2},{"sku":"B/2","price":20.0,"count":1}],"return_url":'
    '"https://shop.example/orders/1?from=mail","note":"%s"}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The median of one dialect's rounds, and of the yardstick's."""

    dialect: str
    us: float  # render + sign, for each event
    us_max: float
    yardstick_us: float

    def __str__(self) -> str:
        beside = f"{self.us / self.yardstick_us:5.1f} x an HMAC of {self.yardstick_us:.2f} us"
        return f"{self.dialect:<18} {self.us:6.1f} us  <= {self.us_max:g}  {beside}"


def measure(rounds: int = ROUNDS) -> list[Cost]:
    """Return what each dialect costs; they take turns, so that a slow minute is everybody's."""
    writers = {name: _writer(spoken(name)) for name in DIALECTS}
    yardsticks, spent = [], {name: list[float]() for name in writers}
    for _ in range(rounds):
        yardsticks.append(_timed_us(_yardstick))
        for name, write in writers.items():
            spent[name].append(_timed_us(partial(write, _events(name))))
    yardstick_us = statistics.median(yardsticks)
    return [
        Cost(
            dialect=name,
            us=statistics.median(found),
            us_max=STANDARD_US_MAX if name == "standard" else OTHERS_US_MAX,
            yardstick_us=yardstick_us,
        )
        for name, found in spent.items()
    ]


def _writer(dialect: Dialect) -> Callable[[list[tuple[str, Event]]], None]:
    endpoint = endpoint_of(dialect.name)
    secrets = [dialect.signing_secret(dialect.new_secret(bytes(range(32))))]

    def write(events: list[tuple[str, Event]]) -> None:
        for message_id, event in events:
            rendered = dialect.render(event=event, endpoint=endpoint, merchant=MERCHANT)
            dialect.sign(message_id=message_id, body=rendered.body, secrets=secrets, now=AT)

    return write


def _events(dialect: str) -> list[tuple[str, Event]]:
    """Return events with new ids, so that nothing remembered of the last round helps."""
    return [(to_text(DELIVERY, delivery_id(event.id, 1)), event) for event in _fresh(dialect)]


def _fresh(dialect: str) -> Iterator[Event]:
    (drawn,) = drawn_events(dialect, count=1, seed=1)
    empty = len(sample_data(dialect, _MEMBERS % ""))
    data = sample_data(dialect, _MEMBERS % ("x" * (EVENT_BYTES - empty)))
    assert len(data) == EVENT_BYTES
    for _ in range(_EVENTS):
        yield msgspec.structs.replace(
            drawn,
            id=new_event_id(),
            type="payment_succeeded",
            family="owngateway",
            data=data,
            object_type=sample_object_type(dialect),
            object_id="pay_6AMmb6rtlPDarBLlotAH",
        )


def _yardstick() -> None:
    for _ in range(_EVENTS):
        hmac.digest(b"k" * 32, b"x" * EVENT_BYTES, "sha256")


def _timed_us(work: Callable[[], None]) -> float:
    """Return the microseconds of CPU for each event: a busy neighbour costs nothing."""
    began_ns = time.process_time_ns()
    work()
    return (time.process_time_ns() - began_ns) / _EVENTS / 1_000


if __name__ == "__main__":
    for cost in measure():
        print(cost)
