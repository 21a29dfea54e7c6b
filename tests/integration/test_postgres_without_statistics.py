"""A new installation under its first load: nobody has counted its rows yet.

Statistics come a minute later. Until then the planner believes that every table is nearly
empty, and what it chooses then must still not read a merchant's whole history.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.support.postgres_hand import Hand, open_hand
from tests.support.stores import postgres_database

from payhooks.ids import DeliveryId, EndpointId, MerchantId
from payhooks.model.delivery import Trigger
from payhooks.ports.controlling import Requeue
from payhooks.ports.settling import Settlement
from payhooks.storage import statements

_ROWS = 3_000
_LEASED = 100
_LANES = 1_000
_CUSTOM_PLANS = 6  # the next one is kept, whatever it is asked
_MERCHANT = _LANE = "lpad('1', 32, '0')::uuid"
_JOB = "lpad('2', 32, '0')::uuid"
_ID = "(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0')"

_FILL = f"""
INSERT INTO routing VALUES ({_MERCHANT}, 1);
INSERT INTO lanes (endpoint_id, merchant_id, state, look_at, lease_s, shard)
VALUES ({_LANE}, {_MERCHANT}, 0, now() - interval '1 second', 30, 0);
INSERT INTO events (merchant_id, id, routing_version, fan_out, type, family, data)
SELECT {_MERCHANT}, {_ID} || lpad(to_hex(n), 15, '0') || '00000')::uuid, 1, 1, 'a', 'f', '{{}}'
FROM generate_series(1, {_ROWS}) n;
INSERT INTO queue (merchant_id, id, endpoint_id, due_at, state, dialect_version, shard,
  event_type, dialect)
SELECT {_MERCHANT}, {_ID} || lpad(to_hex(n), 15, '0') || '00001')::uuid, {_LANE},
  now() - interval '1 second', 0, 1, 0, 'a', 'standard' FROM generate_series(1, {_ROWS}) n;
"""  # noqa: S608 - our own words only

_END_ALL = """
INSERT INTO deliveries (merchant_id, id, endpoint_id, finished_at, delivered_at, fence,
  attempts_made, dialect_version, state, event_type, dialect)
SELECT merchant_id, id, endpoint_id, now(), now(), 1, 1, 1, 3, event_type, dialect FROM queue;
DELETE FROM queue;
ANALYZE deliveries, queue;
"""

# Counted while there was one, of those to whom nothing is sent yet.
_MANY_LANES = f"""
ANALYZE lanes;
INSERT INTO lanes (endpoint_id, merchant_id, state, look_at, lease_s, shard)
SELECT lpad(to_hex(n), 32, '0')::uuid, {_MERCHANT}, 0, now(), 30, 0
FROM generate_series(2, {_LANES}) n;
"""  # noqa: S608 - our own words only

# Of all that was accepted, to an endpoint each; deliveries of the newer half have their numbers.
_MISSED = f"""
CREATE TEMP TABLE missed ON COMMIT DROP AS
SELECT q.merchant_id, q.id, lpad(to_hex(1 + row_number() OVER (ORDER BY q.id) % {_LANES}), 32,
  '0')::uuid AS endpoint_id, q.event_type, q.dialect, q.dialect_version FROM queue q;
DELETE FROM queue;
ANALYZE queue;
INSERT INTO feed_entries (endpoint_id, sequence, delivery_id)
SELECT m.endpoint_id, row_number() OVER (ORDER BY m.id), m.id FROM missed m;
UPDATE lanes SET sequence_last = {_ROWS};
CREATE TEMP TABLE numbered ON COMMIT DROP AS SELECT * FROM feed_entries;
DELETE FROM feed_entries;
ANALYZE feed_entries;
INSERT INTO feed_entries SELECT * FROM numbered ORDER BY delivery_id DESC LIMIT {_ROWS} / 2;
"""  # noqa: S608 - our own words only

_SEND_MISSED = """
SELECT requeue_v2(array_agg(m.merchant_id), array_agg(m.id), array_agg(m.endpoint_id),
  array_agg(m.event_type), array_agg(NULL::uuid), array_agg(m.dialect),
  array_agg(m.dialect_version), NULL, true) AS made
