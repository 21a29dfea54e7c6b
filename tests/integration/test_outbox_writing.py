"""The outbox in an application's transactions: both are committed, or neither."""

import sqlite3
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
    rows_of,
    sqlalchemy_engine,
)

from payhooks.errors import InvalidError, TooLargeError
from payhooks.publisher import Outbox, create_table, open_table, table_sql

pytest_plugins = ("tests.support.outbox_fixtures",)
OUTBOX = Outbox("shop")


@pytest.mark.shows("V61")
@pytest.mark.parametrize("application", APPLICATIONS)
def test_what_is_committed_is_in_the_outbox(outbox_url: str, application: str) -> None:
    """An event that is missing from it is told to nobody."""
    keys: list[str] = []

    APPLICATIONS[application](
        outbox_url,
        "paid",
        lambda connection: keys.append(
            OUTBOX.write(connection, TYPE, {"total": "100 %"}, object_type="order", object_id="o1")
        ),
    )

    assert rows_of(outbox_url, "business") == 1
    with driver(outbox_url) as connection:
        rows = connection.execute(
            "SELECT merchant, order_key, idempotency_key, body, attempts FROM payhooks_outbox"
        ).fetchall()
    body = (
        '{"type":"payment_succeeded","object":{"type":"order","id":"o1"},"data":{"total":"100 %"}}'
    )
    assert rows == [("shop", "shop/o1", keys[0], body, 0)]


@pytest.mark.shows("V61")
@pytest.mark.parametrize("application", APPLICATIONS)
def test_what_is_rolled_back_leaves_nothing(outbox_url: str, application: str) -> None:
    """Merchants would ship what nobody paid for."""

    def write_and_fail(connection: object) -> None:
        OUTBOX.write(connection, TYPE, {})
        raise RolledBack

    with pytest.raises(RolledBack):
        APPLICATIONS[application](outbox_url, "paid", write_and_fail)

    assert rows_of(outbox_url, "business") == 0
    assert rows_of(outbox_url) == 0


@pytest.mark.parametrize("application", APPLICATIONS)
def test_bad_input_never_gets_into_the_table(outbox_url: str, application: str) -> None:
    """There the server would refuse it when nobody can mend it any more."""

    def write(connection: object) -> None:
        for data, ordering_key in ((float("nan"), "k"), ([], "k"), ({}, "a\0")):
            with pytest.raises(InvalidError):
                OUTBOX.write(connection, TYPE, data, ordering_key=ordering_key)
        with pytest.raises(TooLargeError):
            OUTBOX.write(connection, TYPE, {"x": "y" * 300_000})

    APPLICATIONS[application](outbox_url, "paid", write)

    assert rows_of(outbox_url, "business") == 1, "what was refused has not harmed the transaction"
    assert rows_of(outbox_url) == 0


def test_a_driver_that_would_commit_the_event_alone_is_refused(outbox_url: str) -> None:
    """The mistake shows at the first try, not as an event of a payment that never was."""
    if outbox_url.startswith("sqlite"):
        connection = sqlite3.connect(outbox_url.removeprefix("sqlite:///"), isolation_level=None)
    else:
        connection = psycopg.connect(outbox_url, autocommit=True)  # type: ignore[assignment]  # the other
    with pytest.raises(InvalidError, match="transaction first"):
        OUTBOX.write(connection, TYPE, {})
    connection.execute("BEGIN")
    OUTBOX.write(connection, TYPE, {})
    connection.execute("COMMIT")
    connection.close()
    assert rows_of(outbox_url) == 1


def test_django_outside_of_atomic_is_refused(outbox_url: str) -> None:
    """It commits every statement by itself there, which is easily forgotten."""
    with (
        django_connection(outbox_url) as (connection, _),
        pytest.raises(InvalidError, match="transaction first"),
    ):
        OUTBOX.write(connection, TYPE, {})
    assert rows_of(outbox_url) == 0


def test_sqlalchemy_in_autocommit_is_refused(outbox_url: str) -> None:
    with (
        sqlalchemy_engine(outbox_url, isolation_level="AUTOCOMMIT") as engine,
        engine.connect() as connection,
        pytest.raises(InvalidError, match="transaction first"),
    ):
        OUTBOX.write(connection, TYPE, {})
    assert rows_of(outbox_url) == 0


def test_sqlalchemy_may_commit_as_it_goes(outbox_url: str) -> None:
    """The outbox's statement begins the transaction where it is the first."""
    with sqlalchemy_engine(outbox_url) as engine, engine.connect() as connection:
        OUTBOX.write(connection, TYPE, {})
        connection.commit()
        OUTBOX.write(connection, TYPE, {})
        connection.rollback()
    assert rows_of(outbox_url) == 1


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


async def test_an_asynchronous_connection_is_refused(outbox_cluster: str) -> None:
    """It would return something to wait for, and nobody would."""
    connection = await psycopg.AsyncConnection.connect(outbox_cluster)
    with pytest.raises(InvalidError, match="none that is asynchronous"):
        OUTBOX.write(connection, TYPE, {})
    await connection.close()


@pytest.mark.parametrize(
    "connection", [None, "postgresql://x", object()], ids=["nothing", "a URL", "an object"]
)
def test_what_is_no_connection_is_refused(connection: object) -> None:
    with pytest.raises(InvalidError, match="psycopg 3"):
        OUTBOX.write(connection, TYPE, {})


@pytest.mark.parametrize("application", APPLICATIONS)
def test_every_library_can_make_the_table(outbox_url: str, application: str) -> None:
    """In whatever way the application migrates; twice does no harm."""
    APPLICATIONS[application](outbox_url, "migrated", create_table)
    assert rows_of(outbox_url) == 0


def test_the_sql_makes_the_same_table(outbox_url: str) -> None:
    """For those who keep their migrations in files."""
    vendor = "sqlite" if outbox_url.startswith("sqlite") else "postgresql"
    with driver(outbox_url) as connection:
        connection.execute("DROP TABLE payhooks_outbox")
        for statement in table_sql(vendor).split(";\n"):
            if statement:
                connection.execute(statement)
        connection.commit()
    by_driver(outbox_url, "paid", lambda connection: OUTBOX.write(connection, TYPE, {}))
    table = open_table(outbox_url)
    counts = table.counts()
    table.close()
    assert (counts.waiting, counts.failed) == (1, 0)
    assert counts.oldest is not None


def test_another_database_is_refused() -> None:
    for wrong in (lambda: table_sql("mysql"), lambda: open_table("mysql://x"), lambda: Outbox("")):
        with pytest.raises(InvalidError):
            wrong()
