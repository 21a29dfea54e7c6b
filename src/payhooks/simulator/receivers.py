"""The merchants' servers, and the faulty way to them.

A request arrives soon or never: what is slow is the answer. So a receiver sees nothing of an
attempt after its deadline, and the order of first sights is ours to keep.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar
from dataclasses import dataclass
from typing import Final

from payhooks.model.attempt import Answer, OurFault, Outcome, Reason, Silence, Timing
from payhooks.ports.leasing import Leased
from payhooks.ports.transport import OutboundRequest, UnderWay
from payhooks.simulator.auditor import spoken
from payhooks.simulator.chance import Chance
from payhooks.simulator.loop import Life, SimLoop
from payhooks.simulator.options import RECEIVER_FAULTS, Options
from payhooks.simulator.record import Request
from payhooks.simulator.sights import Sights

# Which lease a request is made under: flow does not tell transport, and need not.
LEASED: Final[ContextVar[Leased]] = ContextVar("leased")

_ARRIVES_S: Final = 1.0
_ANSWERS_S: Final = 0.05
_DEAD_S: Final = 120.0
_RETRY_AFTER_S_MAX: Final = 90
_SILENCES: Final = {
    "refused": Reason.CONNECT,
    "reset_before": Reason.PROTOCOL,
    "reset_after": Reason.PROTOCOL,
}
_STATUSES: Final = {"error": 503, "redirect": 302}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What happens to one request."""

    arrives_s: float | None  # None: it never does
    answers_s: float  # after it arrived
    outcome: Outcome


class Receivers:
    """All of them: where requests go, and when each server is dead."""

    def __init__(self, loop: SimLoop, chance: Chance, options: Options, sights: Sights) -> None:
        self._loop = loop
        self._chance = chance
        self._options = options
        self._sights = sights
        self._nobodys = Context()
        self._dead_until_s: dict[str, float] = {}
        self._looked_at_s: dict[str, int] = {}

    def transport(self, life: Life) -> "SimTransport":
        """Return the way out of one process."""
        return SimTransport(self, life)

    async def send(self, life: Life, request: OutboundRequest) -> Outcome:
        """Return what came of one request."""
        sent = self._sights.request_sent(life, LEASED.get(), request)
        plan = self._plan(sent, request)
        outcome = None
        try:
            outcome = await self._carried(sent, plan, request.deadline_s)
            return outcome
        finally:
            self._sights.request_over(sent, outcome)

    async def _carried(self, sent: Request, plan: _Plan, deadline_s: float) -> Outcome:
        if plan.arrives_s is None:
            await asyncio.sleep(plan.answers_s)
            return plan.outcome
        answer: asyncio.Future[Outcome] = self._loop.create_future()
        arrive = self._arrive
        self._loop.call_later(plan.arrives_s, arrive, sent, plan, answer, context=self._nobodys)
        try:
            async with asyncio.timeout(deadline_s):
                return await answer
        except TimeoutError:
            return Silence(reason=Reason.TIMEOUT, detail="", timing=Timing())

    def _arrive(self, sent: Request, plan: _Plan, answer: "asyncio.Future[Outcome]") -> None:
        self._sights.request_seen(sent)
        self._loop.call_later(plan.answers_s, self._answer, sent, plan, answer)

    def _answer(self, sent: Request, plan: _Plan, answer: "asyncio.Future[Outcome]") -> None:
        if answer.done():
            return
        self._sights.request_answered(sent, plan.outcome)
        answer.set_result(plan.outcome)

    def _plan(self, sent: Request, request: OutboundRequest) -> _Plan:
        # Not the message's id: that is drawn, and would move with every fault taken out.
        at = f"{request.url} {spoken(LEASED.get().event)}#{sent.number}"
        fault = next((f for f in RECEIVER_FAULTS if self._fires(f, at)), None)
        if self._dead(request.url):
            fault = "refused"
        outcome, arrives = self._outcome(fault, at)
        answers_s = _ANSWERS_S * self._chance.draw(f"{at}.answers")
        if fault == "hang":
            answers_s = 10 * request.deadline_s
        elif fault == "slow":
            # Now and then a little too slow.
            answers_s = self._chance.between(f"{at}.slow_s", 0, 1.2 * request.deadline_s)
        arrives_s = _ARRIVES_S * self._chance.draw(f"{at}.arrives") ** 4
        return _Plan(arrives_s=arrives_s if arrives else None, answers_s=answers_s, outcome=outcome)

    def _outcome(self, fault: str | None, at: str) -> tuple[Outcome, bool]:
        """Return what comes of a request, and whether it ever arrives."""
        match fault:
            case "refused" | "reset_before" | "reset_after":
                return _silence(_SILENCES[fault]), fault == "reset_after"
            case "our_fault":
                return OurFault(detail="the resolver is down"), False
            case "error" | "redirect":
                return _status(_STATUSES[fault]), True
            case "rate_limited":
                wait_s = self._chance.whole(f"{at}.retry_after", 1, _RETRY_AFTER_S_MAX)
                return _status(429, ("retry-after", str(wait_s))), True
            case _:
                return self._good(at), True

    def _good(self, at: str) -> Answer:
        if self._chance.fires(f"{at}.disable", self._options.disable_rate):
            return _status(200, ("webhook-delivery", "disable"))
        return _status(200)

    def _fires(self, fault: str, at: str) -> bool:
        return self._chance.fires(f"{at}.{fault}", self._options.receiver_rates[fault])

    def _dead(self, url: str) -> bool:
        """Whether nothing listens there now; asked once for each second."""
        now_s = self._loop.time()
        for second in range(self._looked_at_s.get(url, -1) + 1, int(now_s) + 1):
            coordinate = f"receiver.death{url}@{second}"
            if self._chance.fires(coordinate, self._options.death_rate):
                lasts_s = self._chance.skewed(f"{coordinate}.s", 1.0, _DEAD_S)
                until_s = max(self._dead_until_s.get(url, 0.0), second + lasts_s)
                self._dead_until_s[url] = until_s
        self._looked_at_s[url] = int(now_s)
        return self._chance.enabled and now_s < self._dead_until_s.get(url, 0.0)


class SimTransport:
    """The way out of one process. See Transport."""

    def __init__(self, receivers: Receivers, life: Life) -> None:
        self._receivers = receivers
        self._life = life

    def begin(self, request: OutboundRequest, done: Callable[[Outcome], None]) -> UnderWay:
        """See Transport."""
        return asyncio.get_running_loop().create_task(self._send(request, done))

    async def close(self) -> None:
        """See Transport."""

    async def _send(self, request: OutboundRequest, done: Callable[[Outcome], None]) -> None:
        done(await self._receivers.send(self._life, request))


def _silence(reason: Reason) -> Silence:
    return Silence(reason=reason, detail="", timing=Timing())


def _status(status: int, *headers: tuple[str, str]) -> Answer:
    return Answer(
        status=status, headers=headers, body=b"", body_truncated=False, timing=Timing(), peer=None
    )
