"""Metrics for Prometheus: base units, low cardinality, no merchant and no endpoint in labels."""

import platform
from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Info
from prometheus_client.exposition import generate_latest

from payhooks import __version__
from payhooks.observe.tallies import Spread, Tally
from payhooks.ports.sweeping import Health, Pending

_ATTEMPT_BUCKETS_S: Final = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 45
)  # fmt: skip
_LATENCY_BUCKETS_S: Final = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60, 300, 1800, 7200, 36000, 86400, 273600
)  # fmt: skip
_ROWS_BUCKETS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)
EVENT_TYPES_MAX: Final = 500  # as label values; the rest counts as "other"


class Metrics:
    """One registry per process, and every metric in it."""

    def __init__(
        self,
        *,
        dropped_lines: Callable[[], int] = lambda: 0,
        dropped_spans: Callable[[], int] = lambda: 0,
    ) -> None:
        self.registry = CollectorRegistry()
        self._count_the_data_plane()
        self._count_the_upkeep()
        self._gauge_what_waits()
        lines = self._gauge("payhooks_log_lines_dropped", "Log lines the sink did not take.")
        lines.set_function(dropped_lines)
        spans = self._gauge("payhooks_trace_spans_dropped", "Spans the collector did not take.")
        spans.set_function(dropped_spans)
        Info("payhooks_build", "Version.", registry=self.registry).info(
            {"version": __version__, "python": platform.python_version()}
        )
        self._event_types: set[str] = set()

    def _count_the_data_plane(self) -> None:
        self.events_accepted = self._counter(
            "payhooks_events_accepted", "Events stored.", "event_type"
        )
        self.events_repeated = self._counter(
            "payhooks_events_repeated", "Publications whose key was known."
        )
        self.card_data = self._counter(
            "payhooks_card_data_found",
            "Findings of card data in events and receipts that were stored.",
            "finding",
        )
        self.receipts = self._counter(
            "payhooks_receipts", "Requests to connectors.", "dialect", "verdict"
        )
        self.receipts_by_older_secret = self._counter(
            "payhooks_receipts_by_older_secret",
            "Requests that another secret verified than their connector's newest.",
            "dialect",
        )
        self.turned_away = self._counter(
            "payhooks_requests_turned_away",
            "Requests to connectors' URLs that were answered with a problem, and not kept.",
            "status",
        )
        self.receipts_unjudged = self._counter(
            "payhooks_receipts_unjudged",
            "Requests to connectors refused as what they are verified with was not to be had.",
            "dialect",
        )
        self.receipts_concluded = self._counter(
            "payhooks_receipts_concluded", "Receipts by what became of them.", "dialect", "state"
        )
        self.receipt_s = self._histogram(
            "payhooks_receipt_latency_seconds", "From received to concluded.", _LATENCY_BUCKETS_S
        )
        self.attempts = self._counter(
            "payhooks_delivery_attempts",
            "Attempts written down.",
            "outcome",
            "status_class",
            "reason",
        )
        self.deliveries = self._counter("payhooks_deliveries", "Deliveries that ended.", "outcome")
        self.attempt_s = self._histogram(
            "payhooks_attempt_duration_seconds",
            "From the start of an attempt to its end.",
            _ATTEMPT_BUCKETS_S,
        )
        self.latency_s = self._histogram(
            "payhooks_delivery_latency_seconds", "From accepted to delivered.", _LATENCY_BUCKETS_S
        )
        self.commit_rows = self._histogram(
            "payhooks_commit_rows", "Rows per transaction.", _ROWS_BUCKETS, "kind"
        )
        self.commit_s = self._histogram(
            "payhooks_commit_duration_seconds", "Per transaction.", _ATTEMPT_BUCKETS_S, "kind"
        )

    def _count_the_upkeep(self) -> None:
        self.lane_news = self._counter(
            "payhooks_lane_reports", "News of lanes told to the store.", "news"
        )
        self.swept = self._counter("payhooks_swept", "What the sweeper did.", "kind")
        self.alarms = self._counter("payhooks_alarms", "Things an operator must look at.", "kind")
        self.bugs = self._counter(
            "payhooks_bugs_caught", "Exceptions that nothing should raise.", "where"
        )
        self.replays = self._counter("payhooks_replays", "Attempts of replays.", "kind")

    def _gauge_what_waits(self) -> None:
        self.pending = self._gauge("payhooks_deliveries_pending", "Undone deliveries.", "state")
        self.oldest_pending_s = self._gauge(
            "payhooks_oldest_pending_age_seconds",
            "Age of the oldest delivery that is due and not held.",
        )
        self.endpoints = self._gauge("payhooks_endpoints", "Endpoints by state.", "state")
        self.overdue = self._gauge(
            "payhooks_overdue", "Payments that wait for longer than is usual.", "dialect"
        )
        self.circuits_open = self._gauge("payhooks_circuit_open", "Lanes whose circuit is open.")
        self.durability_degraded = self._gauge(
            "payhooks_durability_degraded", "1 where a commit is less safe than it should be."
        )
        self.clock_skew_s = self._gauge(
            "payhooks_clock_skew_seconds", "Our clock minus the store's."
        )
        self.in_flight = self._gauge("payhooks_attempts_in_flight", "Requests under way here.")

    def _counter(self, name: str, words: str, *labels: str) -> Tally:
        return Tally(self.registry, name, words, labels)

    def _gauge(self, name: str, words: str, *labels: str) -> Gauge:
        return Gauge(name, words, labels, registry=self.registry)

    def _histogram(self, name: str, words: str, buckets: Sequence[float], *labels: str) -> Spread:
        return Spread(self.registry, name, words, labels, buckets=buckets)

    def count_accepted(self, event_type: str) -> None:
        """Count an event under its type, or under ``other`` once there are too many types."""
        if event_type not in self._event_types:
            if len(self._event_types) >= EVENT_TYPES_MAX:
                event_type = "other"
            else:
                self._event_types.add(event_type)
        self.events_accepted.add(event_type)

    def set_pending(self, pending: Pending) -> None:
        """Show the work that waits, as the store last counted it."""
        for state, count in pending.states:
            self.pending.labels(state).set(count)
        for state, count in pending.endpoints:
            self.endpoints.labels(state).set(count)
        self.oldest_pending_s.set(pending.oldest_s)
        self.circuits_open.set(pending.circuits_open)

    def set_overdue(self, counts: Sequence[tuple[str, int]]) -> None:
        """Show what is overdue, per dialect of its connector."""
        self.overdue.clear()
        for dialect, count in counts:
            self.overdue.labels(dialect).set(count)

    def set_health(self, health: Health) -> None:
        """Show what a commit is worth, and whose clock is right."""
        self.durability_degraded.set(health.degraded)
        self.clock_skew_s.set(health.clock_skew_s)

    def expose(self) -> bytes:
        """Return everything in the text format of Prometheus."""
        return generate_latest(self.registry)
