"""Passwords: which ones are good enough, and their Argon2id hashes on threads of their own.

Hashing is slow on purpose. It runs on two threads, so that guessers can neither stop the event
loop nor take the memory; whoever waits behind too many others is told to come back.
"""

import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from payhooks import limits
from payhooks.control.faults import Faults
from payhooks.control.threads import Threads

# The second of OWASP's equal choices for Argon2id: less memory, since sign-ins share a process
# with the deliveries.
_TIME_COST: Final = 2
_MEMORY_KIB: Final = 19 * 1024
_COMMON: Final = "common_passwords.txt"
_NAME_CHARS_MIN: Final = 3  # shorter ones are found in good passwords by chance
_ORDERS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
)


class Passwords:
    """Hashes and compares. One per process; safe to share."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(
            time_cost=_TIME_COST, memory_cost=_MEMORY_KIB, parallelism=1
        )
        self._threads = Threads(
            limits.PASSWORDS_AT_ONCE, waiting_max=limits.PASSWORDS_WAITING_MAX, work="passwords"
        )
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """Return the hash to keep.

        Raises:
            OverloadedError: Too many wait already.

        """
        return await self._threads.run(lambda: self._hasher.hash(_normal(password)))

    async def matches(self, password: str, kept: str | None) -> bool:
        """Return whether *kept* was made of this password.

        Where there is none, as for a user who is unknown, the same work is done and it does not.

        Raises:
            OverloadedError: Too many wait already.

        """
        return await self._threads.run(lambda: self._matches(_normal(password), kept))

    def is_outdated(self, kept: str) -> bool:
        """Return whether the hash was made at another cost than is used now."""
        return self._hasher.check_needs_rehash(kept)

    def _matches(self, password: str, kept: str | None) -> bool:
        if kept is None:
            # Made at the cost of real ones, whatever that is; once.
            self._nobodys = self._nobodys or self._hasher.hash("nobody's")
        try:
            matches = self._hasher.verify(kept or self._nobodys or "", password)
        except (VerificationError, InvalidHashError):
            return False
        return matches and kept is not None


def check(password: str, faults: Faults, *, pointer: str, names: Iterable[str]) -> None:
    """Check that a new password is long, not common and none of the user's *names*."""
    text = _normal(password)
    if len(text) < limits.PASSWORD_CHARS_MIN:
        detail = f"A password has at least {limits.PASSWORD_CHARS_MIN} characters."
        faults.add(pointer, "too_short", detail)
    elif len(text) > limits.PASSWORD_CHARS_MAX:
        detail = f"A password has at most {limits.PASSWORD_CHARS_MAX} characters."
        faults.add(pointer, "too_long", detail)
    elif (folded := text.casefold()) in _common() or _is_order(folded):
        faults.add(pointer, "too_common", "This password is among the first that people try.")
    elif any(name in folded for name in _parts(names)):
        detail = "A password does not contain the username or e-mail."
        faults.add(pointer, "contains_name", detail)


def _normal(password: str) -> str:
    # A keyboard may write é as one character or as two; it is the same password.
    text = unicodedata.normalize("NFKC", password)
    return text.encode("utf-8", "replace").decode()


def _parts(names: Iterable[str]) -> set[str]:
    parts = {part for name in names for part in (name.casefold(), name.casefold().split("@")[0])}
    return {part for part in parts if len(part) >= _NAME_CHARS_MIN}


def _is_order(text: str) -> bool:
    """Whether it is a short piece again and again, or runs along the alphabet or the keyboard."""
    if any(text == (text[:size] * len(text))[: len(text)] for size in range(1, 5)):
        return True
    runs = [order * 2 for order in _ORDERS] + [order[::-1] * 2 for order in _ORDERS]
    return any(text in run for run in runs)


@cache
def _common() -> frozenset[str]:
    text = files(__package__).joinpath(_COMMON).read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line)
