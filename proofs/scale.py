"""An event costs the same, however much is stored, waits or listens."""

from collections.abc import Iterator
from typing import Final

from benchmarks import scale
from benchmarks.scale import Compared

from proofs.ground import Size, Store
from proofs.lines import Line

# Times the cost on an empty store.
HISTORY_MAX: Final = 1.2
ENDPOINTS_MAX: Final = 1.3
SCHEDULED_MAX: Final = 1.3


def prove(store: Store, size: Size) -> Iterator[Line]:
    """Show the cost of an event beside that on an empty store, in turns."""
    seconds = size.bench_s
    found = scale.with_endpoints(store, endpoints=size.endpoints, seconds=seconds)
    yield _line(store, found, ENDPOINTS_MAX)
    found = scale.with_scheduled(store, deliveries=size.scheduled, seconds=seconds)
    yield _line(store, found, SCHEDULED_MAX)
    found = scale.with_history(store, events=size.history, seconds=seconds)
    yield _line(store, found, HISTORY_MAX)


def _line(store: Store, found: Compared, limit: float) -> Line:
    full, empty = (
        ", ".join(f"{each.cost_us:.0f}" for each in turns) for turns in (found.full, found.empty)
    )
    return Line(
        passed=found.ratio <= limit and found.errors == 0,
        name=f"{store.name}: cost of an event beside {found.name}",
        figure=f"{found.ratio:.2f} ({full} us; empty {empty}; {found.errors} errors)",
        limit=f"<= {limit} of empty",
    )
