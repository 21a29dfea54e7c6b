"""When a process may try what others died with."""

from datetime import timedelta

import msgspec
import pytest

from payhooks import limits
from payhooks.ids import DeliveryId, EndpointId, EventId, MerchantId
from payhooks.model.delivery import ABANDONED_IN_A_ROW_MAX, ALONE_AFTER, PROBATION_AFTER
from payhooks.model.event import Event
from payhooks.ports.leasing import Leased, Trial
from payhooks.storage import statements
from payhooks.storage.trials import BANDS, FREE
from payhooks.testing import ManualClock
from payhooks.worker.probation import PROBATION_FROM_S, Probation

LEASE_S = 30.0


def _leased(number: int, *, probation: bool = True) -> Leased:
    id_ = number.to_bytes(16, "big")
    event = Event(id=EventId(id_), merchant_id=MerchantId(id_), type="a", family="b", data=b"{}")
    return Leased(
        id=DeliveryId(id_),
        endpoint_id=EndpointId(id_),
        merchant_id=MerchantId(id_),
        event=event,
        fence=3,
        attempts_made=0,
        lease_s=LEASE_S,
        order_key=None,
        dialect="standard",
        dialect_version=1,
        replay_id=None,
        replay_bulk=None,
        rendered=None,
        routing_version=1,
        lane_failing=False,
        lane_probe=False,
        probation=probation,
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def settled(clock: ManualClock) -> Probation:
    """Return what a process knows that has lived long enough."""
    probation = Probation(clock)
    probation.begin()
    clock.advance(timedelta(seconds=PROBATION_FROM_S))
    return probation


def _look(probation: Probation, clock: ManualClock, *leased: Leased) -> None:
    probation.looked(probation.trial(), leased, taken_at_s=clock.monotonic_s())


def test_who_has_just_begun_tries_nothing(clock: ManualClock) -> None:
    """A process that dies as it starts says nothing of what it holds."""
    probation = Probation(clock)
    assert probation.trial() is Trial.NONE
    probation.begin()
    clock.advance(timedelta(seconds=PROBATION_FROM_S - 0.1))
    assert probation.trial() is Trial.NONE
    clock.advance(timedelta(seconds=0.2))
    assert probation.trial() is Trial.TOGETHER


def test_nothing_is_tried_while_a_trial_is_not_over(settled: Probation, clock: ManualClock) -> None:
    first, second = _leased(1), _leased(2)
    _look(settled, clock, first, _leased(3, probation=False), second)
    assert settled.trial() is Trial.NONE
    assert not settled.written(first)
    assert settled.trial() is Trial.NONE
    assert settled.written(second)
    assert settled.trial() is Trial.TOGETHER


def test_a_trial_that_brought_nothing_is_followed_by_the_other(
    settled: Probation, clock: ManualClock
) -> None:
    """Neither may wait for the other for ever."""
    seen = []
    for _ in range(4):
        seen.append(settled.trial())
        _look(settled, clock, _leased(1, probation=False))
    assert seen == [Trial.TOGETHER, Trial.ALONE] * 2


def test_what_is_never_told_of_stops_trials_for_no_longer_than_its_lease(
    settled: Probation, clock: ManualClock
) -> None:
    """A bug of ours may lose one; the others are not to wait until the process ends."""
    _look(settled, clock, _leased(1))
    clock.advance(timedelta(seconds=LEASE_S - 1))
    assert settled.trial() is Trial.NONE
    clock.advance(timedelta(seconds=2))
    assert settled.trial() is Trial.TOGETHER


def test_an_outcome_of_another_lease_ends_no_trial(settled: Probation, clock: ManualClock) -> None:
    """The same delivery may have been ours before, under another fence."""
    _look(settled, clock, _leased(1))
    assert not settled.written(msgspec.structs.replace(_leased(1), fence=2))
    assert settled.trial() is Trial.NONE


def test_every_delivery_may_go_at_one_kind_of_look_and_no_other() -> None:
    """One that none may bring would wait for ever."""
    bands = [FREE, *BANDS.values()]
    for abandoned in range(ABANDONED_IN_A_ROW_MAX):
        assert sum(band.at_least <= abandoned < band.below for band in bands) == 1
    together, alone = BANDS[Trial.TOGETHER], BANDS[Trial.ALONE]
    assert (together.together_max, alone.together_max) == (limits.PROBATION_TOGETHER_MAX, 1)
    assert (FREE.below, together.below) == (PROBATION_AFTER, ALONE_AFTER)


def test_the_index_of_the_store_begins_where_probation_does() -> None:
    """An index cannot be given a parameter."""
    sql = statements.load("payhooks.storage.sqlite", "leasing.sql")
    assert f"abandoned > {PROBATION_AFTER - 1}" in sql["any_on_probation"]
    assert f"abandoned > {PROBATION_AFTER - 1}" in sql["due_on_probation"]
