"""When a PostgreSQL server that could not be reached is tried again, and by whom."""

from datetime import timedelta
from random import Random

import pytest

from payhooks.errors import UnavailableError
from payhooks.storage.postgres.connections import Reachability
from payhooks.testing import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def reachability(clock: ManualClock) -> Reachability:
    return Reachability(clock=clock, random=Random(1))


def _refused_s(reachability: Reachability) -> float:
    """Return after how many seconds the next try is let through."""
    with pytest.raises(UnavailableError, match="could not be reached") as early:
        reachability.demand()
    return early.value.retry_after_s or 0.0


def test_each_failure_makes_the_next_try_wait_longer_up_to_a_limit(
    clock: ManualClock, reachability: Reachability
) -> None:
    """A server that comes back must not meet all its clients at once, nor wait for them long."""
    waits = []
    for _ in range(10):
        reachability.failed()
        waits.append(_refused_s(reachability))
        clock.advance(timedelta(seconds=waits[-1] + 0.001))
        reachability.demand()
    assert 0.05 <= waits[0] <= 0.1
    assert waits[3] > waits[0] * 2
    assert max(waits) <= 5.0


def test_one_that_reaches_the_server_lets_all_others_try_at_once(
    clock: ManualClock, reachability: Reachability
) -> None:
    """After a restart reads failed for seconds though publishing worked: each kept its own wait."""
    for _ in range(6):
        reachability.failed()
        clock.advance(timedelta(seconds=_refused_s(reachability)))
    reachability.failed()
    reachability.answered()
    reachability.demand()
    clock.advance(timedelta(seconds=1))
    reachability.failed()
    assert _refused_s(reachability) <= 0.1


def test_tries_that_fail_together_are_one_failure(reachability: Reachability) -> None:
    """Eight connections that are lost at once must not make the next try wait for seconds."""
    for _ in range(8):
        reachability.failed()
    assert _refused_s(reachability) <= 0.1


def test_who_fails_while_others_are_answered_holds_nobody_up(
    clock: ManualClock, reachability: Reachability
) -> None:
    """When a partition ends, tries from within it still fail for a while."""
    reachability.answered()
    clock.advance(timedelta(seconds=0.3))
    reachability.failed()
    reachability.demand()
