"""The transactional outbox: an event is written where the business is written, or not at all.

A row of `payhooks_outbox` is inserted in the caller's own transaction, so event and business
are committed together or neither is. Nothing is sent from here: `Forwarder` does it afterwards.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from payhooks.errors import InvalidError
from payhooks.publisher.callers import adapted
from payhooks.publisher.client import demand_merchant
from payhooks.publisher.event import NewEvent, keyed

_POSTGRESQL: Final = (
    """\
CREATE TABLE IF NOT EXISTS payhooks_outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    merchant text NOT NULL,
    order_key text,
    idempotency_key text NOT NULL,
    body text NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    failed timestamptz
)""",
    """\
CREATE INDEX IF NOT EXISTS payhooks_outbox_order
    ON payhooks_outbox (order_key, id) WHERE failed IS NULL""",
)
_SQLITE: Final = (
    """\
CREATE TABLE IF NOT EXISTS payhooks_outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    merchant TEXT NOT NULL,
    order_key TEXT,
    idempotency_key TEXT NOT NULL,
    body TEXT NOT NULL,
    created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    failed TEXT
)""",
    """\
CREATE INDEX IF NOT EXISTS payhooks_outbox_order
    ON payhooks_outbox (order_key, id) WHERE failed IS NULL""",
)
_STATEMENTS: Final = {"postgresql": _POSTGRESQL, "sqlite": _SQLITE}
_INSERT: Final = """\
INSERT INTO payhooks_outbox (merchant, order_key, idempotency_key, body) VALUES (?, ?, ?, ?)"""


class Outbox:
    """Writes events of one merchant into the caller's transaction. Safe between threads."""

    def __init__(self, merchant: str) -> None:
        """Name the merchant, by id or reference."""
        demand_merchant(merchant)
        self._merchant = merchant

    def write(  # noqa: PLR0913 - one keyword per field of the API
        self,
        connection: Any,  # noqa: ANN401 - of libraries that we do not import
        event_type: str,
        data: object,
        *,
        idempotency_key: str | None = None,
        family: str | None = None,
        object_type: str | None = None,
        object_id: str | None = None,
        occurred_at: datetime | None = None,
        ordering_key: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> str:
        """Write the event and return its idempotency key, given or drawn.

        *connection* is the one that the business is written with: of psycopg 3, of sqlite3, a
        Connection or Session of SQLAlchemy 2, or Django's. The other arguments are the fields
        of ``NewEvent``. Nothing is committed here.

        Raises:
            InvalidError: An argument cannot be sent, or the connection is in no transaction.
                Nothing was written.
            TooLargeError: The event is over the server's limit. Nothing was written.

        """
        event = keyed(
            NewEvent(
                type=event_type,
                data=data,
                idempotency_key=idempotency_key,
                family=family,
                object_type=object_type,
                object_id=object_id,
                occurred_at=occurred_at,
                ordering_key=ordering_key,
                metadata=metadata,
            )
        )
        caller = adapted(connection)
        if caller.commits_by_itself():
            raise InvalidError.at(
                "/connection",
                "no_transaction",
                "Open a transaction first: this connection would commit the event alone.",
            )
        key = ordering_key or object_id
        order_key = None if key is None else f"{self._merchant}/{key}"
        row = (self._merchant, order_key, event.idempotency_key, event.body.decode())
        caller.run(_INSERT, row)
        return event.idempotency_key


def create_table(connection: Any) -> None:  # noqa: ANN401 - of libraries that we do not import
    """Make the outbox's table, if it is not there, with any connection that ``Outbox`` takes.

    For a migration, or once at the start; commits no more than ``Outbox.write`` does.
    """
    caller = adapted(connection)
    for statement in _STATEMENTS[caller.vendor]:
        caller.run(statement, ())


def table_sql(vendor: str) -> str:
    """Return what ``create_table`` runs, for ``postgresql`` or ``sqlite``.

    Raises:
        InvalidError: Another database.

    """
    if vendor not in _STATEMENTS:
        raise InvalidError.at("/vendor", "unknown", "The outbox is for postgresql and sqlite.")
    return "".join(f"{statement};\n" for statement in _STATEMENTS[vendor])
