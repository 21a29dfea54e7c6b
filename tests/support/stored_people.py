"""People in a store under test: users, members, invitations and sessions in one line each."""

from datetime import timedelta

import msgspec
from tests.support.world import World

from payhooks.ids import InvitationId, SessionId, UserId
from payhooks.model.merchant import Merchant
from payhooks.model.user import Invitation, Membership, Role, Session, User
from payhooks.ports.identity import IdentityChange, Member


def new_user(world: World, name: str, **members: object) -> User:
    """Return a user that is not stored."""
    user = User(
        id=UserId(world.ids.new()),
        username=name,
        email=f"{name}@Shop.example",
        password_hash="$argon2id$…",
        seed_id=None,
        last_step=0,
        recovery_digests=(b"a" * 32, b"b" * 32),
        version=1,
        created_at=world.now(),
        disabled_at=None,
    )
    return msgspec.structs.replace(user, **members)


async def change(world: World, merchant: Merchant | None = None, **members: object) -> None:
    """Write one change."""
    audit = world.audit(None if merchant is None else merchant.id)
    await world.store.apply_identity(
        msgspec.structs.replace(IdentityChange(audit=audit), **members)
    )


async def user_of(world: World, name: str, **members: object) -> User:
    """Return a user that is stored."""
    user = new_user(world, name, **members)
    await change(world, user=user)
    return user


async def member_of(world: World, merchant: Merchant, name: str, role: Role = Role.OWNER) -> Member:
    """Return somebody in the merchant's team, both stored."""
    user = new_user(world, name)
    membership = Membership(
        user_id=user.id, merchant_id=merchant.id, role=role, created_at=world.now()
    )
    await change(world, merchant, user=user, joining=membership)
    return Member(user=user, membership=membership)


def new_invitation(world: World, merchant: Merchant, text: bytes) -> Invitation:
    """Return an invitation that is not stored."""
    return Invitation(
        id=InvitationId(world.ids.new()),
        digest=text * 32,
        merchant_id=merchant.id,
        email="new@shop.example",
        role=Role.VIEWER,
        invited_by="operator",
        created_at=world.now(),
        expires_at=world.now() + timedelta(days=7),
    )


async def session_of(world: World, user: User, text: bytes, **members: object) -> Session:
    """Return a session that is stored."""
    session = Session(
        id=SessionId(world.ids.new()),
        digest=text * 32,
        user_id=user.id,
        merchant_id=None,
        created_at=world.now(),
        seen_at=world.now(),
        factor_at=None,
        ip="192.0.2.7",
        agent="Browser",
    )
    session = msgspec.structs.replace(session, **members)
    await change(world, opened=session, opened_for=user.version)
    return session
