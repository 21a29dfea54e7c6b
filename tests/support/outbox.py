"""Outboxes to test with: databases, applications that write into them, a server that takes."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg
import sqlalchemy
from django.db import connections, transaction  # type: ignore[import-untyped] # It ships no types.
from django.db.utils import ConnectionHandler  # type: ignore[import-untyped] # It ships no types.
from sqlalchemy.orm import Session
from tests.support import django_project

from payhooks.publisher import Answer, Outbox, create_table

TYPE: Final = "payment_succeeded"
BUSINESS: Final = "CREATE TABLE IF NOT EXISTS business (name text PRIMARY KEY)"
_INSERT: Final = "INSERT INTO business (name) VALUES ('{}')"


class RolledBack(Exception):  # noqa: N818 - what an application does on purpose
    """The business found a reason not to."""


@contextmanager
def outbox_database(kind: str, folder: Path, cluster_url: Callable[[], str]) -> Iterator[str]:
    """Yield the URL of a database with an outbox and a table of the business in it."""
    with ExitStack() as stack:
        if kind == "sqlite":
            url = f"sqlite:///{folder / 'application.db'}"
        else:
            url = stack.enter_context(_postgres_database(cluster_url()))
        with driver(url) as connection:
            connection.execute(BUSINESS)
            create_table(connection)
            connection.commit()
        yield url


@contextmanager
def _postgres_database(cluster_url: str) -> Iterator[str]:
    name = f"outbox_{uuid4().hex}"
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    try:
        yield f"{cluster_url.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(cluster_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@contextmanager
def driver(url: str) -> Iterator[Any]:
    """Yield a connection of the driver that the database has."""
    connection: Any
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    else:
        connection = psycopg.connect(url)
    try:
        yield connection
    finally:
        connection.close()


def rows_of(url: str, table: str = "payhooks_outbox") -> int:
    """Return how many rows a table has."""
    with driver(url) as connection:
        count: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own names
        return count


# One business transaction: (database, name, what to write with the connection, commit or not).
Writing = Callable[[Any], object]


def by_driver(url: str, name: str, write: Writing) -> None:
    """Do business with psycopg or sqlite3."""
    with driver(url) as connection, connection:
        connection.execute(_INSERT.format(name))
        write(connection)


def by_sqlalchemy(url: str, name: str, write: Writing) -> None:
    """Do business with a Connection of SQLAlchemy."""
    with sqlalchemy_engine(url) as engine, engine.begin() as connection:
        connection.exec_driver_sql(_INSERT.format(name))
        write(connection)


def by_sqlalchemy_session(url: str, name: str, write: Writing) -> None:
    """Do business with a Session of SQLAlchemy, the outbox first."""
    with sqlalchemy_engine(url) as engine, Session(engine) as session, session.begin():
        write(session)
        session.execute(sqlalchemy.text(_INSERT.format(name)))


def by_django(url: str, name: str, write: Writing) -> None:
    """Do business with Django."""
    with django_connection(url) as (connection, alias), transaction.atomic(using=alias):
        with connection.cursor() as cursor:
            cursor.execute(_INSERT.format(name))
        write(connection)


APPLICATIONS: Final = {
    "driver": by_driver,
    "sqlalchemy": by_sqlalchemy,
    "sqlalchemy session": by_sqlalchemy_session,
    "django": by_django,
}


@contextmanager
def sqlalchemy_engine(url: str, **options: object) -> Iterator[sqlalchemy.Engine]:
    """Yield an engine; its connections are gone afterwards."""
    target = url.replace("postgresql://", "postgresql+psycopg://")
    engine: sqlalchemy.Engine = sqlalchemy.create_engine(target, **options)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def django_connection(url: str) -> Iterator[tuple[Any, str]]:
    """Yield a connection of Django and its alias, whatever else Django is used for here."""
    django_project.configure()
    alias = f"outbox-{uuid4().hex}"
    handler = ConnectionHandler({"default": {}, alias: _django_settings(url)})
    connections.settings[alias] = handler.settings[alias]
    try:
        yield connections[alias], alias
    finally:
        connections[alias].close()
        del connections[alias], connections.settings[alias]


def _django_settings(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": url.removeprefix("sqlite:///"),
        }
    parts = psycopg.conninfo.conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts["user"],
        "HOST": parts["host"],
        "PORT": parts["port"],
    }


def commit(url: str, *names: str, merchant: str = "shop", **fields: object) -> None:
    """Commit one business transaction for each name, with an event that has it as its key."""
    with driver(url) as connection:
        for name in names:
            write = Outbox(merchant).write
            write(connection, TYPE, {"name": name}, idempotency_key=name, **fields)  # type: ignore[arg-type]  # any field
            connection.commit()


class Hooks:
    """A Payhooks in memory: stores each key once, refuses and fails as told."""

    def __init__(self) -> None:
        self.stored: list[tuple[str, str, dict[str, Any]]] = []  # merchant, key, event
        self.requests: list[list[str]] = []  # the keys of each
        self.refused: dict[str, int] = {}  # keys, and with what status
        self.merchants_refused: dict[str, int] = {}
        self.bodies_refused: set[str] = set()  # keys that spoil a whole request
        self.before_answer: Callable[[list[str]], Answer | Exception | None] = lambda _: None
        # For those who stand between storing and answering.
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self._lock = threading.Lock()

    @property
    def keys(self) -> list[str]:
        """The keys of what is stored, as it was."""
        return [key for _, key, _ in self.stored]

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Take a batch."""
        merchant = url.split("/")[5]
        events = json.loads(body)["events"]
        keys = [event["idempotency_key"] for event in events]
        with self._lock:
            self.requests.append(keys)
        said = self.before_answer(keys)
        if isinstance(said, Exception):
            raise said
        if said is not None:
            return said
        if merchant in self.merchants_refused:
            return _problem(self.merchants_refused[merchant])
        if self.bodies_refused & set(keys):
            return _problem(400)
        with self._lock:
            results = [self._take(merchant, event) for event in events]
        return Answer(status=202, headers={}, body=json.dumps({"data": results}).encode())

    def _take(self, merchant: str, event: dict[str, Any]) -> dict[str, Any]:
        key = event["idempotency_key"]
        if key in self.refused:
            status = self.refused[key]
            return {"error": {"status": status, "title": "No", "retryable": status >= 500}}
        repeated = any(stored[:2] == (merchant, key) for stored in self.stored)
        if not repeated:
            self.stored.append((merchant, key, event))
        return {
            "id": f"evt_{key}",
            "type": event["type"],
            "created_at": "2030-01-01T00:00:00.000Z",
            "deliveries": 1,
            "repeated": repeated,
        }


def _problem(status: int) -> Answer:
    return Answer(status=status, headers={}, body=json.dumps({"title": "No"}).encode())
