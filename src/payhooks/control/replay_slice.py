"""One slice of a replay: which deliveries go on their way now, and how far the job is then.

All lanes stand at the *front*, the last delivery that was looked at, but for those that had no
room when the front passed them. These are *behind*: each stands where it was, and is walked on its
own, up to the front, as it has room again. So a lane that takes nothing holds up nobody else,
each lane goes in order, and the job is done when all of them are.
"""

from typing import Final

import msgspec

from payhooks import ids, limits
from payhooks.control.context import Control
from payhooks.control.replay_room import Room
from payhooks.control.replay_scope import Scope
from payhooks.control.replay_walk import Walk
from payhooks.ids import EndpointId
from payhooks.model.replay import Behind, Replay, ReplayState
from payhooks.ports.controlling import Requeue
from payhooks.ports.reading import EventFacts

# A slice writes down where each of them stands, about 60 bytes. Beyond, the front waits.
LANES_BEHIND_MAX: Final = 1_000


class Slice:
    """At most *budget* deliveries, and in each lane no more than it has room for."""

    def __init__(
        self, control: Control, replay: Replay, scope: Scope, room: Room, *, budget: int
    ) -> None:
        self._items: list[Requeue] = []
        self._control = control
        self._replay = replay
        self._scope = scope
        self._room = room
        self._budget = min(budget, limits.SLICE_ROWS_MAX)
        behind = replay.behind
        self._front = replay.cursor if behind is None else behind.front
        self._behind = {} if behind is None else dict(behind.lanes)

    async def walk(self) -> tuple[Replay, list[Requeue]]:
        """Return what goes on its way now, and the job as it is then."""
        if any(self._room.has(lane) for lane in self._behind):
            # Half for each, so that neither the many nor one that was away for long starve the
            # others; the odd one, which may be all there is, in turns. The front has what is left.
            await self._go_on((self._budget + self._replay.queued % 2) // 2)
            await self._catch_up()
        ended = await self._go_on(self._budget)
        done = ended and not self._behind
        advanced = msgspec.structs.replace(
            self._replay,
            queued=self._replay.queued + len(self._items),
            cursor=min(self._behind.values(), default=self._front),
            behind=self._lanes_behind(),
            state=ReplayState.DONE if done else ReplayState.RUNNING,
            finished_at=self._control.clock.now() if done else None,
        )
        return advanced, self._items

    async def _go_on(self, budget: int) -> bool:
        """Move the front, for all lanes that stand there; return whether it is at the end."""
        if len(self._items) == budget:
            return False
        walk = self._walk(self._front, budget=budget)
        while len(self._items) < budget and (page := await walk.page()):
            for event in page:
                if not await self._go_past(event, budget):
                    return False
        return walk.ended

    async def _go_past(self, event: EventFacts, budget: int) -> bool:
        """Move the front behind this event; return False where something of it has to wait."""
        for item in await self._scope.items(event):
            if self._front is not None and item.delivery_id <= self._front:
                continue
            if item.endpoint_id in self._behind:
                continue
            if len(self._items) == budget:
                return False
            if self._room.take(item.endpoint_id):
                self._items.append(item)
            elif len(self._behind) < LANES_BEHIND_MAX:
                assert self._front is not None, "a job has room for its first delivery"
                self._behind[item.endpoint_id] = self._front
            else:
                return False
            self._front = item.delivery_id
        self._front = ids.last_delivery_id_of(event.id)
        return True

    async def _catch_up(self) -> None:
        """Move lanes that are behind and have room, all in one walk from the hindmost on."""
        assert self._front is not None
        if len(self._items) == self._budget:
            return
        front = self._front
        ready = {lane: at for lane, at in self._behind.items() if self._room.has(lane)}
        reached = min(ready.values(), default=front)
        walk = self._walk(reached, until=front, budget=self._budget)
        while ready and len(self._items) < self._budget and (page := await walk.page()):
            for event in page:
                for item in await self._scope.items(event) if ready else []:
                    at = ready.get(item.endpoint_id)
                    if at is None or not at < item.delivery_id <= front:
                        continue
                    if len(self._items) == self._budget:
                        self._move(ready, reached)
                        return
                    if self._room.take(item.endpoint_id):
                        self._items.append(item)
                    else:
                        self._move({item.endpoint_id: ready.pop(item.endpoint_id)}, reached)
                    reached = item.delivery_id
                reached = ids.last_delivery_id_of(event.id)
        self._move(ready, front if walk.ended else reached)

    def _move(self, lanes: dict[EndpointId, bytes], reached: bytes) -> None:
        """Let lanes stand where the walk is; those at the front go on with the others."""
        assert self._front is not None
        for lane, at in lanes.items():
            self._behind[lane] = max(at, reached)
            if self._behind[lane] >= self._front:
                del self._behind[lane]

    def _lanes_behind(self) -> Behind | None:
        if not self._behind:
            return None
        assert self._front is not None
        return Behind(front=self._front, lanes=tuple(sorted(self._behind.items())))

    def _walk(self, reached: bytes | None, *, until: bytes | None = None, budget: int) -> Walk:
        left = budget - len(self._items)
        return Walk(self._control, self._replay, reached=reached, until=until, budget=left)
