"""Pausing costs one row, whatever waits; resuming sends what waited in order of acceptance."""

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from tests.support.receiver import Reception
from tests.support.server import EVENT_TYPE

from proofs.ground import Ground, Size, Store, ground
from proofs.lines import Line, at_most, exactly

PAUSE_MS_MAX: Final = 50.0
RATE_PER_S: Final = 100
# Long enough to see the rate, short enough not to wait for a hundred thousand.
RESUMED_S: Final = 10
_BATCH: Final = 1_000


def prove(store: Store, size: Size) -> Iterator[Line]:
    """Show what pausing and resuming an endpoint with a long backlog does."""
    with ground(store) as on:
        # The same backlog for one that keeps order by its rate, and one that may hurry.
        paced = on.tenant.endpoint(
            on.receiver.url("/ok/paced"), rate_limit=RATE_PER_S, ordering="strict"
        )
        on.receiver.learn(on.tenant.secrets)
        _move(on, paced, "pause")
        _fill(on, size.waiting)
        _move(on, paced, "resume")
        time.sleep(1)
        pause_ms = min(_move(on, paced, "pause"), 1e9)
        name = f"{store.name}: endpoint with {size.waiting:,} waiting"
        yield at_most(f"{name}: pause", pause_ms, PAUSE_MS_MAX, "ms")
        # What was under way when it was paused arrives, and nothing after it.
        time.sleep(1)
        before = on.receiver.count()
        time.sleep(2)
        yield exactly(f"{name}: sent while paused", on.receiver.count() - before, 0)
        yield at_most(f"{name}: resume", _move(on, paced, "resume"), PAUSE_MS_MAX, "ms")
        time.sleep(RESUMED_S)
        received = on.receiver.received()
        yield _in_order(f"{name}: resumed in order of acceptance", received)
        yield _at_its_rate(f"{name}: resumed at its rate", received[before:])


def _fill(on: Ground, count: int) -> None:
    for begin in range(0, count, _BATCH):
        events = [
            {"type": EVENT_TYPE, "data": {"key": f"k{number}", "sequence": number}}
            for number in range(begin, min(begin + _BATCH, count))
        ]
        on.tenant.api.post(f"{on.tenant.path}/events/batch", {"events": events})


def _move(on: Ground, endpoint_id: str, verb: str) -> float:
    """Return how many milliseconds the call took."""
    begun_s = time.monotonic()
    on.tenant.api.post(f"{on.tenant.path}/endpoints/{endpoint_id}/{verb}")
    return (time.monotonic() - begun_s) * 1e3


def _in_order(name: str, received: list[Reception]) -> Line:
    sequences = [each.data["sequence"] for each in received]
    wrong = sum(later <= earlier for earlier, later in pairwise(sequences))
    complete = sequences == list(range(len(sequences)))
    return Line(
        passed=complete and len(sequences) > 0,
        name=name,
        figure=f"{len(sequences):,} received, {wrong} out of turn",
        limit="every one in its turn",
    )


def _at_its_rate(name: str, received: list[Reception]) -> Line:
    took_s = received[-1].at_s - received[0].at_s if received else 0.0
    rate = (len(received) - 1) / took_s if took_s else 0.0
    return Line(
        passed=0.8 * RATE_PER_S <= rate <= 1.1 * RATE_PER_S,
        name=name,
        figure=f"{rate:,.0f} deliveries/s",
        limit=f"{RATE_PER_S} deliveries/s",
    )
