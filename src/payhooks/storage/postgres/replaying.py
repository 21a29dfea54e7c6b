"""Calling deliveries off, sending them again, and the jobs that do so with many."""

from collections.abc import Sequence
from typing import Final

from payhooks.ids import DeliveryId, EndpointId, MerchantId, ReplayId
from payhooks.model.audit import AuditEntry
from payhooks.model.delivery import State
from payhooks.model.replay import Replay
from payhooks.ports.controlling import Cancelled, LaneBacklog, Requeue, Window
from payhooks.storage import documents, statements
from payhooks.storage.postgres.auditing import Chain
from payhooks.storage.postgres.connections import Connection, Connections
from payhooks.storage.postgres.rows import CODES

_SQL: Final = statements.load("payhooks.storage.postgres", "replaying.sql")


class PostgresReplay:
    """See ControlStore; what configures is in controlling.py."""

    _control: Connections

    async def cancel(
        self, merchant_id: MerchantId, delivery_id: DeliveryId, audit: AuditEntry
    ) -> Cancelled:
        """See ControlStore."""

        async def once() -> Cancelled:
            async with self._control.transaction() as connection:
                chain = await Chain.lock(connection, audit)
                cancelled = await _call_off(connection, merchant_id, delivery_id)
                if cancelled in {Cancelled.CANCELLED, Cancelled.UNBLOCKED}:
                    await chain.add()
                return cancelled

        return await self._control.persist(once)

    async def requeue(self, items: Sequence[Requeue], *, audit: AuditEntry | None) -> int:
        """See ControlStore."""

        async def once() -> int:
            async with self._control.transaction() as connection:
                chain = None if audit is None else await Chain.lock(connection, audit)
                count = await put_again(connection, items, replay_id=None, bulk=False)
                if count and chain is not None:
                    await chain.add()
                return count

        return await self._control.persist(once)

    async def repair(self, items: Sequence[Requeue], *, audit: AuditEntry) -> int:
        """See ControlStore."""

        async def once() -> int:
            async with self._control.transaction() as connection:
                chain = await Chain.lock(connection, audit)
                count = await put_again(connection, items, replay_id=None, bulk=True)
                count += len(await connection.fetch(_SQL["write_off"], *_columns(items)))
                if count:
                    await chain.add()
                return count

        return await self._control.persist(once)

    async def expunge(self, merchant_id: MerchantId, event_id: bytes, audit: AuditEntry) -> bool:
        """See ControlStore."""

        async def once() -> bool:
            async with self._control.transaction() as connection:
                chain = await Chain.lock(connection, audit)
                if await connection.fetchrow(_SQL["expunge"], merchant_id, event_id) is None:
                    return False
                await connection.execute(_SQL["expunge_undone"], merchant_id, event_id)
                await connection.execute(_SQL["expunge_bodies"], merchant_id, event_id)
                await chain.add()
                return True

        return await self._control.persist(once)

    async def replay(self, merchant_id: MerchantId, replay_id: ReplayId) -> Replay | None:
        """See ControlStore."""
        rows = await self._control.call(_SQL["replay"], merchant_id, replay_id)
        return documents.decode(Replay, rows[0]["document"]) if rows else None

    async def replays(self, merchant_id: MerchantId, window: Window) -> list[Replay]:
        """See ControlStore."""
        rows = await self._control.call(_SQL["replays"], merchant_id, window.after, window.limit)
        return [documents.decode(Replay, row["document"]) for row in rows]

    async def claim_replays(self, *, owner: int, limit: int, for_s: float) -> list[Replay]:
        """See ControlStore."""
        rows = await self._control.call(_SQL["claim"], owner, limit, for_s)
        return documents.decode_readable(Replay, [row["document"] for row in rows])

    async def advance_replay(
        self, replay: Replay, *, after: Replay, items: Sequence[Requeue], bulk: bool
    ) -> bool:
        """See ControlStore."""
        document = documents.encode(replay).decode()
        where = (replay.merchant_id, replay.id)
        stands = (documents.printed(after.cursor), after.queued)
        bindings = (*where, replay.state, document, *stands)

        async def once() -> bool:
            async with self._control.transaction() as connection:
                # Before the replay itself, as a change of it locks them.
                await _hold_routing(connection, items)
                advanced = await connection.fetchrow(_SQL["advance"], *bindings)
                if advanced is None:
                    return False
                await put_again(connection, items, replay_id=replay.id, bulk=bulk)
                return True

        return await self._control.persist(once)

    async def replay_backlog(self, replay_id: ReplayId) -> list[LaneBacklog]:
        """See ControlStore."""
        rows = await self._control.call(_SQL["backlog"], replay_id)
        return [
            LaneBacklog(
                endpoint_id=EndpointId(row["endpoint_id"]), undone=row["undone"], ahead=row["ahead"]
            )
            for row in rows
        ]

    async def cancel_replay_backlog(
        self, merchant_id: MerchantId, replay_id: ReplayId, *, limit: int
    ) -> int:
        """See ControlStore."""
        bindings = (merchant_id, replay_id, limit)
        rows = await self._control.persist(lambda: self._control.call(_SQL["take_back"], *bindings))
        return int(rows[0]["count"])


async def _call_off(
    connection: Connection, merchant_id: MerchantId, delivery_id: DeliveryId
) -> Cancelled:
    queued = await connection.fetchrow(_SQL["queued"], merchant_id, delivery_id)
    if queued is not None:
        if queued["state"] == CODES[State.LEASED]:
            return Cancelled.IN_FLIGHT
        await connection.execute(_SQL["cancel"], [merchant_id], [delivery_id])
        return Cancelled.CANCELLED
    if await connection.fetchrow(_SQL["ended"], merchant_id, delivery_id) is None:
        return Cancelled.UNKNOWN
    freed = await connection.fetchrow(_SQL["unblock"], delivery_id)
    return Cancelled.FINAL if freed is None else Cancelled.UNBLOCKED


async def put_again(
    connection: Connection, items: Sequence[Requeue], *, replay_id: ReplayId | None, bulk: bool
) -> int:
    """Put deliveries (back) on their way inside a transaction; return how many."""
    if not items:
        return 0
    await _hold_routing(connection, items)
    order_keys = [item.order_key for item in items]
    row = await connection.fetchrow(
        _SQL["requeue"], *_columns(items), order_keys, *(replay_id, bulk)
    )
    assert row is not None
    return int(row["count"])


async def _hold_routing(connection: Connection, items: Sequence[Requeue]) -> None:
    await connection.execute(_SQL["hold_routing"], list({item.merchant_id for item in items}))


def _columns(items: Sequence[Requeue]) -> tuple[list[object], ...]:
    """Return the members of many, each as an array, but for their place in an order."""
    return (
        [item.merchant_id for item in items],
        [item.delivery_id for item in items],
        [item.endpoint_id for item in items],
        [item.event_type for item in items],
        [item.dialect for item in items],
        [item.dialect_version for item in items],
    )
