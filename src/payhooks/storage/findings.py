"""How findings stand in the row of their event: nothing where there are none, as is usual."""

import msgspec

from payhooks.model.event import Finding
from payhooks.storage import documents


class _Kept(msgspec.Struct, frozen=True):
    findings: tuple[Finding, ...]


def encode(findings: tuple[Finding, ...]) -> bytes | None:
    """Return what the column holds."""
    return documents.encode(_Kept(findings)) if findings else None


def decode(text: bytes | None) -> tuple[Finding, ...]:
    """Return what ``encode`` wrote."""
    return () if text is None else documents.decode(_Kept, text).findings
