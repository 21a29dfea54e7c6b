"""When the next attempt happens."""

from datetime import UTC, datetime, timedelta
from math import inf, nan
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhooks import limits
from payhooks.errors import InvalidError
from payhooks.ids import EndpointId, MerchantId
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.policy.retry import (
    CUSTOM,
    DEFAULT,
    JITTER_RATIO,
    POLICIES,
    RETRY_DELAY_S_MIN,
    RetryPolicy,
    custom,
    policy_of,
)

PLAIN = RetryPolicy(name="plain", delays_s=(1.0, 10.0), jitter_ratio=0)
MINUTE = 60.0
HOUR = 3600.0


def endpoint(
    *, retry_policy: str | None = None, retry_delays_s: tuple[float, ...] | None = None
) -> Endpoint:
    return Endpoint(
        id=EndpointId(bytes(16)),
        merchant_id=MerchantId(bytes(16)),
        number=1,
        label="Ledger",
        url="https://merchant.example/hooks",
        events=("*",),
        status=EndpointStatus.ACTIVE,
        disabled_reason=None,
        version=1,
        created_at=datetime(2030, 1, 1, tzinfo=UTC),
        updated_at=datetime(2030, 1, 1, tzinfo=UTC),
        retry_policy=retry_policy,
        retry_delays_s=retry_delays_s,
    )


@pytest.mark.parametrize(
    ("attempts_made", "delay_s"),
    [
        pytest.param(1, 1.0, id="after the first attempt"),
        pytest.param(2, 10.0, id="after the second"),
        pytest.param(3, None, id="none left"),
        pytest.param(400, None, id="the policy was shortened since"),
    ],
)
def test_the_delay_after_so_many_attempts(attempts_made: int, delay_s: float | None) -> None:
    assert PLAIN.delay_after(attempts_made, Random(0)) == delay_s


@pytest.mark.parametrize(
    ("name", "attempts_max", "total"),
    [
        ("standard", 10, timedelta(hours=75, minutes=35, seconds=5)),
        ("owngateway", 4, timedelta(minutes=11)),
        ("hyperswitch", 17, timedelta(hours=24, minutes=1)),
        ("treezor", 31, timedelta(minutes=30)),
        ("merchant-console", 36, timedelta(hours=72)),
        ("adyen-like", 101, timedelta(days=30, minutes=2, seconds=54)),
    ],
)
def test_the_published_numbers(name: str, attempts_max: int, total: timedelta) -> None:
    """Attempts and spans are in the docs; changing one is a breaking change."""
    policy = POLICIES[name]
    assert policy.name == name
    assert policy.attempts_max == attempts_max
    assert policy.total_s == total.total_seconds()


def test_the_published_names() -> None:
    """Merchants write these names into their endpoints; one that goes missing breaks them."""
    assert set(POLICIES) == {
        "standard",
        "owngateway",
        "hyperswitch",
        "treezor",
        "merchant-console",
        "adyen-like",
    }
    assert DEFAULT == "standard"


def test_the_published_schedules() -> None:
    """The waits as the documents print them, so that a slip in the arithmetic shows."""
    assert POLICIES["standard"].delays_s == (
        *(5, 5 * MINUTE, 30 * MINUTE),
        *(2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR),
    )
    assert POLICIES["owngateway"].delays_s == (60, 300, 300)
    assert POLICIES["treezor"].delays_s == (60,) * 30
    hyperswitch = (60, *(300,) * 2, *(600,) * 5, *(3600,) * 5, *(21600,) * 3)
    assert POLICIES["hyperswitch"].delays_s == hyperswitch
    console = (*(300,) * 12, *(3600,) * 11, *(10800,) * 4, *(21600,) * 8)
    assert POLICIES["merchant-console"].delays_s == console
    assert POLICIES["adyen-like"].delays_s[:4] == (9, 18, 27, 120)
    assert max(POLICIES["adyen-like"].delays_s) == 8 * HOUR


