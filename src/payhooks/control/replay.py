"""Replays: many deliveries sent again, oldest first, paced, resumable, on record.

A job walks the merchant's events by id, one slice after the other (replay_slice.py). How far it is
in each lane is written with what it puts on its way, so whoever takes it over goes on exactly
there. It never puts more into a lane than the lane sends in a moment (replay_room.py): live traffic
goes first, and cancelling it stays cheap. A lane that is full waits; the others go on.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from payhooks import ids, limits
from payhooks.control.context import Caller, Control, audit_entry
from payhooks.control.faults import Faults
from payhooks.control.replay_room import Pace
from payhooks.control.replay_scope import Scope
from payhooks.control.replay_slice import Slice
from payhooks.control.replay_walk import bounds
from payhooks.errors import DamagedError, NotFoundError, UnavailableError, WrongStateError
from payhooks.ids import ReplayId
from payhooks.model.endpoint import EndpointStatus
from payhooks.model.merchant import Merchant
from payhooks.model.replay import Include, Replay, ReplayFilter, ReplayState
from payhooks.policy.match import is_valid_pattern
from payhooks.ports.controlling import Change, LaneBacklog

RATE_PER_S_MIN: Final = 0.1
RATE_PER_S_MAX: Final = 1_000.0
# Counting is for a person who waits; what lies beyond is sent all the same.
COUNTED_EVENTS_MAX: Final = 50_000
COUNTED_DELIVERIES_MAX: Final = 1_000_000  # three seconds
JOBS_HELD_MAX: Final = 10  # per process; the others wait, or other processes take them
# A process that dies holds a job up for so long; a slice of its own ends well inside the margin.
HELD_S: Final = 60.0
HELD_MARGIN_S: Final = 3.0
# A job that only waits for its lanes makes room for others that wait to be held. Longer than a
# receiver takes as a rule, so that one which is merely slow goes on.
WAITED_S_MAX: Final = 3.0
_PATTERNS_MAX: Final = 20
_MAY_HAVE_REASONS: Final = frozenset({Include.FAILED, Include.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayDraft:
    """What a caller wants to be sent again."""

    filter: ReplayFilter
    include: tuple[Include, ...]
    rate_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many deliveries a replay would send."""

    matched: int
    complete: bool  # False: counting stopped at COUNTED_…_MAX, there may be more


async def count(control: Control, merchant: Merchant, draft: ReplayDraft) -> Counted:
    """Return what the replay would send, sending nothing.

    Raises:
        InvalidError, NotFoundError: The draft is wrong, or its endpoint is not the merchant's.

    """
    await _check(control, merchant, draft)
    scope = await Scope.load(control, merchant.id, draft.filter, draft.include)
    after, before = bounds(draft.filter, control.clock.now())
    matched = looked = deliveries = 0
    while looked < COUNTED_EVENTS_MAX and deliveries < COUNTED_DELIVERIES_MAX:
        page = await control.store.event_facts(
            merchant.id,
            after=after,
            before=before,
            limit=limits.SLICE_ROWS_MAX,
            deliveries_max=limits.FACTS_DELIVERIES_MAX,
        )
        for event in page.events:
            matched += len(await scope.items(event))
        if page.ended:
            return Counted(matched=matched, complete=True)
        looked += len(page.events)
        deliveries += sum(len(event.deliveries) for event in page.events)
        after = page.events[-1].id
    return Counted(matched=matched, complete=False)


async def create(
    control: Control, caller: Caller, merchant: Merchant, draft: ReplayDraft
) -> Replay:
    """Return a new job, which workers advance from now on.

    Raises:
        InvalidError, NotFoundError: As for ``count``.

    """
    counted = await count(control, merchant, draft)
    now = control.clock.now()
    # Events that come later are live traffic: whoever is subscribed gets them anyway.
    until = min(draft.filter.created_lt or now, now)
    replay = Replay(
        id=ReplayId(control.ids.new()),
        merchant_id=merchant.id,
        filter=msgspec.structs.replace(draft.filter, created_lt=until),
        include=draft.include,
        rate_per_s=draft.rate_per_s,
        state=ReplayState.RUNNING,
        matched=counted.matched,
        queued=0,
        cursor=None,
        created_at=now,
        finished_at=None,
    )
    entry = audit_entry(
        control,
        caller,
        merchant_id=merchant.id,
        action="replay.created",
        target=ids.to_text(ids.REPLAY, replay.id),
        changes={"include": [None, draft.include], "matched": [None, counted.matched]},
    )
    await control.store.apply(Change(audit=entry, replay=replay))
    return replay


