"""A certificate authority for tests: each certificate wrong in one way of one's choice."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A root certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def bundle(self, folder: Path) -> str:
        """Return the path of a file that trusts this authority alone."""
        path = folder / "ca.pem"
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return str(path)


def make_authority(known_as: str = "Test Authority") -> Authority:
    """Return a new authority; two have nothing in common but, perhaps, the name."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(known_as)
    certificate = (
        _builder(name, name, key, days=(-1, 1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate=certificate, key=key)


def server_context(
    folder: Path,
    authority: Authority | None,
    *,
    host: str = "receiver.example",
    days: tuple[int, int] = (-1, 1),
    rsa_bits: int | None = None,
) -> ssl.SSLContext:
    """Return a server's context with a certificate for *host*, valid for *days* around now.

    Without an *authority* the certificate signs itself. With *rsa_bits* its key is one of RSA.
    """
    key: Key = (
        rsa.generate_private_key(65_537, rsa_bits)
        if rsa_bits
        else ec.generate_private_key(ec.SECP256R1())
    )
    subject = _name(host)
    issuer = authority.certificate.subject if authority else subject
    certificate = (
        _builder(subject, issuer, key, days=days)
        .add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
        .sign(authority.key if authority else key, hashes.SHA256())
    )
    chain = folder / "chain.pem"
    chain.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if rsa_bits:
        context.set_ciphers("ALL:@SECLEVEL=0")  # or it would not even serve a key that is weak
    context.load_cert_chain(chain)
    return context


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: Key,
    *,
    days: tuple[int, int],
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * DAY)
        .not_valid_after(now + days[1] * DAY)
    )
