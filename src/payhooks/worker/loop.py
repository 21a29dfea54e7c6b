"""The one lifecycle of a working process: start, drain, stop.

The lease loop looks whenever something hints, when the next lane is due, and at least once a
second, because hints are only about this process. Upkeep runs beside it, each kind at its own
pace. Nothing here decides anything about a delivery.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, TypeVar

from payhooks import __version__, limits
from payhooks.clock import Clock
from payhooks.errors import OverloadedError, UnavailableError, is_outage
from payhooks.flow.settle import Settler
from payhooks.flow.sweep import Sweep
from payhooks.ports.leasing import Leased, LeaseStore
from payhooks.ports.sweeping import SweepStore
from payhooks.ports.telemetry import Telemetry
from payhooks.worker.dispatcher import Dispatcher
from payhooks.worker.probation import Probation

Result = TypeVar("Result")

LANES_PER_LOOK: Final = 64
# What a lane gives at one look while many want a turn; alone, and proven, it may give more.
PER_LANE_PER_LOOK: Final = limits.IN_FLIGHT_PER_LANE
PER_LANE_PER_LOOK_ALONE: Final = 256
# Other processes' work is found this soon: at once while busy, within a second when idle.
POLL_BUSY_S: Final = 0.05
POLL_IDLE_S: Final = 1.0
EMPTY_LOOK_PAUSE_S: Final = 0.005
# After a look that failed, and before expired leases are taken back once the store is up
# again: outcomes that were kept in memory settle first, or each outage would double them.
STORE_DOWN_RETRY_S: Final = 0.5
EXPIRE_AFTER_OUTAGE_S: Final = 5.0
# At the end of a drain: two attempts to write down what is known. A store that does not answer
# even then must not keep the process; what was not written is attempted again.
WRITE_DOWN_S_MAX: Final = 5.0

EXPIRE_EVERY_S: Final = 1.0
ORPHANS_EVERY_S: Final = 2.0
ANNOUNCE_EVERY_S: Final = 1.0
REPLAY_EVERY_S: Final = 0.2
PLAY_EVERY_S: Final = 0.2
HEARTBEAT_EVERY_S: Final = 5.0
MEND_EVERY_S: Final = 60.0
TEND_EVERY_S: Final = 60.0
LISTENERS_EVERY_S: Final = 30.0
RETIRE_EVERY_S: Final = 600.0
# Between two slices of what is retired. A day falls due at once and may be millions of rows, so a
# turn ends when nothing is left; publishers meanwhile have the store for three quarters of the
# time at least, and for more where a slice has to wait for them.
RETIRE_PAUSE_S_MIN: Final = 0.01
RETIRE_PAUSE_PER_SLICE: Final = 3.0
OVERDUE_EVERY_S: Final = 1.0


class Beside(NamedTuple):
    """Something that makes events on its own: a step, and the pause between two."""

    name: str
    every_s: float
    step: Callable[[], Awaitable[int]]  # returns how much it did


class Worker:
    """Runs lease loop and upkeep until it is drained."""

    def __init__(  # noqa: PLR0913 - every collaborator is named at the call site
        self,
        *,
        lease_store: LeaseStore,
        sweep_store: SweepStore,
        dispatcher: Dispatcher,
        settler: Settler,
        sweep: Sweep,
        advance_replays: Callable[[], Awaitable[int]],
        clock: Clock,
        telemetry: Telemetry,
        owner: int,
        advance_runs: Callable[[], Awaitable[float]] | None = None,
        beside: Sequence[Beside] = (),
    ) -> None:
        """Take the parts; *advance_replays* does one slice of every running replay.

        *advance_runs* does one of every sandbox run and returns how many seconds the next may
        wait; None: this process plays nothing. *beside* are others that make events.
        """
        self._lease_store = lease_store
        self._sweep_store = sweep_store
        self._dispatcher = dispatcher
        self._settler = settler
        self._sweep = sweep
        self._advance_replays = advance_replays
        self._advance_runs = advance_runs
        self._beside = beside
        self._clock = clock
        self._telemetry = telemetry
        self._owner = owner
        self._tasks: list[asyncio.Task[None]] = []
        self._down_until_s = 0.0
        self._per_lane = PER_LANE_PER_LOOK
        self._stopping = False
        self._probation = Probation(clock)
        settler.on_probation_ended = self._probation_ended
        settler.on_outage = self._note_outage

    def start(self) -> None:
        """Begin to lease and to sweep."""
        assert not self._tasks
        self._probation.begin()
        upkeep: list[tuple[str, float, Callable[[], Awaitable[object]]]] = [
            ("heartbeat", HEARTBEAT_EVERY_S, self._heartbeat),
            ("expire", EXPIRE_EVERY_S, self._expire),
            ("orphans", ORPHANS_EVERY_S, lambda: _until_done(self._sweep.cancel_orphans)),
            ("announce", ANNOUNCE_EVERY_S, self._sweep.publish_announcements),
            ("replay", REPLAY_EVERY_S, self._replay),
            ("mend", MEND_EVERY_S, self._sweep.mend_lanes),
            ("tend", TEND_EVERY_S, self._sweep.tend_failing),
            ("listeners", LISTENERS_EVERY_S, self._sweep.forget_silent_listeners),
            ("retire", RETIRE_EVERY_S, lambda: self._retire(self._sweep.retire)),
            ("tallies", RETIRE_EVERY_S, lambda: self._retire(self._sweep.forget_tallies)),
            ("overdue", OVERDUE_EVERY_S, self._give_back_overdue),
        ]
        if self._advance_runs is not None:
            upkeep.append(("play", PLAY_EVERY_S, self._play))
        upkeep += [(one.name, one.every_s, partial(self._tell, one)) for one in self._beside]
        self._tasks = [asyncio.create_task(self._lease_forever(), name="lease")]
        self._tasks += [
            asyncio.create_task(self._every(pause_s, work, name), name=name)
            for name, pause_s, work in upkeep
        ]

    async def drain(self, *, grace_s: float) -> None:
        """Lease nothing more, give back what waits, end what is under way, write it down."""
        self._dispatcher.begin_no_more()
        self._stopping = True
        self._dispatcher.hinted.set()
        self._dispatcher.freed.set()
        if not self._tasks:
            return
        lease, *upkeep = self._tasks
        for task in upkeep:
            task.cancel()
        # A look under way ends by itself: broken off, what it leased would wait for its lease
        # to run out instead of being given back now.
        await asyncio.wait([lease], timeout=limits.STATEMENT_TIMEOUT_S)
        lease.cancel()
        await asyncio.wait(self._tasks)
        self._tasks = []
        await self._dispatcher.drain(grace_s)
        try:
            async with asyncio.timeout(WRITE_DOWN_S_MAX):
                await self._settler.drain()
        except TimeoutError:
            self._telemetry.alarmed(
                "outcomes_lost", "the store takes no outcomes: what was sent is sent again"
            )

    # --- leasing ---------------------------------------------------------------------------

    async def _lease_forever(self) -> None:
        while not self._stopping:
            self._dispatcher.hinted.clear()
            self._dispatcher.freed.clear()
            try:
                wait_s = await self._look()
            except UnavailableError as error:
                self._telemetry.alarmed("store_unavailable", str(error))
                self._note_outage(error)
                await asyncio.sleep(STORE_DOWN_RETRY_S)
                continue
            except Exception as error:  # noqa: BLE001 - the top of the loop goes on, and counts
                self._telemetry.bug_caught("lease", error)
                wait_s = STORE_DOWN_RETRY_S
            await self._wait(wait_s)

    async def _look(self) -> float:
        """Lease once; return how long the next look may wait if nothing hints."""
        room = self._dispatcher.room
        if room <= 0:
            return POLL_IDLE_S
        taken_at_s = self._clock.monotonic_s()
        trial = self._probation.trial()
        lease = await self._lease_store.lease(
            owner=self._owner,
            lanes_max=min(LANES_PER_LOOK, room),
            per_lane_max=1 if self._dispatcher.is_crowded else min(self._per_lane, room),
            skip=self._dispatcher.full_lanes(),
            trial=trial,
        )
        self._probation.looked(trial, lease.leased, taken_at_s=taken_at_s)
        for leased in lease.leased:
            self._dispatcher.offer(leased, taken_at_s=taken_at_s)
        self._per_lane = self._per_lane_next(lease.leased, room)
        if lease.leased:
            return 0.0
        # Paused lanes go on being hinted at; a look that found nothing is not repeated at once.
        await asyncio.sleep(EMPTY_LOOK_PAUSE_S)
        soonest_s = POLL_IDLE_S if lease.look_again_s is None else lease.look_again_s
        # Due already and yet not leased: full lanes here, or somebody else holds the lane.
        return min(max(soonest_s, POLL_BUSY_S), POLL_IDLE_S)

    def _probation_ended(self, leased: Leased) -> None:
        if self._probation.written(leased):
            self._dispatcher.hint()

    def _per_lane_next(self, leased: Sequence[Leased], room: int) -> int:
        """Return how much each lane may give next: a fair part of the room."""
        lanes = {each.endpoint_id for each in leased}
        known = [self._dispatcher.lane(endpoint_id) for endpoint_id in lanes]
        if not all(lane is not None and lane.proven for lane in known):
            return PER_LANE_PER_LOOK
        fair = room // max(1, len(lanes))
        return min(max(fair, PER_LANE_PER_LOOK), PER_LANE_PER_LOOK_ALONE)

    async def _wait(self, wait_s: float) -> None:
        if wait_s <= 0:
            await asyncio.sleep(0)
            return
        hinted = self._dispatcher.hinted
        if self._dispatcher.room <= 0:
            hinted = self._dispatcher.freed
        try:
            async with asyncio.timeout(wait_s):
                await hinted.wait()
        except TimeoutError:
            pass

    # --- upkeep ----------------------------------------------------------------------------

    async def _every(
        self, pause_s: float, work: Callable[[], Awaitable[object]], name: str
    ) -> None:
        while True:
            try:
                await work()
            except UnavailableError as error:
                self._telemetry.alarmed("store_unavailable", str(error))
            except Exception as error:  # noqa: BLE001 - the top of the loop goes on, and counts
                self._telemetry.bug_caught(name, error)
            await asyncio.sleep(pause_s)

    async def _heartbeat(self) -> None:
        await self._noticing_outages(
            self._sweep_store.heartbeat(owner=self._owner, version=__version__)
        )

    async def _expire(self) -> None:
        if self._clock.monotonic_s() < self._down_until_s:
            return
        if await self._noticing_outages(_until_done(self._sweep.expire)):
            self._dispatcher.hint()

    async def _replay(self) -> None:
        if await self._advance_replays():
            self._dispatcher.hint()

    async def _play(self) -> None:
        assert self._advance_runs is not None
        # Events of a life that is played fast are due sooner than the next turn.
        while (wait_s := await self._advance_runs()) < PLAY_EVERY_S:
            await asyncio.sleep(wait_s)
            self._dispatcher.hint()

    async def _tell(self, beside: Beside) -> None:
        if await beside.step():
            self._dispatcher.hint()

    async def _retire(self, slice_: Callable[[], Awaitable[int]]) -> None:
        """Do slices until one finds nothing; a drain ends it between two."""
        while True:
            began_s = self._clock.monotonic_s()
            if not await slice_():
                return
            took_s = self._clock.monotonic_s() - began_s
            await asyncio.sleep(max(RETIRE_PAUSE_S_MIN, RETIRE_PAUSE_PER_SLICE * took_s))

    async def _give_back_overdue(self) -> None:
        self._dispatcher.give_back_overdue()

    async def _noticing_outages(self, asked: Awaitable[Result]) -> Result:
        """Return what a store answers that refuses this only while it is away itself.

        What other upkeep fails at may be one replay's matter, or one merchant's: it must not keep
        leases from being taken back.
        """
        try:
            return await asked
        except UnavailableError as error:
            self._note_outage(error)
            raise

    def _note_outage(self, error: UnavailableError) -> None:
        if is_outage(error) and not isinstance(error, OverloadedError):
            self._down_until_s = self._clock.monotonic_s() + EXPIRE_AFTER_OUTAGE_S


# A turn that comes every second or two does at most this many slices: the next one is near.
_SLICES_PER_TURN: Final = 20


async def _until_done(slice_: Callable[[], Awaitable[int]]) -> int:
    done = 0
    for _ in range(_SLICES_PER_TURN):
        did = await slice_()
        done += did
        if not did:
            break
    return done
