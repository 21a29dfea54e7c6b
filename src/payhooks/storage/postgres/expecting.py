"""What is waited for: one expectation an object."""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from payhooks.errors import DamagedError
from payhooks.ids import ConnectorId, MerchantId
from payhooks.model.expectation import Expectation
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import EXPECTATION_CLAIM_S_MAX
from payhooks.storage import documents, statements
from payhooks.storage.postgres.concluding import key
from payhooks.storage.postgres.connections import Connections, Row

_SQL: Final = statements.load("payhooks.storage.postgres", "expecting.sql")


class PostgresExpect:
    """See ReceivingStore."""

    _control: Connections
    _hearing: Connections

    async def claim_expectations(
        self, *, limit: int, for_s: float, skip: Collection[MerchantId] = ()
    ) -> list[Expectation]:
        """See ReceivingStore."""
        assert for_s <= EXPECTATION_CLAIM_S_MAX
        return _readable(await self._hearing.call(_SQL["claim"], limit, for_s, list(skip)))

    async def claim_moved(self, *, limit: int, for_s: float) -> list[Expectation]:
        """See ReceivingStore."""
        assert for_s <= EXPECTATION_CLAIM_S_MAX
        return _readable(await self._hearing.call(_SQL["claim_moved"], limit, for_s))

    async def reread_expectation(self, expectation: Expectation) -> Expectation | None:
        """See ReceivingStore."""
        bindings = (*_subject(expectation), expectation.id)
        rows = await self._hearing.call(_SQL["reread"], *bindings)
        return _expectation(rows[0]) if rows else None

    async def write_expectation(self, expectation: Expectation, *, due_in_s: float) -> None:
        """See ReceivingStore."""
        document = documents.encode(expectation).decode()
        bindings = (*_place(expectation), due_in_s, expectation.overdue, document)
        await self._hearing.persist(lambda: self._hearing.call(_SQL["write"], *bindings))

    async def forget_expectation(self, expectation: Expectation) -> None:
        """See ReceivingStore."""
        bindings = _place(expectation)
        await self._hearing.persist(lambda: self._hearing.call(_SQL["forget"], *bindings))

    async def overdue(
        self, merchant_id: MerchantId, connector_id: ConnectorId | None, window: Window
    ) -> list[Expectation]:
        """See ReceivingStore."""
        rows = await self._control.call(
            _SQL["overdue"], merchant_id, window.after, window.limit, connector_id
        )
        return [_expectation(row) for row in rows]

    async def overdue_counts(self) -> list[tuple[str, int]]:
        """See ReceivingStore."""
        rows = await self._control.call(_SQL["overdue_counts"])
        return [(row["dialect"], row["count"]) for row in rows]


def _place(expectation: Expectation) -> tuple[object, ...]:
    return (*_subject(expectation), expectation.id, expectation.heard_again)


def _subject(expectation: Expectation) -> tuple[object, ...]:
    names = (key(expectation.object_type), key(expectation.object_id))
    return (expectation.merchant_id, *names)


def _expectation(row: Row) -> Expectation:
    # The columns are right: they change without the document.
    stored = documents.decode(Expectation, row["document"])
    return msgspec.structs.replace(
        stored, due_at=row["due_at"], overdue=row["overdue"], heard_again=row["heard_again"]
    )


def _readable(rows: Sequence[Row]) -> list[Expectation]:
    found = []
    for row in rows:
        try:
            found.append(_expectation(row))
        except DamagedError:
            continue  # It must not hold up the others; the log says that there is one.
    return found
