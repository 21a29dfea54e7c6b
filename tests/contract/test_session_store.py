"""What IdentityStore promises of sessions, and of tries to open one."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from tests.support.stored_people import change, member_of, session_of, user_of
from tests.support.world import World

from payhooks.errors import NotFoundError, StaleVersionError
from payhooks.model.user import Membership, Role
from payhooks.policy import lockout
from payhooks.policy.lockout import Subject
from payhooks.ports.identity import SignedIn


async def test_a_session_reads_back_with_its_user_and_every_team(world: World) -> None:
    """One look per request, of one moment: a role that is gone must not be half there."""
    ours, theirs = await world.merchant(), await world.merchant()
    member = await member_of(world, ours, "maria")
    session = await session_of(world, member.user, b"s", factor_at=world.now())
    alone = await session_of(world, await user_of(world, "ines"), b"t")
    also = Membership(
        user_id=member.user.id,
        merchant_id=theirs.id,
        role=Role.VIEWER,
        created_at=world.now(),
    )
    await change(world, theirs, joining=also)
    found = await world.store.signed_in(b"s" * 32)
    assert found == SignedIn(
        session=session, user=member.user, memberships=(member.membership, also)
    )
    nobody = await world.store.signed_in(b"t" * 32)
    assert nobody is not None
    assert (nobody.session, nobody.memberships) == (alone, ())
    assert await world.store.signed_in(b"u" * 32) is None


async def test_a_session_remembers_what_was_noted_and_a_killed_one_stays_gone(
    world: World,
) -> None:
    merchant = await world.merchant()
    user = await user_of(world, "maria")
    session = await session_of(world, user, b"s")
    later = world.now() + timedelta(minutes=3)
    await world.store.seen(session.id, at=later)
    await world.store.seen(session.id, at=later - timedelta(minutes=1))
    await world.store.look_at(session.id, merchant.id)
    await change(world, factor_given=(session.id, later))
    [noted] = await world.store.sessions(user.id)
    assert (noted.seen_at, noted.merchant_id, noted.factor_at) == (later, merchant.id, later)
    await change(world, end_sessions=(session.id,))
    await world.store.seen(session.id, at=later)
    await world.store.look_at(session.id, merchant.id)
    assert await world.store.signed_in(b"s" * 32) is None
    with pytest.raises(NotFoundError):
        await change(world, factor_given=(session.id, later))


async def test_a_session_is_opened_for_the_user_as_they_were_seen_or_not_at_all(
    world: World,
) -> None:
    """A sign-in under way while the password changes must not outlive the password."""
    user = await user_of(world, "maria")
    changed = msgspec.structs.replace(user, password_hash="another", version=2)

    async def change_password() -> None:
        await change(world, user=changed, end_sessions_of=user.id)

    for _ in range(5):
        done = await asyncio.gather(
            session_of(world, user, b"s"), change_password(), return_exceptions=True
        )
        assert await world.store.sessions(user.id) == []
        assert done[1] is None
        user = changed
        changed = msgspec.structs.replace(user, version=user.version + 1)
    with pytest.raises(StaleVersionError):
        await session_of(world, msgspec.structs.replace(user, version=1), b"t")


async def test_sessions_end_one_all_others_or_all_and_never_somebody_elses(world: World) -> None:
    user, other = await user_of(world, "maria"), await user_of(world, "ines")
    first = await session_of(world, user, b"1")
    second = await session_of(world, user, b"2")
    third = await session_of(world, user, b"3")
    theirs = await session_of(world, other, b"4")
    assert await world.store.sessions(user.id) == [third, second, first]
    await change(world, end_sessions=(first.id, first.id))
    await change(world, end_sessions=(first.id,))
    assert await world.store.sessions(user.id) == [third, second]
    await change(world, end_sessions_of=user.id, except_session=second.id)
    assert await world.store.sessions(user.id) == [second]
    disabled = msgspec.structs.replace(user, disabled_at=world.now(), version=2)
    await change(world, user=disabled, end_sessions_of=user.id)
    assert await world.store.sessions(user.id) == []
    assert await world.store.sessions(other.id) == [theirs]


async def test_sessions_that_ended_by_time_are_forgotten_in_slices(world: World) -> None:
    user = await user_of(world, "maria")
    now = world.now()
    ages = {b"1": (5, 1), b"2": (5, 5), b"3": (9, 0), b"4": (1, 0)}  # made, seen: hours ago
    for text, (made, seen) in ages.items():
        await session_of(
            world,
            user,
            text,
            created_at=now - timedelta(hours=made),
            seen_at=now - timedelta(hours=seen),
        )
    bounds = {
        "seen_before": now - timedelta(hours=4),
        "created_before": now - timedelta(hours=8),
    }
    assert await world.store.forget_sessions(**bounds, limit=1) == 1
    assert await world.store.forget_sessions(**bounds, limit=5) == 1
    assert await world.store.forget_sessions(**bounds, limit=5) == 0
    left = [session.digest[:1] for session in await world.store.sessions(user.id)]
    assert left == [b"4", b"1"]


def name(text: bytes) -> Subject:
    return Subject(digest=text * 32, shared=False)


def address(text: bytes) -> Subject:
    return Subject(digest=text * 32, shared=True)


@pytest.mark.shows("W5", "W6")
async def test_tries_are_counted_before_they_end_so_many_at_once_are_many(world: World) -> None:
    """A guesser who sends a hundred at once must not get a hundred for one."""
    now = world.now()
    waits = await asyncio.gather(
        *(world.store.begin_try([name(b"u"), address(b"a")], now=now) for _ in range(12))
    )
    assert waits.count(0.0) == lockout.FREE_TRIES
    assert set(waits) == {0.0, lockout.FIRST_WAIT_S}


async def test_a_try_counts_for_each_subject_and_for_none_where_one_has_to_wait(
    world: World,
) -> None:
    now = world.now()
    for _ in range(lockout.FREE_TRIES):
        assert await world.store.begin_try([name(b"u"), name(b"a")], now=now) == 0.0
    assert await world.store.begin_try([name(b"v"), name(b"a")], now=now) == lockout.FIRST_WAIT_S
    for _ in range(lockout.FREE_TRIES):
        assert await world.store.begin_try([name(b"v"), name(b"b")], now=now) == 0.0
    later = now + timedelta(seconds=lockout.FIRST_WAIT_S)
    assert await world.store.begin_try([name(b"u")], now=later) == 0.0
    assert await world.store.begin_try([name(b"u")], now=later) == 2 * lockout.FIRST_WAIT_S
    await world.store.end_try([name(b"u")])
    assert await world.store.begin_try([name(b"u")], now=later) == 0.0


async def test_an_address_has_a_right_try_back_and_no_other(world: World) -> None:
    """Or a guesser signs in with an own account after every few guesses, and never waits."""
    now = world.now()
    for turn in range(lockout.SHARED_FREE_TRIES):
        guess = [name(b"%c" % turn), address(b"a")]
        assert await world.store.begin_try(guess, now=now) == 0.0
        own = [name(b"own!"), address(b"a")]
        if turn < lockout.SHARED_FREE_TRIES - 1:
            assert await world.store.begin_try(own, now=now) == 0.0
            await world.store.end_try(own)
    quarter = lockout.SHARED_FORGETS_EVERY
    assert await world.store.begin_try(own, now=now) == quarter.total_seconds()
    later = now + quarter
    assert await world.store.begin_try(own, now=later) == 0.0
    await world.store.end_try(own)
    assert await world.store.begin_try(guess, now=later) == 0.0
    assert await world.store.begin_try(guess, now=later) == quarter.total_seconds()
    await world.store.end_try([address(b"b")])


async def test_a_day_later_nobody_waits(world: World) -> None:
    now = world.now()
    for _ in range(lockout.FREE_TRIES):
        await world.store.begin_try([name(b"u")], now=now)
    later = now + lockout.FORGOTTEN_AFTER + timedelta(seconds=1)
    waits = [await world.store.begin_try([name(b"u")], now=later) for _ in range(6)]
    assert waits == [0.0] * lockout.FREE_TRIES + [lockout.FIRST_WAIT_S]
