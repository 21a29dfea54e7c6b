"""How long guessers wait, and for whom a try counts."""

from datetime import UTC, datetime, timedelta

import pytest

from payhooks.control.lockout import Tried, subjects
from payhooks.policy.lockout import Tries, after_try, wait_s

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "expected_s"),
    [(0, 0), (4, 0), (5, 30), (6, 60), (7, 120), (9, 480), (10, 900), (11, 900), (10**9, 900)],
)
def test_five_wrong_are_free_then_the_wait_doubles_up_to_a_quarter_of_an_hour(
    count: int, expected_s: int
) -> None:
    """People mistype; programs guess."""
    assert wait_s(Tries(count=count, last_at=NOW), NOW) == expected_s


def test_the_wait_counts_from_the_last_try_and_ends() -> None:
    tries = Tries(count=5, last_at=NOW)
    assert wait_s(tries, NOW + timedelta(seconds=29)) == 1
    assert wait_s(tries, NOW + timedelta(seconds=30)) == 0
    assert wait_s(None, NOW) == 0


def test_what_is_a_day_old_is_forgotten() -> None:
    tries = Tries(count=9, last_at=NOW)
    assert after_try(tries, NOW + timedelta(days=1)).count == 10
    assert after_try(tries, NOW + timedelta(days=1, seconds=1)).count == 1


def test_a_try_counts_for_whom_and_for_where_and_kinds_count_apart() -> None:
    """Whoever has the password must not be able to reset the count of codes."""
    known = {
        bytes(one)
        for what in Tried
        for whose in (b"maria", b"ines")
        for one in subjects(what, whose, "192.0.2.7")
    }
    assert len(known) == 6
    assert all(len(one) == 32 for one in known)
    assert len(subjects(Tried.CODE, b"maria", None)) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("2001:db8::1", "2001:db8::ffff:1", True, id="one household has many of IPv6"),
        pytest.param("2001:db8::1", "2001:db8:0:1::1", False, id="another network"),
        pytest.param("192.0.2.7", "192.0.2.8", False, id="IPv4 are few"),
        pytest.param("192.0.2.7", "::ffff:192.0.2.7", True, id="the same, mapped"),
        pytest.param("unix", "unix", True, id="no address at all"),
    ],
)
def test_an_address_is_as_wide_as_one_guesser_gets_it(one: str, other: str, *, same: bool) -> None:
    _, first = subjects(Tried.PASSWORD, b"a", one)
    _, second = subjects(Tried.PASSWORD, b"a", other)
    assert (first == second) is same
