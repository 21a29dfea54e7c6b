"""Where a request comes from: the peer, or whom a proxy that we were told to trust names.

X-Forwarded-For is what anybody may write. It is read from its end, where the proxies nearest
to us wrote, and only as long as each writer is trusted.
"""

import ipaddress
from collections.abc import Sequence
from typing import Final

from payhooks.api import asgi

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Chains are short; whoever sends more wants to keep us busy.
_HOPS_MAX: Final = 20


class Peers:
    """Tells addresses of callers. *trusted*: networks of proxies in front of us."""

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self._trusted = tuple(ipaddress.ip_network(word) for word in trusted)

    def address_of(self, scope: asgi.Scope) -> str | None:
        """Return the caller's address; None where the server knows no peer."""
        client = scope.get("client")
        if client is None:
            return None
        peer = str(client[0])
        # Nearly every installation that has no proxy, and every request on its hot path.
        if not self._trusted:
            return peer
        return str(self._caller(peer, scope))

    def _caller(self, peer: str, scope: asgi.Scope) -> object:
        address = _read(peer)
        if address is None or not self._trusts(address):
            return peer
        for word in reversed(_forwarded(scope)[-_HOPS_MAX:]):
            named = _read(word.strip())
            if named is None:
                # The last one who was named rightly is who sent us this.
                return address
            address = named
            if not self._trusts(address):
                return address
        return address

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self._trusted)


def _forwarded(scope: asgi.Scope) -> list[str]:
    values = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return b",".join(values).decode("latin-1").split(",") if values else []


def _read(text: str) -> _Address | None:
    # A zone is a name on somebody's own machine, and may be any text at all.
    if "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A socket that listens on both families spells IPv4 peers so.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
