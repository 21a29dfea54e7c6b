"""Users and teams: who may be what, and the last owner who stays."""

import msgspec
import pytest
from tests.support.people import EVERYTHING, PASSWORD, People, caller_of

from payhooks import ids, limits
from payhooks.control import invitations, users
from payhooks.control.context import SYSTEM, Caller
from payhooks.control.users import UserDraft
from payhooks.errors import ForbiddenError, InvalidError, NotFoundError, WrongStateError
from payhooks.model.key import Scope
from payhooks.model.user import SCOPES, Role

READS = {
    Scope.EVENTS_READ,
    Scope.ENDPOINTS_READ,
    Scope.DELIVERIES_READ,
    Scope.CONNECTORS_READ,
    Scope.KEYS_READ,
    Scope.AUDIT_READ,
    Scope.MERCHANT_READ,
    Scope.TEAM_READ,
}
WRITES = {
    Scope.EVENTS_WRITE,
    Scope.ENDPOINTS_WRITE,
    Scope.DELIVERIES_WRITE,
    Scope.CONNECTORS_WRITE,
}
OWNERS = {Scope.KEYS_WRITE, Scope.MERCHANT_WRITE, Scope.TEAM_WRITE}


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        (Role.VIEWER, READS),
        (Role.SUPPORT, READS | {Scope.DELIVERIES_WRITE}),
        (Role.DEVELOPER, READS | WRITES | {Scope.SECRETS_READ}),
        (Role.OWNER, READS | WRITES | {Scope.SECRETS_READ} | OWNERS),
    ],
)
def test_a_role_is_these_permissions_and_no_other(role: Role, scopes: set[Scope]) -> None:
    """Written out, so that a new permission is given to a role by somebody who thought of it."""
    assert SCOPES[role] == scopes
    assert Scope.OPERATOR not in SCOPES[role]


async def test_a_new_user_is_in_a_team_or_in_none() -> None:
    people = People()
    merchant = await people.merchant()
    alone, owner = await people.user("alone"), await people.user("owner", merchant)
    assert await people.store.memberships(alone.id) == []
    [membership] = await people.store.memberships(owner.id)
    assert (membership.merchant_id, membership.role) == (merchant.id, Role.OWNER)
    assert await people.actions() == ["user.created"]
    assert (await people.actions(merchant.id))[1:] == ["user.created"]
    assert await people.told() == ["agent.created"]


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("username", "", "malformed"),
        ("username", "has space", "malformed"),
        ("username", "mail@shop.example", "malformed"),
        ("username", "-first", "malformed"),
        ("username", "mariä", "malformed"),
        ("username", "a" * 65, "too_long"),
        ("username", "Operator", "reserved"),
        ("email", "nobody", "malformed"),
        ("email", "a@b\n.example", "malformed"),
        ("email", "root,maria@shop.example", "malformed"),
        ("email", "<maria>@shop.example", "malformed"),
        ("email", ".maria@shop.example", "malformed"),
        ("email", "=?utf-8?q?a=0Ab?=@shop.example", "malformed"),
        ("email", f"{'a' * 250}@b.example", "too_long"),
        ("password", "short", "too_short"),
        ("password", "password1234", "too_common"),
        ("password", "maria's donkey", "contains_name"),
    ],
)
async def test_what_cannot_be_is_refused_and_named(member: str, value: str, code: str) -> None:
    people = People()
    draft = UserDraft(username="maria", email="m@shop.example", password=PASSWORD)
    draft = msgspec.structs.replace(draft, **{member: value})
    with pytest.raises(InvalidError) as refused:
        await users.create(people.control, SYSTEM, draft)
    assert [(f.pointer, f.code) for f in refused.value.faults] == [(f"/{member}", code)]
    assert await people.store.users(EVERYTHING) == []


async def test_a_name_that_is_taken_is_refused() -> None:
    people = People()
    await people.user("maria")
    with pytest.raises(WrongStateError):
        await people.user("Maria")


async def test_the_password_is_in_no_entry_no_announcement_and_no_repr() -> None:
    people = People()
    merchant = await people.merchant()
    draft = UserDraft(
        username="maria", email="m@shop.example", password=PASSWORD, merchant=merchant
    )
    user = await users.create(people.control, SYSTEM, draft)
    kept = [repr(draft), *map(repr, await people.log(merchant.id))]
    kept += map(repr, await people.store.announcements(limit=9))
    assert all(PASSWORD not in each for each in kept)
    assert all(user.password_hash not in each for each in kept)


async def test_a_user_is_found_by_any_name_and_by_id() -> None:
    people = People()
    user = await people.user()
    for text in ("maria", "MARIA@shop.example", ids.to_text(ids.USER, user.id)):
        assert await users.find(people.control, text) == user
    for text in ("mario", "usr_" + "0" * 26, "", "\0"):
        with pytest.raises(NotFoundError):
            await users.find(people.control, text)


