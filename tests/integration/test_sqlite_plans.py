"""How SQLite finds rows: no hot statement may cost more because more is stored.

The plans are asked of a file with 100,000 undone and 100,000 finished deliveries, and of the
very text that the store runs.
"""

import re
from collections.abc import Iterator

import apsw
import pytest

from payhooks.ids import DeliveryId, EndpointId
from payhooks.model.delivery import State
from payhooks.ports.reading import DeliveryFilter, EventFilter
from payhooks.storage import statements
from payhooks.storage.sqlite import migrations
from payhooks.storage.sqlite.connection import connect, expanded
from payhooks.storage.sqlite.selecting import index_for, where_events, where_final, where_undone
from payhooks.storage.sqlite.settling import prepare

_PACKAGE = "payhooks.storage.sqlite"
# What may be read from end to end: what the caller bound, and the index of just those lanes.
_BOUND = re.compile(
    r"SCAN (\d+ CONSTANT ROWS|CONSTANT ROW|\d+-ROW VALUES CLAUSE|carray VIRTUAL TABLE|"
    r"\(subquery-\d+\)|temp\.settling|s|arrived|wanted|woken|w|old|"
    r"(l|lanes) USING COVERING INDEX lanes_deleted)(?!\w)"
)

# Ids as in life: 26 bytes of text are 16 bytes here, those of deliveries their event's and more.
_FILL = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)
INSERT INTO queue (merchant_id, id, endpoint_id, event_type, state, due_at, position, order_key,
  owner, lease_until, dialect, dialect_version)
SELECT unhex(printf('%032x', n % 50)), unhex(printf('%032x', n)), unhex(printf('%032x', n % 500)),
  'payment.succeeded', n % 10 / 9 + n % 10 / 9 * (n % 20 / 19), n, n,
  CASE WHEN n % 20 = 19 THEN unhex(printf('%032x', n % 1000)) END,
  CASE WHEN n % 20 = 9 THEN 1 END, CASE WHEN n % 20 = 9 THEN n END, 'standard', 1 FROM numbers;

WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)
INSERT INTO deliveries (merchant_id, id, endpoint_id, event_type, state, fence, attempts_made,
  finished_at, delivered_at, dialect, dialect_version, position)
SELECT unhex(printf('%032x', n % 50)), unhex(printf('%032x', n + 100000)),
  unhex(printf('%032x', n % 500)), 'payment.succeeded', 3 + n % 3, 1, 1, n, n, 'standard', 1, n
FROM numbers;

WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)
INSERT INTO events (id, merchant_id, type, family, object_type, object_id, routing_version,
  fan_out, data)
SELECT unhex(printf('%032x', n * 2)), unhex(printf('%032x', n % 50)), 'payment.succeeded', 'shop',
  'payment', n % 5000, 1, 1, x'7b7d' FROM numbers;

WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 499)
INSERT INTO lanes (endpoint_id, merchant_id, state, look_at, lease_us)
SELECT unhex(printf('%032x', n)), unhex(printf('%032x', n % 50)), 0, n, 30000000 FROM numbers;
"""


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apsw.Connection]:
    """Yield a connection to a file with much in it; nothing here writes."""
    connection = connect(tmp_path_factory.mktemp("plans") / "full.sqlite", writes=True)
    migrations.migrate(connection, now_us=0)
    prepare(connection)
    connection.execute(_FILL)
    yield connection
    connection.close()


def _plan(db: apsw.Connection, sql: str) -> list[str]:
    numbered = [int(number) for number in re.findall(r"\?(\d+)", sql)]
    bindings = (None,) * (max(numbered) if numbered else sql.count("?"))
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", bindings)]


def _walks(plan: list[str]) -> list[str]:
    """Return the steps that read a stored table or an index from end to end."""
    return [step for step in plan if step.startswith("SCAN") and not _BOUND.match(step)]


@pytest.mark.parametrize(
    ("file", "name", "width", "uses"),
    [
        ("accepting", "look", 0, ["idempotency USING PRIMARY KEY", "l USING PRIMARY KEY"]),
        ("accepting", "known_events", 2, ["e USING COVERING INDEX sqlite_autoindex_events_1"]),
        ("accepting", "still_leased", 0, ["queue USING PRIMARY KEY (merchant_id=? AND id>? AND"]),
        ("settling", "mark_holding", 0, ["q USING PRIMARY KEY (merchant_id=? AND id=?)"]),
        ("settling", "foreign_fences", 0, ["a USING PRIMARY KEY (delivery_id=? AND fence=? AND"]),
        ("settling", "cancel_deleted", 0, ["l USING PRIMARY KEY (endpoint_id=?)"]),
        ("settling", "finish", 0, ["q USING PRIMARY KEY (merchant_id=? AND id=?)"]),
        ("settling", "block_objects", 0, ["q USING PRIMARY KEY (merchant_id=? AND id=?)"]),
        ("settling", "wake_followers", 0, ["q USING PRIMARY KEY (merchant_id=? AND id=?)"]),
        ("settling", "leave_queue", 0, ["queue USING PRIMARY KEY (merchant_id=? AND id=?)"]),
        ("settling", "reschedule", 0, ["queue USING PRIMARY KEY (merchant_id=? AND id=?)"]),
        ("leasing", "promote", 2, ["q USING COVERING INDEX queue_blocked", "INDEX queue_active"]),
        ("leasing", "lower_lanes", 0, ["q USING COVERING INDEX queue_due (endpoint_id=?)"]),
        ("leasing", "due_lanes", 0, ["lanes USING INDEX lanes_look (look_at<?)"]),
        ("leasing", "listening_lane", 0, ["lanes USING PRIMARY KEY"]),
        ("leasing", "due_rows", 0, ["queue USING INDEX queue_due (endpoint_id=? AND due_at<?)"]),
        ("leasing", "due_on_probation", 0, ["queue USING INDEX queue_probation (endpoint_id=?"]),
        ("leasing", "take_rows", 0, ["queue USING PRIMARY KEY (merchant_id=? AND id=?)"]),
        ("leasing", "next_due", 0, ["queue USING COVERING INDEX queue_due (endpoint_id=?)"]),
        ("leasing", "events", 2, ["e USING INDEX sqlite_autoindex_events_1"]),
        ("leasing", "rendered", 0, ["rendered USING INDEX sqlite_autoindex_rendered_1"]),
        ("leasing", "look_again", 0, ["lanes USING COVERING INDEX lanes_look"]),
        ("leasing", "report_failing", 0, ["lanes USING PRIMARY KEY"]),
        ("leasing", "report_recovered", 0, ["lanes USING PRIMARY KEY"]),
        ("leasing", "report_rested", 0, ["lanes USING PRIMARY KEY"]),
        ("leasing", "report_tripped", 0, ["lanes USING PRIMARY KEY"]),
        ("sweeping", "expired", 0, ["queue USING INDEX queue_lease (lease_until<?)"]),
        ("sweeping", "take_back", 0, ["queue USING PRIMARY KEY (merchant_id=? AND id=?)"]),
        ("sweeping", "drifted", 0, ["q USING COVERING INDEX queue_due (endpoint_id=?)"]),
        ("sweeping", "orphans", 0, ["COVERING INDEX lanes_deleted", "q USING INDEX queue_due"]),
        ("sweeping", "undone_of", 3, ["q USING PRIMARY KEY (merchant_id=? AND id>? AND id<?)"]),
        ("sweeping", "purge_events", 2, ["events USING COVERING INDEX sqlite_autoindex_events_1"]),
        ("sweeping", "purge_attempts", 0, ["attempts USING PRIMARY KEY (delivery_id=?)"]),
        ("sweeping", "failing", 0, ["lanes USING INDEX lanes_failing"]),
        ("sweeping", "silent", 0, ["lanes USING INDEX lanes_listening"]),
        ("replaying", "standing", 0, ["q USING PRIMARY KEY", "d USING PRIMARY KEY"]),
        ("replaying", "replay_backlog", 0, ["queue USING COVERING INDEX queue_replay"]),
        ("replaying", "free_replays", 0, ["replays USING INDEX replays_running"]),
        ("controlling", "endpoints", 0, ["endpoints USING INDEX endpoints_merchant"]),
        ("controlling", "key_by_digest", 0, ["api_keys USING INDEX sqlite_autoindex_api_keys_2"]),
        ("reading", "unnumbered_final", 0, ["d USING COVERING INDEX deliveries_endpoint"]),
        ("reading", "fact_states", 0, ["deliveries USING PRIMARY KEY (merchant_id=? AND id>? AN"]),
        ("tallying", "of_merchant", 0, ["tallies USING PRIMARY KEY (merchant_id=? AND endpoint"]),
        ("tallying", "of_endpoints", 0, ["tallies USING PRIMARY KEY (merchant_id=? AND endpoin"]),
        ("tallying", "totals", 0, ["tallies USING INDEX tallies_hours (merchant_id=? AND step_s"]),
        ("tallying", "forget", 0, ["tallies USING COVERING INDEX tallies_age (step_s=? AND at<?)"]),
    ],
)
def test_a_hot_statement_finds_its_rows_by_an_index(
    db: apsw.Connection, file: str, name: str, width: int, uses: list[str]
) -> None:
    """Cost per event must not rise with history, endpoints or backlog (DESIGN, part 12)."""
    sql = statements.load(_PACKAGE, f"{file}.sql")[name]

    plan = _plan(db, expanded(sql, 64, width) if width else sql)

    for index in uses:
        assert any(index in step for step in plan), plan
    assert _walks(plan) == []


@pytest.mark.parametrize(
    ("filter_", "uses"),
    [
        pytest.param(DeliveryFilter(), "PRIMARY KEY (merchant_id=? AND id<?)", id="all"),
        pytest.param(
            DeliveryFilter(endpoint_id=EndpointId(bytes(16))),
            "INDEX deliveries_endpoint (endpoint_id=? AND id<?)",
            id="of one endpoint",
        ),
        pytest.param(
            DeliveryFilter(endpoint_id=EndpointId(bytes(16)), states=(State.FAILED,)),
            "INDEX deliveries_failed (endpoint_id=? AND id<?)",
            id="failed ones of one endpoint",
        ),
    ],
)
def test_a_list_of_deliveries_is_read_from_its_newest_end(
    db: apsw.Connection, filter_: DeliveryFilter, uses: str
) -> None:
    """A page of 20 must read about 20 rows, however many there are."""
    where = where_final(filter_, DeliveryId(bytes(16)))
    assert where is not None
    sql = statements.load(_PACKAGE, "reading.sql")["final"]

    plan = _plan(db, sql.replace("{where}", where.sql).replace("{index}", index_for(filter_)))

    assert any(uses in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan
    assert _walks(plan) == []


def test_a_list_of_what_waits_is_read_from_its_newest_end(db: apsw.Connection) -> None:
    """The queue may be a million rows long when somebody looks at it in the console."""
    where = where_undone(DeliveryFilter(held=True), DeliveryId(bytes(16)))
    assert where is not None
    sql = statements.load(_PACKAGE, "reading.sql")["undone"]

    plan = _plan(db, sql.replace("{where}", where.sql))

    assert any("d USING PRIMARY KEY (merchant_id=? AND id<?)" in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


@pytest.mark.parametrize(
    ("filter_", "uses"),
    [
        pytest.param(EventFilter(), "sqlite_autoindex_events_1 (merchant_id=? AND id<?)", id="all"),
        pytest.param(
            EventFilter(object_id="pay_1"),
            "events_object (merchant_id=? AND object_id=? AND id<?)",
            id="of one object",
        ),
    ],
)
def test_a_list_of_events_is_read_from_its_newest_end(
    db: apsw.Connection, filter_: EventFilter, uses: str
) -> None:
    """The timeline of one payment must not read all payments of its merchant."""
    sql = statements.load(_PACKAGE, "reading.sql")
    where = where_events(filter_, bytes(16), status=sql["status"])
    listed = sql["events"].replace("{status}", sql["status"]).replace("{where}", where.sql)

    plan = _plan(db, listed)

    assert any(uses in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan
    assert _walks(plan) == []


def test_a_walk_over_a_growing_table_would_be_noticed(db: apsw.Connection) -> None:
    """The guard above must itself be able to fail."""
    assert _walks(_plan(db, "SELECT q.id FROM queue AS q WHERE q.dialect = ?")) == ["SCAN q"]


def test_the_file_is_sound_after_all_of_this(db: apsw.Connection) -> None:
    """STRICT tables, CHECKs and indexes agree with the rows that were put there."""
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
