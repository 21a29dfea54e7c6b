"""The tables of the memory store, and what several ports do to them.

No method here or in the ports awaits anything, so each is one transaction: what may fail is
checked before the first write.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from payhooks.clock import Clock
from payhooks.ids import (
    ConnectorId,
    DeliveryId,
    EndpointId,
    EventId,
    InboxId,
    InvitationId,
    KeyId,
    MerchantId,
    ReceiptId,
    ReplayId,
    RunId,
    SessionId,
    UserId,
)
from payhooks.model.attempt import Attempt
from payhooks.model.audit import BEGINNING, AuditEntry, ChainedAuditEntry, Mark, chain
from payhooks.model.connector import Connector
from payhooks.model.delivery import State, Trigger
from payhooks.model.endpoint import Endpoint
from payhooks.model.event_type import EventType
from payhooks.model.expectation import Expectation
from payhooks.model.inbox import Heard, Inbox
from payhooks.model.key import ApiKey
from payhooks.model.merchant import Merchant
from payhooks.model.receipt import Receipt
from payhooks.model.replay import Replay
from payhooks.model.sandbox_run import SandboxRun
from payhooks.model.secret import SealedSecret
from payhooks.model.user import Invitation, Membership, Session, User
from payhooks.policy.lockout import Tries
from payhooks.ports.reading import Subscription
from payhooks.ports.receiving import ConnectorHealth, Reference, Subject
from payhooks.ports.sweeping import Announcement
from payhooks.ports.tallying import Tally
from payhooks.storage.memory.queue import Queue
from payhooks.storage.memory.rows import (
    EventAccepted,
    EventRow,
    FinalRow,
    KeyRow,
    LaneRow,
    LaneState,
    Observer,
    QueueRow,
    to_us,
)


@dataclass(slots=True)
class Tables:
    """Everything at rest, in plain dictionaries that keep the order of insertion."""

    clock: Clock
    observer: Observer | None

    # Configuration.
    merchants: dict[MerchantId, Merchant] = field(default_factory=dict)
    routing: dict[MerchantId, int] = field(default_factory=dict)
    numbers: dict[MerchantId, int] = field(default_factory=dict)
    endpoints: dict[EndpointId, Endpoint] = field(default_factory=dict)
    endpoint_history: dict[MerchantId, list[Subscription]] = field(default_factory=dict)
    connectors: dict[ConnectorId, Connector] = field(default_factory=dict)
    secrets: dict[bytes, SealedSecret] = field(default_factory=dict)
    api_keys: dict[KeyId, ApiKey] = field(default_factory=dict)
    event_types: dict[tuple[str, str], EventType] = field(default_factory=dict)
    replays: dict[ReplayId, Replay] = field(default_factory=dict)
    # Cancelled, and what waits of them is not all taken back.
    replays_stopping: set[ReplayId] = field(default_factory=set)
    replay_claims: dict[ReplayId, tuple[int, int]] = field(default_factory=dict)  # owner, until
    runs: dict[RunId, SandboxRun] = field(default_factory=dict)
    run_claims: dict[RunId, tuple[int, int]] = field(default_factory=dict)  # owner, until
    inboxes: dict[bytes, Inbox] = field(default_factory=dict)  # by the hash of their word
    heard: dict[InboxId, list[Heard]] = field(default_factory=dict)  # ascending
    announcements: dict[bytes, Announcement] = field(default_factory=dict)
    audit_log: dict[MerchantId | None, list[ChainedAuditEntry]] = field(default_factory=dict)
    audit_heads: dict[MerchantId | None, Mark] = field(default_factory=dict)

    # Inbound.
    receipts: dict[ReceiptId, Receipt] = field(default_factory=dict)
    # Of those RECEIVED: owner, until.
    receipt_claims: dict[ReceiptId, tuple[int | None, int]] = field(default_factory=dict)
    # By what they are about: merchant, type, id.
    links: dict[tuple[MerchantId, str, str], dict[ReceiptId, tuple[str, ...]]] = field(
        default_factory=dict
    )
    # What was told with receipts that are retired, by connector and object.
    told: dict[Subject, dict[ReceiptId, tuple[str, ...]]] = field(default_factory=dict)
    references: dict[tuple[MerchantId, Reference], None] = field(default_factory=dict)
    expectations: dict[tuple[MerchantId, str, str], Expectation] = field(default_factory=dict)
    health: dict[tuple[MerchantId, ConnectorId], ConnectorHealth] = field(default_factory=dict)

    # People.
    users: dict[UserId, User] = field(default_factory=dict)
    memberships: dict[tuple[MerchantId, UserId], Membership] = field(default_factory=dict)
    invitations: dict[InvitationId, Invitation] = field(default_factory=dict)
    sessions: dict[SessionId, Session] = field(default_factory=dict)
    tries: dict[bytes, Tries] = field(default_factory=dict)

    # The way of the data.
    lanes: dict[EndpointId, LaneRow] = field(default_factory=dict)
    wakes: dict[EndpointId, dict[bytes | None, int]] = field(default_factory=dict)  # key → due
    idempotency: dict[bytes, KeyRow] = field(default_factory=dict)
    events: dict[EventId, EventRow] = field(default_factory=dict)
    events_of: dict[MerchantId, list[EventId]] = field(default_factory=dict)  # ascending
    queue: Queue = field(default_factory=Queue)
    deliveries: dict[DeliveryId, FinalRow] = field(default_factory=dict)
    # Of queue and deliveries together, ascending.
    deliveries_of: dict[MerchantId, list[DeliveryId]] = field(default_factory=dict)
    attempts: dict[DeliveryId, dict[tuple[int, bool], Attempt]] = field(default_factory=dict)
    rendered: dict[DeliveryId, tuple[int, bytes]] = field(default_factory=dict)  # since, body
    order_blocks: dict[tuple[EndpointId, bytes], DeliveryId] = field(default_factory=dict)
    feeds: dict[EndpointId, dict[int, DeliveryId]] = field(default_factory=dict)  # by sequence
    unnumbered: dict[EndpointId, dict[DeliveryId, None]] = field(default_factory=dict)
    workers: dict[int, tuple[int, str]] = field(default_factory=dict)  # seen at, version
    tallies: dict[tuple[MerchantId, EndpointId | None, int, datetime], Tally] = field(
        default_factory=dict
    )
    accepted: list[EventAccepted] = field(default_factory=list)  # in this transaction

    def now(self) -> int:
        """Return the store's time, in microseconds."""
        return to_us(self.clock.now())

    def publish(self) -> None:
        """End a transaction: tell the observer what it did."""
        moves, self.queue.moves = self.queue.moves, []
        accepted, self.accepted = self.accepted, []
        if self.observer is None:
            return
        for event in accepted:
            self.observer("event_accepted", event)
        for move in moves:
            self.observer("delivery_moved", move)

    def wake(self, endpoint_id: EndpointId, *, due_at: int, order_key: bytes | None = None) -> None:
        """Leave word for the next look at a lane; whoever looks writes the lane itself."""
        keys = self.wakes.setdefault(endpoint_id, {})
        keys[order_key] = min(due_at, keys.get(order_key, due_at))

    def add_event(self, row: EventRow, deliveries: tuple[DeliveryId, ...], owner: int) -> None:
        """Keep an accepted event."""
        event = row.event
        self.events[event.id] = row
        insort(self.events_of.setdefault(event.merchant_id, []), event.id)
        self.accepted.append(EventAccepted(event=event, deliveries=deliveries, owner=owner))

    def put(self, row: QueueRow, *, old: State | None = None, by: Trigger | None = None) -> None:
        """Add an undone delivery, and make it findable by its merchant and in its feed."""
        if row.id not in self.deliveries:
            insort(self.deliveries_of.setdefault(row.merchant_id, []), row.id)
            self.unnumbered.setdefault(row.endpoint_id, {})[row.id] = None
        self.queue.put(row, old=old, by=by)

    def finish(self, row: QueueRow, trigger: Trigger, *, now: int) -> None:
        """End a delivery, and wake those of its object that wait for that."""
        self.queue.move(row, trigger)
        if row.state is State.DELIVERED and row.delivered_at is None:
            row.delivered_at = now
        self.deliveries[row.id] = FinalRow(
            id=row.id,
            merchant_id=row.merchant_id,
            endpoint_id=row.endpoint_id,
            event_type=row.event_type,
            state=row.state,
            finished_at=now,
            position=row.position,
            order_key=row.order_key,
            dialect=row.dialect,
            dialect_version=row.dialect_version,
            fence=row.fence,
            attempts_made=row.attempts_made,
            replay_id=row.replay_id,
            delivered_at=row.delivered_at,
            reason=row.reason,
        )
        if row.order_key is not None:
            self.wake(row.endpoint_id, due_at=now, order_key=row.order_key)

    def unblock(self, delivery: DeliveryId) -> bool:
        """Let those go on that a failed delivery holds up; return whether it did."""
        for (endpoint_id, order_key), holder in self.order_blocks.items():
            if holder == delivery:
                del self.order_blocks[endpoint_id, order_key]
                self.wake(endpoint_id, due_at=self.now(), order_key=order_key)
                return True
        return False

    def unblock_lane(self, endpoint_id: EndpointId) -> None:
        """Let all go on that failed deliveries of one lane hold up."""
        held_up = [order_key for lane_id, order_key in self.order_blocks if lane_id == endpoint_id]
        for order_key in held_up:
            del self.order_blocks[endpoint_id, order_key]
            self.wake(endpoint_id, due_at=self.now(), order_key=order_key)

    def deliveries_of_event(self, merchant_id: MerchantId, event_id: EventId) -> list[DeliveryId]:
        """Return the ids of an event's deliveries, upwards."""
        ids = self.deliveries_of.get(merchant_id, [])
        # They follow the event's id in one run: it is their beginning.
        last = DeliveryId((int.from_bytes(event_id, "big") | 0xFFFFF).to_bytes(16, "big"))
        return ids[bisect_left(ids, event_id) : bisect_right(ids, last)]

    def state_of(self, id_: DeliveryId) -> State:
        """Return where a delivery stands: the queue is right where both tables know it."""
        row = self.queue.rows.get(id_)
        return self.deliveries[id_].state if row is None else row.state

    def held(self, endpoint_id: EndpointId) -> bool:
        """Return whether what waits in this lane waits for its merchant."""
        return self.lanes[endpoint_id].state in {LaneState.PAUSED, LaneState.DISABLED}

    def forget_bodies(self, ids: Iterable[DeliveryId]) -> None:
        """Remove rendered bodies and what was kept of answers."""
        for id_ in ids:
            self.rendered.pop(id_, None)
            for attempt in list(self.attempts.get(id_, {}).values()):
                self.forget_answer(attempt)

    def forget_answer(self, attempt: Attempt) -> None:
        """Remove what was kept of the answer to one attempt."""
        bare = msgspec.structs.replace(attempt, answer_headers=(), answer_body=b"")
        self.attempts[attempt.delivery_id][attempt.fence, attempt.late] = bare

    def log(self, entry: AuditEntry) -> None:
        """Chain an entry to those before it."""
        entries = self.audit_log.setdefault(entry.merchant_id, [])
        head = self.audit_heads.get(entry.merchant_id, BEGINNING)
        number = head.number + 1
        hash_ = chain(head.hash, number, entry)
        entries.append(ChainedAuditEntry(number=number, entry=entry, hash=hash_))
        self.audit_heads[entry.merchant_id] = Mark(number=number, hash=hash_)


def newest_first(
    ids: list[bytes], *, after: bytes | None, at_least: bytes | None, below: bytes | None
) -> Iterator[bytes]:
    """Yield ascending *ids* downwards, inside bounds; *after* and *below* are exclusive."""
    ends = [bisect_left(ids, bound) for bound in (after, below) if bound is not None]
    end = min(ends, default=len(ids))
    start = 0 if at_least is None else bisect_left(ids, at_least)
    for index in range(end - 1, start - 1, -1):
        yield ids[index]
