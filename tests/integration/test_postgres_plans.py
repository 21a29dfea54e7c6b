"""How PostgreSQL finds rows: no hot statement may cost more because more is stored.

The database has 100,000 undone and 100,000 finished deliveries. The plans are those of the very
statements inside our functions: the server tells them, by its module auto_explain.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest
from tests.support.postgres_hand import Hand
from tests.support.stores import postgres_database

from payhooks.storage import statements
from payhooks.storage.postgres.connections import Target

_ROWS = 100_000
_LANES = 5_000
_MERCHANTS = 1_000
# Below this a table is walked because that is quicker: days without rows, a small installation.
_BIG_ROWS = 1_000

# Ids as in life: events of the last hour, deliveries with the endpoint's number at the end.
_HOUR_AGO_MS = "(extract(epoch FROM now()) * 1000)::bigint - 3600000"
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_MERCHANT = bytes(15) + bytes([17])
_WHOLE = bytes(16)
_DAY = datetime(2026, 1, 2, tzinfo=UTC)  # the newest of 30 days of counts begins here


def _id(end: str) -> str:
    time = f"lpad(to_hex({_HOUR_AGO_MS} + n), 12, '0')"
    return f"({time} || lpad(to_hex(n), 15, '0') || '{end}')::uuid"


def _small(n: str) -> str:
    return f"lpad(to_hex({n}), 32, '0')::uuid"


_FILL = f"""
INSERT INTO routing SELECT {_small("n")}, 1 FROM generate_series(0, {_MERCHANTS - 1}) n;
INSERT INTO lanes (endpoint_id, merchant_id, state, look_at, lease_s, shard)
SELECT {_small("n")}, {_small(f"n % {_MERCHANTS}")}, 0, now() + n * interval '1 second', 30, 0
FROM generate_series(0, {_LANES - 1}) n;
INSERT INTO events (merchant_id, id, routing_version, fan_out, type, family, object_type,
  object_id, data)
SELECT {_small(f"n % {_MERCHANTS}")}, {_id("00000")}, 1, 1, 'payment.succeeded', 'shop', 'payment',
  n % 5000, '{{}}' FROM generate_series(1, {2 * _ROWS}) n;
INSERT INTO queue (merchant_id, id, endpoint_id, order_key, due_at, lease_until, owner, state,
  dialect_version, shard, event_type, dialect)
SELECT {_small(f"n % {_MERCHANTS}")}, {_id("00001")}, {_small(f"n % {_LANES}")},
  CASE WHEN n % 10 = 2 THEN {_small("n % 1000")} END, now() + n * interval '1 second',
  CASE WHEN n % 10 = 1 THEN now() + n * interval '1 second' END,
  CASE WHEN n % 10 = 1 THEN 1 END, CASE n % 10 WHEN 1 THEN 1 WHEN 2 THEN 2 ELSE 0 END,
  1, 0, 'payment.succeeded', 'standard' FROM generate_series(1, {_ROWS}) n;
INSERT INTO deliveries (merchant_id, id, endpoint_id, finished_at, delivered_at, fence,
  attempts_made, dialect_version, state, event_type, dialect)
SELECT {_small(f"n % {_MERCHANTS}")}, {_id("00001")}, {_small(f"n % {_LANES}")}, now(), now(), 1, 1,
  1, 3 + n % 3, 'payment.succeeded', 'standard'
