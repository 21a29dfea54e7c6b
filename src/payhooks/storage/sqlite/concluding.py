"""What became of receipts: written once, with links, names and what is waited for."""

from collections.abc import Collection, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Final

import apsw
from msgspec.json import Decoder, encode

from payhooks.ids import MerchantId, ReceiptId, first_id_at
from payhooks.model.expectation import Expectation
from payhooks.model.receipt import Receipt
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import (
    EXPECTATION_CLAIM_S_MAX,
    TOLD_MAX,
    Conclusion,
    HeardBefore,
    Reference,
    Remembered,
    Subject,
)
from payhooks.storage import receipts as stored_receipts
from payhooks.storage import statements
from payhooks.storage.sqlite.connection import (
    Row,
    blobs,
    delay_us,
    first,
    rows,
    rows_of_many,
    run,
    run_many,
)
from payhooks.storage.sqlite.controlling import NEWEST
from payhooks.storage.sqlite.expecting import document
from payhooks.storage.sqlite.parts import Part
from payhooks.storage.sqlite.writer import Kind

_SQL: Final = statements.load(__package__, "concluding.sql")
_SAID: Final = Decoder(tuple[str, ...])


class SqliteConclude(Part):
    """See ReceivingStore."""

    async def conclude(self, conclusions: Sequence[Conclusion]) -> frozenset[ReceiptId]:
        """See ReceivingStore."""
        return await self._write(
            Kind.QUICK, lambda db: _conclude(db, conclusions, now=self._now_us())
        )

    async def heard_before(self, subject: Subject, *, limit: int) -> Remembered:
        """See ReceivingStore."""
        place = (subject.merchant_id, subject.object_type, subject.object_id)
        bindings = (*place, subject.connector_id, limit, TOLD_MAX)
        found = await self._read(lambda db: rows(db, _SQL["heard_before"], bindings))
        # By id; only what was told has no document.
        each = [(_SAID.decode(row[1]), row[2:]) for row in sorted(found, key=itemgetter(0))]
        return Remembered(
            heard=tuple(
                HeardBefore(receipt=as_receipt(row), said=said)
                for said, row in each
                if row[0] is not None
            ),
            ancient=tuple(word for said, row in each if row[0] is None for word in said),
        )

    async def forget_said(self, *, before: datetime, limit: int) -> int:
        """See ReceivingStore."""
        bindings = (first_id_at(before), limit)
        return await self._write(Kind.SLOW, lambda db: run(db, _SQL["forget_said"], bindings))

    async def receipts_about(
        self, merchant_id: MerchantId, object_type: str, object_id: str, window: Window
    ) -> list[Receipt]:
        """See ReceivingStore."""
        before = NEWEST if window.after is None else window.after
        bindings = (merchant_id, object_type, object_id, before, window.limit)
        found = await self._read(lambda db: rows(db, _SQL["receipts_about"], bindings))
        return [as_receipt(row) for row in found]

    async def linked_receipts(
        self, merchant_id: MerchantId, object_type: str, object_id: str, ids: Collection[ReceiptId]
    ) -> list[Receipt]:
        """See ReceivingStore."""
        bindings = (merchant_id, object_type, object_id, blobs(ids))
        found = await self._read(lambda db: rows(db, _SQL["linked_receipts"], bindings))
        return [as_receipt(row) for row in found]

    async def objects_called(
        self, merchant_id: MerchantId, reference: str, *, limit: int
    ) -> list[Reference]:
        """See ReceivingStore."""
        return await self._references("objects_called", (merchant_id, reference, limit))

    async def references_of(
        self, merchant_id: MerchantId, object_type: str, object_id: str, *, limit: int
    ) -> list[Reference]:
        """See ReceivingStore."""
        bindings = (merchant_id, object_type, object_id, limit)
        return await self._references("references_of", bindings)

    async def _references(self, name: str, bindings: Row) -> list[Reference]:
        found = await self._read(lambda db: rows(db, _SQL[name], bindings))
        return [
            Reference(reference=reference, object_type=object_type, object_id=object_id)
            for reference, object_type, object_id in found
        ]


