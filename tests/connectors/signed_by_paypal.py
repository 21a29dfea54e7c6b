"""Certificates and signatures as PayPal's webhooks have them, from an authority of our own."""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from payhooks.connectors.contract import Incoming, Keys
from payhooks.connectors.paypal import PayPal
from payhooks.connectors.paypal_signature import Trust

NOW: Final = datetime(2030, 1, 10, 12, 30, tzinfo=UTC)
WEBHOOK_ID: Final = "9XL90610J3647323C"
CERTIFICATE_URL: Final = (
    "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"
)
HOST: Final = "messageverificationcerts.paypal.com"
AUTHORITY: Final = "Test Authority"
OPTIONS: Final = {"webhook_id": WEBHOOK_ID}
AMOUNT: Final = {"currency_code": "USD", "value": "5.00"}

# As PayPal's reference prints a capture.
CAPTURE: Final[Mapping[str, Any]] = {
    "id": "WH-58D329510W468432D-8HN650336L201105X",
    "create_time": "2019-02-14T21:50:07.940Z",
    "resource_type": "capture",
    "event_type": "PAYMENT.CAPTURE.COMPLETED",
    "resource": {
        "id": "2GG279541U471931P",
        "status": "COMPLETED",
        "amount": AMOUNT,
        "final_capture": True,
        "invoice_id": "3942619:fdv09c49-a3g6-4cbf-1358-f6d241dacea2",
        "supplementary_data": {"related_ids": {"order_id": "5O190127TN364715T"}},
    },
}
BODY: Final = json.dumps(CAPTURE).encode()
_TRANSMISSION: Final = "d938e770-8046-11e6-8103-6b62a8a99ac4"
_SENT_AT: Final = "2030-01-10T12:29:58Z"
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A certificate with its key, the authority between, and the root."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    leaf: x509.Certificate
    between: x509.Certificate
    root: x509.Certificate

    @property
    def pem(self) -> bytes:
        """What PayPal's host would give out: all but the root."""
        return pem_of(self.leaf, self.between)


def pem_of(*certificates: x509.Certificate) -> bytes:
    """Return certificates as text, one after the other."""
    encoded = [each.public_bytes(serialization.Encoding.PEM) for each in certificates]
    return b"".join(encoded)


@cache
def chain(
    host: str = HOST,
    *,
    bits: int = 2048,
    days: tuple[int, int] = (-30, 30),
    authority: str = AUTHORITY,
) -> Chain:
    """Return a chain for *host*, good for *days* around NOW; no bits: a key of another kind."""
    root_key, between_key = _authority_keys(authority)
    root_name, between_name = _name(f"{authority} Root"), _name(f"{authority} Between")
    root = _authority(root_name, root_name, root_key, root_key)
    between = _authority(between_name, root_name, between_key, root_key)
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = (
        rsa.generate_private_key(65_537, bits) if bits else ec.generate_private_key(ec.SECP256R1())
    )
    leaf = _leaf(host, key.public_key(), between, between_key, days=days)
    return Chain(key=key, leaf=leaf, between=between, root=root)


def certified(key: rsa.RSAPublicKey) -> bytes:
    """Return a certificate that the authority gives for a key of somebody else's."""
    _root_key, between_key = _authority_keys(AUTHORITY)
    between = chain().between
    return pem_of(_leaf(HOST, key, between, between_key, days=(-30, 30)), between)


def provider() -> PayPal:
    """Return PayPal's webhooks as they are heard where our authority is trusted."""
    return PayPal(Trust([chain().root]))


def signed(
    body: bytes,
    *,
    by: Chain | None = None,
    webhook_id: str = WEBHOOK_ID,
    url: str = CERTIFICATE_URL,
) -> Incoming:
    """Return a request as PayPal would send it."""
    summed = f"{_TRANSMISSION}|{_SENT_AT}|{webhook_id}|{zlib.crc32(body)}".encode()
    key = (by or chain()).key
    made = (
        key.sign(summed, PKCS1v15(), SHA256())
        if isinstance(key, rsa.RSAPrivateKey)
        else key.sign(summed, ec.ECDSA(SHA256()))
    )
    headers = {
        "content-type": "application/json",
        "paypal-transmission-id": _TRANSMISSION,
        "paypal-transmission-time": _SENT_AT,
        "paypal-transmission-sig": base64.b64encode(made).decode(),
        "paypal-cert-url": url,
        "paypal-auth-algo": "SHA256withRSA",
    }
    return Incoming("POST", "", headers, body)


def keys(material: bytes | None = None) -> Keys:
    """Return what verifies: the certificate, as it was fetched."""
    return Keys((), None, {CERTIFICATE_URL: chain().pem if material is None else material})


@cache
def _authority_keys(
    name: str,
) -> tuple[ec.EllipticCurvePrivateKey, ec.EllipticCurvePrivateKey]:
    return ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def _authority(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signed_by: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    usage = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return (
        _builder(subject, issuer, key.public_key(), days=(-900, 900))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_signed_by(signed_by), critical=False)
        .sign(signed_by, SHA256())
    )


def _leaf(
    host: str,
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    days: tuple[int, int],
) -> x509.Certificate:
    return (
        _builder(_name(host), issuer.subject, key, days=days)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
            critical=False,
        )
        .add_extension(_signed_by(issuer_key), critical=False)
        .sign(issuer_key, SHA256())
    )


def _signed_by(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    *,
    days: tuple[int, int],
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + days[0] * _DAY)
        .not_valid_after(NOW + days[1] * _DAY)
    )
