"""Beside the way: what waits for longer than its provider usually takes is asked for, and said.

An expectation is judged when it is due, by folding its object again: it waits still, or it does
not. What the provider answers is kept as a receipt and processed like what he sends by himself.
He may not answer for seconds: then what others wait for is judged meanwhile, and what moved.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

import msgspec

from payhooks.control import objects
from payhooks.control.context import Control
from payhooks.control.event_types import TypeBook
from payhooks.control.objects import ObjectStory
from payhooks.errors import (
    ConflictError,
    InvalidError,
    NotFetchedError,
    PayhooksError,
    UnavailableError,
)
from payhooks.flow.accept import Acceptor
from payhooks.flow.conclude import FAMILY, HISTORY_MAX, seen_of, unless_heard
from payhooks.flow.messages import Account, asked_for, subject_of
from payhooks.flow.normalise import Normaliser
from payhooks.flow.publication import Publication
from payhooks.ids import MERCHANT, MerchantId, to_text
from payhooks.model.connector import ConnectorStatus
from payhooks.model.expectation import Expectation
from payhooks.ports.receiving import Seen
from payhooks.ports.telemetry import Telemetry

PROCESSING: Final = "payment_processing"
CLAIMED_S: Final = 30.0
CLAIM_MAX: Final = 4
# Each may wait for its provider; all of them end within the claim. Of who has more than half of
# his none are claimed, so that he has no more than these.
AT_ONCE_MAX: Final = 64
AT_ONCE_OF_ONE_MAX: Final = 2 * CLAIM_MAX
# The last places are for merchants of whom nothing is under way, one each: a provider is silent to
# all of his merchants at once.
RESERVED: Final = 16
CLAIM_EVERY_S: Final = 1.0
# What is overdue is looked at again so often, and asked for again.
AGAIN_S: Final = 3_600.0
OBJECT_BYTES_MAX: Final = 1024 * 1024


class Expecter:
    """Looks after what is waited for. One per process that works."""

    def __init__(
        self,
        control: Control,
        acceptor: Acceptor,
        normaliser: Normaliser,
        book: TypeBook,
        *,
        telemetry: Telemetry,
    ) -> None:
        self._control = control
        self._acceptor = acceptor
        self._normaliser = normaliser
        self._book = book
        self._telemetry = telemetry
        self._under_way: dict[asyncio.Task[None], MerchantId] = {}

    async def step(self) -> int:
        """Judge what is due, until nothing is under way; return how many that were.

        Broken off, it breaks off what is under way.
        """
        judged = 0
        try:
            while True:
                begun = await self._judge_moved() + await self._begin()
                judged += begun
                if begun:
                    continue
                if not self._under_way:
                    return judged
                # There is no more, or no room for more.
                await asyncio.wait(
                    list(self._under_way),
                    timeout=CLAIM_EVERY_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            await self._break_off()

    async def _judge_moved(self) -> int:
        """Judge some of what moved; return how many.

        Nobody is asked: so none of them needs a place, nor waits for one behind thousands of whose
        provider is silent.
        """
        moved = await self._control.store.claim_moved(limit=CLAIM_MAX, for_s=CLAIMED_S)
        for expectation in moved:
            await self._end(expectation, may_ask=False)
        return len(moved)

    async def _begin(self) -> int:
        """Begin as many as there is room for; return how many."""
        room = AT_ONCE_MAX - len(self._under_way)
        if not room:
            return 0
        busy = Counter(self._under_way.values())
        if room > RESERVED:
            limit = min(room - RESERVED, CLAIM_MAX)
            skip = [id_ for id_, count in busy.items() if count > AT_ONCE_OF_ONE_MAX - CLAIM_MAX]
        else:
            limit, skip = 1, list(busy)
        due = await self._control.store.claim_expectations(limit=limit, for_s=CLAIMED_S, skip=skip)
        for expectation in due:
            task = asyncio.create_task(self._end(expectation, may_ask=True))
            self._under_way[task] = expectation.merchant_id
            task.add_done_callback(self._under_way.pop)
        return len(due)

    async def _break_off(self) -> None:
        while self._under_way:
            for task in self._under_way:
                task.cancel()
            await asyncio.wait(list(self._under_way))

    async def _end(self, expectation: Expectation, *, may_ask: bool) -> None:
        try:
            await self._judge(expectation, may_ask=may_ask)
        except UnavailableError:
            return  # it is due again when the claim ends
        except Exception as error:  # noqa: BLE001 - one object's must not stop the others
            self._telemetry.bug_caught("expect", error)

    async def _judge(self, expectation: Expectation, *, may_ask: bool) -> None:
        account = await self._normaliser.account(expectation)
        if account.connector.status is ConnectorStatus.DELETED:
            await self._control.store.forget_expectation(expectation)
            return
        awaits = account.provider.waits
        story = await self._story(expectation)
        left_s = self._left_s(story, awaits)
        seen: list[Seen] = []
        if left_s is not None and left_s <= 0:
            if not may_ask:  # it waits all the same, and has its turn like any other
                await self._control.store.write_expectation(expectation, due_in_s=0.0)
                return
            await self._ask(account, expectation)
            # The answer may be that it waits, by which it was heard again.
            reread = await self._control.store.reread_expectation(expectation)
            if reread is None:
                return  # somebody else judged it meanwhile
            expectation = reread
            # Before the look that is told of: what is heard from here on keeps it from being told,
            # and the expectation from being written.
            seen = await self._seen(account, expectation)
            story = await self._story(expectation)
            left_s = self._left_s(story, awaits)
        if story is None or left_s is None:
            await self._control.store.forget_expectation(expectation)
            return
        since = story.state.since or expectation.since
        judged = msgspec.structs.replace(expectation, since=since, overdue=left_s <= 0)
        if judged.overdue and event_of(story) == PROCESSING:
            await self._say(account, expectation, story, seen)
        due_in_s = AGAIN_S if judged.overdue else left_s
        await self._control.store.write_expectation(judged, due_in_s=due_in_s)

    def _left_s(self, story: ObjectStory | None, awaits: Mapping[str, timedelta]) -> float | None:
        """Return for how long it may still be where it stands; None where no more is to come."""
        usual = None if story is None else awaits.get(event_of(story) or "")
        if story is None or usual is None or story.state.since is None:
            return None
        return (story.state.since + usual - self._control.clock.now()).total_seconds()

    async def _story(self, expectation: Expectation) -> ObjectStory | None:
        book = await self._book.current()
        found = await objects.read(
            self._control,
            expectation.merchant_id,
            expectation.object_id,
            bytes_max=OBJECT_BYTES_MAX,
        )
        return await objects.folded(
            self._control, expectation.object_id, expectation.object_type, found, book=book
        )

    async def _ask(self, account: Account, expectation: Expectation) -> None:
        """Ask the provider, and keep what he answers, where he can be asked and answers."""
        about = asked_for(expectation.heard_type, expectation.heard_id)
        with suppress(InvalidError, NotFetchedError):
            await self._normaliser.ask(account, about)

    async def _seen(self, account: Account, expectation: Expectation) -> list[Seen]:
        """Return how much was heard of the object: as the provider calls it, and as it is told."""
        names = {
            (expectation.heard_type, expectation.heard_id),
            (expectation.object_type, expectation.object_id),
        }
        found = []
        for about in [asked_for(*name) for name in sorted(names)]:
            subject = subject_of(account, about)
            before = await self._control.store.heard_before(subject, limit=HISTORY_MAX)
            found.append(seen_of(about, before))
        return found

    async def _say(
        self,
        account: Account,
        expectation: Expectation,
        story: ObjectStory,
        seen: Sequence[Seen],
    ) -> None:
        """Tell once that it takes longer than it should.

        Raises:
            HistoryMovedError: More was heard than was *seen*; nothing is told.

        """
        newest = next((one.event for one in story.events if not one.expunged), None)
        if newest is None:
            return  # a person had all of it removed
        data = msgspec.json.decode(newest.data, type=dict[str, msgspec.Raw])
        said = {
            **data,
            "status": msgspec.Raw(b'"processing"'),
            "delayed": msgspec.Raw(b"true"),
        }
        publication = Publication(
            type=PROCESSING,
            family=FAMILY,
            data=msgspec.json.encode(said),
            object_type=expectation.object_type,
            object_id=expectation.object_id,
            # The same news once more, and no later: what comes next may have happened before now.
            occurred_at=newest.occurred_at,
            # No receipt: the provider said nothing, which is the news.
            metadata=msgspec.json.encode({"connector": account.connector.name}),
            idempotency_key=_key(expectation),
            # The data may differ from look to look: it is the same word.
            content=hashlib.sha256(_key(expectation).encode()).digest()[:16],
            conclusion=unless_heard(expectation, seen),
        )
        [result] = await self._acceptor.publish(
            to_text(MERCHANT, expectation.merchant_id),
            [publication],
            authorise=lambda _table: None,
        )
        if isinstance(result, PayhooksError) and not isinstance(result, ConflictError):
            raise result


def event_of(story: ObjectStory) -> str | None:
    """Return the unified event that says where the object stands now."""
    unified = story.state.unified
    return None if unified is None else unified.event


def _key(expectation: Expectation) -> str:
    # No publisher can send this character in a key, so none comes before us with one of ours.
    return f"\x1fdelayed:{expectation.object_type}:{expectation.object_id}:{expectation.id.hex()}"
