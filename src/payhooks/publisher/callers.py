"""The connections that callers hand over: psycopg, sqlite3, SQLAlchemy, Django.

They are told apart by what they can do, so that none of the libraries has to be imported.
Statements are written with ``?`` and get the mark of the library that runs them.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, Protocol

from payhooks.errors import InvalidError

_STRANGE: Final = (
    "The outbox takes a connection of psycopg 3 or sqlite3, a Connection or Session of SQLAlchemy 2"
    " on one of them, or Django's; none that is asynchronous."
)
# What sqlite3 calls the old way, where isolation_level decides; Python 3.11 knows no other.
_LEGACY: Final = -1


class Caller(Protocol):
    """Somebody's connection, as the outbox needs it."""

    vendor: str

    def commits_by_itself(self) -> bool:
        """Return whether a statement would be a transaction of its own."""
        ...

    def run(self, statement: str, values: Sequence[object]) -> None:
        """Run one statement in the caller's transaction."""
        ...


def adapted(connection: Any) -> Caller:  # noqa: ANN401 - of libraries that we do not import
    """Return *connection* as a caller.

    Raises:
        InvalidError: It is none that the outbox knows.

    """
    if hasattr(connection, "run_sync"):  # of SQLAlchemy, asynchronous
        raise InvalidError.at("/connection", "unknown", _STRANGE)
    if hasattr(connection, "in_atomic_block"):
        return _Django(connection)
    if hasattr(connection, "get_bind"):
        return _SQLAlchemy(connection.connection())
    if hasattr(connection, "exec_driver_sql"):
        return _SQLAlchemy(connection)
    return _driver(connection)


def _driver(connection: Any) -> "_Sqlite | _Psycopg":  # noqa: ANN401 - as above
    if isinstance(connection, sqlite3.Connection):
        return _Sqlite(connection)
    kinds = {
        f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(connection).__mro__
    }
    if "psycopg.Connection" in kinds:
        return _Psycopg(connection)
    raise InvalidError.at("/connection", "unknown", _STRANGE)


class _Sqlite:
    vendor = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def commits_by_itself(self) -> bool:
        if self._connection.in_transaction:
            return False
        mode = getattr(self._connection, "autocommit", _LEGACY)
        return mode is True or (mode == _LEGACY and self._connection.isolation_level is None)

    def run(self, statement: str, values: Sequence[object]) -> None:
        self._connection.execute(statement, values)


class _Psycopg:
    vendor = "postgresql"

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - as above
        self._connection = connection

    def commits_by_itself(self) -> bool:
        # Within a transaction block the connection says so, autocommit or not.
        status: str = self._connection.info.transaction_status.name
        return bool(self._connection.autocommit) and status == "IDLE"

    def run(self, statement: str, values: Sequence[object]) -> None:
        self._connection.execute(statement.replace("?", "%s"), values)


class _SQLAlchemy:
    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - as above
        self._connection = connection
        if not connection.in_transaction():
            # As its first statement would. Before the look at the driver, because an application
            # may have taken over when BEGIN is said.
            connection.begin()
        driver = connection.connection.driver_connection
        self._driver = _driver(driver)
        self.vendor = self._driver.vendor

    def commits_by_itself(self) -> bool:
        return self._driver.commits_by_itself()

    def run(self, statement: str, values: Sequence[object]) -> None:
        mark = "?" if self.vendor == "sqlite" else "%s"
        self._connection.exec_driver_sql(statement.replace("?", mark), tuple(values))


class _Django:
    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - as above
        self._connection = connection
        self.vendor: str = connection.vendor
        if self.vendor not in {"postgresql", "sqlite"}:
            raise InvalidError.at("/connection", "unknown", _STRANGE)

    def commits_by_itself(self) -> bool:
        return not self._connection.in_atomic_block and bool(self._connection.get_autocommit())

    def run(self, statement: str, values: Sequence[object]) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement.replace("?", "%s"), values or None)
