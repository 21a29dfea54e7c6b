"""Which addresses may be called."""

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payhooks.errors import InvalidError
from payhooks.policy.address_guard import AllowList, Refusal, host_verdict, is_address, verdict

REFUSED = [
    # IPv4: one or both edges of every range, and what lives there.
    "0.0.0.1", "0.255.255.255", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200",
    "100.127.255.255", "127.0.0.1", "127.0.0.53", "127.255.255.255", "168.63.129.16",
    "169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.17.0.1",
    "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1",
    "192.88.99.1", "192.168.0.1", "192.168.255.255", "192.175.48.1", "198.18.0.1",
    "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255",
    # IPv6: outside 2000::/3.
    "::", "::1", "::7f00:1", "::ffff:7f00:1", "::ffff:a9fe:a9fe", "::ffff:0:7f00:1",
    "::5efe:7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1",
    "100:0:0:1::1", "1fff:ffff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254",
    "fd20:ce::254", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1",
    # IPv6: inside it.
    "2001::1", "2001:0:7f00:1::", "2001:10::1", "2001:1ff:ffff::1", "2001:db8::1",
    "2002:7f00:1::", "2002:a9fe:a9fe::", "2620:4f:8000::1", "3fff::1", "3fff:fff::1",
    # Not an address in its one spelling.
    "fe80::1%1", "::ffff:127.0.0.1", "2606:4700:0:0:0:0:0:1111",
]  # fmt: skip

ALLOWED = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1",
    "168.63.129.15", "169.253.255.255", "172.15.255.255", "172.32.0.1", "192.0.1.1",
    "198.17.255.255", "198.20.0.1", "223.255.255.255",
    "2001:200::1", "2003::1", "2606:4700:4700::1111", "3ffe:ffff::1",
]  # fmt: skip

# What glibc takes for loopback and ipaddress does not parse.
GLIBC_LOOPBACK = [
    "127.1", "127.0.1", "0", "0x7f000001", "0x7f.1", "017700000001", "2130706433",
    "0177.0.0.1", "127.000.000.001", "0x7f.0x0.0x0.0x1", "00000177.0.0.1",
    "①②⑦.⓪.⓪.①", "127。0。0。1",
]  # fmt: skip


def test_the_published_counts() -> None:
    """The table is a promise of the security document: 70 refused, 18 allowed."""
    assert len(set(REFUSED)) == 70
    assert len(set(ALLOWED)) == 18


@pytest.mark.shows("S03")
@pytest.mark.parametrize("address", REFUSED)
def test_private_and_special_addresses_are_refused(address: str) -> None:
    assert verdict(address) is not None


@pytest.mark.shows("S03")
@pytest.mark.parametrize("address", ALLOWED)
def test_public_addresses_are_allowed(address: str) -> None:
    assert verdict(address) is None


@pytest.mark.shows("D6", "S03")
@pytest.mark.parametrize("host", [*GLIBC_LOOPBACK, "127.1.", "example.0x7f", "1.2.3.4.5", "a:b"])
def test_spellings_that_only_some_parsers_take_for_an_address_are_refused(host: str) -> None:
    """The one that connects may be the one that understands them."""
    assert host_verdict(host) is Refusal.NOT_CANONICAL
    assert verdict(host) is Refusal.NOT_CANONICAL


@pytest.mark.parametrize("host", ["example.com", "a.b.c1", "1password.com", "0x.example"])
def test_names_are_judged_by_what_they_resolve_to(host: str) -> None:
    assert host_verdict(host) is None


def test_a_host_that_is_an_address_is_judged_as_one() -> None:
    assert host_verdict("1.1.1.1") is None
    assert host_verdict("169.254.169.254") is Refusal.SPECIAL_IPV4


@pytest.mark.shows("S03")
def test_an_allowed_network_opens_itself_and_nothing_beside_it() -> None:
    """For development, and for receivers inside the operator's own network."""
    allowed = AllowList.of(("127.0.0.1/32", "10.1.0.0/16", "fd00::/8"))
    assert verdict("127.0.0.1", allowed=allowed) is None
    assert verdict("10.1.2.3", allowed=allowed) is None
    assert verdict("fd00::7", allowed=allowed) is None
    assert verdict("127.0.0.2", allowed=allowed) is Refusal.SPECIAL_IPV4
    assert verdict("10.2.0.1", allowed=allowed) is Refusal.SPECIAL_IPV4
    assert verdict("::ffff:7f00:1", allowed=allowed) is Refusal.OUTSIDE_PUBLIC_IPV6


def test_an_odd_spelling_of_an_allowed_address_stays_refused() -> None:
    allowed = AllowList.of(("127.0.0.1",))
    assert host_verdict("127.1", allowed=allowed) is Refusal.NOT_CANONICAL


def test_allowed_names_are_kept_in_lower_case() -> None:
    assert AllowList.of(("Receiver", "hooks.corp.internal")).names == {
        "receiver",
        "hooks.corp.internal",
    }


@pytest.mark.parametrize("entry", ["", "10.0.0.0/33", "10.0.0.1/8", "a b", "127.1", "-x", "a/b"])
def test_an_entry_that_is_no_network_and_no_name_is_refused(entry: str) -> None:
    """A typing mistake must not silently open nothing, or something else."""
    with pytest.raises(InvalidError) as caught:
        AllowList.of(("127.0.0.1", entry))
    assert caught.value.faults[0].pointer == "/1"


@pytest.mark.shows("S03")
@given(st.integers(min_value=0, max_value=2**32 - 1))
@example(0x7F000001)
@example(0xA9FEA9FE)
def test_every_other_spelling_of_an_ipv4_address_is_refused(number: int) -> None:
    """Decimal, hex, octal, mapped, NAT64 and 6to4 forms must not pass what the plain one may."""
    plain = ipaddress.IPv4Address(number)
    high, low = number >> 16, number & 0xFFFF
    for host in (str(number), hex(number), f"0{number:o}", f"{plain}."):
        assert host_verdict(host) is Refusal.NOT_CANONICAL
    for address in (f"::ffff:{plain}", f"64:ff9b::{high:x}:{low:x}", f"2002:{high:x}:{low:x}::1"):
        assert verdict(str(ipaddress.ip_address(address))) is not None


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_allowed(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Our list is longer than the standard library's, never shorter."""
    if verdict(str(address)) is None:
        assert address.is_global
        assert not address.is_multicast


def test_is_address() -> None:
    assert is_address("1.1.1.1")
    assert is_address("::1")
    assert not is_address("127.1")
    assert not is_address("example.com")
