"""How a webhook fares: how much was sent, how long its server takes, and why what failed did.

Everything is read in a bounded way: counts by the hour, and the newest deliveries that failed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, TypeVar

from markupsafe import Markup

from payhooks.console.chart import Series, stacked
from payhooks.console.listing import recovery
from payhooks.console.metrics import Bars, Span, bars, within
from payhooks.console.page import Visit
from payhooks.control import statistics
from payhooks.ids import made_at
from payhooks.model.attempt import REASON_SENTENCES, Reason
from payhooks.model.delivery import Delivery, State
from payhooks.model.endpoint import Endpoint
from payhooks.policy.fitness import RESPONSE_MS, percentile_ms
from payhooks.ports.controlling import Window
from payhooks.ports.reading import DeliveryFilter

SPANS: Final[Mapping[str, Span]] = {
    "24h": Span(words="24 h", step_s=3_600, steps=24, step_words="hour", label="%H:%M"),
    "7d": Span(words="7 d", step_s=21_600, steps=28, step_words="six hours", label="%d %b %H h"),
    "30d": Span(words="30 d", step_s=86_400, steps=30, step_words="day", label="%d %b"),
}
# By which failures are judged: enough to see what is the matter, few enough to read at each look.
FAILED_MAX: Final = 200
_SHARES: Final = ((0.5, "Half"), (0.95, "19 of 20"), (0.99, "99 of 100"))


_Word = TypeVar("_Word", bound=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """How many failed with one reason, and where they can be sent again."""

    reason: Reason
    words: str
    count: int
    recover: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What the part of the page shows."""

    span: Span
    delivered: int
    failed: int
    attempts: int
    attempts_failed: int
    bars: Bars
    paces: Sequence[tuple[str, str]]  # how many of the answers, and within what time
    times: Sequence[tuple[str, int]]  # answers by the time that they took
    times_chart: Markup
    judged: int  # deliveries that failed, the newest
    judged_all: bool  # there are no others
    reasons: Sequence[Failed]
    statuses: Sequence[tuple[str, int]]


async def metrics_of(visit: Visit, endpoint: Endpoint, span: Span) -> Metrics:
    """Return how a webhook fared in a span, and why the newest that failed did."""
    store = visit.control.store
    buckets = await statistics.endpoint_stats(
        store,
        endpoint.merchant_id,
        endpoint.id,
        since=span.since(visit.now),
        step_s=span.step_s,
        steps=span.steps,
    )
    responses = [sum(each) for each in zip(*(one.responses for one in buckets), strict=True)]
    labels = [within(bound_ms) for bound_ms in (*RESPONSE_MS, inf)]
    wanted = DeliveryFilter(endpoint_id=endpoint.id, states=(State.FAILED,))
    failed = await store.deliveries(endpoint.merchant_id, wanted, Window(limit=FAILED_MAX))
    statuses = await store.last_statuses(endpoint.merchant_id, [one.id for one in failed])
    return Metrics(
        span=span,
        delivered=sum(bucket.delivered for bucket in buckets),
        failed=sum(bucket.failed for bucket in buckets),
        attempts=sum(bucket.attempts for bucket in buckets),
        attempts_failed=sum(bucket.attempts_failed for bucket in buckets),
        bars=bars(buckets, span),
        paces=_paces(responses),
        times=list(zip(labels, responses, strict=True)),
        times_chart=stacked(
            "Answers by the time that they took",
            labels,
            [Series(label="Answers", tone="plain", values=responses)],
        ),
        judged=len(failed),
        judged_all=len(failed) < FAILED_MAX,
        reasons=_reasons(endpoint, failed),
        statuses=_by_count(
            Counter("No answer" if one is None else str(one) for one in statuses.values())
        ),
    )


def _paces(responses: Sequence[int]) -> list[tuple[str, str]]:
    shares = [(words, percentile_ms(responses, share)) for share, words in _SHARES]
    return [(words, within(bound_ms)) for words, bound_ms in shares if bound_ms is not None]


def _reasons(endpoint: Endpoint, failed: Sequence[Delivery]) -> list[Failed]:
    """Return why they failed, the commonest first."""
    # They come newest first: the last of a reason stays.
    oldest = {one.reason: made_at(one.id) for one in failed}
    counts = Counter(one.reason for one in failed if one.reason is not None)
    return [
        Failed(
            reason=reason,
            words=REASON_SENTENCES[reason],
            count=count,
            recover=recovery(since=oldest[reason], endpoint_id=endpoint.id, reason=reason),
        )
        for reason, count in _by_count(counts)
    ]


def _by_count(counts: Counter[_Word]) -> list[tuple[_Word, int]]:
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))
