"""When a lane rests for nothing but failure, and when it is tried again."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhooks.policy.breaker import (
    CLOSED,
    FAILURES_TO_OPEN,
    JITTER_RATIO,
    REST_S_MAX,
    REST_S_MIN,
    Breaker,
    after_failure,
    after_success,
)


class NoJitter(Random):
    """Draw zero always, so that a rest is its published least."""

    def random(self) -> float:
        """Return zero."""
        return 0.0


def failed(breaker: Breaker, times: int) -> tuple[Breaker, list[float | None]]:
    rests: list[float | None] = []
    for _ in range(times):
        breaker, rest_s = after_failure(breaker, NoJitter())
        rests.append(rest_s)
    return breaker, rests


def test_four_failures_in_a_row_are_ordinary_trouble_and_the_fifth_opens() -> None:
    """A deploy loses a request or two; resting its lane for that would make events late."""
    breaker, rests = failed(CLOSED, FAILURES_TO_OPEN)
    assert rests == [None, None, None, None, 30.0]
    assert breaker.half_open


def test_a_success_starts_the_count_anew() -> None:
    """An endpoint that fails half of the time is slow, not dead."""
    breaker, _ = failed(CLOSED, FAILURES_TO_OPEN - 1)
    _, rests = failed(after_success(breaker), FAILURES_TO_OPEN - 1)
    assert set(rests) == {None}


def test_each_failed_probe_doubles_the_rest_up_to_a_quarter_of_an_hour() -> None:
    """A dead endpoint costs one request a rest; one that comes back hears of it soon."""
    opened, _ = failed(CLOSED, FAILURES_TO_OPEN)
    _, rests = failed(opened, 8)
    assert rests == [60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0, 900.0]


def test_one_good_probe_closes_it() -> None:
    """The backlog must flow at once when the receiver is back."""
    opened, _ = failed(CLOSED, 10)
    assert after_success(opened) == CLOSED
    assert not CLOSED.half_open


def test_requests_that_had_left_before_it_opened_do_not_lengthen_the_rest() -> None:
    """Sixteen under way when an endpoint dies would otherwise mean the longest rest at once."""
    opened, _ = failed(CLOSED, FAILURES_TO_OPEN)
    for _ in range(11):
        breaker, rest_s = after_failure(opened, Random(0), resting=True)
        assert breaker == opened
        assert rest_s is None


def test_a_failed_probe_rests_the_lane_though_this_process_never_saw_it_open() -> None:
    """The process that opened it may be gone; its successor must not send five more first."""
    breaker, rest_s = after_failure(CLOSED, NoJitter(), probe=True)
    assert rest_s == 60.0
    assert breaker.half_open
    known, _ = failed(CLOSED, FAILURES_TO_OPEN + 1)
    assert after_failure(known, NoJitter(), probe=True)[1] == 120.0


@given(st.integers(min_value=0, max_value=40), st.integers(min_value=0))
def test_a_rest_is_never_shorter_than_published_nor_a_fifth_longer(times: int, seed: int) -> None:
    """Jitter only adds; the cap bounds how late a receiver that came back is tried."""
    random = Random(seed)
    breaker = CLOSED
    for made in range(1, times + 1):
        breaker, rest_s = after_failure(breaker, random)
        assert (rest_s is None) == (made < FAILURES_TO_OPEN)
        assert rest_s is None or REST_S_MIN <= rest_s <= REST_S_MAX * (1 + JITTER_RATIO)


@pytest.mark.shows("F55")
def test_endpoints_that_died_together_are_not_probed_together() -> None:
    """Five thousand probes in one second are an outage of our own making."""
    random = Random(0)
    opened, _ = failed(CLOSED, FAILURES_TO_OPEN)
    assert len({after_failure(opened, random)[1] for _ in range(100)}) == 100


@pytest.mark.parametrize("wrong", [{"failures": -1}, {"level": -1}, {"level": 7}])
def test_a_breaker_that_cannot_be_is_a_bug(wrong: dict[str, int]) -> None:
    with pytest.raises(AssertionError):
        Breaker(**wrong)
