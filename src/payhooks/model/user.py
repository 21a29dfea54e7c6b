"""People behind the console: users, their roles per merchant, invitations and sessions.

A password is kept as an Argon2id hash; recovery codes, invitations and cookies as SHA-256, since
each has 80 random bits or more. The TOTP seed is a sealed secret like any other, beside the user.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from payhooks.ids import InvitationId, MerchantId, SessionId, UserId
from payhooks.model.key import Scope

# Whose secrets those of users are: nobody's, as the installation's audit chain is.
NO_MERCHANT: Final = MerchantId(bytes(16))


class Role(StrEnum):
    """What a user may do for one merchant."""

    OWNER = "owner"
    DEVELOPER = "developer"
    SUPPORT = "support"
    VIEWER = "viewer"


_READS: Final = frozenset(scope for scope in Scope if scope.endswith(":read")) - {
    Scope.SECRETS_READ
}
_ALL: Final = frozenset(Scope) - {Scope.OPERATOR}

SCOPES: Final[Mapping[Role, frozenset[Scope]]] = MappingProxyType(
    {
        Role.OWNER: _ALL,
        Role.DEVELOPER: _ALL - {Scope.KEYS_WRITE, Scope.TEAM_WRITE, Scope.MERCHANT_WRITE},
        Role.SUPPORT: _READS | {Scope.DELIVERIES_WRITE},
        Role.VIEWER: _READS,
    }
)


class User(msgspec.Struct, frozen=True, kw_only=True):
    """One person. Username and e-mail are each unique, however they are capitalised."""

    id: UserId
    username: str  # never has an @, so that it is nobody's e-mail
    email: str
    password_hash: str
    seed_id: bytes | None  # the secret whose codes count; None: no second factor
    last_step: int  # the last TOTP time step that was used; no step counts twice
    recovery_digests: tuple[bytes, ...]  # of the codes that were not used yet
    version: int  # counts edits
    created_at: datetime
    disabled_at: datetime | None

    @property
    def has_factor(self) -> bool:
        """Whether there is a second factor to ask for."""
        return self.seed_id is not None


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may do for one merchant; there is at most one per pair."""

    user_id: UserId
    merchant_id: MerchantId
    role: Role
    created_at: datetime


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a merchant's team, for whoever holds the link. Used once."""

    id: InvitationId
    digest: bytes  # SHA-256 of the text in the link
    merchant_id: MerchantId
    email: str
    role: Role
    invited_by: str  # the actor, as the audit log prints it
    created_at: datetime
    expires_at: datetime


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody signed in, in one browser."""

    id: SessionId
    digest: bytes  # SHA-256 of the cookie's text
    user_id: UserId
    merchant_id: MerchantId | None  # the one that is looked at
    created_at: datetime
    seen_at: datetime  # written once a minute at most
    factor_at: datetime | None  # when a second factor was given last
    ip: str | None
    agent: str  # what the browser calls itself, cut
