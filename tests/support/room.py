"""A dispatcher whose attempts end when the test says so, by lanes that answer or hang."""

import asyncio
from collections.abc import Callable
from random import Random

from payhooks.ids import DeliveryId, EndpointId, MerchantId, TimeOrderedIds, delivery_id
from payhooks.model.event import Event
from payhooks.ports.leasing import Leased
from payhooks.ports.transport import UnderWay
from payhooks.testing import ManualClock, QuietTelemetry
from payhooks.worker.dispatcher import Dispatcher, Done
from payhooks.worker.lanes import Held

HANGS, ANSWERS = b"hangs", b"answers"
TIMEOUT_S = 15.0


class Breakable:
    """Notes that it was cancelled."""

    def __init__(self, broken_off: list[Leased], leased: Leased) -> None:
        self._broken_off = broken_off
        self._leased = leased

    def cancel(self) -> None:
        self._broken_off.append(self._leased)


class Room:
    """A dispatcher whose attempts end when the test says so."""

    def __init__(self, *, slots: int = 8) -> None:
        self.clock = ManualClock()
        self.ids = TimeOrderedIds(self.clock, Random(1))
        self.under_way: list[Leased] = []
        self.written: list[Leased] = []
        self.given_back: list[Leased] = []
        self.broken_off: list[Leased] = []
        self.interrupted: list[tuple[Leased, float]] = []  # and how long they had left
        self.loads = False  # whether an attempt needs something first, so that nothing begins
        self.rests = False  # whether an attempt that ends begins a rest of its lane
        self.ends: dict[DeliveryId, Callable[[], None]] = {}
        self.dispatcher = Dispatcher(
            attempt=self._attempt,
            give_back=self._give_back,
            interrupt=lambda leased, left_s: self.interrupted.append((leased, left_s)),
            unsettled=lambda: 0,
            clock=self.clock,
            telemetry=QuietTelemetry(),
            slots=slots,
        )

    def offer(self, lane: bytes, *, merchant: bytes = b"m", count: int = 1) -> None:
        for _ in range(count):
            self.dispatcher.offer(self.leased(lane, merchant), taken_at_s=self.clock.monotonic_s())

    def leased(self, lane: bytes, merchant: bytes = b"m") -> Leased:
        event = Event(
            id=self.ids.new_event(),
            merchant_id=MerchantId(merchant),
            type="a",
            family="f",
            data=b"{}",
        )
        return Leased(
            id=delivery_id(event.id, 1),
            endpoint_id=EndpointId(lane),
            merchant_id=MerchantId(merchant),
            event=event,
            fence=1,
            attempts_made=0,
            lease_s=30,
            order_key=None,
            dialect="standard",
            dialect_version=1,
            replay_id=None,
            replay_bulk=None,
            rendered=None,
            routing_version=1,
            lane_failing=False,
            lane_probe=False,
        )

    async def turn(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def end(self, choose: Callable[[Leased], bool] = lambda _leased: True) -> None:
        for leased in [each for each in self.under_way if choose(each)]:
            self.ends[leased.id]()
        await self.turn()

    def lanes_under_way(self) -> list[bytes]:
        return [leased.endpoint_id for leased in self.under_way]

    async def close(self) -> None:
        await self.dispatcher.drain(grace_s=0)

    def _attempt(self, held: Held, done: Done) -> UnderWay:
        leased, lane = held.leased, held.lane
        self.under_way.append(leased)
        if not self.loads:
            held.over_s = self.clock.monotonic_s() + TIMEOUT_S

        async def write() -> None:
            self.written.append(leased)

        def end() -> None:
            self.under_way.remove(leased)
            lane.proven = not leased.endpoint_id.startswith(HANGS)
            lane.suspect = not lane.proven
            lane.rested = self.rests
            done(write)

        self.ends[leased.id] = end
        return Breakable(self.broken_off, leased)

    def _give_back(self, leased: Leased) -> None:
        self.given_back.append(leased)
