"""What must hold, looked at with every change of the store and every request a receiver sees.

It keeps its own record of what publishers were told, what was sent under which lease, and what
receivers saw, and compares it with the store's. The first broken promise ends the run. The
promises are in ``promises``; who looks at what is in ``moves`` (the store), ``sights`` (the
receivers), ``answers`` (the publishers), ``hearings`` (the providers) and ``books`` (all of it
together).
"""

import hashlib
import math
from collections.abc import Callable
from typing import Final

from payhooks.dialects.registry import DIALECTS
from payhooks.ids import DELIVERY, DeliveryId, EndpointId, event_id_of, to_text
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.policy.retry import RetryPolicy, policy_of
from payhooks.simulator.loop import LIFE, SimLoop
from payhooks.simulator.promises import Promise
from payhooks.simulator.record import Record
from payhooks.simulator.signatures import Secrets
from payhooks.storage.memory.tables import Tables

# Nobody in particular: the world itself, its publishers and receivers.
WORLD: Final = "-"


class Auditor:
    """Looks at everything, moves nothing."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self._trace = hashlib.blake2b(digest_size=16)
        self.timeline: list[tuple[float, str, str]] = []  # when, who, what
        self.record = Record()
        self.secrets = Secrets()
        self.violation: str | None = None
        self.calm_since_s = math.inf  # from then on nothing fails any more
        self.over = False  # what is buried now is nobody's mistake
        self.by = ""  # whose request the store applies at this moment
        self._tables: Tables | None = None

    @property
    def tables(self) -> Tables:
        """The store's tables; to look at, never to touch."""
        assert self._tables is not None
        return self._tables

    @property
    def calm(self) -> bool:
        """Whether nothing fails any more."""
        return self.now_s >= self.calm_since_s

    @property
    def now_s(self) -> float:
        """The virtual time."""
        return self._loop.time()

    def watch(self, tables: Tables) -> None:
        """Take the tables of the store, which needs the auditor before it has any."""
        self._tables = tables

    @property
    def trace_hash(self) -> str:
        """What this run was, in 32 characters: equal for equal runs."""
        return self._trace.hexdigest()

    def note(self, *words: object) -> None:
        """Write one line into the trace, which ends with a broken promise."""
        if self.violation is not None:
            return  # the loop stops, but ends first what was due in the same moment
        who = self.by
        if not who:
            life = LIFE.get()
            who = WORLD if life is None else life.name
        now_s, what = self._loop.time(), " ".join(map(str, words))
        self._trace.update(f"{now_s:.6f} {who} {what}\n".encode())
        self.timeline.append((now_s, who, what))

    def mark(self, name: str) -> None:
        """Count that a rare state was reached."""
        self.record.marks[name] = self.record.marks.get(name, 0) + 1

    def blame(self, promise: Promise, what: str) -> None:
        """Record a broken promise, the first only, and stop the run."""
        if self.violation is None and not self.over:
            self.note("VIOLATION", promise, what)
            self.violation = f"at {self._loop.time():.3f} s: {promise}: {what}"
            self._loop.stop()

    def demand(self, promise: Promise, holds: bool, what: Callable[[], str]) -> None:  # noqa: FBT001 - reads as a sentence
        """Record a broken promise unless it holds."""
        if not holds:
            self.blame(promise, what())

    # --- endpoints as they were ---------------------------------------------------------------

    def endpoint_written(self, endpoint: Endpoint) -> None:
        """Take note of a new version of an endpoint."""
        self.record.versions.setdefault(endpoint.id, []).append((self.now_s, endpoint))

    def in_force(self, endpoint_id: EndpointId, since_s: float) -> list[Endpoint]:
        """Return every version of an endpoint that held at some time since then, newest first."""
        found = []
        for at_s, endpoint in reversed(self.record.versions[endpoint_id]):
            found.append(endpoint)
            if at_s <= since_s:
                break
        return found

    def policies(self, endpoint_id: EndpointId, since_s: float) -> list[RetryPolicy]:
        """Return every retry policy that held at some time since then."""
        return [
            policy_of(endpoint, DIALECTS[endpoint.dialect].retry_policy)
            for endpoint in self.in_force(endpoint_id, since_s)
        ]

    def leased_at_s(self, delivery_id: DeliveryId, fence: int) -> float:
        """Return when a lease was given."""
        lease = self.record.leases.get((delivery_id, fence))
        return 0.0 if lease is None else lease.at_s

    # --- for people ---------------------------------------------------------------------------

    def names(self) -> dict[str, str]:
        """Return what people call the ids that lines of the trace hold."""
        tables = self.tables
        named = {endpoint.id.hex(): endpoint.label for endpoint in tables.endpoints.values()}
        events = {id_: spoken(row.event) for id_, row in tables.events.items()}
        named |= {id_.hex(): name for id_, name in events.items()}
        named |= {id_.hex(): f"({_said(receipt.body)})" for id_, receipt in tables.receipts.items()}
        known = {id_: row.endpoint_id for id_, row in tables.deliveries.items()}
        known |= {id_: row.endpoint_id for id_, row in tables.queue.rows.items()}
        for id_, endpoint_id in known.items():
            name = f"({events[event_id_of(id_)]} to {tables.endpoints[endpoint_id].label})"
            named[id_.hex()] = named[to_text(DELIVERY, id_)] = name
        return named


def _said(body: bytes) -> str:
    """Return what a provider calls its attempt; one of ours names payment and try."""
    return body.partition(b'{"uuid":"')[2].partition(b'"')[0].decode()


def spoken(event: Event) -> str:
    """Return the event's name in this world: draws and lines know it by that, not by its id."""
    if event.family == "simulated":
        return event.data.decode().removeprefix('{"said":"').removesuffix('"}')
    return event.type
