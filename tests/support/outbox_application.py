"""A business that writes events into its outbox, in a process that can be killed.

    python -m tests.support.outbox_application DATABASE MERCHANT WORKER ROLLED_BACK

It commits as fast as it may until its stdin ends, four orders in turn, and every fifth time it
rolls back on purpose after everything was written. ROLLED_BACK gets a byte each time. Workers
differ in the library that they use. Started again, it goes on where the database says.
"""

import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import psycopg
from django.db import transaction  # type: ignore[import-untyped] # It ships no types.
from tests.support.outbox import TYPE, RolledBack, django_connection, driver, sqlalchemy_engine

from payhooks.publisher import Outbox

ORDERS: Final = 4
ROLLED_BACK_EVERY: Final = 5
PAUSE_S: Final = 0.004
BUSINESS: Final = """\
CREATE TABLE IF NOT EXISTS orders (name text PRIMARY KEY, step integer NOT NULL)"""

# What a transaction is to the application: who executes, and what the outbox takes.
Open = tuple[Callable[[str], object], Any]
Transactions = Callable[[], AbstractContextManager[Open]]


def main() -> None:
    """Do business until nobody wants any more."""
    database, merchant, worker, rolled_back = sys.argv[1:]
    ended = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(ended,), daemon=True).start()
    outbox = Outbox(merchant)
    steps = {order: _last_step(database, order) for order in _orders(worker)}
    with ExitStack() as stack, Path(rolled_back).open("ab", buffering=0) as note:
        transactions = stack.enter_context(_LIBRARIES[int(worker) % len(_LIBRARIES)](database))
        for number in count():
            order = _orders(worker)[number % ORDERS]
            regretted = number % ROLLED_BACK_EVERY == ROLLED_BACK_EVERY - 1
            try:
                with transactions() as (execute, connection):
                    _sell(execute, connection, outbox, order, steps[order] + 1, regretted)
            except RolledBack:
                note.write(b".")
            else:
                steps[order] += 1
            if ended.wait(PAUSE_S):
                return


def _wait_for_the_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _sell(  # noqa: PLR0913, PLR0917 - everything that one sale has
    execute: Callable[[str], object],
    connection: object,
    outbox: Outbox,
    order: str,
    step: int,
    regretted: bool,  # noqa: FBT001 - one of many facts
) -> None:
    name = f"{order}-{step}"
    execute(f"INSERT INTO orders (name, step) VALUES ('{name}', {step})")  # noqa: S608 - our own words
    data = {"key": f"{name} regretted" * regretted or name, "object": order, "sequence": step}
    outbox.write(connection, TYPE, data, object_type="order", object_id=order)
    if regretted:
        raise RolledBack


def _orders(worker: str) -> list[str]:
    return [f"order-{worker}-{number}" for number in range(ORDERS)]


def _last_step(database: str, order: str) -> int:
    with driver(database) as connection:
        query = f"SELECT coalesce(max(step), 0) FROM orders WHERE name LIKE '{order}-%'"  # noqa: S608 - our own words
        step: int = connection.execute(query).fetchone()[0]
        return step


@contextmanager
def _by_driver(database: str) -> Iterator[Transactions]:
    with driver(database) as connection:
        connection.commit()

        @contextmanager
        def one() -> Iterator[Open]:
            if isinstance(connection, sqlite3.Connection):
                with connection:
                    yield connection.execute, connection
            else:
                assert isinstance(connection, psycopg.Connection)
                with connection.transaction():
                    yield connection.execute, connection

        yield one


@contextmanager
def _by_sqlalchemy(database: str) -> Iterator[Transactions]:
    with sqlalchemy_engine(database) as engine:

        @contextmanager
        def one() -> Iterator[Open]:
            with engine.begin() as connection:
                yield connection.exec_driver_sql, connection

        yield one


@contextmanager
def _by_django(database: str) -> Iterator[Transactions]:
    with django_connection(database) as (connection, alias):

        @contextmanager
        def one() -> Iterator[Open]:
            with transaction.atomic(using=alias), connection.cursor() as cursor:
                yield cursor.execute, connection

        yield one


_LIBRARIES: Final = (_by_driver, _by_sqlalchemy, _by_django)

if __name__ == "__main__":
    main()
