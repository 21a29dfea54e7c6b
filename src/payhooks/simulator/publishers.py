"""Publishers: they repeat themselves, with their keys, until they are told that they were heard."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from payhooks.errors import (
    ConflictError,
    IdempotencyConflictError,
    PayhooksError,
    UnavailableError,
)
from payhooks.flow.publication import Publication, Published
from payhooks.ids import MERCHANT, to_text
from payhooks.model.merchant import Merchant
from payhooks.simulator.answers import Answers
from payhooks.simulator.auditor import Auditor
from payhooks.simulator.chance import Chance
from payhooks.simulator.process import Process
from payhooks.simulator.promises import Promise

TYPES: Final = ("payment.moved", "payment.moved", "payment.failed", "refund.made")
_OBJECTS: Final = 4
_BATCH_MAX: Final = 4
_TIMEOUT_S: Final = 10.0
_RETRIES_MAX: Final = 5_000
_BATCHES: Final = 0.3  # of requests bring several
_HEDGES: Final = 0.1  # of requests go to two processes at once
_REPEATS: Final = 0.05  # of requests come once more, long after they were answered
_OTHERS: Final = 0.05  # and so often with other content under the same key
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
        self._name = f"{merchant.name}.{name}"
        # Merchants count alike: their keys are the same, and must not meet.
        self._keys = name
        self._merchant = merchant
        self._chance = chance
        self._auditor = auditor
        self._answers = Answers(auditor)
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
            if self._chance.draw(f"{at}.repeats") < _REPEATS:
                await self._once(f"{at}.repeat", batch, again=True)
            if self._chance.draw(f"{at}.others") < _OTHERS:
                await self._say_otherwise(f"{at}.other", batch[0])

    def _publication(self, number: int) -> Publication:
        name = f"{self._name}-{number}"
        number_of_object = self._chance.whole(f"{name}.object", 1, _OBJECTS)
        return Publication(
            type=self._chance.one_of(f"{name}.type", TYPES),
            family="simulated",
            data=b'{"said":"%b"}' % name.encode(),
            object_type="payment",
            object_id=str(number_of_object),
            idempotency_key=f"{self._keys}-{number}",
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
        self._auditor.blame(Promise.ENDS, f"{self._name} was never answered")

    async def _say_otherwise(self, at: str, said: Publication) -> None:
        """Say something else under a key that was answered: it must be refused."""
        other = msgspec.structs.replace(said, data=b'{"said":"something else"}')
        results = await self._ask(at, [other])
        if results is None or not isinstance(results[0], Published | IdempotencyConflictError):
            return
        self._auditor.mark("conflict told")
        self._auditor.demand(
            Promise.KEYS,
            isinstance(results[0], IdempotencyConflictError),
            lambda: f"{self._name} was answered as if two contents were one",
        )

    async def _ask(
        self, at: str, batch: Sequence[Publication]
    ) -> list[Published | PayhooksError] | None:
        """Return what one process answers; None where it does not."""
        process = self._pick(at)
        reference = to_text(MERCHANT, self._merchant.id)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await process.call(
                    lambda: process.acceptor.publish(
                        reference, batch, authorise=lambda _table: None
                    )
                )
        except _TRY_AGAIN:
            return None
        except Exception as error:  # noqa: BLE001 - nothing else may be answered
            self._auditor.blame(Promise.NO_BUG, f"{self._name} was answered {error!r}")
            return None

    async def _once(self, at: str, batch: Sequence[Publication], *, again: bool = False) -> bool:
        """Return whether everything of *batch* was answered with an id."""
        results = await self._ask(at, batch)
        if results is None or self._chance.fires(f"{at}.reply_lost", self._reply_lost_rate):
            return False
        return self._check(batch, results, again=again)

    def _check(
        self,
        batch: Sequence[Publication],
        results: Sequence[Published | PayhooksError],
        *,
        again: bool,
    ) -> bool:
        # What was answered before keeps its place.
        places = {} if again else dict(self._places)
        for publication, result in zip(batch, results, strict=True):
            key, object_id = _named(publication)
            if isinstance(result, IdempotencyConflictError):
                self._auditor.blame(Promise.KEYS, f"{self._name} was answered {result!r} for {key}")
                continue
            if isinstance(result, _TRY_AGAIN):
                continue
            if isinstance(result, PayhooksError):
                self._auditor.blame(Promise.NO_BUG, f"{key} was answered {result!r}")
                continue
            place = self._answers.published(
                self._merchant.id,
                key,
                result.event_id,
                result.deliveries,
                data=publication.data,
                after=places.get(object_id, -1),
            )
            places[object_id] = max(place, places.get(object_id, -1))
        return all(isinstance(result, Published) for result in results)

    def _remember(self, batch: Sequence[Publication]) -> None:
        for publication in batch:
            key, object_id = _named(publication)
            event_id = self._auditor.record.told[self._merchant.id, key]
            self._places[object_id] = self._auditor.record.accepted_as[event_id]


def _named(publication: Publication) -> tuple[str, str]:
    key, object_id = publication.idempotency_key, publication.object_id
    assert key is not None
    assert object_id is not None
    return key, object_id
