"""How PostgreSQL finds rows: no hot statement may cost more because more is stored.

The database has 100,000 undone and 100,000 finished deliveries. The plans are those of the very
statements inside our functions: the server tells them, by its module auto_explain.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.postgres_plans import Explained, explaining, filled_database
from tests.support.postgres_plans import id_text as _id
from tests.support.postgres_plans import small_id as _small

from payhooks.clock import SystemClock
from payhooks.ids import MerchantId
from payhooks.ports.reading import DeliveryFilter, EventFilter
from payhooks.storage import statements
from payhooks.storage.postgres import listing
from payhooks.storage.postgres.reading import events_statement

_ROWS = 100_000
_LANES = 5_000
_MERCHANTS = 1_000

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_MERCHANT = MerchantId(bytes(15) + bytes([17]))
_WHOLE = bytes(16)
_DAY = datetime(2026, 1, 2, tzinfo=UTC)  # the newest of 30 days of counts begins here


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
INSERT INTO bodies (merchant_id, delivery_id, kind, fence, body)
SELECT merchant_id, id, 1, 1, '' FROM deliveries;
INSERT INTO idempotency (key, event_id, content, deliveries, event_type)
SELECT md5(n::text)::uuid, {_id("00000")}, {_small("n")}, 1, 'payment.succeeded'
FROM generate_series(1, {_ROWS}) n;
INSERT INTO feed_entries (endpoint_id, sequence, delivery_id)
SELECT endpoint_id, row_number() OVER (), id FROM deliveries;
INSERT INTO tallies SELECT {_small("n % 50")}, {_small("CASE n % 3 WHEN 0 THEN 0 ELSE n % 50 END")},
  CASE n % 3 WHEN 0 THEN 60 ELSE 3600 END, '2026-01-03Z'::timestamptz - n * interval '1 minute',
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 FROM generate_series(1, 43200) n;
ANALYZE;
"""  # noqa: S608 - our own words only


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with filled_database(_FILL) as url:
        yield url


@pytest.fixture
async def explained(database: str) -> AsyncIterator[Explained]:
    async with explaining(database) as hand:
        yield hand


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

    await explained.assert_no_walk()
    assert {"lanes_look", "queue_due", "queue_blocked", "queue_active"} <= explained.indexes()


async def test_lease_finds_what_is_on_probation_by_index(explained: Explained) -> None:
    """Of a million that wait, those that somebody died with are a few."""
    await _rows(explained, "UPDATE queue SET abandoned = 2 WHERE state = 0 AND shard = 0")
    # The first is due some seconds after the tables were filled, which may be later than now; and
    # their lanes are looked at before all others, wherever a test before has moved those.
    await _rows(
        explained,
        "WITH due AS (UPDATE queue SET due_at = now() - interval '1 second' WHERE id IN"
        " (SELECT id FROM queue WHERE state = 0 ORDER BY due_at LIMIT 50) RETURNING endpoint_id)"
        " UPDATE lanes SET look_at = now() - interval '1 day' FROM due"
        " WHERE lanes.endpoint_id = due.endpoint_id",
    )

    assert await explained.lease(together_max=64)

    await explained.assert_no_walk()
    assert "queue_probation" in explained.indexes()


async def test_settle_finds_deliveries_by_key(explained: Explained) -> None:
    """Half of all the work there is."""
    rows = await _rows(explained, "SELECT merchant_id, id FROM queue WHERE state = 1 LIMIT 50")
    count = len(rows)
    empty: list[object] = [None] * count

    await explained.run(
        "SELECT settle_v2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,"
        " $17, $18, $19, $20, $21, $22, $23)",
        [row["merchant_id"] for row in rows],
        [row["id"] for row in rows],
        [0] * count,
        [at % 4 for at in range(count)],
        *([1.0] * count, empty, [False] * count, [_AT] * count, empty, empty, [""] * count),
        *([0.0] * count, [0.0] * count, [0.0] * count, [0.0] * count, [0.0] * count, empty),
        *([], [], [], [], [], []),
    )

    await explained.assert_no_walk()
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

    await explained.assert_no_walk()
    assert {"idempotency_pkey", "lanes_pkey"} <= explained.indexes()


@pytest.mark.parametrize(
    ("purge", "table", "index"),
    [
        ("purge_keys", "idempotency", "idempotency_old"),
        ("purge_entries", "feed_entries", "feed_entries_old"),
    ],
)
async def test_retention_finds_what_is_old_by_its_age(
    explained: Explained, purge: str, table: str, index: str
) -> None:
    """Asked every ten minutes, of a month of them; and again as long as there is something."""
    statement = statements.load("payhooks.storage.postgres", "sweeping.sql")[purge]
    of = "event_id" if table == "idempotency" else "delivery_id"
    [row] = await _rows(
        explained,
        f"SELECT {of} AS id FROM {table} ORDER BY 1 OFFSET 20 LIMIT 1",  # noqa: S608 - ours
    )

    gone = await explained.run(statement, row["id"], 1_000)
    nothing = await explained.run(statement, row["id"], 1_000)

    # Of keys, those stay whose events are under way.
    assert 0 < gone[0]["count"] <= 20
    assert nothing[0]["count"] == 0
    await explained.assert_no_walk()
    assert index in explained.indexes()