FROM (SELECT * FROM missed ORDER BY id OFFSET $1 LIMIT $2) m
"""

_KEEP_BODIES = """
CREATE TEMP TABLE kept ON COMMIT DROP AS
SELECT merchant_id, id AS delivery_id, 0 AS fence, 0 AS kind, '{}'::bytea AS body FROM deliveries;
INSERT INTO bodies (merchant_id, delivery_id, fence, kind, body) SELECT * FROM kept;
DELETE FROM bodies;
ANALYZE bodies;
INSERT INTO bodies (merchant_id, delivery_id, fence, kind, body) SELECT * FROM kept;
"""

_SEND_AGAIN = f"""
SELECT requeue_v2(array_agg(d.merchant_id), array_agg(d.id), array_agg(d.endpoint_id),
  array_agg(d.event_type), array_agg(NULL::uuid), array_agg(d.dialect),
  array_agg(d.dialect_version), {_JOB}, true) AS made
FROM (SELECT * FROM deliveries ORDER BY merchant_id DESC, id DESC LIMIT $1) d
"""  # noqa: S608 - our own words only


_WAKES = f"""
INSERT INTO wakes (endpoint_id, order_key, due_at)
SELECT {_LANE}, NULL, now() FROM generate_series(1, {_ROWS});
"""  # noqa: S608 - our own words only


_EXPECT = f"""
ANALYZE expectations;
INSERT INTO expectations (merchant_id, object_type, object_id, id, connector_id, due_at, overdue,
  document)
SELECT {_MERCHANT}, 'payment', n::text, {_ID} || lpad(to_hex(n), 15, '0') || '00000')::uuid,
  {_LANE}, now() + interval '1 hour', true, '{{}}' FROM generate_series(1, {_ROWS}) n;
INSERT INTO receipts (merchant_id, id, connector_id, state, document, body)
SELECT {_MERCHANT}, {_ID} || lpad(to_hex(n), 15, '0') || '00000')::uuid, {_LANE}, 0, '{{}}', ''
FROM generate_series(1, {_ROWS}) n;
"""  # noqa: S608 - our own words only

# Of receipts of which nothing else is told.
_MOVE = """
SELECT conclude_v1(array_agg(r.merchant_id ORDER BY r.id), array_agg(r.id ORDER BY r.id),
  array_agg(r.connector_id), array_agg(1::smallint), array_agg(NULL::text), '{}', '{}', '{}', '{}',
  '{}', '{}', '{}', '{}', array_agg(r.n::int), array_agg('payment'::text),
  array_agg(r.n::text ORDER BY r.id), array_agg(NULL::uuid), array_agg(NULL::uuid),
  array_agg(60.0::float8), array_agg(NULL::boolean), array_agg(NULL::text))
FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM receipts WHERE state = 0 LIMIT $1) r
"""


@pytest.fixture
def database() -> Iterator[str]:
    with postgres_database() as url:
        yield url


@pytest.fixture
async def hand(database: str) -> AsyncIterator[Hand]:
    async with open_hand(database) as hand:
        await hand.begin()
        yield hand
        await hand.roll_back()


async def test_leasing_reads_each_event_once_though_nothing_was_counted(hand: Hand) -> None:
    """Reading them all for each made a server that fell behind in its first minute stay so."""
    await hand.script(_FILL)
    leased = await hand.lease()
    assert len(leased) == _LEASED
    assert await hand.read_of("events%") <= _LEASED


async def test_news_finds_what_is_expected_though_nothing_was_when_that_was_counted(
    hand: Hand,
) -> None:
    """What moves would be looked for in all that is overdue, with each message that comes."""
    await hand.script(_EXPECT)
    before = await hand.read_of("expectations")
    for _ in range(_CUSTOM_PLANS):
        await hand.run(_MOVE, _LEASED)
    # To see whether it is overdue, and to have it due.
    assert await hand.read_of("expectations") - before <= _CUSTOM_PLANS * 2 * _LEASED
    [row] = await hand.run("SELECT count(*)::int AS count FROM expectations WHERE heard_again > 0")
    assert row["count"] == _LEASED
    before = await hand.read_of("expectations")
    assert len(await hand.run("SELECT FROM claim_moved_v1($1, 30)", _ROWS)) == _LEASED
    # To find it, to claim it, and what was there before that.
    assert await hand.read_of("expectations") - before <= 4 * _LEASED


async def test_settling_reads_its_own_rows_though_none_was_leased_when_they_were_counted(
    hand: Hand,
) -> None:
    """Counted in a quiet moment, the index of what is leased looks empty, and was read whole."""
    await hand.script(_FILL)
    await hand.script("ANALYZE queue")
    await hand.script(
        "UPDATE queue SET state = 1, owner = 1, fence = 1, lease_until = now() + interval '1 h'"
    )
    rows = await hand.run("SELECT merchant_id, id, endpoint_id FROM queue LIMIT $1", _LEASED)
    before = await hand.read_of("queue")
    await hand.settle(
        *(
            Settlement(
                merchant_id=MerchantId(row["merchant_id"]),
                delivery_id=DeliveryId(row["id"]),
                endpoint_id=EndpointId(row["endpoint_id"]),
                fence=1,
                trigger=Trigger.RELEASE,
                delay_s=1.0,
                reason=None,
                attempt=None,
                rendered=None,
                block_order=False,
            )
            for row in rows
        )
    )
    # Once to lock it, once to see whether it ends, once to put it back.
    assert await hand.read_of("queue") - before <= 4 * _LEASED


async def test_sending_again_reads_its_own_rows_of_a_long_history(hand: Hand) -> None:
    """A slice of a replay read every delivery that its merchant ever had, for each of its rows."""
    await hand.script(_FILL)
    await hand.script(_END_ALL)
    before = await hand.read_of("deliveries%")
    [row] = await hand.run(_SEND_AGAIN, _LEASED)
    assert row["made"] == _LEASED
    # Once to pick it, once to see whether it was made before, once for how it ended.
    assert await hand.read_of("deliveries%") - before <= 4 * _LEASED


async def test_sending_again_finds_its_history_by_key_though_there_was_none_when_it_was_counted(
    hand: Hand,
) -> None:
    """An index by type begins with the merchant too: all of theirs was gone through for each."""
    await hand.script(_FILL)
    await hand.script(_END_ALL)
    await hand.script("CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM deliveries")
    await hand.script("DELETE FROM deliveries; ANALYZE deliveries")
    await hand.script("INSERT INTO deliveries SELECT * FROM kept")
    before = await _looks_into_history_by_other_indexes(hand)
    [row] = await hand.run(_SEND_AGAIN, _LEASED)
    assert row["made"] == _LEASED
    assert await _looks_into_history_by_other_indexes(hand) == before


async def test_sending_to_many_endpoints_reads_its_own_rows_though_none_waited_when_counted(
    hand: Hand,
) -> None:
    """Each slice read for each of its rows what the slices before had put there, and all lanes."""
    await hand.script(_FILL)
    await hand.script(_MANY_LANES)
    await hand.script(_MISSED)
    for slice_ in range(_CUSTOM_PLANS):
        before = [await hand.read_of(table) for table in ("queue", "lanes", "feed_entries")]
        [row] = await hand.run(_SEND_MISSED, slice_ * _LEASED, _LEASED)
        assert row["made"] == _LEASED
        after = [await hand.read_of(table) for table in ("queue", "lanes", "feed_entries")]
        # Whether it waits already, twice before it is put there.
        assert after[0] - before[0] <= 3 * _LEASED
        # Its lane is locked, asked for its state, and moved where it is numbered.
        assert after[1] - before[1] <= 4 * _LEASED
        # The next one of its feed.
        assert after[2] - before[2] <= 2 * _LEASED
    [row] = await hand.run("SELECT count(*)::int AS numbered FROM feed_entries")
    assert row["numbered"] == _ROWS // 2 + _CUSTOM_PLANS * _LEASED


async def test_hastening_reads_its_own_rows_though_none_waited_when_they_were_counted(
    hand: Hand,
) -> None:
    """What waits for a retry is sent again too: it was looked for in all that waits."""
    await hand.script(_FILL)
    await hand.script(_END_ALL)
    await hand.run(_SEND_AGAIN, _ROWS)
    before = await hand.read_of("queue")
    [row] = await hand.run(_SEND_AGAIN, _LEASED)
    assert row["made"] == _LEASED
    # Before its lane is locked, to lock it, to hasten it, and to see that it waits.
    assert await hand.read_of("queue") - before <= 5 * _LEASED


async def test_a_body_of_another_dialect_is_found_by_key_though_none_was_kept_when_counted(
    hand: Hand,
) -> None:
    """Where an endpoint had moved to another dialect, each slice read every body that is kept."""
    await hand.script(_FILL)
    await hand.script(_END_ALL)
    await hand.script(_KEEP_BODIES)
    rows = await hand.run("SELECT * FROM deliveries ORDER BY id LIMIT $1", _LEASED)
    again = [
        Requeue(
            delivery_id=DeliveryId(row["id"]),
            merchant_id=MerchantId(row["merchant_id"]),
            endpoint_id=EndpointId(row["endpoint_id"]),
            event_type=row["event_type"],
            order_key=None,
            dialect="stripe",
            dialect_version=1,
        )
        for row in rows
    ]
    before = await hand.read_of("bodies%"), await hand.read_of("deliveries%")
    assert await hand.requeue(*again) == _LEASED
    after = await hand.read_of("bodies%"), await hand.read_of("deliveries%")
    assert after[0] - before[0] <= 2 * _LEASED
    # Whether it was made before, how it ended, and in which dialect.
    assert after[1] - before[1] <= 4 * _LEASED
    [row] = await hand.run("SELECT count(*)::int AS kept FROM bodies")
    assert row["kept"] == _ROWS - _LEASED


async def test_taking_back_reads_its_own_rows_of_a_long_history(hand: Hand) -> None:
    """A replay could not be cancelled: what each delivery was before was looked for in them all."""
    await hand.script(_FILL)
    await hand.script(_END_ALL)
    await hand.run(_SEND_AGAIN, 2 * _LEASED)
    of_history, of_queue = await hand.read_of("deliveries%"), await hand.read_of("queue")
    [row] = await hand.run(f"SELECT take_back_v3({_MERCHANT}, {_JOB}, {_LEASED}) AS back")
    assert row["back"] == _LEASED
    # For its fence, and to see that nothing is new.
    assert await hand.read_of("deliveries%") - of_history <= 2 * _LEASED
    # Once to pick it, once to lock it, once to look at it, once to take it out.
    assert await hand.read_of("queue") - of_queue <= 5 * _LEASED


async def test_a_page_of_facts_reads_its_own_rows_though_the_queue_was_empty_before(
    hand: Hand,
) -> None:
    """A replay fills the queue that it looks into; with the plan of before it read it all."""
    facts = statements.load("payhooks.storage.postgres", "reading.sql")["facts_deliveries"]
    await hand.script(_FILL)
    await hand.script(_END_ALL)
    await hand.script("TRUNCATE queue; ANALYZE queue")
    ids = await hand.run("SELECT merchant_id, id FROM events ORDER BY id LIMIT $1", _LEASED)
    asked = (ids[0]["merchant_id"], ids[0]["id"], ids[-1]["id"])
    for _ in range(_CUSTOM_PLANS):
        await hand.run(facts, *asked)
    await hand.run(_SEND_AGAIN, _ROWS)
    before = await hand.read_of("queue"), await hand.read_of("deliveries%")
    assert len(await hand.run(facts, *asked)) == _LEASED
    after = await hand.read_of("queue"), await hand.read_of("deliveries%")
    # Once where it waits, once to see that its history is none yet.
    assert after[0] - before[0] <= 2 * _LEASED
    assert after[1] - before[1] <= _LEASED


async def test_folding_reads_each_wake_a_few_times_though_there_was_none_when_they_were_counted(
    hand: Hand,
) -> None:
    """Counted in a quiet moment; a burst of them then kept everybody's deliveries from going."""
    await hand.script(_FILL)
    await hand.script(_WAKES)
    await hand.script("DELETE FROM wakes; ANALYZE wakes")
    await hand.script(_WAKES)
    before = await hand.read_of("wakes")
    [row] = await hand.run("SELECT fold_v2(NULL, $1, $1) AS more", _LEASED)
    assert row["more"]
    # The oldest, twice; each lane's; those that go.
    assert await hand.read_of("wakes") - before <= 5 * _LEASED


