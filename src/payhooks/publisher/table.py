"""The outbox's table, as the forwarder and those who look after it see it.

A forwarder takes rows and keeps them until it has settled them; a second one takes others. On
PostgreSQL it holds the rows' locks in a transaction, on SQLite a lock file, because a
transaction would keep the application from writing. Both end with the process that holds them.

Order: rows of one order key are taken from the first on, and none while an earlier one is
somebody else's. That is asked after the locks are held, in a later snapshot.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

# A key with a long backlog gets this many places at a time, so that others come along.
ROWS_PER_KEY_MAX: Final = 20
_WINDOWS_MAX: Final = 8
_ERROR_CHARS_MAX: Final = 1_000
_LISTED_MAX: Final = 1_000

# What others wrote may be bytes: SQLite keeps whatever it is given.
_WINDOW: Final = """\
SELECT id, CAST(merchant AS text), CAST(order_key AS text), CAST(idempotency_key AS text),
CAST(body AS text) FROM payhooks_outbox WHERE failed IS NULL AND id > ? AND NOT {merchants}
AND (order_key IS NULL OR NOT {keys}) ORDER BY id LIMIT ?"""
_EARLIER: Final = """\
SELECT order_key, min(id) FROM payhooks_outbox
WHERE failed IS NULL AND {keys} AND id < ? AND NOT {ids} GROUP BY order_key"""
_DELETE: Final = "DELETE FROM payhooks_outbox WHERE id = ?"
_TROUBLE: Final = """\
UPDATE payhooks_outbox SET attempts = attempts + 1, last_error = ? WHERE id = ?"""
_SET_ASIDE: Final = """\
UPDATE payhooks_outbox SET attempts = attempts + 1, last_error = ?, failed = CURRENT_TIMESTAMP
WHERE id = ?"""
_COUNT: Final = """\
SELECT count(*), count(failed), min(CASE WHEN failed IS NULL THEN created END)
FROM payhooks_outbox"""
_FAILED: Final = """\
SELECT id, CAST(merchant AS text), CAST(idempotency_key AS text), CAST(body AS text), attempts,
last_error, failed FROM payhooks_outbox WHERE failed IS NOT NULL AND id > ? ORDER BY id LIMIT ?"""
_RESEND: Final = "UPDATE payhooks_outbox SET failed = NULL WHERE failed IS NOT NULL"


class Row(NamedTuple):
    """One event that waits."""

    id: int
    merchant: str
    order_key: str | None
    idempotency_key: str
    body: str


@dataclass(slots=True)
class Settlement:
    """What became of rows, to be written when they are given back."""

    forwarded: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)  # for ever, and why
    troubled: list[tuple[int, str]] = field(default_factory=list)  # they wait on


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """One event that the server refused for ever, as it stands."""

    id: int
    merchant: str
    idempotency_key: str
    event: Any  # an object, or the text of a row where that is no JSON
    attempts: int
    last_error: str
    failed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How full the outbox is. ``oldest``: when the first that waits was written."""

    waiting: int
    failed: int
    oldest: str | None


