"""Inbound, step 2: read a receipt, or ask for what it names; what it says goes on to be told."""

from datetime import timedelta
from typing import Final

import msgspec

from payhooks.connectors import registry
from payhooks.connectors.contract import Heard
from payhooks.control.context import Control
from payhooks.control.event_types import TypeBook
from payhooks.errors import (
    InvalidError,
    NotFetchedError,
    UnavailableError,
)
from payhooks.flow.agree import ContradictedError
from payhooks.flow.ask import Asker, Outcome
from payhooks.flow.conclude import HISTORY_MAX, ended, seen_of
from payhooks.flow.messages import (
    NOTHING_TOLD,
    Account,
    demand_keepable,
    is_asked_for,
    pointed_at,
    read,
    subject_of,
    wanted,
)
from payhooks.flow.routing import Directory
from payhooks.flow.tell import Teller, Unkept
from payhooks.ids import MERCHANT, RECEIPT, to_text
from payhooks.model.expectation import Expectation
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.receiving import Conclusion, Seen, Subject
from payhooks.ports.telemetry import Telemetry

# Processes that ask for the same object all the time, one after the other, are none that end.
_QUESTIONS_MAX: Final = 20
# What has to be fetched, or read, and cannot be for so long is given up, and kept for a person.
GIVE_UP: Final = timedelta(hours=24)
# A provider's call may be sooner than what it is about can be asked for.
NOT_KNOWN_GIVE_UP: Final = timedelta(minutes=10)


class Normaliser:
    """Brings receipts to their end. One per process that works."""

    def __init__(  # noqa: PLR0913 - every collaborator is named at the call site
        self,
        control: Control,
        directory: Directory,
        book: TypeBook,
        *,
        asker: Asker,
        teller: Teller,
        telemetry: Telemetry,
    ) -> None:
        self._control = control
        self._directory = directory
        self._book = book
        self._asker = asker
        self._teller = teller
        self._telemetry = telemetry

    async def process(self, receipt: Receipt) -> None:
        """Read one receipt, tell what is due, and conclude it.

        Raises:
            UnavailableError: It cannot be done now; nothing is lost, and it may be done again.

        """
        account = await self.account(receipt)
        try:
            if is_asked_for(receipt):
                await self._teller.conclude(account, await self._fetched(account, receipt))
                return
            heards = read(account, receipt)
            told = wanted(account, receipt, heards, await self._book.current())
            if isinstance(told, Conclusion):
                await self._teller.conclude(account, told)
            else:
                await self._teller.tell(account, receipt, told)
        except ContradictedError:
            # Of a batch some may be told, by the time another process reads what contradicts it.
            words = "The provider said otherwise under the same id; no more of it is told."
            await self._teller.conclude(
                account, ended(receipt, ReceiptState.CONFLICTING, words, heards[0])
            )
            self._telemetry.alarmed("conflicting_receipt", to_text(RECEIPT, receipt.id))
        except InvalidError as error:
            await self._teller.conclude(
                account, ended(receipt, ReceiptState.UNDECODABLE, str(error))
            )
        except UnavailableError:
            raise
        except Exception as error:
            if self._control.clock.now() - receipt.tried_since < GIVE_UP:
                raise
            self._telemetry.bug_caught("normalise", error, about=to_text(RECEIPT, receipt.id))
            words = "Payhooks could not read it for a day, which is its fault and not the sender's."
            await self._teller.conclude(account, ended(receipt, ReceiptState.UNDECODABLE, words))

    async def account(self, brought: Receipt | Expectation) -> Account:
        """Return by whose connector it came, as that is now: another process may have edited it."""
        merchant = to_text(MERCHANT, brought.merchant_id)
        # Whoever puts one back has mended something a moment ago, and it is read but once by that.
        if isinstance(brought, Receipt) and brought.put_back_at is not None:
            table = await self._directory.current(merchant)
        else:
            table = await self._directory.confirmed(merchant)
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

    async def ask(self, account: Account, about: Heard) -> Outcome | None:
        """Ask the provider for an object, keep what is news, and tell it.

        Return what became of the answer; None where the provider knows of no such object.

        Raises:
            InvalidError: What he says cannot be understood.
            NotFetchedError: He says nothing, or there is nothing to ask him with.
            UnavailableError: It cannot be done now.

        """
        subject = subject_of(account, about)
        return await self._asker.once(subject, lambda: self._ask(account, about, subject))

    async def _ask(self, account: Account, about: Heard, subject: Subject) -> Outcome | None:
        for _ in range(_QUESTIONS_MAX):
            before = await self._control.store.heard_before(subject, limit=HISTORY_MAX)
            answer = await self._asker.ask(account, about, before=before.heard)
            if answer is None:
                return None
            seen = seen_of(about, before)
            outcome = await self._told(account, answer, seen)
            if outcome is not None and outcome.state is ReceiptState.PROCESSED:
                return outcome
            # Of two answers to two processes nobody knows which is the newer: the next one is.
            since = await self._control.store.heard_before(subject, limit=HISTORY_MAX)
            if outcome is not None and seen_of(about, since) == seen:
                return outcome
        raise UnavailableError("others ask for the same object all the time")

    async def _told(self, account: Account, answer: Receipt, seen: Seen) -> Outcome | None:
        told = wanted(account, answer, read(account, answer), await self._book.current())
        if isinstance(told, Conclusion):
            return Outcome(state=told.state, detail=told.detail)
        unkept = Unkept(seen=seen, keep=lambda: self._asker.keep(account, answer))
        return await self._teller.tell(account, answer, told, unkept=unkept)

    async def _fetched(self, account: Account, call: Receipt) -> Conclusion:
        """Return the end of a call that says nothing but what to ask for.

        It is linked to nothing: anybody can make any number of these.
        """
        abouts = [pointed_at(call)] if call.is_answer else read(account, call)
        if not abouts:
            return ended(call, ReceiptState.PROCESSED, NOTHING_TOLD)
        [about] = abouts
        demand_keepable(about)
        waited = self._control.clock.now() - call.tried_since
        try:
            outcome = await self.ask(account, about)
        except NotFetchedError as error:
            if waited >= GIVE_UP:
                return ended(call, ReceiptState.UNDECODABLE, f"It could not be fetched: {error}.")
            words = f"{account.connector.name}: {to_text(RECEIPT, call.id)}: {error}"
            self._telemetry.alarmed("not_fetched", words)
            raise
        if outcome is None:
            words = "The provider knows of nothing by this id."
            if waited < NOT_KNOWN_GIVE_UP:
                raise NotFetchedError(words)  # Anybody may name what nobody knows: no alarm.
            words += " If he should: is the connector's key his, and of the same mode?"
            outcome = Outcome(state=ReceiptState.UNDECODABLE, detail=words)
        return msgspec.structs.replace(
            ended(call, outcome.state, outcome.detail),
            object_type=about.object_type,
            object_id=about.object_id,
        )
