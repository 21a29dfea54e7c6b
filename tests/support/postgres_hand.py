"""A second process on the same database, whose transaction a test moves step by step."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.support.world import OWNER

from payhooks.ids import DeliveryId, EndpointId
from payhooks.ports.accepting import Arrival
from payhooks.ports.controlling import Requeue
from payhooks.ports.settling import Settlement
from payhooks.storage.postgres import accepting, settling
from payhooks.storage.postgres.connections import Connection, Target
from payhooks.storage.postgres.replaying import put_again

_READ = (
    "SELECT sum(idx_tup_fetch + seq_tup_read) AS read FROM pg_stat_xact_user_tables"
    " WHERE relname LIKE $1"
)


class Hand:
    """One connection with one open transaction. Nothing is committed until told."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def begin(self) -> None:
        """Open a transaction, as a statement does for itself, and keep it for as long as it takes.

        On a busy machine what is tested beside it takes longer than the server bears with others.
        """
        await self._connection.execute("BEGIN")
        await self._connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")

    async def commit(self) -> None:
        """End it well."""
        await self._connection.execute("COMMIT")

    async def roll_back(self) -> None:
        """End it as if it had never been."""
        await self._connection.execute("ROLLBACK")

    async def accept(self, *arrivals: Arrival) -> None:
        """Run what accept runs."""
        await self._call("accept_v2", OWNER, *accepting.parameters(arrivals))

    async def settle(self, *settlements: Settlement) -> None:
        """Run what settle runs."""
        await self._call("settle_v2", *settling.parameters(settlements))

    async def lease(self, *, together_max: int = 0) -> list[DeliveryId]:
        """Run what lease runs; return the ids that it brought."""
        rows = await self._call(
            "lease_v4", OWNER + 1, 100, 100, [], None, 500, 500, 2, 2, 3, together_max, 2
        )
        return [DeliveryId(row["id"]) for row in rows if row["id"] is not None]

    async def expire(self) -> None:
        """Run what expire runs."""
        await self._call("expire_v1", 100, 3)

    async def requeue(self, *items: Requeue) -> int:
        """Run what a slice of a replay runs; return how many it put on their way."""
        return await put_again(self._connection, items, replay_id=None, bulk=True)

    async def cancel_orphans(self) -> int:
        """Run what the sweep runs for deleted endpoints; return how many it cancelled."""
        [row] = await self._call("cancel_orphans_v1", 500)
        return int(row["cancel_orphans_v1"])

    async def hold_lane(self, endpoint_id: EndpointId) -> None:
        """Lock a lane, as the first statement of every look does."""
        await self.run("SELECT 1 FROM lanes WHERE endpoint_id = $1 FOR UPDATE", endpoint_id)

    async def read_of(self, tables: str) -> int:
        """Return how many rows this transaction has read so far of tables whose names are LIKE it.

        Whatever looked at them, inside our functions too; a table with days has one for each.
        """
        [row] = await self.run(_READ, tables)
        return int(row["read"])

    async def run(self, statement: str, *arguments: object) -> list[Any]:
        """Run anything."""
        return list(await self._connection.fetch(statement, *arguments))

    async def script(self, statements: str) -> None:
        """Run several statements."""
        await self._connection.execute(statements)

    async def _call(self, function: str, *arguments: object) -> Sequence[Any]:
        places = ", ".join(f"${place}" for place in range(1, len(arguments) + 1))
        return await self.run(f"SELECT * FROM {function}({places})", *arguments)  # noqa: S608 - our own names


@asynccontextmanager
async def open_hand(url: str, *, ahead_s: float = 0.0) -> AsyncIterator[Hand]:
    """Yield a hand on the database, *ahead_s* ahead of the machine's clock."""
    connection = await Target.of(url).connect()
    try:
        offset = f"{ahead_s} seconds"
        await connection.fetch("SELECT set_config('payhooks.clock_offset', $1, false)", offset)
        yield Hand(connection)
    finally:
        connection.terminate()
