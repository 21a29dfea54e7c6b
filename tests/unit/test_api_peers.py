"""Whose address stands in the audit log and is told to wait after failed logins."""

import pytest

from payhooks.api.peers import Peers

BEHIND = Peers(["10.0.0.0/8", "2001:db8::/32"])


def _scope(peer: str | None, *forwarded: str) -> dict[str, object]:
    return {
        "client": None if peer is None else (peer, 4711),
        "headers": [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded],
    }


@pytest.mark.shows("S35")
@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        pytest.param("10.0.0.1", ["192.0.2.9"], "192.0.2.9", id="our proxy is believed"),
        pytest.param(
            "10.0.0.1", ["203.0.113.5, 192.0.2.9"], "192.0.2.9", id="what the caller wrote is not"
        ),
        pytest.param(
            "10.0.0.1", ["192.0.2.9, 10.0.0.2"], "192.0.2.9", id="through two of our proxies"
        ),
        pytest.param("10.0.0.1", ["192.0.2.9", "10.0.0.2"], "192.0.2.9", id="in two headers"),
        pytest.param("192.0.2.1", ["203.0.113.5"], "192.0.2.1", id="a stranger is not believed"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="our proxy said nothing"),
        pytest.param("10.0.0.1", ["192.0.2.9, evil"], "10.0.0.1", id="no address"),
        pytest.param("10.0.0.1", ["evil, 10.0.0.2"], "10.0.0.2", id="no address further out"),
        pytest.param("10.0.0.1", [""], "10.0.0.1", id="an empty header"),
        pytest.param("10.0.0.1", ["10.0.0.3"], "10.0.0.3", id="a machine of our own"),
        pytest.param("::ffff:10.0.0.1", ["192.0.2.9"], "192.0.2.9", id="IPv4 over IPv6"),
        pytest.param("2001:db8::1", ["2606:4700::1"], "2606:4700::1", id="IPv6"),
        pytest.param("10.0.0.1", ["10.0.0.9," * 10_000], "10.0.0.1", id="a chain without end"),
        pytest.param(None, ["192.0.2.9"], None, id="no peer at all"),
    ],
)
def test_the_callers_address_is_what_trusted_proxies_say(
    peer: str | None, forwarded: list[str], address: str | None
) -> None:
    """Believing everybody lets a caller blame others; believing nobody blames the proxy."""
    assert BEHIND.address_of(_scope(peer, *forwarded)) == address


@pytest.mark.shows("S35")
def test_without_trusted_proxies_only_the_peer_counts() -> None:
    """A20: the header is anybody's to write."""
    assert Peers().address_of(_scope("192.0.2.1", "203.0.113.5")) == "192.0.2.1"
