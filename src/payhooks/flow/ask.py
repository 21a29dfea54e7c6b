"""Inbound, beside: a provider is asked about an object, and his answer becomes a receipt.

What he signs nothing of is believed because he was asked; what waits for too long is asked for as
well. Either answer is kept where it is news, and folded with those before it.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from payhooks import ids
from payhooks.connectors.contract import Heard
from payhooks.control.context import Control
from payhooks.errors import InvalidError, NotFetchedError, UnavailableError
from payhooks.flow.messages import Account, pointer
from payhooks.flow.receipt_guard import HeardCardAlarm, guarded
from payhooks.flow.receive import keep
from payhooks.ids import RECEIPT, ReceiptId, to_text
from payhooks.model.merchant import Mode
from payhooks.model.receipt import ASKED, Receipt, ReceiptState, Verdict
from payhooks.ports.fetching import Fetch, Fetcher
from payhooks.ports.receiving import Conclusion, HeardBefore, Subject
from payhooks.ports.telemetry import Telemetry

_NOT_THERE: Final = 404
_OK: Final = range(200, 300)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an answer, and so of whoever wanted it."""

    state: ReceiptState
    detail: str | None


def outcome_of(end: Conclusion) -> Outcome:
    """Return what became of an answer that ended so."""
    words = end.detail
    if end.state is ReceiptState.PROCESSED:
        words = f"The provider was asked; his answer is {to_text(RECEIPT, end.receipt_id)}."
    elif end.state is ReceiptState.DUPLICATE:
        words = "The provider was asked, and answers what he did before."
    return Outcome(state=end.state, detail=words)


class _Questions:
    """Those about one object, which take turns."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.begun = 0
        self.ended = 0  # which of them was the last that the provider has answered, or has not
        self.outcome: Outcome | InvalidError | NotFetchedError | None = None  # of that one


class Asker:
    """Asks providers. One per process that works."""

    def __init__(
        self, control: Control, *, fetcher: Fetcher, telemetry: Telemetry, owner: int
    ) -> None:
        self._control = control
        self._fetcher = fetcher
        self._telemetry = telemetry
        self._owner = owner
        self._card_alarm = HeardCardAlarm(clock=control.clock, telemetry=telemetry)
        self._questions: WeakValueDictionary[Subject, _Questions] = WeakValueDictionary()

    async def once(
        self, subject: Subject, ask: Callable[[], Awaitable[Outcome | None]]
    ) -> Outcome | None:
        """Return what *ask* does, or what it did for somebody else who began after this call.

        Questions about an object take turns, so that the newest answer is the last; and two of
        them are enough, however many want to know at once.
        """
        questions = self._questions.setdefault(subject, _Questions())
        begun = questions.begun
        async with questions.turn:
            if questions.ended > begun:
                if isinstance(questions.outcome, Exception):
                    raise questions.outcome
                return questions.outcome
            questions.begun = number = questions.begun + 1
            try:
                outcome = await ask()
            except (InvalidError, NotFetchedError) as error:
                questions.ended, questions.outcome = number, error
                raise
            # Broken off, or where the store has failed, nobody else is answered with that.
            questions.ended, questions.outcome = number, outcome
            return outcome

    async def ask(
        self, account: Account, about: Heard, *, before: Sequence[HeardBefore]
    ) -> Receipt | None:
        """Return the answer, which nobody has kept yet; None where he knows of no such object.

        It comes after all that was heard *before*, oldest first, whatever clocks say.

        Raises:
            NotFetchedError: He does not answer, or there is nothing to ask him with.

        """
        receipt_id = self._control.ids.new()
        if before and receipt_id <= before[-1].receipt.id:
            receipt_id = ids.moved_behind(receipt_id, before[-1].receipt.id)
        body = await self._fetch(account, about)
        if body is None:
            return None
        return guarded(
            Receipt(
                id=ReceiptId(receipt_id),
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

    async def keep(self, account: Account, answer: Receipt) -> None:
        """Keep an answer, which is this process's to bring to its end for a while.

        Raises:
            UnavailableError: It was not kept, or nobody knows.

        """
        await keep(self._control.store, [answer], owner=self._owner)
        self._telemetry.receipt_judged(account.connector.dialect, Verdict.VERIFIED)
        self._card_alarm.found(answer)

    async def _fetch(self, account: Account, about: Heard) -> bytes | None:
        asked = account.provider.ask(about, account.keys, account.options)
        if asked is None:
            raise NotFetchedError("the connector has no credential to ask with")
        sandbox = account.table.merchant.mode is Mode.SANDBOX
        request = Fetch(url=asked.url, headers=asked.headers, allow_http=sandbox)
        try:
            answer = await self._fetcher.fetch(request)
        except UnavailableError as error:
            raise NotFetchedError(str(error)) from error
        if answer.status == _NOT_THERE:
            return None
        if answer.status not in _OK:
            raise NotFetchedError(f"the provider answers {answer.status}")
        return answer.body
