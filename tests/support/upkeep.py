"""Upkeep over a world: the sweep, the worker that runs it, and what they asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from tests.support.flow import Flow
from tests.support.world import World

from payhooks.errors import UnavailableError
from payhooks.flow.sweep import Sweep
from payhooks.ids import EndpointId, MerchantId
from payhooks.model.delivery import State
from payhooks.model.endpoint import (
    DisabledReason,
)
from payhooks.ports.leasing import Lease
from payhooks.ports.store import Store
from payhooks.worker.loop import Worker


class Upkeep:
    """A flow with its sweep, and what the sweep asked of the control plane."""

    def __init__(self, world: World, *, store: Store | None = None) -> None:
        self.world = world
        self.flow = Flow(world, store=store)
        self.disabled: list[tuple[EndpointId, DisabledReason]] = []
        self.forgotten: list[EndpointId] = []
        self.sweep = Sweep(
            store=world.store,
            acceptor=self.flow.acceptor,
            clock=world.clock,
            telemetry=self.flow.telemetry,
            tallier=self.flow.tallier,
            disable=self._disable,
            forget_listener=self._forget,
            dialect_policy=lambda _dialect: "standard",
            retention=timedelta(days=30),
        )

    async def _disable(
        self, _merchant_id: MerchantId, endpoint_id: EndpointId, reason: DisabledReason
    ) -> None:
        self.disabled.append((endpoint_id, reason))

    async def _forget(self, _merchant_id: MerchantId, endpoint_id: EndpointId) -> None:
        self.forgotten.append(endpoint_id)


class Machine:
    """A worker over a store that a test may take away."""

    def __init__(self, world: World) -> None:
        self.failing: frozenset[str] = frozenset()  # what the store is asked for in vain
        self.error: UnavailableError = UnavailableError("down")
        self.replay_fails = False
        self.out_after_looks: list[int] = []  # deliveries, after looks that brought a trial
        store = world.store

        class Flaky:
            def __getattr__(_, name: str) -> object:  # noqa: N805 - ``self`` is the machine here
                if name in self.failing:
                    return self._fail
                return self._lease if name == "lease" else getattr(store, name)

        async def no_replays() -> int:
            if self.replay_fails:
                await self._fail()
            return 0

        flaky: Any = Flaky()
        self.upkeep = Upkeep(world, store=flaky)
        flow = self.upkeep.flow
        self.worker = Worker(
            lease_store=flaky,
            sweep_store=flaky,
            dispatcher=flow.dispatcher,
            settler=flow.settler,
            sweep=self.upkeep.sweep,
            advance_replays=no_replays,
            clock=world.clock,
            telemetry=flow.telemetry,
            owner=7,
        )

    async def _lease(self, **named: Any) -> Lease:  # noqa: ANN401 - whatever the port asks
        store = self.upkeep.world.store
        lease = await store.lease(**named)
        if any(one.probation for one in lease.leased):
            states = dict((await store.pending()).states)
            self.out_after_looks.append(states[State.LEASED])
        return lease

    async def _fail(self, *_: object, **__: object) -> None:
        raise self.error


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await done():  # noqa: ASYNC110 - the store has no event to wait for
            await asyncio.sleep(0.005)
