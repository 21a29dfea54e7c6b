"""Judging a webhook by its counts: when it is degraded, and how long its server takes."""

from math import inf

import pytest

from payhooks.policy.fitness import (
    DEGRADED_ATTEMPTS_MIN,
    DEGRADED_SHARE,
    RESPONSE_MS,
    is_degraded,
    percentile_ms,
)


@pytest.mark.parametrize(
    ("attempts", "failed", "degraded"),
    [
        pytest.param(0, 0, False, id="idle"),
        pytest.param(9, 9, False, id="too few to say"),
        pytest.param(10, 2, True, id="one in five of just enough"),
        pytest.param(10, 1, False, id="one in ten"),
        pytest.param(1_000, 199, False, id="a little less than one in five"),
        pytest.param(1_000, 200, True, id="one in five of many"),
        pytest.param(1_000, 1_000, True, id="nothing but failure"),
    ],
)
def test_a_webhook_is_degraded_where_many_of_enough_attempts_failed(
    attempts: int, failed: int, *, degraded: bool
) -> None:
    """A chip that cries wolf at one restart of a server is not looked at."""
    assert is_degraded(attempts=attempts, attempts_failed=failed) is degraded


def test_the_limits_are_those_that_the_page_tells() -> None:
    """The list of webhooks says one in five in words."""
    assert (DEGRADED_SHARE, DEGRADED_ATTEMPTS_MIN) == (0.2, 10)
    assert RESPONSE_MS == (50, 100, 200, 500, 1_000, 2_000, 5_000, 15_000)


@pytest.mark.parametrize(
    ("counts", "share", "bound"),
    [
        pytest.param({}, 0.95, None, id="nothing was counted"),
        pytest.param({0: 1}, 0.95, 50.0, id="one"),
        pytest.param({0: 19, 3: 1}, 0.95, 50.0, id="nineteen of twenty are quick"),
        pytest.param({0: 18, 3: 2}, 0.95, 500.0, id="eighteen are not enough"),
        pytest.param({0: 1, 7: 1}, 0.5, 50.0, id="the median"),
        pytest.param({0: 9, 8: 1}, 1.0, inf, id="longer than the last bound"),
    ],
)
def test_a_percentile_is_the_bound_that_so_many_kept(
    counts: dict[int, int], share: float, bound: float | None
) -> None:
    """Told as at most, so that it is never less than the truth."""
    responses = [counts.get(place, 0) for place in range(len(RESPONSE_MS) + 1)]
    assert percentile_ms(responses, share) == bound
