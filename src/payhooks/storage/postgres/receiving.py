"""The inbound half at rest: connectors, receipts, and what receipts are about."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from payhooks.errors import DamagedError
from payhooks.ids import ConnectorId, MerchantId, ReceiptId, first_id_at
from payhooks.model.audit import AuditEntry
from payhooks.model.connector import Connector
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
from payhooks.storage import documents, statements
from payhooks.storage.postgres.auditing import Chain
from payhooks.storage.postgres.concluding import (
    CODES,
    STATES,
    fate,
    fate_of,
    key,
    parameters,
    said,
)
from payhooks.storage.postgres.connections import Connections, Row
from payhooks.storage.receipts import decode, encode

_SQL: Final = statements.load("payhooks.storage.postgres", "receiving.sql")


class PostgresReceive:
    """See ReceivingStore; expectations are in expecting.py."""

    _control: Connections
    _receiving: Connections
    _hearing: Connections

    async def connector(
        self, merchant_id: MerchantId, connector_id: ConnectorId
    ) -> Connector | None:
        """See ReceivingStore."""
        rows = await self._control.call(_SQL["connector"], merchant_id, connector_id)
        return documents.decode(Connector, rows[0]["document"]) if rows else None

    async def connectors(self, merchant_id: MerchantId, window: Window) -> list[Connector]:
        """See ReceivingStore."""
        rows = await self._control.call(_SQL["connectors"], merchant_id, window.after, window.limit)
        return [documents.decode(Connector, row["document"]) for row in rows]

    async def connector_health(
        self, merchant_id: MerchantId, connector_ids: Sequence[ConnectorId]
    ) -> list[ConnectorHealth]:
        """See ReceivingStore."""
        rows = await self._control.call(_SQL["health"], merchant_id, list(connector_ids))
        found = {row["connector_id"]: ConnectorHealth(**row) for row in rows}
        return [found.get(id_) or ConnectorHealth(connector_id=id_) for id_ in connector_ids]

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
        bounds = (quarantine_max, quarantine_bytes_max)
        arguments = (owner, for_s, *bounds, *received(receipts))
        await self._receiving.persist(lambda: self._receiving.call(_SQL["receive"], *arguments))

    async def claim_receipts(self, *, owner: int, limit: int, for_s: float) -> list[Receipt]:
        """See ReceivingStore."""
        return _readable(await self._hearing.call(_SQL["claim"], owner, limit, for_s))

    async def rest_receipts(self, rests: Sequence[Rest]) -> None:
        """See ReceivingStore."""
        # In one order for all who do so, or two could wait for each other.
        ordered = sorted(rests, key=lambda rest: (rest.merchant_id, rest.receipt_id))
        await self._hearing.call(
            _SQL["rest"],
            [rest.merchant_id for rest in ordered],
            [rest.receipt_id for rest in ordered],
            [rest.for_s for rest in ordered],
        )

    async def conclude(self, conclusions: Sequence[Conclusion]) -> frozenset[ReceiptId]:
        """See ReceivingStore."""
        arguments = parameters(conclusions)
        rows = await self._hearing.persist(lambda: self._hearing.call(_SQL["conclude"], *arguments))
        return frozenset(rows[0]["stale"])

    async def heard_before(self, subject: Subject, *, limit: int) -> Remembered:
        """See ReceivingStore."""
        rows = await self._hearing.call(
            _SQL["heard_before"],
            *(subject.merchant_id, subject.connector_id),
            *(key(subject.object_type), key(subject.object_id), limit, TOLD_MAX),
        )
        return Remembered(
            heard=tuple(
                HeardBefore(receipt=_receipt(row), said=said(row["said"]))
                for row in rows
                if row["id"] is not None
            ),
            ancient=tuple(word for row in rows if row["id"] is None for word in said(row["said"])),
        )

    async def receipt(self, merchant_id: MerchantId, receipt_id: ReceiptId) -> Receipt | None:
        """See ReceivingStore."""
        rows = await self._control.call(_SQL["receipt"], merchant_id, receipt_id)
        return _receipt(rows[0]) if rows else None

    async def receipts(
        self, merchant_id: MerchantId, which: ReceiptFilter, window: Window
    ) -> list[Receipt]:
        """See ReceivingStore."""
        bindings: tuple[object, ...] = (merchant_id, window.after, window.limit)
        name = "receipts"
        if which.connector_id is not None or which.states is not None:
            states = STATES if which.states is None else dict.fromkeys(which.states)
            bindings = (*bindings, which.connector_id, [CODES[state] for state in states])
            name = "receipts_which"
        return [_receipt(row) for row in await self._control.call(_SQL[name], *bindings)]

    async def count_receipts(
        self, merchant_id: MerchantId, state: ReceiptState, *, since: datetime, at_most: int
    ) -> int:
        """See ReceivingStore."""
        [row] = await self._control.call(
            _SQL["count_receipts"], merchant_id, CODES[state], first_id_at(since), at_most
        )
        return int(row["count"])

    async def receipts_about(
        self, merchant_id: MerchantId, object_type: str, object_id: str, window: Window
    ) -> list[Receipt]:
        """See ReceivingStore."""
        rows = await self._control.call(
            _SQL["receipts_about"],
            *(merchant_id, window.after, window.limit, key(object_type), key(object_id)),
        )
        return [_receipt(row) for row in rows]

    async def linked_receipts(
        self, merchant_id: MerchantId, object_type: str, object_id: str, ids: Collection[ReceiptId]
    ) -> list[Receipt]:
        """See ReceivingStore."""
        about = (key(object_type), key(object_id))
        rows = await self._control.call(_SQL["linked_receipts"], merchant_id, *about, list(ids))
        return [_receipt(row) for row in rows]

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
        # Each once: a state that is asked for twice would give its receipts twice.
        codes = [CODES[state] for state in dict.fromkeys(states)]
        rows = await self._control.call(
            _SQL["reprocessable"], merchant_id, connector_id, codes, after, limit
        )
        return [_receipt(row) for row in rows]

    async def reprocess(self, receipts: Sequence[Receipt], *, audit: AuditEntry) -> int:
        """See ReceivingStore."""
        each = _sorted(receipts)
        arguments = (
            [one.merchant_id for one in each],
            [one.id for one in each],
            [encode(one).decode() for one in each],
            sorted(CODES[state] for state in REPROCESSABLE),
        )

        async def once() -> int:
            async with self._control.transaction() as connection:
                chain = await Chain.lock(connection, audit)
                row = await connection.fetchrow(_SQL["reprocess"], *arguments)
                assert row is not None
                if row["count"]:
                    await chain.add()
                return int(row["count"])

        return await self._control.persist(once)

    async def retire_receipts(self, *, before: datetime, limit: int) -> int:
        """See ReceivingStore."""
        bound = first_id_at(before)
        rows = await self._control.persist(lambda: self._control.call(_SQL["retire"], bound, limit))
        return int(rows[0]["count"])

    async def forget_said(self, *, before: datetime, limit: int) -> int:
        """See ReceivingStore."""
        rows = await self._control.call(_SQL["forget_said"], first_id_at(before), limit)
        return int(rows[0]["count"])

    async def objects_called(
        self, merchant_id: MerchantId, reference: str, *, limit: int
    ) -> list[Reference]:
        """See ReceivingStore."""
        rows = await self._control.call(_SQL["objects_called"], merchant_id, key(reference), limit)
        return [Reference(**row) for row in rows]

    async def references_of(
        self, merchant_id: MerchantId, object_type: str, object_id: str, *, limit: int
    ) -> list[Reference]:
        """See ReceivingStore."""
        rows = await self._control.call(
            _SQL["references_of"], merchant_id, key(object_type), key(object_id), limit
        )
        return [Reference(**row) for row in rows]


def received(receipts: Sequence[Receipt]) -> list[Sequence[object]]:
    """Return the parameters of receive_v1 after the bounds."""
    each = _sorted(receipts)
    return [
        [one.merchant_id for one in each],
        [one.id for one in each],
        [one.connector_id for one in each],
        # Of an answer it is not known, so it is counted as neither: nobody has sent it.
        [None if one.is_answer else one.verdict is Verdict.UNVERIFIED for one in each],
        [CODES[one.state] for one in each],
        [fate(one) for one in each],
        [encode(one).decode() for one in each],
        [one.body for one in each],
    ]


def _sorted(receipts: Sequence[Receipt]) -> list[Receipt]:
    """Return each receipt once, in the order in which statements lock them."""
    # Of several the first, as if one had come after the other.
    distinct = {(one.merchant_id, one.id): one for one in reversed(receipts)}
    return [distinct[place] for place in sorted(distinct)]


def _receipt(row: Row) -> Receipt:
    return decode(row["document"], row["body"], fate_of(row["state"], row["fate"]))


def _readable(rows: Sequence[Row]) -> list[Receipt]:
    """Return the receipts that can be read; one that cannot must not hold up the others."""
    found = []
    for row in rows:
        try:
            found.append(_receipt(row))
        except DamagedError:
            continue
    return found