class OutboxTable:
    """The table in one database; one of its own for each thread."""

    # What the driver raises when the database fails; whoever sees it may try again.
    errors: tuple[type[Exception], ...]
    _mark: str

    def __init__(self) -> None:
        self._connection: Any = None

    @contextmanager
    def taken(
        self, rows_max: int, resting: Sequence[str], last: Sequence[str] = ()
    ) -> Iterator[tuple[list[Row], Settlement]]:
        """Yield rows that are nobody else's, none of the *resting* merchants, until the end.

        Those of the merchants named *last* are taken where there are no others. The settlement
        is written at the end; if the block raises, the rows wait on as they were.
        """
        with self._held() as held:
            settlement = Settlement()
            rows = self._take(rows_max, [*resting, *last]) if held else []
            if held and last and not rows:
                rows = self._take(rows_max, resting)
            yield rows, settlement
            # Not where there is nothing: on SQLite even that would wait for whoever writes.
            if settlement.forwarded or settlement.refused or settlement.troubled:
                self._write(settlement)

    def counts(self) -> Counts:
        """Return how much waits and how much was set aside."""
        with self._transaction():
            [(rows, failed, oldest)] = self._rows(_COUNT, ())
        return Counts(
            waiting=rows - failed, failed=failed, oldest=None if oldest is None else str(oldest)
        )

    def failed(self, *, after: int = 0) -> list[Failed]:
        """Return what was set aside, oldest first, at most a thousand; *after* an id, the next."""
        with self._transaction():
            found = self._rows(_FAILED, (after, _LISTED_MAX))
        return [
            Failed(
                id=id_,
                merchant=merchant,
                idempotency_key=key,
                event=_parsed(body),
                attempts=attempts,
                last_error=last_error,
                failed=str(failed),
            )
            for id_, merchant, key, body, attempts, last_error, failed in found
        ]

    def resend(self, id_: int | None = None) -> int:
        """Let a row that was set aside wait again, or all of them; return how many do."""
        chosen = "" if id_ is None else " AND id = ?"
        with self._transaction():
            done = self._execute(_RESEND + chosen, () if id_ is None else (id_,))
            found: int = done.rowcount
        return found

    def close(self) -> None:
        """Hang up; the next call connects anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # It may be broken already, which is why it is closed.
            with suppress(*self.errors):
                connection.close()

    def _take(self, rows_max: int, resting: Sequence[str]) -> list[Row]:
        taken: list[Row] = []
        of_key: Counter[str] = Counter()
        passed_over: set[str] = set()
        last_id = 0
        for _ in range(_WINDOWS_MAX):
            window = self._window(last_id, rows_max, resting, sorted(passed_over))
            if not window:
                break
            last_id = window[-1].id
            kept: list[Row] = []
            for row in window:
                if row.order_key is not None:
                    of_key[row.order_key] += 1
                    if of_key[row.order_key] > ROWS_PER_KEY_MAX:
                        passed_over.add(row.order_key)
                        continue
                kept.append(row)
            earlier = self._earlier(kept, taken)
            passed_over |= earlier.keys()
            taken += [row for row in kept if row.id < earlier.get(row.order_key or "", row.id + 1)]
            if len(window) < rows_max or len(taken) >= rows_max:
                break
        return taken[:rows_max]

    def _earlier(self, kept: Sequence[Row], taken: Sequence[Row]) -> dict[str, int]:
        """Return, for each key of *kept*, the first row that waits and is not ours."""
        keys = sorted({row.order_key for row in kept if row.order_key is not None})
        if not keys:
            return {}
        ours = [row.id for row in (*taken, *kept)]
        statement = _EARLIER.format(keys=self._is_in("order_key"), ids=self._is_in("id"))
        found = self._rows(statement, (self._list(keys), kept[-1].id, self._list(ours)))
        return dict(found)

    def _window(
        self, after: int, rows_max: int, resting: Sequence[str], passed_over: Sequence[str]
    ) -> list[Row]:
        statement = _WINDOW.format(merchants=self._is_in("merchant"), keys=self._is_in("order_key"))
        values = (after, self._list(resting), self._list(passed_over), rows_max)
        return [Row(*found) for found in self._rows(statement + self._locking, values)]

    def _write(self, settlement: Settlement) -> None:
        with self._transaction():
            self._execute_many(_DELETE, [(id_,) for id_ in settlement.forwarded])
            for statement, rows in (
                (_SET_ASIDE, settlement.refused),
                (_TROUBLE, settlement.troubled),
            ):
                said = [(_storable(words), id_) for id_, words in rows]
                self._execute_many(statement, said)

    def _rows(self, statement: str, values: Sequence[object]) -> list[Any]:
        found: list[Any] = self._execute(statement, values).fetchall()
        return found

    def _execute(self, statement: str, values: Sequence[object]) -> Any:  # noqa: ANN401 - a cursor
        return self._open().execute(statement.replace("?", self._mark), values)

    def _execute_many(self, statement: str, values: Sequence[Sequence[object]]) -> None:
        if values:
            self._open().cursor().executemany(statement.replace("?", self._mark), values)

    # --- what differs between databases ---

    _locking: str

    def _open(self) -> Any:  # noqa: ANN401 - of a library that is imported only where it is used
        raise NotImplementedError

    def _held(self) -> Any:  # noqa: ANN401 - a context manager
        raise NotImplementedError

    def _transaction(self) -> Any:  # noqa: ANN401 - a context manager
        raise NotImplementedError

    def _is_in(self, column: str) -> str:
        raise NotImplementedError

    def _list(self, values: Sequence[object]) -> object:
        raise NotImplementedError


def _parsed(body: str) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body


def _storable(words: str) -> str:
    # What a server said: NUL is not for PostgreSQL, halves of pairs are not for UTF-8.
    return words.replace("\0", "").encode(errors="replace").decode()[:_ERROR_CHARS_MAX]
