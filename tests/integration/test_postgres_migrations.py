"""Migrations run once, whoever runs them and however often; a wrong version is refused."""

import asyncio
from collections.abc import Iterator
from random import Random

import pytest
from tests.support.postgres_hand import open_hand
from tests.support.stores import postgres_database

from payhooks.clock import SystemClock
from payhooks.errors import UnavailableError
from payhooks.storage.postgres import PostgresStore, migrations


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
        await hand.run(
            "CREATE TABLE schema_migrations (number int, phase text, applied_at timestamptz"
            " DEFAULT now(), PRIMARY KEY (number, phase))"
        )
        await hand.script(first.sql)
        await hand.run("INSERT INTO schema_migrations VALUES ($1, $2)", first.number, first.phase)
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
