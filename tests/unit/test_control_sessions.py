"""Signing in, and what a cookie is worth from then on."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from tests.support.people import PASSWORD, VISITOR, CountingHasher, People, caller_of

from payhooks import ids, limits
from payhooks.control import invitations, sessions, users
from payhooks.control.context import SYSTEM
from payhooks.control.passwords import Passwords
from payhooks.control.sessions import Visitor
from payhooks.errors import (
    ForbiddenError,
    InvalidError,
    NotFoundError,
    RateLimitedError,
    UnauthenticatedError,
)
from payhooks.ids import SessionId
from payhooks.model.key import Scope
from payhooks.model.user import NO_MERCHANT, SCOPES, Role

MINUTE = timedelta(minutes=1)


async def test_a_user_signs_in_with_either_name_and_the_cookie_finds_them() -> None:
    people = People()
    user = await people.user()
    for name in ("maria", "MARIA", "Maria@shop.example"):
        new = await sessions.sign_in(people.control, VISITOR, name=name, password=PASSWORD)
        found = await people.found(new)
        assert found.user == user == new.user
        assert found.session == new.session
        assert (found.session.ip, found.session.agent) == (VISITOR.ip, VISITOR.agent)
        assert not sessions.factor_fresh(found, people.clock.now(), within_s=900)


async def test_a_cookie_is_kept_as_its_hash_and_printed_by_nothing() -> None:
    """A backup of the store must not be a bunch of keys to the console."""
    people = People()
    await people.user()
    new, found = await people.sign_in()
    assert new.text not in repr(new)
    assert found.session.digest == sessions.digest(new.text)
    assert len(new.text) == 43
    assert all(new.text.encode() not in entry.changes for entry in await people.log())


@pytest.mark.shows("W5")
@pytest.mark.parametrize(
    ("name", "password"),
    [
        pytest.param("maria", "another password", id="wrong password"),
        pytest.param("mario", PASSWORD, id="unknown user"),
        pytest.param("gone", PASSWORD, id="disabled user"),
        pytest.param("", PASSWORD, id="no name"),
        pytest.param("ma\0ria", PASSWORD, id="what no store can hold"),
        pytest.param("\ud800", PASSWORD, id="half a character"),
        pytest.param("m" * 100_000, PASSWORD, id="a long name"),
        pytest.param("maria", "", id="no password"),
        pytest.param("maria", "x" * 100_000, id="a long password"),
    ],
)
async def test_whoever_is_not_let_in_is_told_the_same_after_the_same_work(
    name: str, password: str
) -> None:
    """Else the answer, or its time, lists who is a user here."""
    people = People()
    await people.user()
    await users.disable(people.control, SYSTEM, await people.user("gone"))
    before = people.hasher.comparisons
    with pytest.raises(UnauthenticatedError) as refused:
        await sessions.sign_in(people.control, VISITOR, name=name, password=password)
    assert str(refused.value) == "The username, e-mail or password is not right."
    assert people.hasher.comparisons == before + 1


@pytest.mark.shows("W5")
@pytest.mark.parametrize("name", ["maria", "mario"], ids=["known", "unknown"])
async def test_after_five_wrong_the_next_waits_and_a_right_one_too(name: str) -> None:
    """An unknown user waits as a known one does."""
    people = People()
    await people.user()
    for turn in range(5):
        elsewhere = Visitor(ip=f"192.0.2.{turn}")
        with pytest.raises(UnauthenticatedError):
            await sessions.sign_in(people.control, elsewhere, name=name, password="wrong")
    before = people.hasher.comparisons
    with pytest.raises(RateLimitedError) as waits:
        await sessions.sign_in(people.control, VISITOR, name=name, password=PASSWORD)
    assert waits.value.retry_after_s == 30
    assert people.hasher.comparisons == before, "a guess that has to wait is no guess"


@pytest.mark.shows("W5")
async def test_an_address_that_tries_many_users_waits_too() -> None:
    """One password for every user is the other way to guess."""
    people = People()
    await people.user()
    for turn in range(20):
        with pytest.raises(UnauthenticatedError):
            await sessions.sign_in(
                people.control, VISITOR, name=f"user{turn}", password="password1234"
            )
    with pytest.raises(RateLimitedError):
        await sessions.sign_in(people.control, VISITOR, name="maria", password=PASSWORD)
    elsewhere = Visitor(ip="198.51.100.1")
    await sessions.sign_in(people.control, elsewhere, name="maria", password=PASSWORD)


async def test_an_account_of_ones_own_buys_no_more_guesses_of_others() -> None:
    """Else whoever has any user at all guesses passwords of all users, as fast as they like."""
    people = People()
    await people.user()
    await people.user("guesser")
    waited = False
    for turn in range(25):
        try:
            with pytest.raises(UnauthenticatedError):
                await sessions.sign_in(
                    people.control, VISITOR, name=f"user{turn}", password="password1234"
                )
            await people.sign_in("guesser")
        except RateLimitedError:
            waited = True
            break
    assert waited
    assert turn == 20 - 1, "the sign-in after the twentieth guess"


async def test_which_two_names_are_one_users_is_told_to_nobody() -> None:
    """A wait at an address that was never tried would say: this person has a user here."""
    people = People()
    await people.user()
    for turn in range(5):
        elsewhere = Visitor(ip=f"192.0.2.{turn}")
        with pytest.raises(UnauthenticatedError):
            await sessions.sign_in(people.control, elsewhere, name="maria", password="wrong")
    for name in ("maria@shop.example", "mario@shop.example"):
        with pytest.raises(UnauthenticatedError):
            await sessions.sign_in(people.control, VISITOR, name=name, password="wrong")


async def test_who_gets_it_right_begins_to_count_anew() -> None:
    people = People()
    await people.user()
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(UnauthenticatedError):
                await sessions.sign_in(people.control, VISITOR, name="maria", password="wrong")
        await people.sign_in()


async def test_a_password_kept_at_another_cost_is_kept_anew_once_it_is_known() -> None:
    """A raised cost then reaches everybody who still signs in."""
    people = People()
    user = await people.user()
    object.__setattr__(people.control, "passwords", Passwords(CountingHasher(time_cost=2)))
    await people.sign_in()
    kept = await people.store.user(user.id)
    assert kept is not None
    assert kept.password_hash != user.password_hash
    assert not people.control.passwords.is_outdated(kept.password_hash)
    await people.sign_in()
    assert (await people.actions()).count("user.password_rehashed") == 1


@pytest.mark.shows("W9")
async def test_a_session_ends_after_a_quarter_of_an_hour_without_use() -> None:
    people = People()
    await people.user()
    new, _ = await people.sign_in()
    for _ in range(4):
        people.clock.advance(14 * MINUTE)
        await people.found(new)
    people.clock.advance(15 * MINUTE)
    assert await sessions.find(people.control, new.text) is None


@pytest.mark.shows("W9")
async def test_a_session_ends_after_twelve_hours_however_much_it_is_used() -> None:
    people = People()
    await people.user()
    new, _ = await people.sign_in()
    for _ in range(12 * 6 - 1):
        people.clock.advance(10 * MINUTE)
        await people.found(new)
    people.clock.advance(10 * MINUTE)
    assert await sessions.find(people.control, new.text) is None


async def test_use_is_written_once_a_minute_at_most() -> None:
    """A page that asks every second must not write every second."""
    people = People()
    await people.user()
    new, found = await people.sign_in()
    people.clock.advance(timedelta(seconds=59))
    await people.found(new)
    assert (await people.found(new)).session.seen_at == found.session.seen_at
    people.clock.advance(timedelta(seconds=1))
    await people.found(new)
    assert (await people.found(new)).session.seen_at == people.clock.now()


@pytest.mark.parametrize("text", ["", "x", "x" * 43, "x" * 100_000, "é\ud800\0"])
async def test_what_is_no_cookie_of_ours_finds_nobody(text: str) -> None:
    assert await sessions.find(People().control, text) is None


@pytest.mark.shows("W9")
async def test_a_role_taken_away_counts_at_the_next_request() -> None:
    """Fired at nine, signed in since eight: the next click is refused."""
    people = People()
    merchant, other = await people.merchant(), await people.merchant("Other")
    await people.user("boss", merchant)
    member = await people.member("maria", merchant, Role.DEVELOPER)
    new, found = await people.sign_in()
    assert caller_of(found).scopes == SCOPES[Role.DEVELOPER]
    member = await users.set_role(people.control, SYSTEM, member, Role.VIEWER)
    assert caller_of(await people.found(new)).scopes == SCOPES[Role.VIEWER]
    [viewer] = (await people.found(new)).memberships
    assert viewer.role is Role.VIEWER
    await users.remove(people.control, SYSTEM, member)
    nobody = caller_of(await people.found(new))
    assert nobody.scopes == frozenset()
    assert nobody.merchant_id == NO_MERCHANT
    for merchant_id in (merchant.id, other.id):
        with pytest.raises(NotFoundError):
            nobody.demand_merchant(merchant_id)


@pytest.mark.shows("W9")
async def test_a_disabled_user_and_a_killed_session_are_out_at_the_next_request() -> None:
    people = People()
    user = await people.user()
    first, found = await people.sign_in()
    second, _ = await people.sign_in()
    await sessions.end(people.control, caller_of(found), user, second.session.id)
    assert await sessions.find(people.control, second.text) is None
    await users.disable(people.control, SYSTEM, user)
    assert await sessions.find(people.control, first.text) is None
    assert await people.store.sessions(user.id) == []


async def test_sessions_are_listed_and_ended_by_their_own_user_only() -> None:
    people = People()
    user, other = await people.user(), await people.user("ines")
    _, theirs = await people.sign_in("ines")
    old, _ = await people.sign_in()
    people.clock.advance(20 * MINUTE)
    _, mine = await people.sign_in()
    third, _ = await people.sign_in()
    listed = await sessions.of_user(people.control, user)
    assert [one.id for one in listed] == [third.session.id, mine.session.id]
    assert old.session.id not in [one.id for one in listed]
    for stranger in (theirs.session.id, SessionId(bytes(16))):
        with pytest.raises(NotFoundError):
            await sessions.end(people.control, caller_of(mine), user, stranger)
    await sessions.end_others(people.control, caller_of(mine), mine)
    assert await sessions.of_user(people.control, user) == [mine.session]
    assert other.id == theirs.user.id


@pytest.mark.shows("W9")
async def test_who_signs_in_again_and_again_loses_the_oldest_session() -> None:
    """A script that never signs out must not grow a table, nor lock its user out."""
    people = People()
    user = await people.user()
    first, _ = await people.sign_in()
    for _ in range(limits.SESSIONS_PER_USER_MAX):
        await people.sign_in()
    assert len(await people.store.sessions(user.id)) == limits.SESSIONS_PER_USER_MAX
    assert await sessions.find(people.control, first.text) is None


async def test_who_signs_in_again_in_a_browser_leaves_no_session_behind() -> None:
    """Nobody sees the old one any more, and a copy of its cookie would go on for twelve hours."""
    people = People()
    user = await people.user()
    other = await people.user("ines")
    elsewhere, _ = await people.sign_in()
    first, _ = await people.sign_in()
    again = Visitor(ip=VISITOR.ip, cookie=first.text)
    second = await sessions.sign_in(people.control, again, name="maria", password=PASSWORD)
    assert await sessions.find(people.control, first.text) is None
    as_ines = Visitor(ip=VISITOR.ip, cookie=second.text)
    with pytest.raises(UnauthenticatedError):
        await sessions.sign_in(people.control, as_ines, name="ines", password="wrong")
    assert await sessions.find(people.control, second.text) is not None
    third = await sessions.sign_in(people.control, as_ines, name="ines", password=PASSWORD)
    assert [one.id for one in await people.store.sessions(user.id)] == [elsewhere.session.id]
    assert [one.id for one in await people.store.sessions(other.id)] == [third.session.id]
    assert third.text not in repr(Visitor(ip=None, cookie=third.text))


async def test_somebody_with_two_merchants_looks_at_one_and_switches() -> None:
    people = People()
    first, second = await people.merchant("First"), await people.merchant("Second")
    stranger = await people.merchant("Third")
    await people.user("maria", first, Role.VIEWER)
    invited = await invitations.invite(
        people.control, SYSTEM, second, email="m@shop.example", role=Role.OWNER, base_url=""
    )
    _, before = await people.sign_in()
    text = invited.url.rpartition("/")[2]
    await invitations.accept(people.control, caller_of(before), before, text)
    new, found = await people.sign_in()
    assert caller_of(found).merchant_id == first.id
    await sessions.switch(people.control, found, second.id)
    switched = caller_of(await people.found(new))
    assert (switched.merchant_id, switched.may(Scope.TEAM_WRITE)) == (second.id, True)
    with pytest.raises(NotFoundError):
        await sessions.switch(people.control, found, stranger.id)


async def test_the_audit_log_names_the_user_and_from_where() -> None:
    people = People()
    user = await people.user()
    await people.sign_in()
    *_, entry = await people.log()
    assert (entry.action, entry.ip, entry.request_id) == ("user.signed_in", "192.0.2.7", "req_1")
    assert entry.actor == f"user:{ids.to_text(ids.USER, user.id)}"


@pytest.mark.shows("W9")
async def test_a_new_password_ends_every_other_session() -> None:
    """Whoever changes it often does so because somebody else is in."""
    people = People()
    user = await people.user()
    thief, _ = await people.sign_in()
    new, found = await people.sign_in()
    with pytest.raises(InvalidError):
        await users.change_password(
            people.control, caller_of(found), found, current="wrong", new="six green bicycles"
        )
    with pytest.raises(InvalidError):
        await users.change_password(
            people.control, caller_of(found), found, current=PASSWORD, new="maria maria x"
        )
    await users.change_password(
        people.control, caller_of(found), found, current=PASSWORD, new="six green bicycles"
    )
    assert await sessions.find(people.control, thief.text) is None
    assert (await people.found(new)).user.id == user.id
    with pytest.raises(UnauthenticatedError):
        await people.sign_in()
    assert all(b"bicycles" not in entry.changes for entry in await people.log())


async def test_a_factor_is_fresh_for_so_long_and_only_while_there_is_one() -> None:
    people = People()
    await people.user()
    new, found, _ = await people.with_factor()
    sessions.demand_fresh_factor(people.control, found)
    people.clock.advance(5 * MINUTE)
    sessions.demand_fresh_factor(people.control, await people.found(new))
    people.clock.advance(timedelta(seconds=1))
    with pytest.raises(ForbiddenError):
        sessions.demand_fresh_factor(people.control, await people.found(new))
    assert sessions.factor_fresh(found, people.clock.now(), within_s=900)
    _, elsewhere = await people.sign_in()
    assert not sessions.factor_fresh(elsewhere, people.clock.now(), within_s=900)


class SlowPasswords(Passwords):
    """Lets something happen while a password is compared."""

    def __init__(self, hasher: CountingHasher, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(hasher)
        self._meanwhile = meanwhile

    async def matches(self, password: str, kept: str | None) -> bool:
        """Compare, then let it happen."""
        matches = await super().matches(password, kept)
        await self._meanwhile()
        return matches


@pytest.mark.shows("W9")
async def test_a_sign_in_under_way_does_not_outlive_the_password_it_was_made_with() -> None:
    """A thief would be in for twelve hours more."""
    people = People()
    user = await people.user()
    _, found = await people.sign_in()
    quick = people.control.passwords

    async def meanwhile() -> None:
        object.__setattr__(people.control, "passwords", quick)
        await users.change_password(
            people.control, caller_of(found), found, current=PASSWORD, new="six green bicycles"
        )

    object.__setattr__(people.control, "passwords", SlowPasswords(people.hasher, meanwhile))
    with pytest.raises(UnauthenticatedError):
        await people.sign_in()
    assert [one.id for one in await people.store.sessions(user.id)] == [found.session.id]
