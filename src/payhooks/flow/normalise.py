"""Inbound, step 2: read a receipt, fold it with what was heard before, tell what is due.

What is told is accepted like anybody's events, and the receipt's conclusion goes with it in one
transaction (docs/adr/0017). Everything here may run twice, in two processes at once: a word has
a key, and whoever finds it taken by another message reads the history again. So does whoever has
not seen all of it: a receipt ends only with what follows from everything that ended before it.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from payhooks import ids
from payhooks.connectors import history, registry
from payhooks.connectors.contract import Heard
from payhooks.connectors.history import History, Message, Word, identity_of
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
from payhooks.flow.ask import GIVE_UP, Asker
from payhooks.flow.conclude import FAMILY, Due, conclusion_of, ended, publication_of
from payhooks.flow.examine import examined
from payhooks.flow.messages import (
    HISTORY_MAX,
    Account,
    Wanted,
    is_fetched,
    messages_of,
    read,
    said_of,
    subject_of,
    wanted,
)
from payhooks.flow.publication import Publication, Published
from payhooks.flow.routing import Directory
from payhooks.ids import MERCHANT, RECEIPT, to_text
from payhooks.model.expectation import Expectation
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.receiving import Conclusion, Seen, Subject
from payhooks.ports.telemetry import Telemetry

# Of several equal words the event of one more is met with each.
_FOLDS_MAX: Final = 20
_FOLD_AGAIN_S: Final = 0.02


class ContradictedError(Exception):
    """The provider said otherwise before, under the same id."""


class TakenError(Exception):
    """As this word another message was told."""

    def __init__(self, word: Word, identity: bytes) -> None:
        super().__init__(word.text)
        self.said, self.identity = word.said_of(identity), identity


class Normaliser:
    """Brings receipts to their end. One per process that works."""

    def __init__(  # noqa: PLR0913 - every collaborator is named at the call site
        self,
        control: Control,
        acceptor: Acceptor,
        directory: Directory,
        book: TypeBook,
        *,
        asker: Asker,
        telemetry: Telemetry,
    ) -> None:
        self._control = control
        self._acceptor = acceptor
        self._directory = directory
        self._book = book
        self._asker = asker
        self._telemetry = telemetry
        # By object: who is at work in this process, and who waits for that.
        self._turns: WeakValueDictionary[Subject, asyncio.Lock] = WeakValueDictionary()

    async def process(self, receipt: Receipt) -> None:
        """Read one receipt, tell what is due, and conclude it.

        Raises:
            UnavailableError: It cannot be done now; nothing is lost, and it may be done again.

        """
        account = await self.account(receipt)
        try:
            if is_fetched(receipt):
                await self._fetch(account, receipt)
                return
            heards = read(account, receipt)
            told = wanted(account, receipt, heards, await self._book.current())
            if isinstance(told, Conclusion):
                await self._conclude(account, told)
            else:
                await self._tell(account, receipt, told)
        except ContradictedError:
            words = "The provider said otherwise under the same id before; nothing was told."
            await self._conclude(
                account, ended(receipt, ReceiptState.CONFLICTING, words, heards[0])
            )
            self._telemetry.alarmed("conflicting_receipt", to_text(RECEIPT, receipt.id))
        except InvalidError as error:
            await self._conclude(account, ended(receipt, ReceiptState.UNDECODABLE, str(error)))
        except UnavailableError:
            raise
        except Exception as error:
            if self._control.clock.now() - receipt.received_at < GIVE_UP:
                raise
            self._telemetry.bug_caught("normalise", error, about=to_text(RECEIPT, receipt.id))
            words = "Payhooks could not read it for a day, which is its fault and not the sender's."
            await self._conclude(account, ended(receipt, ReceiptState.UNDECODABLE, words))

    async def account(self, brought: Receipt | Expectation) -> Account:
        """Return by whose connector it came."""
        table = await self._directory.find(to_text(MERCHANT, brought.merchant_id))
        connector = table.connector(brought.connector_id)
        if connector is None:  # deleted meanwhile; what was stored is told all the same
            stored = await self._control.store.connector(brought.merchant_id, brought.connector_id)
            assert stored is not None, "connectors are marked as deleted, and stay"
            connector = stored
        return Account(
            table=table,
            connector=connector,
            provider=registry.bound(connector, table.merchant),
            options=dict(connector.options),
            keys=table.verifying_keys(connector, self._control.clock.now()),
        )

    async def _fetch(self, account: Account, receipt: Receipt) -> None:
        """Ask for what the receipt names, keep what is news, and process that."""
        answers = await self._asker.fetch(account, receipt)
        for answer in answers.news:
            await self._asker.keep(account, answer)
        await self._conclude(account, answers.conclusion)
        for answer in answers.news:
            await self.process(answer)

    async def _tell(self, account: Account, receipt: Receipt, told: Wanted) -> None:
        """Tell what is due of each object, and end the receipt with that."""
        taken: dict[str, bytes] = {}  # of which message, by what was said
        async with self._turn({subject_of(receipt, group[0]) for group in told.groups}):
            for fold in range(_FOLDS_MAX):
                dues = [await self._due(account, receipt, group, taken) for group in told.groups]
                conclusion = conclusion_of(
                    receipt,
                    dues,
                    provider=account.provider,
                    detail=told.detail,
                    new_id=self._control.ids.new,
                    now=self._control.clock.now(),
                )
                try:
                    if await self._publish(account, receipt, dues, conclusion, sure=fold > 0):
                        return
                except TakenError as error:
                    # By a receipt that ends with that, or that has more to tell before its end.
                    taken[error.said] = error.identity
                except HistoryMovedError:
                    pass  # In another process: what follows from both, whoever is second tells.
                await asyncio.sleep(_FOLD_AGAIN_S)
        raise UnavailableError("others tell of the same object all the time")

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
            subject_of(receipt, about), limit=HISTORY_MAX
        )
        said = {word for each in before.heard for word in each.said}
        others = [each.receipt for each in before.heard if each.receipt.id != receipt.id]
        every = messages_of([*said_of(account, others, about), (receipt, group)])
        earlier = [message for message in every if message.receipt_id != receipt.id]
        new = [message for message in every if message.receipt_id == receipt.id]
        known = {identity_of(message.heard).hex() for message in earlier}
        if not receipt.is_answer:  # what is asked for comes with all that was known already
            known |= {history.message_in(word) for word in before.ancient}
        await self._demand_agreement(account, earlier, new)
        messages = history.distinct(every)
        past = await self._folded(account, messages)
        heard = {identity_of(message.heard) for message in messages}
        # One that is not heard yet may change what is due: it is waited for.
        said |= {each for each, identity in taken.items() if identity in heard}
        return Due(
            heard=about,
            seen=Seen(
                object_type=about.object_type,
                object_id=about.object_id,
                count=len(before.heard),
                since=before.heard[0].receipt.id if len(before.heard) == HISTORY_MAX else None,
            ),
            past=past,
            words=history.untold(past.words, said, before.ancient),
            repeated=all(identity_of(message.heard).hex() in known for message in new),
        )

    async def _demand_agreement(
        self, account: Account, earlier: Sequence[Message], new: Sequence[Message]
    ) -> None:
        """Return if what is said twice under one id is the same.

        Raises:
            ContradictedError: It means another event, or another amount.

        """
        known = {identity_of(message.heard): message for message in reversed(earlier)}
        for message in new:
            other = known.get(identity_of(message.heard))
            if other is None or other.heard.data == message.heard.data:
                continue
            first = await self._folded(account, [other])
            second = await self._folded(account, [message])
            if [word.meaning for word in first.words] != [word.meaning for word in second.words]:
                raise ContradictedError

    async def _folded(self, account: Account, messages: Sequence[Message]) -> History:
        return history.folded(
            account.provider,
            messages,
            account.options,
            catalogue=await self._book.current(),
            merchant_id=account.table.merchant.id,
            now=self._control.clock.now(),
        )

    async def _publish(
        self,
        account: Account,
        receipt: Receipt,
        dues: Sequence[Due],
        conclusion: Conclusion,
        *,
        sure: bool,
    ) -> bool:
        """Tell the words and end the receipt; False where the history has to be read again.

        *sure* means that it was read again: what is told already was told by this very receipt.

        Raises:
            TakenError: A word is another message's; the history has to be read again, too.
            HistoryMovedError: Another receipt of an object has ended meanwhile; so it has.

        """
        words = [word for due in dues for word in due.words]
        if not words:
            await self._conclude(account, conclusion)
            return True
        merchant = account.table.merchant
        said = [publication_of(word, receipt, account.connector, merchant) for word in words]
        try:
            publications = [await self._examined(account, each) for each in said]
        except InvalidError as error:  # the merchant checks strictly
            refused = ended(receipt, ReceiptState.REFUSED, str(error), dues[0].heard)
            await self._conclude(account, refused)
            return True
        publications[-1] = msgspec.structs.replace(publications[-1], conclusion=conclusion)
        # The receipt ends with its last word, and that goes when the others are told: each of a
        # batch is accepted, or refused, by itself.
        for part in (slice(-1), slice(-1, None)) if len(words) > 1 else (slice(None),):
            results = await self._acceptor.publish(
                to_text(MERCHANT, merchant.id), publications[part], authorise=lambda _table: None
            )
            for word, result in zip(words[part], results, strict=True):
                if isinstance(result, IdempotencyConflictError):
                    raise TakenError(word, result.content)
                if isinstance(result, InputError) and not isinstance(result, NotFoundError):
                    refused = ended(receipt, ReceiptState.REFUSED, str(result), dues[0].heard)
                    await self._conclude(account, refused)
                    return True
                if isinstance(result, PayhooksError):
                    raise _unavailable(result)
        told = results[-1]
        assert isinstance(told, Published)
        if told.repeated and not sure:
            # The same message may have come in another receipt, whose duplicate this is.
            return False
        if told.repeated:
            # Told before, by this receipt: it was not ended with that.
            await self._conclude(account, conclusion)
        else:
            self._count(account, conclusion)
        return True

    async def _examined(self, account: Account, publication: Publication) -> Publication:
        book = await self._book.current()
        return examined(publication, book.find(FAMILY, publication.type), account.table)

    async def _conclude(self, account: Account, conclusion: Conclusion) -> None:
        if await self._control.store.conclude([conclusion]):
            raise HistoryMovedError("more was heard of the object meanwhile")
        self._count(account, conclusion)

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
