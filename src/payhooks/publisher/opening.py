"""Which table a database URL means: the one place that knows all of them."""

from pathlib import Path

from payhooks.errors import InvalidError
from payhooks.publisher.sqlite import SqliteTable
from payhooks.publisher.table import OutboxTable


def open_table(url: str) -> OutboxTable:
    """Return the outbox of a database: ``postgresql://…`` or ``sqlite:///path``.

    Raises:
        InvalidError: Another kind of URL, or psycopg is not installed.

    """
    if url.startswith(("postgresql://", "postgres://")):
        try:
            from payhooks.publisher.postgres import PostgresTable  # noqa: PLC0415 - needs psycopg
        except ImportError:
            detail = "Forwarding from PostgreSQL needs psycopg 3: install psycopg[binary]."
            raise InvalidError.at("/database", "not_installed", detail) from None
        return PostgresTable(url)
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SqliteTable(Path(url.removeprefix("sqlite:///")))
    detail = "It begins with postgresql:// or sqlite:/// and a path."
    raise InvalidError.at("/database", "malformed", detail)
