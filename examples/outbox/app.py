"""A shop whose sales and events are one transaction: both are there, or neither.

    python examples/outbox/app.py shop.db MERCHANT ORDER TOTAL
    python -m payhooks.publisher forward --database sqlite:///shop.db --url https://…

The first sells, as often as you call it, whether Payhooks can be reached or not. The second runs
beside it, with PAYHOOKS_API_KEY set, and tells what was sold.
"""

import sqlite3
import sys
from collections.abc import Sequence

from payhooks.publisher import Outbox, create_table

ORDERS = """\
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY,
    total_cents INTEGER NOT NULL CHECK (total_cents > 0)
)"""


def open_shop(path: str) -> sqlite3.Connection:
    """Return a connection to the shop's database, with its tables in it."""
    connection = sqlite3.connect(path)
    connection.execute(ORDERS)
    create_table(connection)
    connection.commit()
    return connection


def sell(connection: sqlite3.Connection, outbox: Outbox, order: str, total_cents: int) -> None:
    """Sell one order and have it told.

    The key is the shop's own: were the sale entered again from a paper list after a disaster, it
    would still be one event.
    """
    with connection:  # One transaction: commits at the end, rolls back on any exception.
        outbox.write(
            connection,
            "payment_succeeded",
            {"id": order, "amount": total_cents},
            object_type="payment",
            object_id=order,
            idempotency_key=f"{order}-succeeded",
        )
        connection.execute("INSERT INTO orders VALUES (?, ?)", (order, total_cents))


def main(arguments: Sequence[str]) -> None:
    """Sell what the command line says."""
    path, merchant, order, total_cents = arguments
    connection = open_shop(path)
    try:
        sell(connection, Outbox(merchant), order, int(total_cents))
    finally:
        connection.close()


if __name__ == "__main__":
    main(sys.argv[1:])