def test_only_two_policies_take_410_as_never_again() -> None:
    """The other providers' documents know no such rule; a 410 there is a 4xx like any other."""
    assert {p.name for p in POLICIES.values() if p.gone_disables} == {"standard", "adyen-like"}


@given(
    st.sampled_from(sorted(POLICIES)),
    st.integers(min_value=1, max_value=200),
    st.integers(min_value=0),
)
def test_jitter_only_ever_adds(name: str, attempts_made: int, seed: int) -> None:
    """An endpoint gets at least the published wait to recover, and at most a tenth more."""
    policy = POLICIES[name]
    delay_s = policy.delay_after(attempts_made, Random(seed))
    if attempts_made > len(policy.delays_s):
        assert delay_s is None
        return
    least = policy.delays_s[attempts_made - 1]
    assert delay_s is not None
    assert least <= delay_s <= least * (1 + JITTER_RATIO)


@pytest.mark.shows("F74")
def test_two_deliveries_that_fail_together_do_not_come_back_together() -> None:
    """Without jitter a receiver that recovers is met by everything at once."""
    random = Random(0)
    delays = {POLICIES["standard"].delay_after(2, random) for _ in range(100)}
    assert len(delays) == 100


def test_a_list_of_waits_of_ones_own_is_a_policy() -> None:
    """Any order: who wants one quick retry after a long one may have it."""
    policy = custom([30, 5.5, 3600])
    assert policy.name == CUSTOM
    assert policy.delays_s == (30, 5.5, 3600)
    assert policy.attempts_max == 4
    assert not policy.gone_disables


def test_an_empty_list_means_one_attempt() -> None:
    """Some merchants poll and want the webhook once or not at all."""
    assert custom([]).delay_after(1, Random(0)) is None


@pytest.mark.parametrize(
    "delay_s",
    [0, -1, -0.0, nan, inf, -inf, RETRY_DELAY_S_MIN / 2, limits.RETRY_DELAY_S_MAX + 1],
)
def test_a_wait_that_is_none_is_refused_by_its_place(delay_s: float) -> None:
    """A NaN that came this far would end in a due time that no query ever finds."""
    with pytest.raises(InvalidError) as caught:
        custom([5, delay_s, 5, delay_s])
    assert [fault.pointer for fault in caught.value.faults] == [
        "/retry_policy/1",
        "/retry_policy/3",
    ]
    assert {fault.code for fault in caught.value.faults} == {"out_of_range"}


def test_the_shortest_and_the_longest_wait_are_accepted() -> None:
    """The bounds in the docs belong to what is allowed."""
    least, most = RETRY_DELAY_S_MIN, float(limits.RETRY_DELAY_S_MAX)
    assert custom([least, most]).delays_s == (least, most)


def test_the_longest_list_is_accepted_and_one_more_is_refused() -> None:
    """A list is stored with the endpoint and read at each attempt; it needs an end."""
    most = [1.0] * limits.RETRY_DELAYS_MAX
    assert custom(most).attempts_max == limits.RETRY_DELAYS_MAX + 1
    with pytest.raises(InvalidError) as caught:
        custom([*most, 1.0], pointer="/here")
    assert [(f.pointer, f.code) for f in caught.value.faults] == [("/here", "too_long")]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param(endpoint(), POLICIES["treezor"], id="the dialect's default"),
        pytest.param(
            endpoint(retry_policy="adyen-like"), POLICIES["adyen-like"], id="the one it names"
        ),
        pytest.param(endpoint(retry_delays_s=(7.0,)), custom([7.0]), id="its own list"),
        pytest.param(endpoint(retry_delays_s=()), custom([]), id="its own list, empty"),
    ],
)
def test_the_policy_that_holds_for_an_endpoint(own: Endpoint, expected: RetryPolicy) -> None:
    assert policy_of(own, "treezor") == expected
