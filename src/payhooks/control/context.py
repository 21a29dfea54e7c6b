"""What every change of the control plane needs, and who asks for it.

``Control`` is made once by the composition root. A ``Caller`` is made once per request; it is
the only proof of permission that the functions beside this file take.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

import msgspec

from payhooks.clock import Clock
from payhooks.control.keyring import Keyring
from payhooks.control.passwords import Passwords
from payhooks.control.threads import Threads, for_diagnoses
from payhooks.errors import ForbiddenError, NotFoundError, StaleVersionError
from payhooks.ids import IdSource, MerchantId
from payhooks.limits import EDIT_TRIES_MAX
from payhooks.model.audit import AuditEntry
from payhooks.model.endpoint import Ordering
from payhooks.model.key import Scope
from payhooks.model.merchant import Mode
from payhooks.policy.address_guard import NOTHING_ALLOWED, AllowList
from payhooks.ports.controlling import Change
from payhooks.ports.fetching import Fetcher
from payhooks.ports.mailing import Mailer
from payhooks.ports.settling import Settlement
from payhooks.ports.store import Store

Edited = TypeVar("Edited")

_WEBHOOKS: Final = "http://127.0.0.1:8420/webhooks/"


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlPolicy:
    """What this installation says about URLs of endpoints; the merchant's mode adds to it."""

    allow_http: bool = False  # for live merchants too; sandbox merchants always may
    allowed: AllowList = NOTHING_ALLOWED
    own_hosts: frozenset[str] = frozenset()
    inboxes: str = "http://127.0.0.1:8420/in/"  # what URLs of inboxes begin with
    inbox_host: str | None = None  # the one public name that has them; None: whatever name
    # What URLs of connectors begin with, by their merchant's mode, and the name that has them.
    webhooks: Mapping[Mode, str] = field(default_factory=lambda: dict.fromkeys(Mode, _WEBHOOKS))
    webhook_hosts: Mapping[Mode, str | None] = field(default_factory=lambda: dict.fromkeys(Mode))


class Settled(Protocol):
    """Is told of an attempt that was written down, and whether its lease still held."""

    def __call__(self, settlement: Settlement, *, held: bool) -> None:
        """Take note."""
        ...


def uncounted(settlement: Settlement, *, held: bool) -> None:
    """Take no note, as commands do that start no server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What the control plane works with. One per process."""

    store: Store
    clock: Clock
    ids: IdSource
    keyring: Keyring
    random_bytes: Callable[[int], bytes]
    # The flow's rule of what waits for what: a replay must queue behind the same object.
    order_key: Callable[[Ordering, str | None], bytes | None]
    urls: UrlPolicy = field(default_factory=UrlPolicy)
    passwords: Passwords = field(default_factory=Passwords)
    diagnoses: Threads = field(default_factory=for_diagnoses)
    mailer: Mailer | None = None  # None: links are shown only
    fetcher: Fetcher | None = None  # None: as commands are that start no server
    # Told of the merchant whose endpoint or connector changed: nobody must go by what was.
    endpoint_changed: Callable[[MerchantId], None] = lambda _merchant_id: None
    # Told of what a listener acknowledged: it counts like what a worker sent.
    settled: Settled = uncounted

    async def apply(self, change: Change) -> None:
        """Commit a change to an endpoint or a connector and tell of it."""
        await self.store.apply(change)
        changed = change.endpoint or change.connector
        if changed is not None:
            self.endpoint_changed(changed.merchant_id)


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: for whom, with which permissions, from where."""

    actor: str  # as the audit log prints it: "key:key_…", "user:usr_…", "operator", "cli", "system"
    scopes: frozenset[Scope]
    merchant_id: MerchantId | None = None  # None: every merchant
    request_id: str | None = None
    ip: str | None = None
    key_digest: bytes | None = None  # None: not by a key of the store

    def may(self, scope: Scope) -> bool:
        """Whether the permission is there."""
        return scope in self.scopes or Scope.OPERATOR in self.scopes

    def demand(self, scope: Scope) -> None:
        """Return if the permission is there.

        Raises:
            ForbiddenError: It is not.

        """
        if not self.may(scope):
            raise ForbiddenError(f"This needs the permission {scope}.")

    def demand_merchant(self, merchant_id: MerchantId) -> None:
        """Return if the caller acts for this merchant, or for all.

        Raises:
            NotFoundError: It does not; it is told no more than for a merchant that never was.

        """
        if self.merchant_id is not None and self.merchant_id != merchant_id:
            raise NotFoundError("There is no such merchant.")


SYSTEM = Caller(actor="system", scopes=frozenset({Scope.OPERATOR}))


async def upon_what_is_there(edit: Callable[[], Awaitable[Edited]]) -> Edited:
    """Return what *edit* makes of what it reads; where another came between, it does both anew.

    For who says what is to be, whatever is there by now: of two at once both are made.

    Raises:
        StaleVersionError: Others were first in each of EDIT_TRIES_MAX tries.

    """
    for _ in range(EDIT_TRIES_MAX - 1):
        try:
            return await edit()
        except StaleVersionError:
            continue
    return await edit()


def audit_entry(  # noqa: PLR0913 - every part is named at the call site
    control: Control,
    caller: Caller,
    *,
    merchant_id: MerchantId | None,
    action: str,
    target: str,
    changes: Mapping[str, object] | None = None,
) -> AuditEntry:
    """Return the entry of one change; *changes* maps members to [before, after]."""
    return AuditEntry(
        merchant_id=merchant_id,
        at=control.clock.now(),
        actor=caller.actor,
        action=action,
        target=target,
        changes=msgspec.json.encode(changes or {}),
        request_id=caller.request_id,
        ip=caller.ip,
    )


def differences(
    before: Mapping[str, object] | None, after: Mapping[str, object]
) -> dict[str, list[object]]:
    """Return the members that changed, each with what it was (None at first) and is."""
    return {
        name: [None if before is None else before.get(name), value]
        for name, value in after.items()
        if before is None or before.get(name) != value
    }