FROM generate_series({_ROWS + 1}, {2 * _ROWS}) n;
INSERT INTO attempts (merchant_id, delivery_id, at, fence, late, detail)
SELECT merchant_id, id, now(), 1, false, '' FROM deliveries;
INSERT INTO idempotency (key, event_id, content, deliveries, event_type)
SELECT md5(n::text)::uuid, {_id("00000")}, {_small("n")}, 1, 'payment.succeeded'
FROM generate_series(1, {_ROWS}) n;
INSERT INTO tallies SELECT {_small("n % 50")}, {_small("CASE n % 3 WHEN 0 THEN 0 ELSE n % 50 END")},
  CASE n % 3 WHEN 0 THEN 60 ELSE 3600 END, '2026-01-03Z'::timestamptz - n * interval '1 minute',
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 FROM generate_series(1, 43200) n;
ANALYZE;
"""  # noqa: S608 - our own words only
_PATIENCE = "SET statement_timeout = 0; SET lock_timeout = 0;"


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres_database() as url:
        asyncio.run(_fill(url))
        yield url


async def _fill(url: str) -> None:
    connection = await Target.of(url).connect(command_timeout_s=None)
    try:
        await connection.execute(_PATIENCE + _FILL)
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

    def walked(self) -> set[str]:
        """Return the tables that were read from one end to the other."""
        scans = {scan for plan in self.plans for scan in _scans(plan["Plan"])}
        return {name for way, name in scans if way == "Seq Scan"}

    def indexes(self) -> set[str]:
        """Return the indexes used, days left out."""
        scans = {scan for plan in self.plans for scan in _scans(plan["Plan"])}
        return {name.partition("_p2")[0] for way, name in scans if "Index" in way}


@pytest.fixture
async def explained(database: str) -> AsyncIterator[Explained]:
    connection = await asyncpg.connect(database)
    await connection.set_type_codec(
        "uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
    )
    await connection.execute(
        "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0;"
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


async def _assert_no_walk(explained: Explained) -> None:
    await explained.hear_all()
    assert explained.plans
    walked = explained.walked()
    big = await explained.run(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > $1", _BIG_ROWS
    )
    assert not walked & {row["relname"] for row in big}


async def _rows(explained: Explained, statement: str, *arguments: object) -> list[Any]:
    rows = await explained.run(statement, *arguments)
    await explained.hear_all()
    explained.plans.clear()
    return rows


async def test_lease_finds_lanes_and_deliveries_by_index(explained: Explained) -> None:
    """Looked at many times a second by every process, whatever waits."""
    await _rows(explained, "UPDATE lanes SET look_at = now() WHERE lease_s = 30")
    await _rows(explained, "UPDATE queue SET due_at = now() WHERE state = 0 AND shard = 0")
    await _rows(
        explained,
        "INSERT INTO wakes (endpoint_id, order_key, due_at)"
        " SELECT endpoint_id, order_key, now() FROM queue WHERE state = 2 LIMIT 50",
    )

    assert await explained.lease()

    await _assert_no_walk(explained)
    assert {"lanes_look", "queue_due", "queue_blocked", "queue_active"} <= explained.indexes()


async def test_lease_finds_what_is_on_probation_by_index(explained: Explained) -> None:
    """Of a million that wait, those that somebody died with are a few."""
    await _rows(explained, "UPDATE lanes SET look_at = now() WHERE lease_s = 30")
    await _rows(explained, "UPDATE queue SET abandoned = 2 WHERE state = 0 AND shard = 0")

    assert await explained.lease(together_max=64)

    await _assert_no_walk(explained)
    assert "queue_probation" in explained.indexes()


async def test_settle_finds_deliveries_by_key(explained: Explained) -> None:
    """Half of all the work there is."""
    rows = await _rows(explained, "SELECT merchant_id, id FROM queue WHERE state = 1 LIMIT 50")
    count = len(rows)
    empty: list[object] = [None] * count

    await explained.run(
        "SELECT settle_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,"
        " $17, $18, $19, $20, $21, $22, $23)",
        [row["merchant_id"] for row in rows],
        [row["id"] for row in rows],
        [0] * count,
        [at % 4 for at in range(count)],
        *([1.0] * count, empty, [False] * count, [_AT] * count, empty, empty, [""] * count),
        *([0.0] * count, [0.0] * count, [0.0] * count, [0.0] * count, [0.0] * count, empty),
        *([], [], [], [], [], []),
    )

    await _assert_no_walk(explained)
    assert "queue_pkey" in explained.indexes()


async def test_accept_looks_up_lanes_routing_and_repeated_keys_by_index(
    explained: Explained,
) -> None:
    """The publisher waits for this one."""
    rows = await _rows(explained, "SELECT key, event_id FROM idempotency LIMIT 50")
    lanes = await _rows(explained, "SELECT endpoint_id FROM lanes LIMIT 1")
    merchant = bytes(16)
    keys = [row["key"] for row in rows[:25]] + [bytes([7] * 15 + [at]) for at in range(25)]
    ids = [bytes([9] * 11 + [at, 0, 0, 0, 0]) for at in range(50)]
    empty: list[object] = [None] * 50

    await explained.run(
        "SELECT * FROM accept_v2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
        " $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)",
        *(1, [merchant], [lanes[0]["endpoint_id"]], ids, [1] * 50, [1] * 50, ["a"] * 50),
        *(["b"] * 50, [b"{}"] * 50, empty, empty, empty, empty, empty, empty, keys, ids, [1] * 50),
        *([id_[:15] + b"\x01" for id_ in ids], list(range(1, 51)), [1] * 50, empty),
        *(["standard"] * 50, [1] * 50, [30.0] * 50),
    )

    await _assert_no_walk(explained)
    assert {"idempotency_pkey", "lanes_pkey"} <= explained.indexes()


async def test_expire_finds_leases_by_their_end(explained: Explained) -> None:
    """Asked every second; on the good path nothing has run out."""
    await _rows(
        explained,
        "UPDATE queue SET lease_until = now() - interval '1 minute' WHERE state = 1 AND id IN"
        " (SELECT id FROM queue WHERE state = 1 LIMIT 20)",
    )

    await explained.expire()

    await _assert_no_walk(explained)
    assert "queue_lease" in explained.indexes()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param("events", (None, None, None, 20), id="events, newest first"),
        pytest.param("events", (None, "17", None, 20), id="events of an object"),
        pytest.param("events", (None, None, "failed", 20), id="events by status"),
    ],
)
async def test_pages_of_events_walk_nothing_else(
    explained: Explained, name: str, arguments: tuple[object, ...]
) -> None:
    """People page through lists while publishers publish."""
    sql = statements.load("payhooks.storage.postgres", "reading.sql")
    merchant, below, at_least = _MERCHANT, b"\xff" * 16, bytes(16)

    rows = await explained.run(sql[name], merchant, below, at_least, *arguments)

    assert rows
    await _assert_no_walk(explained)


@pytest.mark.parametrize("status", ["pending", "delivered", "failed", "cancelled", "unsubscribed"])
async def test_a_rare_status_is_found_without_reading_every_event(
    explained: Explained, status: str
) -> None:
    """One failure in a million events: the page that everybody opens on a bad day."""
    sql = statements.load("payhooks.storage.postgres", "reading.sql")
    merchant, below, at_least = _MERCHANT, b"\xff" * 16, bytes(16)

    await explained.run(sql[f"events_{status}"], merchant, below, at_least, None, 20)

    await _assert_no_walk(explained)
    # Those of days have their names cut: the default partition speaks for them.
    by = {
        "pending": "queue_pkey",
        "delivered": "deliveries_default_pkey",  # the rule: only where all else fails is it rare
        "unsubscribed": "events_default_merchant_id_id_idx",
    }
    assert by.get(status, "deliveries_default_merchant_id_state_id_idx") in explained.indexes()


async def test_pages_of_deliveries_walk_nothing_else(explained: Explained) -> None:
    """A page joins queue and history and must stop when it is full."""
    sql = statements.load("payhooks.storage.postgres", "reading.sql")
    merchant, below, at_least = _MERCHANT, b"\xff" * 16, bytes(16)

    rows = await explained.run(
        sql["deliveries"], merchant, below, at_least, None, None, None, None, None, 20
    )

    assert len(rows) == 20
    await _assert_no_walk(explained)


async def test_a_delivery_and_its_attempts_are_found_by_key(explained: Explained) -> None:
    """The page that people look at when something went wrong."""
    sql = statements.load("payhooks.storage.postgres", "reading.sql")
    [row] = await _rows(explained, "SELECT merchant_id, id FROM deliveries LIMIT 1")

    attempts = await explained.run(sql["attempts"], row["merchant_id"], row["id"])

    assert len(attempts) == 1
    await _assert_no_walk(explained)


@pytest.mark.parametrize(
    ("name", "arguments", "index"),
    [
        pytest.param("of_merchant", (_WHOLE, 60, _DAY, _DAY), "tallies_pkey", id="a chart"),
        pytest.param("of_endpoints", ([_MERCHANT], 3_600, _DAY), "tallies_pkey", id="a page"),
        pytest.param("totals", (_WHOLE, 3_600, _DAY, 100), "tallies_hours", id="an overview"),
    ],
)
async def test_counts_are_read_by_merchant_and_time(
    explained: Explained, name: str, arguments: tuple[object, ...], index: str
) -> None:
    """A chart of one merchant must not read everybody's, nor those of a month ago."""
    sql = statements.load("payhooks.storage.postgres", "tallying.sql")

    await explained.run(sql[name], _MERCHANT, *arguments)

    await _assert_no_walk(explained)
    assert index in explained.indexes()


async def test_counts_that_are_old_are_found_by_their_age(explained: Explained) -> None:
    """Asked every ten minutes, and nearly always few are old."""
    sql = statements.load("payhooks.storage.postgres", "tallying.sql")

    [row] = await explained.run(sql["forget"], 60, _DAY - timedelta(days=40), 500)

    assert row["count"] == 0
    await _assert_no_walk(explained)
    assert "tallies_age" in explained.indexes()
