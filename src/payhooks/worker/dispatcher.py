"""The dispatcher: which leased delivery is attempted next, and that no lane takes all slots.

Slots are this process's requests under way. Lanes take turns. A lane whose last outcome was
not a success is *unproven*: it has a small cap, and all unproven lanes together get at most
half the slots, so a thousand endpoints that hang leave the other half to those that answer.
Half of that half is for the first request of lanes that nobody knows to fail, so those that
hang do not keep a new endpoint, or everybody after a restart, from showing that it answers.
A merchant gets at most half as well while others have something under way, and never all: what
it leaves free is for the next. What has waited too long is given back to the store.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Final

from payhooks import limits
from payhooks.clock import Clock
from payhooks.ids import EndpointId, MerchantId
from payhooks.ports.leasing import Leased
from payhooks.ports.telemetry import Telemetry
from payhooks.ports.transport import UnderWay
from payhooks.worker.lanes import Held, Lane
from payhooks.worker.rounds import Round

# Idle lanes are kept for what they learnt (proven, breaker), up to this many.
LANES_MAX: Final = 100_000
# However much waits here of other lanes, a look may bring one delivery each of as many as this
# share of the slots: else whoever hangs or publishes most would keep everybody else's work in the
# store. Looks follow each other while they find something, so it is no limit on what a lane gets.
ROOM_KEPT_SHARE: Final = 1 / 16
# A merchant may have this many times as much under way as is free. Alone it leaves an eighth, and
# that is there at once for whoever comes, whose own leave some to the next: if all that the first
# has begins to hang, nothing of it ends for as long as a time-out is.
UNDER_WAY_PER_FREE_MAX: Final = 7
# More names than this are not told to the store at each look.
SKIPPED_MAX: Final = 8_192
# Outcomes not yet on the disk. While the store does not answer, they must be kept: forgetting
# one doubles a delivery. So nothing new is begun beyond this many.
UNSETTLED_MAX: Final = limits.SETTLE_WAITING_MAX // 2

# The end of an attempt frees its slot; what is left to do then, if anything, is done without one.
Write = Callable[[], Awaitable[None]]
Done = Callable[[Write | None], None]
# Begins an attempt, which calls Done once it has ended, unless it is broken off before. No task
# for each: on the good path nothing is waited for but the receiver, and that is transport's.
Attempt = Callable[[Held, Done], UnderWay | None]
GiveBack = Callable[[Leased], None]
# What was broken off, and how many seconds its request had left.
Interrupt = Callable[[Leased, float], None]


class Dispatcher:
    """Starts attempts as slots come free. One per process; see Handoff for its front."""

    def __init__(  # noqa: PLR0913 - every collaborator is named at the call site
        self,
        *,
        attempt: Attempt,
        give_back: GiveBack,
        interrupt: Interrupt,
        unsettled: Callable[[], int],
        clock: Clock,
        telemetry: Telemetry,
        slots: int = limits.SLOTS_PER_PROCESS,
    ) -> None:
        """Take what attempts one delivery, and what returns one unattempted, or broken off.

        *unsettled* counts the outcomes that are not on the disk yet.
        """
        self._attempt = attempt
        self._give_back = give_back
        self._interrupt = interrupt
        self._unsettled = unsettled
        self._clock = clock
        self._telemetry = telemetry
        self._slots = slots
        self._room_kept = max(1, int(slots * ROOM_KEPT_SHARE))
        self._lanes: OrderedDict[EndpointId, Lane] = OrderedDict()
        self._active: dict[EndpointId, Lane] = {}  # those that are not idle
        # Lanes with something to begin; unproven ones apart, because they share half.
        self._round = Round()
        self._first_round = Round()  # with nothing under way and no failure known
        self._unproven_round = Round()
        self._merchants: dict[MerchantId, int] = {}  # requests under way
        self._in_flight = 0
        self._unproven_in_flight = 0
        self._promised = 0  # to unproven lanes since the last turn in which something was begun
        self._waiting = 0
        self._under_way: set[Held] = set()
        self._writes: set[asyncio.Task[None]] = set()
        self._begin_due = False
        self._quiet = asyncio.Event()  # nothing is under way; look again, it may be over
        self._stopping = False
        # For a while nothing is begun; what was leased is given back when it has waited long.
        self.suspended = False
        self.hinted = asyncio.Event()  # something in the store may be due
        self.freed = asyncio.Event()  # there is room again

    # --- Handoff ---------------------------------------------------------------------------

    def has_room(self, endpoint_id: EndpointId) -> bool:
        """See Handoff."""
        if self._stopping or self.suspended or self._unsettled() >= UNSETTLED_MAX:
            return False
        if self._waiting >= limits.WAITING_PER_PROCESS_MAX:
            return False
        lane = self._lanes.get(endpoint_id)
        if lane is None or not lane.proven:
            # Where its turn does not come soon the store has room for what waits. One event may go
            # to ten thousand endpoints that nobody knows, and is planned before any is offered.
            if self._unproven_in_flight + self._promised >= self._unproven_max(lane):
                return False
            self._promised += 1
        return lane is None or len(lane.waiting) < lane.waiting_max

    def offer(self, leased: Leased, *, taken_at_s: float) -> None:
        """See Handoff."""
        lane = self._lane(leased)
        lane.suspect = lane.suspect or (leased.lane_failing and not lane.proven)
        if lane.waiting and self.is_crowded and self._must_wait(lane):
            self._give_back(leased)
            return
        lane.waiting.append(Held(leased, lane, taken_at_s))
        self._active[lane.endpoint_id] = lane
        self._waiting += 1
        self._queue(lane)
        self._begin_soon()

    def hint(self) -> None:
        """See Handoff."""
        self.hinted.set()

    # --- for the lease loop ----------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many more deliveries are worth leasing now."""
        if self._stopping or self.suspended or self._unsettled() >= UNSETTLED_MAX:
            return 0
        if self._waiting >= limits.WAITING_PER_PROCESS_MAX + 2 * self._slots:
            return 0
        return max(self._room_kept, self._room_left)

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """Leased deliveries that wait in memory."""
        return self._waiting

    @property
    def is_crowded(self) -> bool:
        """Whether there is no more room than is kept for lanes of which nothing waits here."""
        return self._room_left < self._room_kept

    def full_lanes(self) -> list[EndpointId]:
        """Return the lanes that have enough to do; leasing more of theirs is useless."""
        if not self.is_crowded:
            return [lane.endpoint_id for lane in self._active.values() if lane.full]
        # What room is kept is for lanes that can begin.
        crowd = (
            lane.endpoint_id
            for lane in self._lanes.values()
            if lane.waiting or self._must_wait(lane)
        )
        return list(islice(crowd, SKIPPED_MAX))

    def lane(self, endpoint_id: EndpointId) -> Lane | None:
        """Return what is known of a lane."""
        return self._lanes.get(endpoint_id)

    def give_back_overdue(self) -> None:
        """Return what has waited too long, so that another process, or a later look, gets it."""
        limit_s = self._clock.monotonic_s() - limits.WAIT_IN_MEMORY_S_MAX
        for lane in list(self._active.values()):
            while lane.waiting and lane.waiting[0].taken_at_s < limit_s:
                self._return(lane.waiting.pop(0))

    def begin_no_more(self) -> None:
        """Refuse hand-offs and begin no attempt from now on."""
        self._stopping = True

    async def settled(self) -> None:
        """Return when everything begun so far is written down or given back."""
        while not self._is_quiet:
            self._quiet.clear()
            await self._quiet.wait()

    async def drain(self, grace_s: float) -> None:
        """Begin nothing more, give back what waits, let what is under way end.

        What has not ended after *grace_s* is broken off, and goes back too.
        """
        self.begin_no_more()
        for lane in list(self._active.values()):
            while lane.waiting:
                self._return(lane.waiting.pop(0))
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self.settled()
        for held in tuple(self._under_way):
            if held.under_way is not None:
                held.under_way.cancel()
            # Left to its lease, it would look as if this process had died with it.
            if held.over_s is None:
                self._give_back(held.leased)
            else:
                left_s = max(0.0, held.over_s - self._clock.monotonic_s())
                self._interrupt(held.leased, left_s)
            self._end(held)
        # Its first step is due of what ended just now. Cancelled before, a task does not even do
        # what it must in the end: write down what came of its request.
        await asyncio.sleep(0)
        for task in self._writes:
            task.cancel()
        if self._writes:
            await asyncio.wait(self._writes)

    # --- inside ----------------------------------------------------------------------------

    @property
    def _room_left(self) -> int:
        return 2 * self._slots - self._in_flight - self._waiting

    def _must_wait(self, lane: Lane) -> bool:
        """Return whether it is unproven, and its kind has all the slots that it may have."""
        return not lane.proven and self._unproven_in_flight >= self._unproven_max(lane)

    def _unproven_max(self, lane: Lane | None) -> int:
        """Return how many slots those may have that are no more proven than this one."""
        return self._slots // (4 if lane is not None and lane.suspect else 2)

    def _lane(self, leased: Leased) -> Lane:
        lane = self._lanes.get(leased.endpoint_id)
        if lane is None:
            lane = self._lanes[leased.endpoint_id] = Lane(leased.endpoint_id, leased.merchant_id)
            if len(self._lanes) > LANES_MAX:
                self._forget_an_idle_lane()
        if lane.dialect != leased.dialect:
            lane.speak(leased.dialect)  # it is new, or its endpoint has changed over
        return lane

    def _forget_an_idle_lane(self) -> None:
        oldest = next(iter(self._lanes.values()))
        if oldest.idle:
            del self._lanes[oldest.endpoint_id]
        else:
            self._lanes.move_to_end(oldest.endpoint_id)

    def _queue(self, lane: Lane) -> None:
        if not lane.waiting or lane.in_flight >= lane.cap:
            return
        round_ = self._round
        if not lane.proven:
            first = not (lane.suspect or lane.in_flight)
            round_ = self._first_round if first else self._unproven_round
        round_.enter(lane)

    def _begin_soon(self) -> None:
        # Once for all that was offered or has ended in this turn of the loop, and after it: who
        # published is answered before anything of it is sent.
        if not self._begin_due:
            self._begin_due = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._begin_due = False
        self._promised = 0
        if not (self._stopping or self.suspended):
            self._fill_slots()
        if self._is_quiet:
            self._quiet.set()

    def _fill_slots(self) -> None:
        for round_, unproven_max in (
            (self._first_round, self._slots // 2),
            (self._unproven_round, self._slots // 4),
            (self._round, self._slots),
        ):
            for merchant_id in round_.aside:
                self._let_back(round_, merchant_id)
            while round_ and self._in_flight < self._slots:
                if self._unproven_in_flight >= unproven_max:
                    break
                self._begin_next(round_)

    def _begin_next(self, round_: Round) -> None:
        lane = round_.take()
        if lane is None:
            return
        if lane.waiting and lane.in_flight < lane.cap:
            if not self._may_have_more(lane.merchant_id):
                round_.set_aside(lane)
                return
            self._take_turn(lane)
        self._let_back(round_, lane.merchant_id)

    def _take_turn(self, lane: Lane) -> None:
        held = lane.waiting.pop(0)
        if lane.wants_more:
            # Its backlog was left in the store while it was full; nothing else tells of it.
            self.hint()
        if self._clock.monotonic_s() - held.taken_at_s > limits.WAIT_IN_MEMORY_S_MAX:
            self._return(held)
        else:
            self._start(lane, held)
        self._queue(lane)

    def _let_back(self, round_: Round, merchant_id: MerchantId) -> None:
        if self._may_have_more(merchant_id):
            round_.let_back(merchant_id)

    def _may_have_more(self, merchant_id: MerchantId) -> bool:
        under_way = self._merchants.get(merchant_id, 0)
        if len(self._merchants) > 1 and under_way >= self._slots // 2:
            return False
        return under_way < UNDER_WAY_PER_FREE_MAX * (self._slots - self._in_flight)

    def _start(self, lane: Lane, held: Held) -> None:
        self._waiting -= 1
        self._in_flight += 1
        held.unproven = not lane.proven
        self._unproven_in_flight += held.unproven
        lane.in_flight += 1
        self._merchants[lane.merchant_id] = self._merchants.get(lane.merchant_id, 0) + 1
        self._under_way.add(held)
        try:
            held.under_way = self._attempt(held, partial(self._ended, held))
        except Exception as error:  # noqa: BLE001 - the top of a loop: one delivery's bug is its own
            self._telemetry.bug_caught("attempt", error)
            if held in self._under_way:
                self._end(held)

    def _ended(self, held: Held, write: Write | None) -> None:
        if write is not None:
            task = asyncio.create_task(self._write(write, self._held_back(held.lane)))
            self._writes.add(task)
            task.add_done_callback(self._written)
        self._end(held)

    def _held_back(self, lane: Lane) -> list[Held]:
        """Take out what waits of a lane whose rest has just begun: its rest holds for it too."""
        if not lane.rested:
            return []
        lane.rested = False
        waited, lane.waiting = lane.waiting, []
        self._waiting -= len(waited)
        return waited

    async def _write(self, write: Write, held_back: list[Held]) -> None:
        try:
            await write()
        except Exception as error:  # noqa: BLE001 - as above
            self._telemetry.bug_caught("attempt", error)
        finally:
            # Not before the store knows of the rest, or it would lease them again at once.
            for held in held_back:
                self._give_back(held.leased)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writes.discard(task)
        if self._is_quiet:
            self._quiet.set()

    def _end(self, held: Held) -> None:
        lane = held.lane
        self._under_way.discard(held)
        held.under_way = None  # or the two would hold each other until a garbage collection
        self._in_flight -= 1
        self._unproven_in_flight -= held.unproven
        lane.in_flight -= 1
        left = self._merchants[lane.merchant_id] - 1
        if left:
            self._merchants[lane.merchant_id] = left
        else:
            del self._merchants[lane.merchant_id]
        if lane.idle:
            self._active.pop(lane.endpoint_id, None)
        self._queue(lane)
        self._begin_soon()
        self.freed.set()

    def _return(self, held: Held) -> None:
        self._waiting -= 1
        self._give_back(held.leased)

    @property
    def _is_quiet(self) -> bool:
        return not (self._in_flight or self._writes or self._begin_due)
