"""How SQLite finds rows: no hot statement may cost more because more is stored.

The plans are asked of a file with 100,000 undone and 100,000 finished deliveries, and of the
very text that the store runs.
"""

import re
from collections.abc import Iterator

import apsw
import pytest

from payhooks.ids import DeliveryId, EndpointId, MerchantId
from payhooks.model.attempt import Reason
from payhooks.model.delivery import State
from payhooks.ports.controlling import Window
from payhooks.ports.reading import DeliveryFilter, EventFilter
from payhooks.storage import statements
from payhooks.storage.sqlite import listing, migrations
from payhooks.storage.sqlite.connection import connect, expanded
from payhooks.storage.sqlite.selecting import where_events, where_undone
from payhooks.storage.sqlite.settling import prepare

_PACKAGE = "payhooks.storage.sqlite"
# What may be read from end to end: what the caller bound, and an index of just what is looked for;
# and who the merchants are, once for a slice of retention that has to look for it.
_BOUND = re.compile(
    r"SCAN (\d+ CONSTANT ROWS|CONSTANT ROW|\d+-ROW VALUES CLAUSE|carray VIRTUAL TABLE|"
    r"\(subquery-\d+\)|temp\.settling|s|arrived|wanted|ended|woken|w|old|"
    r"m USING INDEX sqlite_autoindex_merchants_2|"
    r"(l|lanes) USING COVERING INDEX lanes_deleted|receipts USING INDEX receipts_waiting|"
    r"replays USING INDEX replays_open|turns)(?!\w)"
)

_MERCHANT = MerchantId(bytes(15) + b"\x11")
_TYPE = "payment.succeeded"

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
  'payment', n % 5000, 1, n % 100 < 50, x'7b7d' FROM numbers;

WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20000)
INSERT INTO receipts (merchant_id, id, connector_id, state, claimed_until, document, body)
SELECT unhex(printf('%032x', n % 50)), unhex(printf('%032x', n)), unhex(printf('%032x', n % 100)),
  iif(n % 100, 'processed', 'received'), 0, x'7b7d', x'7b7d' FROM numbers;

INSERT INTO heard (merchant_id, object_type, object_id, receipt_id, connector_id, said)
SELECT merchant_id, 'payment', n / 4, id, connector_id, '[]' FROM receipts;

