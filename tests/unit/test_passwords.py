"""Which passwords are good enough, and what is kept of them."""

import asyncio

import pytest
from tests.support.people import CountingHasher

from payhooks import limits
from payhooks.control import passwords
from payhooks.control.faults import Faults
from payhooks.control.passwords import Passwords
from payhooks.errors import InvalidError, OverloadedError

NAMES = ("maria.k", "mk@shop.example")


def code_of(password: str) -> str | None:
    """Return which rule the password breaks."""
    faults = Faults()
    passwords.check(password, faults, pointer="/password", names=NAMES)
    try:
        faults.check()
    except InvalidError as error:
        [fault] = error.faults
        assert fault.pointer == "/password"
        assert not password or password not in fault.detail
        return fault.code
    return None


@pytest.mark.parametrize(
    ("password", "code"),
    [
        pytest.param("", "too_short", id="empty"),
        pytest.param("elevenchars", "too_short", id="eleven"),
        pytest.param("x7!kd93-fjq2", None, id="twelve"),
        pytest.param("four brown horses", None, id="a few words"),
        pytest.param("a lake of " + "q8" * 60, None, id="long"),
        pytest.param("y7" + "k" * 254, None, id="256"),
        pytest.param("y7" + "k" * 255, "too_long", id="257"),
        pytest.param("PassWord1234", "too_common", id="on the list, in capitals"),
        pytest.param("aaaaaaaaaaaa", "too_common", id="one character"),
        pytest.param("abcabcabcabc", "too_common", id="a piece repeated"),
        pytest.param("abcabcabcabca", "too_common", id="a piece repeated, cut"),
        pytest.param("123456789012", "too_common", id="digits upwards"),
        pytest.param("lkjihgfedcba", "too_common", id="the alphabet backwards"),
        pytest.param("qwertyuiopas", "too_common", id="along the keyboard"),
        pytest.param("xx-Maria.K-xx-77", "contains_name", id="the username"),
        pytest.param("12mk@shop.example", "contains_name", id="the e-mail"),
        pytest.param("tomkins and daughters", None, id="two letters of a name are chance"),
        pytest.param("\ud800" * 6 + "x7!kd93-f", None, id="half a character"),
    ],
)
def test_a_password_is_long_uncommon_and_not_a_name(password: str, code: str | None) -> None:
    """A list of what people choose is the first thing that a guesser has."""
    assert code_of(password) == code


async def test_a_password_matches_its_hash_alone() -> None:
    kept = Passwords(CountingHasher())
    hashed = await kept.hash("four brown horses")
    assert hashed.startswith("$argon2id$")
    assert await kept.matches("four brown horses", hashed)
    assert not await kept.matches("four brown horse", hashed)
    assert not await kept.matches("four brown horses", "not a hash")
    assert hashed != await kept.hash("four brown horses")


@pytest.mark.shows("W5")
async def test_the_same_letters_from_another_keyboard_are_the_same_password() -> None:
    """An é is one character on one machine and two on another."""
    kept = Passwords(CountingHasher())
    hashed = await kept.hash("caf\u00e9 at the lake")
    assert await kept.matches("cafe\u0301 at the lake", hashed)


@pytest.mark.shows("W5")
async def test_for_nobody_the_same_work_is_done() -> None:
    """Else the time of an answer lists who is a user here."""
    hasher = CountingHasher()
    kept = Passwords(hasher)
    hashed = await kept.hash("four brown horses")
    await kept.matches("something else", hashed)
    assert hasher.comparisons == 1
    assert not await kept.matches("nobody's", None)
    assert hasher.comparisons == 2


async def test_a_hash_of_another_cost_is_outdated() -> None:
    hashed = await Passwords(CountingHasher()).hash("four brown horses")
    assert not Passwords(CountingHasher()).is_outdated(hashed)
    assert Passwords(CountingHasher(time_cost=2)).is_outdated(hashed)


async def test_beyond_so_many_that_wait_the_next_is_told_to_come_back() -> None:
    """A flood of sign-ins must not fill the memory of a process that also delivers."""
    kept = Passwords(CountingHasher())
    hashed = await kept.hash("four brown horses")
    wanted = limits.PASSWORDS_WAITING_MAX + 3
    done = await asyncio.gather(
        *(kept.matches("four brown horses", hashed) for _ in range(wanted)),
        return_exceptions=True,
    )
    assert [type(one) for one in done].count(OverloadedError) == 3
    assert await kept.matches("four brown horses", hashed)


async def test_the_cost_is_what_the_documentation_says() -> None:
    """Lower would be a present to whoever steals a backup."""
    hashed = await Passwords().hash("four brown horses")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
