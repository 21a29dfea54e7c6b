"""An installation with people in it: memory, a clock that stands still, and cheap passwords."""

import os
from datetime import UTC, datetime
from random import Random
from typing import Literal

import pyotp
from argon2 import PasswordHasher

from payhooks.control import factors, merchants, sessions, users
from payhooks.control.context import SYSTEM, Caller, Control
from payhooks.control.keyring import Keyring
from payhooks.control.merchants import MerchantDraft
from payhooks.control.passwords import Passwords
from payhooks.control.sessions import NewSession, Visitor
from payhooks.control.users import UserDraft
from payhooks.flow.fan_out import order_key
from payhooks.ids import MerchantId, TimeOrderedIds
from payhooks.model.audit import AuditEntry
from payhooks.model.merchant import Merchant, Mode
from payhooks.model.user import Role, User
from payhooks.ports.controlling import Window
from payhooks.ports.identity import Member, SignedIn
from payhooks.ports.mailing import Mailer
from payhooks.storage.memory import MemoryStore
from payhooks.testing.clock import ManualClock

PASSWORD = "four brown horses"
VISITOR = Visitor(ip="192.0.2.7", agent="Browser", request_id="req_1")
EVERYTHING = Window(limit=100)


class CountingHasher(PasswordHasher):
    """Argon2id at its least cost, which counts how often it compared."""

    def __init__(self, time_cost: int = 1) -> None:
        super().__init__(time_cost=time_cost, memory_cost=8, parallelism=1)
        self.comparisons = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - theirs
        """Compare, and count."""
        self.comparisons += 1
        return super().verify(hash, password)


class People:
    """One installation, and the few steps that most tests take."""

    def __init__(self, *, mailer: Mailer | None = None) -> None:
        self.clock = ManualClock(datetime(2026, 11, 20, 12, tzinfo=UTC))
        self.store = MemoryStore(clock=self.clock)
        self.hasher = CountingHasher()
        random = Random(1)
        self.control = Control(
            store=self.store,
            clock=self.clock,
            ids=TimeOrderedIds(self.clock, random),
            keyring=Keyring([os.urandom(32)], random_bytes=os.urandom),
            random_bytes=random.randbytes,
            order_key=order_key,
            passwords=Passwords(self.hasher),
            mailer=mailer,
        )

    async def merchant(self, name: str = "Bakery") -> Merchant:
        """Return a merchant that is stored."""
        draft = MerchantDraft(name=name)
        return await merchants.create(self.control, SYSTEM, Mode.SANDBOX, draft)

    async def user(
        self, username: str = "maria", merchant: Merchant | None = None, role: Role = Role.OWNER
    ) -> User:
        """Return a user that is stored."""
        draft = UserDraft(
            username=username,
            email=f"{username}@shop.example",
            password=PASSWORD,
            merchant=merchant,
            role=role,
        )
        return await users.create(self.control, SYSTEM, draft)

    async def member(self, username: str, merchant: Merchant, role: Role = Role.OWNER) -> Member:
        """Return a new user of the merchant's team."""
        user = await self.user(username, merchant, role)
        member = await self.store.member(merchant.id, user.id)
        assert member is not None
        return member

    async def sign_in(self, username: str = "maria") -> tuple[NewSession, SignedIn]:
        """Return what signing in gave, and what its cookie finds."""
        new = await sessions.sign_in(self.control, VISITOR, name=username, password=PASSWORD)
        return new, await self.found(new)

    async def found(self, new: NewSession) -> SignedIn:
        """Return what a cookie finds now."""
        found = await sessions.find(self.control, new.text)
        assert found is not None
        return found

    async def found_user(self, user: User) -> User:
        """Return the user as stored now."""
        found = await self.store.user(user.id)
        assert found is not None
        return found

    async def with_factor(
        self, username: str = "maria"
    ) -> tuple[NewSession, SignedIn, tuple[str, ...]]:
        """Return a session of a user who just enabled a second factor, and the recovery codes."""
        new, signed_in = await self.sign_in(username)
        caller = caller_of(signed_in)
        enrolment = await factors.enrol(self.control, caller, signed_in.user)
        codes = await factors.confirm(self.control, caller, signed_in, self.code(enrolment.seed))
        return new, await self.found(new), codes

    def code(self, seed: str, *, steps: int = 0) -> str:
        """Return the code that a phone shows so many steps from now."""
        return pyotp.TOTP(seed).at(self.clock.now(), counter_offset=steps)

    async def log(self, merchant_id: MerchantId | None = None) -> list[AuditEntry]:
        """Return the audit entries of a merchant, or of the installation, oldest first."""
        chained = await self.store.audit(merchant_id, after=0, limit=100)
        return [one.entry for one in chained]

    async def actions(self, merchant_id: MerchantId | None = None) -> list[str]:
        """Return what was done, oldest first."""
        return [entry.action for entry in await self.log(merchant_id)]

    async def told(self) -> list[str]:
        """Return the types of what was announced, oldest first."""
        return [one.type for one in await self.store.announcements(limit=100)]


def caller_of(signed_in: SignedIn) -> Caller:
    """Return who asks in this session."""
    return sessions.caller_of(signed_in, request_id="req_1", ip=VISITOR.ip)
