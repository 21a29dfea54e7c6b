"""Users that are kept in the store itself."""

from typing import Any, Final

from payhooks import ids
from payhooks.api.views import time
from payhooks.cli import local
from payhooks.control import factors, merchants, users
from payhooks.control.context import Control
from payhooks.control.users import UserDraft
from payhooks.errors import WrongStateError
from payhooks.limits import PAGE_SIZE_MAX
from payhooks.model.user import Role, User
from payhooks.ports.controlling import Window
from payhooks.ports.identity import Member

_PAGE: Final = PAGE_SIZE_MAX


async def create(
    username: str, email: str, password: str, *, merchant: str | None, role: Role
) -> dict[str, Any]:
    """Return a new user, in the merchant's team where one is named."""
    async with local.control() as control:
        team = None
        if merchant is not None:
            team = await merchants.find(control, local.CALLER, merchant)
        draft = UserDraft(
            username=username, email=email, password=password, merchant=team, role=role
        )
        return _shown(await users.create(control, local.CALLER, draft))


async def list_(limit: int) -> list[dict[str, Any]]:
    """Return users, newest first."""
    found: list[User] = []
    async with local.control() as control:
        while len(found) < limit:
            after = found[-1].id if found else None
            size = min(_PAGE, limit - len(found))
            page = await control.store.users(Window(limit=size, after=after))
            found += page
            if len(page) < size:
                break
    return [_shown(user) for user in found]


async def disable(name: str, *, leave_ownerless: bool) -> dict[str, Any]:
    """Return the user, who cannot sign in any more."""
    async with local.control() as control:
        user = await users.find(control, name)
        try:
            disabled = await users.disable(
                control, local.CALLER, user, leave_ownerless=leave_ownerless
            )
        except WrongStateError as error:
            advice = "Make somebody else an owner first, or say --leave-ownerless."
            raise WrongStateError(f"{error} {advice}") from error
        return _shown(disabled)


async def set_password(name: str, password: str) -> dict[str, Any]:
    """Return the user, who has another password and is signed out."""
    async with local.control() as control:
        user = await users.find(control, name)
        return _shown(await users.set_password(control, local.CALLER, user, password))


async def set_role(name: str, role: Role, *, merchant: str) -> dict[str, Any]:
    """Return the user, who has another role for the merchant."""
    async with local.control() as control:
        member = await _member(control, name, merchant)
        changed = await users.set_role(control, local.CALLER, member, role)
        return {**_shown(changed.user), "role": changed.membership.role}


async def remove(name: str, *, merchant: str) -> dict[str, Any]:
    """Return the user, who is in the merchant's team no more."""
    async with local.control() as control:
        member = await _member(control, name, merchant)
        await users.remove(control, local.CALLER, member)
        return _shown(member.user)


async def reset_factor(name: str) -> dict[str, Any]:
    """Return the user, without a second factor and signed out."""
    async with local.control() as control:
        user = await users.find(control, name)
        return _shown(await factors.reset(control, local.CALLER, user))


async def _member(control: Control, name: str, merchant: str) -> Member:
    found = await merchants.find(control, local.CALLER, merchant)
    user = await users.find(control, name)
    return await users.find_member(control, found.id, ids.to_text(ids.USER, user.id))


def _shown(user: User) -> dict[str, Any]:
    return {
        "id": ids.to_text(ids.USER, user.id),
        "username": user.username,
        "email": user.email,
        "two_factor": user.has_factor,
        "created_at": time(user.created_at),
        "disabled_at": time(user.disabled_at),
    }
