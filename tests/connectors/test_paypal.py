"""PayPal: whose certificate it is, and what it signed.

Nobody publishes a signed webhook of PayPal's with its certificate, so the requests here are made
as PayPal's SDK for Python reads them (paypalrestsdk 1.13.3), by an authority of our own.
"""

import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from tests.connectors.signed_by_paypal import (
    BODY,
    CERTIFICATE_URL,
    NOW,
    OPTIONS,
    chain,
    keys,
    pem_of,
    provider,
    signed,
)

from payhooks.connectors.contract import Incoming, Keys
from payhooks.connectors.paypal import PAYPAL, PayPal
from payhooks.connectors.paypal_signature import Trust
from payhooks.errors import InvalidError, SignatureError


def _shipped(name: str) -> bytes:
    return (files("payhooks.connectors") / "paypal_certificates" / name).read_bytes()


def test_what_paypals_certificate_signed_for_this_webhook_is_his() -> None:
    """The plain case; every one below differs from it in one thing."""
    sent = signed(BODY)
    assert provider().missing(sent, OPTIONS) is None
    assert provider().needs(sent, OPTIONS) == CERTIFICATE_URL
    provider().verify(sent, keys(), NOW, OPTIONS)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com.example/v1/notifications/certs/CERT-1",
        "https://example/https://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com@example/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "https://www.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/../../../elsewhere",
        "https://api.paypal.com/v1/notifications/certs/CERT-1?next=//example",
        "https://api.paypal.com/v1/notifications/certs/CERT-1\n",
        "https://api.paypal.com/v1/notifications/certs/",
        "https://169.254.169.254/v1/notifications/certs/CERT-1",
    ],
)
def test_a_certificate_is_fetched_from_paypals_own_host_alone(url: str) -> None:
    """Whoever sends a request writes this URL: any other would be a certificate of his own."""
    sent = signed(BODY, url=url)
    with pytest.raises(SignatureError):
        provider().needs(sent, OPTIONS)
    with pytest.raises(SignatureError):
        provider().verify(sent, Keys((), None, {url: chain().pem}), NOW, OPTIONS)


@pytest.mark.parametrize("host", ["api", "api-m", "api.sandbox", "api-m.sandbox"])
def test_both_of_paypals_worlds_are_heard(host: str) -> None:
    """The webhook's id is signed and its own in each, so the sandbox's are not taken for live."""
    url = f"https://{host}.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270"
    assert provider().needs(signed(BODY, url=url), OPTIONS) == url


@pytest.mark.parametrize(
    ("host", "settings"),
    [
        pytest.param("messageverificationcerts.paypal.com.example", {}, id="another's name"),
        pytest.param("messageverificationcerts.notpaypal.com", {}, id="a name that ends alike"),
        pytest.param("www.paypal.com", {}, id="another of PayPal's hosts"),
        pytest.param("messageverificationcerts.paypal.com", {"days": (-60, -1)}, id="ended"),
        pytest.param("messageverificationcerts.paypal.com", {"days": (1, 60)}, id="not begun"),
        pytest.param("messageverificationcerts.paypal.com", {"bits": 1024}, id="a weak key"),
        pytest.param("messageverificationcerts.paypal.com", {"bits": 0}, id="another kind of key"),
        pytest.param(
            "messageverificationcerts.paypal.com", {"authority": "Stranger"}, id="another's root"
        ),
    ],
)
def test_a_certificate_that_is_not_paypals_signs_nothing(
    host: str, settings: Mapping[str, Any]
) -> None:
    """PayPal's host could be made to give it out; that alone must not be enough."""
    other = chain(host, **settings)
    with pytest.raises(SignatureError):
        provider().verify(signed(BODY, by=other), keys(other.pem), NOW, OPTIONS)


def test_a_chain_needs_all_its_links_and_may_have_them_from_us() -> None:
    """PayPal has sent the last certificate alone; the one between is then taken from here."""
    alone = keys(pem_of(chain().leaf))
    with pytest.raises(SignatureError):
        provider().verify(signed(BODY), alone, NOW, OPTIONS)
    PayPal(Trust([chain().root], [chain().between])).verify(signed(BODY), alone, NOW, OPTIONS)


def test_a_root_that_comes_along_is_not_trusted_for_that() -> None:
    """Everybody can send a root; those are trusted that are here."""
    stranger = chain(authority="Stranger")
    whole = pem_of(stranger.leaf, stranger.between, stranger.root)
    with pytest.raises(SignatureError):
        provider().verify(signed(BODY, by=stranger), keys(whole), NOW, OPTIONS)


@pytest.mark.parametrize(
    "material",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>not found</html>", id="a page"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", id="none"),
        pytest.param(b"\xff" * 100, id="no text"),
        pytest.param(pem_of(chain().root), id="the root itself"),
        pytest.param(pem_of(chain().between, chain().leaf), id="the wrong way round"),
    ],
)
def test_what_is_no_certificate_of_paypals_verifies_nothing(material: bytes) -> None:
    """It was fetched, and whatever came is handed on: nobody else looks at it."""
    with pytest.raises(SignatureError):
        provider().verify(signed(BODY), keys(material), NOW, OPTIONS)


