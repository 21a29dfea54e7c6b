"""Tell Payhooks what the outbox holds, each event at least once, with the key stored beside it.

A row goes after its answer was read, so whatever is killed or cut off in between, it is sent
again; with the same key, which the server knows, so it is one event all the same.
"""

import json
import random
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from payhooks.errors import InvalidError
from payhooks.publisher.answers import Outcome, Published, RefusedError, UnansweredError
from payhooks.publisher.client import TIMEOUT_S, Client, demand_merchant
from payhooks.publisher.event import Keyed, demand_key
from payhooks.publisher.opening import open_table
from payhooks.publisher.sending import Send, urllib_sender
from payhooks.publisher.table import OutboxTable, Row, Settlement

POLL_S: Final = 0.2
_ROWS_MAX: Final = 500
# Row locks are held while the server is asked; no longer than this, and one request.
_PASS_S_MAX: Final = 10.0
_FIRST_REST_S: Final = 0.5
_REST_S_MAX: Final = 10.0
# A server may ask for longer than our own longest rest, but not to be forgotten.
_RETRY_AFTER_S_MAX: Final = 3_600.0
# A key that was refused, a merchant that is not there: somebody has to mend it first.
_MERCHANT_RESTS_S: Final = 30.0
# The body was refused. Of a batch that says that one of its events is at fault, not which.
_TOO_LARGE: Final = 413
_OF_CONTENT: Final = frozenset({400, _TOO_LARGE, 422})


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a forwarder has done since it was made.

    ``forwarded`` events were stored, of which the server knew ``replayed`` already; ``refused``
    ones were set aside. ``troubles`` counts passes that could not go on, and ``trouble`` says
    why the last one could not; None where it could.
    """

    forwarded: int = 0
    replayed: int = 0
    refused: int = 0
    troubles: int = 0
    trouble: str | None = None


class Forwarder:
    """Forwards one outbox. As many as you like, in any process; ``start`` for a thread."""

    def __init__(
        self,
        database: str,
        base_url: str,
        key: str,
        *,
        poll_s: float = POLL_S,
        send: Send | None = None,
    ) -> None:
        """Name the database, the server, and an API key that may publish for its merchants.

        *database* is ``postgresql://…`` or ``sqlite:///path``.

        Raises:
            InvalidError: One of them cannot be right.

        """
        if not poll_s > 0:
            raise InvalidError.at("/poll_s", "too_small", "Looking all the time helps nobody.")
        self._table: OutboxTable = open_table(database)
        self._base_url = base_url
        self._key = key
        self._send = send or urllib_sender(TIMEOUT_S)
        self._client("any")  # A wrong URL or key is found now, not at the first payment.
        self._poll_s = poll_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._resting: dict[str, float] = {}  # merchants, and until when
        # Those whose events had no answer lately. The trouble may be theirs alone, so the others
        # are asked for first the next time.
        self._last: set[str] = set()
        self._troubles_in_a_row = 0
        self._progress = Progress()

    @property
    def progress(self) -> Progress:
        """What it has done so far; safe to ask from any thread."""
        return self._progress

    def run(self) -> None:
        """Forward until ``stop`` is called, and return when nothing is under way any more."""
        try:
            while not self._stop.is_set():
                self._stop.wait(self.forward())
        finally:
            self._table.close()

    def start(self) -> None:
        """Do ``run`` in a thread of its own."""
        assert self._thread is None, "it runs already"
        self._stop.clear()
        self._thread = threading.Thread(target=self.run, name="payhooks-outbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End ``run`` after the request under way, and wait for the thread if there is one."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def runs(self, wait_s: float) -> bool:
        """Return whether the thread runs still, after *wait_s* or when it has ended."""
        if self._thread is not None:
            self._thread.join(wait_s)
        return self._thread is not None and self._thread.is_alive()

    def forward(self) -> float:
        """Do one pass over what waits; return how long to wait before the next, in seconds.

        For those who have a loop of their own; one thread at a time.
        """
        now_s = time.monotonic()
        self._resting = {name: s for name, s in self._resting.items() if s > now_s}
        try:
            taken = self._table.taken(_ROWS_MAX, sorted(self._resting), sorted(self._last))
            with taken as (rows, settlement):
                one = _Pass(self, rows, settlement, ends_s=now_s + _PASS_S_MAX)
                one.run()
        except self._table.errors as error:
            self._table.close()
            return self._rest(f"the database: {type(error).__name__}: {error}", 0.0)
        self._progress = replace(
            self._progress,
            forwarded=self._progress.forwarded + len(settlement.forwarded),
            replayed=self._progress.replayed + one.replayed,
            refused=self._progress.refused + len(settlement.refused),
        )
        if one.trouble is not None:
            self._last |= one.troubled
            return self._rest(one.trouble, one.rest_s)
        self._last.clear()
        self._troubles_in_a_row = 0
        if not self._resting:
            self._progress = replace(self._progress, trouble=None)
        return 0.0 if rows else self._poll_s

    def ask(self, rows: Sequence[Row]) -> Iterator[list[Outcome]]:
        """Yield what the server says of rows of one merchant: in order, a request at a time."""
        events = [
            Keyed(idempotency_key=row.idempotency_key, body=row.body.strip().encode())
            for row in rows
        ]
        return self._client(rows[0].merchant).attempt_batch(events)

    def let_rest(self, merchant: str, why: str) -> None:
        """Leave a merchant's events alone for a while; the others go on."""
        if merchant in self._resting:
            return
        self._resting[merchant] = time.monotonic() + _MERCHANT_RESTS_S
        words = f"merchant {merchant}: {why}"
        troubles = self._progress.troubles + 1
        self._progress = replace(self._progress, troubles=troubles, trouble=words)

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stop.is_set()

    def _client(self, merchant: str) -> Client:
        # Made anew each time: there may be a hundred thousand merchants, and it costs nothing.
        return Client(self._base_url, self._key, merchant=merchant, send=self._send)

    def _rest(self, why: str, at_least_s: float) -> float:
        troubles = self._progress.troubles + 1
        self._progress = replace(self._progress, troubles=troubles, trouble=why)
        base_s = min(_FIRST_REST_S * 2.0 ** min(self._troubles_in_a_row, 10), _REST_S_MAX / 2)
        self._troubles_in_a_row += 1
        # Jitter only ever adds; it keeps forwarders from coming back all at once.
        own_s = base_s + random.uniform(0, base_s)  # noqa: S311 - spreads load, hides nothing
        return max(own_s, min(at_least_s, _RETRY_AFTER_S_MAX))


