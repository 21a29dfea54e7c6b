"""Configuration as documents: one JSON text per value, beside the few columns that are asked.

A new setting with a default then needs no migration: old documents read as if they had it.
Renaming or removing one does, because what is not known is ignored.
"""

import logging
from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from typing import Final, TypeVar

import msgspec

from payhooks.errors import DamagedError

_Document = TypeVar("_Document", bound=msgspec.Struct)

_ENCODER = msgspec.json.Encoder()
_RETRY_AFTER_S: Final = 30.0  # A person has to act.
_LOG = logging.getLogger(__name__)


def encode(document: msgspec.Struct) -> bytes:
    """Return *document* as JSON; bytes in it become base64, times RFC 3339 in microseconds."""
    return _ENCODER.encode(document)


def printed(value: bytes | None) -> str | None:
    """Return how bytes stand in a document, for a statement that compares them there."""
    return None if value is None else b64encode(value).decode()


def decode(type_: type[_Document], text: bytes | str) -> _Document:
    """Return the document that ``encode`` wrote, possibly by an older version.

    Raises:
        DamagedError: It is none. The log says so too.

    """
    try:
        document = _decoder(type_).decode(text)
    except msgspec.MsgspecError as error:
        message = f"a stored {type_.__name__} cannot be read"
        _LOG.error(message)
        raise DamagedError(message, retry_after_s=_RETRY_AFTER_S) from error
    assert isinstance(document, type_)
    return document


def decode_readable(type_: type[_Document], texts: Iterable[bytes | str]) -> list[_Document]:
    """Return the documents that can be read; one that cannot must not hold up the others."""
    found = []
    for text in texts:
        try:
            found.append(decode(type_, text))
        except DamagedError:
            continue
    return found


@cache
def _decoder(type_: type[msgspec.Struct]) -> msgspec.json.Decoder[msgspec.Struct]:
    return msgspec.json.Decoder(type_)
