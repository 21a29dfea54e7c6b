"""The next step of a delivery: the only place where verdict, policy and attempts meet."""

from random import Random
from typing import Final, assert_never

import msgspec

from payhooks.model.delivery import Trigger
from payhooks.policy.classify import Verdict, VerdictKind
from payhooks.policy.retry import RetryPolicy

_DUE_AGAIN: Final = frozenset({Trigger.RETRY, Trigger.RELEASE})


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the state table is told, and when the delivery is due again."""

    trigger: Trigger  # SUCCEED, RETRY, GIVE_UP or RELEASE
    delay_s: float | None  # from now; set for RETRY and RELEASE
    attempts_made: int  # this one included, if it was spent

    def __post_init__(self) -> None:
        assert (self.delay_s is not None) == (self.trigger in _DUE_AGAIN)


def decide(
    verdict: Verdict, *, attempts_made: int, policy: RetryPolicy, random: Random
) -> Decision:
    """Return the next step after an outcome; *attempts_made* counts those before this one."""
    assert attempts_made >= 0
    spent = attempts_made + 1
    match verdict.kind:
        case VerdictKind.DELIVERED:
            return Decision(trigger=Trigger.SUCCEED, delay_s=None, attempts_made=spent)
        case VerdictKind.GIVE_UP:
            return Decision(trigger=Trigger.GIVE_UP, delay_s=None, attempts_made=spent)
        case VerdictKind.OURS:
            assert verdict.rest_s is not None
            return Decision(
                trigger=Trigger.RELEASE, delay_s=verdict.rest_s, attempts_made=attempts_made
            )
        case VerdictKind.RETRY:
            delay_s = policy.delay_after(spent, random)
            if delay_s is None:
                return Decision(trigger=Trigger.GIVE_UP, delay_s=None, attempts_made=spent)
            # Never earlier than the schedule, never before the receiver wants to be asked.
            delay_s = max(delay_s, verdict.rest_s or 0.0)
            return Decision(trigger=Trigger.RETRY, delay_s=delay_s, attempts_made=spent)
        case _:
            assert_never(verdict.kind)
