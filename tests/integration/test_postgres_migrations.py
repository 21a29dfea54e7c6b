"""Migrations run once, whoever runs them and however often; a wrong version is refused."""

import asyncio
import os
from collections.abc import Iterator
from random import Random
from typing import Final

import pytest
from tests.support.postgres_hand import Hand, open_hand
from tests.support.stores import postgres_database

from payhooks.clock import SystemClock
from payhooks.dialects.deadlines import lease_s
from payhooks.dialects.registry import DIALECTS
from payhooks.errors import UnavailableError
from payhooks.ids import EndpointId, MerchantId
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.storage import documents
from payhooks.storage.postgres import PostgresStore, migrations

_LANES: Final = 14  # the migration that mends their leases
_APPLIED: Final = """
CREATE TABLE schema_migrations (number int, phase text, applied_at timestamptz DEFAULT now(),
  PRIMARY KEY (number, phase))
"""


@pytest.fixture
def database() -> Iterator[str]:
    """Yield a migrated database for one test, which may spoil it."""
    with postgres_database() as url:
        yield url


async def _empty(database: str) -> None:
    async with open_hand(database) as hand:
        await hand.run("DROP SCHEMA public CASCADE")
        await hand.run("CREATE SCHEMA public")


async def _open(database: str) -> None:
    store = await PostgresStore.open(database, clock=SystemClock(), random=Random(1))
    await store.close()


def test_migrations_come_in_pairs() -> None:
    """Old and new code both run between pre and post, so neither may be forgotten."""
    numbers = sorted({one.number for one in migrations.known()})

    assert [(one.number, one.phase) for one in migrations.known()] == [
        (number, phase) for phase in ("pre", "post") for number in numbers
    ]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_an_empty_database_is_refused_and_says_what_to_do(database: str) -> None:
    """A server must never change a schema by itself: another version may be running."""
    await _empty(database)

    with pytest.raises(UnavailableError, match="run payhooks migrate"):
        await _open(database)


async def test_migrating_again_does_nothing(database: str) -> None:
    """Deployments run it every time."""
    assert await migrations.migrate(database) == 0


async def test_two_that_migrate_at_once_do_it_once(database: str) -> None:
    """Two machines of one deployment start together."""
    await _empty(database)

    runs = await asyncio.gather(*(migrations.migrate(database) for _ in range(2)))

    assert sum(runs) == len(migrations.known())
    await _open(database)


async def test_a_migration_that_stopped_half_way_goes_on(database: str) -> None:
    """Each file is a transaction of its own, so a crash between two loses neither."""
    await _empty(database)
    first = migrations.known()[0]
    async with open_hand(database) as hand:
        await hand.begin()
        await hand.script(_APPLIED)
        await _apply(hand, first)
        await hand.commit()
    with pytest.raises(UnavailableError, match="lacks version 2"):
        await _open(database)

    assert await migrations.migrate(database) == len(migrations.known()) - 1
    await _open(database)


async def test_between_pre_and_post_this_version_runs(database: str) -> None:
    """Processes are replaced one by one while both kinds serve."""
    await _empty(database)
    pairs = len(migrations.known()) // 2

    assert await migrations.migrate(database, pre_only=True) == pairs
    await _open(database)
    assert await migrations.migrate(database) == pairs
    await _open(database)


async def test_the_pre_of_a_newer_version_stops_nobody(database: str) -> None:
    """A process of this version may be started again until the last one is replaced."""
    async with open_hand(database) as hand:
        await hand.run("INSERT INTO schema_migrations (number, phase) VALUES (9999, 'pre')")

    await _open(database)
    with pytest.raises(UnavailableError, match="newer version"):
        await migrations.migrate(database)


async def test_a_newer_database_is_left_alone(database: str) -> None:
    """Old code on a new schema would write what new code cannot read."""
    async with open_hand(database) as hand:
        await hand.run("INSERT INTO schema_migrations (number, phase) VALUES (9999, 'post')")

    with pytest.raises(UnavailableError, match="version 9999"):
        await _open(database)
    with pytest.raises(UnavailableError, match="newer version"):
        await migrations.migrate(database)


async def test_lanes_of_before_lease_for_what_their_dialects_allow(database: str) -> None:
    """Nobody edits an endpoint because its requests are made twice; old processes write on."""
    await _empty(database)
    async with open_hand(database) as hand:
        await hand.script(_APPLIED)
        for migration in migrations.known():
            if migration.number < _LANES:
                await _apply(hand, migration)
        for dialect in DIALECTS:
            await _old_endpoint(hand, dialect)
        await _old_endpoint(hand, "anothers")
        await _old_endpoint(hand, "merchant-console", timeout_s=15.0)

    await migrations.migrate(database, pre_only=True)
    async with open_hand(database) as hand:
        await _old_endpoint(hand, "merchant-console")
    await migrations.migrate(database)

    async with open_hand(database) as hand:
        rows = await hand.run(
            "SELECT document, lease_s FROM lanes JOIN endpoints ON id = endpoint_id"
        )
    assert len(rows) == len(DIALECTS) + 3
    for row in rows:
        endpoint = documents.decode(Endpoint, row["document"])
        # Those that allow less than the default keep its lease: nothing is lost by it.
        assert row["lease_s"] == max(lease_s(endpoint), 30.0)


async def _apply(hand: Hand, migration: migrations.Migration) -> None:
    await hand.script(migration.sql)
    row = "INSERT INTO schema_migrations VALUES ($1, $2)"
    await hand.run(row, migration.number, migration.phase)


async def _old_endpoint(hand: Hand, dialect: str, *, timeout_s: float | None = None) -> None:
    """Write an endpoint as the version before did: leased for 30 s if it names no time-out."""
    endpoint = Endpoint(
        id=EndpointId(os.urandom(16)),
        merchant_id=MerchantId(bytes(16)),
        number=1,
        label="Shop",
        url="https://shop.example/hooks",
        events=("*",),
        status=EndpointStatus.ACTIVE,
        disabled_reason=None,
        version=1,
        created_at=SystemClock().now(),
        updated_at=SystemClock().now(),
        dialect=dialect,
        timeout_s=timeout_s,
    )
    document = documents.encode(endpoint).decode()
    [found] = await hand.run("SELECT count(*) AS count FROM endpoints")
    await hand.run(
        "INSERT INTO endpoints (merchant_id, id, number, status, version, document)"
        " VALUES ($1, $2, $3, 'active', 1, $4)",
        *(endpoint.merchant_id, endpoint.id, found["count"] + 1, document),
    )
    await hand.run(
        "INSERT INTO lanes (endpoint_id, merchant_id, shard, state, lease_s)"
        " VALUES ($1, $2, 0, 0, 30)",
        *(endpoint.id, endpoint.merchant_id),
    )
