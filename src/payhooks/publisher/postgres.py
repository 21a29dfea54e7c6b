"""The outbox's table in PostgreSQL, by psycopg 3. Only those import this who forward from there."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from payhooks.errors import InvalidError
from payhooks.publisher.table import OutboxTable

# A forwarder that was stopped, or whose machine has gone, must not keep its rows for ever.
_GIVE_UP: Final = "SET LOCAL idle_in_transaction_session_timeout = '60s'"


class PostgresTable(OutboxTable):
    """In PostgreSQL, by psycopg 3."""

    _mark = "%s"
    _locking = " FOR UPDATE SKIP LOCKED"

    def __init__(self, url: str) -> None:
        """Take the URL; it is connected to when first used.

        Raises:
            InvalidError: It is none, and connecting would say so with parts of the password.

        """
        super().__init__()
        _demand_url(url)
        self._url = url
        self.errors = (psycopg.Error,)

    def _open(self) -> Any:  # noqa: ANN401 - as in the base
        if self._connection is None:
            self._connection = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=10,
                application_name="payhooks-outbox",
                # A pool between us and the server may give each transaction another session.
                prepare_threshold=None,
            )
            # Whatever the database's default is: a later statement has to see what came since, and
            # what this reads for seconds must not make a serializable sale fail.
            self._connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        return self._connection

    @contextmanager
    def _held(self) -> Iterator[bool]:
        with self._transaction():
            self._open().execute(_GIVE_UP)
            yield True

    def _transaction(self) -> Any:  # noqa: ANN401 - as in the base
        return self._open().transaction()

    def _is_in(self, column: str) -> str:
        return f"{column} = ANY(?)"

    def _list(self, values: Sequence[object]) -> object:
        return list(values)


def _demand_url(url: str) -> None:
    detail = "It is no URL of PostgreSQL. Is the password in it percent-encoded, @ as %40?"
    wrong = InvalidError.at("/database", "malformed", detail)
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        raise wrong from None
    # What stands behind an @ or a slash of a password that is not encoded.
    if any("@" in str(parts.get(name, "")) for name in ("host", "port", "dbname")):
        raise wrong