INSERT INTO told (merchant_id, object_type, object_id, receipt_id, connector_id, said)
SELECT merchant_id, 'payment', n / 4, id, connector_id, '[""]' FROM receipts;

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
        ("sweeping", "old_events", 0, ["e USING INDEX sqlite_autoindex_events_1 (merchant_id=?"]),
        ("sweeping", "retire_bodies", 0, ["bodies USING COVERING INDEX bodies_kept (kept_at<?)"]),
        ("sweeping", "retire_rendered", 0, ["r USING INDEX sqlite_autoindex_rendered_1 (deliver"]),
        ("sweeping", "undone_of", 3, ["q USING PRIMARY KEY (merchant_id=? AND id>? AND id<?)"]),
        ("sweeping", "purge_events", 2, ["events USING COVERING INDEX sqlite_autoindex_events_1"]),
        ("sweeping", "purge_attempts", 0, ["attempts USING PRIMARY KEY (delivery_id=?)"]),
        ("sweeping", "failing", 0, ["lanes USING INDEX lanes_failing"]),
        ("sweeping", "silent", 0, ["lanes USING INDEX lanes_listening"]),
        ("receiving", "connectors", 0, ["connectors USING PRIMARY KEY (merchant_id=? AND id<?)"]),
        ("receiving", "free_receipts", 0, ["SCAN receipts USING INDEX receipts_waiting"]),
        ("receiving", "claim", 2, ["receipts USING COVERING INDEX sqlite_autoindex_receipts_1"]),
        ("receiving", "quarantined", 0, ["receipts USING INDEX receipts_connector (merchant_id=?"]),
        ("receiving", "forget_receipts", 2, ["receipts USING COVERING INDEX sqlite_autoindex_re"]),
        ("receiving", "old", 0, ["receipts USING INDEX receipts_age (id<?)"]),
        ("receiving", "all_ids", 0, ["sqlite_autoindex_receipts_1 (merchant_id=? AND id<?)"]),
        ("receiving", "ids_in_state", 0, ["receipts_state (merchant_id=? AND state=? AND id<?)"]),
        ("receiving", "ids_of_connector", 0, ["connector_id=? AND state=? AND id<?)"]),
        ("receiving", "oldest_of_connector", 0, ["connector_id=? AND state=? AND id>?)"]),
        ("receiving", "with_ids", 0, ["sqlite_autoindex_receipts_1 (merchant_id=? AND id=?)"]),
        ("concluding", "conclude", 7, ["receipts_state (merchant_id=? AND state=? AND id=?)"]),
        ("concluding", "heard_before", 0, ["h USING PRIMARY KEY", "state=? AND id=?)"]),
        ("concluding", "heard_before", 0, ["t USING PRIMARY KEY (merchant_id=? AND object_type"]),
        ("concluding", "keep_said", 2, ["heard_receipt (merchant_id=? AND receipt_id=?)"]),
        ("concluding", "forget_said", 0, ["told_age (receipt_id<?)", "told USING PRIMARY KEY"]),
        ("concluding", "receipts_about", 0, ["object_type=? AND object_id=? AND receipt_id<?)"]),
        ("concluding", "linked_receipts", 0, ["heard_receipt (merchant_id=? AND receipt_id=? AND"]),
        ("concluding", "objects_called", 0, ["PRIMARY KEY (merchant_id=? AND reference=?)"]),
        ("concluding", "references_of", 0, ["COVERING INDEX object_references_object"]),
        ("concluding", "unlink", 2, ["heard_receipt (merchant_id=? AND receipt_id=?)"]),
        ("concluding", "forget_names", 3, ["INDEX object_references_object", "h USING PRIMARY"]),
        ("concluding", "hasten", 3, ["expectations USING PRIMARY KEY"]),
        ("concluding", "make_room", 3, ["expectations USING PRIMARY KEY", "c USING PRIMARY KEY"]),
        ("expecting", "due", 0, ["expectations USING INDEX expectations_due (due_at<?)"]),
        ("expecting", "moved", 0, ["expectations USING INDEX expectations_due (due_at=?)"]),
        ("expecting", "claim", 3, ["expectations USING PRIMARY KEY"]),
        ("expecting", "reread", 0, ["expectations USING PRIMARY KEY"]),
        ("expecting", "write", 0, ["expectations USING PRIMARY KEY"]),
        ("expecting", "overdue", 0, ["expectations_overdue (merchant_id=? AND id<?)"]),
        ("replaying", "standing", 0, ["q USING PRIMARY KEY", "d USING PRIMARY KEY"]),
        ("replaying", "replay_backlog", 0, ["q USING INDEX queue_replay", "a USING INDEX queue_a"]),
        ("replaying", "replay_waiting", 0, ["q USING INDEX queue_replay", "d USING PRIMARY"]),
        ("replaying", "forget_sent", 1, ["rendered USING COVERING INDEX sqlite_autoindex_r"]),
        ("replaying", "free_replays", 0, ["replays USING INDEX replays_open"]),
        ("controlling", "endpoints", 0, ["endpoints USING INDEX endpoints_merchant"]),
        ("controlling", "key_by_digest", 0, ["api_keys USING INDEX sqlite_autoindex_api_keys_2"]),
        ("reading", "unnumbered_final", 0, ["d USING COVERING INDEX deliveries_endpoint"]),
        ("reading", "fact_states", 0, ["deliveries USING PRIMARY KEY (merchant_id=? AND id>? AN"]),
        ("reading", "last_statuses", 0, ["a USING PRIMARY KEY (delivery_id=? AND fence=? AND"]),
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
        pytest.param(
            DeliveryFilter(states=(State.FAILED,), event_types=(_TYPE,)),
            "INDEX deliveries_undelivered (merchant_id=? AND state=? AND id<?)",
            id="failed ones",
        ),
        pytest.param(
            DeliveryFilter(states=(State.CANCELLED, State.FAILED)),
            "INDEX deliveries_undelivered (merchant_id=? AND state=? AND id<?)",
            id="failed and cancelled ones",
        ),
        pytest.param(
            DeliveryFilter(reason=Reason.TLS, event_types=("payment.*",)),
            "INDEX deliveries_reason (merchant_id=? AND reason=? AND id<?)",
            id="of one reason",
        ),
        pytest.param(
            DeliveryFilter(event_types=(_TYPE,), states=(State.DELIVERED,)),
            "INDEX deliveries_type (merchant_id=? AND event_type=? AND id<?)",
            id="of one type",
        ),
        pytest.param(
            DeliveryFilter(event_types=(_TYPE,), endpoint_id=EndpointId(bytes(16))),
            "INDEX deliveries_type (merchant_id=? AND event_type=? AND id<?)",
            id="of one endpoint and a type of which there are few",
        ),
        pytest.param(
            DeliveryFilter(event_types=("payment.*",)),
            "INDEX deliveries_type (merchant_id=? AND event_type=? AND id<?)",
            id="of a pattern of types",
        ),
    ],
)
def test_a_list_of_deliveries_is_read_from_its_newest_end(
    db: apsw.Connection, filter_: DeliveryFilter, uses: str
) -> None:
    """A page of 20 must read about 20 rows, however many there are."""
    sql = statements.load(_PACKAGE, "reading.sql")["final"]

    legs = listing.final(db, _MERCHANT, filter_, DeliveryId(bytes(16)))

    assert legs
    for leg in legs:
        plan = _plan(db, sql.replace("{where}", leg.where.sql).replace("{index}", leg.index))
        assert any(uses in step for step in plan), plan
        assert not any("TEMP B-TREE" in step for step in plan), plan
        assert _walks(plan) == []


