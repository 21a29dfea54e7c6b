"""Bugs of processes, put in on purpose. See ``planted``."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from payhooks.control.replay import Replayer
from payhooks.errors import OutcomeUnknownError, UnavailableError
from payhooks.flow.accept import Acceptor
from payhooks.flow.publication import Publication
from payhooks.flow.routing import RoutingTable
from payhooks.flow.send import Sent
from payhooks.flow.settle import Judged, Settler
from payhooks.flow.slot import Slot
from payhooks.ids import MerchantId
from payhooks.model.attempt import Answer, Outcome, Timing
from payhooks.model.delivery import Trigger
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.ports.accepting import Acceptance, Accepted, Arrival
from payhooks.ports.leasing import Leased
from payhooks.ports.settling import Settlement
from payhooks.ports.transport import OutboundRequest, Transport, UnderWay
from payhooks.worker.attempts import Attempts
from payhooks.worker.dispatcher import Dispatcher, Done
from payhooks.worker.lanes import Held, Lane

_JITTER: Final = 0.9
_ATTEMPT: Final = "webhook-attempt"
_MESSAGE_ID: Final = "webhook-id"
_EVERYBODY: Final = MerchantId(bytes(16))


class SettlesFirst(Attempts):
    """A delivery is written down as delivered, then sent."""

    def _begin(self, held: Held, table: RoutingTable, done: Done) -> UnderWay | None:
        leased = held.leased
        endpoint = table.endpoint(leased.endpoint_id)
        if endpoint is not None and endpoint.status is EndpointStatus.ACTIVE:
            good = Answer(
                status=200, headers=(), body=b"", body_truncated=False, timing=Timing(), peer=None
            )
            sent = Sent(outcome=good, rendered=b"", began_at=self._clock.now())
            judged = self._settler.judge(leased, endpoint, sent)
            self._settler.settle(leased, endpoint, sent, judged)
        return super()._begin(held, table, done)


class DeafToRetryAfter(Attempts):
    """Retry-After is not read."""

    def _end(self, leased: Leased, lane: Lane, endpoint: Endpoint, done: Done, sent: Sent) -> None:
        if isinstance(sent.outcome, Answer):
            deaf = msgspec.structs.replace(sent.outcome, headers=())
            sent = msgspec.structs.replace(sent, outcome=deaf)
        super()._end(leased, lane, endpoint, done, sent)


class JitterDown(Settler):
    """Jitter takes off, so a receiver is asked before its schedule says."""

    def judge(self, leased: Leased, endpoint: Endpoint, sent: Sent) -> Judged:
        """See Settler, but for the delay."""
        judged = super().judge(leased, endpoint, sent)
        if judged.decision.trigger is not Trigger.RETRY or judged.decision.delay_s is None:
            return judged
        sooner = msgspec.structs.replace(judged.decision, delay_s=judged.decision.delay_s * _JITTER)
        return msgspec.structs.replace(judged, decision=sooner)


class LostBatch(Settler):
    """A batch of outcomes whose reply was lost is taken for written."""

    async def _write(self, settlements: list[Settlement]) -> list[bool]:
        while True:
            try:
                return await self._store.settle(settlements)
            except OutcomeUnknownError:
                return [True] * len(settlements)
            except UnavailableError:
                await asyncio.sleep(1.0)


class OneMore(Settler):
    """A delivery is given up an attempt too early: the first one is counted as a retry."""

    def judge(self, leased: Leased, endpoint: Endpoint, sent: Sent) -> Judged:
        """See Settler, but for the count."""
        ahead = msgspec.structs.replace(leased, attempts_made=leased.attempts_made + 1)
        return super().judge(ahead, endpoint, sent)


class AnswersFirst(Acceptor):
    """A 202 is said while the store does not answer; the batch is written when it does."""

    async def _commit_until(self, arrivals: list[Arrival], give_up_at_s: float) -> list[Acceptance]:
        try:
            return await self._store.accept(arrivals, owner=self._owner)
        except UnavailableError:
            self._later = asyncio.create_task(super()._commit_until(arrivals, give_up_at_s))
            self._later.add_done_callback(lambda done: done.cancelled() or done.exception())
            return [Accepted(leased=()) for _ in arrivals]


class SharedKeys(Acceptor):
    """An idempotency key holds for all merchants together."""

    def _slot(self, merchant_id: MerchantId, publication: Publication) -> Slot:
        del merchant_id
        return super()._slot(_EVERYBODY, publication)


class AnyContent(Acceptor):
    """What comes under a known key is not compared with what came first."""

    def _slot(self, merchant_id: MerchantId, publication: Publication) -> Slot:
        slot = super()._slot(merchant_id, publication)
        slot.content = bytes(len(slot.content))
        return slot


class NewAttemptNewId:
    """Each retry is a message of its own."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def begin(self, request: OutboundRequest, done: Callable[[Outcome], None]) -> UnderWay | None:
        """See Transport, but change the id of the message."""
        attempt = dict(request.headers)[_ATTEMPT]
        headers = tuple(
            (name, f"{value}.{attempt}" if name == _MESSAGE_ID and attempt != "1" else value)
            for name, value in request.headers
        )
        return self._transport.begin(msgspec.structs.replace(request, headers=headers), done)

    async def close(self) -> None:
        """See Transport."""
        await self._transport.close()


class RenderedAnew(NewAttemptNewId):
    """Each retry is rendered afresh, with what has changed since."""

    def begin(self, request: OutboundRequest, done: Callable[[Outcome], None]) -> UnderWay | None:
        """See Transport, but change the body."""
        attempt = dict(request.headers)[_ATTEMPT].encode()
        body = request.body.replace(b'"timestamp"', b'"attempt":' + attempt + b',"timestamp"')
        return self._transport.begin(msgspec.structs.replace(request, body=body), done)


class GreedyLane(Lane):
    """A lane without a cap."""

    @property
    def cap(self) -> int:
        """See Lane, but as much as there is."""
        return 1_000


class NoCap(Dispatcher):
    """One endpoint may have every slot."""

    def _lane(self, leased: Leased) -> Lane:
        if leased.endpoint_id not in self._lanes:
            self._lanes[leased.endpoint_id] = GreedyLane(leased.endpoint_id, leased.merchant_id)
        return super()._lane(leased)


class HoldsOn(Dispatcher):
    """A process that stops forgets what it holds instead of giving it back."""

    def _return(self, held: Held) -> None:
        if self._stopping:
            self._waiting -= 1
        else:
            super()._return(held)


class Sleepwalker(Dispatcher):
    """What has waited for long in memory is sent all the same, whoever has it by now."""

    def give_back_overdue(self) -> None:
        """See Dispatcher, but do nothing."""

    def _begin_next(self, round_: object) -> None:
        for lane in self._active.values():
            for held in lane.waiting:
                held.taken_at_s = self._clock.monotonic_s()
        super()._begin_next(round_)  # type: ignore[arg-type] # passed on


class AllAtOnce(Replayer):
    """A job takes no notice of its rate."""

    async def step(self) -> int:
        """See Replayer, but for the pace."""
        for held in self._held.values():
            held.reckoned_s -= 1_000.0
            held.job = msgspec.structs.replace(held.job, rate_per_s=1_000.0)
        return await super().step()
