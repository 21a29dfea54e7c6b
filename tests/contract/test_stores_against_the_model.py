"""SQLite and PostgreSQL against the memory store as model: the same workload, the same answers.

A machine of Hypothesis makes up what publishers, workers, sweepers and people do, in any order,
with right and wrong fences, versions and times. Every answer of every method is compared, and
after each step all that can be seen. A failure shrinks to the few steps that matter.
"""

from itertools import count
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.support.store_machine import ALL, TYPES, Actors, few, indices, nth
from tests.support.world import OWNER

from payhooks.ids import EventId
from payhooks.model.attempt import Reason
from payhooks.model.delivery import ALONE_AFTER, State
from payhooks.ports.controlling import Window
from payhooks.ports.leasing import LaneNews, Leased, Trial
from payhooks.ports.reading import DeliveryFilter, EventFilter
from payhooks.ports.settling import Settlement
from payhooks.storage.sqlite import SqliteStore

STATUSES: Final = (None, "pending", "delivered", "failed", "cancelled", "unsubscribed")
# No two sums of these meet a delay or the end of a lease: on PostgreSQL time goes on by itself.
STEPS_S: Final = (0.3, 7.3, 66.3, 4_000.3)
LEASE_OVER_S: Final = 31.3
STEPS: Final = 50
DELAYS_S: Final = (0.0, 5.0, 60.0)


class Machine(Actors):
    """Workers, upkeep and readers beside publishers and people."""

    # --- workers ----------------------------------------------------------------------------

    @rule(data=st.data(), trial=st.sampled_from(Trial))
    def lease(self, data: st.DataObject, trial: Trial) -> None:
        self.hold(*self._look(data, trial))

    @rule(data=st.data(), trial=st.sampled_from(Trial))
    def work(self, data: st.DataObject, trial: Trial) -> None:
        """Attempt what a look brings, at once."""
        leased = self._look(data, trial)
        self.hold(*leased)
        self._settle(leased, data)

    def _look(self, data: st.DataObject, trial: Trial) -> list[Leased]:
        if trial is Trial.ALONE and len(self._lanes_with_lonely()) > 1:
            trial = Trial.NONE  # whose turn it is then is the store's to choose
        skipped = [nth(self.endpoints, at).id for at in data.draw(st.lists(indices, max_size=1))]
        look = self.world.look(
            owner=OWNER + data.draw(st.integers(0, 1)),
            per_lane_max=data.draw(st.sampled_from([100, 3, 1])),
            skip=skipped,
            trial=trial,
        )
        return list(self.run(look).leased)

    def _lanes_with_lonely(self) -> set[bytes]:
        rows = self.model._tables.queue.rows.values()  # noqa: SLF001 - the model has no secrets
        return {row.endpoint_id for row in rows if row.abandoned >= ALONE_AFTER}

    @rule(at=indices)
    def listen(self, at: int) -> None:
        endpoint = nth(self.endpoints, at)
        if endpoint.listening:
            self.run(self._settle_lanes())
            self.hold(*self.run(self.world.look(only=endpoint.id, per_lane_max=2)).leased)

    @precondition(lambda self: self.held)
    @rule(which=few, data=st.data())
    def settle(self, which: list[int], data: st.DataObject) -> None:
        self._settle([nth(self.held, at) for at in which], data)

    def _settle(self, leased: list[Leased], data: st.DataObject) -> None:
        told = {one.id: one for one in leased}
        self.settled = [self._settlement(one, data) for one in told.values()]
        self.run(self.world.settle(*self.settled))

    def _settlement(self, leased: Leased, data: st.DataObject) -> Settlement:
        world = self.world
        delay_s = data.draw(st.sampled_from(DELAYS_S))
        match data.draw(st.sampled_from(["succeed", "retry", "give up", "block", "release", "no"])):
            case "succeed":
                return world.succeeded(leased)
            case "retry":
                rendered = data.draw(st.sampled_from([None, b"{}", b"[]"]))
                return world.failed(leased, delay_s=delay_s, rendered=rendered)
            case "give up":
                return world.given_up(leased)
            case "block":
                return world.given_up(leased, block_order=True)
            case "release":
                return world.released(leased, delay_s=delay_s)
            case _:
                other = msgspec.structs.replace(leased, fence=leased.fence + 1)
                return world.succeeded(other)

    @precondition(lambda self: self.settled)
    @rule()
    def settle_again(self) -> None:
        """Write the same down once more, as after a lost answer."""
        self.run(self.world.settle(*self.settled))

    @rule(at=indices, news=st.sampled_from(LaneNews), rest_s=st.sampled_from([0.0, 5.0, 60.0]))
    def report(self, at: int, news: LaneNews, rest_s: float) -> None:
        self.run(self.world.report(nth(self.endpoints, at), news, rest_s=rest_s))

    # --- upkeep -----------------------------------------------------------------------------

    @rule(seconds=st.sampled_from(STEPS_S))
    def wait(self, seconds: float) -> None:
        self.opened.advance(seconds)

    @rule(data=st.data(), trial=st.sampled_from(Trial))
    def die(self, data: st.DataObject, trial: Trial) -> None:
        """Lease, and never tell what came of it."""
        leased = self._look(data, trial)
        self.opened.advance(LEASE_OVER_S)
        self.run(self.world.store.expire(limit=1_000))
        self.hold(*leased)

    @rule()
    def upkeep(self) -> None:
        self.run(self._upkeep())

    async def _upkeep(self) -> None:
        store = self.world.store
        mended = await store.mend_lanes(limit=100, after=None)
        assert mended.drifted == 0, mended
        await store.cancel_orphans(limit=1_000)
        await store.failing_lanes(for_s=100.0, limit=100)
        await store.silent_listeners(for_s=100.0)

    # --- readers ----------------------------------------------------------------------------

    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        self.run(self._read(data))

    async def _read(self, data: st.DataObject) -> None:
        store = self.world.store
        merchant_id = nth(self.merchants, data.draw(indices)).id
        after = data.draw(st.sampled_from([None, *(one.id for one in self.events)]))
        window = Window(limit=data.draw(st.sampled_from([1, 3, 100])), after=after)
        types = data.draw(st.sampled_from([(), (TYPES[0],), ("payment.*",), ("payout.*", "x")]))
        events = EventFilter(
            types=types,
            status=data.draw(st.sampled_from(STATUSES)),
            object_id=data.draw(st.sampled_from([None, "1"])),
        )
        await store.events(merchant_id, events, window)
        deliveries = DeliveryFilter(
            states=tuple(data.draw(st.lists(st.sampled_from(State), max_size=2, unique=True))),
            held=data.draw(st.sampled_from([None, None, True, False])),
            endpoint_id=data.draw(st.sampled_from([None, *(one.id for one in self.endpoints)])),
            event_types=types,
            reason=data.draw(st.sampled_from([None, None, Reason.HTTP_5XX, Reason.ABANDONED])),
        )
        await store.deliveries(merchant_id, deliveries, window)
        await store.count_deliveries(merchant_id, deliveries, at_most=5)

    @rule(at=indices, after=st.integers(min_value=0, max_value=3))
    def pull(self, at: int, after: int) -> None:
        endpoint = nth(self.endpoints, at)
        feed = self.world.store.feed(endpoint.merchant_id, endpoint.id, after=after, limit=100)
        self.run(feed)

    @invariant()
    def everything_reads_alike(self) -> None:
        self.run(self._compare())

    async def _compare(self) -> None:
        store = self.world.store
        await store.pending()
        for merchant in self.merchants:
            await store.events(merchant.id, EventFilter(), ALL)
            await store.deliveries(merchant.id, DeliveryFilter(), ALL)

    async def compare_all(self) -> None:
        """Read everything that can be read, once."""
        store = self.world.store
        await self._upkeep()
        for event in self.events:
            await store.deliveries_of(event.merchant_id, event.id, ALL)
            await store.event(event.merchant_id, event.id)
        for id_, wish in self.wishes.items():
            await store.delivery_with_attempts(wish.merchant_id, id_)
            await store.delivery(wish.merchant_id, id_)
        for merchant in self.merchants:
            await store.subscriptions(merchant.id)
            await store.audit(merchant.id, after=0, limit=1_000)
            await store.replays(merchant.id, ALL)
            last = EventId(b"\xff" * 16)
            await store.event_facts(
                merchant.id, after=None, before=last, limit=1_000, deliveries_max=10
            )
            await store.routing([merchant.id])
            await store.endpoints(merchant.id, ALL)


