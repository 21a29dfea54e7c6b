"""The next step of a delivery."""

from random import Random

import pytest

from payhooks.model.attempt import Reason
from payhooks.model.delivery import State, Trigger, next_state
from payhooks.policy.classify import Verdict, VerdictKind
from payhooks.policy.decide import Decision, decide
from payhooks.policy.retry import POLICIES, RetryPolicy

POLICY = RetryPolicy(name="plain", delays_s=(5.0, 300.0), jitter_ratio=0)


def retry(rest_s: float | None = None) -> Verdict:
    return Verdict(kind=VerdictKind.RETRY, reason=Reason.HTTP_5XX, rest_s=rest_s, detail="x")


@pytest.mark.parametrize(
    ("verdict", "attempts_made", "expected"),
    [
        pytest.param(
            Verdict(kind=VerdictKind.DELIVERED, rest_s=9.0),
            2,
            Decision(trigger=Trigger.SUCCEED, delay_s=None, attempts_made=3),
            id="delivered, whatever the lane does",
        ),
        pytest.param(
            retry(),
            0,
            Decision(trigger=Trigger.RETRY, delay_s=5.0, attempts_made=1),
            id="the first failure waits the first delay",
        ),
        pytest.param(
            retry(),
            1,
            Decision(trigger=Trigger.RETRY, delay_s=300.0, attempts_made=2),
            id="the second the second",
        ),
        pytest.param(
            retry(60.0),
            0,
            Decision(trigger=Trigger.RETRY, delay_s=60.0, attempts_made=1),
            id="never before the receiver wants to be asked",
        ),
        pytest.param(
            retry(60.0),
            1,
            Decision(trigger=Trigger.RETRY, delay_s=300.0, attempts_made=2),
            id="never earlier than the schedule",
        ),
        pytest.param(
            retry(60.0),
            2,
            Decision(trigger=Trigger.GIVE_UP, delay_s=None, attempts_made=3),
            id="no attempts left, though the receiver names a time",
        ),
        pytest.param(
            Verdict(kind=VerdictKind.GIVE_UP, reason=Reason.GONE, detail="x"),
            0,
            Decision(trigger=Trigger.GIVE_UP, delay_s=None, attempts_made=1),
            id="told to stop at the first attempt",
        ),
        pytest.param(
            Verdict(kind=VerdictKind.OURS, reason=Reason.INTERNAL, rest_s=15.0, detail="x"),
            2,
            Decision(trigger=Trigger.RELEASE, delay_s=15.0, attempts_made=2),
            id="our own fault spends no attempt, not even the last",
        ),
    ],
)
def test_the_next_step(verdict: Verdict, attempts_made: int, expected: Decision) -> None:
    decision = decide(verdict, attempts_made=attempts_made, policy=POLICY, random=Random(0))
    assert decision == expected


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_receiver_that_always_fails_gets_exactly_the_published_attempts(name: str) -> None:
    """One too few breaks the promise in the docs; one too many is a delivery that never ends."""
    policy = POLICIES[name]
    state, attempts_made, requests, waited_s = State.SCHEDULED, 0, 0, 0.0
    random = Random(0)
    while state is State.SCHEDULED and requests < 1_000:
        state = next_state(state, Trigger.LEASE)
        requests += 1
        decision = decide(retry(), attempts_made=attempts_made, policy=policy, random=random)
        attempts_made = decision.attempts_made
        waited_s += decision.delay_s or 0.0
        state = next_state(state, decision.trigger)
    assert state is State.FAILED
    assert requests == attempts_made == policy.attempts_max
    assert policy.total_s <= waited_s <= policy.total_s * 1.1
