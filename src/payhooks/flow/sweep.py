"""Step 6: pick up what fell. Every call does one slice; all of it may run twice.

Leases that ran out go back to the schedule, lanes that drifted are derived again (and counted:
it must be zero), orphans of deleted endpoints are cancelled, what is old is purged, and what
control changes announced is published.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from payhooks import limits
from payhooks.clock import Clock
from payhooks.errors import DamagedError, OverloadedError, PayhooksError, is_outage
from payhooks.flow.accept import Acceptor
from payhooks.flow.publication import Publication
from payhooks.flow.tally import Tallier
from payhooks.ids import MERCHANT, EndpointId, MerchantId, to_text
from payhooks.model.delivery import State
from payhooks.model.endpoint import DisabledReason, EndpointStatus
from payhooks.policy.retry import policy_of
from payhooks.ports.controlling import Window
from payhooks.ports.leasing import LaneNews, LaneReport
from payhooks.ports.reading import DeliveryFilter
from payhooks.ports.store import Store
from payhooks.ports.sweeping import Announcement, FailingLane
from payhooks.ports.telemetry import Telemetry

FAMILY: Final = "payhooks"
# Five days of nothing but failure, or the endpoint's whole retry policy if that is longer:
# nobody loses an endpoint over a long weekend.
DISABLE_AFTER_S: Final = 5 * 86_400.0
# Warnings go out when a quarter, a half and three quarters of that time are over.
WARNINGS_AT: Final = (0.25, 0.5, 0.75)
LISTENER_SILENT_S: Final = 60.0

Disable = Callable[[MerchantId, EndpointId, DisabledReason], Awaitable[None]]
Forget = Callable[[MerchantId, EndpointId], Awaitable[None]]
Warn = Callable[[FailingLane], Awaitable[None]]


class Sweep:
    """The slices of upkeep. One per process that works; several may sweep one store."""

    def __init__(  # noqa: PLR0913 - every collaborator is named at the call site
        self,
        *,
        store: Store,
        acceptor: Acceptor,
        clock: Clock,
        telemetry: Telemetry,
        tallier: Tallier,
        disable: Disable,
        forget_listener: Forget,
        dialect_policy: Callable[[str], str],
        retention: timedelta,
    ) -> None:
        """Take the collaborators; *disable* and *forget_listener* are audited control changes."""
        self._store = store
        self._acceptor = acceptor
        self._clock = clock
        self._telemetry = telemetry
        self._tallier = tallier
        self._disable = disable
        self._forget_listener = forget_listener
        self._dialect_policy = dialect_policy
        self._retention = retention
        self._mend_after: EndpointId | None = None
        self._passed = 0  # announcements that wait for their merchants' sake, in this round
        self._held: set[MerchantId] = set()

    async def expire(self) -> int:
        """Take back leases that ran out."""
        expired = await self._store.expire(limit=limits.SLICE_ROWS_MAX)
        for lease in expired:
            self._tallier.expired(lease)
        if expired:
            self._telemetry.swept("lease_expired", len(expired))
        poisoned = sum(lease.poisoned for lease in expired)
        if poisoned:
            self._telemetry.swept("poisoned", poisoned)
            self._telemetry.alarmed("poison", f"{poisoned} deliveries stopped a worker thrice")
        return len(expired)

    async def mend_lanes(self) -> int:
        """Derive one slice of lanes again; return how many had drifted."""
        mended = await self._store.mend_lanes(limit=limits.SLICE_ROWS_MAX, after=self._mend_after)
        self._mend_after = mended.last
        if mended.drifted:
            self._telemetry.swept("lane_drifted", mended.drifted)
            self._telemetry.alarmed("lane_drifted", f"{mended.drifted} lanes were looked at late")
        return mended.drifted

    async def cancel_orphans(self) -> int:
        """Cancel one slice of what waited for deleted endpoints."""
        cancelled = await self._store.cancel_orphans(limit=limits.SLICE_ROWS_MAX)
        if cancelled:
            self._telemetry.swept("orphan_cancelled", cancelled)
        return cancelled

    async def retire(self) -> int:
        """Purge one slice of what is older than the retention, whole days only."""
        # Days, because a day is what a store can drop at once.
        before = (self._clock.now() - self._retention).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        retired = await self._store.retire(before=before, limit=limits.SLICE_ROWS_MAX)
        retired += await self._store.retire_receipts(before=before, limit=limits.SLICE_ROWS_MAX)
        retired += await self._store.forget_said(
            before=self._clock.now() - timedelta(days=limits.SAID_KEPT_DAYS),
            limit=limits.SLICE_ROWS_MAX,
        )
        if retired:
            self._telemetry.swept("retired", retired)
        return retired

    async def forget_tallies(self) -> int:
        """Remove one slice of the counts that no chart shows any more."""
        now = self._clock.now()
        return await self._store.forget_tallies(
            minutes_before=now - timedelta(days=limits.TALLY_MINUTES_DAYS),
            hours_before=now - timedelta(days=limits.TALLY_HOURS_DAYS),
            limit=limits.SLICE_ROWS_MAX,
        )

    async def publish_announcements(self) -> int:
        """Publish a slice of what control changes announced; the id is the idempotency key."""
        page = await self._announcements()
        done: list[bytes] = []
        try:
            # One after the other: an endpoint's changes are told in the order they were made.
            for each in page:
                if each.merchant_id in self._held:
                    continue
                if await self._publish(each):
                    done.append(each.id)
        finally:
            # Not marked, they would be the first to be published again, outage after outage.
            if done:
                await self._store.announced(done)
        # The next slice begins behind those that wait; a round ends with the last.
        self._passed += len(page) - len(done)
        # A slice is short, too, where one of it cannot be read.
        is_short = len(page) < limits.SLICE_ROWS_MAX
        if is_short and not (page and await self._announcements()):
            self._passed = 0
            self._held.clear()
        return len(done)

    async def tend_failing(self) -> None:
        """Warn about, and in the end disable, endpoints with nothing but failure."""
        least_s = DISABLE_AFTER_S * WARNINGS_AT[0]
        for lane in await self._store.failing_lanes(for_s=least_s, limit=limits.SLICE_ROWS_MAX):
            try:
                await self._tend(lane)
            except DamagedError as error:
                self._telemetry.alarmed("endpoint_unreadable", str(error))

    async def forget_silent_listeners(self) -> int:
        """Delete listening endpoints whose stream is gone."""
        silent = await self._store.silent_listeners(for_s=LISTENER_SILENT_S)
        for merchant_id, endpoint_id in silent:
            await self._forget_listener(merchant_id, endpoint_id)
        return len(silent)

    async def _announcements(self) -> list[Announcement]:
        return await self._store.announcements(limit=limits.SLICE_ROWS_MAX, skip=self._passed)

    async def _publish(self, announcement: Announcement) -> bool:
        try:
            await self._try_to_publish(announcement)
        except PayhooksError as error:
            # Where too much waits it may be all of one merchant's.
            if is_outage(error) and not isinstance(error, OverloadedError):
                raise
            # One merchant's trouble: the others' announcements go, all of this one's wait.
            self._held.add(announcement.merchant_id)
            self._telemetry.alarmed("announcement_waits", str(error))
            return False
        return True

    async def _try_to_publish(self, announcement: Announcement) -> None:
        [result] = await self._acceptor.publish(
            to_text(MERCHANT, announcement.merchant_id),
            [
                Publication(
                    type=announcement.type,
                    family=FAMILY,
                    data=announcement.data,
                    object_type=announcement.object_type,
                    object_id=announcement.object_id,
                    idempotency_key=f"announcement:{announcement.id.hex()}",
                )
            ],
            authorise=lambda _table: None,
        )
        if isinstance(result, PayhooksError):
            raise result

    async def _tend(self, lane: FailingLane) -> None:
        endpoint = await self._store.endpoint(lane.merchant_id, lane.endpoint_id)
        if endpoint is None or endpoint.status is not EndpointStatus.ACTIVE:
            return
        if await self._succeeded_since(lane):
            # Another process saw it succeed and died before it could say so.
            await self._store.report(
                [
                    LaneReport(
                        merchant_id=lane.merchant_id,
                        endpoint_id=lane.endpoint_id,
                        news=LaneNews.RECOVERED,
                    )
                ]
            )
            return
        policy = policy_of(endpoint, self._dialect_policy(endpoint.dialect))
        limit_s = max(DISABLE_AFTER_S, policy.total_s)
        if lane.failing_s >= limit_s:
            await self._disable(lane.merchant_id, lane.endpoint_id, DisabledReason.FAILING)
            return
        due = sum(lane.failing_s >= share * limit_s for share in WARNINGS_AT)
        if due > lane.warned:
            left_h = (limit_s - lane.failing_s) / 3600
            self._telemetry.alarmed(
                "endpoint_failing",
                f"{endpoint.label!r} has only failed; it will be disabled in {left_h:.0f} h",
            )
            await self._store.warned(lane.endpoint_id, warnings=due)

    async def _succeeded_since(self, lane: FailingLane) -> bool:
        newest = await self._store.deliveries(
            lane.merchant_id,
            DeliveryFilter(states=(State.DELIVERED,), endpoint_id=lane.endpoint_id),
            Window(limit=20),
        )
        since = self._clock.now() - timedelta(seconds=lane.failing_s)
        return any(d.finished_at is not None and d.finished_at > since for d in newest)
