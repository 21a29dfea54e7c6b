"""Configuration as documents: one JSON text per value, beside the few columns that are asked.

A new setting with a default then needs no migration: old documents read as if they had it.
Renaming or removing one does, because what is not known is ignored.
"""

from functools import cache
from typing import TypeVar

import msgspec

_Document = TypeVar("_Document", bound=msgspec.Struct)

_ENCODER = msgspec.json.Encoder()


def encode(document: msgspec.Struct) -> bytes:
    """Return *document* as JSON; bytes in it become base64, times RFC 3339 in microseconds."""
    return _ENCODER.encode(document)


def decode(type_: type[_Document], text: bytes | str) -> _Document:
    """Return the document that ``encode`` wrote, possibly by an older version."""
    document = _decoder(type_).decode(text)
    assert isinstance(document, type_)
    return document


@cache
def _decoder(type_: type[msgspec.Struct]) -> msgspec.json.Decoder[msgspec.Struct]:
    return msgspec.json.Decoder(type_)
