"""Inbound, beside: a provider is asked about an object, and his answer becomes a receipt.

What he signs nothing of is believed because he was asked; what waits for too long is asked for as
well. Either answer is kept where it is news, and folded with those before it.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar
from weakref import WeakValueDictionary

import msgspec

from payhooks.connectors.contract import Heard
from payhooks.control.context import Control
from payhooks.errors import NotFetchedError, UnavailableError
from payhooks.flow.messages import Account, pointer
from payhooks.flow.receipt_guard import guarded
from payhooks.flow.receive import keep
from payhooks.ids import ReceiptId
from payhooks.model.merchant import Mode
from payhooks.model.receipt import ASKED, Receipt, ReceiptState, Verdict
from payhooks.ports.fetching import Fetch, Fetcher
from payhooks.ports.receiving import HeardBefore, Subject
from payhooks.ports.telemetry import Telemetry

_NOT_THERE: Final = 404
_OK: Final = range(200, 300)
_Result = TypeVar("_Result")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an answer, and so of whoever wanted it."""

    state: ReceiptState
    detail: str | None


class _Turn:
    """Whose turn it is to ask about an object."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.begun = 0  # questions
        self.answered = 0  # the last of them that was


class Asker:
    """Asks providers. One per process that works."""

    def __init__(
        self, control: Control, *, fetcher: Fetcher, telemetry: Telemetry, owner: int
    ) -> None:
        self._control = control
        self._fetcher = fetcher
        self._telemetry = telemetry
        self._owner = owner
        self._turns: WeakValueDictionary[Subject, _Turn] = WeakValueDictionary()

    async def once(
        self, subject: Subject, ask: Callable[[], Awaitable[_Result | None]], *, asked: _Result
    ) -> _Result | None:
        """Return what *ask* does, one after the other for each object; or *asked*.

        That is where somebody's question was begun after this call, and something came of it: so
        however many want to know at once, two questions are enough for all of them.
        """
        turn = self._turns.setdefault(subject, _Turn())
        begun = turn.begun
        async with turn.lock:
            if turn.answered > begun:
                return asked
            turn.begun = number = turn.begun + 1
            result = await ask()
            if result is not None:
                turn.answered = number
            return result

    async def ask(
        self, account: Account, about: Heard, *, before: Sequence[HeardBefore]
    ) -> Receipt | None:
        """Return the answer, which nobody has kept yet; None where he knows of no such object.

        It comes after all that was heard *before*, oldest first, whatever clocks say.

        Raises:
            NotFetchedError: He does not answer, or there is nothing to ask him with.

        """
        newest = int.from_bytes(before[-1].receipt.id) if before else 0
        receipt_id = max(self._control.ids.new(), (newest + 1).to_bytes(16))
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
        for code in {finding.code for finding in answer.findings}:
            self._telemetry.card_data_found(code)

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
