"""Counts for charts, and how webhooks fare: all from tallies, so that the record may grow."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from payhooks.ids import EndpointId, MerchantId
from payhooks.policy.fitness import DEGRADED_HOURS, is_degraded, percentile_ms
from payhooks.ports.tallying import HOUR_S, MINUTE_S, NO_RESPONSES, Tally, TallyStore

FITNESS_HOURS: Final = 24
# Beyond so many endpoints the overview judges those with the most attempts.
_RANKED_MAX: Final = 1_000
_SHARE: Final = 0.95  # the one of twenty that people complain of
_HOUR: Final = timedelta(seconds=HOUR_S)


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one step of a chart."""

    at: datetime
    accepted: int
    delivered: int
    failed: int
    attempts: int
    attempts_failed: int
    responses: tuple[int, ...]  # see Tally


class Fitness(msgspec.Struct, frozen=True, kw_only=True):
    """How a webhook fared in the last FITNESS_HOURS."""

    by_hour: tuple[int, ...]  # attempts, oldest first
    attempts: int
    attempts_failed: int
    degraded: bool


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How long a webhook's server takes: nineteen of twenty responses at most this."""

    endpoint_id: EndpointId
    p95_ms: float  # a bound of RESPONSE_MS, or infinity
    responses: int


def since(now: datetime, *, step_s: int, steps: int) -> datetime:
    """Return where a chart of so many steps until *now* begins.

    On a whole step since 1970, so that a bar has the same edges at every look.
    """
    ends_s = (int(now.timestamp()) // step_s + 1) * step_s
    return datetime.fromtimestamp(ends_s - steps * step_s, UTC)


async def stats(
    store: TallyStore, merchant_id: MerchantId, *, since: datetime, step_s: int, steps: int
) -> list[Bucket]:
    """Return a merchant's counts per step, oldest first, empty steps included.

    *since* is the start of a whole step since 1970. Events count when they were accepted, attempts
    and the ends of deliveries when they were written down. Steps of less than an hour reach as
    far back as limits.TALLY_MINUTES_DAYS, others as limits.TALLY_HOURS_DAYS.
    """
    assert step_s % MINUTE_S == 0
    assert since.timestamp() % step_s == 0
    found = await store.merchant_tallies(
        merchant_id,
        step_s=HOUR_S if step_s % HOUR_S == 0 else MINUTE_S,
        since=since,
        until=since + timedelta(seconds=steps * step_s),
    )
    return _buckets(found, since=since, step_s=step_s, steps=steps)


async def endpoint_stats(  # noqa: PLR0913 - as stats, and of which endpoint
    store: TallyStore,
    merchant_id: MerchantId,
    endpoint_id: EndpointId,
    *,
    since: datetime,
    step_s: int,
    steps: int,
) -> list[Bucket]:
    """Return one endpoint's counts per step of whole hours until now, as ``stats`` does."""
    assert step_s % HOUR_S == 0
    found = await store.endpoint_tallies(merchant_id, [endpoint_id], since=since)
    return _buckets(found, since=since, step_s=step_s, steps=steps)


async def fitness(
    store: TallyStore, merchant_id: MerchantId, endpoint_ids: Sequence[EndpointId], *, now: datetime
) -> dict[EndpointId, Fitness]:
    """Return how each of these endpoints fared, one that was idle too."""
    since = _hour_of(now) - (FITNESS_HOURS - 1) * _HOUR
    attempts: dict[EndpointId, list[int]] = {id_: [0] * FITNESS_HOURS for id_ in endpoint_ids}
    failed: dict[EndpointId, list[int]] = {id_: [0] * FITNESS_HOURS for id_ in endpoint_ids}
    for one in await store.endpoint_tallies(merchant_id, endpoint_ids, since=since):
        assert one.endpoint_id is not None
        # A process whose clock is ahead counts under an hour that has not begun here.
        at = min((one.at - since) // _HOUR, FITNESS_HOURS - 1)
        attempts[one.endpoint_id][at] += one.attempts
        failed[one.endpoint_id][at] += one.attempts_failed
    return {id_: _fitness(attempts[id_], failed[id_]) for id_ in endpoint_ids}


async def slowest(
    store: TallyStore, merchant_id: MerchantId, *, now: datetime, limit: int
) -> list[Pace]:
    """Return the endpoints whose servers took longest in the last FITNESS_HOURS, slowest first."""
    since = _hour_of(now) - (FITNESS_HOURS - 1) * _HOUR
    paces = []
    for one in await store.endpoint_totals(merchant_id, since=since, limit=_RANKED_MAX):
        p95_ms = percentile_ms(one.responses, _SHARE)
        if p95_ms is not None:
            assert one.endpoint_id is not None
            responses = sum(one.responses)
            paces.append(Pace(endpoint_id=one.endpoint_id, p95_ms=p95_ms, responses=responses))
    # Of two that are equally slow, the one that more wait for.
    return sorted(paces, key=lambda pace: (pace.p95_ms, pace.responses), reverse=True)[:limit]


def p95_ms(buckets: Iterable[Bucket]) -> float | None:
    """Return the time that nineteen of twenty responses took at most; None where there are none."""
    return percentile_ms(_added(bucket.responses for bucket in buckets), _SHARE)


def _buckets(tallies: Sequence[Tally], *, since: datetime, step_s: int, steps: int) -> list[Bucket]:
    step = timedelta(seconds=step_s)
    of_step: list[list[Tally]] = [[] for _ in range(steps)]
    for one in tallies:
        # A process whose clock is ahead counts under a step that has not begun here.
        of_step[min((one.at - since) // step, steps - 1)].append(one)
    return [_bucket(since + at * step, of_step[at]) for at in range(steps)]


def _fitness(attempts: Sequence[int], failed: Sequence[int]) -> Fitness:
    return Fitness(
        by_hour=tuple(attempts),
        attempts=sum(attempts),
        attempts_failed=sum(failed),
        degraded=is_degraded(
            attempts=sum(attempts[-DEGRADED_HOURS:]), attempts_failed=sum(failed[-DEGRADED_HOURS:])
        ),
    )


def _bucket(at: datetime, tallies: Sequence[Tally]) -> Bucket:
    return Bucket(
        at=at,
        accepted=sum(one.accepted for one in tallies),
        delivered=sum(one.delivered for one in tallies),
        failed=sum(one.failed for one in tallies),
        attempts=sum(one.attempts for one in tallies),
        attempts_failed=sum(one.attempts_failed for one in tallies),
        responses=_added(one.responses for one in tallies),
    )


def _added(responses: Iterable[Sequence[int]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(NO_RESPONSES, *responses, strict=True)))


def _hour_of(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)
