"""Users, and what their roles may do."""

from datetime import UTC, datetime

import pytest

from payhooks.ids import UserId
from payhooks.model.key import Scope
from payhooks.model.user import SCOPES, Role, User


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        (Role.OWNER, Scope.TEAM_WRITE, Scope.OPERATOR),
        (Role.DEVELOPER, Scope.ENDPOINTS_WRITE, Scope.KEYS_WRITE),
        (Role.SUPPORT, Scope.DELIVERIES_WRITE, Scope.ENDPOINTS_WRITE),
        (Role.VIEWER, Scope.DELIVERIES_READ, Scope.DELIVERIES_WRITE),
    ],
)
def test_a_role_may_what_it_is_for_and_no_more(role: Role, may: Scope, may_not: Scope) -> None:
    assert may in SCOPES[role]
    assert may_not not in SCOPES[role]


def test_only_who_handles_secrets_reads_them() -> None:
    """Whoever reads the key that signs can forge what it signs."""
    readers = {role for role, scopes in SCOPES.items() if Scope.SECRETS_READ in scopes}
    assert readers == {Role.OWNER, Role.DEVELOPER}


@pytest.mark.parametrize(("seed_id", "has"), [(None, False), (b"s" * 16, True)])
def test_a_user_has_a_factor_once_one_was_confirmed(
    seed_id: bytes | None,
    has: bool,  # noqa: FBT001 - a table's column
) -> None:
    user = User(
        id=UserId(bytes(16)),
        username="shop",
        email="shop@example.com",
        password_hash="of a test",
        seed_id=seed_id,
        last_step=0,
        recovery_digests=(),
        version=1,
        created_at=datetime(2030, 1, 1, tzinfo=UTC),
        disabled_at=None,
    )
    assert user.has_factor is has
