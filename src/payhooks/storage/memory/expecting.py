"""What is waited for: one expectation an object."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from payhooks.ids import ConnectorId, MerchantId
from payhooks.model.connector import ConnectorStatus
from payhooks.model.expectation import Expectation
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import EXPECTATION_CLAIM_S_MAX, Conclusion
from payhooks.storage.memory.controlling import page
from payhooks.storage.memory.rows import from_us, span_us, to_us
from payhooks.storage.memory.tables import Tables

# When what moved is due: before all else.
_MOVED: Final = from_us(0)


class MemoryExpect:
    """See ReceivingStore."""

    _tables: Tables

    async def claim_expectations(
        self, *, limit: int, for_s: float, skip: Collection[MerchantId] = ()
    ) -> list[Expectation]:
        """See ReceivingStore."""
        assert for_s <= EXPECTATION_CLAIM_S_MAX
        now = self._tables.now()
        due = [
            one
            for one in self._tables.expectations.values()
            if to_us(one.due_at) <= now and one.merchant_id not in skip
        ]
        return self._claim(due, limit=limit, for_s=for_s)

    async def claim_moved(self, *, limit: int, for_s: float) -> list[Expectation]:
        """See ReceivingStore."""
        assert for_s <= EXPECTATION_CLAIM_S_MAX
        moved = [one for one in self._tables.expectations.values() if one.due_at == _MOVED]
        return self._claim(moved, limit=limit, for_s=for_s)

    async def reread_expectation(self, expectation: Expectation) -> Expectation | None:
        """See ReceivingStore."""
        stored = self._tables.expectations.get(_subject(expectation))
        return stored if stored is not None and stored.id == expectation.id else None

    async def write_expectation(self, expectation: Expectation, *, due_in_s: float) -> None:
        """See ReceivingStore."""
        if self._is_there(expectation):
            self._write_due(expectation, self._tables.now() + span_us(due_in_s))

    async def forget_expectation(self, expectation: Expectation) -> None:
        """See ReceivingStore."""
        if self._is_there(expectation):
            del self._tables.expectations[_subject(expectation)]

    async def overdue(
        self, merchant_id: MerchantId, connector_id: ConnectorId | None, window: Window
    ) -> list[Expectation]:
        """See ReceivingStore."""
        now = from_us(self._tables.now())
        shown = (
            msgspec.structs.replace(one, due_at=max(one.due_at, now))
            for one in self._tables.expectations.values()
            if one.overdue
            and one.merchant_id == merchant_id
            and connector_id in {None, one.connector_id}
            and not _is_of_nobody(self._tables, one)
        )
        return page(shown, window)

    async def overdue_counts(self) -> list[tuple[str, int]]:
        """See ReceivingStore."""
        counts = Counter(
            self._tables.connectors[one.connector_id].dialect
            for one in self._tables.expectations.values()
            if one.overdue and not _is_of_nobody(self._tables, one)
        )
        return sorted(counts.items())

    def _claim(self, due: Iterable[Expectation], *, limit: int, for_s: float) -> list[Expectation]:
        taken = sorted(due, key=lambda one: (one.due_at, one.id))[:limit]
        for one in taken:
            self._write_due(one, self._tables.now() + span_us(for_s))
        return taken

    def _is_there(self, expectation: Expectation) -> bool:
        # By its id: a later one of the same object is none of this caller's.
        stored = self._tables.expectations.get(_subject(expectation))
        read = (expectation.id, expectation.heard_again)
        return stored is not None and (stored.id, stored.heard_again) == read

    def _write_due(self, expectation: Expectation, due_at: int) -> None:
        due = msgspec.structs.replace(expectation, due_at=from_us(due_at))
        self._tables.expectations[_subject(expectation)] = due


def expect(tables: Tables, conclusion: Conclusion) -> None:
    """Write what is expected by a conclusion, and hasten what it may have brought to an end."""
    now = tables.now()
    for moved in conclusion.moved:
        place = (conclusion.merchant_id, moved.object_type, moved.object_id)
        kept = tables.expectations.get(place)
        if kept is None:
            continue
        claimed_until = from_us(now + span_us(EXPECTATION_CLAIM_S_MAX))
        if kept.overdue or kept.due_at <= claimed_until:
            tables.expectations[place] = msgspec.structs.replace(
                kept, due_at=_MOVED, heard_again=kept.heard_again + 1
            )
    for wait in conclusion.waits:
        place = _subject(wait.expectation)
        kept = tables.expectations.get(place)
        if kept is None or _is_of_nobody(tables, kept):
            due_at = from_us(now + span_us(wait.due_in_s))
            kept = msgspec.structs.replace(wait.expectation, due_at=due_at)
        else:
            kept = msgspec.structs.replace(kept, heard_again=kept.heard_again + 1)
        tables.expectations[place] = kept


def _is_of_nobody(tables: Tables, expectation: Expectation) -> bool:
    return tables.connectors[expectation.connector_id].status is ConnectorStatus.DELETED


def _subject(expectation: Expectation) -> tuple[MerchantId, str, str]:
    return expectation.merchant_id, expectation.object_type, expectation.object_id