class SqliteMachine(Machine):
    """With restarts: whoever opens the file takes everything back that was leased."""

    kind = "sqlite"
    moment_s = 0.0

    @rule()
    def restart(self) -> None:
        self.run(self._restart())

    async def _restart(self) -> None:
        await self.pair.real.close()
        path = self.folder / "payhooks.sqlite"
        self.pair.real = await SqliteStore.open(path, clock=self.opened.clock, random=Random(1))
        self.stack.push_async_callback(self.pair.real.close)
        tables, now = self.model._tables, self.model._tables.now()  # noqa: SLF001 - see above
        for row in list(tables.queue.rows.values()):
            if row.state is State.LEASED:
                self.model._expire(row, now)  # noqa: SLF001 - what the file does as it is opened


class PostgresMachine(Machine):
    """With a clock that goes on by itself."""

    kind = "postgres"
    moment_s = 2.0


def _run(
    machine: type[Machine], folder: Path, *, share: float, database: str | None = None
) -> None:
    machine.folders, machine.database = folder, database
    machine.numbers = count()
    assert settings.default is not None
    examples = max(1, int(settings.default.max_examples * share))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_sqlite_answers_as_the_model_does(tmp_path: Path) -> None:
    """What is proved of the model on a million deliveries holds for the store of most users."""
    _run(SqliteMachine, tmp_path, share=0.4)


def test_postgres_answers_as_the_model_does(tmp_path: Path, database: str) -> None:
    """As above, for the store of the largest."""
    _run(PostgresMachine, tmp_path, share=0.2, database=database)
