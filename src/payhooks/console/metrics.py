"""Counts as pages show them: spans to choose from, bars over time, and how long answers take."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isinf
from typing import Final

from payhooks.console.chart import Series
from payhooks.control import statistics
from payhooks.control.statistics import Bucket
from payhooks.policy.fitness import RESPONSE_MS

_MS_PER_S: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time that a chart can show."""

    words: str
    step_s: int
    steps: int
    step_words: str
    label: str  # how a step is labelled

    def since(self, now: datetime) -> datetime:
        """Return where it begins when it ends now."""
        return statistics.since(now, step_s=self.step_s, steps=self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """A chart, and the rows of its table: the steps in which something happened."""

    labels: Sequence[str]
    series: Sequence[Series]
    rows: Sequence[tuple[str, int, int, int]]


def bars(buckets: Sequence[Bucket], span: Span) -> Bars:
    """Return what became of deliveries, step by step."""
    labels = [f"{bucket.at:{span.label}}" for bucket in buckets]
    delivered = [bucket.delivered for bucket in buckets]
    # A failed attempt is followed by another, or was the last of a delivery that failed.
    retried = [max(0, bucket.attempts_failed - bucket.failed) for bucket in buckets]
    failed = [bucket.failed for bucket in buckets]
    return Bars(
        labels=labels,
        series=[
            Series(label="Delivered", tone="good", values=delivered),
            Series(label="Tried again", tone="wait", values=retried),
            Series(label="Failed", tone="bad", values=failed),
        ],
        rows=[row for row in zip(labels, delivered, retried, failed, strict=True) if any(row[1:])],
    )


def within(bound_ms: float | None) -> str:
    """Return in words what most responses took at most; empty where there were none."""
    if bound_ms is None:
        return ""
    if isinf(bound_ms):
        return f"> {RESPONSE_MS[-1] // _MS_PER_S} s"
    if bound_ms < _MS_PER_S:
        return f"≤ {bound_ms:g} ms"
    return f"≤ {bound_ms / _MS_PER_S:g} s"
