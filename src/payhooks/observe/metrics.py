"""Metrics for Prometheus: base units, low cardinality, no merchant and no endpoint in labels."""

import platform
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import generate_latest

from payhooks import __version__
from payhooks.ports.sweeping import Pending

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

    def __init__(self, *, dropped_lines: Callable[[], int] = lambda: 0) -> None:
        registry = self.registry = CollectorRegistry()
        self.events_accepted = Counter(
            "payhooks_events_accepted", "Events stored.", ["event_type"], registry=registry
        )
        self.events_repeated = Counter(
            "payhooks_events_repeated", "Publications whose key was known.", registry=registry
        )
        self.attempts = Counter(
            "payhooks_delivery_attempts",
            "Attempts written down.",
            ["outcome", "status_class", "reason"],
            registry=registry,
        )
        self.deliveries = Counter(
            "payhooks_deliveries", "Deliveries that ended.", ["outcome"], registry=registry
        )
        self.attempt_s = Histogram(
            "payhooks_attempt_duration_seconds",
            "From the start of an attempt to its end.",
            buckets=_ATTEMPT_BUCKETS_S,
            registry=registry,
        )
        self.latency_s = Histogram(
            "payhooks_delivery_latency_seconds",
            "From accepted to delivered.",
            buckets=_LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.commit_rows = Histogram(
            "payhooks_commit_rows",
            "Rows per transaction.",
            ["kind"],
            buckets=_ROWS_BUCKETS,
            registry=registry,
        )
        self.commit_s = Histogram(
            "payhooks_commit_duration_seconds", "Per transaction.", ["kind"], registry=registry
        )
        self.lane_news = Counter(
            "payhooks_lane_reports", "News of lanes told to the store.", ["news"], registry=registry
        )
        self.swept = Counter("payhooks_swept", "What the sweeper did.", ["kind"], registry=registry)
        self.alarms = Counter(
            "payhooks_alarms", "Things an operator must look at.", ["kind"], registry=registry
        )
        self.bugs = Counter(
            "payhooks_bugs_caught", "Exceptions that nothing should raise.", ["where"],
            registry=registry,
        )  # fmt: skip
        self.pending = Gauge(
            "payhooks_deliveries_pending", "Undone deliveries.", ["state"], registry=registry
        )
        self.oldest_pending_s = Gauge(
            "payhooks_oldest_pending_age_seconds",
            "Age of the oldest delivery that is due and not held.",
            registry=registry,
        )
        self.endpoints = Gauge(
            "payhooks_endpoints", "Endpoints by state.", ["state"], registry=registry
        )
        self.circuits_open = Gauge(
            "payhooks_circuit_open", "Lanes whose circuit is open.", registry=registry
        )
        self.replays = Counter(
            "payhooks_replays", "Deliveries sent again.", ["kind"], registry=registry
        )
        self.in_flight = Gauge(
            "payhooks_attempts_in_flight", "Requests under way here.", registry=registry
        )
        lines = Gauge(
            "payhooks_log_lines_dropped", "Log lines the sink did not take.", registry=registry
        )
        lines.set_function(dropped_lines)
        Info("payhooks_build", "Version.", registry=registry).info(
            {"version": __version__, "python": platform.python_version()}
        )
        self._event_types: set[str] = set()

    def event_type_label(self, event_type: str) -> str:
        """Return the type as a label, or ``other`` once there are too many."""
        if event_type in self._event_types:
            return event_type
        if len(self._event_types) >= EVENT_TYPES_MAX:
            return "other"
        self._event_types.add(event_type)
        return event_type

    def set_pending(self, pending: Pending) -> None:
        """Show the work that waits, as the store last counted it."""
        for state, count in pending.states:
            self.pending.labels(state).set(count)
        for state, count in pending.endpoints:
            self.endpoints.labels(state).set(count)
        self.oldest_pending_s.set(pending.oldest_s)
        self.circuits_open.set(pending.circuits_open)

    def expose(self) -> bytes:
        """Return everything in the text format of Prometheus."""
        return generate_latest(self.registry)
