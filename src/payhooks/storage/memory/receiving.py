"""The inbound half at rest: connectors, receipts, and what a conclusion brings with it."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from payhooks.ids import ConnectorId, MerchantId, ReceiptId, first_id_at
from payhooks.model.audit import AuditEntry
from payhooks.model.connector import Connector, ConnectorStatus
from payhooks.model.receipt import REPROCESSABLE, Receipt, ReceiptState, Verdict
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import (
    TOLD_MAX,
    Conclusion,
    ConnectorHealth,
    HeardBefore,
    ReceiptFilter,
    Reference,
    Remembered,
    Rest,
    Subject,
)
from payhooks.storage.memory.controlling import page
from payhooks.storage.memory.expecting import expect
from payhooks.storage.memory.rows import span_us
from payhooks.storage.memory.tables import Tables

_NOBODY: Final = (None, 0)


class MemoryReceive:
    """See ReceivingStore; expectations are in expecting.py."""

    _tables: Tables

    async def connector(
        self, merchant_id: MerchantId, connector_id: ConnectorId
    ) -> Connector | None:
        """See ReceivingStore."""
        connector = self._tables.connectors.get(connector_id)
        return connector if connector is not None and connector.merchant_id == merchant_id else None

    async def connectors(self, merchant_id: MerchantId, window: Window) -> list[Connector]:
        """See ReceivingStore."""
        mine = (
            connector
            for connector in self._tables.connectors.values()
            if connector.merchant_id == merchant_id
            and connector.status is not ConnectorStatus.DELETED
        )
        return page(mine, window)

    async def connector_health(
        self, merchant_id: MerchantId, connector_ids: Sequence[ConnectorId]
    ) -> list[ConnectorHealth]:
        """See ReceivingStore."""
        return [_health(self._tables, merchant_id, id_) for id_ in connector_ids]

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
        until = self._tables.now() + span_us(for_s)
        of_connectors: dict[tuple[MerchantId, ConnectorId], None] = {}
        for receipt in receipts:
            if receipt.id in self._tables.receipts:
                continue
            self._tables.receipts[receipt.id] = receipt
            if receipt.state is ReceiptState.RECEIVED:
                self._tables.receipt_claims[receipt.id] = (owner, until)
            self._count(receipt)
            of_connectors[receipt.merchant_id, receipt.connector_id] = None
        for merchant_id, connector_id in of_connectors:
            self._evict(merchant_id, connector_id, quarantine_max, quarantine_bytes_max)

    async def claim_receipts(self, *, owner: int, limit: int, for_s: float) -> list[Receipt]:
        """See ReceivingStore."""
        now = self._tables.now()
        claims = self._tables.receipt_claims
        taken = sorted(id_ for id_, (_, until) in claims.items() if until <= now)[:limit]
        for id_ in taken:
            claims[id_] = (owner, now + span_us(for_s))
        return [self._tables.receipts[id_] for id_ in taken]

    async def rest_receipts(self, rests: Sequence[Rest]) -> None:
        """See ReceivingStore."""
        claims = self._tables.receipt_claims
        for rest in rests:
            if rest.receipt_id in claims:
                until = self._tables.now() + span_us(rest.for_s)
                claims[rest.receipt_id] = (claims[rest.receipt_id][0], until)

    async def conclude(self, conclusions: Sequence[Conclusion]) -> frozenset[ReceiptId]:
        """See ReceivingStore."""
        stale = set()
        for conclusion in conclusions:
            if is_stale(self._tables, conclusion):
                stale.add(conclusion.receipt_id)
            else:
                conclude(self._tables, conclusion)
        return frozenset(stale)

    async def heard_before(self, subject: Subject, *, limit: int) -> Remembered:
        """See ReceivingStore."""
        retired = sorted(self._tables.told.get(subject, {}).items())[-TOLD_MAX:]
        heard = _heard(self._tables, subject)
        older = [(each.receipt.id, each.said) for each in heard[limit : limit + TOLD_MAX]]
        return Remembered(
            heard=tuple(heard[:limit][::-1]),
            ancient=tuple(word for _, said in sorted([*retired, *older]) for word in said),
        )

    async def receipt(self, merchant_id: MerchantId, receipt_id: ReceiptId) -> Receipt | None:
        """See ReceivingStore."""
        receipt = self._tables.receipts.get(receipt_id)
        return receipt if receipt is not None and receipt.merchant_id == merchant_id else None

    async def receipts(
        self, merchant_id: MerchantId, which: ReceiptFilter, window: Window
    ) -> list[Receipt]:
        """See ReceivingStore."""
        shown = (
            receipt
            for receipt in self._tables.receipts.values()
            if receipt.merchant_id == merchant_id
            and which.connector_id in {None, receipt.connector_id}
            and (which.states is None or receipt.state in which.states)
        )
        return page(shown, window)

    async def count_receipts(
        self, merchant_id: MerchantId, state: ReceiptState, *, since: datetime, at_most: int
    ) -> int:
        """See ReceivingStore."""
        first = first_id_at(since)
        count = sum(
            receipt.merchant_id == merchant_id and receipt.state is state and receipt.id >= first
            for receipt in self._tables.receipts.values()
        )
        return min(count, at_most)

    async def receipts_about(
        self, merchant_id: MerchantId, object_type: str, object_id: str, window: Window
    ) -> list[Receipt]:
        """See ReceivingStore."""
        linked = self._tables.links.get((merchant_id, object_type, object_id), {})
        return page((self._tables.receipts[id_] for id_ in linked), window)

    async def linked_receipts(
        self, merchant_id: MerchantId, object_type: str, object_id: str, ids: Collection[ReceiptId]
    ) -> list[Receipt]:
        """See ReceivingStore."""
        linked = self._tables.links.get((merchant_id, object_type, object_id), {})
        return [self._tables.receipts[id_] for id_ in sorted(linked.keys() & {*ids}, reverse=True)]

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
        found = (
            receipt
            for receipt in self._tables.receipts.values()
            if receipt.merchant_id == merchant_id
            and receipt.connector_id == connector_id
            and receipt.state in states
            and (after is None or receipt.id > after)
        )
        return sorted(found, key=lambda receipt: receipt.id)[:limit]

    async def reprocess(self, receipts: Sequence[Receipt], *, audit: AuditEntry) -> int:
        """See ReceivingStore."""
        count = 0
        for wanted in receipts:
            stored = await self.receipt(wanted.merchant_id, wanted.id)
            if stored is None or stored.state not in REPROCESSABLE:
                continue
            self._leave_quarantine(stored)
            self._forget_links({stored.id})
            # Nothing has been read of it now; what is said of it follows from the next reading.
            self._tables.receipts[stored.id] = msgspec.structs.replace(
                stored,
                state=ReceiptState.RECEIVED,
                verdict=wanted.verdict,
                reason=wanted.reason,
                despite_conflict=wanted.despite_conflict,
                put_back_at=wanted.put_back_at,
                detail=None,
                word=None,
                object_type=None,
                object_id=None,
            )
            self._tables.receipt_claims[stored.id] = _NOBODY
            count += 1
        if count:
            self._tables.log(audit)
        return count

    async def retire_receipts(self, *, before: datetime, limit: int) -> int:
        """See ReceivingStore."""
        bound = first_id_at(before)
        old = sorted(
            id_
            for id_, receipt in self._tables.receipts.items()
            if id_ < bound and receipt.state is not ReceiptState.RECEIVED
        )[:limit]
        self._keep_said(set(old))
        self._forget_links(set(old))
        for id_ in old:
            self._leave_quarantine(self._tables.receipts.pop(id_))
        return len(old)

    async def forget_said(self, *, before: datetime, limit: int) -> int:
        """See ReceivingStore."""
        bound = first_id_at(before)
        places = [(id_, at) for at, told in self._tables.told.items() for id_ in told]
        old = sorted((each for each in places if each[0] < bound), key=lambda each: each[0])[:limit]
        for id_, subject in old:
            told = self._tables.told[subject]
            del told[id_]
            if not told:
                del self._tables.told[subject]
        return len(old)

    async def objects_called(
        self, merchant_id: MerchantId, reference: str, *, limit: int
    ) -> list[Reference]:
        """See ReceivingStore."""
        found = [one for one in self._references(merchant_id) if one.reference == reference]
        return sorted(found, key=lambda one: (one.object_type, one.object_id))[:limit]

    async def references_of(
        self, merchant_id: MerchantId, object_type: str, object_id: str, *, limit: int
    ) -> list[Reference]:
        """See ReceivingStore."""
        found = [
            one
            for one in self._references(merchant_id)
            if (one.object_type, one.object_id) == (object_type, object_id)
        ]
        return sorted(found, key=lambda one: one.reference)[:limit]

    def _references(self, merchant_id: MerchantId) -> Iterator[Reference]:
        return (one for whose, one in self._tables.references if whose == merchant_id)

    def _count(self, receipt: Receipt) -> None:
        if receipt.is_answer:
            return  # nobody has sent it
        health = _health(self._tables, receipt.merchant_id, receipt.connector_id)
        at = receipt.received_at
        if receipt.verdict is Verdict.UNVERIFIED:
            last = max(at, health.last_unverified_at or at)
            unverified = health.unverified + 1
            health = msgspec.structs.replace(health, unverified=unverified, last_unverified_at=last)
        else:
            last = max(at, health.last_received_at or at)
            health = msgspec.structs.replace(
                health, received=health.received + 1, last_received_at=last
            )
        if receipt.state is ReceiptState.QUARANTINED:
            health = _with_quarantined(health, receipt, by=1)
        self._tables.health[receipt.merchant_id, receipt.connector_id] = health

    def _evict(
        self, merchant_id: MerchantId, connector_id: ConnectorId, count_max: int, bytes_max: int
    ) -> None:
        """Let the oldest of a connector's quarantine go until it is within bounds."""
        place = (merchant_id, connector_id)
        held = sorted(
            receipt.id
            for receipt in self._tables.receipts.values()
            if receipt.connector_id == connector_id and receipt.state is ReceiptState.QUARANTINED
        )
        for id_ in held:
            health = self._tables.health[place]
            if health.quarantined <= count_max and health.quarantined_bytes <= bytes_max:
                return
            gone = self._tables.receipts.pop(id_)
            health = msgspec.structs.replace(health, dropped=health.dropped + 1)
            self._tables.health[place] = _with_quarantined(health, gone, by=-1)

    def _leave_quarantine(self, receipt: Receipt) -> None:
        if receipt.state is ReceiptState.QUARANTINED:
            place = (receipt.merchant_id, receipt.connector_id)
            self._tables.health[place] = _with_quarantined(
                self._tables.health[place], receipt, by=-1
            )

    def _keep_said(self, receipt_ids: set[ReceiptId]) -> None:
        """Remember what was told with PROCESSED receipts."""
        for (merchant_id, object_type, object_id), linked in self._tables.links.items():
            for id_ in receipt_ids & linked.keys():
                receipt = self._tables.receipts[id_]
                if linked[id_] and receipt.state is ReceiptState.PROCESSED:
                    subject = Subject(
                        merchant_id=merchant_id,
                        connector_id=receipt.connector_id,
                        object_type=object_type,
                        object_id=object_id,
                    )
                    self._tables.told.setdefault(subject, {})[id_] = linked[id_]

    def _forget_links(self, receipt_ids: set[ReceiptId]) -> None:
        """Remove links; the names of an object go with the last of its links."""
        for place, linked in list(self._tables.links.items()):
            for id_ in receipt_ids & linked.keys():
                del linked[id_]
            if not linked:
                del self._tables.links[place]
                merchant_id, *object_ = place
                self._tables.references = {
                    (whose, one): None
                    for whose, one in self._tables.references
                    if (whose, one.object_type, one.object_id) != (merchant_id, *object_)
                }


