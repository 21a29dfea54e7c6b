"""Inbound, step 3: fold what a receipt says with what was heard before, and tell what is due.

What is told is accepted like anybody's events, and the receipt's conclusion goes with it in one
transaction (docs/adr/0017). Everything here may run twice, in two processes at once: a word has
a key, and whoever finds it taken by another message reads the history again. So does whoever has
not seen all of it: a receipt ends only with what follows from everything that ended before it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from payhooks import ids
from payhooks.connectors.agreement import marked
from payhooks.connectors.contract import Heard
from payhooks.connectors.untold import untold
from payhooks.connectors.words import (
    Word,
    distinct,
    identity_of,
    meaning_in,
    message_in,
    told_of_others,
)
from payhooks.control.context import Control
from payhooks.control.event_types import TypeBook
from payhooks.errors import (
    HistoryMovedError,
    IdempotencyConflictError,
    InputError,
    InvalidError,
    NotFoundError,
    PayhooksError,
    UnavailableError,
)
from payhooks.flow.accept import Acceptor
from payhooks.flow.agree import Folding, agreed
from payhooks.flow.ask import Outcome, outcome_of
from payhooks.flow.conclude import (
    FAMILY,
    HISTORY_MAX,
    Due,
    TakenError,
    conclusion_of,
    drawn_from,
    ended,
    publication_of,
    seen_of,
)
from payhooks.flow.examine import examined
from payhooks.flow.messages import (
    Account,
    Wanted,
    messages_of,
    said_of,
    subject_of,
    under_own_ids,
)
from payhooks.flow.publication import Publication, Published
from payhooks.ids import MERCHANT, RECEIPT, to_text
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.receiving import Conclusion, Seen, Subject
from payhooks.ports.telemetry import Telemetry

# Of several equal words the event of one more is met with each.
_FOLDS_MAX: Final = 20
# What was told and is not heard for so long comes no more.
_NOT_HEARD_GIVE_UP: Final = timedelta(minutes=10)
_FOLD_AGAIN_S: Final = 0.02


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt tells, and its end that goes with that."""

    words: Sequence[Word]
    publications: Sequence[Publication]  # one a word
    conclusion: Conclusion


class Unkept(msgspec.Struct, frozen=True, kw_only=True):
    """That an answer is none yet that anybody keeps."""

    seen: Seen  # of what was asked for, before the question
    keep: Callable[[], Awaitable[None]]