def test_a_certificate_that_was_not_fetched_verifies_nothing() -> None:
    """None is not taken for any."""
    with pytest.raises(SignatureError):
        provider().verify(signed(BODY), Keys(()), NOW, OPTIONS)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        pytest.param("paypal-transmission-id", "another", id="id"),
        pytest.param("paypal-transmission-time", "2030-01-10T12:29:59Z", id="time"),
        pytest.param("paypal-transmission-sig", "AAAA", id="signature"),
        pytest.param("paypal-transmission-sig", "*", id="no base64"),
        pytest.param("paypal-auth-algo", "SHA1withRSA", id="a weak algorithm"),
        pytest.param("paypal-transmission-id", "x" * 5_000, id="too long"),
    ],
)
def test_what_was_signed_may_not_be_changed(header: str, value: str) -> None:
    """Each of them is part of what PayPal's key vouches for, or says how."""
    sent = signed(BODY)
    changed = sent._replace(headers={**sent.headers, header: value})
    with pytest.raises(SignatureError):
        provider().verify(changed, keys(), NOW, OPTIONS)


def test_another_body_and_another_webhook_are_not_his() -> None:
    """Signed for another merchant, or another text: both were PayPal's, and neither is this."""
    sent = signed(BODY)
    with pytest.raises(SignatureError):
        provider().verify(sent._replace(body=BODY.replace(b"5.00", b"9.00")), keys(), NOW, OPTIONS)
    with pytest.raises(SignatureError):
        provider().verify(sent, keys(), NOW, {"webhook_id": "1JE4291016473214C"})
    with pytest.raises(SignatureError):
        provider().verify(sent, keys(), NOW, {})


def test_the_checksum_is_reckoned_over_the_bytes_as_they_came() -> None:
    """Spaces and spelling count: whoever parses first and prints again refuses good requests."""
    body = '{"id": "WH-1",  "summary": "für 5 €"}'.encode()
    assert zlib.crc32(body) != zlib.crc32(json.dumps(json.loads(body)).encode())
    provider().verify(signed(body), keys(), NOW, OPTIONS)


def test_the_shipped_roots_are_those_that_are_named_and_good_for_years() -> None:
    """A root that ends unnoticed refuses every webhook from one hour to the next."""
    text = _shipped("roots.pem")
    roots = x509.load_pem_x509_certificates(text)
    assert len(roots) == 3
    for root in roots:
        assert root.fingerprint(SHA256()).hex().upper().encode() in text
        assert root.not_valid_after_utc > datetime(2031, 1, 1, tzinfo=UTC)
    (between,) = x509.load_pem_x509_certificates(_shipped("intermediates.pem"))
    between.verify_directly_issued_by(roots[0])
    # And of strangers none.
    with pytest.raises(SignatureError):
        PAYPAL.verify(signed(BODY), keys(), NOW, OPTIONS)


@pytest.mark.parametrize(
    "away",
    [
        pytest.param(timedelta(days=31), id="long ago"),
        pytest.param(timedelta(days=30, minutes=1), id="within the hour"),
        pytest.param(timedelta(days=-30, minutes=-1), id="before it began"),
    ],
)
def test_a_judged_certificate_ends_all_the_same(away: timedelta) -> None:
    """It is remembered for as long as it is good, not for good."""
    hears = provider()
    for at in (NOW, NOW + timedelta(days=30), NOW - timedelta(days=30)):
        hears.verify(signed(BODY), keys(), at, OPTIONS)
    with pytest.raises(SignatureError):
        hears.verify(signed(BODY), keys(), NOW + away, OPTIONS)


def test_a_certificate_is_good_from_the_minute_in_which_it_begins() -> None:
    """What PayPal signs with a new one would be taken for a forgery until the next hour."""
    begun = NOW - timedelta(days=30)
    provider().verify(signed(BODY), keys(), begun + timedelta(minutes=1), OPTIONS)


def test_nothing_is_fetched_for_what_cannot_be_a_signature() -> None:
    """Each fetch costs a connection, and anybody may send such requests."""
    sent = signed(BODY)
    assert provider().needs(Incoming("POST", "", {}, BODY), OPTIONS) is None
    assert "paypal-transmission-id" in (
        provider().missing(Incoming("POST", "", {}, BODY), OPTIONS) or ""
    )
    broken = sent._replace(headers={**sent.headers, "paypal-transmission-sig": "*"})
    with pytest.raises(SignatureError):
        provider().needs(broken, OPTIONS)


def test_the_webhooks_id_is_needed() -> None:
    """Without it PayPal's signature for any other merchant would do."""
    PAYPAL.check(OPTIONS, [], None)
    for options in ({}, {"webhook_id": ""}, {"webhook_id": "a|b"}):
        with pytest.raises(InvalidError) as refused:
            PAYPAL.check(options, [], None)
        assert [fault.pointer for fault in refused.value.faults] == ["/options/webhook_id"]