def is_stale(tables: Tables, conclusion: Conclusion) -> bool:
    """Whether more was heard of an object than the conclusion was drawn from."""
    for seen in conclusion.seen:
        subject = Subject(
            merchant_id=conclusion.merchant_id,
            connector_id=conclusion.connector_id,
            object_type=seen.object_type,
            object_id=seen.object_id,
        )
        ids = [heard.receipt.id for heard in _heard(tables, subject)]
        if sum(seen.since is None or id_ >= seen.since for id_ in ids) != seen.count:
            return True
    return False


def conclude(tables: Tables, conclusion: Conclusion) -> None:
    """Write what became of a receipt, and what goes with it, where it is still RECEIVED."""
    merchant_id, id_ = conclusion.merchant_id, conclusion.receipt_id
    receipt = tables.receipts.get(id_)
    if (
        receipt is None
        or receipt.merchant_id != merchant_id
        or receipt.state is not ReceiptState.RECEIVED
    ):
        return
    del tables.receipt_claims[id_]
    tables.receipts[id_] = msgspec.structs.replace(
        receipt,
        state=conclusion.state,
        detail=conclusion.detail,
        word=conclusion.word,
        object_type=conclusion.object_type,
        object_id=conclusion.object_id,
    )
    for link in conclusion.links:
        place = (merchant_id, link.object_type, link.object_id)
        tables.links.setdefault(place, {}).setdefault(id_, link.said)
    for reference in conclusion.references:
        tables.references[merchant_id, reference] = None
    expect(tables, conclusion)


def _heard(tables: Tables, subject: Subject) -> list[HeardBefore]:
    """Return the PROCESSED receipts linked to the object, newest first."""
    place = (subject.merchant_id, subject.object_type, subject.object_id)
    found = [
        HeardBefore(receipt=tables.receipts[id_], said=said)
        for id_, said in sorted(tables.links.get(place, {}).items(), reverse=True)
    ]
    return [
        heard
        for heard in found
        if heard.receipt.connector_id == subject.connector_id
        and heard.receipt.state is ReceiptState.PROCESSED
    ]


def _health(tables: Tables, merchant_id: MerchantId, connector_id: ConnectorId) -> ConnectorHealth:
    nothing = ConnectorHealth(connector_id=connector_id)
    return tables.health.get((merchant_id, connector_id), nothing)


def _with_quarantined(health: ConnectorHealth, receipt: Receipt, *, by: int) -> ConnectorHealth:
    return msgspec.structs.replace(
        health,
        quarantined=health.quarantined + by,
        quarantined_bytes=health.quarantined_bytes + by * len(receipt.body),
    )