class _Pass:
    """One pass over rows that are ours: in rounds, each with at most one row of an order key.

    Two of one key in one request could be told apart by trouble: the first put off, the second
    stored. So the second goes when the first has its answer.
    """

    def __init__(
        self, forwarder: Forwarder, rows: Sequence[Row], settlement: Settlement, *, ends_s: float
    ) -> None:
        self._forwarder = forwarder
        self._settlement = settlement
        self._ends_s = ends_s
        self._queues: dict[str, deque[Row]] = defaultdict(deque)
        for row in rows:
            why = _fault(row)
            if why is not None:
                settlement.refused.append((row.id, why))
                continue
            # A row without an order key is a queue of its own.
            self._queues[row.order_key or f"#{row.id}"].append(row)
        self.replayed = 0
        self.trouble: str | None = None
        self.troubled: set[str] = set()  # merchants
        self.rest_s = 0.0

    def run(self) -> None:
        """Ask for what can be asked for; the rest is left for another pass."""
        while self._queues and self._may_go_on():
            for rows in self._round():
                self._tell(rows)

    def _tell(self, rows: Sequence[Row]) -> None:
        """Ask for rows of one merchant, as long as the pass may go on.

        What is refused as a whole goes again in halves, until the one at fault stands alone.
        """
        requests = self._forwarder.ask(rows)
        while self._may_go_on() and (outcomes := next(requests, None)):
            asked, rows = rows[: len(outcomes)], rows[len(outcomes) :]
            if len(asked) > 1 and any(_is_of_content(outcome) for outcome in outcomes):
                half = len(asked) // 2
                self._tell(asked[:half])
                self._tell(asked[half:])
                continue
            for row, outcome in zip(asked, outcomes, strict=True):
                self._settle(row, outcome)

    def _may_go_on(self) -> bool:
        in_time = time.monotonic() < self._ends_s
        return in_time and self.trouble is None and not self._forwarder.stopping

    def _round(self) -> Iterator[list[Row]]:
        """Yield the first of each queue, a request for each merchant."""
        of_merchant: dict[str, list[Row]] = defaultdict(list)
        for name in list(self._queues):
            queue = self._queues[name]
            row = queue.popleft()
            of_merchant[row.merchant].append(row)
            if not queue:
                del self._queues[name]
        yield from of_merchant.values()

    def _settle(self, row: Row, outcome: Outcome) -> None:
        match outcome:
            case Published():
                self._settlement.forwarded.append(row.id)
                self.replayed += outcome.replayed
            case RefusedError() if not outcome.of_request or _is_of_content(outcome):
                self._settlement.refused.append((row.id, str(outcome)))
            case RefusedError():
                self._forwarder.let_rest(row.merchant, str(outcome))
                self._settlement.troubled.append((row.id, str(outcome)))
                for name in [n for n, q in self._queues.items() if q[0].merchant == row.merchant]:
                    del self._queues[name]
            case UnansweredError():
                # The pass ends here, so nothing of its key overtakes it.
                self.trouble = outcome.reason
                self.troubled.add(row.merchant)
                self.rest_s = max(self.rest_s, outcome.retry_after_s)
                self._settlement.troubled.append((row.id, outcome.reason))


def _fault(row: Row) -> str | None:
    """Return why no outbox can have written this: such a row would spoil those beside it."""
    try:
        demand_merchant(row.merchant)
        demand_key(row.idempotency_key)
        row.body.encode()  # Halves of pairs stand for what was no UTF-8.
        # len stands for "keep nothing": int() refuses 4,301 digits, and the server takes them.
        event = json.loads(row.body, parse_int=len)
    except InvalidError as error:
        return f"written by hand? {error}"
    except (ValueError, RecursionError):
        event = None
    is_event = isinstance(event, dict) and event
    return None if is_event else "written by hand? /body: This must be the object of one event."


def _is_of_content(outcome: Outcome) -> bool:
    """Return whether Payhooks refused what the request holds; 413 may be said on the way too."""
    return (
        isinstance(outcome, RefusedError)
        and outcome.of_request
        and outcome.status in _OF_CONTENT
        and (outcome.status == _TOO_LARGE or "title" in outcome.problem)
    )
