"""The faulty way to the store. The store itself is right and never loses a commit.

A request travels, is applied, and its answer travels back; each may be late. A process that is
killed meanwhile does not take its request along. ``refused``: nothing was applied, and that is
known. ``unknown_before`` and ``unknown_after``: the answer is lost, without or with the effect.
``stalled``: the caller has long given up when it is applied.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from typing import Final

from payhooks import limits
from payhooks.errors import OutcomeUnknownError, PayhooksError, UnavailableError
from payhooks.simulator.auditor import Auditor
from payhooks.simulator.chance import Chance
from payhooks.simulator.loop import SimLoop
from payhooks.simulator.options import STORE_FAULTS, Options

_TRAVEL_S: Final = 0.002
_SLOW_ONE_IN: Final = 0.1
_SLOW_S: Final = 0.5
_STALL_S: Final = 40.0  # longer than any lease
_OUTAGE_S: Final = 20.0

_MARKS: Final = {
    "refused": "commit refused",
    "unknown_before": "commit unknown that was not",
    "unknown_after": "commit unknown that was committed",
    "stalled": "commit unknown that came late",
}

Apply = Callable[[], Coroutine[object, None, object]]
Method = Callable[..., Coroutine[object, None, object]]


class Wire:
    """What lies between the processes and the store, and when nobody gets through."""

    def __init__(self, loop: SimLoop, chance: Chance, options: Options, auditor: Auditor) -> None:
        self.auditor = auditor
        self.loop = loop
        self.chance = chance
        self.options = options
        self._until_s = 0.0
        self._looked_at_s = -1

    @property
    def bad(self) -> bool:
        """Whether it may lose anything at all in this world."""
        return self.options.outage_rate > 0 or any(self.options.store_rates.values())

    @property
    def down(self) -> bool:
        """Whether nobody gets through now."""
        second = int(self.loop.time())
        if second > self._looked_at_s:
            self._looked_at_s = second
            coordinate = f"store.outage@{second}"
            if self.chance.fires(coordinate, self.options.outage_rate):
                lasts_s = self.chance.skewed(f"{coordinate}.s", 0.5, _OUTAGE_S)
                self._until_s = max(self._until_s, self.loop.time() + lasts_s)
        return self.chance.enabled and self.loop.time() < self._until_s


class FaultyStore:
    """One process's connection: every method of the real store, with the world in between.

    It answers any name the store has, so it is cast to ``Store`` where it is handed out.
    """

    def __init__(self, store: object, wire: Wire, *, client: str = "") -> None:
        self._store = store
        self.wire = wire
        self._loop = wire.loop
        self._chance = wire.chance
        self._rates = wire.options.store_rates
        self._client = client
        self._nobodys = Context()  # the store lives whoever dies

    def of(self, client: str) -> "FaultyStore":
        """Return the same store as *client* reaches it."""
        return FaultyStore(self._store, self.wire, client=client)

    def __getattr__(self, name: str) -> Method:
        """Return the store's method of that name, reached over the network."""
        method: Method = getattr(self._store, name)
        call = partial(self._call, name, method)
        self.__dict__[name] = call
        return call

    async def _call(self, name: str, method: Method, *args: object, **kwargs: object) -> object:
        at = self._chance.numbered(f"store.{self._client}.{name}")
        apply = partial(method, *args, **kwargs)
        travel_s = _TRAVEL_S * self._chance.draw(at)
        if self.wire.down:
            await asyncio.sleep(travel_s)
            raise UnavailableError("the store is down")
        fault = self._fault(at)
        if fault is not None and name == "accept":
            self.wire.auditor.mark(_MARKS[fault])
        match fault:
            case None:
                return await self._answered(at, apply, travel_s)
            case "refused":
                await asyncio.sleep(travel_s)
                raise UnavailableError("the store refused the connection")
            case "unknown_before":
                await asyncio.sleep(travel_s)
            case "unknown_after":
                self._later(travel_s, apply)
                await asyncio.sleep(travel_s * 2)
            case _:
                self._later(self._chance.skewed(f"{at}.stall", 0.1, _STALL_S), apply)
                await asyncio.sleep(limits.STATEMENT_TIMEOUT_S)
        raise OutcomeUnknownError("the connection broke before the answer")

    def _fault(self, at: str) -> str | None:
        return next(
            (f for f in STORE_FAULTS if self._chance.fires(f"{at}.{f}", self._rates[f])), None
        )

    async def _answered(self, at: str, apply: Apply, travel_s: float) -> object:
        answer: asyncio.Future[object] = self._loop.create_future()
        back_s = 0.0
        if self._chance.draw(f"{at}.slow") < _SLOW_ONE_IN:
            back_s = self._chance.skewed(f"{at}.back", 0.001, _SLOW_S)
        self._later(travel_s, apply, answer=answer, back_s=back_s)
        return await answer

    def _later(
        self,
        delay_s: float,
        apply: Apply,
        *,
        answer: "asyncio.Future[object] | None" = None,
        back_s: float = 0.0,
    ) -> None:
        self._loop.call_later(delay_s, self._apply, apply, answer, back_s, context=self._nobodys)

    def _apply(
        self,
        apply: Apply,
        answer: "asyncio.Future[object] | None",
        back_s: float,
    ) -> None:
        self.wire.auditor.by = self._client
        try:
            result, error = _completed(apply())
        finally:
            self.wire.auditor.by = ""
        if answer is None:
            return
        if back_s:
            self._loop.call_later(back_s, _reply, answer, result, error)
        else:
            _reply(answer, result, error)


def _completed(work: Coroutine[object, None, object]) -> tuple[object, PayhooksError | None]:
    """Run a method of the memory store, which never waits, and so in one go."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value, None
    except PayhooksError as error:
        return None, error
    raise AssertionError("the memory store does not wait")


def _reply(answer: "asyncio.Future[object]", result: object, error: PayhooksError | None) -> None:
    if answer.done():
        return  # who asked was cancelled meanwhile
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
