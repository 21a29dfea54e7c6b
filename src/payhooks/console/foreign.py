"""What a stranger sent, for people to read: as text, with what cannot be seen spelled out.

Only as much of it is shown as a page can bear, and nothing of it is ever more than text.
"""

import re
from dataclasses import dataclass
from typing import Final

from payhooks.console import evidence
from payhooks.limits import KIB

_SHOWN_BYTES_MAX: Final = 32 * KIB
# Each level indents every line within it, so that few bytes could fill a page of any size.
_SHOWN_LEVELS_MAX: Final = 16
# All but line feeds and tabs that has no shape of its own, or turns what follows it around.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body as a page has it."""

    raw: str
    formatted: str  # empty where it is no JSON, or too much of it
    size: int  # bytes in all
    cut: bool


def body_of(body: bytes) -> Body:
    """Return the body to be read; indented too, where it is JSON."""
    part = body[:_SHOWN_BYTES_MAX]
    raw = spelled(part.decode("utf-8", "replace"))
    cut = len(part) < len(body)
    formatted = "" if cut or _too_deep(part) else spelled(evidence.pretty(part))
    return Body(raw=raw, formatted="" if formatted == raw else formatted, size=len(body), cut=cut)


def spelled(text: str) -> str:
    """Return the text with what cannot be seen written out."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _too_deep(body: bytes) -> bool:
    depth = 0
    for byte in body:
        if byte in b"[{":
            depth += 1
            if depth > _SHOWN_LEVELS_MAX:
                return True
        elif byte in b"]}":
            depth -= 1
    return False
