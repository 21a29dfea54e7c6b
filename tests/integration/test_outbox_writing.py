"""The outbox in an application's transactions: both are committed, or neither."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from tests.support.outbox import (
    APPLICATIONS,
    TYPE,
    RolledBack,
    by_driver,
    django_connection,
    driver,
    outbox_database,
    postgres_cluster,
    rows_of,
    sqlalchemy_engine,
)

from payhooks.errors import InvalidError, TooLargeError
from payhooks.publisher import Outbox, create_table, open_table, table_sql

OUTBOX = Outbox("shop")


@pytest.fixture(scope="module")
def cluster_url() -> Iterator[str]:
    with postgres_cluster() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, stack: ExitStack, tmp_path: Path) -> str:
    """Return a database of either kind, with an outbox."""
    kind: str = request.param
    # Asked for by name, so that SQLite needs no cluster.
    return stack.enter_context(
        outbox_database(kind, tmp_path, lambda: request.getfixturevalue("cluster_url"))
    )


@pytest.mark.parametrize("application", APPLICATIONS)
def test_what_is_committed_is_in_the_outbox(database: str, application: str) -> None:
    """An event that is missing from it is told to nobody."""
    keys: list[str] = []

    APPLICATIONS[application](
        database,
        "paid",
        lambda connection: keys.append(
            OUTBOX.write(connection, TYPE, {"total": "100 %"}, object_type="order", object_id="o1")
        ),
    )

    assert rows_of(database, "business") == 1
    with driver(database) as connection:
        rows = connection.execute(
            "SELECT merchant, order_key, idempotency_key, body, attempts FROM payhooks_outbox"
        ).fetchall()
    body = (
        '{"type":"payment_succeeded","object":{"type":"order","id":"o1"},"data":{"total":"100 %"}}'
    )
    assert rows == [("shop", "shop/o1", keys[0], body, 0)]


@pytest.mark.parametrize("application", APPLICATIONS)
def test_what_is_rolled_back_leaves_nothing(database: str, application: str) -> None:
    """Merchants would ship what nobody paid for."""

    def write_and_fail(connection: object) -> None:
        OUTBOX.write(connection, TYPE, {})
        raise RolledBack

    with pytest.raises(RolledBack):
        APPLICATIONS[application](database, "paid", write_and_fail)

    assert rows_of(database, "business") == 0
    assert rows_of(database) == 0


@pytest.mark.parametrize("application", APPLICATIONS)
def test_bad_input_never_gets_into_the_table(database: str, application: str) -> None:
    """There the server would refuse it when nobody can mend it any more."""

    def write(connection: object) -> None:
        for data, ordering_key in ((float("nan"), "k"), ([], "k"), ({}, "a\0")):
            with pytest.raises(InvalidError):
                OUTBOX.write(connection, TYPE, data, ordering_key=ordering_key)
        with pytest.raises(TooLargeError):
            OUTBOX.write(connection, TYPE, {"x": "y" * 300_000})

    APPLICATIONS[application](database, "paid", write)

    assert rows_of(database, "business") == 1, "what was refused has not harmed the transaction"
    assert rows_of(database) == 0


def test_a_driver_that_would_commit_the_event_alone_is_refused(database: str) -> None:
    """The mistake shows at the first try, not as an event of a payment that never was."""
    if database.startswith("sqlite"):
        connection = sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None)
    else:
        connection = psycopg.connect(database, autocommit=True)  # type: ignore[assignment]  # the other
    with pytest.raises(InvalidError, match="transaction first"):
        OUTBOX.write(connection, TYPE, {})
    connection.execute("BEGIN")
    OUTBOX.write(connection, TYPE, {})
    connection.execute("COMMIT")
    connection.close()
    assert rows_of(database) == 1


def test_django_outside_of_atomic_is_refused(database: str) -> None:
    """It commits every statement by itself there, which is easily forgotten."""
    with (
        django_connection(database) as (connection, _),
        pytest.raises(InvalidError, match="transaction first"),
    ):
        OUTBOX.write(connection, TYPE, {})
    assert rows_of(database) == 0


def test_sqlalchemy_in_autocommit_is_refused(database: str) -> None:
    with (
        sqlalchemy_engine(database, isolation_level="AUTOCOMMIT") as engine,
        engine.connect() as connection,
        pytest.raises(InvalidError, match="transaction first"),
    ):
        OUTBOX.write(connection, TYPE, {})
    assert rows_of(database) == 0


def test_sqlalchemy_may_commit_as_it_goes(database: str) -> None:
    """The outbox's statement begins the transaction where it is the first."""
    with sqlalchemy_engine(database) as engine, engine.connect() as connection:
        OUTBOX.write(connection, TYPE, {})
        connection.commit()
        OUTBOX.write(connection, TYPE, {})
        connection.rollback()
    assert rows_of(database) == 1


def test_sqlalchemy_may_say_begin_itself(tmp_path: Path) -> None:
    """As its documentation advises for SQLite, with the driver's own way switched off."""
    with outbox_database("sqlite", tmp_path, str) as url, sqlalchemy_engine(url) as engine:

        @sqlalchemy.event.listens_for(engine, "connect")
        def _switch_off(connection: sqlite3.Connection, _record: object) -> None:
            connection.isolation_level = None

        @sqlalchemy.event.listens_for(engine, "begin")
        def _begin(connection: sqlalchemy.Connection) -> None:
            connection.exec_driver_sql("BEGIN")

        with engine.connect() as connection:
            OUTBOX.write(connection, TYPE, {})
            connection.rollback()
        assert rows_of(url) == 0


async def test_an_asynchronous_connection_is_refused(cluster_url: str) -> None:
    """It would return something to wait for, and nobody would."""
    connection = await psycopg.AsyncConnection.connect(cluster_url)
    with pytest.raises(InvalidError, match="none that is asynchronous"):
        OUTBOX.write(connection, TYPE, {})
    await connection.close()


@pytest.mark.parametrize("connection", [None, "postgresql://x", object()], ids=str)
def test_what_is_no_connection_is_refused(connection: object) -> None:
    with pytest.raises(InvalidError, match="psycopg 3"):
        OUTBOX.write(connection, TYPE, {})


@pytest.mark.parametrize("application", APPLICATIONS)
def test_every_library_can_make_the_table(database: str, application: str) -> None:
    """In whatever way the application migrates; twice does no harm."""
    APPLICATIONS[application](database, "migrated", create_table)
    assert rows_of(database) == 0


def test_the_sql_makes_the_same_table(database: str) -> None:
    """For those who keep their migrations in files."""
    vendor = "sqlite" if database.startswith("sqlite") else "postgresql"
    with driver(database) as connection:
        connection.execute("DROP TABLE payhooks_outbox")
        for statement in table_sql(vendor).split(";\n"):
            if statement:
                connection.execute(statement)
        connection.commit()
    by_driver(database, "paid", lambda connection: OUTBOX.write(connection, TYPE, {}))
    table = open_table(database)
    counts = table.counts()
    table.close()
    assert (counts.waiting, counts.failed) == (1, 0)
    assert counts.oldest is not None


def test_another_database_is_refused() -> None:
    for wrong in (lambda: table_sql("mysql"), lambda: open_table("mysql://x"), lambda: Outbox("")):
        with pytest.raises(InvalidError):
            wrong()
