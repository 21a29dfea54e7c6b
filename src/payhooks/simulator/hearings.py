"""What providers were answered, against what was told of it."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from payhooks.catalogue import CATALOGUE
from payhooks.connectors import history
from payhooks.connectors.contract import NO_OPTIONS, Heard, Incoming
from payhooks.connectors.owlpay import OWLPAY
from payhooks.connectors.words import Message, identity_of
from payhooks.flow.conclude import FAMILY
from payhooks.ids import RECEIPT, ReceiptId, from_text, to_text
from payhooks.model.connector import Connector
from payhooks.model.event import Event
from payhooks.model.receipt import Receipt, ReceiptState, Verdict
from payhooks.ports.receiving import Conclusion
from payhooks.simulator.auditor import Auditor
from payhooks.simulator.payments import Happened, message
from payhooks.simulator.promises import Promise

_SEPARATOR: Final = "\x1f"
_CENTS: Final = -2
_READ: Final = frozenset({ReceiptState.PROCESSED, ReceiptState.DUPLICATE})


class _Told(msgspec.Struct):
    """What an event of ours says of money."""

    currency: str
    amount: int
    amount_received: int = 0  # of a capture: what it took; its amount is the payment's


class _Metadata(msgspec.Struct):
    receipt: str


class Hearings:
    """Looks at receipts, and at what is told."""

    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor
        self._record = auditor.record

    # --- providers ----------------------------------------------------------------------------

    def begun(self, connector: Connector, story: Sequence[Happened]) -> None:
        """Take note of all that a payment's provider is going to say: what follows is due."""
        messages = [
            Message(heard=_read(message(happened, "first")), receipt_id=b"") for happened in story
        ]
        whole = history.folded(
            OWLPAY,
            messages,
            NO_OPTIONS,
            catalogue=CATALOGUE,
            merchant_id=connector.merchant_id,
            now=self._auditor.tables.clock.now(),
        )
        for word in whole.words:
            self._record.words_due[connector.merchant_id, word.meaning] += 1

    def answered(self, connector: Connector, body: bytes) -> None:
        """Take note that a provider was answered 2xx."""
        self._auditor.demand(
            Promise.HEARD,
            (connector.merchant_id, body) in self._record.received,
            lambda: f"{body!r} was answered, but is not stored",
        )

    # --- the store ----------------------------------------------------------------------------

    def received(self, receipts: Sequence[Receipt]) -> None:
        """Take note that receipts are stored."""
        for receipt in receipts:
            place = (receipt.merchant_id, receipt.body)
            if self._record.received.setdefault(place, receipt.id) != receipt.id:
                self._auditor.blame(Promise.HEARD, f"{receipt.body!r} was stored twice")
            self._auditor.note("received", receipt.id.hex(), receipt.verdict)

    def told(self, event: Event) -> None:
        """Take note of an event that is told of what was heard; of others none."""
        if event.family != FAMILY:
            return
        place = (event.merchant_id, _meaning(event))
        told = self._record.words_told.setdefault(place, [])
        told.append(self._message_of(event))
        self._auditor.demand(
            Promise.TOLD,
            len(told) <= self._record.words_due[place],
            lambda: (
                f"{_spoken(place[1])} was told {len(told)} times, of "
                f"{self._record.words_due[place]} that its provider means"
            ),
        )

    def undone(self, conclusions: Sequence[Conclusion]) -> list[Conclusion]:
        """Return the conclusions of receipts that have none yet."""
        return [each for each in conclusions if self._state(each) is ReceiptState.RECEIVED]

    def concluded(self, conclusions: Sequence[Conclusion]) -> None:
        """Look at receipts that had no conclusion a moment ago."""
        for conclusion in conclusions:
            state = self._state(conclusion)
            if state is not ReceiptState.RECEIVED:
                self._ended(conclusion, state)

    def _ended(self, conclusion: Conclusion, state: ReceiptState) -> None:
        name = conclusion.receipt_id.hex()
        self._auditor.note("concluded", name, state)
        if state is ReceiptState.DUPLICATE:
            self._auditor.mark("receipt was a duplicate")
        self._auditor.demand(
            Promise.HEARD, state in _READ, lambda: f"{name} is {state}: {conclusion.detail}"
        )
        for link in conclusion.links:
            for said in link.said:
                self._was_told(conclusion, said)

    def _was_told(self, conclusion: Conclusion, said: str) -> None:
        meaning, _number, identity = said.rsplit(_SEPARATOR, 2)
        self._auditor.demand(
            Promise.TOLD,
            identity in self._record.words_told.get((conclusion.merchant_id, meaning), ()),
            lambda: (
                f"{conclusion.receipt_id.hex()} says that it told {_spoken(meaning)}, "
                "but no event does"
            ),
        )

    # --- when all is over ---------------------------------------------------------------------

    def close(self) -> None:
        """Check that all was read, and all of it told."""
        record, receipts = self._record, self._auditor.tables.receipts
        for (_, body), id_ in record.received.items():
            receipt = receipts.get(id_)
            if receipt is None or not _has_ended(receipt):
                what = "lost" if receipt is None else receipt.state
                self._auditor.blame(Promise.HEARD, f"{body!r} was stored, and is {what}")
        for place, due in record.words_due.items():
            told = len(record.words_told.get(place, ()))
            if told != due:
                what = f"{_spoken(place[1])} was told {told} times instead of {due}"
                self._auditor.blame(Promise.TOLD, what)

    # --- one by one ---------------------------------------------------------------------------

    def _state(self, conclusion: Conclusion) -> ReceiptState:
        return self._auditor.tables.receipts[conclusion.receipt_id].state

    def _message_of(self, event: Event) -> str:
        said = msgspec.json.decode(event.metadata or b"{}", type=_Metadata)
        id_ = from_text(RECEIPT, said.receipt)
        assert id_ is not None
        receipt = self._auditor.tables.receipts[ReceiptId(id_)]
        self._auditor.demand(
            Promise.TOLD,
            receipt.verdict is Verdict.VERIFIED and receipt.merchant_id == event.merchant_id,
            lambda: f"{to_text(RECEIPT, receipt.id)} was told, and nobody has said it",
        )
        return identity_of(_read(receipt.body)).hex()


def _has_ended(receipt: Receipt) -> bool:
    if receipt.verdict is Verdict.UNVERIFIED:
        return receipt.state is ReceiptState.QUARANTINED
    return receipt.state in _READ


def _read(body: bytes) -> Heard:
    [heard] = OWLPAY.read(Incoming("POST", "", {}, body), NO_OPTIONS)
    return heard


def _meaning(event: Event) -> str:
    """Return what the event says, as a word says it."""
    data = msgspec.json.decode(event.data, type=_Told)
    amount = Decimal(data.amount_received or data.amount).scaleb(_CENTS).normalize()
    return _SEPARATOR.join(
        [event.type, str(event.object_type), str(event.object_id), str(amount), data.currency]
    )


def _spoken(meaning: str) -> str:
    return meaning.replace(_SEPARATOR, " ")
