"""Which addresses may be called: the public internet, minus everything that only looks like it.

``ipaddress.is_global`` is not this guard: it lets NAT64, 6to4, IPv4-compatible, site-local and
multicast addresses pass, each a way to spell a private one. So IPv4 is refused by a list that
is longer than its own, and IPv6 is allowed only in 2000::/3, minus a short list; whatever else
IPv6 has or will be given for local use lies outside and need not be known here.
"""

import ipaddress
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, Self

from payhooks.errors import InvalidError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Refusal(StrEnum):
    """Why an address may not be called. For our logs: the merchant reads one text for all."""

    NOT_CANONICAL = "not_canonical"  # parsers disagree about what it means
    SPECIAL_IPV4 = "special_ipv4"  # private, local, shared, reserved, multicast, metadata
    SPECIAL_IPV6 = "special_ipv6"  # in the public part, but tunnels, documentation and the like
    OUTSIDE_PUBLIC_IPV6 = "outside_public_ipv6"


_REFUSED_IPV4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier NAT; Alibaba's metadata service lives in it
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host, a public address that is never public
        "169.254.0.0/16",  # link-local: the metadata services of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; Oracle's old metadata service
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",  # the broadcast address with it
    )
)
_PUBLIC_IPV6: Final = ipaddress.IPv6Network("2000::/3")
_REFUSED_IPV6: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4: carries any IPv4 address inside
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
# Sorted and disjoint, so one bisection answers.
_REFUSED_IPV4_FIRST: Final = [int(network.network_address) for network in _REFUSED_IPV4]
_REFUSED_IPV4_LAST: Final = [int(network.broadcast_address) for network in _REFUSED_IPV4]

# A host whose last label reads as a number is an IPv4 address to some parser (the rule of the
# WHATWG): 127.1, 0x7f.1, 017700000001, 2130706433.
_LAST_LABEL_NUMERIC: Final = re.compile(r"(?:[0-9]+|0[xX][0-9a-fA-F]*)")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """What the operator lets be called though it is private: networks, and names by trust.

    A listed name may resolve to anything, so list only names that the operator controls.
    """

    networks: tuple[Network, ...] = ()
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, entries: Sequence[str]) -> Self:
        """Return the list that *entries* spell, each a CIDR network, an address or a name.

        Raises:
            InvalidError: an entry is none of these; its pointer is the entry's index.

        """
        networks: list[Network] = []
        names: set[str] = set()
        for index, entry in enumerate(entries):
            try:
                networks.append(ipaddress.ip_network(entry))
            except ValueError:
                if not _NAME.fullmatch(entry) or _LAST_LABEL_NUMERIC.fullmatch(_last_label(entry)):
                    raise InvalidError.at(
                        f"/{index}",
                        "invalid_network",
                        "An entry must be a network such as 10.1.0.0/16, an address, or a name.",
                    ) from None
                names.add(entry.lower())
        return cls(networks=tuple(networks), names=frozenset(names))


NOTHING_ALLOWED: Final = AllowList()


def verdict(address: str, *, allowed: AllowList = NOTHING_ALLOWED) -> Refusal | None:
    """Return why *address* must not be called, or None if it may be."""
    refusal = _refusal(address)
    if refusal is None or refusal is Refusal.NOT_CANONICAL:
        return refusal
    parsed = ipaddress.ip_address(address)
    return None if any(parsed in network for network in allowed.networks) else refusal


def host_verdict(host: str, *, allowed: AllowList = NOTHING_ALLOWED) -> Refusal | None:
    """Return why *host*, as it stands in a URL without brackets, must not be called.

    None for an address that may be called, and for every name: what a name leads to is asked
    when it is resolved. Refused are the spellings that some resolver reads as an address and
    ``ipaddress`` does not, such as ``127.1`` and ``0x7f000001``.
    """
    if is_address(host):
        return verdict(host, allowed=allowed)
    if ":" in host or not host.isascii() or _LAST_LABEL_NUMERIC.fullmatch(_last_label(host)):
        return Refusal.NOT_CANONICAL
    return None


def is_address(host: str) -> bool:
    """Return whether *host* is an IP address in the one canonical spelling."""
    return _refusal(host) is not Refusal.NOT_CANONICAL


# Pure, and asked for the same few thousand receivers all day.
@lru_cache(maxsize=4_096)
def _refusal(address: str) -> Refusal | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return Refusal.NOT_CANONICAL
    # The text must be the canonical one: whoever connects may read another spelling, or a
    # zone, differently than we did.
    if str(parsed) != address or "%" in address:
        return Refusal.NOT_CANONICAL
    if isinstance(parsed, ipaddress.IPv4Address):
        return Refusal.SPECIAL_IPV4 if _is_special_ipv4(int(parsed)) else None
    if parsed not in _PUBLIC_IPV6:
        return Refusal.OUTSIDE_PUBLIC_IPV6
    if any(parsed in network for network in _REFUSED_IPV6):
        return Refusal.SPECIAL_IPV6
    return None


def _is_special_ipv4(number: int) -> bool:
    index = bisect_right(_REFUSED_IPV4_FIRST, number) - 1
    return index >= 0 and number <= _REFUSED_IPV4_LAST[index]


def _last_label(host: str) -> str:
    return host.removesuffix(".").rpartition(".")[2]
