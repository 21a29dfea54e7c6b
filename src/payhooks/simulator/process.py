"""One process: the parts that bootstrap composes, over a faulty store and a faulty network."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar, cast

from payhooks.connectors import registry
from payhooks.connectors.contract import Answer, Incoming
from payhooks.control import secrets, system
from payhooks.control.context import Control
from payhooks.control.event_types import TypeBook
from payhooks.control.keyring import KEY_BYTES, Keyring
from payhooks.dialects.registry import DIALECTS
from payhooks.flow.ask import Asker
from payhooks.flow.fan_out import order_key
from payhooks.flow.normalise import Normaliser
from payhooks.flow.receipt_queue import ReceiptQueue
from payhooks.flow.receive import Receiver
from payhooks.flow.routing import Directory
from payhooks.flow.send import Sender
from payhooks.flow.sweep import Sweep
from payhooks.flow.tally import Tallier
from payhooks.ids import MERCHANT, EndpointId, IdSource, MerchantId, TimeOrderedIds, to_text
from payhooks.model.connector import Connector
from payhooks.model.endpoint import DisabledReason
from payhooks.ports.leasing import Leased
from payhooks.ports.store import Store
from payhooks.ports.transport import UnderWay
from payhooks.simulator.auditor import Auditor
from payhooks.simulator.chance import Chance
from payhooks.simulator.loop import Life, SimClock, SimLoop, spawn
from payhooks.simulator.moves import Moves
from payhooks.simulator.parts import Parts
from payhooks.simulator.promises import Promise
from payhooks.simulator.receivers import LEASED, Receivers
from payhooks.simulator.store import FaultyStore
from payhooks.testing import QuietTelemetry, ScriptedFetcher
from payhooks.worker.dispatcher import Done
from payhooks.worker.lanes import Held
from payhooks.worker.loop import Beside, Worker

Result = TypeVar("Result")

# Within the skew that a store accepts of a process.
_AHEAD_S: Final = 1.5
_DRIFT: Final = 1e-4  # what a machine's clock may gain or lose while it is disciplined
_DRAIN_GRACE_S: Final = 5.0
_RETENTION: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every process of one world shares."""

    loop: SimLoop
    chance: Chance
    auditor: Auditor
    receivers: Receivers
    store: FaultyStore
    slots: int
    replays: bool
    hears: bool  # there are connectors
    parts: Parts


class _Telemetry(QuietTelemetry):
    """Turn what must never happen into a broken promise."""

    def __init__(self, auditor: Auditor, life: Life) -> None:
        super().__init__()
        self._auditor = auditor
        self._life = life

    def swept(self, kind: str, count: int) -> None:
        """See Telemetry."""
        self._auditor.note("swept", self._life.name, kind, count)
        if kind == "lane_drifted":
            what = f"{count} lanes would have been looked at late"
            self._auditor.blame(Promise.NO_BUG, what)

    def bug_caught(self, where: str, error: BaseException, *, about: str = "") -> None:
        """See Telemetry."""
        self._auditor.blame(Promise.NO_BUG, f"{self._life.name} caught in {where}: {error!r}")

    def alarmed(self, kind: str, detail: str) -> None:
        """See Telemetry."""
        self._auditor.mark(f"alarm {kind}")


