"""A delivery: one event on its way to one endpoint, over as many attempts as it takes.

All states and every way between them are in TRANSITIONS below. Nothing else in the package
may assign a state, the SQL of the stores repeats these moves as guards, and the diagram in
docs/state-machine.md is printed from the table.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from payhooks.ids import DeliveryId, EndpointId, MerchantId, ReplayId
from payhooks.model.attempt import Reason


class State(StrEnum):
    """Where a delivery stands."""

    BLOCKED = "blocked"  # an earlier delivery of the same object goes first
    SCHEDULED = "scheduled"  # waits for due_at
    LEASED = "leased"  # one worker is attempting it; the API calls this "sending"
    DELIVERED = "delivered"  # the endpoint answered 2xx
    FAILED = "failed"  # out of attempts, or told to stop
    CANCELLED = "cancelled"  # a person called it off, or the endpoint is gone


class Trigger(StrEnum):
    """What can happen to a delivery."""

    PROMOTE = "promote"  # first of its object now
    LEASE = "lease"
    SUCCEED = "succeed"
    RETRY = "retry"
    GIVE_UP = "give_up"
    RELEASE = "release"  # given back, nothing spent: drained, waited too long, our own fault
    EXPIRE = "expire"  # the worker holding the lease fell silent
    CANCEL = "cancel"
    REPLAY = "replay"
    REPLAY_IN_ORDER = "replay_in_order"  # a replay on an ordered lane counts as new


TRANSITIONS: Final[Mapping[tuple[State, Trigger], State]] = MappingProxyType(
    {
        (State.BLOCKED, Trigger.PROMOTE): State.SCHEDULED,
        (State.BLOCKED, Trigger.CANCEL): State.CANCELLED,
        (State.SCHEDULED, Trigger.LEASE): State.LEASED,
        (State.SCHEDULED, Trigger.CANCEL): State.CANCELLED,
        (State.LEASED, Trigger.SUCCEED): State.DELIVERED,
        (State.LEASED, Trigger.RETRY): State.SCHEDULED,
        (State.LEASED, Trigger.GIVE_UP): State.FAILED,
        (State.LEASED, Trigger.RELEASE): State.SCHEDULED,
        (State.LEASED, Trigger.EXPIRE): State.SCHEDULED,
        (State.LEASED, Trigger.CANCEL): State.CANCELLED,
        (State.DELIVERED, Trigger.REPLAY): State.SCHEDULED,
        (State.FAILED, Trigger.REPLAY): State.SCHEDULED,
        (State.CANCELLED, Trigger.REPLAY): State.SCHEDULED,
        (State.DELIVERED, Trigger.REPLAY_IN_ORDER): State.BLOCKED,
        (State.FAILED, Trigger.REPLAY_IN_ORDER): State.BLOCKED,
        (State.CANCELLED, Trigger.REPLAY_IN_ORDER): State.BLOCKED,
    }
)

FINAL_STATES: Final = frozenset({State.DELIVERED, State.FAILED, State.CANCELLED})

# A process that dies takes everything it holds with it, and one delivery at most has killed it.
# Abandoned twice in a row, a delivery is on probation: it goes out in a small company of such,
# abandoned thrice it goes out alone. Three deaths more, each while no other such delivery was
# out, and it is probably what kills. Quarantining it as failed costs one merchant a look; going
# on costs everybody. The SQL of the stores has the first two numbers in its indexes.
PROBATION_AFTER: Final = 2
ALONE_AFTER: Final = 3
ABANDONED_IN_A_ROW_MAX: Final = ALONE_AFTER + 3


class IllegalTransitionError(AssertionError):
    """Our own code asked for a move the table does not have: a bug, not an outcome."""


def next_state(state: State, trigger: Trigger) -> State:
    """Return where *trigger* takes a delivery that is in *state*."""
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        raise IllegalTransitionError(f"{trigger} while {state}") from None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one endpoint, as it stands when read."""

    id: DeliveryId
    merchant_id: MerchantId
    endpoint_id: EndpointId
    state: State
    event_type: str
    dialect: str
    dialect_version: int
    fence: int  # leases so far; a settle under an older number moves nothing
    attempts_made: int  # answers and silences since accept or the last replay; kills spend none
    due_at: datetime | None  # set while scheduled
    finished_at: datetime | None  # set in a final state
    delivered_at: datetime | None  # the first success; a replay does not undo it
    reason: Reason | None  # why the last attempt failed
    replay_id: ReplayId | None
    position: int | None  # accept order inside its lane; set on ordered lanes
    held: bool  # scheduled or blocked while its lane is paused or disabled

    def __post_init__(self) -> None:
        assert self.fence >= 0
        assert self.attempts_made >= 0
        assert (self.finished_at is not None) == (self.state in FINAL_STATES)
