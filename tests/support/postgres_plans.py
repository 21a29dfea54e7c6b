"""How PostgreSQL finds rows, told by itself: a hand that hears the plan of each statement.

The plans are those of the very statements inside our functions too: the server tells them by its
module auto_explain, as they are for whoever knows no parameter beforehand.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from tests.support.postgres_hand import Hand
from tests.support.stores import postgres_database

from payhooks.storage.postgres.connections import Target

# Below this a table is walked because that is quicker: days without rows, a small installation.
_BIG_ROWS: Final = 1_000
# Ids as in life: events of the last hour, deliveries with the endpoint's number at the end.
_HOUR_AGO_MS: Final = "(extract(epoch FROM now()) * 1000)::bigint - 3600000"
_PATIENCE: Final = "SET statement_timeout = 0; SET lock_timeout = 0;"


def id_text(end: str) -> str:
    """Return SQL for the id of the n-th event, or with another *end* of its delivery."""
    time = f"lpad(to_hex({_HOUR_AGO_MS} + n), 12, '0')"
    return f"({time} || lpad(to_hex(n), 15, '0') || '{end}')::uuid"


def small_id(n: str) -> str:
    """Return SQL for the id that is this number."""
    return f"lpad(to_hex({n}), 32, '0')::uuid"


@contextmanager
def filled_database(fill: str) -> Iterator[str]:
    """Yield the URL of a database of our own in which *fill* was run."""
    with postgres_database() as url:
        asyncio.run(_fill(url, fill))
        yield url


async def _fill(url: str, fill: str) -> None:
    connection = await Target.of(url).connect(command_timeout_s=None)
    try:
        await connection.execute(_PATIENCE + fill)
    finally:
        await connection.close()


class Explained(Hand):
    """A hand that hears from the server how each statement found its rows."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - it ships no types
        super().__init__(connection)
        self.plans: list[dict[str, Any]] = []
        connection.add_log_listener(self._hear)

    def _hear(self, _: object, message: asyncpg.PostgresLogMessage) -> None:
        _, found, plan = message.message.partition("plan:\n")
        if found:
            self.plans.append(json.loads(plan))

    async def hear_all(self) -> None:
        """Return when the plans of all statements so far were heard."""
        # The server tells when the portal closes: with the next statement.
        await self.script("SELECT 1")
        await asyncio.sleep(0)  # The driver hands messages to the loop.

    async def assert_no_walk(self) -> None:
        """Fail where a table of any size was read from one end to the other."""
        await self.hear_all()
        assert self.plans
        walked = self.walked()
        big = await self.run(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > $1", _BIG_ROWS
        )
        assert not walked & {row["relname"] for row in big}

    def walked(self) -> set[str]:
        """Return the tables that were read from one end to the other."""
        scans = {scan for plan in self.plans for scan in _scans(plan["Plan"])}
        return {name for way, name in scans if way == "Seq Scan"}

    def rows_read(self) -> int:
        """Return how many rows were looked at in tables and indexes, those left out included."""
        return sum(_rows_read(plan["Plan"]) for plan in self.plans)

    def indexes(self) -> set[str]:
        """Return the indexes used, days left out."""
        scans = {scan for plan in self.plans for scan in _scans(plan["Plan"])}
        return {name.partition("_p2")[0] for way, name in scans if "Index" in way}


@asynccontextmanager
async def explaining(database: str) -> AsyncIterator[Explained]:
    """Yield a hand whose work is undone afterwards."""
    connection = await asyncpg.connect(database)
    await connection.set_type_codec(
        "uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
    )
    await connection.execute(
        "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0;"
        " SET auto_explain.log_analyze = on; SET auto_explain.log_timing = off;"
        " SET auto_explain.log_nested_statements = on; SET auto_explain.log_format = json;"
        " SET auto_explain.log_level = notice; SET client_min_messages = notice;"
        # Later calls use the generic plan, made without knowing the parameters.
        " SET plan_cache_mode = force_generic_plan"
    )
    hand = Explained(connection)
    try:
        await hand.begin()
        yield hand
    finally:
        await hand.roll_back()
        await connection.close()


def _scans(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (way, table or index) of each node that reads a table."""
    if "Scan" in node["Node Type"]:
        yield node["Node Type"], node.get("Index Name", node.get("Relation Name", ""))
    for child in node.get("Plans", ()):
        yield from _scans(child)


def _rows_read(node: dict[str, Any]) -> int:
    read = 0
    if "Scan" in node["Node Type"]:
        dropped = node.get("Rows Removed by Filter", 0)
        read = (node["Actual Rows"] + dropped) * node["Actual Loops"]
    return int(read + sum(_rows_read(child) for child in node.get("Plans", ())))
