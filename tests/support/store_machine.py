"""What publishers and people do with two stores at once, as Hypothesis makes it up.

``Actors`` keeps what they know; who works, sweeps and reads is in the test that uses it.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)
from tests.support.paired_stores import Pair
from tests.support.stores import OpenedStore, open_store
from tests.support.world import OWNER, World

from payhooks.errors import PayhooksError
from payhooks.flow.fan_out import handed_off
from payhooks.ids import DeliveryId
from payhooks.model.endpoint import DisabledReason, Endpoint, EndpointStatus, OnFailed, Ordering
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
from payhooks.model.replay import Replay, ReplayState
from payhooks.ports.accepting import Accepted, Arrival, PlannedDelivery
from payhooks.ports.controlling import Change, Requeue, Window
from payhooks.ports.leasing import Leased
from payhooks.ports.settling import Settlement
from payhooks.storage.memory import MemoryStore

Result = TypeVar("Result")
ALL: Final = Window(limit=1_000)
KEYS: Final = (None, None, None, None, None, b"k" * 16, b"l" * 16, b"m" * 16)
ORDER_KEYS: Final = (None, None, b"o" * 16, b"p" * 16)
TYPES: Final = ("payment.paid", "payment.failed", "payout.paid")
ENDPOINTS_MAX: Final = 6
JOBS_MAX: Final = 3
DEEDS: Final = ("add", "edit", "edit", "rotate", "expunge", "job", "job", "job")
HELD_MAX: Final = 12  # leases that somebody may still tell of

indices = st.integers(min_value=0, max_value=11)
few = st.lists(indices, min_size=1, max_size=4, unique=True)


class Actors(RuleBasedStateMachine):
    """What is known so far, and the rules of those who are not workers."""

    kind: ClassVar[str]
    moment_s: ClassVar[float]
    database: ClassVar[str | None] = None
    folders: ClassVar[Path]
    numbers: ClassVar[Iterator[int]] = count()

    merchants: list[Merchant]
    endpoints: list[Endpoint]
    events: list[Event]
    wishes: dict[DeliveryId, Requeue]  # how each delivery was made, to make it again
    held: list[Leased]
    settled: list[Settlement]  # the last batch
    arrivals: list[Arrival]  # the last batch
    jobs: list[Replay]

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.merchants = []
        self.endpoints = []
        self.events = []
        self.wishes = {}
        self.held = []
        self.settled = []
        self.arrivals = []
        self.jobs = []
        self.folder = self.folders / str(next(self.numbers))
        self.folder.mkdir()
        self.opened = self.run(
            self.stack.enter_async_context(open_store(self.kind, self.folder, self.database))
        )
        self.model = MemoryStore(clock=self.opened.clock)
        self.pair = Pair(self.model, self.opened.store, moment_s=self.moment_s)
        self.world = World(OpenedStore(self.pair.as_store(), self.opened.clock))

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)

    def teardown(self) -> None:
        try:
            self.run(self.compare_all())
        finally:
            self.run(self.stack.aclose())
            self._runner.close()

    async def compare_all(self) -> None:
        """Read everything that can be read, once more at the end."""
        raise NotImplementedError

    # --- people -----------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.run(self._begin())

    async def _begin(self) -> None:
        self.merchants = [await self.world.merchant() for _ in range(2)]
        for merchant in (self.merchants[0], *self.merchants):
            made = self.world.endpoint(merchant, ordering=Ordering.OBJECT, on_failed=OnFailed.BLOCK)
            self.endpoints.append(await made)

    @rule(data=st.data(), at=indices)
    def administer(self, data: st.DataObject, at: int) -> None:
        """Do one of the things that people do seldom, beside a flood of everything else."""
        match data.draw(st.sampled_from(["add", "edit", "edit", "rotate", "job", "job"])):
            case "add" if len(self.endpoints) < ENDPOINTS_MAX:
                self._add_endpoint(at, data)
            case "edit":
                status = data.draw(st.sampled_from(EndpointStatus))
                on_failed = data.draw(st.sampled_from(OnFailed))
                stale = data.draw(st.sampled_from([0, 0, 1]))
                self._edit(nth(self.endpoints, at), status, on_failed, stale)
            case "rotate":
                self.run(self._rotate(nth(self.endpoints, at)))
            case "expunge" if self.events:
                self._expunge(nth(self.events, at), data.draw(indices))
            case "job" if self.wishes:
                self._job(data, at)
            case _:
                pass

    def _add_endpoint(self, at: int, data: st.DataObject) -> None:
        made = self.world.endpoint(
            nth(self.merchants, at),
            rate_limit_per_s=data.draw(st.sampled_from([None, 0.1, 30.0])),
            listening=data.draw(st.sampled_from([False, False, True])),
        )
        self.endpoints.append(self.run(made))

    def _edit(
        self, endpoint: Endpoint, status: EndpointStatus, on_failed: OnFailed, stale: int
    ) -> None:
        if endpoint.status is EndpointStatus.DELETED:
            return
        old = msgspec.structs.replace(endpoint, version=endpoint.version - stale)
        try:
            edited = self.run(
                self.world.edit(
                    old,
                    status=status,
                    on_failed=on_failed,
                    disabled_reason=(
                        DisabledReason.OPERATOR if status is EndpointStatus.DISABLED else None
                    ),
                )
            )
        except PayhooksError:
            assert stale
        else:
            self.endpoints[self.endpoints.index(endpoint)] = edited

    async def _rotate(self, endpoint: Endpoint) -> None:
        store, merchant_id = self.world.store, endpoint.merchant_id
        [merchant] = [one for one in self.merchants if one.id == merchant_id]
        old = await store.secrets(merchant_id, endpoint.id)
        change = Change(
            audit=self.world.audit(merchant_id),
            secrets=(self.world.secret(merchant, endpoint.id),),
            forget_secrets=tuple(one.id for one in old[1:]),
        )
        await store.apply(change)
        await store.routing([merchant_id])

    @precondition(lambda self: self.wishes)
    @rule(at=indices)
    def cancel(self, at: int) -> None:
        id_ = nth(list(self.wishes), at)
        wish = self.wishes[id_]
        audit = self.world.audit(wish.merchant_id)
        self.run(self.world.store.cancel(wish.merchant_id, id_, audit))

    @precondition(lambda self: self.wishes)
    @rule(which=few, ordered=st.sampled_from(ORDER_KEYS), lost=st.booleans())
    def send_again(self, which: list[int], ordered: bytes | None, lost: bool) -> None:  # noqa: FBT001 - drawn by name
        wishes = [self._wish(at, ordered) for at in which]
        distinct = {wish.delivery_id: wish for wish in wishes}
        if lost:
            audit = self.world.audit(wishes[0].merchant_id)
            self.run(self.world.store.repair(list(distinct.values()), audit=audit))
        else:
            self.run(self.world.requeue(*distinct.values()))

    def _wish(self, at: int, ordered: bytes | None) -> Requeue:
        """Return what has ended, what was missed, or anything, as its endpoint stands now."""
        known = list(self.wishes.values())
        tables = self.model._tables  # noqa: SLF001 - the model has no secrets here
        ended = [one for one in known if one.delivery_id not in tables.queue.rows]
        if at % 3 == 1 and self.events:
            event, endpoint = nth(self.events, at), nth(self.endpoints, at // 3)
            if endpoint.merchant_id == event.merchant_id:
                missed = self.world.again(event, endpoint, ordered)
                return self.wishes.setdefault(missed.delivery_id, missed)
        return nth(ended if ended and at % 3 == 2 else known, at)

    def _expunge(self, event: Event, merchant: int) -> None:
        owner = event.merchant_id if merchant % 4 else self.merchants[0].id
        self.run(self.world.store.expunge(owner, event.id, self.world.audit(owner)))

    def _job(self, data: st.DataObject, at: int) -> None:
        if len(self.jobs) < JOBS_MAX and data.draw(st.booleans()):
            owner = nth(self.merchants, at)
            job = self.world.job(owner)
            self.run(self.world.store.apply(Change(audit=self.world.audit(owner.id), replay=job)))
            self.jobs.append(job)
        elif self.jobs and at % 4:
            done = data.draw(st.sampled_from([False, False, True]))
            self.run(self._advance_job(nth(self.jobs, at), data.draw(few), done=done))
        elif self.jobs:
            self.run(self._cancel_job(nth(self.jobs, at)))

    async def _advance_job(self, job: Replay, which: list[int], *, done: bool) -> None:
        store = self.world.store
        await store.claim_replays(owner=OWNER, limit=10, for_s=10.0)
        mine = [one for one in self.wishes.values() if one.merchant_id == job.merchant_id]
        items = {one.delivery_id: one for one in (nth(mine, at) for at in which if mine)}
        advanced = msgspec.structs.replace(
            job,
            queued=job.queued + len(items),
            state=ReplayState.DONE if done else ReplayState.RUNNING,
            finished_at=self.world.now() if done else None,
        )
        if await store.advance_replay(advanced, after=job, items=list(items.values()), bulk=True):
            self.jobs[self.jobs.index(job)] = advanced
        await store.replay_backlog(job.id)

    async def _cancel_job(self, job: Replay) -> None:
        over = msgspec.structs.replace(
            job, state=ReplayState.CANCELLED, finished_at=self.world.now()
        )
        audit = self.world.audit(job.merchant_id)
        try:
            await self.world.store.apply(Change(audit=audit, replay=over))
        except PayhooksError:
            assert job.state is not ReplayState.RUNNING
        else:
            self.jobs[self.jobs.index(job)] = over
        # All at once: which are taken back first is left open.
        await self.world.store.cancel_replay_backlog(job.merchant_id, job.id, limit=500)

    # --- publishers -------------------------------------------------------------------------

    @rule(data=st.data(), size=st.integers(min_value=1, max_value=4))
    def publish_for_later(self, data: st.DataObject, size: int) -> None:
        self._publish(data, size, hand_off=False)

    @rule(data=st.data(), size=st.integers(min_value=1, max_value=4))
    def publish_for_now(self, data: st.DataObject, size: int) -> None:
        self.run(self._settle_lanes())
        self._publish(data, size, hand_off=True)

    def _publish(self, data: st.DataObject, size: int, *, hand_off: bool) -> None:
        self.arrivals = []
        keys: set[bytes] = set()
        for _ in range(size):
            arrival = self._arrival(data, hand_off=hand_off)
            if arrival.idempotency not in keys:
                self.arrivals.append(arrival)
            keys |= {arrival.idempotency} if arrival.idempotency else set()
        self._accept()

    def _arrival(self, data: st.DataObject, *, hand_off: bool) -> Arrival:
        merchant = self.merchants[data.draw(st.sampled_from([0, 0, 0, 1]))]
        mine = [one for one in self.endpoints if one.merchant_id == merchant.id]
        taking = [one for one in mine if one.status in _TAKING]
        wanted = data.draw(st.lists(indices, max_size=3))
        endpoints = {one.id: one for one in (nth(taking, at) for at in wanted if taking)}
        event = self.world.event(
            merchant,
            type=data.draw(st.sampled_from(TYPES)),
            object_type="payment",
            object_id=data.draw(st.sampled_from(["1", "2"])),
        )
        arrival = self.run(
            self.world.arrival(
                event,
                *endpoints.values(),
                key=data.draw(st.sampled_from(KEYS)),
                content=bytes([data.draw(st.integers(0, 1))]) * 16,
                hand_off=hand_off,
                order_key=data.draw(st.sampled_from(ORDER_KEYS)),
            )
        )
        late = data.draw(st.sampled_from([0] * 9 + [1]))
        return msgspec.structs.replace(arrival, routing_version=arrival.routing_version - late)

    @precondition(lambda self: self.arrivals)
    @rule()
    def publish_again(self) -> None:
        """Offer the same once more, as after a lost answer."""
        self._accept()

    def _accept(self) -> None:
        # Another number than that of a process's looks: what those lease is not accept's to tell.
        accepted = self.run(self.world.accept(*self.arrivals, owner=-1 - OWNER))
        for arrival, acceptance in zip(self.arrivals, accepted, strict=True):
            if not isinstance(acceptance, Accepted):
                continue
            if arrival.event not in self.events:
                self.events.append(arrival.event)
            for planned in arrival.deliveries:
                self.wishes.setdefault(planned.id, _wish(arrival, planned))
                if planned.id in acceptance.leased:
                    self.hold(handed_off(planned, arrival))

    def hold(self, *leased: Leased) -> None:
        """Remember the newest leases, late ones among them."""
        self.held = [*self.held, *leased][-HELD_MAX:]

    async def _settle_lanes(self) -> None:
        """Look at all lanes without leasing anything.

        One may be due too early, and then takes no hand-off; and who asks for one alone leaves
        the wakes of the others.
        """
        if self.moment_s:
            await self.world.look(per_lane_max=0)


_TAKING: Final = frozenset({EndpointStatus.ACTIVE, EndpointStatus.PAUSED})
Thing = TypeVar("Thing")


def nth(things: list[Thing], at: int) -> Thing:
    return things[at % len(things)]


def _wish(arrival: Arrival, planned: PlannedDelivery) -> Requeue:
    return Requeue(
        delivery_id=planned.id,
        merchant_id=arrival.event.merchant_id,
        endpoint_id=planned.endpoint_id,
        event_type=arrival.event.type,
        order_key=planned.order_key,
        dialect=planned.dialect,
        dialect_version=planned.dialect_version,
    )
