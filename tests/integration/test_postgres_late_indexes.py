"""Indexes that history gets when it is there already: built while all goes on, whole in the end."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.support.postgres_hand import Hand, open_hand
from tests.support.postgres_plans import id_text, small_id
from tests.support.stores import postgres_database

from payhooks.storage.postgres import indexes, migrations

_LIST_INDEXES = 9  # the migration's number
# More than is built in a transaction.
_ROWS = 60_000
_FILL = f"""
INSERT INTO deliveries (merchant_id, id, endpoint_id, finished_at, delivered_at, fence,
  attempts_made, dialect_version, state, event_type, dialect)
SELECT {small_id("n % 5")}, {id_text("00001")}, {small_id("n % 7")}, now(), now(), 1, 1, 1, 3,
  'payment.succeeded', 'standard' FROM generate_series(1, {_ROWS}) n;
"""  # noqa: S608 - our own words only
_FILL_KEYS = f"""
INSERT INTO idempotency (key, event_id, content, deliveries, event_type)
SELECT md5(n::text)::uuid, {id_text("00000")}, {small_id("n")}, 1, 'payment.succeeded'
FROM generate_series(1, {_ROWS}) n;
"""  # noqa: S608 - our own words only
_INVALID = "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid"
_WHOLE = (
    "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indexrelid IN"
    " (to_regclass('feed_entries_old'), to_regclass('idempotency_old')) ORDER BY 1"
)
# For a transaction to end: before that it may wait a moment for the table, which is being vacuumed.
_WAITING = (
    "SELECT FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event = 'virtualxid' AND query LIKE 'CREATE INDEX%'"
)
_WAITING_S_MAX = 60.0
_DAY_OF_ALL = "SELECT tableoid::regclass::text AS day FROM deliveries LIMIT 1"


@pytest.fixture
def database() -> Iterator[str]:
    """Yield a database as it was before lists had indexes, with much in it."""
    with postgres_database() as url:
        asyncio.run(_go_back(url))
        yield url


async def _go_back(database: str) -> None:
    async with open_hand(database) as hand:
        await hand.begin()
        await hand.script("DROP INDEX deliveries_reason, deliveries_type, events_unsubscribed_type")
        await hand.run(
            "DELETE FROM schema_migrations WHERE number = $1 AND phase = 'post'", _LIST_INDEXES
        )
        await hand.script("DROP INDEX idempotency_old, feed_entries_old")
        await hand.script(_FILL)
        await hand.commit()


async def _days_with(hand: Hand, index: str) -> int:
    rows = await hand.run(
        "SELECT count(*) AS days FROM pg_inherits h JOIN pg_index i ON i.indexrelid = h.inhrelid"
        " WHERE h.inhparent = $1::text::regclass AND i.indisvalid",
        index,
    )
    return int(rows[0]["days"])


async def test_every_day_gets_its_index_while_others_write(database: str) -> None:
    """An update of a busy installation must not stop its deliveries for as long as it takes."""
    async with open_hand(database) as holder, open_hand(database) as writer:
        [row] = await writer.run(
            "SELECT tableoid::regclass::text AS day, pg_relation_size(tableoid) AS bytes"
            " FROM deliveries LIMIT 1"
        )
        assert row["bytes"] > indexes.SMALL_BYTES
        touch = f"UPDATE {row['day']} SET fence = fence + 1 WHERE merchant_id = $1"  # noqa: S608 - ours
        # Somebody's transaction goes on, and the build waits for its end.
        await holder.begin()
        await holder.run(touch, bytes(15) + b"\x01")
        migrating = asyncio.create_task(migrations.migrate(database))
        async with asyncio.timeout(_WAITING_S_MAX):
            while not await writer.run(_WAITING):
                assert not migrating.done()

        # Nobody else waits behind it.
        await writer.script("SET lock_timeout = '250ms'")
        await writer.run(touch, bytes(15) + b"\x02")

        await holder.commit()
        await migrating
        assert await writer.run(_INVALID) == []
        assert await _days_with(writer, "deliveries_type") == await _days_with(
            writer, "deliveries_endpoint"
        )


async def test_what_a_build_that_died_left_behind_is_built_anew(database: str) -> None:
    """An index that is not whole is kept up to date and never used: the worst of both."""
    async with open_hand(database) as hand:
        [row] = await hand.run(_DAY_OF_ALL)
        name = f"{row['day']}_deliveries_type"
        await hand.script(f"CREATE INDEX {name} ON {row['day']} (merchant_id, event_type, id)")
        await hand.run(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::text::regclass", name
        )
        assert [one["name"] for one in await hand.run(_INVALID)] == [name]

        await migrations.migrate(database)

        assert await hand.run(_INVALID) == []
        [row] = await hand.run("SELECT count(*) AS count FROM pg_class WHERE relname = $1", name)
        assert row["count"] == 1


async def test_what_has_no_days_gets_its_index_as_well(database: str) -> None:
    """Of a table of any size, and of an empty one."""
    async with open_hand(database) as hand:
        await hand.script(_FILL_KEYS)
        [row] = await hand.run("SELECT pg_relation_size('idempotency') AS bytes")
        assert row["bytes"] > indexes.SMALL_BYTES
        await hand.script("CREATE INDEX idempotency_old ON idempotency (event_id)")
        await hand.script(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idempotency_old'::regclass"
        )

        await migrations.migrate(database)

        assert await hand.run(_INVALID) == []
        names = [row["name"] for row in await hand.run(_WHOLE)]
        assert names == ["feed_entries_old", "idempotency_old"]


async def test_two_that_build_at_once_end_with_one_of_each(database: str) -> None:
    """Two machines of one deployment start together."""
    await asyncio.gather(*(migrations.migrate(database) for _ in range(2)))

    async with open_hand(database) as hand:
        assert await hand.run(_INVALID) == []
        assert len(await hand.run(_WHOLE)) == 2
        assert await _days_with(hand, "deliveries_reason") == await _days_with(
            hand, "deliveries_endpoint"
        )
