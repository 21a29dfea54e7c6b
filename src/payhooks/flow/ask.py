"""Inbound, beside: a provider is asked about an object, and his answer becomes a receipt.

What he signs nothing of is believed because he was asked; what waits for too long is asked for as
well. Either answer is kept, and processed like what he sends by himself: the next one is judged
by what those before it said.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from payhooks.connectors.contract import Heard
from payhooks.control.context import Control
from payhooks.errors import InvalidError, NotFetchedError, UnavailableError
from payhooks.flow.conclude import ended
from payhooks.flow.messages import (
    HISTORY_MAX,
    NOTHING_TOLD,
    Account,
    demand_keepable,
    pointer,
    read,
    subject_of,
)
from payhooks.flow.receipt_guard import guarded
from payhooks.flow.receive import keep
from payhooks.ids import RECEIPT, ReceiptId, to_text
from payhooks.model.merchant import Mode
from payhooks.model.receipt import ASKED, Receipt, ReceiptState, Verdict
from payhooks.ports.fetching import Fetch, Fetcher
from payhooks.ports.receiving import Conclusion
from payhooks.ports.telemetry import Telemetry

# What has to be fetched, or read, and cannot be for so long is given up, and kept for a person.
GIVE_UP: Final = timedelta(hours=24)
# A provider's call may be sooner than what it is about can be asked for.
NOT_KNOWN_GIVE_UP: Final = timedelta(minutes=10)
_NOT_THERE: Final = 404
_OK: Final = range(200, 300)


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a receipt that says what to ask for."""

    news: Sequence[Receipt]  # answers that say what none before did
    conclusion: Conclusion  # of the receipt, once those are kept


class Asker:
    """Asks providers. One per process that works."""

    def __init__(
        self, control: Control, *, fetcher: Fetcher, telemetry: Telemetry, owner: int
    ) -> None:
        self._control = control
        self._fetcher = fetcher
        self._telemetry = telemetry
        self._owner = owner

    async def ask(self, account: Account, about: Heard) -> Receipt | None:
        """Return the answer, which nobody has kept yet; None where he knows of no such object.

        Raises:
            UnavailableError: He does not answer, or there is nothing to ask him with.

        """
        # Before he is asked: of two answers the one that was asked for later is the later one.
        receipt_id = ReceiptId(self._control.ids.new())
        body = await self._fetch(account, about)
        if body is None:
            return None
        return guarded(
            Receipt(
                id=receipt_id,
                merchant_id=account.connector.merchant_id,
                connector_id=account.connector.id,
                method=ASKED,
                query=pointer(about.object_type, about.object_id),
                headers=(),
                body=body,
                body_sha256=hashlib.sha256(body).digest(),
                verdict=Verdict.VERIFIED,
                answered=200,
            )
        )

    async def fetch(self, account: Account, receipt: Receipt) -> Answers:
        """Ask for what a receipt names.

        Raises:
            InvalidError: The provider has known of nothing, or said nothing, for too long; or
                what he says cannot be understood.
            NotFetchedError: He says nothing now.

        """
        abouts = read(account, receipt)
        says_anything, news = False, []
        for about in abouts:
            demand_keepable(about)
            answer = await self._answer(account, receipt, about)
            said = read(account, answer)
            says_anything |= bool(said)
            if said and said != await self._last_said(account, about, answer):
                news.append(answer)
        if news:
            names = ", ".join(to_text(RECEIPT, answer.id) for answer in news)
            words = f"The provider was asked; his answer is {names}."
            conclusion = ended(receipt, ReceiptState.PROCESSED, words, abouts[0])
        elif says_anything:
            words = "The provider was asked, and answers what he did before."
            conclusion = ended(receipt, ReceiptState.DUPLICATE, words, abouts[0])
        else:
            conclusion = ended(receipt, ReceiptState.PROCESSED, NOTHING_TOLD)
        return Answers(news=news, conclusion=conclusion)

    async def keep(self, account: Account, answer: Receipt) -> None:
        """Keep an answer, which is this process's to bring to its end for a while.

        Raises:
            UnavailableError: It was not kept, or nobody knows.

        """
        await keep(self._control.store, [answer], owner=self._owner)
        self._telemetry.receipt_judged(account.connector.dialect, Verdict.VERIFIED)

    async def _fetch(self, account: Account, about: Heard) -> bytes | None:
        asked = account.provider.ask(about, account.keys, account.options)
        if asked is None:
            raise UnavailableError("the connector has no credential to ask with")
        sandbox = account.table.merchant.mode is Mode.SANDBOX
        request = Fetch(url=asked.url, headers=asked.headers, allow_http=sandbox)
        answer = await self._fetcher.fetch(request)
        if answer.status == _NOT_THERE:
            return None
        if answer.status not in _OK:
            raise UnavailableError(f"the provider answers {answer.status}")
        return answer.body

    async def _answer(self, account: Account, receipt: Receipt, about: Heard) -> Receipt:
        waited = self._control.clock.now() - receipt.received_at
        try:
            answer = await self.ask(account, about)
        except UnavailableError as error:
            if waited >= GIVE_UP:
                words = f"It could not be fetched: {error}."
                raise InvalidError.at("", "not_fetched", words) from error
            words = f"{account.connector.name}: {to_text(RECEIPT, receipt.id)}: {error}"
            self._telemetry.alarmed("not_fetched", words)
            raise NotFetchedError(str(error)) from error
        if answer is not None:
            return answer
        words = "The provider knows of nothing by this id."
        if waited < NOT_KNOWN_GIVE_UP:
            raise NotFetchedError(words)  # Anybody may name what nobody knows: that is no alarm.
        words += " If he should: is the connector's key his, and of the same mode?"
        raise InvalidError.at("", "not_known", words)

    async def _last_said(
        self, account: Account, about: Heard, answer: Receipt
    ) -> Sequence[Heard] | None:
        """Return what the last answer to the same question said that anything followed from."""
        subject = subject_of(answer, about)
        before = await self._control.store.heard_before(subject, limit=HISTORY_MAX)
        for each in reversed(before.heard):
            if each.receipt.is_answer and each.receipt.query == answer.query:
                with contextlib.suppress(InvalidError):  # It was read with other options.
                    return read(account, each.receipt)
        return None
