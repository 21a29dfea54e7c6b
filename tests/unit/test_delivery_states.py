"""The state table, against every question that can be asked of it."""

from datetime import UTC, datetime
from itertools import product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhooks.ids import DeliveryId, EndpointId, MerchantId
from payhooks.model.delivery import (
    ABANDONED_IN_A_ROW_MAX,
    ALONE_AFTER,
    FINAL_STATES,
    PROBATION_AFTER,
    TRANSITIONS,
    Delivery,
    IllegalTransitionError,
    State,
    Trigger,
    next_state,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DELIVERY = Delivery(
    id=DeliveryId(bytes(16)),
    merchant_id=MerchantId(bytes(16)),
    endpoint_id=EndpointId(bytes(16)),
    state=State.SCHEDULED,
    event_type="order.success",
    dialect="standard",
    dialect_version=1,
    fence=0,
    attempts_made=0,
    due_at=NOW,
    finished_at=None,
    delivered_at=None,
    reason=None,
    replay_id=None,
    position=None,
    held=False,
)


@pytest.mark.parametrize(("state", "trigger"), list(product(State, Trigger)))
def test_every_pair_is_either_in_the_table_or_refused(state: State, trigger: Trigger) -> None:
    """60 pairs, 16 moves: the other 44 must raise, never fall through."""
    if (state, trigger) in TRANSITIONS:
        assert next_state(state, trigger) is TRANSITIONS[state, trigger]
    else:
        with pytest.raises(IllegalTransitionError, match=f"^{trigger} while {state}$"):
            next_state(state, trigger)


def test_the_table_has_the_moves_of_the_documents_and_no_others() -> None:
    """The SQL of two stores repeats these as guards; a move added here must be added there."""
    moves = {f"{state} {trigger} {to}" for (state, trigger), to in TRANSITIONS.items()}
    assert moves == {
        "blocked promote scheduled",
        "blocked cancel cancelled",
        "scheduled lease leased",
        "scheduled cancel cancelled",
        "leased succeed delivered",
        "leased retry scheduled",
        "leased give_up failed",
        "leased release scheduled",
        "leased expire scheduled",
        "leased cancel cancelled",
        "delivered replay scheduled",
        "failed replay scheduled",
        "cancelled replay scheduled",
        "delivered replay_in_order blocked",
        "failed replay_in_order blocked",
        "cancelled replay_in_order blocked",
    }


def test_only_a_replay_leaves_a_final_state() -> None:
    """A delivery that is over stays over until a person says otherwise."""
    ways_out = {trigger for (state, trigger) in TRANSITIONS if state in FINAL_STATES}
    assert ways_out == {Trigger.REPLAY, Trigger.REPLAY_IN_ORDER}


def test_only_what_is_leased_can_be_settled() -> None:
    """An outcome that arrives without the lease is evidence, and moves nothing."""
    settling = {Trigger.SUCCEED, Trigger.RETRY, Trigger.GIVE_UP, Trigger.RELEASE}
    assert {state for (state, trigger) in TRANSITIONS if trigger in settling} == {State.LEASED}


def test_only_what_is_scheduled_can_be_leased() -> None:
    """What is blocked would go before its turn, and what is leased would go twice."""
    assert {s for (s, trigger) in TRANSITIONS if trigger is Trigger.LEASE} == {State.SCHEDULED}


def test_whatever_is_not_over_can_be_cancelled() -> None:
    """Deleting an endpoint must end every delivery to it, in whatever state it meets them."""
    cancellable = {state for (state, trigger) in TRANSITIONS if trigger is Trigger.CANCEL}
    assert cancellable == set(State) - FINAL_STATES


def test_every_state_can_reach_an_end() -> None:
    """No delivery can be stuck for ever, whatever happened to it before."""
    ends = set(FINAL_STATES)
    while more := {state for (state, _), to in TRANSITIONS.items() if to in ends} - ends:
        ends |= more
    assert ends == set(State)


@given(st.lists(st.sampled_from(Trigger), max_size=40))
def test_no_sequence_of_events_delivers_without_a_lease(triggers: list[Trigger]) -> None:
    """Whatever happens in whatever order, delivered means that a worker held it and said so."""
    state, came_from = State.SCHEDULED, State.SCHEDULED
    for trigger in triggers:
        if (state, trigger) in TRANSITIONS:
            came_from, state = state, next_state(state, trigger)
            if state in {State.DELIVERED, State.FAILED}:
                assert came_from is State.LEASED


def test_the_published_number_of_abandonments() -> None:
    """Three lost to one delivery that was out alone, and it is set aside; the docs say so."""
    assert (PROBATION_AFTER, ALONE_AFTER, ABANDONED_IN_A_ROW_MAX) == (2, 3, 6)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"fence": -1}, id="a fence below zero"),
        pytest.param({"attempts_made": -1}, id="fewer attempts than none"),
        pytest.param({"finished_at": NOW}, id="finished though scheduled"),
        pytest.param({"state": State.DELIVERED}, id="delivered at no time"),
        pytest.param({"state": State.FAILED}, id="failed at no time"),
    ],
)
def test_a_delivery_that_cannot_be_is_a_bug(change: dict[str, object]) -> None:
    """A store that reads such a row must stop, not go on with it."""
    with pytest.raises(AssertionError):
        Delivery(**{**msgspec.structs.asdict(DELIVERY), **change})