class Histories:
    """Which conclusions of a batch are drawn from all that was heard of their objects."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._ended: set[Row] = set()  # objects that one before in the batch is about

    def take(self, conclusion: Conclusion) -> bool:
        """Whether it may be written; then those behind it have not seen that."""
        subjects = [
            (conclusion.merchant_id, seen.object_type, seen.object_id, conclusion.connector_id)
            for seen in conclusion.seen
        ]
        for subject, seen in zip(subjects, conclusion.seen, strict=True):
            found = first(self._db, _SQL["heard_since"], (*subject, seen.since or b""))
            if subject in self._ended or found != (seen.count,):
                return False
        self._ended.update(subjects)
        return True


def _conclude(
    db: apsw.Connection, conclusions: Sequence[Conclusion], *, now: int
) -> frozenset[ReceiptId]:
    histories = Histories(db)
    good = [one for one in conclusions if histories.take(one)]
    write_conclusions(db, good, now=now)
    written = {one.receipt_id for one in good}
    return frozenset(one.receipt_id for one in conclusions if one.receipt_id not in written)


def write_conclusions(db: apsw.Connection, conclusions: Sequence[Conclusion], *, now: int) -> None:
    """Write what became of receipts, and what goes with it, where they are still RECEIVED."""
    # The first of each receipt: a second one finds it concluded.
    firsts = {one.receipt_id: one for one in reversed(conclusions)}
    written = rows_of_many(db, _SQL["conclude"], [_fate(one) for one in firsts.values()])
    concluded = [firsts[id_] for (id_,) in written]
    run_many(db, _SQL["link"], [row for one in concluded for row in _links(one)])
    run_many(db, _SQL["call"], [row for one in concluded for row in _references(one)])
    moved = [row for one in concluded for row in _moved(one)]
    run_many(db, _SQL["hasten"], moved, (now + delay_us(EXPECTATION_CLAIM_S_MAX),))
    expected = [row for one in concluded for row in _expectations(one, now)]
    run_many(db, _SQL["make_room"], [row[:3] for row in expected])
    run_many(db, _SQL["expect"], expected)


def keep_said(db: apsw.Connection, receipts: Sequence[Row]) -> None:
    """Remember what was told with receipts, by merchant and id, that are to be retired."""
    run_many(db, _SQL["keep_said"], receipts)


def unlink(db: apsw.Connection, receipts: Sequence[Row]) -> None:
    """Remove the links of receipts, by merchant and id; names go with an object's last link."""
    left = rows_of_many(db, _SQL["unlink"], receipts)
    run_many(db, _SQL["forget_names"], list(dict.fromkeys(left)))


def as_receipt(row: Row) -> Receipt:
    """Return the receipt whose document, body and fate these columns are."""
    kept, body, state, detail, word, object_type, object_id = row
    fate = stored_receipts.Fate(
        state=state, detail=detail, word=word, object_type=object_type, object_id=object_id
    )
    return stored_receipts.decode(kept, body, fate)


def _fate(one: Conclusion) -> Row:
    fate = (one.state, one.detail, one.word, one.object_type, one.object_id)
    return (one.merchant_id, one.receipt_id, *fate)


def _links(one: Conclusion) -> list[Row]:
    receipt = (one.receipt_id, one.connector_id)
    return [
        (one.merchant_id, link.object_type, link.object_id, *receipt, encode(link.said).decode())
        for link in one.links
    ]


def _references(one: Conclusion) -> list[Row]:
    return [
        (one.merchant_id, called.reference, called.object_type, called.object_id)
        for called in one.references
    ]


def _moved(one: Conclusion) -> list[Row]:
    return [(one.merchant_id, moved.object_type, moved.object_id) for moved in one.moved]


def _expectations(one: Conclusion, now: int) -> list[Row]:
    return [_expectation(wait.expectation, now + delay_us(wait.due_in_s)) for wait in one.waits]


def _expectation(expected: Expectation, due_at: int) -> Row:
    subject = (expected.merchant_id, expected.object_type, expected.object_id)
    standing = (expected.id, expected.connector_id, due_at, int(expected.overdue))
    return (*subject, *standing, document(expected, due_at))