class Teller:
    """Tells what follows from receipts, and ends them. One per process that works."""

    def __init__(
        self,
        control: Control,
        acceptor: Acceptor,
        book: TypeBook,
        *,
        telemetry: Telemetry,
    ) -> None:
        self._control = control
        self._acceptor = acceptor
        self._book = book
        self._telemetry = telemetry
        # By object: who is at work in this process, and who waits for that.
        self._turns: WeakValueDictionary[Subject, asyncio.Lock] = WeakValueDictionary()

    async def tell(
        self, account: Account, receipt: Receipt, told: Wanted, *, unkept: Unkept | None = None
    ) -> Outcome | None:
        """Tell what is due of each object, and end the receipt with that.

        An answer that is *unkept* is kept if it is news. None where another one was told since the
        question, and so nobody knows which is the newer.
        """
        taken: dict[Subject, dict[str, bytes]] = {}  # of which message, by what was said
        is_kept, is_newest = unkept is None, True
        async with self._turn({subject_of(account, group[0]) for group in told.groups}):
            for fold in range(_FOLDS_MAX):
                telling = await self._telling(account, receipt, told, taken)
                if not is_kept and telling.conclusion.state is not ReceiptState.PROCESSED:
                    return outcome_of(telling.conclusion)
                if unkept is not None and is_newest:
                    end = drawn_from(telling.conclusion, unkept.seen)
                    telling = msgspec.structs.replace(telling, conclusion=end)
                if unkept is not None and not is_kept:
                    await unkept.keep()
                    is_kept = True
                try:
                    ended_as = await self._publish(account, receipt, telling, sure=fold > 0)
                except TakenError as error:
                    # By a receipt that ends with that, or that has more to tell before its end.
                    taken.setdefault(subject_of(account, error.heard), {})[error.said] = (
                        error.identity
                    )
                except HistoryMovedError:
                    # In another process: what follows from both, whoever is second tells.
                    is_newest = unkept is None
                else:
                    if ended_as is not None:
                        self._alarm(receipt, telling)
                        return outcome_of(ended_as) if is_newest else None
                await asyncio.sleep(_FOLD_AGAIN_S)
        raise UnavailableError("others tell of the same object all the time")

    async def _telling(
        self,
        account: Account,
        receipt: Receipt,
        told: Wanted,
        taken: Mapping[Subject, Mapping[str, bytes]],
    ) -> Telling:
        """Return what is to be told of all of it; nothing, if the merchant takes no such event."""
        dues = [
            await self._due(account, receipt, group, taken.get(subject_of(account, group[0]), {}))
            for group in told.groups
        ]
        if receipt.is_answer:
            # It says all that there is, of each refund of a payment: most of that is known.
            dues = [due for due in dues if due.words or not due.repeated] or dues
        merchant, book = account.table.merchant, await self._book.current()
        words = tuple(word for due in dues for word in due.words)
        try:
            said = [publication_of(word, receipt, account.connector, merchant) for word in words]
            publications = [
                examined(each, book.find(FAMILY, each.type), account.table) for each in said
            ]
        except InvalidError as error:  # the merchant checks strictly
            refused = ended(receipt, ReceiptState.REFUSED, str(error), dues[0].heard)
            return Telling(words=(), publications=(), conclusion=refused)
        conclusion = conclusion_of(
            receipt,
            dues,
            provider=account.provider,
            detail=told.detail,
            new_id=self._control.ids.new,
            now=self._control.clock.now(),
        )
        return Telling(words=words, publications=publications, conclusion=conclusion)

    @asynccontextmanager
    async def _turn(self, subjects: Collection[Subject]) -> AsyncIterator[None]:
        """Let nobody else in this process tell of the same: each would have to read again."""
        async with AsyncExitStack() as turns:
            for subject in sorted(subjects, key=_place):
                turn = self._turns.setdefault(subject, asyncio.Lock())
                await turns.enter_async_context(turn)
            yield

    async def _due(
        self,
        account: Account,
        receipt: Receipt,
        group: Sequence[Heard],
        taken: Mapping[str, bytes],
    ) -> Due:
        about = group[0]
        before = await self._control.store.heard_before(
            subject_of(account, about), limit=HISTORY_MAX
        )
        # Each once: what was taken by another receipt is kept with both.
        kept = list(dict.fromkeys(word for each in before.heard for word in each.said))
        said = set(kept)
        others = [each.receipt for each in before.heard if each.receipt.id != receipt.id]
        once_told = {message_in(word) for word in (*said, *before.ancient)}
        once_told |= {identity.hex() for identity in taken.values()}
        told = said_of(account, others, about, once_told)
        folding = Folding(
            account=account,
            receipt=receipt,
            catalogue=await self._book.current(),
            now=self._control.clock.now(),
        )
        if receipt.is_answer:  # In another process the question before it may have ended later.
            every = messages_of(sorted([*told, (receipt, group)], key=lambda each: each[0].id))
            earlier = [message for message in every if message.receipt_id != receipt.id]
            new = [message for message in every if message.receipt_id == receipt.id]
        else:
            earlier = messages_of(told)
            new = agreed(folding, under_own_ids(group, once_told), earlier, before.ancient)
            every = [*earlier, *new]
        known = {identity_of(message.heard).hex() for message in earlier}
        if not receipt.is_answer:  # It comes with all that was known already, and names nothing.
            known |= {message_in(word) for word in before.ancient}
        messages = distinct(every)
        heard = {identity_of(message.heard) for message in messages}
        # Told with a receipt that is there, of messages whose own are not any more.
        gone = told_of_others(kept, heard)
        long_ago = list(dict.fromkeys([*before.ancient, *gone]))
        past = folding.history(messages, said=[*said, *taken], ancient=long_ago)
        # One that is not heard yet may change what is due, and is waited for. Unless it comes no
        # more: it was told in part, and then nobody was to hear of it.
        waited = self._control.clock.now() - receipt.received_at
        is_late = receipt.is_answer or waited >= _NOT_HEARD_GIVE_UP
        each_time = {word.meaning for word in past.words if word.each_time}
        # An equal one of now is another than those.
        other_parts = [word for word in gone if meaning_in(word) in each_time]
        said, ancient = said.difference(other_parts), [*before.ancient, *other_parts]
        for word, identity in taken.items():
            if identity in heard:
                said.add(word)
            elif is_late:
                # What is news each time is another than that one, and has the next number.
                is_other = meaning_in(word) in each_time and not receipt.is_answer
                (ancient.append if is_other else said.add)(word)
        return Due(
            heard=about,
            seen=seen_of(about, before),
            past=past,
            words=marked(untold(past.words, said, ancient), past.words, long_ago),
            taken=tuple(taken),
            repeated=all(identity_of(message.heard).hex() in known for message in new),
        )

    async def _publish(
        self, account: Account, receipt: Receipt, telling: Telling, *, sure: bool
    ) -> Conclusion | None:
        """Tell the words and end the receipt; None where the history has to be read again.

        *sure* means that it was read again: what is told already was told by this very receipt.

        Raises:
            TakenError: A word is another message's; the history has to be read again, too.
            HistoryMovedError: Another receipt of an object has ended meanwhile; so it has.

        """
        words, conclusion = telling.words, telling.conclusion
        if not words:
            return await self.conclude(account, conclusion)
        merchant_id = to_text(MERCHANT, account.table.merchant.id)
        last = msgspec.structs.replace(telling.publications[-1], conclusion=conclusion)
        publications = [*telling.publications[:-1], last]
        # The receipt ends with its last word, and that goes when the others are told: each of a
        # batch is accepted, or refused, by itself.
        for part in (slice(-1), slice(-1, None)) if len(words) > 1 else (slice(None),):
            results = await self._acceptor.publish(
                merchant_id, publications[part], authorise=lambda _table: None
            )
            for word, result in zip(words[part], results, strict=True):
                if isinstance(result, IdempotencyConflictError):
                    raise TakenError(word, result.content)
                if isinstance(result, InputError) and not isinstance(result, NotFoundError):
                    refused = ended(receipt, ReceiptState.REFUSED, str(result), word.message.heard)
                    return await self.conclude(account, refused)
                if isinstance(result, PayhooksError):
                    raise _unavailable(result)
        told = results[-1]
        assert isinstance(told, Published)
        if told.repeated and not sure:
            # The same message may have come in another receipt, whose duplicate this is.
            return None
        if told.repeated:
            # Told before, by this receipt: it was not ended with that.
            return await self.conclude(account, conclusion)
        self._count(account, conclusion)
        return conclusion

    async def conclude(self, account: Account, conclusion: Conclusion) -> Conclusion:
        """End a receipt that tells nothing; return its end.

        Raises:
            HistoryMovedError: More was heard of its objects than it was drawn from.

        """
        if await self._control.store.conclude([conclusion]):
            raise HistoryMovedError("more was heard of the object meanwhile")
        self._count(account, conclusion)
        return conclusion

    def _alarm(self, receipt: Receipt, telling: Telling) -> None:
        """Have somebody look at money that was told with two amounts."""
        if any(word.conflicting for word in telling.words):
            self._telemetry.alarmed("conflicting_amount", to_text(RECEIPT, receipt.id))

    def _count(self, account: Account, conclusion: Conclusion) -> None:
        waited_s = ids.age_s(conclusion.receipt_id, self._control.clock.now())
        self._telemetry.receipt_concluded(
            account.connector.dialect, conclusion.state, waited_s=waited_s
        )


def _unavailable(error: PayhooksError) -> UnavailableError:
    return error if isinstance(error, UnavailableError) else UnavailableError(str(error))


def _place(subject: Subject) -> tuple[str, str]:
    # All of one receipt have the same connector.
    return subject.object_type, subject.object_id