async def test_a_member_is_found_by_the_own_merchant_only() -> None:
    people = People()
    ours, theirs = await people.merchant(), await people.merchant("Other")
    member = await people.member("maria", ours)
    printed = ids.to_text(ids.USER, member.user.id)
    assert await users.find_member(people.control, ours.id, printed) == member
    for merchant_id, text in ((theirs.id, printed), (ours.id, "usr_x"), (ours.id, "maria")):
        with pytest.raises(NotFoundError):
            await users.find_member(people.control, merchant_id, text)


async def test_roles_change_and_members_leave_each_with_one_entry_and_one_event() -> None:
    people = People()
    merchant = await people.merchant()
    await people.user("boss", merchant)
    member = await people.member("maria", merchant, Role.VIEWER)
    changed = await users.set_role(people.control, SYSTEM, member, Role.DEVELOPER)
    assert changed.membership.role is Role.DEVELOPER
    assert await users.set_role(people.control, SYSTEM, changed, Role.DEVELOPER) == changed
    await users.remove(people.control, SYSTEM, changed)
    assert (await people.actions(merchant.id))[3:] == ["member.changed", "member.removed"]
    assert (await people.told())[2:] == ["agent.updated", "agent.deleted"]
    with pytest.raises(NotFoundError):
        await users.remove(people.control, SYSTEM, changed)


@pytest.mark.shows("W17")
async def test_the_last_owner_stays() -> None:
    people = People()
    merchant = await people.merchant()
    owner = await people.member("boss", merchant)
    await people.user("maria", merchant, Role.DEVELOPER)
    with pytest.raises(WrongStateError):
        await users.remove(people.control, SYSTEM, owner)
    with pytest.raises(WrongStateError):
        await users.set_role(people.control, SYSTEM, owner, Role.VIEWER)
    await people.user("second", merchant)
    await users.remove(people.control, SYSTEM, owner)


@pytest.mark.shows("W17")
async def test_nobody_gives_or_takes_more_than_they_have() -> None:
    """A key that may write the team must not make owners, nor remove one."""
    people = People()
    merchant = await people.merchant()
    owner = await people.member("boss", merchant)
    viewer = await people.member("maria", merchant, Role.VIEWER)
    scopes = SCOPES[Role.SUPPORT] | {Scope.TEAM_WRITE}
    caller = Caller(actor="key:key_1", scopes=scopes, merchant_id=merchant.id)
    with pytest.raises(ForbiddenError):
        await users.set_role(people.control, caller, viewer, Role.OWNER)
    with pytest.raises(ForbiddenError):
        await users.set_role(people.control, caller, owner, Role.VIEWER)
    with pytest.raises(ForbiddenError):
        await users.remove(people.control, caller, owner)
    await users.set_role(people.control, caller, viewer, Role.SUPPORT)


async def test_disabling_is_for_good_and_a_repeat_changes_nothing() -> None:
    people = People()
    user = await people.user()
    await people.sign_in()
    disabled = await users.disable(people.control, SYSTEM, user)
    assert disabled.disabled_at == people.clock.now()
    assert await users.disable(people.control, SYSTEM, disabled) == disabled
    assert await people.store.sessions(user.id) == []
    assert await people.actions() == ["user.created", "user.signed_in", "user.disabled"]


async def test_the_last_owner_of_a_team_is_disabled_only_where_that_is_said() -> None:
    """The words name the merchants: an operator has to know whom to make an owner of what."""
    people = People()
    mine, shared = await people.merchant("Bakery"), await people.merchant("Mill")
    user = await people.user("maria", mine)
    await people.user("ines", shared)
    invited = await invitations.invite(
        people.control, SYSTEM, shared, email="m@shop.example", role=Role.OWNER, base_url=""
    )
    _, signed_in = await people.sign_in()
    text = invited.url.rpartition("/")[2]
    await invitations.accept(people.control, caller_of(signed_in), signed_in, text)
    with pytest.raises(WrongStateError) as refused:
        await users.disable(people.control, SYSTEM, user)
    printed = ids.to_text(ids.MERCHANT, mine.id)
    assert str(refused.value) == f"Nobody but maria owns Bakery ({printed})."
    assert (await people.found_user(user)).disabled_at is None
    await users.disable(people.control, SYSTEM, user, leave_ownerless=True)
    assert (await people.found_user(user)).disabled_at is not None


async def test_a_team_is_bounded() -> None:
    people = People()
    merchant = await people.merchant()
    for number in range(limits.MEMBERS_PER_MERCHANT_MAX):
        await people.user(f"u{number}", merchant)
    with pytest.raises(WrongStateError):
        await people.user("one-more", merchant)
