"""Do an event's work once, however often it is told: the mark goes into your own transaction.

The mark and your work are committed together or not at all. Of two that try at the same time
one waits for the other's end, and is first only if that one rolled back. Nothing is leased and
nothing expires by itself, so there is no time in which a crash loses or repeats the work.

Connections may be of ``sqlite3``, psycopg 3, SQLAlchemy 2 or Django; a transaction must be open
or open by itself with the first statement (``autocommit`` would commit the mark alone).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from inspect import iscoroutinefunction
from typing import Any, Final

from payhooks.clock import SystemClock
from payhooks.receiver.event import Event

_INSERT: Final = (
    "INSERT INTO payhooks_seen (source, event_id, seen_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
)
_FORGET: Final = "DELETE FROM payhooks_seen WHERE seen_at < ?"

# What sqlite3 calls the old way, where isolation_level decides; Python 3.11 knows no other.
_LEGACY: Final = -1


def table_sql() -> str:
    """Return the statement that makes the table; the same for SQLite and PostgreSQL.

    The time is a number so that one statement serves both: seconds since 1970.
    """
    return (
        "CREATE TABLE IF NOT EXISTS payhooks_seen ("
        "source TEXT NOT NULL, event_id TEXT NOT NULL, seen_at BIGINT NOT NULL,"
        " PRIMARY KEY (source, event_id))"
    )


@contextmanager
def once(
    connection: Any,  # noqa: ANN401 - of four libraries, told apart by what they can do
    event: Event,
    *,
    source: str | None = None,
    now: datetime | None = None,
) -> Iterator[bool]:
    """Yield whether this event comes for the first time; mark it in the caller's transaction.

    An error in the block leaves as it is: roll back, as you would without this, and the next
    delivery is first again. Where it is not the first time, answer 2xx and do nothing.

    Args:
        connection: With a transaction of yours, which you commit.
        event: As verified.
        source: Tells senders apart whose ids could meet; the dialect unless given.
        now: When it is marked, for ``forget``; the machine's time unless given.

    """
    at = _seconds(SystemClock().now() if now is None else now)
    marked = _execute(connection, _INSERT, (source or event.format, event.id, at))
    if marked not in {0, 1}:
        # Taken for 0 it would be an event that nobody ever did the work of.
        raise TypeError("once asks whether it is first; in a pipeline the answer comes too late")
    yield marked == 1


def forget(connection: Any, before: datetime) -> int:  # noqa: ANN401 - see once
    """Remove the marks made before *before*, in the caller's transaction; return how many.

    Keep them longer than the sender retries and replays: what is forgotten is first again.
    """
    return _execute(connection, _FORGET, (_seconds(before),))


def _seconds(at: datetime) -> int:
    if at.tzinfo is None:
        raise TypeError("give a datetime with a time zone")
    return int(at.astimezone(UTC).timestamp())


def _execute(connection: Any, statement: str, values: tuple[object, ...]) -> int:  # noqa: ANN401 - see once
    """Return how many rows it changed."""
    _refuse_strange(connection)
    if hasattr(connection, "exec_driver_sql"):  # SQLAlchemy; its driver's style of parameters
        if not connection.in_transaction():
            # As its first statement would; an application may say BEGIN to the driver itself then.
            connection.begin()
        _refuse_autocommit(connection.connection.driver_connection)
        style = connection.dialect.paramstyle
        text = statement if style == "qmark" else statement.replace("?", "%s")
        return int(connection.exec_driver_sql(text, values).rowcount)
    _refuse_autocommit(connection)
    is_sqlite = isinstance(connection, sqlite3.Connection)
    text = statement if is_sqlite else statement.replace("?", "%s")
    cursor = connection.cursor()
    try:
        cursor.execute(text, values)
        return int(cursor.rowcount)
    finally:
        cursor.close()


def _refuse_strange(connection: Any) -> None:  # noqa: ANN401 - see once
    """Raise TypeError where a statement would not be run, or could not."""
    if iscoroutinefunction(getattr(connection, "commit", None)):
        raise TypeError("once runs statements; this connection is asynchronous")
    if hasattr(connection, "get_bind"):
        raise TypeError("once takes a session's connection: give session.connection()")


def _refuse_autocommit(connection: Any) -> None:  # noqa: ANN401 - see once
    """Raise TypeError where the mark would be committed before the work is done."""
    if hasattr(connection, "in_atomic_block"):  # Django
        alone = not connection.in_atomic_block
    elif hasattr(getattr(connection, "info", None), "transaction_status"):
        # psycopg, and its predecessor below SQLAlchemy; 0 is libpq's "idle".
        alone = connection.autocommit and connection.info.transaction_status == 0
    elif isinstance(connection, sqlite3.Connection):
        mode = getattr(connection, "autocommit", _LEGACY)
        by_itself = mode is True or (mode == _LEGACY and connection.isolation_level is None)
        alone = by_itself and not connection.in_transaction
    else:
        alone = False
    if alone:
        raise TypeError("once needs an open transaction; this connection commits by itself")