async def find(control: Control, merchant: Merchant, text: str) -> Replay:
    """Return the merchant's replay with this printed id.

    Raises:
        NotFoundError: There is none, or it is another merchant's.

    """
    replay_id = ids.from_text(ids.REPLAY, text)
    if replay_id is not None:
        found = await control.store.replay(merchant.id, ReplayId(replay_id))
        if found is not None:
            return found
    raise NotFoundError("There is no such replay.")


async def cancel(control: Control, caller: Caller, replay: Replay) -> Replay:
    """Return the job, stopped; what it had put on its way and still waits is taken back.

    May be repeated; where it ends half-way, a worker takes back what is left.

    Raises:
        WrongStateError: It has sent all it was to send.

    """
    if replay.state is ReplayState.DONE:
        raise WrongStateError(f"This replay is {replay.state} already.")
    if replay.state is ReplayState.RUNNING:
        replay = await _stopped(control, caller, replay)
    while await _take_back(control, replay):
        pass
    # A slice may have been put on its way between reading the job and stopping it.
    return await control.store.replay(replay.merchant_id, replay.id) or replay


async def _take_back(control: Control, replay: Replay) -> int:
    return await control.store.cancel_replay_backlog(
        replay.merchant_id, replay.id, limit=limits.SLICE_ROWS_MAX
    )


async def _stopped(control: Control, caller: Caller, replay: Replay) -> Replay:
    cancelled = msgspec.structs.replace(
        replay, state=ReplayState.CANCELLED, finished_at=control.clock.now()
    )
    entry = audit_entry(
        control,
        caller,
        merchant_id=replay.merchant_id,
        action="replay.cancelled",
        target=ids.to_text(ids.REPLAY, replay.id),
        changes={"state": [replay.state, cancelled.state]},
    )
    await control.store.apply(Change(audit=entry, replay=cancelled))
    return cancelled


@dataclass(slots=True, kw_only=True)
class _Held:
    """A job that this process advances."""

    job: Replay
    until_s: float  # by our clock; the store lets others have it a little later
    credit: float  # deliveries that its rate allows by now
    reckoned_s: float
    pace: Pace
    waits_since_s: float | None = None  # it had nothing that a lane would take
    # What there was to know then: while it is the same, it has nothing that one would take now.
    waits_for: tuple[Scope, list[LaneBacklog]] | None = None
    scope: Scope | None = None  # as it was last


