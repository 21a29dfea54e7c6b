"""Undone deliveries, with the orders in which they are asked for.

Every move goes through here, so the state table is asked each time and the orders below
cannot fall behind. They are heaps whose entries may be stale: a row that moved on leaves its
old entry, which is dropped when it comes up and no longer says what the row says.
"""

from heapq import heappop, heappush

from payhooks.ids import DeliveryId, EndpointId
from payhooks.model.delivery import FINAL_STATES, State, Trigger, next_state
from payhooks.storage.memory.rows import DeliveryMoved, QueueRow

_ACTIVE = frozenset({State.SCHEDULED, State.LEASED})


class Queue:
    """All undone deliveries by id, by lane and due time, by object, and by end of lease."""

    def __init__(self) -> None:
        self.rows: dict[DeliveryId, QueueRow] = {}
        self.moves: list[DeliveryMoved] = []  # since the last transaction ended
        self._positions = 0
        self._due: dict[EndpointId, list[tuple[int, int, DeliveryId]]] = {}
        self._leases: list[tuple[int, DeliveryId, int]] = []
        self._blocked: dict[tuple[EndpointId, bytes], list[tuple[int, DeliveryId]]] = {}
        self._active: dict[tuple[EndpointId, bytes], int] = {}

    def next_position(self) -> int:
        """Take the next number in the order of acceptance."""
        self._positions += 1
        return self._positions

    def put(self, row: QueueRow, *, old: State | None = None, by: Trigger | None = None) -> None:
        """Add a delivery that was not undone: a new one, or an ended one that is sent again."""
        assert row.id not in self.rows
        assert by is None or old is None or next_state(old, by) is row.state
        assert (row.state is State.LEASED) == (row.lease_until is not None)
        self.rows[row.id] = row
        self._enter(row)
        self._note(row, old, by)

    def move(
        self,
        row: QueueRow,
        trigger: Trigger,
        *,
        due_at: int | None = None,
        owner: int | None = None,
        lease_until: int | None = None,
    ) -> None:
        """Move *row* as the state table says; one that ends is gone from here."""
        old = row.state
        new = next_state(old, trigger)
        assert (new is State.LEASED) == (lease_until is not None)
        self._leave(row)
        row.state = new
        row.owner, row.lease_until = owner, lease_until
        if trigger is Trigger.LEASE:
            row.fence += 1
        if due_at is not None:
            row.due_at = due_at
        if new in FINAL_STATES:
            del self.rows[row.id]
        else:
            self._enter(row)
        self._note(row, old, trigger)

    def hasten(self, row: QueueRow, *, due_at: int) -> None:
        """Let a scheduled delivery be due at another time."""
        assert row.state is State.SCHEDULED
        row.due_at = due_at
        heappush(self._due.setdefault(row.endpoint_id, []), (due_at, row.position, row.id))

    def pass_over(self, row: QueueRow) -> None:
        """Let the next of its lane be the first that is due, until this one is hastened."""
        heap = self._due[row.endpoint_id]
        assert heap[0][2] == row.id
        heappop(heap)

    def drop(self, row: QueueRow, *, back_to: State) -> None:
        """Forget a waiting replay of a delivery that had ended before: it reads so again."""
        assert row.state in {State.SCHEDULED, State.BLOCKED}
        assert back_to in FINAL_STATES
        self._leave(row)
        del self.rows[row.id]
        old, row.state = row.state, back_to
        self._note(row, old, Trigger.CANCEL)

    def first_due(self, endpoint_id: EndpointId) -> QueueRow | None:
        """Return the lane's scheduled delivery that is due first, now or later."""
        heap = self._due.get(endpoint_id)
        while heap:
            due_at, position, id_ = heap[0]
            row = self.rows.get(id_)
            # The position too: one that was called off and sent again has another.
            if (
                row is not None
                and row.state is State.SCHEDULED
                and (row.due_at, row.position) == (due_at, position)
            ):
                return row
            heappop(heap)
        return None

    def first_expired(self, now: int) -> QueueRow | None:
        """Return the leased delivery whose lease ran out first, if any has."""
        while self._leases and self._leases[0][0] < now:
            lease_until, id_, fence = self._leases[0]
            row = self.rows.get(id_)
            if row is not None and (row.lease_until, row.fence) == (lease_until, fence):
                return row
            heappop(self._leases)
        return None

    def head(self, endpoint_id: EndpointId, order_key: bytes) -> QueueRow | None:
        """Return the blocked delivery that goes next, unless one of its object is under way."""
        if self._active.get((endpoint_id, order_key)):
            return None
        heap = self._blocked.get((endpoint_id, order_key))
        while heap:
            position, id_ = heap[0]
            row = self.rows.get(id_)
            # The key too: what held its object up may come back as part of another.
            if (
                row is not None
                and row.state is State.BLOCKED
                and (row.order_key, row.position) == (order_key, position)
            ):
                return row
            heappop(heap)
        return None

    def blocked_keys(self, endpoint_id: EndpointId) -> list[bytes]:
        """Return the objects of the lane that may have blocked deliveries."""
        return [key for lane, key in self._blocked if lane == endpoint_id]

    def _enter(self, row: QueueRow) -> None:
        match row.state:
            case State.SCHEDULED:
                entry = (row.due_at, row.position, row.id)
                heappush(self._due.setdefault(row.endpoint_id, []), entry)
            case State.LEASED:
                assert row.lease_until is not None
                heappush(self._leases, (row.lease_until, row.id, row.fence))
            case State.BLOCKED:
                assert row.order_key is not None
                lane = self._blocked.setdefault((row.endpoint_id, row.order_key), [])
                heappush(lane, (row.position, row.id))
            case _:
                raise AssertionError(f"{row.state} in the queue")
        if row.order_key is not None and row.state in _ACTIVE:
            key = (row.endpoint_id, row.order_key)
            self._active[key] = self._active.get(key, 0) + 1
            assert self._active[key] == 1, "two of one object under way"

    def _leave(self, row: QueueRow) -> None:
        if row.order_key is not None and row.state in _ACTIVE:
            key = (row.endpoint_id, row.order_key)
            self._active[key] -= 1
            if not self._active[key]:
                del self._active[key]
                if not self._blocked.get(key):
                    self._blocked.pop(key, None)

    def _note(self, row: QueueRow, old: State | None, trigger: Trigger | None) -> None:
        moved = DeliveryMoved(
            id=row.id,
            endpoint_id=row.endpoint_id,
            old=old,
            new=row.state,
            trigger=trigger,
            fence=row.fence,
        )
        self.moves.append(moved)
