"""All of it together: first everything may fail, then nothing fails and all must end well."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from payhooks.control import secrets
from payhooks.control.context import SYSTEM, audit_entry
from payhooks.ids import MerchantId, TimeOrderedIds
from payhooks.model.merchant import CardNumbers, Merchant, Mode, TypeCheck
from payhooks.model.receipt import ReceiptState
from payhooks.model.replay import ReplayState
from payhooks.ports.controlling import Change
from payhooks.ports.store import Store
from payhooks.simulator.auditor import Auditor
from payhooks.simulator.books import Books
from payhooks.simulator.chance import Chance
from payhooks.simulator.loop import SimClock, SimLoop, StandstillError
from payhooks.simulator.operators import Operator
from payhooks.simulator.options import Options, Size
from payhooks.simulator.parts import Parts
from payhooks.simulator.process import Process, Surroundings, make_control
from payhooks.simulator.promises import Promise
from payhooks.simulator.providers import PaymentProvider, connect
from payhooks.simulator.publishers import Publisher
from payhooks.simulator.receivers import Receivers
from payhooks.simulator.sights import Sights
from payhooks.simulator.store import FaultyStore, Wire

_PAUSE_S: Final = (2.0, 90.0)  # longer than a lease, at times
_RESTART_S: Final = (0.05, 20.0)
# The longest rest of a breaker, a lease, and the rest of a schedule, and then some.
_LIVENESS_S: Final = 1_800.0
_QUIET_S: Final = 60.0
_KEEPS_OPEN_EVERY_S: Final = 5.0
_COMPARED_EVERY_S: Final = 20
_LANES_MAX: Final = 1_000


class World:
    """One seed's world. ``run`` it once, then look at the auditor."""

    def __init__(self, seed: int, *, parts: Parts, tape: frozenset[str] | None, size: Size) -> None:
        self.chance = Chance(seed, tape=tape)
        self.options = Options.of(self.chance, seed, size)
        self.loop = SimLoop(self.chance, deviation_rate=self.options.deviation_rate)
        self.auditor = Auditor(self.loop)
        self._clock = SimClock(self.loop)
        self._store = parts.store(auditor=self.auditor, clock=self._clock)
        self._ids = TimeOrderedIds(self._clock, self.chance.random("world.ids"))
        self._control = make_control(self._store, self._clock, self._ids, self.chance, "world")
        self.auditor.secrets.open_with(secrets.opener(self._control.keyring))
        self._books = Books(self.auditor, self._control)
        wire = Wire(self.loop, self.chance, self.options, self.auditor)
        self._around = Surroundings(
            loop=self.loop,
            chance=self.chance,
            auditor=self.auditor,
            receivers=Receivers(self.loop, self.chance, self.options, Sights(self.auditor)),
            store=FaultyStore(self._store, wire),
            slots=self.options.slots,
            replays=self.options.replays,
            hears=self.options.payments > 0,
            parts=parts,
        )
        self.loop.set_exception_handler(self._raised)
        self._processes: list[Process] = []
        self._generations = [0] * self.options.processes
        self._chaos: list[asyncio.Task[None]] = []

    def run(self) -> None:
        """Live through both phases, or up to the first broken promise."""
        try:
            self.loop.run_until_complete(self._live())
        except StandstillError as error:
            self.auditor.blame(Promise.ENDS, str(error))
        except RuntimeError:
            # How the loop tells that it was stopped, as it is by a broken promise.
            if self.auditor.violation is None:
                raise
        finally:
            for process in self._processes:
                process.dispatcher.begin_no_more()
            self.auditor.over = True
            self.loop.bury()

    def _raised(self, _loop: object, context: dict[str, Any]) -> None:
        """Take note of an error in a callback; of a task, whoever awaits it is told."""
        if "handle" in context:
            self.auditor.blame(Promise.NO_BUG, f"a callback raised {context.get('exception')!r}")

    async def _live(self) -> None:
        merchants = [await self._merchant(n) for n in range(self.options.merchants)]
        self._processes = [self._process(slot) for slot in range(self.options.processes)]
        for process in self._processes:
            process.start()
        talking = [
            asyncio.create_task(self._publisher(merchant, n).run(self.options.publications))
            for merchant in merchants
            for n in range(self.options.publishers)
        ]
        if self.options.payments:
            talking += [
                asyncio.create_task((await self._provider(merchant)).run(self.options.payments))
                for merchant in merchants
            ]
        store = cast("Store", self._around.store.of("operator"))
        operator = self._operator(store, "operator")
        ticking = asyncio.create_task(self._tick(operator))
        await asyncio.sleep(self.options.safety_s)
        ticking.cancel()
        await self._end_well(talking)

    # --- the phase in which everything may fail ------------------------------------------------

    async def _tick(self, operator: Operator) -> None:
        for tick in range(int(self.options.safety_s) + 1):
            for slot in range(self.options.processes):
                at = f"chaos.{slot}@{tick}"
                for act, rate in (
                    ("kill", self.options.kill_rate),
                    ("pause", self.options.pause_rate),
                    ("stop", self.options.stop_rate),
                ):
                    if self.chance.fires(f"{at}.{act}", rate):
                        self._begin(self._hurt(slot, at, act))
                        break
            at = f"operator@{tick}"
            if self.chance.fires(at, self.options.operator_rate):
                self._begin(operator.meddle(at))
            if tick % _COMPARED_EVERY_S == 0:
                await self._books.compare()
            await asyncio.sleep(1.0)

    def _begin(self, work: Coroutine[object, None, None]) -> None:
        self._chaos.append(asyncio.create_task(work))

    async def _hurt(self, slot: int, at: str, act: str) -> None:
        await asyncio.sleep(self.chance.draw(f"{at}.when"))
        if self.auditor.calm:
            return
        process = self._processes[slot]
        if process.life.dead or process.life.paused:
            return
        match act:
            case "kill":
                process.kill()
            case "stop":
                await process.stop()
            case _:
                self.auditor.note("paused", process.name)
                self.loop.pause(process.life)
                await asyncio.sleep(self.chance.skewed(f"{at}.pause_s", *_PAUSE_S))
                self._resume(process)
                return
        await asyncio.sleep(self.chance.skewed(f"{at}.restart_s", *_RESTART_S))
        if not self.auditor.calm and self._processes[slot] is process:
            self._restart(slot)

    def _resume(self, process: Process) -> None:
        if process.life.paused and not process.life.dead:
            self.auditor.note("resumed", process.name)
            self.loop.resume(process.life)

    def _restart(self, slot: int) -> None:
        self._processes[slot] = self._process(slot)
        self._processes[slot].start()

    # --- the phase in which all must end well --------------------------------------------------

    async def _end_well(self, talking: list["asyncio.Task[None]"]) -> None:
        self.auditor.note("calm")
        self.chance.enabled = False
        self.auditor.calm_since_s = self.auditor.now_s
        for slot, process in enumerate(self._processes):
            self._resume(process)
            if process.stopping and not process.life.dead:
                process.kill()
            if process.life.dead:
                self._restart(slot)
        if self.chance.one_of("calm.alone", (True, False)):
            # One must be enough.
            for process in self._processes[1:]:
                process.kill()
            del self._processes[1:]
        keeper = asyncio.create_task(self._keep_open())
        await self._wait(lambda: self._unfinished(talking), _LIVENESS_S)
        await self._wait(self._busy, _QUIET_S)
        await self._write_down()
        keeper.cancel()
        mended = await self._store.mend_lanes(limit=_LANES_MAX, after=None)
        self.auditor.demand(Promise.NO_BUG, not mended.drifted, lambda: "a lane drifted at the end")
        await self._books.close()

    async def _keep_open(self) -> None:
        """Undo what operators did, as often as something that was under way does it again."""
        operator = self._operator(self._store, "keeper")
        while True:
            await operator.open_everything()
            await asyncio.sleep(_KEEPS_OPEN_EVERY_S)

    async def _wait(self, reason: Callable[[], str], bound_s: float) -> None:
        for _ in range(int(bound_s)):
            if not reason():
                return
            await asyncio.sleep(1.0)
        self.auditor.blame(Promise.ENDS, f"after {bound_s:.0f} s without faults, {reason()}")

    def _unfinished(self, talking: list["asyncio.Task[None]"]) -> str:
        waiting = sum(not task.done() for task in talking)
        if waiting:
            return f"{waiting} publishers and providers have no answer"
        for task in talking:
            task.result()
        rows = self.auditor.tables.queue.rows
        if rows:
            row = next(iter(rows.values()))
            return f"{len(rows)} deliveries are undone, such as {row}"
        if self.auditor.tables.announcements:
            return "announcements are unpublished"
        if any(job.state is ReplayState.RUNNING for job in self.auditor.tables.replays.values()):
            return "replays have not ended"
        receipts = self.auditor.tables.receipts.values()
        if any(receipt.state is ReceiptState.RECEIVED for receipt in receipts):
            return "receipts are unread"
        return ""

    async def _write_down(self) -> None:
        """Let processes write what they know: one that was asleep until now has not begun to."""
        try:
            async with asyncio.timeout(_QUIET_S):
                for process in self._processes:
                    if not process.life.dead:
                        await process.settler.drain()
        except TimeoutError:
            self.auditor.blame(Promise.ENDS, f"after {_QUIET_S:.0f} s outcomes are not written")

    def _busy(self) -> str:
        busy = [process.name for process in self._processes if not process.quiet]
        return f"{busy} have not let go of their slots" if busy else ""

    # --- who lives there -----------------------------------------------------------------------

    def _process(self, slot: int) -> Process:
        self._generations[slot] += 1
        return Process(f"p{slot}.{self._generations[slot]}", self._around)

    def _pick(self, at: str) -> Process:
        return self.chance.one_of(f"{at}.process", self._processes)

    def _publisher(self, merchant: Merchant, number: int) -> Publisher:
        return Publisher(
            f"client{number}",
            merchant,
            chance=self.chance,
            auditor=self.auditor,
            pick=self._pick,
            thinks_s=self.options.thinks_s,
            reply_lost_rate=self.options.reply_lost_rate,
        )

    async def _provider(self, merchant: Merchant) -> PaymentProvider:
        connector, secret = await connect(self._control, merchant, self.chance)
        return PaymentProvider(
            merchant,
            connector,
            secret,
            clock=self._clock,
            chance=self.chance,
            auditor=self.auditor,
            pick=self._pick,
            thinks_s=self.options.thinks_s,
            reply_lost_rate=self.options.reply_lost_rate,
        )

    def _operator(self, store: Store, name: str) -> Operator:
        return Operator(
            make_control(store, self._clock, self._ids, self.chance, name),
            chance=self.chance,
            auditor=self.auditor,
            replays=self.options.replays,
            signed=self.options.signed,
        )

    async def _merchant(self, number: int) -> Merchant:
        now = self._clock.now()
        merchant = Merchant(
            id=MerchantId(self._ids.new()),
            name=f"merchant{number}",
            mode=Mode.SANDBOX,
            reference=None,
            families=(),
            provider_ids=(),
            card_numbers=CardNumbers.REPORT,
            type_check=TypeCheck.OFF,
            account_id=None,
            version=1,
            created_at=now,
            updated_at=now,
        )
        entry = audit_entry(
            self._control, SYSTEM, merchant_id=merchant.id, action="made", target=merchant.name
        )
        await self._store.apply(Change(audit=entry, merchant=merchant))
        for _ in range(self.options.endpoints):
            await self._operator(self._store, "founder").create(merchant, "founder")
        return merchant
