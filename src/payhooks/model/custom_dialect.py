"""A webhook format that a company brings along: the dialect ``custom``, as data on its merchant.

What the texts may say is in ``dialects/custom_template.py``; ``dialects/custom.py`` speaks it.
"""

from enum import StrEnum

import msgspec


class HmacAlgorithm(StrEnum):
    """The hash inside the HMAC, as hashlib calls it."""

    SHA256 = "sha256"
    SHA512 = "sha512"
    # For receivers of many years that cannot be changed. Two texts with one SHA-1 can be made, but
    # that does not help to forge its HMAC, for which the key has to be known.
    SHA1 = "sha1"


class SignatureEncoding(StrEnum):
    """How the bytes of the signature are printed."""

    HEX = "hex"  # lower case
    BASE64 = "base64"  # with padding


class TimestampUnit(StrEnum):
    """What the signed time counts since 1970."""

    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"


class CustomDialect(msgspec.Struct, frozen=True, kw_only=True):
    """One format. Headers are written as they are spelled here."""

    # The version of the merchant that set it: also after it was removed and set anew, no two
    # formats of a merchant have one number, so a delivery's pin names what it was rendered in.
    version: int
    signature_header: str
    envelope: str  # the body: JSON whose placeholders stand as whole texts, like "{type}"
    signature_prefix: str = ""  # before the signature, like sha256=
    algorithm: HmacAlgorithm = HmacAlgorithm.SHA256
    encoding: SignatureEncoding = SignatureEncoding.HEX
    signed: str = "{body}"  # what is signed, of {timestamp}, {id}, {body} and plain text
    timestamp_header: str | None = None  # the time of the attempt; needed where it is signed
    timestamp_unit: TimestampUnit = TimestampUnit.SECONDS
    id_header: str | None = None  # the delivery's id; needed where it is signed
    content_type: str = "application/json"
