"""How PayPal signs: with the key of a certificate that each request names.

Rules: developer.paypal.com/api/rest/webhooks. The certificate has to come from PayPal's own host,
be issued to PayPal, and go back to one of the roots beside this file. What is signed has the body
only as a CRC-32, which protects against nobody who has seen one signed request: he can bring
another body to the same sum. So what PayPal sends is as secret as a key, and its signature is
shown to nobody.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from payhooks.connectors.contract import Incoming
from payhooks.dialects.schemes import no_match, required, spelled
from payhooks.errors import SignatureError

_ID: Final = "paypal-transmission-id"
_TIME: Final = "paypal-transmission-time"
_SIGNATURE: Final = "paypal-transmission-sig"
_CERTIFICATE: Final = "paypal-cert-url"
_ALGORITHM: Final = "paypal-auth-algo"
HEADERS: Final = (_ID, _TIME, _SIGNATURE, _CERTIFICATE, _ALGORITHM)
_RSA_SHA256: Final = "SHA256withRSA"
_CERTIFICATE_URL: Final = re.compile(
    r"https://api(?:-m)?(\.sandbox)?\.paypal\.com/v1/notifications/certs/[A-Za-z0-9_-]{1,100}"
)
# As PayPal's own SDK for Java judges: what is for another of its hosts signs no webhooks.
_OWN_NAME: Final = re.compile(r"messageverificationcerts(?:\.[a-z0-9-]{1,63}){0,3}\.paypal\.com")
_CHAIN_MAX: Final = 10
_KEY_BITS_MIN: Final = 2048
_JUDGED_MAX: Final = 64


class _Own(NamedTuple):
    """A key of PayPal's, and while its certificate and all that vouch for that are good."""

    key: RSAPublicKey
    since: datetime
    until: datetime


class Trust:
    """The authorities that PayPal's certificates go back to."""

    def __init__(
        self, roots: Sequence[x509.Certificate], between: Sequence[x509.Certificate] = ()
    ) -> None:
        """Trust certificates that go back to *roots*, over what came with them or *between*."""
        self._store = Store(list(roots))
        self._between = tuple(between)
        # A request a second would have the same chain judged again each time.
        self._judged: dict[bytes, _Own] = {}

    def demand_signed(
        self, incoming: Incoming, webhook_id: str, material: bytes, now: datetime
    ) -> None:
        """Return if the certificate in *material* signed the request for this webhook.

        Raises:
            SignatureError: It did not, or is not PayPal's.

        """
        signature = signature_of(incoming)
        key = self._own_key(material, now)
        sent = (required(incoming.headers, _ID), required(incoming.headers, _TIME))
        signed = spelled("|".join((*sent, webhook_id, str(zlib.crc32(incoming.body)))))
        try:
            key.verify(signature, signed, PKCS1v15(), SHA256())
        except InvalidSignature:
            raise no_match() from None

    def _own_key(self, material: bytes, now: datetime) -> RSAPublicKey:
        own = self._judged.get(material)
        if own is None or not own.since <= now <= own.until:
            own = self._judge(material, now)
            self._judged[material] = own
            while len(self._judged) > _JUDGED_MAX:
                del self._judged[next(iter(self._judged))]
        return own.key

    def _judge(self, material: bytes, now: datetime) -> _Own:
        """Return the key of a certificate that is PayPal's.

        Raises:
            SignatureError: It is not, or it is none.

        """
        try:
            chain = x509.load_pem_x509_certificates(material)
            leaf, rest = chain[0], chain[1:_CHAIN_MAX]
            alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            said = alternative.value.get_values_for_type(x509.DNSName)
            own = next((name for name in said if _OWN_NAME.fullmatch(name)), None)
            if own is None:
                raise SignatureError("the certificate is not PayPal's", "untrusted")
            policy = PolicyBuilder().store(self._store).time(now)
            verifier = policy.build_server_verifier(x509.DNSName(own))
            good = verifier.verify(leaf, [*rest, *self._between])
            key = leaf.public_key()
        except (
            ValueError,
            VerificationError,
            x509.ExtensionNotFound,
            x509.DuplicateExtension,
            x509.UnsupportedGeneralNameType,
        ):
            raise SignatureError("the certificate is not to be trusted", "untrusted") from None
        if not isinstance(key, RSAPublicKey) or key.key_size < _KEY_BITS_MIN:
            raise SignatureError("the certificate's key is not fit", "untrusted")
        since = max(one.not_valid_before_utc for one in good)
        return _Own(key=key, since=since, until=min(one.not_valid_after_utc for one in good))


def is_sandbox(incoming: Incoming) -> bool:
    """Whether the certificate is that of PayPal's sandbox, where no money is real."""
    named = _CERTIFICATE_URL.fullmatch(incoming.headers.get(_CERTIFICATE, ""))
    return named is not None and named[1] is not None


def certificate_url(incoming: Incoming) -> str:
    """Return where the certificate is.

    Raises:
        SignatureError: That is not with PayPal, or nobody has said.

    """
    url = required(incoming.headers, _CERTIFICATE)
    if _CERTIFICATE_URL.fullmatch(url) is None:
        raise SignatureError("the certificate is not one of PayPal's own", "untrusted")
    return url


def signature_of(incoming: Incoming) -> bytes:
    """Return the signature.

    Raises:
        SignatureError: It cannot be one.

    """
    if required(incoming.headers, _ALGORITHM) != _RSA_SHA256:
        raise SignatureError("another way to sign than PayPal's", "malformed_header")
    try:
        return base64.b64decode(spelled(required(incoming.headers, _SIGNATURE)), validate=True)
    except binascii.Error:
        raise SignatureError("the signature is not base64", "malformed_header") from None


def _shipped(name: str) -> list[x509.Certificate]:
    folder = files("payhooks.connectors") / "paypal_certificates"
    return x509.load_pem_x509_certificates((folder / name).read_bytes())


SHIPPED: Final = Trust(_shipped("roots.pem"), _shipped("intermediates.pem"))
