"""Step 5: write down how an attempt went, and decide what happens to its delivery.

Group-committed like accept, but nobody waits, so it lingers. The fence guards every row: a
worker that overslept changes nothing, and its word is kept as a late attempt, the evidence
that explains a duplicate.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from random import Random
from typing import Final

import msgspec

from payhooks import limits
from payhooks.clock import Clock
from payhooks.dialects.registry import retry_policy
from payhooks.errors import UnavailableError
from payhooks.flow.group_commit import Bounds, GroupCommit
from payhooks.flow.send import Sent
from payhooks.flow.tally import Tallier
from payhooks.ids import EndpointId, MerchantId, age_s
from payhooks.model.attempt import (
    Answer,
    Attempt,
    OurFault,
    Outcome,
    Reason,
    Silence,
    Timing,
)
from payhooks.model.delivery import Trigger
from payhooks.model.endpoint import DisabledReason, Endpoint
from payhooks.policy.classify import Verdict, classify
from payhooks.policy.decide import Decision, decide
from payhooks.policy.retry import policy_of
from payhooks.ports.leasing import Leased
from payhooks.ports.settling import Settlement, SettleStore
from payhooks.ports.telemetry import Telemetry

# A store that is down is asked again at this pace, and what was sent stays known meanwhile:
# forgetting it would double deliveries.
RETRY_S_MIN: Final = 0.1
RETRY_S_MAX: Final = 2.0

BOUNDS: Final = Bounds(
    batch_weight_max=limits.SETTLE_BATCH_MAX,
    batch_bytes_max=8 * limits.MIB,
    waiting_weight_max=limits.SETTLE_WAITING_MAX,
    waiting_bytes_max=512 * limits.MIB,
    linger_s=limits.SETTLE_LINGER_S,
    linger_always=True,
)

Disable = Callable[[MerchantId, EndpointId, DisabledReason], Awaitable[None]]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What an outcome means, decided before anything is written."""

    verdict: Verdict
    decision: Decision


class _Noted(msgspec.Struct):
    """A settlement on its way to the disk, and what follows from it there."""

    settlement: Settlement
    leased: Leased
    disable: DisabledReason | None


class Settler:
    """Writes outcomes. One per process.

    Nobody waits for an outcome to be on the disk, so nothing here is awaited but ``drain``:
    what follows from it (telemetry, hints, disabling) follows in the batch that wrote it.
    """

    def __init__(  # noqa: PLR0913 - every collaborator is named at the call site
        self,
        *,
        store: SettleStore,
        clock: Clock,
        random: Random,
        telemetry: Telemetry,
        tallier: Tallier,
        disable: Disable,
        hint: Callable[[], None],
    ) -> None:
        """Take the collaborators.

        *disable* is called for endpoints that told us to stop, *hint* when something was
        left in the store that becomes due.
        """
        self._store = store
        self._clock = clock
        self._random = random
        self._telemetry = telemetry
        self._tallier = tallier
        self._disable = disable
        self._hint = hint
        self.group: GroupCommit[_Noted, bool] = GroupCommit(self._commit, bounds=BOUNDS)
        self._disabling: set[asyncio.Task[None]] = set()
        # Told of each delivery on probation whose outcome is on the disk; the worker listens.
        self.on_probation_ended: Callable[[Leased], None] = lambda _leased: None
        # Told of each time that the store does not take a batch, which is kept meanwhile.
        self.on_outage: Callable[[UnavailableError], None] = lambda _error: None

    @property
    def waiting(self) -> int:
        """Outcomes that are not on the disk yet, but for the batch on its way."""
        return self.group.waiting

    def judge(self, leased: Leased, endpoint: Endpoint, sent: Sent) -> Judged:
        """Return what the outcome means for the delivery and its lane."""
        policy = policy_of(endpoint, retry_policy(leased.dialect))
        now = self._clock.now()
        verdict = classify(sent.outcome, gone_disables=policy.gone_disables, now=now)
        decision = decide(
            verdict, attempts_made=leased.attempts_made, policy=policy, random=self._random
        )
        return Judged(verdict=verdict, decision=decision)

    def settle(self, leased: Leased, endpoint: Endpoint, sent: Sent, judged: Judged) -> None:
        """Write down one attempt, with the next batch that the store takes."""
        if isinstance(sent.outcome, OurFault):
            self._telemetry.alarmed("our_fault", sent.outcome.detail)
        settlement = settlement_of(leased, endpoint, sent, judged.verdict, judged.decision)
        self._put(_Noted(settlement, leased, judged.verdict.disable))

    def give_back(self, leased: Leased) -> None:
        """Return a delivery that was not attempted; it spends nothing."""
        self._put(_Noted(_released(leased, None, delay_s=0.0), leased, None))

    def interrupt(self, leased: Leased, left_s: float) -> None:
        """Return a delivery whose request was broken off, because this process stops.

        It spends nothing, and no death is held against it. Its receiver may have got it all the
        same, so an attempt goes with it that explains the duplicate; and may be at work on it,
        so it is due when the request would have been over, which had *left_s* left.
        """
        attempt = _broken_off(leased, self._clock.now())
        self._put(_Noted(_released(leased, attempt, delay_s=left_s), leased, None))

    async def drain(self) -> None:
        """Return when everything that was settled is on the disk."""
        await self.group.drain()
        if self._disabling:
            await asyncio.wait(self._disabling)

    def _put(self, noted: _Noted) -> None:
        self.group.put(noted, bytes_=_weight_bytes(noted.settlement))
        if noted.leased.order_key is not None:
            self.group.hurry()  # The next of its object waits for this one.

    async def _commit(self, batch: list[_Noted]) -> list[bool]:
        began_s = self._clock.monotonic_s()
        moved = await self._write([noted.settlement for noted in batch])
        took_s = self._clock.monotonic_s() - began_s
        self._telemetry.batch_committed("settle", rows=len(batch), took_s=took_s)
        now = self._clock.now()
        due = False
        for noted, held in zip(batch, moved, strict=True):
            self._follow(noted, held=held, now=now)
            due = due or (
                noted.leased.order_key is not None
                or noted.settlement.trigger is not Trigger.SUCCEED
            )
        if due:
            self._hint()
        return moved

    async def _write(self, settlements: list[Settlement]) -> list[bool]:
        wait_s = RETRY_S_MIN
        while True:
            try:
                return await self._store.settle(settlements)
            except UnavailableError as error:
                # The same batch again, as it was: whether it was written does not matter,
                # because (delivery, fence) names each attempt.
                self._telemetry.alarmed("settle_waits", str(error))
                self.on_outage(error)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, RETRY_S_MAX)
            except Exception as error:
                # A bug of ours: the leases run out, and the deliveries go out again.
                self._telemetry.bug_caught("settle", error)
                raise

    def _follow(self, noted: _Noted, *, held: bool, now: datetime) -> None:
        settlement, leased = noted.settlement, noted.leased
        self._tallier.settled(settlement, held=held)
        if leased.probation:
            self.on_probation_ended(leased)
        if settlement.attempt is not None:
            self._telemetry.attempt_settled(
                leased,
                settlement.attempt,
                trigger=settlement.trigger,
                late=not held,
                # Who made the id had another clock, or ours was set back: no wait is negative.
                waited_s=max(0.0, age_s(leased.event.id, now)),
            )
        if noted.disable is not None and held:
            task = asyncio.create_task(self._disable_endpoint(leased, noted.disable))
            self._disabling.add(task)
            task.add_done_callback(self._disabling.discard)

    async def _disable_endpoint(self, leased: Leased, reason: DisabledReason) -> None:
        try:
            await self._disable(leased.merchant_id, leased.endpoint_id, reason)
        except UnavailableError as error:
            # The outcome is written down; a receiver that means it says so again.
            self._telemetry.alarmed("disable_failed", str(error))