@pytest.mark.parametrize(
    ("filter_", "uses"),
    [
        pytest.param(
            EventFilter(types=(_TYPE,)),
            {
                "d USING PRIMARY KEY (merchant_id=? AND id<?)",
                "deliveries_type (merchant_id=? AND event_type=? AND id<?)",
                "events_unsubscribed (merchant_id=? AND type=? AND id<?)",
            },
            id="of one type",
        ),
        pytest.param(
            EventFilter(types=("payment.*",), status="delivered"),
            {"deliveries_type (merchant_id=? AND event_type=? AND id<?)"},
            id="delivered ones of a pattern of types",
        ),
        pytest.param(
            EventFilter(status="failed"),
            {"deliveries_undelivered (merchant_id=? AND state=? AND id<?)"},
            id="failed ones",
        ),
        pytest.param(
            EventFilter(status="cancelled", types=(_TYPE,)),
            {"deliveries_undelivered (merchant_id=? AND state=? AND id<?)"},
            id="cancelled ones of one type",
        ),
        pytest.param(
            EventFilter(status="delivered"),
            {"d USING PRIMARY KEY (merchant_id=? AND id<?)"},
            id="delivered ones",
        ),
        pytest.param(
            EventFilter(status="pending"),
            {"d USING PRIMARY KEY (merchant_id=? AND id<?)"},
            id="pending ones",
        ),
        pytest.param(
            EventFilter(status="unsubscribed"),
            {"events_unsubscribed (merchant_id=? AND type=? AND id<?)"},
            id="those that nobody had selected",
        ),
    ],
)
def test_events_are_found_by_what_became_of_them_without_reading_every_event(
    db: apsw.Connection, filter_: EventFilter, uses: set[str]
) -> None:
    """One failure in a million events: the page that everybody opens on a bad day."""
    said: list[str] = []

    def heard(_cursor: object, sql: str, _bindings: object) -> bool:
        said.append(sql)
        return True

    db.exec_trace = heard
    window = Window(limit=20, after=b"\xff" * 16)
    status = statements.load(_PACKAGE, "reading.sql")["status"]
    try:
        found = listing.event_ids(db, _MERCHANT, filter_, window, status=status)
    finally:
        db.exec_trace = None

    assert found is not None
    assert len(found) == len(set(found))
    plans = [_plan(db, sql) for sql in said if "ORDER BY" in sql]
    for plan in plans:
        assert not any("TEMP B-TREE" in step for step in plan), plan
        assert _walks(plan) == []
    steps = {step for plan in plans for step in plan}
    assert {use for use in uses if any(use in step for step in steps)} == uses


def test_types_are_told_without_reading_every_row(db: apsw.Connection) -> None:
    """A pattern is asked for type by type: what types there are must cost no more than they."""
    sql = statements.load(_PACKAGE, "listing.sql")

    for name in ("delivered_types", "unsubscribed_types"):
        plan = _plan(db, sql[name])
        assert sum("COVERING INDEX" in step for step in plan) == 2, plan
        assert [step for step in _walks(plan) if step != "SCAN found"] == []


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


def test_what_events_are_about_is_read_from_where_it_was_left(db: apsw.Connection) -> None:
    """Asked for once a second, however many events there are."""
    plan = _plan(db, statements.load(_PACKAGE, "reading.sql")["subjects"])

    assert any("sqlite_autoindex_events_1 (merchant_id=? AND id>?)" in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


def test_a_walk_over_a_growing_table_would_be_noticed(db: apsw.Connection) -> None:
    """The guard above must itself be able to fail."""
    assert _walks(_plan(db, "SELECT q.id FROM queue AS q WHERE q.dialect = ?")) == ["SCAN q"]


def test_the_file_is_sound_after_all_of_this(db: apsw.Connection) -> None:
    """STRICT tables, CHECKs and indexes agree with the rows that were put there."""
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