class Process:
    """One incarnation; after a kill a new one is made, which remembers nothing."""

    def __init__(self, name: str, around: Surroundings) -> None:
        self.name = name
        self.life = Life(name)
        self.stopping = False
        self._loop = around.loop
        self._auditor = around.auditor
        self._wire_is_good = not around.store.wire.bad
        self._replies: list[asyncio.Future[Any]] = []
        chance = around.chance
        self._clock = SimClock(
            around.loop,
            ahead_s=chance.between(f"{name}.ahead", -_AHEAD_S, _AHEAD_S),
            drift=chance.between(f"{name}.drift", -_DRIFT, _DRIFT),
        )
        self._store = cast("Store", around.store.of(name))
        self._random = chance.random(f"{name}.random")
        self._ids = TimeOrderedIds(self._clock, chance.random(f"{name}.ids"))
        self._telemetry = _Telemetry(around.auditor, self.life)
        self.owner = chance.whole(f"{name}.owner", 1, 2**31 - 1)
        self.control = make_control(self._store, self._clock, self._ids, chance, name)
        self._compose(around)

    def _compose(self, around: Surroundings) -> None:
        store, clock, telemetry = self._store, self._clock, self._telemetry
        parts = around.parts
        directory = self._directory = Directory(store, secrets.opener(self.control.keyring), clock)
        self._tallier = Tallier(store=store, clock=clock, telemetry=telemetry)
        self.settler = parts.settler(
            store=store,
            clock=clock,
            random=self._random,
            telemetry=telemetry,
            tallier=self._tallier,
            disable=self._disable,
            hint=lambda: self.dispatcher.hint(),  # noqa: PLW0108 - it is made below
        )
        transport = parts.transport(around.receivers.transport(self.life))
        self._attempts = parts.attempts(
            store=store,
            directory=directory,
            sender=Sender(transport=transport, clock=clock, allow_http=True),
            settler=self.settler,
            clock=clock,
            random=self._random,
            telemetry=telemetry,
        )
        self.dispatcher = parts.dispatcher(
            attempt=self._attempt,
            give_back=self.settler.give_back,
            interrupt=self._interrupt,
            unsettled=lambda: self.settler.waiting,
            clock=clock,
            telemetry=telemetry,
            slots=around.slots,
        )
        self.acceptor = parts.acceptor(
            store=store,
            directory=directory,
            handoff=self.dispatcher,
            clock=clock,
            ids=self._ids,
            telemetry=telemetry,
            tallier=self._tallier,
            owner=self.owner,
        )
        sweep = Sweep(
            store=store,
            acceptor=self.acceptor,
            clock=clock,
            telemetry=telemetry,
            tallier=self._tallier,
            disable=self._disable,
            forget_listener=_nothing,
            dialect_policy=lambda name: DIALECTS[name].retry_policy,
            retention=_RETENTION,
        )
        replayer = parts.replayer(self.control, owner=self.owner)
        receipts = self._compose_receiving(around)
        self._worker = Worker(
            lease_store=store,
            sweep_store=store,
            dispatcher=self.dispatcher,
            settler=self.settler,
            sweep=sweep,
            advance_replays=replayer.step if around.replays else _no_replays,
            clock=clock,
            telemetry=telemetry,
            owner=self.owner,
            beside=(Beside("receipts", 0.0, receipts.step),) if around.hears else (),
        )

    def _compose_receiving(self, around: Surroundings) -> ReceiptQueue:
        # Nobody can be asked: what is not signed stays unread.
        fetcher = ScriptedFetcher()
        asker = Asker(self.control, fetcher=fetcher, telemetry=self._telemetry, owner=self.owner)
        book = TypeBook(self.control)
        teller = around.parts.teller(self.control, self.acceptor, book, telemetry=self._telemetry)
        normaliser = Normaliser(
            self.control,
            self._directory,
            book,
            asker=asker,
            teller=teller,
            telemetry=self._telemetry,
        )
        receipts = ReceiptQueue(
            normaliser.process,
            store=self._store,
            clock=self._clock,
            telemetry=self._telemetry,
            owner=self.owner,
        )
        self._receiver = Receiver(
            store=self._store,
            clock=self._clock,
            ids=self._ids,
            fetcher=fetcher,
            telemetry=self._telemetry,
            owner=self.owner,
            offer=receipts.offer,
        )
        return receipts

    def start(self) -> None:
        """Begin to work."""
        self._auditor.note("started", self.name)
        self.life.context.run(self._worker.start)
        self.life.context.run(self._tallier.start)

    def kill(self) -> None:
        """End as by SIGKILL: nothing runs any more, and who waits for an answer sees a reset."""
        self._auditor.note("killed", self.name)
        self._loop.kill(self.life)
        for reply in self._replies:
            if not reply.done():
                reply.set_exception(ConnectionResetError())
        self._replies.clear()

    async def stop(self) -> None:
        """End as by SIGTERM, in the direction of the data; return when it is over or killed."""
        self._auditor.note("stopping", self.name)
        self.stopping = True
        with suppress(ConnectionError):
            await self.call(self._drain)
        if self.life.dead:
            return
        self.kill()
        self._auditor.mark("stopped in order")
        if self._wire_is_good:
            Moves(self._auditor).check_stopped((self.owner, -1 - self.owner))

    async def _drain(self) -> None:
        self.dispatcher.begin_no_more()
        await self._receiver.drain()
        await self.acceptor.drain()
        await self._worker.drain(grace_s=_DRAIN_GRACE_S)
        await self._tallier.stop()

    def call(self, work: Callable[[], Awaitable[Result]]) -> "asyncio.Future[Result]":
        """Have *work* done in this process; the answer is a reset if it dies meanwhile."""
        reply: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        if self.life.dead:
            reply.set_exception(ConnectionRefusedError())
            return reply
        self._replies = [held for held in self._replies if not held.done()]
        self._replies.append(reply)

        async def serve() -> None:
            try:
                result = await work()
            except Exception as error:  # noqa: BLE001 - it is the caller's to look at
                if not reply.done():
                    reply.set_exception(error)
            else:
                if not reply.done():
                    reply.set_result(result)

        spawn(self.life, serve)
        return reply

    async def hear(self, connector: Connector, incoming: Incoming) -> Answer:
        """Take what a provider sends to a connector."""
        table = await self._directory.find(to_text(MERCHANT, connector.merchant_id))
        heard = table.heard(connector.name)
        assert heard is not None, "it was there before the process was"
        return await self._receiver.receive(
            table, heard, registry.bound(heard, table.merchant), incoming
        )

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way and nothing waits in memory."""
        return self.dispatcher.in_flight == 0 and self.dispatcher.waiting == 0

    def _interrupt(self, leased: Leased, left_s: float) -> None:
        # Now: what ends in this very turn of the loop is heard by nobody any more.
        request = self._auditor.record.requests.get((leased.id, leased.fence))
        if request is not None and not request.over:
            request.broken_off = True
        self.settler.interrupt(leased, left_s)

    def _attempt(self, held: Held, done: Done) -> UnderWay | None:
        LEASED.set(held.leased)
        return self._attempts.begin(held, done)

    async def _disable(
        self, merchant_id: MerchantId, endpoint_id: EndpointId, reason: DisabledReason
    ) -> None:
        await system.disable(self.control, merchant_id, endpoint_id, reason)


def make_control(
    store: Store, clock: SimClock, ids: IdSource, chance: Chance, name: str
) -> Control:
    """Return the control plane of one process."""
    source = chance.random(f"{name}.secrets")
    keyring = Keyring([bytes(range(KEY_BYTES))], random_bytes=source.randbytes)
    return Control(
        store=store,
        clock=clock,
        ids=ids,
        keyring=keyring,
        random_bytes=source.randbytes,
        order_key=order_key,
    )


async def _nothing(*_which: object) -> None:
    pass


async def _no_replays() -> int:
    return 0
