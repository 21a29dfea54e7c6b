"""A shopping cart that keeps its stock equal to the merchant console's.

The console tells of every change of its inventory, in any order and sometimes twice. What a
change says of itself (``qtyonhand_change``) adds up in any order, if each is counted once; what
is on hand after it (``qtyonhand``) only starts a product that the cart does not know yet.
"""

import os
import sqlite3
from contextlib import closing
from wsgiref.simple_server import make_server

from payhooks.receiver import Event, Verifier, once, table_sql
from payhooks.receiver.wsgi import webhook

INVENTORY = ("product.inventory.ordered", "product.inventory.adjusted")

verifier = Verifier(os.environ["WEBHOOK_SECRET"], dialect="merchant-console")


def connect() -> sqlite3.Connection:
    """Return a connection to the cart's database."""
    return sqlite3.connect(os.environ["DATABASE"])


with closing(connect()) as setup, setup:
    setup.execute(table_sql())
    setup.execute(
        "CREATE TABLE IF NOT EXISTS stock"
        " (product TEXT NOT NULL PRIMARY KEY, on_hand INTEGER NOT NULL, since TEXT NOT NULL)"
    )
    setup.execute(
        "CREATE TABLE IF NOT EXISTS paid (sale TEXT NOT NULL PRIMARY KEY, amount TEXT NOT NULL)"
    )


@webhook(verifier)
def application(event: Event) -> None:
    """Do what the event asks for, once; other events are none of the cart's business."""
    with closing(connect()) as connection, connection, once(connection, event) as first:
        if first and event.type in INVENTORY:
            change_stock(connection, event)
        elif first and event.type == "transaction.sale.success":
            # Not the stock: what a sale took from it comes as product.inventory.ordered.
            row = (event.object_id, amount_of(event))
            connection.execute("INSERT INTO paid VALUES (?, ?) ON CONFLICT (sale) DO NOTHING", row)


def amount_of(event: Event) -> str:
    """Return what a sale was for, which the console writes at one of two places."""
    sale = event.data
    amount: str = sale["amount"] if "amount" in sale else sale["amount_detail"]["amount"]
    return amount


def change_stock(connection: sqlite3.Connection, event: Event) -> None:
    """Count one change; one that came before the cart knew the product is in it already."""
    assert event.ordered_at is not None, "the merchant console says when"
    at = event.ordered_at.isoformat()
    started = connection.execute(
        "INSERT INTO stock VALUES (?, ?, ?) ON CONFLICT (product) DO NOTHING",
        (event.object_id, event.data["qtyonhand"], at),
    )
    if started.rowcount == 0:
        connection.execute(
            "UPDATE stock SET on_hand = on_hand + ? WHERE product = ? AND since < ?",
            (int(event.data["qtyonhand_change"]), event.object_id, at),
        )


if __name__ == "__main__":
    make_server("127.0.0.1", int(os.environ["PORT"]), application).serve_forever()