async def test_expire_finds_leases_by_their_end(explained: Explained) -> None:
    """Asked every second; on the good path nothing has run out."""
    await _rows(
        explained,
        "UPDATE queue SET lease_until = now() - interval '1 minute' WHERE state = 1 AND id IN"
        " (SELECT id FROM queue WHERE state = 1 LIMIT 20)",
    )

    await explained.expire()

    await explained.assert_no_walk()
    assert "queue_lease" in explained.indexes()


@pytest.mark.parametrize(
    ("object_id", "status"),
    [
        pytest.param(None, None, id="events, newest first"),
        pytest.param("17", None, id="events of an object"),
        pytest.param(None, "failed", id="events by status"),
    ],
)
async def test_pages_of_events_walk_nothing_else(
    explained: Explained, object_id: str | None, status: str | None
) -> None:
    """People page through lists while publishers publish."""
    merchant, below, at_least = _MERCHANT, b"\xff" * 16, bytes(16)
    text = events_statement(EventFilter(object_id=object_id))

    rows = await explained.run(text, merchant, below, at_least, None, object_id, status, 20)

    assert rows
    await explained.assert_no_walk()


@pytest.mark.parametrize("status", ["pending", "delivered", "failed", "cancelled", "unsubscribed"])
async def test_a_rare_status_is_found_without_reading_every_event(
    explained: Explained, status: str
) -> None:
    """One failure in a million events: the page that everybody opens on a bad day."""
    sql = statements.load("payhooks.storage.postgres", "reading.sql")
    merchant, below, at_least = _MERCHANT, b"\xff" * 16, bytes(16)

    await explained.run(sql[f"events_{status}"], merchant, below, at_least, None, 20)

    await explained.assert_no_walk()
    # Those of days have their names cut: the default partition speaks for them.
    by = {
        "pending": "queue_pkey",
        "delivered": "deliveries_default_pkey",  # the rule: only where all else fails is it rare
        "unsubscribed": "events_default_merchant_id_id_idx",
    }
    assert by.get(status, "deliveries_default_merchant_id_state_id_idx") in explained.indexes()


async def test_pages_of_deliveries_walk_nothing_else(explained: Explained) -> None:
    """A page joins queue and history and must stop when it is full."""
    page = listing.Page(DeliveryFilter(), None)

    rows = await explained.run(page.sql, _MERCHANT, b"\xff" * 16, bytes(16), 20)

    assert len(rows) == 20
    await explained.assert_no_walk()


async def test_a_delivery_and_its_attempts_are_found_by_key(explained: Explained) -> None:
    """The page that people look at when something went wrong."""
    sql = statements.load("payhooks.storage.postgres", "reading.sql")
    [row] = await _rows(explained, "SELECT merchant_id, id FROM deliveries LIMIT 1")

    attempts = await explained.run(sql["attempts"], row["merchant_id"], row["id"])

    assert len(attempts) == 1
    await explained.assert_no_walk()


async def test_the_last_answers_of_many_deliveries_are_found_by_key(explained: Explained) -> None:
    """Asked of two hundred at once, for a page."""
    sql = statements.load("payhooks.storage.postgres", "reading.sql")
    [row] = await _rows(explained, "SELECT merchant_id FROM deliveries LIMIT 1")
    of_one = "SELECT id FROM deliveries WHERE merchant_id = $1 LIMIT 200"
    ids = [each["id"] for each in await _rows(explained, of_one, row["merchant_id"])]

    found = await explained.run(sql["last_statuses"], row["merchant_id"], ids)

    assert len(found) == len(ids)
    await explained.assert_no_walk()


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

    await explained.assert_no_walk()
    assert index in explained.indexes()


async def test_counts_that_are_old_are_found_by_their_age(explained: Explained) -> None:
    """Asked every ten minutes, and nearly always few are old."""
    sql = statements.load("payhooks.storage.postgres", "tallying.sql")

    [row] = await explained.run(sql["forget"], 60, _DAY - timedelta(days=40), 500)

    assert row["count"] == 0
    await explained.assert_no_walk()
    assert "tallies_age" in explained.indexes()


async def test_answers_that_are_old_are_found_by_their_age(explained: Explained) -> None:
    """A day with a single young answer goes row by row, and may have millions."""
    sql = statements.load("payhooks.storage.postgres", "sweeping.sql")
    now = SystemClock().now()
    first, last = bytes(16), b"\xff" * 16

    assert len(await explained.run(sql["youngest_body"], first, last)) == 1
    for kept_since, gone in ((now - timedelta(days=1), 0), (now + timedelta(days=1), 500)):
        [row] = await explained.run(sql["purge_bodies"], last, kept_since, 500)
        assert row["count"] == gone

    await explained.assert_no_walk()
    assert explained.rows_read() < 5 * 500