class Replayer:
    """Advances the jobs that this process holds. A worker calls ``step`` about once a second."""

    def __init__(self, control: Control, *, owner: int) -> None:
        self._control = control
        self._owner = owner
        self._held: dict[ReplayId, _Held] = {}

    async def step(self) -> int:
        """Put one slice of each job on its way, as its rate allows; return how many rows.

        Raises:
            UnavailableError: The store did not answer for one of them; the others had their turn.

        """
        await self._claim()
        queued = 0
        unavailable: UnavailableError | None = None
        for held in list(self._held.values()):
            now_s = self._control.clock.monotonic_s()
            if now_s >= held.until_s:
                # Somebody else may have it by now; whoever has, goes on at its cursor.
                del self._held[held.job.id]
                continue
            rate_per_s = held.job.rate_per_s
            earned = (now_s - held.reckoned_s) * rate_per_s
            # A second's worth at most: who slept does not make up for it in a burst.
            held.credit = min(held.credit + earned, max(rate_per_s, 1.0))
            held.reckoned_s = now_s
            if held.credit >= 1:
                try:
                    queued += await self._advance(held)
                except DamagedError:
                    # The log has said so. Other jobs go on; this one is taken up again when
                    # its hold has run out.
                    del self._held[held.job.id]
                except UnavailableError as error:
                    # This one may be too much for the store, or in another's way: it stays.
                    unavailable = unavailable or error
        if unavailable is not None:
            raise unavailable
        return queued

    async def _claim(self) -> None:
        asked_at_s = self._control.clock.monotonic_s()
        waiting = self._waiting(asked_at_s)
        room = JOBS_HELD_MAX - len(self._held) + len(waiting)
        if room <= 0:
            return
        for job in await self._control.store.claim_replays(
            owner=self._owner, limit=room, for_s=HELD_S
        ):
            self._held[job.id] = _Held(
                job=job,
                until_s=asked_at_s + HELD_S - HELD_MARGIN_S,
                credit=1.0,
                reckoned_s=asked_at_s,
                pace=Pace(job.rate_per_s),
            )
        # The store lets others have them a little later; nobody misses them meanwhile.
        for held in waiting[: max(len(self._held) - JOBS_HELD_MAX, 0)]:
            del self._held[held.job.id]

    def _waiting(self, now_s: float) -> list[_Held]:
        """Return the jobs that have only waited for a while, those first that did for longest."""
        since = [
            (held.waits_since_s, held.job.id, held)
            for held in self._held.values()
            if held.waits_since_s is not None and now_s - held.waits_since_s >= WAITED_S_MAX
        ]
        return [held for _, _, held in sorted(since)]

    async def _advance(self, held: _Held) -> int:
        job = held.job
        if job.state is ReplayState.CANCELLED:
            if not await _take_back(self._control, job):
                del self._held[job.id]
            return 0
        advanced = await self._send_slice(held)
        if advanced is None:
            # Cancelled; or the answer to a slice of ours was lost, and the store is further on.
            advanced = await self._control.store.replay(job.merchant_id, job.id)
        if advanced is None or advanced.state is not ReplayState.RUNNING:
            del self._held[job.id]
        if advanced is None:
            return 0
        queued = advanced.queued - job.queued
        if advanced != job:
            held.waits_since_s = None
        elif held.waits_since_s is None:
            held.waits_since_s = self._control.clock.monotonic_s()
        held.job = advanced
        held.credit -= queued
        return queued

    async def _send_slice(self, held: _Held) -> Replay | None:
        """Return the job after one slice: no more than it has earned, and no lane overfilled.

        None where it was cancelled, or stands elsewhere by now: nothing was put on its way.
        """
        store, replay = self._control.store, held.job
        held.scope = scope = await self._scope(held)
        backlog = await store.replay_backlog(replay.id)
        if held.waits_for == (scope, backlog):
            return replay
        room = held.pace.room(backlog, scope.rate_limits)
        budget = int(held.credit)
        advanced, items = await Slice(self._control, replay, scope, room, budget=budget).walk()
        if advanced == replay:
            # It waits for lanes, perhaps for days: that is not written each time.
            held.waits_for = (scope, backlog)
            return replay
        held.waits_for = None
        went = await store.advance_replay(advanced, after=replay, items=items, bulk=True)
        if not went:
            return None
        held.pace.note(backlog, items)
        return advanced

    async def _scope(self, held: _Held) -> Scope:
        """Return what the job is about now. A merchant may have thousands of endpoints."""
        merchant_id = held.job.merchant_id
        version = await self._control.store.routing_version(merchant_id)
        if held.scope is not None and held.scope.version == version:
            return held.scope
        return await Scope.load(self._control, merchant_id, held.job.filter, held.job.include)


async def _check(control: Control, merchant: Merchant, draft: ReplayDraft) -> None:
    faults = Faults()
    chosen = draft.filter
    if not draft.include:
        faults.add("/include", "too_few", "Say what to send again.")
    if not RATE_PER_S_MIN <= draft.rate_per_s <= RATE_PER_S_MAX:
        detail = f"This is between {RATE_PER_S_MIN} and {RATE_PER_S_MAX}."
        faults.add("/rate_per_s", "out_of_range", detail)
    if len(chosen.event_types) > _PATTERNS_MAX:
        detail = f"At most {_PATTERNS_MAX} patterns are allowed."
        faults.add("/filter/event_types", "too_many", detail)
    for place, pattern in enumerate(chosen.event_types[:_PATTERNS_MAX]):
        if not is_valid_pattern(pattern):
            detail = "Use a type, a.b.*, prefix* or *."
            faults.add(f"/filter/event_types/{place}", "invalid_pattern", detail)
    if chosen.reason is not None and not _MAY_HAVE_REASONS.issuperset(draft.include):
        detail = "What was delivered or missed has no reason: send what failed or was cancelled."
        faults.add("/filter/reason", "not_allowed", detail)
    gte, lt = chosen.created_gte, chosen.created_lt
    if gte is not None and lt is not None and gte >= lt:
        faults.add("/filter/created_lt", "out_of_range", "The span ends before it begins.")
    faults.check()
    if chosen.endpoint_id is not None:
        endpoint = await control.store.endpoint(merchant.id, chosen.endpoint_id)
        if endpoint is None or endpoint.status is EndpointStatus.DELETED:
            raise NotFoundError("There is no such endpoint.")
