"""When a PostgreSQL server that could not be reached is tried again, and by whom."""

from datetime import timedelta
from random import Random

import pytest

from payhooks.errors import UnavailableError
from payhooks.storage.postgres.connections import Reachability
from payhooks.testing import ManualClock


def _fail(reachability: Reachability) -> float:
    """Try in vain; return after how many seconds the next try is let through."""
    with pytest.raises(UnavailableError, match="down"), reachability.trying():
        raise UnavailableError("down")
    with (
        pytest.raises(UnavailableError, match="could not be reached") as early,
        reachability.trying(),
    ):
        raise AssertionError("it is too early")
    return early.value.retry_after_s or 0.0


def test_each_failure_makes_the_next_try_wait_longer_up_to_a_limit() -> None:
    """A server that comes back must not meet all its clients at once, nor wait for them long."""
    clock = ManualClock()
    reachability = Reachability(clock=clock, random=Random(1))
    waits = []
    for _ in range(10):
        waits.append(_fail(reachability))
        clock.advance(timedelta(seconds=waits[-1] + 0.001))
    assert 0.05 <= waits[0] <= 0.1
    assert waits[3] > waits[0] * 2
    assert max(waits) <= 5.0


def test_one_that_reaches_the_server_lets_all_others_try_at_once() -> None:
    """After a restart reads failed for seconds though publishing worked: each kept its own wait."""
    clock = ManualClock()
    reachability = Reachability(clock=clock, random=Random(1))
    for _ in range(6):
        clock.advance(timedelta(seconds=_fail(reachability) + 0.001))
    with reachability.trying():
        pass
    with reachability.trying():
        pass
    assert _fail(reachability) <= 0.1


def test_tries_that_fail_together_are_one_failure() -> None:
    """Eight connections that are lost at once must not make the next try wait for seconds."""
    reachability = Reachability(clock=ManualClock(), random=Random(1))
    tries = [reachability.trying() for _ in range(8)]
    for one in tries:
        one.__enter__()
    for one in tries:
        assert not one.__exit__(UnavailableError, UnavailableError("down"), None)
    with pytest.raises(UnavailableError) as early, reachability.trying():
        raise AssertionError("it is too early")
    assert (early.value.retry_after_s or 0) <= 0.1
