"""Pays back what a failed payment has debited: once, however often it is told.

Two things keep it at once. A delivery that comes again finds its mark. Two different events of
one payment (it failed; its order is cancelled) find the payment's row. Whoever sends the money
takes the rows that are ``due`` and gives the bank the payment's id as its idempotency key.
"""

import os
import sqlite3
from contextlib import closing
from wsgiref.simple_server import make_server

from payhooks.receiver import Event, Verifier, once, table_sql
from payhooks.receiver.wsgi import webhook

verifier = Verifier(os.environ["WEBHOOK_SECRET"])


def connect() -> sqlite3.Connection:
    """Return a connection to the shop's database."""
    return sqlite3.connect(os.environ["DATABASE"])


with closing(connect()) as setup, setup:
    setup.execute(table_sql())
    setup.execute(
        "CREATE TABLE IF NOT EXISTS refunds (payment TEXT PRIMARY KEY, amount INTEGER NOT NULL,"
        " currency TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'due')"
    )


@webhook(verifier)
def application(event: Event) -> None:
    """Note a refund that is due, in one transaction with the mark of the event."""
    with closing(connect()) as connection, connection, once(connection, event) as first:
        asked = event.data.get("pay_back") or {}
        if first and asked.get("required"):
            connection.execute(
                "INSERT OR IGNORE INTO refunds (payment, amount, currency) VALUES (?, ?, ?)",
                (event.data["payment_id"], asked["amount"], asked["currency"]),
            )


if __name__ == "__main__":
    make_server("127.0.0.1", int(os.environ["PORT"]), application).serve_forever()
