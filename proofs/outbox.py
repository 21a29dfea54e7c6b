"""What a business commits is told, and nothing else, however often anybody is killed.

Applications commit and roll back with psycopg, SQLAlchemy and Django; two forwarders tell it to a
server. Applications, forwarders and the server are killed in turn, with kill -9.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.outbox_soak import OutboxSoak, application_database, soak_outbox

from proofs.ground import Size, Store, ground
from proofs.lines import Line, at_least, exactly

COMMITS: Final = 5_000
KILLS: Final = 25
# The recovery of a kill takes a lease on PostgreSQL: short deadlines make it 16 seconds.
TIMEOUT_S: Final = 1


def prove(store: Store, size: Size) -> Iterator[Line]:
    """Show what the books of the business, the server and the receiver say after many kills."""
    commits, kills = min(size.acked, COMMITS), min(size.kills, KILLS)
    kind = "sqlite" if store.cluster_url is None else "postgres"
    with (
        ground(store) as on,
        tempfile.TemporaryDirectory(prefix="payhooks-outbox-") as name,
        application_database(kind, Path(name), store.cluster_url or "") as database,
    ):
        on.tenant.endpoint(on.receiver.url("/ok/plain"), timeout_s=TIMEOUT_S)
        on.tenant.endpoint(on.receiver.url("/ok/ordered"), timeout_s=TIMEOUT_S, ordering="object")
        on.receiver.learn(on.tenant.secrets)
        done = soak_outbox(
            on.server,
            on.tenant,
            on.receiver,
            database=database,
            folder=Path(name),
            commits=commits,
            kills=kills,
            ordered="/ok/ordered",
        )
        yield from _lines(f"{store.name}: outbox", commits, kills, done)


def _lines(name: str, commits: int, kills: int, done: OutboxSoak) -> Iterator[Line]:
    verdict = done.verdict
    of_whom = ", ".join(f"{times} {victim}" for victim, times in sorted(done.kills.items()))
    yield Line(
        passed=done.kills.total() >= kills,
        name=f"{name}: kill -9",
        figure=f"{done.kills.total()}: {of_whom}",
        limit=f">= {kills}",
    )
    yield at_least(f"{name}: business commits", done.committed, commits, "")
    yield at_least(f"{name}: rolled back on purpose", done.rolled_back, commits // 10, "")
    yield at_least(f"{name}: most events waiting at a kill", max(done.waiting_at_kills), 1, "")
    yield exactly(f"{name}: commits without an event", len(done.untold), 0)
    yield exactly(f"{name}: commits with two events", len(done.told_twice), 0)
    yield exactly(f"{name}: events of what was not committed", len(done.never_was), 0)
    yield exactly(f"{name}: committed, and not delivered", len(verdict.lost), 0)
    yield exactly(f"{name}: delivered, and not committed", len(verdict.phantom), 0)
    yield exactly(f"{name}: unverified", len(verdict.unverified), 0)
    yield Line(
        passed=not verdict.unexplained,
        name=f"{name}: unexplained duplicates",
        figure=f"{len(verdict.unexplained)} of {verdict.duplicates}",
        limit="= 0",
    )
    yield exactly(f"{name}: objects out of order", len(verdict.disordered), 0)
    yield exactly(f"{name}: left in the table", done.left, 0)
