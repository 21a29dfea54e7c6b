"""What is waited for: one expectation an object."""

from collections.abc import Callable, Collection, Iterable
from typing import Final

import apsw
import msgspec

from payhooks.errors import DamagedError
from payhooks.ids import ConnectorId, MerchantId
from payhooks.model.expectation import Expectation
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import EXPECTATION_CLAIM_S_MAX
from payhooks.storage import statements
from payhooks.storage.documents import decode, encode
from payhooks.storage.sqlite.connection import (
    Row,
    blobs,
    delay_us,
    first,
    from_us,
    rows,
    run,
    run_many,
)
from payhooks.storage.sqlite.controlling import NEWEST
from payhooks.storage.sqlite.parts import Part
from payhooks.storage.sqlite.writer import Kind

_SQL: Final = statements.load(__package__, "expecting.sql")


class SqliteExpect(Part):
    """See ReceivingStore."""

    async def claim_expectations(
        self, *, limit: int, for_s: float, skip: Collection[MerchantId] = ()
    ) -> list[Expectation]:
        """See ReceivingStore."""
        return await self._claim(
            lambda db: rows(db, _SQL["due"], (self._now_us(), blobs(list(skip)), limit)), for_s
        )

    async def claim_moved(self, *, limit: int, for_s: float) -> list[Expectation]:
        """See ReceivingStore."""
        return await self._claim(lambda db: rows(db, _SQL["moved"], (limit,)), for_s)

    async def _claim(
        self, look: Callable[[apsw.Connection], list[Row]], for_s: float
    ) -> list[Expectation]:
        assert for_s <= EXPECTATION_CLAIM_S_MAX

        def work(db: apsw.Connection) -> list[Expectation]:
            found = look(db)
            until = self._now_us() + delay_us(for_s)
            run_many(db, _SQL["claim"], [row[:3] for row in found], (until,))
            return _readable(row[3:] for row in found)

        # Mostly there is none, and to look for one nobody need write.
        return await self._write(Kind.QUICK, work) if await self._read(look) else []

    async def reread_expectation(self, expectation: Expectation) -> Expectation | None:
        """See ReceivingStore."""
        bindings = (*_subject(expectation), expectation.id)
        row = await self._read(lambda db: first(db, _SQL["reread"], bindings))
        return None if row is None else _expectation(row)

    async def write_expectation(self, expectation: Expectation, *, due_in_s: float) -> None:
        """See ReceivingStore."""
        due_at = self._now_us() + delay_us(due_in_s)
        bindings = (
            *_place(expectation),
            due_at,
            int(expectation.overdue),
            document(expectation, due_at),
        )
        await self._write(Kind.QUICK, lambda db: run(db, _SQL["write"], bindings))

    async def forget_expectation(self, expectation: Expectation) -> None:
        """See ReceivingStore."""
        place = _place(expectation)
        await self._write(Kind.QUICK, lambda db: run(db, _SQL["forget"], place))

    async def overdue(
        self, merchant_id: MerchantId, connector_id: ConnectorId | None, window: Window
    ) -> list[Expectation]:
        """See ReceivingStore."""
        before = NEWEST if window.after is None else window.after
        bindings = (merchant_id, connector_id, before, window.limit, self._now_us())
        found = await self._read(lambda db: rows(db, _SQL["overdue"], bindings))
        return [
            msgspec.structs.replace(_expectation(row[:2]), due_at=from_us(row[2])) for row in found
        ]

    async def overdue_counts(self) -> list[tuple[str, int]]:
        """See ReceivingStore."""
        found = await self._read(lambda db: rows(db, _SQL["overdue_counts"]))
        return [(dialect, count) for dialect, count in found]


def document(expectation: Expectation, due_at: int) -> bytes:
    """Return an expectation as it is kept, due then."""
    return encode(msgspec.structs.replace(expectation, due_at=from_us(due_at)))


def _place(expectation: Expectation) -> Row:
    return (*_subject(expectation), expectation.id, expectation.heard_again)


def _subject(expectation: Expectation) -> Row:
    return (expectation.merchant_id, expectation.object_type, expectation.object_id)


def _expectation(row: Row) -> Expectation:
    heard_again, text = row
    # The column is right: it changes without the document.
    return msgspec.structs.replace(decode(Expectation, text), heard_again=heard_again)


def _readable(found: Iterable[Row]) -> list[Expectation]:
    readable = []
    for row in found:
        try:
            readable.append(_expectation(row))
        except DamagedError:
            continue  # it must not hold up the others
    return readable
