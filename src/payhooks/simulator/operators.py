"""Operators: they meddle with endpoints, secrets, deliveries and jobs, whatever is under way.

All of it goes through the control plane, as the API's routes go.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from payhooks.control import deliveries, endpoints, replay, secrets
from payhooks.control.context import SYSTEM, Control
from payhooks.control.endpoint_draft import EndpointDraft, SignatureDraft
from payhooks.control.endpoints import Move
from payhooks.control.replay import ReplayDraft
from payhooks.errors import ConflictError, NotFoundError, UnavailableError
from payhooks.ids import DeliveryId, EndpointId
from payhooks.model.delivery import Delivery, State
from payhooks.model.endpoint import (
    Endpoint,
    EndpointStatus,
    OnFailed,
    Ordering,
    SignatureType,
)
from payhooks.model.merchant import Merchant
from payhooks.model.replay import Include, Replay, ReplayFilter, ReplayState
from payhooks.simulator.auditor import Auditor
from payhooks.simulator.chance import Chance

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RETRY_DELAYS_S: Final = ((), (1.0, 3.0, 9.0), (0.5, 2.0, 5.0, 10.0, 20.0), (5.0,) * 8)
RATES_PER_S: Final = (None, None, None, 1.0, 30.0)
PATTERNS: Final = (("*",), ("*",), ("payment.*",), ("refund.made", "webhook.*"), ("payment.moved",))
_ENDPOINTS_MAX: Final = 6  # of one merchant
_GRACE_S_MIN: Final = 20  # longer than a lease waits before its request
_GRACE_S_MAX: Final = 60
_REGRETS: Final = 0.6  # of jobs are called off soon after they were made
_OWNER: Final = 7  # what a test event is accepted as; no worker has it
# How often each is done, beside the others; what sends again only where a seed allows it.
_ACTS: Final = {
    "move": 40, "cancel": 15, "edit": 15, "rotate": 12, "revoke": 4, "create": 3, "delete": 3,
    "test": 4, "expunge": 2,
}  # fmt: skip
_ACTS_AGAIN: Final = {"retry": 30, "job": 15, "call_off": 8}


class Operator:
    """One person, or a script of one."""

    def __init__(
        self,
        control: Control,
        *,
        chance: Chance,
        auditor: Auditor,
        replays: bool,
        signed: bool,
    ) -> None:
        self._control = control
        self._chance = chance
        self._auditor = auditor
        self._tables = auditor.tables
        self._signed = signed
        self._does: dict[str, Callable[[str], Awaitable[object]]] = {
            "move": self._move,
            "edit": self._edit,
            "rotate": self._rotate,
            "revoke": self._revoke,
            "create": self._create,
            "delete": self._delete,
            "test": self._test,
            "cancel": self._cancel,
            "expunge": self._expunge,
            "retry": self._retry,
            "job": self._job,
            "call_off": self._call_off,
        }
        self._acts = [name for name, weight in _ACTS.items() for _ in range(weight)]
        if replays:
            self._acts += [name for name, weight in _ACTS_AGAIN.items() for _ in range(weight)]

    async def meddle(self, at: str) -> None:
        """Do one thing."""
        act = self._chance.one_of(f"{at}.act", self._acts)
        self._auditor.note("operator:", act)
        try:
            await self._does[act](at)
        except (ConflictError, NotFoundError, UnavailableError) as error:
            self._auditor.mark("operator was refused")
            self._auditor.note("operator was refused:", type(error).__name__)

    async def create(self, merchant: Merchant, at: str) -> Endpoint:
        """Return a new endpoint, drawn."""
        number = self._chance.numbered(f"{merchant.name}.endpoint")
        at = f"{at}.{number}"
        signature = SignatureType.ENDPOINT_SECRET if self._signed else SignatureType.NONE
        draft = EndpointDraft(
            label=number.replace("#", ""),
            url=f"https://{number.replace('#', '').replace('.', '-')}.example.com/v1",
            events=self._chance.one_of(f"{at}.events", PATTERNS),
            signature=SignatureDraft(type=signature),
            ordering=self._chance.one_of(f"{at}.ordering", list(Ordering)),
            on_failed=self._chance.one_of(f"{at}.on_failed", list(OnFailed)),
            rate_limit_per_s=self._chance.one_of(f"{at}.rate", RATES_PER_S),
            retry_policy=self._chance.one_of(f"{at}.delays", RETRY_DELAYS_S),
        )
        endpoint, _ = await endpoints.create(self._control, SYSTEM, merchant, draft)
        return endpoint

    async def open_everything(self) -> None:
        """Let every endpoint that is not deleted hear again, and every object go on."""
        for endpoint in list(self._tables.endpoints.values()):
            if endpoint.status is EndpointStatus.PAUSED:
                await endpoints.move(self._control, SYSTEM, endpoint, Move.RESUME)
            elif endpoint.status is EndpointStatus.DISABLED:
                await endpoints.move(self._control, SYSTEM, endpoint, Move.ENABLE)
        for delivery_id in list(self._tables.order_blocks.values()):
            # What a failed delivery holds up waits for a person.
            await self._cancel_one(delivery_id)

    # --- endpoints ----------------------------------------------------------------------------

    def _endpoint(self, at: str) -> Endpoint:
        return self._chance.one_of(f"{at}.endpoint", self._living())

    def _living(self, merchant: Merchant | None = None) -> list[Endpoint]:
        return [
            endpoint
            for endpoint in self._tables.endpoints.values()
            if endpoint.status is not EndpointStatus.DELETED
            and (merchant is None or endpoint.merchant_id == merchant.id)
        ]

    def _merchant(self, at: str) -> Merchant:
        return self._chance.one_of(f"{at}.merchant", list(self._tables.merchants.values()))

    async def _move(self, at: str) -> None:
        to = self._chance.one_of(f"{at}.move", list(Move))
        await endpoints.move(self._control, SYSTEM, self._endpoint(at), to)

    async def _edit(self, at: str) -> None:
        endpoint = self._endpoint(at)
        version = endpoint.url.rpartition("v")[2]
        drafts = (
            EndpointDraft(url=f"{endpoint.url.removesuffix(version)}{int(version) + 1}"),
            EndpointDraft(events=self._chance.one_of(f"{at}.events", PATTERNS)),
            EndpointDraft(headers=(("x-edit", str(endpoint.version)),)),
            EndpointDraft(ordering=self._chance.one_of(f"{at}.ordering", list(Ordering))),
            EndpointDraft(on_failed=self._chance.one_of(f"{at}.on_failed", list(OnFailed))),
            EndpointDraft(rate_limit_per_s=self._chance.one_of(f"{at}.rate", RATES_PER_S)),
            EndpointDraft(retry_policy=self._chance.one_of(f"{at}.delays", RETRY_DELAYS_S)),
            EndpointDraft(timeout_s=self._chance.one_of(f"{at}.timeout", (None, 2.0, 30.0))),
        )
        await endpoints.edit(
            self._control,
            SYSTEM,
            self._tables.merchants[endpoint.merchant_id],
            endpoint,
            self._chance.one_of(f"{at}.draft", drafts),
            if_version=self._chance.one_of(f"{at}.if", (None, endpoint.version)),
        )
        self._auditor.mark("endpoint edited")

    async def _rotate(self, at: str) -> None:
        await self._rotate_for(at, self._chance.whole(f"{at}.grace", _GRACE_S_MIN, _GRACE_S_MAX))

    async def _revoke(self, at: str) -> None:
        await self._rotate_for(at, 0)

    async def _rotate_for(self, at: str, grace_s: int) -> None:
        endpoint = self._endpoint(at)
        if endpoint.signature.type is SignatureType.NONE:
            return
        await secrets.rotate_endpoint_secret(self._control, SYSTEM, endpoint, grace_s=grace_s)
        self._auditor.mark("secret rotated" if grace_s else "secret revoked")

    async def _create(self, at: str) -> None:
        merchant = self._merchant(at)
        if len(self._living(merchant)) < _ENDPOINTS_MAX:
            await self.create(merchant, at)
            self._auditor.mark("endpoint made")

    async def _delete(self, at: str) -> None:
        endpoint = self._endpoint(at)
        if len(self._living(self._tables.merchants[endpoint.merchant_id])) > 1:
            await endpoints.delete(self._control, SYSTEM, endpoint, if_version=None)

    async def _test(self, at: str) -> None:
        endpoint = self._endpoint(at)
        merchant = self._tables.merchants[endpoint.merchant_id]
        await deliveries.send_test(self._control, SYSTEM, merchant, endpoint, owner=_OWNER)

    # --- deliveries ---------------------------------------------------------------------------

    async def _cancel(self, at: str) -> None:
        waiting = [*self._tables.queue.rows, *self._tables.order_blocks.values()]
        if waiting:
            await self._cancel_one(self._chance.one_of(f"{at}.delivery", waiting))

    async def _cancel_one(self, delivery_id: DeliveryId) -> None:
        self._auditor.record.asked_to_cancel.add(delivery_id)
        merchant, delivery = await self._find(delivery_id)
        if delivery is None:
            return
        cancelled = await deliveries.cancel(self._control, SYSTEM, merchant, delivery)
        if cancelled.state is State.FAILED:
            self._auditor.mark("object let go by a person")

    async def _expunge(self, at: str) -> None:
        known = list(self._tables.events)
        if not known:
            return
        event_id = self._chance.one_of(f"{at}.event", known)
        merchant = self._tables.merchants[self._tables.events[event_id].event.merchant_id]
        stored = await self._control.store.event(merchant.id, event_id)
        assert stored is not None
        ids = self._tables.deliveries_of_event(merchant.id, event_id)
        self._auditor.record.asked_to_cancel.update(ids)
        await deliveries.expunge(self._control, SYSTEM, merchant, stored)
        self._auditor.mark("event expunged")

    async def _retry(self, at: str) -> None:
        known = [*self._tables.queue.rows, *self._tables.deliveries]
        if not known:
            return
        chosen = self._chance.one_of(f"{at}.delivery", known)
        held_up = chosen in self._tables.order_blocks.values()
        merchant, delivery = await self._find(chosen)
        if delivery is not None:
            await deliveries.retry(self._control, SYSTEM, merchant, delivery)
            self._auditor.mark("object's head sent again" if held_up else "sent again by hand")

    async def _find(self, delivery_id: DeliveryId) -> tuple[Merchant, Delivery | None]:
        row = self._tables.queue.rows.get(delivery_id) or self._tables.deliveries[delivery_id]
        merchant = self._tables.merchants[row.merchant_id]
        return merchant, await self._control.store.delivery(merchant.id, delivery_id)

    # --- jobs ---------------------------------------------------------------------------------

    async def _job(self, at: str) -> None:
        merchant = self._merchant(at)
        chosen: list[EndpointId | None] = [None, *(each.id for each in self._living(merchant))]
        draft = ReplayDraft(
            filter=ReplayFilter(
                endpoint_id=self._chance.one_of(f"{at}.of", chosen),
                event_types=self._chance.one_of(f"{at}.types", ((), ("payment.*",))),
            ),
            include=(Include.FAILED, self._chance.one_of(f"{at}.include", list(Include))),
            rate_per_s=self._chance.skewed(f"{at}.rate", 0.5, 50.0),
        )
        job = await replay.create(self._control, SYSTEM, merchant, draft)
        self._auditor.mark("sent again by a job")
        if self._chance.draw(f"{at}.regrets") < _REGRETS:
            await asyncio.sleep(self._chance.skewed(f"{at}.after", 0.1, 20.0))
            await self._call_off_until_told(job)

    async def _call_off(self, at: str) -> None:
        jobs = list(self._tables.replays.values())
        if not jobs:
            return
        running = [job for job in jobs if job.state is ReplayState.RUNNING]
        chosen = self._chance.one_of(f"{at}.job", running or jobs)
        await self._call_off_until_told(chosen)

    async def _call_off_until_told(self, made: Replay) -> None:
        job = await self._control.store.replay(made.merchant_id, made.id)
        assert job is not None
        cancelled = await replay.cancel(self._control, SYSTEM, job)
        assert cancelled.state is ReplayState.CANCELLED
        self._auditor.note("job is called off")
        self._auditor.record.job_cancelled.add(job.id)
