"""How many may leave now, and when the next may."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payhooks.policy.throttle import (
    MICROSECONDS,
    allowance,
    burst_of,
    interval_us,
    next_at,
    spend,
)

RATES = st.floats(min_value=0.001, max_value=100_000)
NOW = 1_900_000_000 * MICROSECONDS


@pytest.mark.parametrize(
    ("rate_per_s", "interval", "burst"),
    [
        (10, 100_000, 1),
        (3, 333_334, 1),
        (0.1, 10_000_000, 1),
        (25, 40_000, 2),
        (1_000, 1_000, 100),
        (5_000_000, 1, 500_000),
    ],
)
def test_the_figures_of_a_rate(rate_per_s: float, interval: int, burst: int) -> None:
    """Rounded so that no request comes too early; a burst is a tenth of a second's worth."""
    assert interval_us(rate_per_s) == interval
    assert burst_of(rate_per_s) == burst


def test_a_lane_that_never_sent_may_send_a_burst_and_then_one_an_interval() -> None:
    """The published meaning of a rate limit, in one walk."""
    assert allowance(0, NOW, 10, 3) == 3
    tat = spend(0, NOW, 10, 3, count=3)
    assert allowance(tat, NOW, 10, 3) == 0
    assert allowance(tat, NOW + 99_999, 10, 3) == 0
    assert allowance(tat, NOW + 100_000, 10, 3) == 1
    assert allowance(tat, NOW + 250_000, 10, 3) == 2
    assert allowance(tat, NOW + 3_600 * MICROSECONDS, 10, 3) == 3
    assert next_at(tat, NOW, 10, 3) == NOW + 100_000


def test_idle_time_is_not_saved_up() -> None:
    """A receiver that asked for ten a second must not get an hour's worth on Monday."""
    tat = spend(0, NOW, 10, 1, count=1)
    later = NOW + 3_600 * MICROSECONDS
    assert spend(tat, later, 10, 1, count=1) == later + 100_000


@pytest.mark.parametrize(("rate_per_s", "burst"), [(10, 1), (1_000, 100), (0.01, 1)])
def test_a_clock_that_went_back_delays_by_one_interval(rate_per_s: float, burst: int) -> None:
    """Due times are the database's, and after a failover its clock may be behind."""
    tat = spend(0, NOW, rate_per_s, burst, count=burst)
    behind = NOW - 86_400 * MICROSECONDS
    assert allowance(tat, behind, rate_per_s, burst) == 0
    at = next_at(tat, behind, rate_per_s, burst)
    assert at == behind + interval_us(rate_per_s)
    kept = spend(tat, behind, rate_per_s, burst, count=0)
    assert allowance(kept, at, rate_per_s, burst) == 1


def test_a_higher_rate_does_not_wait_for_what_the_lower_one_owed() -> None:
    """Who raises a limit wants more to come, not a silence of a hundred seconds first."""
    tat = spend(0, NOW, 0.01, 1, count=1)
    assert next_at(tat, NOW, 100, 10) == NOW + interval_us(100)


@given(
    RATES,
    st.integers(min_value=1, max_value=1_000),
    st.integers(min_value=0, max_value=NOW * 2),
    st.integers(min_value=0, max_value=NOW),
)
@example(0.001, 1, NOW, NOW)
def test_next_at_is_the_first_moment_with_an_allowance(
    rate_per_s: float, burst: int, tat: int, now: int
) -> None:
    """A moment too early is a wasted look at the lane, a moment too late is a lost slot."""
    tat = spend(tat, now, rate_per_s, burst, count=0)
    at = next_at(tat, now, rate_per_s, burst)
    assert at >= now
    assert allowance(tat, at, rate_per_s, burst) >= 1
    if at > now:
        assert allowance(tat, at - 1, rate_per_s, burst) == 0


@given(
    st.floats(min_value=0.5, max_value=5_000),
    st.lists(st.integers(min_value=0, max_value=2_000_000), min_size=1, max_size=60),
)
def test_no_window_holds_more_than_its_rate_and_one_burst(
    rate_per_s: float, steps: list[int]
) -> None:
    """Whatever the moments at which a worker looks, the receiver's limit holds."""
    burst = burst_of(rate_per_s)
    tat, now = 0, NOW
    sent: list[tuple[int, int]] = []
    for step in steps:
        now += step
        count = allowance(tat, now, rate_per_s, burst)
        tat = spend(tat, now, rate_per_s, burst, count=count)
        sent.append((now, count))
    for start, (opened, _) in enumerate(sent):
        total = 0
        for at, count in sent[start:]:
            total += count
            assert total <= burst + (at - opened) // interval_us(rate_per_s)


@given(RATES, st.integers(min_value=1, max_value=1_000), st.integers(min_value=0, max_value=NOW))
def test_spending_the_allowance_leaves_none(rate_per_s: float, burst: int, tat: int) -> None:
    """The store spends what it leased in the same transaction; nothing may be left over."""
    count = allowance(tat, NOW, rate_per_s, burst)
    assert 0 <= count <= burst
    left = spend(tat, NOW, rate_per_s, burst, count=count)
    assert allowance(left, NOW, rate_per_s, burst) == 0


@given(RATES, st.integers(min_value=1, max_value=20), st.integers(min_value=0, max_value=NOW * 2))
@example(10.0, 3, NOW + 50_000)
def test_sending_one_by_one_is_sending_together(rate_per_s: float, burst: int, tat: int) -> None:
    """One look that leases n and n looks that lease one must leave the same tat."""
    count = allowance(tat, NOW, rate_per_s, burst)
    together = spend(tat, NOW, rate_per_s, burst, count=count)
    one_by_one = spend(tat, NOW, rate_per_s, burst, count=0)
    for _ in range(count):
        one_by_one = spend(one_by_one, NOW, rate_per_s, burst, count=1)
    assert together == one_by_one
