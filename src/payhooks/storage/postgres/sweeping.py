"""Upkeep, a slice at a time."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from payhooks import limits
from payhooks.clock import Clock
from payhooks.ids import DeliveryId, EndpointId, MerchantId, first_id_at
from payhooks.model.delivery import ABANDONED_IN_A_ROW_MAX, State
from payhooks.model.endpoint import EndpointStatus
from payhooks.ports.sweeping import (
    Announcement,
    Expired,
    FailingLane,
    Health,
    Mended,
    Pending,
    Worker,
)
from payhooks.storage import documents, statements
from payhooks.storage.postgres import migrations, partitions
from payhooks.storage.postgres.connections import Connection, Connections, Row
from payhooks.storage.postgres.partitions import Partition
from payhooks.storage.postgres.rows import CODES

_SQL: Final = statements.load("payhooks.storage.postgres", "sweeping.sql")
_PARTITIONS_EVERY_S: Final = 3_600.0
# Reads all that waits, and a turn of retention has a slice every few milliseconds.
_OLDEST_EVERY_S: Final = 60.0


class PostgresSweep:
    """See SweepStore."""

    _clock: Clock
    _clock_offset: Callable[[], float] | None
    _leasing: Connections
    _control: Connections
    _partitions_at_s: float | None = None
    _oldest: bytes | None = None  # of what was undone when it was looked for
    _oldest_at_s: float | None = None

    async def expire(self, *, limit: int) -> list[Expired]:
        """See SweepStore."""
        rows = await self._leasing.persist(
            lambda: self._leasing.call(_SQL["expire"], limit, ABANDONED_IN_A_ROW_MAX)
        )
        return [
            Expired(
                delivery_id=DeliveryId(row["delivery_id"]),
                merchant_id=MerchantId(row["merchant_id"]),
                endpoint_id=EndpointId(row["endpoint_id"]),
                poisoned=row["poisoned"],
            )
            for row in rows
        ]

    async def mend_lanes(self, *, limit: int, after: EndpointId | None) -> Mended:
        """See SweepStore."""
        await self._control.call(_SQL["free_objects"], limit, after)
        row = (await self._control.call(_SQL["mend_lanes"], limit, after))[0]
        last = None if row["last"] is None else EndpointId(row["last"])
        return Mended(looked=row["looked"], drifted=row["drifted"], last=last)

    async def cancel_orphans(self, *, limit: int) -> int:
        """See SweepStore."""
        rows = await self._control.persist(
            lambda: self._control.call(_SQL["cancel_orphans"], limit)
        )
        return int(rows[0]["count"])

    async def retire(self, *, before: datetime, limit: int) -> int:
        """See SweepStore. Whole days go as partitions, so *before* is best a midnight."""
        bound = first_id_at(before)
        retired = await self._cancel_old(bound, limit)
        async with self._control.borrowed() as connection:
            await self._ensure_partitions(connection)
            retired += await self._drop(connection, below=bound)
            for purge in ("purge_events", "purge_blocks", "purge_keys", "purge_entries"):
                purged = await connection.fetchrow(_SQL[purge], bound, limit)
                retired += 0 if purged is None else int(purged["count"])
            return retired + await self._retire_bodies(connection, limit)

    async def failing_lanes(self, *, for_s: float, limit: int) -> list[FailingLane]:
        """See SweepStore."""
        rows = await self._control.call(_SQL["failing_lanes"], for_s, limit)
        return [
            FailingLane(
                merchant_id=MerchantId(row["merchant_id"]),
                endpoint_id=EndpointId(row["endpoint_id"]),
                failing_s=row["failing_s"],
                warned=row["warned"],
            )
            for row in rows
        ]

    async def warned(self, endpoint_id: EndpointId, *, warnings: int) -> None:
        """See SweepStore."""
        await self._control.call(_SQL["warned"], endpoint_id, warnings)

    async def silent_listeners(self, *, for_s: float) -> list[tuple[MerchantId, EndpointId]]:
        """See SweepStore."""
        rows = await self._control.call(_SQL["silent_listeners"], for_s)
        return [(MerchantId(row["merchant_id"]), EndpointId(row["endpoint_id"])) for row in rows]

    async def announcements(self, *, limit: int, skip: int = 0) -> list[Announcement]:
        """See SweepStore."""
        rows = await self._control.call(_SQL["announcements"], limit, skip)
        return documents.decode_readable(Announcement, [row["document"] for row in rows])

    async def announced(self, ids: Sequence[bytes]) -> None:
        """See SweepStore."""
        await self._control.call(_SQL["announced"], list(ids))

    async def heartbeat(self, *, owner: int, version: str) -> None:
        """See SweepStore."""
        await self._control.call(_SQL["heartbeat"], owner, version)

    async def health(self) -> Health:
        """See SweepStore."""
        async with self._control.borrowed() as connection:
            schema_version = await migrations.check(connection)
            before = self._now()
            settings = await connection.fetchrow(_SQL["settings"])
            after = self._now()
            workers = await connection.fetch(_SQL["workers"])
        assert settings is not None
        # The server looked at its clock somewhere between our two looks at ours.
        skew = before + (after - before) / 2 - settings["now"]
        return Health(
            writable=not settings["standby"],
            durability=_durability(settings),
            clock_skew_s=skew.total_seconds(),
            schema_version=schema_version,
            workers=tuple(
                Worker(owner=row["owner"], seen_s_ago=row["seen_s_ago"], version=row["version"])
                for row in workers
            ),
        )

    async def pending(self) -> Pending:
        """See SweepStore."""
        async with self._control.borrowed() as connection:
            states = await connection.fetch(_SQL["pending_states"])
            oldest = await connection.fetchrow(_SQL["pending_oldest"])
            endpoints = await connection.fetch(_SQL["pending_endpoints"])
            circuits = await connection.fetchrow(_SQL["circuits_open"])
        assert oldest is not None
        assert circuits is not None
        in_state = {row["state"]: row["count"] for row in states}
        in_status = {row["status"]: row["count"] for row in endpoints}
        undone = (State.SCHEDULED, State.LEASED, State.BLOCKED)
        shown = (EndpointStatus.ACTIVE, EndpointStatus.PAUSED, EndpointStatus.DISABLED)
        return Pending(
            states=tuple((state.value, in_state.get(CODES[state], 0)) for state in undone),
            oldest_s=oldest["oldest_s"],
            endpoints=tuple((status.value, in_status.get(status.value, 0)) for status in shown),
            circuits_open=circuits["count"],
        )

    def _now(self) -> datetime:
        return self._clock.now()

    async def _ensure_partitions(self, connection: Connection) -> None:
        now_s = self._clock.monotonic_s()
        due = self._partitions_at_s is None or now_s >= self._partitions_at_s
        if due:
            await partitions.ensure(connection)
            self._partitions_at_s = now_s + _PARTITIONS_EVERY_S

    async def _cancel_old(self, bound: bytes, limit: int) -> int:
        """Cancel what is undone and older than *bound*, as of a look a moment ago."""
        async with self._control.borrowed() as connection:
            if self._oldest_at_s is None or self._looked_long_ago():
                await self._look_for_oldest(connection)
        if self._oldest is None or self._oldest >= bound:
            return 0
        cancelled = (await self._control.call(_SQL["cancel_old"], bound, limit))[0]["ids"]
        self._oldest_at_s = None  # the next slice sees what is left
        return len(cancelled or ())

    async def _drop(self, connection: Connection, *, below: bytes) -> int:
        """Drop the oldest day that ends before *below* of each table; return how many."""
        days = [await partitions.existing(connection, table) for table in partitions.TABLES]
        over = await self._over(connection, [each[0] for each in days if each], below=below)
        return sum([await partitions.drop(connection, day) for day in over])

    async def _over(
        self, connection: Connection, days: Sequence[Partition], *, below: bytes
    ) -> list[Partition]:
        """Return those that end before *below* and before all that is undone."""
        due = [day for day in days if day.bounds[1] <= below]
        # A look of a moment ago is good for a no. Before a day goes it is done again: a replay may
        # have put something of it on its way.
        if not self._ended(due):
            return []
        await self._look_for_oldest(connection)
        return self._ended(due)

    def _ended(self, days: Sequence[Partition]) -> list[Partition]:
        return [day for day in days if self._oldest is None or day.bounds[1] <= self._oldest]

    async def _look_for_oldest(self, connection: Connection) -> None:
        undone = await connection.fetchrow(_SQL["undone_oldest"])
        self._oldest = None if undone is None else undone["id"]
        self._oldest_at_s = self._clock.monotonic_s()

    def _looked_long_ago(self) -> bool:
        assert self._oldest_at_s is not None
        return self._clock.monotonic_s() - self._oldest_at_s >= _OLDEST_EVERY_S

    async def _retire_bodies(self, connection: Connection, limit: int) -> int:
        """Forget answers, and bodies of deliveries that are over; they are kept for a week."""
        kept_since = self._now() - timedelta(days=limits.ANSWER_KEPT_DAYS)
        bound = first_id_at(kept_since)
        days = await partitions.existing(connection, "bodies")
        dropped = 0
        for day in await self._over(connection, days, below=bound):
            youngest = await connection.fetchrow(_SQL["youngest_body"], *day.bounds)
            if youngest is None or youngest["kept_at"] < kept_since:
                dropped = int(await partitions.drop(connection, day))
                break
        purged = await connection.fetchrow(_SQL["purge_bodies"], bound, kept_since, limit)
        return dropped + (0 if purged is None else int(purged["count"]))


def _durability(settings: Row) -> str:
    if settings["standby"]:
        return "degraded: this is a read-only standby"
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        # "local" waits for our own disk, which is what 202 promises.
        if settings[name] == "off":
            return f"degraded: {name} is off"
    if settings["standbys"] and settings["synchronous_commit"] != "local":
        return "synchronous_standby"
    if settings["followed"]:
        return "degraded: the standby is asynchronous, so a failover loses the last moments"
    return "fsync"
