"""What IdentityStore promises: people, teams, invitations and sessions, each written whole."""

import asyncio

import msgspec
import pytest
from tests.support.stored_people import change, member_of, new_invitation, new_user, user_of
from tests.support.world import World

from payhooks.errors import NotFoundError, StaleVersionError, WrongStateError
from payhooks.ids import MerchantId, SessionId, UserId
from payhooks.model.secret import SealedSecret, SecretPurpose
from payhooks.model.user import NO_MERCHANT, Membership, Role, User
from payhooks.ports.controlling import Window
from payhooks.ports.identity import Member
from payhooks.ports.sweeping import Announcement

PAGE = Window(limit=10)


async def test_a_user_reads_back_by_id_and_by_either_name(world: World) -> None:
    user = await user_of(world, "Maria")
    assert await world.store.user(user.id) == user
    for name in ("maria", "MARIA", "maria@shop.EXAMPLE"):
        assert await world.store.user_by_name(name) == user
    assert await world.store.user_by_name("mario") is None
    assert await world.store.user(UserId(world.ids.new())) is None


@pytest.mark.parametrize(
    "names",
    [{"username": "MARIA"}, {"email": "MARIA@shop.example"}],
    ids=["username", "e-mail"],
)
async def test_a_name_belongs_to_one_user_however_it_is_capitalised(
    world: World, names: dict[str, str]
) -> None:
    """Two owners of one name: one of them would sign in as the other."""
    await user_of(world, "Maria")
    other = await user_of(world, "Ines")
    with pytest.raises(WrongStateError):
        await change(world, user=new_user(world, "Rosa", **names))
    with pytest.raises(WrongStateError):
        await change(world, user=msgspec.structs.replace(other, version=2, **names))
    assert await world.store.user(other.id) == other


async def test_of_many_who_take_one_name_at_once_one_gets_it(world: World) -> None:
    """What is checked before it is written is taken twice, where two look at once."""
    users = [new_user(world, "Maria") for _ in range(6)]
    done = await asyncio.gather(
        *(change(world, user=user) for user in users), return_exceptions=True
    )
    assert [type(one) for one in done].count(type(None)) == 1
    assert len(await world.store.users(PAGE)) == 1


