"""Nothing is lost, invented or out of order, however often the process is killed."""

import asyncio
import random
from collections.abc import Iterator
from typing import Final

from tests.support.soak import Soak, soak

from proofs.ground import Size, Store, ground
from proofs.lines import Line, at_least, exactly

IN_FLIGHT_MIN: Final = 30
# The recovery of a kill takes a lease on PostgreSQL: short deadlines make it 16 seconds.
TIMEOUT_S: Final = 1


def prove(store: Store, size: Size) -> Iterator[Line]:
    """Show what the journals of both sides say after many kills under load."""
    with ground(store) as on:
        on.tenant.endpoint(on.receiver.url("/ok/plain"), timeout_s=TIMEOUT_S)
        on.tenant.endpoint(on.receiver.url("/ok/ordered"), timeout_s=TIMEOUT_S, ordering="object")
        on.receiver.learn(on.tenant.secrets)
        pauses = random.Random(store.name)
        done = asyncio.run(
            soak(
                on.server,
                on.tenant,
                on.receiver,
                events=size.acked,
                kills=size.kills,
                in_flight_min=IN_FLIGHT_MIN,
                ordered={"/ok/ordered": "object"},
                before_kill=lambda: pauses.uniform(0.0, 0.3),
            )
        )
        yield from _lines(store, size, done)


def _lines(store: Store, size: Size, done: Soak) -> Iterator[Line]:
    name = f"{store.name}: kill -9 of the serving process"
    verdict = done.verdict
    yield at_least(f"{name}: times", len(done.in_flight_at_kills), size.kills, "")
    yield at_least(
        f"{name}: requests under way at each", min(done.in_flight_at_kills), IN_FLIGHT_MIN, ""
    )
    yield at_least(f"{name}: acknowledged events", verdict.acked, size.acked, "")
    yield exactly(f"{name}: lost", len(verdict.lost), 0)
    yield exactly(f"{name}: phantom", len(verdict.phantom), 0)
    yield exactly(f"{name}: unverified", len(verdict.unverified), 0)
    yield exactly(f"{name}: one key, two answers", len(verdict.two_answers), 0)
    yield Line(
        passed=not verdict.unexplained,
        name=f"{name}: unexplained duplicates",
        figure=f"{len(verdict.unexplained)} of {verdict.duplicates}",
        limit="= 0",
    )
    yield exactly(f"{name}: objects out of order", len(verdict.disordered), 0)
    yield exactly(f"{name}: failed because of kills", done.ended, 0)
