"""Connectors at rest, and receipts: kept in one job a batch, claimed, listed, retired."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from heapq import nlargest, nsmallest
from typing import Any, Final

import apsw
import msgspec

from payhooks.errors import DamagedError
from payhooks.ids import ConnectorId, MerchantId, ReceiptId, first_id_at
from payhooks.model.audit import AuditEntry
from payhooks.model.connector import Connector
from payhooks.model.receipt import REPROCESSABLE, Receipt, ReceiptState, Verdict
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import ConnectorHealth, ReceiptFilter, Rest
from payhooks.storage import receipts as stored_receipts
from payhooks.storage import statements
from payhooks.storage.documents import decode
from payhooks.storage.sqlite.applying import log
from payhooks.storage.sqlite.concluding import as_receipt, keep_said, unlink
from payhooks.storage.sqlite.connection import (
    Row,
    blobs,
    delay_us,
    first,
    from_us,
    rows,
    rows_of_many,
    run,
    run_many,
    to_us,
)
from payhooks.storage.sqlite.controlling import NEWEST
from payhooks.storage.sqlite.parts import Part
from payhooks.storage.sqlite.writer import Kind

_SQL: Final = statements.load(__package__, "receiving.sql")


class _Counts(msgspec.Struct, kw_only=True):
    """What a batch adds to the counts of one connector."""

    received: int = 0
    unverified: int = 0
    last_received_at: int = 0
    last_unverified_at: int = 0
    quarantined: int = 0
    quarantined_bytes: int = 0

    def add(self, receipt: Receipt) -> None:
        """Count one receipt; an answer is none that was sent."""
        if receipt.is_answer:
            return
        at = to_us(receipt.received_at)
        if receipt.verdict is Verdict.UNVERIFIED:
            self.unverified += 1
            self.last_unverified_at = max(self.last_unverified_at, at)
        else:
            self.received += 1
            self.last_received_at = max(self.last_received_at, at)
        if receipt.state is ReceiptState.QUARANTINED:
            self.quarantined += 1
            self.quarantined_bytes += len(receipt.body)


class SqliteReceive(Part):
    """See ReceivingStore; what became of receipts is in concluding.py."""

    async def connector(
        self, merchant_id: MerchantId, connector_id: ConnectorId
    ) -> Connector | None:
        """See ReceivingStore."""
        bindings = (merchant_id, connector_id)
        found = await self._read(lambda db: first(db, _SQL["connector"], bindings))
        return None if found is None else decode(Connector, found[0])

    async def connectors(self, merchant_id: MerchantId, window: Window) -> list[Connector]:
        """See ReceivingStore."""
        bindings = (merchant_id, _before(window), window.limit)
        found = await self._read(lambda db: rows(db, _SQL["connectors"], bindings))
        return [decode(Connector, text) for (text,) in found]

    async def connector_health(
        self, merchant_id: MerchantId, connector_ids: Sequence[ConnectorId]
    ) -> list[ConnectorHealth]:
        """See ReceivingStore."""
        bindings = (merchant_id, blobs(connector_ids))
        found = await self._read(lambda db: rows(db, _SQL["health"], bindings))
        known = {row[0]: _health(row) for row in found}
        return [known.get(id_) or ConnectorHealth(connector_id=id_) for id_ in connector_ids]

    async def receive(
        self,
        receipts: Sequence[Receipt],
        *,
        owner: int,
        for_s: float,
        quarantine_max: int,
        quarantine_bytes_max: int,
    ) -> None:
        """See ReceivingStore."""
        until = self._now_us() + delay_us(for_s)
        values = [_row(receipt, owner, until) for receipt in receipts]

        def work(db: apsw.Connection) -> None:
            kept = {id_ for (id_,) in rows_of_many(db, _SQL["keep"], values)}
            counted = _count(db, {one.id: one for one in receipts if one.id in kept}.values())
            for *place, count, size in counted:
                if count > quarantine_max or size > quarantine_bytes_max:
                    _evict(db, place, count - quarantine_max, size - quarantine_bytes_max)

        # A provider waits, as a publisher does.
        await self._write(Kind.ACCEPT, work)

    async def claim_receipts(self, *, owner: int, limit: int, for_s: float) -> list[Receipt]:
        """See ReceivingStore."""

        def look(db: apsw.Connection, count: int) -> list[Row]:
            return rows(db, _SQL["free_receipts"], (self._now_us(), count))

        def work(db: apsw.Connection) -> list[Receipt]:
            found = look(db, limit)
            until = self._now_us() + delay_us(for_s)
            run_many(db, _SQL["claim"], [row[:2] for row in found], (owner, until))
            return _readable(row[2:] for row in found)

        # Nearly always there is none, and to look for one nobody need write.
        is_any = await self._read(lambda db: look(db, 1))
        return await self._write(Kind.QUICK, work) if is_any else []

    async def rest_receipts(self, rests: Sequence[Rest]) -> None:
        """See ReceivingStore."""

        def work(db: apsw.Connection) -> None:
            now = self._now_us()
            for rest in rests:
                until = now + delay_us(rest.for_s)
                run(db, _SQL["rest"], (rest.merchant_id, rest.receipt_id, until))

        await self._write(Kind.QUICK, work)

    async def receipt(self, merchant_id: MerchantId, receipt_id: ReceiptId) -> Receipt | None:
        """See ReceivingStore."""
        bindings = (merchant_id, receipt_id)
        found = await self._read(lambda db: first(db, _SQL["receipt"], bindings))
        return None if found is None else as_receipt(found)

    async def receipts(
        self, merchant_id: MerchantId, which: ReceiptFilter, window: Window
    ) -> list[Receipt]:
        """See ReceivingStore."""

        def read(db: apsw.Connection) -> list[Row]:
            ids = _listed(db, merchant_id, which, window)
            return rows(db, _SQL["with_ids"], (merchant_id, blobs(ids)))

        return [as_receipt(row) for row in await self._read(read)]

    async def count_receipts(
        self, merchant_id: MerchantId, state: ReceiptState, *, since: datetime, at_most: int
    ) -> int:
        """See ReceivingStore."""
        place = (merchant_id, state, first_id_at(since), at_most)
        [[count]] = await self._read(lambda db: rows(db, _SQL["count_in_state"], place))
        return int(count)

    async def reprocessable(
        self,
        merchant_id: MerchantId,
        connector_id: ConnectorId,
        states: Sequence[ReceiptState],
        *,
        after: ReceiptId | None,
        limit: int,
    ) -> list[Receipt]:
        """See ReceivingStore."""
        whose = (merchant_id, connector_id)

        def read(db: apsw.Connection) -> list[Row]:
            ids = (
                id_
                for state in set(states)
                for (id_,) in rows(
                    db, _SQL["oldest_of_connector"], (*whose, state, after or b"", limit)
                )
            )
            oldest = nsmallest(limit, ids)
            return rows(db, _SQL["with_ids"], (merchant_id, blobs(oldest)))

        return [as_receipt(row) for row in reversed(await self._read(read))]

    async def reprocess(self, receipts: Sequence[Receipt], *, audit: AuditEntry) -> int:
        """See ReceivingStore."""

        def work(db: apsw.Connection) -> int:
            count = sum(_put_back(db, receipt) for receipt in receipts)
            if count:
                log(db, audit)
            return count

        return await self._write(Kind.QUICK, work)

    async def retire_receipts(self, *, before: datetime, limit: int) -> int:
        """See ReceivingStore."""
        bindings = (first_id_at(before), limit)

        def work(db: apsw.Connection) -> int:
            old = rows(db, _SQL["old"], bindings)
            for merchant_id, _, connector_id, state, size in old:
                if state == ReceiptState.QUARANTINED:
                    run(db, _SQL["leave_quarantine"], (merchant_id, connector_id, 1, size, 0))
            ids = [row[:2] for row in old]
            keep_said(db, [row[:2] for row in old if row[3] == ReceiptState.PROCESSED])
            unlink(db, ids)
            run_many(db, _SQL["forget_receipts"], ids)
            return len(old)

        return await self._write(Kind.SLOW, work)


def give_back_receipts(db: apsw.Connection) -> None:
    """Let whoever comes next process what its owner has left."""
    run(db, _SQL["give_back"])


def _before(window: Window) -> bytes:
    return NEWEST if window.after is None else window.after


def _row(receipt: Receipt, owner: int, until: int) -> Row:
    waits = receipt.state is ReceiptState.RECEIVED
    return (
        receipt.merchant_id,
        receipt.id,
        receipt.connector_id,
        receipt.state,
        owner if waits else None,
        until if waits else 0,
        stored_receipts.encode(receipt),
        receipt.body,
    )


def _count(db: apsw.Connection, receipts: Iterable[Receipt]) -> list[Row]:
    """Count receipts; return (merchant, connector, count, bytes) of what is in quarantine now."""
    counts: dict[tuple[MerchantId, ConnectorId], _Counts] = {}
    for receipt in receipts:
        place = (receipt.merchant_id, receipt.connector_id)
        counts.setdefault(place, _Counts()).add(receipt)
    values = [(*place, *msgspec.structs.astuple(one)) for place, one in counts.items()]
    return rows_of_many(db, _SQL["count"], values)


def _evict(db: apsw.Connection, place: Sequence[bytes], count: int, size: int) -> None:
    """Let the oldest of a quarantine go: so many at least, and of so many bytes."""
    gone: list[Row] = []
    freed = 0
    oldest = db.execute(_SQL["quarantined"], tuple(place))
    while (len(gone) < count or freed < size) and (row := oldest.fetchone()) is not None:
        gone.append((place[0], row[0]))
        freed += row[1]
    oldest.close()
    run_many(db, _SQL["forget_receipts"], gone)
    run(db, _SQL["leave_quarantine"], (*place, len(gone), freed, len(gone)))


def _readable(found: Iterable[Row]) -> list[Receipt]:
    """Return the receipts that can be read; one that cannot must not hold up the others."""
    receipts = []
    for row in found:
        try:
            receipts.append(as_receipt(row))
        except DamagedError:
            continue
    return receipts


def _listed(
    db: apsw.Connection, merchant_id: MerchantId, which: ReceiptFilter, window: Window
) -> list[bytes]:
    """Return the ids of one page: each state has a newest end of its own in the index."""
    connector_id, states = which.connector_id, which.states
    end = (_before(window), window.limit)
    if connector_id is not None:
        asked = tuple(ReceiptState) if states is None else states
        places: list[tuple[str, tuple[Any, ...]]] = [
            ("ids_of_connector", (merchant_id, connector_id, state)) for state in asked
        ]
    elif states is not None:
        places = [("ids_in_state", (merchant_id, state)) for state in states]
    else:
        places = [("all_ids", (merchant_id,))]
    ids = (id_ for name, place in places for (id_,) in rows(db, _SQL[name], (*place, *end)))
    return nlargest(window.limit, ids)


def _put_back(db: apsw.Connection, wanted: Receipt) -> int:
    """Make one receipt RECEIVED again; return whether that was possible, as a number."""
    place = (wanted.merchant_id, wanted.id)
    found = first(db, _SQL["receipt"], place)
    stored = None if found is None else as_receipt(found)
    if stored is None or stored.state not in REPROCESSABLE:
        return 0
    if stored.state is ReceiptState.QUARANTINED:
        whose = (stored.merchant_id, stored.connector_id)
        run(db, _SQL["leave_quarantine"], (*whose, 1, len(stored.body), 0))
    unlink(db, [place])
    judged = msgspec.structs.replace(
        stored,
        verdict=wanted.verdict,
        reason=wanted.reason,
        despite_conflict=wanted.despite_conflict,
        put_back_at=wanted.put_back_at,
    )
    return run(db, _SQL["put_back"], (*place, stored_receipts.encode(judged)))


def _health(row: Row) -> ConnectorHealth:
    received, unverified, last_received_at, last_unverified_at, *quarantine = row[1:]
    quarantined, quarantined_bytes, dropped = quarantine
    return ConnectorHealth(
        connector_id=row[0],
        received=received,
        unverified=unverified,
        last_received_at=from_us(last_received_at) if last_received_at else None,
        last_unverified_at=from_us(last_unverified_at) if last_unverified_at else None,
        quarantined=quarantined,
        quarantined_bytes=quarantined_bytes,
        dropped=dropped,
    )
