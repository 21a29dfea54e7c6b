"""Five webhook languages and more, to the byte: rows, the table over sockets, cost, the outbox."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.dialects import ROUNDS, measure
from tests.support.captured import capturing
from tests.support.dialect_table import send_table
from tests.support.server import Server, sqlite_url

from proofs import outbox
from proofs.ground import QUICK, Size, open_store
from proofs.lines import Line

_QUICK_ROUNDS: Final = 5


def prove_table(size: Size) -> Iterator[Line]:
    """Yield a line for each dialect, signature and authentication."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="payhooks-table-")))
        server = Server(folder / "server", stack.enter_context(sqlite_url(folder)))
        stack.callback(server.close)
        capture = stack.enter_context(capturing())
        for entry in send_table(server.start(), capture):
            yield Line(
                passed=not entry.complaints,
                name=entry.name,
                figure="; ".join(entry.complaints) or "as configured, foreign code agrees",
                limit="verified from outside",
            )


def prove_cost(size: Size) -> Iterator[Line]:
    """Yield what rendering and signing 1 KB costs in each dialect."""
    for cost in measure(_QUICK_ROUNDS if size == QUICK else ROUNDS):
        yield Line(
            passed=cost.us <= cost.us_max,
            name=f"{cost.dialect}: render and sign 1 KB",
            figure=f"{cost.us:.1f} us ({cost.us / cost.yardstick_us:.1f} HMACs of 1 KB)",
            limit=f"<= {cost.us_max:g} us",
        )


def prove_outbox(size: Size) -> Iterator[Line]:
    """Yield what many kills left of business transactions and their events, on PostgreSQL."""
    with ExitStack() as stack:
        yield from outbox.prove(open_store(stack, "postgres"), size)


PARTS: Final[dict[str, Callable[[Size], Iterator[Line]]]] = {
    "table": prove_table,
    "cost": prove_cost,
    "outbox": prove_outbox,
}