@pytest.mark.shows("W6", "W8")
async def test_an_edit_of_a_user_based_on_an_old_version_is_refused(world: World) -> None:
    """It is what keeps one code of an app from being used twice."""
    user = await user_of(world, "Maria")
    edited = msgspec.structs.replace(user, last_step=7, version=2)
    done = await asyncio.gather(
        *(change(world, user=edited) for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in done) == ["NoneType", *["StaleVersionError"] * 3]
    with pytest.raises(StaleVersionError):
        await change(world, user=user)
    assert await world.store.user(user.id) == edited


async def test_what_is_refused_leaves_nothing_behind(world: World) -> None:
    """A seed without its user, or an entry about nothing, would both be lies."""
    user = await user_of(world, "Maria")
    before = await world.store.audit(None, after=0, limit=9)
    seed = SealedSecret(
        id=world.ids.new(),
        merchant_id=NO_MERCHANT,
        owner_id=user.id,
        purpose=SecretPurpose.TOTP,
        sealed=b"sealed",
        created_at=world.now(),
        expires_at=None,
    )
    edited = msgspec.structs.replace(user, version=2)
    with pytest.raises(NotFoundError):
        await change(
            world,
            user=edited,
            seed=seed,
            factor_given=(SessionId(world.ids.new()), world.now()),
        )
    assert await world.store.user(user.id) == user
    assert await world.store.secrets(NO_MERCHANT, user.id) == []
    assert await world.store.audit(None, after=0, limit=9) == before
    await change(world, user=edited, seed=seed)
    assert await world.store.secrets(NO_MERCHANT, user.id) == [seed]
    await change(world, forget_secrets=(seed.id,))
    assert await world.store.secrets(NO_MERCHANT, user.id) == []


async def test_a_team_is_seen_by_its_own_merchant_only(world: World) -> None:
    """Who works for whom is nobody else's business."""
    ours, theirs = await world.merchant(), await world.merchant()
    first = await member_of(world, ours, "maria")
    second = await member_of(world, ours, "ines", Role.SUPPORT)
    stranger = await member_of(world, theirs, "rosa")
    assert await world.store.members(ours.id, PAGE) == [second, first]
    assert await world.store.members(ours.id, Window(limit=1)) == [second]
    assert await world.store.members(ours.id, Window(limit=9, after=second.user.id)) == [first]
    assert await world.store.member(ours.id, second.user.id) == second
    assert await world.store.member(ours.id, stranger.user.id) is None
    assert await world.store.memberships(stranger.user.id) == [stranger.membership]


async def test_a_role_is_replaced_and_a_member_leaves(world: World) -> None:
    merchant = await world.merchant()
    await member_of(world, merchant, "maria")
    member = await member_of(world, merchant, "ines", Role.VIEWER)
    promoted = msgspec.structs.replace(member.membership, role=Role.DEVELOPER)
    await change(world, merchant, role=(member.membership, Role.DEVELOPER))
    assert await world.store.memberships(member.user.id) == [promoted]
    await change(world, merchant, leaving=promoted)
    assert await world.store.memberships(member.user.id) == []
    assert await world.store.user(member.user.id) == member.user
    with pytest.raises(NotFoundError):
        await change(world, merchant, leaving=promoted)


async def test_who_was_removed_is_not_back_by_a_role_that_was_given_meanwhile(
    world: World,
) -> None:
    """Two owners act on one member at once: whichever comes first, the member is out."""
    merchant = await world.merchant()
    await member_of(world, merchant, "maria")
    for turn in range(6):
        seen = (await member_of(world, merchant, f"ines{turn}", Role.VIEWER)).membership
        deeds = [
            change(world, merchant, role=(seen, Role.DEVELOPER)),
            change(world, merchant, leaving=seen),
        ]
        done = await asyncio.gather(*deeds[:: 1 if turn % 2 else -1], return_exceptions=True)
        given, removed = done if turn % 2 else done[::-1]
        [*left] = await world.store.memberships(seen.user_id)
        if removed is None:
            assert isinstance(given, NotFoundError)
            assert left == []
        else:
            assert isinstance(removed, StaleVersionError)
            assert given is None
            assert [one.role for one in left] == [Role.DEVELOPER]


async def test_a_member_is_changed_as_they_were_seen_or_not_at_all(world: World) -> None:
    """Who may take viewers out must not take out somebody who is an owner by now."""
    merchant = await world.merchant()
    await member_of(world, merchant, "maria")
    seen = (await member_of(world, merchant, "ines", Role.VIEWER)).membership
    await change(world, merchant, role=(seen, Role.OWNER))
    for stale in ({"leaving": seen}, {"role": (seen, Role.SUPPORT)}):
        with pytest.raises(StaleVersionError):
            await change(world, merchant, **stale)
    with pytest.raises(WrongStateError):
        await change(world, merchant, joining=seen)
    [stored] = await world.store.memberships(seen.user_id)
    assert stored.role is Role.OWNER


@pytest.mark.shows("W17")
async def test_the_last_owner_stays_even_where_two_go_at_once(world: World) -> None:
    """Nobody could invite anybody any more."""
    merchant = await world.merchant()
    first = await member_of(world, merchant, "maria")
    second = await member_of(world, merchant, "ines")
    await member_of(world, merchant, "rosa", Role.DEVELOPER)
    done = await asyncio.gather(
        change(world, merchant, role=(first.membership, Role.VIEWER)),
        change(world, merchant, leaving=second.membership),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in done) == ["NoneType", "WrongStateError"]
    owners = [
        one
        for one in await world.store.members(merchant.id, PAGE)
        if one.membership.role is Role.OWNER
    ]
    assert len(owners) == 1


async def test_a_disabled_owner_is_none_to_count_on(world: World) -> None:
    merchant = await world.merchant()
    first = await member_of(world, merchant, "maria")
    second = await member_of(world, merchant, "ines")
    disabled = msgspec.structs.replace(first.user, disabled_at=world.now(), version=2)
    await change(world, user=disabled)
    with pytest.raises(WrongStateError):
        await change(world, merchant, leaving=second.membership)
    await change(world, merchant, leaving=first.membership)


def disabled(world: World, member: Member) -> User:
    return msgspec.structs.replace(member.user, disabled_at=world.now(), version=2)


async def test_who_owns_a_team_alone_is_disabled_only_where_that_is_said(world: World) -> None:
    """Else one careless command leaves a merchant that nobody can invite anybody to."""
    ours, theirs = await world.merchant(), await world.merchant()
    first = await member_of(world, ours, "maria")
    second = await member_of(world, ours, "ines")
    also = msgspec.structs.replace(first.membership, merchant_id=theirs.id)
    await change(world, theirs, joining=also)
    with pytest.raises(WrongStateError):
        await change(world, user=disabled(world, first), stays_owned=True)
    assert await world.store.user(first.user.id) == first.user
    await change(world, user=disabled(world, second), stays_owned=True)
    await change(world, user=disabled(world, first))


@pytest.mark.parametrize("disabled_first", [True, False], ids=["disabled", "removed"])
async def test_of_two_owners_one_is_disabled_or_the_other_leaves(
    world: World, *, disabled_first: bool
) -> None:
    """The two are written to different chains, so nothing but the team itself makes them wait."""
    for turn in range(4):
        merchant = await world.merchant()
        first = await member_of(world, merchant, f"maria{turn}")
        second = await member_of(world, merchant, f"ines{turn}")
        deeds = [
            change(world, user=disabled(world, first), stays_owned=True),
            change(world, merchant, leaving=second.membership),
        ]
        done = await asyncio.gather(*deeds[:: 1 if disabled_first else -1], return_exceptions=True)
        assert sorted(type(one).__name__ for one in done) == ["NoneType", "WrongStateError"]


async def test_the_merchants_of_a_user_are_those_of_the_teams(world: World) -> None:
    first, second = await world.merchant(), await world.merchant()
    member = await member_of(world, second, "maria")
    await member_of(world, first, "ines")
    assert await world.store.merchants_of(member.user.id) == [second]
    also = msgspec.structs.replace(member.membership, merchant_id=first.id)
    await change(world, first, joining=also)
    assert await world.store.merchants_of(member.user.id) == [first, second]


@pytest.mark.shows("W17")
async def test_an_invitation_is_used_once_under_two_at_a_time(world: World) -> None:
    """Else one link lets two people in, and the inviter knows of one."""
    merchant = await world.merchant()
    invitation = new_invitation(world, merchant, b"i")
    await change(world, merchant, invitation=invitation)
    assert await world.store.invitation(b"i" * 32) == invitation

    async def accept(name: str) -> None:
        user = new_user(world, name)
        membership = Membership(
            user_id=user.id, merchant_id=merchant.id, role=Role.VIEWER, created_at=world.now()
        )
        await change(
            world,
            merchant,
            user=user,
            joining=membership,
            forget_invitation=invitation.id,
        )

    done = await asyncio.gather(*(accept(f"u{n}") for n in range(4)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["NoneType", *["NotFoundError"] * 3]
    assert len(await world.store.members(merchant.id, PAGE)) == 1
    assert len(await world.store.users(PAGE)) == 1
    assert await world.store.invitation(b"i" * 32) is None


async def test_invitations_are_seen_by_their_own_merchant_only(world: World) -> None:
    ours, theirs = await world.merchant(), await world.merchant()
    first, second = new_invitation(world, ours, b"1"), new_invitation(world, ours, b"2")
    await change(world, ours, invitation=first)
    await change(world, ours, invitation=second)
    assert await world.store.invitations(ours.id, PAGE) == [second, first]
    assert await world.store.invitations(ours.id, Window(limit=9, after=second.id)) == [first]
    assert await world.store.invitations(theirs.id, PAGE) == []


async def test_a_change_of_people_is_chained_and_announced_and_leaves_routing_alone(
    world: World,
) -> None:
    """Serving processes load routing anew at each of its versions; a sign-in is no reason to."""
    merchant = await world.merchant()
    [before] = await world.store.routing([merchant.id])
    told = Announcement(
        id=world.ids.new(),
        merchant_id=merchant.id,
        type="agent.created",
        object_type="agent",
        object_id="usr_1",
        data=b"{}",
    )
    await change(world, merchant, user=new_user(world, "maria"), announcements=(told,))
    assert await world.store.announcements(limit=5) == [told]
    entries = await world.store.audit(merchant.id, after=0, limit=9)
    assert [entry.number for entry in entries] == [1, 2]
    [after] = await world.store.routing([merchant.id])
    assert after.version == before.version


async def test_the_installations_users_are_listed_newest_first(world: World) -> None:
    users = [await user_of(world, name) for name in ("maria", "ines", "rosa")]
    assert await world.store.users(PAGE) == users[::-1]
    assert await world.store.users(Window(limit=1, after=users[2].id)) == [users[1]]
    assert await world.store.memberships(UserId(MerchantId(bytes(16)))) == []
