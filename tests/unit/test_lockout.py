"""How long guessers wait, and for whom a try counts."""

from datetime import UTC, datetime, timedelta

import pytest

from payhooks.control.lockout import Tried, subjects
from payhooks.policy.lockout import Subject, Tries, after_try, wait_s

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAME = Subject(digest=b"n", shared=False)
ADDRESS = Subject(digest=b"a", shared=True)
QUARTER = timedelta(minutes=15)


@pytest.mark.parametrize(
    ("count", "expected_s"),
    [(0, 0), (4, 0), (5, 30), (6, 60), (7, 120), (9, 480), (10, 900), (11, 900), (10**9, 900)],
)
def test_five_wrong_are_free_then_the_wait_doubles_up_to_a_quarter_of_an_hour(
    count: int, expected_s: int
) -> None:
    """People mistype; programs guess."""
    assert wait_s(NAME, Tries(count=count, since=NOW), NOW) == expected_s


def test_the_wait_counts_from_the_last_try_and_ends() -> None:
    tries = Tries(count=5, since=NOW)
    assert wait_s(NAME, tries, NOW + timedelta(seconds=29)) == 1
    assert wait_s(NAME, tries, NOW + timedelta(seconds=30)) == 0
    assert wait_s(NAME, None, NOW) == 0


def test_what_is_a_day_old_is_forgotten() -> None:
    tries = Tries(count=9, since=NOW)
    assert after_try(NAME, tries, NOW + timedelta(days=1)).count == 10
    assert after_try(NAME, tries, NOW + timedelta(days=1, seconds=1)).count == 1


def test_an_address_has_twenty_at_once_and_a_hundred_a_day() -> None:
    """An office mistypes more than a person, and a guesser behind it must gain little by that."""
    tries, now, made = None, NOW, 0
    while now < NOW + timedelta(days=1):
        if not (waits_s := wait_s(ADDRESS, tries, now)):
            tries = after_try(ADDRESS, tries, now)
            made += 1
            assert made < 200, "it goes on and on"
        now += timedelta(seconds=waits_s)
        if made == 20 and waits_s:
            assert waits_s == 900
    assert made == 20 + 95


def test_an_address_forgets_by_the_quarter_however_often_it_is_tried_meanwhile() -> None:
    """Counted from the last try, somebody who mistypes each ten minutes would wait for ever."""
    tries, now = None, NOW
    for _ in range(100):
        assert wait_s(ADDRESS, tries, now) == 0
        tries = after_try(ADDRESS, tries, now)
        now += QUARTER
    assert tries is not None
    assert tries.count == 1
    tries = Tries(count=20, since=NOW)
    assert wait_s(ADDRESS, tries, NOW + timedelta(minutes=14)) == 60
    assert after_try(ADDRESS, tries, NOW + timedelta(minutes=31)) == Tries(
        count=19, since=NOW + 2 * QUARTER
    )


def test_a_clock_that_was_set_back_forgets_nothing() -> None:
    tries = Tries(count=20, since=NOW)
    assert wait_s(ADDRESS, tries, NOW - timedelta(hours=1)) > 3_600
    assert after_try(ADDRESS, tries, NOW - timedelta(hours=1)).count == 21


def test_a_try_counts_for_whom_and_for_where_and_kinds_count_apart() -> None:
    """Whoever has the password must not be able to reset the count of codes."""
    known = {
        one.digest
        for what in Tried
        for whose in (b"maria", b"ines")
        for one in subjects(what, whose, "192.0.2.7")
    }
    assert len(known) == len(Tried) * 3
    assert all(len(one) == 32 for one in known)
    assert len(subjects(Tried.CODE, b"maria", None)) == 1
    assert [one.shared for one in subjects(Tried.CODE, b"maria", "192.0.2.7")] == [False, True]


def test_a_name_counts_as_it_was_typed_but_for_capitals() -> None:
    """Half a character is a name that nobody has, and no failure."""
    assert subjects(Tried.PASSWORD, "Maria", None) == subjects(Tried.PASSWORD, "mARIA", None)
    assert len(subjects(Tried.PASSWORD, "\ud800", None)) == 1


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