def settlement_of(
    leased: Leased, endpoint: Endpoint, sent: Sent, verdict: Verdict, decision: Decision
) -> Settlement:
    """Return what the store is told of an attempt. Pure."""
    released = decision.trigger is Trigger.RELEASE
    failed = decision.trigger is Trigger.RETRY or decision.trigger is Trigger.GIVE_UP
    return Settlement(
        delivery_id=leased.id,
        merchant_id=leased.merchant_id,
        endpoint_id=leased.endpoint_id,
        fence=leased.fence,
        trigger=decision.trigger,
        delay_s=decision.delay_s or 0.0,
        reason=None if released else verdict.reason,
        attempt=None if released else _attempt(leased, sent.began_at, sent.outcome, verdict),
        rendered=sent.rendered if failed and leased.rendered is None else None,
        block_order=holds_up(leased, endpoint, decision),
    )


def holds_up(leased: Leased, endpoint: Endpoint, decision: Decision) -> bool:
    """Return whether the object of what fails so waits for a person."""
    ordered = leased.order_key is not None
    return ordered and endpoint.blocks and decision.trigger is Trigger.GIVE_UP


def _released(leased: Leased, attempt: Attempt | None, *, delay_s: float) -> Settlement:
    return Settlement(
        delivery_id=leased.id,
        merchant_id=leased.merchant_id,
        endpoint_id=leased.endpoint_id,
        fence=leased.fence,
        trigger=Trigger.RELEASE,
        delay_s=delay_s,
        reason=None,
        attempt=attempt,
        rendered=None,
        block_order=False,
    )


def _broken_off(leased: Leased, now: datetime) -> Attempt:
    """Return what an expired lease would leave as well, if nobody had told of its end."""
    return Attempt(
        delivery_id=leased.id,
        fence=leased.fence,
        late=False,
        at=now,
        status=None,
        reason=Reason.ABANDONED,
        detail="",
        timing=Timing(),
        peer=None,
    )


def _attempt(leased: Leased, at: datetime, outcome: Outcome, verdict: Verdict) -> Attempt:
    status, peer, timing = None, None, Timing()
    headers: tuple[tuple[str, str], ...] = ()
    body, truncated = b"", False
    match outcome:
        case Answer():
            status, peer, timing = outcome.status, outcome.peer, outcome.timing
            headers, body, truncated = outcome.headers, outcome.body, outcome.body_truncated
            kept_max = limits.ANSWER_KEPT_ON_SUCCESS_BYTES_MAX
            if verdict.reason is None and len(body) > kept_max:
                body, truncated = body[:kept_max], True
        case Silence():
            peer, timing = outcome.peer, outcome.timing
        case OurFault():
            raise AssertionError("our own fault is not an attempt")
    return Attempt(
        delivery_id=leased.id,
        fence=leased.fence,
        late=False,
        at=at,
        status=status,
        reason=verdict.reason,
        detail=verdict.detail,
        timing=timing,
        peer=peer,
        answer_headers=headers,
        answer_body=body,
        answer_truncated=truncated,
    )


def _weight_bytes(settlement: Settlement) -> int:
    attempt, rendered = settlement.attempt, settlement.rendered
    return (0 if attempt is None else len(attempt.answer_body)) + len(rendered or b"")
