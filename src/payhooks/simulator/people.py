"""Those outside: publishers that repeat themselves until they are told, operators that meddle."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from payhooks.control import deliveries, endpoints, replay, secrets
from payhooks.control.context import SYSTEM, Control
from payhooks.control.endpoints import Move
from payhooks.control.replay import ReplayDraft
from payhooks.errors import ConflictError, NotFoundError, PayhooksError, UnavailableError
from payhooks.flow.publication import Publication, Published
from payhooks.ids import MERCHANT, DeliveryId, to_text
from payhooks.model.delivery import Delivery
from payhooks.model.endpoint import EndpointStatus, SignatureType
from payhooks.model.merchant import Merchant
from payhooks.model.replay import Include, ReplayFilter
from payhooks.simulator.auditor import Auditor
from payhooks.simulator.chance import Chance
from payhooks.simulator.process import Process
from payhooks.storage.memory.tables import Tables

_OBJECTS: Final = 4
_BATCH_MAX: Final = 4
_TIMEOUT_S: Final = 10.0
_RETRIES_MAX: Final = 5_000
_BATCHES: Final = 0.3  # of requests bring several
_HEDGES: Final = 0.1  # of requests go to two processes at once
_DELETES: Final = 0.05  # of what operators do, and once only
_CANCELS: Final = 0.15
_RETRIES: Final = 0.3
_ROTATIONS: Final = 0.2
_GRACE_S_MIN: Final = 20  # longer than a lease waits before its request
_GRACE_S_MAX: Final = 60
_JOBS: Final = 0.1
# What a publisher may be told, or not be told, that makes it try again.
_TRY_AGAIN = (UnavailableError, ConflictError, ConnectionError, TimeoutError)


class Publisher:
    """One client: says one thing after the other, each until it is told that it was heard."""

    def __init__(  # noqa: PLR0913 - every collaborator is named at the call site
        self,
        name: str,
        merchant: Merchant,
        *,
        chance: Chance,
        auditor: Auditor,
        pick: Callable[[str], Process],
        thinks_s: float,
        reply_lost_rate: float,
    ) -> None:
        self._name = name
        self._merchant = merchant
        self._chance = chance
        self._auditor = auditor
        self._pick = pick
        self._thinks_s = thinks_s
        self._reply_lost_rate = reply_lost_rate
        self._places: dict[str, int] = {}  # of the last one answered, by object

    async def run(self, publications: int) -> None:
        """Say so many things."""
        said = 0
        while said < publications:
            at = self._chance.numbered(f"{self._name}.request")
            await asyncio.sleep(self._thinks_s * self._chance.draw(f"{at}.thinks") ** 3)
            size = 1
            if self._chance.draw(f"{at}.batch") < _BATCHES:
                size = self._chance.whole(f"{at}.size", 2, _BATCH_MAX)
            batch = [self._publication(said + index) for index in range(size)]
            said += size
            await self._say(at, batch)

    def _publication(self, number: int) -> Publication:
        name = f"{self._name}-{number}"
        number_of_object = self._chance.whole(f"{name}.object", 1, _OBJECTS)
        return Publication(
            type="payment.moved",
            family="simulated",
            data=b'{"said":"%b"}' % name.encode(),
            object_type="payment",
            object_id=str(number_of_object),
            idempotency_key=name,
        )

    async def _say(self, at: str, batch: Sequence[Publication]) -> None:
        for number in range(_RETRIES_MAX):
            now = f"{at}.try{number}"
            tries = [self._once(f"{now}.a", batch)]
            if self._chance.draw(f"{now}.hedge") < _HEDGES:
                tries.append(self._once(f"{now}.b", batch))
            heard = await asyncio.gather(*tries)
            if any(heard):
                self._remember(batch)
                return
            await asyncio.sleep(self._chance.skewed(f"{now}.wait", 0.05, 3.0))
        self._auditor.blame(f"{self._name} was never answered")

    async def _once(self, at: str, batch: Sequence[Publication]) -> bool:
        """Return whether everything of *batch* was answered with an id."""
        process = self._pick(at)
        reference = to_text(MERCHANT, self._merchant.id)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                results = await process.call(
                    lambda: process.acceptor.publish(
                        reference, batch, authorise=lambda _table: None
                    )
                )
        except _TRY_AGAIN:
            return False
        except Exception as error:  # noqa: BLE001 - nothing else may be answered
            self._auditor.blame(f"{self._name} was answered {error!r}")
            return False
        if self._chance.fires(f"{at}.reply_lost", self._reply_lost_rate):
            return False
        return self._check(batch, results)

    def _check(
        self, batch: Sequence[Publication], results: Sequence[Published | PayhooksError]
    ) -> bool:
        places = dict(self._places)
        for publication, result in zip(batch, results, strict=True):
            if isinstance(result, _TRY_AGAIN):
                continue
            key, object_id = publication.idempotency_key, publication.object_id
            assert key is not None
            assert object_id is not None
            if isinstance(result, PayhooksError):
                self._auditor.blame(f"{key} was answered {result!r}")
                continue
            places[object_id] = self._auditor.published(
                self._merchant.id,
                key,
                result.event_id,
                result.deliveries,
                after=places.get(object_id, -1),
            )
        return all(isinstance(result, Published) for result in results)

    def _remember(self, batch: Sequence[Publication]) -> None:
        for publication in batch:
            key, object_id = publication.idempotency_key, publication.object_id
            assert key is not None
            assert object_id is not None
            event_id = self._auditor.record.told[self._merchant.id, key]
            self._places[object_id] = self._auditor.record.accepted_as[event_id]


class Operator:
    """Pauses, resumes, disables, enables, deletes and cancels, whatever is under way."""

    def __init__(
        self, control: Control, *, tables: Tables, chance: Chance, auditor: Auditor, replays: bool
    ) -> None:
        self._control = control
        self._tables = tables
        self._chance = chance
        self._auditor = auditor
        self._replays = replays
        self._deleted = False

    async def meddle(self, at: str) -> None:
        """Do one thing."""
        known = [
            endpoint
            for endpoint in self._tables.endpoints.values()
            if endpoint.status is not EndpointStatus.DELETED
        ]
        endpoint = self._chance.one_of(f"{at}.endpoint", known)
        act = self._chance.draw(f"{at}.act")
        try:
            if act < _DELETES and not self._deleted and len(known) > 1:
                self._deleted = True
                await endpoints.delete(self._control, SYSTEM, endpoint, if_version=None)
            elif act < _DELETES + _CANCELS:
                await self._cancel(at)
            elif self._replays and act < _DELETES + _CANCELS + _RETRIES:
                await self._retry(at)
            elif self._replays and act < _DELETES + _CANCELS + _RETRIES + _JOBS:
                await self._send_again(at)
            elif endpoint.signature.type is not SignatureType.NONE and act > 1 - _ROTATIONS:
                grace_s = self._chance.whole(f"{at}.grace", _GRACE_S_MIN, _GRACE_S_MAX)
                self._auditor.mark("secret rotated")
                await secrets.rotate_endpoint_secret(
                    self._control, SYSTEM, endpoint, grace_s=grace_s
                )
            else:
                move = self._chance.one_of(f"{at}.move", list(Move))
                await endpoints.move(self._control, SYSTEM, endpoint, move)
        except (ConflictError, NotFoundError, UnavailableError):
            self._auditor.mark("operator was refused")

    async def open_everything(self) -> None:
        """Let every endpoint that is not deleted hear again."""
        for endpoint in list(self._tables.endpoints.values()):
            if endpoint.status is EndpointStatus.PAUSED:
                await endpoints.move(self._control, SYSTEM, endpoint, Move.RESUME)
            elif endpoint.status is EndpointStatus.DISABLED:
                await endpoints.move(self._control, SYSTEM, endpoint, Move.ENABLE)
        for delivery_id in list(self._tables.order_blocks.values()):
            # What a failed delivery holds up waits for a person.
            await self._cancel_one(delivery_id)

    async def _cancel(self, at: str) -> None:
        waiting = list(self._tables.queue.rows.values())
        if not waiting:
            return
        await self._cancel_one(self._chance.one_of(f"{at}.delivery", waiting).id)

    async def _cancel_one(self, delivery_id: DeliveryId) -> None:
        merchant, delivery = await self._find(delivery_id)
        if delivery is not None:
            await deliveries.cancel(self._control, SYSTEM, merchant, delivery)

    async def _retry(self, at: str) -> None:
        known = [*self._tables.queue.rows, *self._tables.deliveries]
        if not known:
            return
        merchant, delivery = await self._find(self._chance.one_of(f"{at}.delivery", known))
        if delivery is not None:
            self._auditor.mark("sent again by hand")
            await deliveries.retry(self._control, SYSTEM, merchant, delivery)

    async def _send_again(self, at: str) -> None:
        merchant = self._chance.one_of(f"{at}.merchant", list(self._tables.merchants.values()))
        draft = ReplayDraft(
            filter=ReplayFilter(),
            include=(Include.FAILED, self._chance.one_of(f"{at}.include", list(Include))),
            rate_per_s=self._chance.skewed(f"{at}.rate", 1.0, 100.0),
        )
        self._auditor.mark("sent again by a job")
        await replay.create(self._control, SYSTEM, merchant, draft)

    async def _find(self, delivery_id: DeliveryId) -> tuple[Merchant, Delivery | None]:
        row = self._tables.queue.rows.get(delivery_id) or self._tables.deliveries[delivery_id]
        merchant = self._tables.merchants[row.merchant_id]
        return merchant, await self._control.store.delivery(merchant.id, delivery_id)
