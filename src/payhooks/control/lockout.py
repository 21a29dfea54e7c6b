"""Wrong passwords and codes: counted for whom they are of and for the address they come from.

Subjects are kept as hashes, so that the table says nothing of who was tried.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from payhooks.control.context import Control
from payhooks.errors import RateLimitedError
from payhooks.policy.lockout import Subject

_IPV6_NETWORK_BITS: Final = 64  # what one household or server gets


class Tried(StrEnum):
    """What is guessed. Each counts apart: whoever has the password must not reset the codes."""

    PASSWORD = "password"  # noqa: S105 - a kind, no password
    CODE = "code"
    MAIL = "mail"  # no guess, but what somebody gets from us unasked


def subjects(what: Tried, whose: bytes | str, ip: str | None) -> list[Subject]:
    """Return what a try counts for; *whose* is a name as it was typed, or the id of a user.

    A typed name counts for itself, whoever's it is, if anybody's: were it counted for the user, a
    wait at a name that nobody has tried would tell whose other name it is.
    """
    if isinstance(whose, str):
        whose = whose.casefold().encode("utf-8", "replace")
    found = [Subject(digest=_digest(what, b"whose", whose), shared=False)]
    if ip is not None:
        found.append(Subject(digest=_digest(what, b"address", _network(ip).encode()), shared=True))
    return found


async def begin(control: Control, tried: Sequence[Subject]) -> None:
    """Count a try, before it is known how it ends.

    Raises:
        RateLimitedError: Says how long to wait.

    """
    wait_s = await control.store.begin_try(tried, now=control.clock.now())
    if wait_s > 0:
        raise RateLimitedError("Too many tries. Wait a moment.", retry_after_s=wait_s)


def _digest(what: Tried, kind: bytes, value: bytes) -> bytes:
    return hashlib.sha256(b"\0".join((what.encode(), kind, value))).digest()


def _network(ip: str) -> str:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, _IPV6_NETWORK_BITS), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)