async def test_cancelling_reads_its_own_rows_though_none_waited_when_they_were_counted(
    hand: Hand,
) -> None:
    """What waits for deleted endpoints, and what a cancelled replay made, was never taken away."""
    await hand.script(_FILL)
    await hand.script("CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM queue")
    await hand.script("DELETE FROM queue; ANALYZE queue; INSERT INTO queue SELECT * FROM kept")
    before = await hand.read_of("queue")
    [row] = await hand.run(
        "SELECT cardinality(cancel_v1(array_agg(k.merchant_id), array_agg(k.id))) AS gone"
        " FROM (SELECT * FROM kept ORDER BY id LIMIT $1) k",
        _LEASED,
    )
    assert row["gone"] == _LEASED
    # Once to lock it, once to find it, once to take it out.
    assert await hand.read_of("queue") - before <= 4 * _LEASED


async def _looks_into_history_by_other_indexes(hand: Hand) -> int:
    """Return how often deliveries were looked for otherwise than by their keys."""
    [row] = await hand.run(
        "SELECT sum(pg_stat_get_xact_numscans(i.indexrelid))::int AS looks"
        " FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
        " WHERE c.relname LIKE 'deliveries%' AND NOT i.indisprimary"
    )
    looks: int = row["looks"]
    return looks
