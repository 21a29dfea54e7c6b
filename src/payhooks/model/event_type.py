"""An event type: a name in somebody's vocabulary, with the words that explain it."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Provenance(StrEnum):
    """Where the description of a type comes from."""

    SAMPLE = "sample"  # printed in the provider's document
    REFERENCE = "reference"  # from the provider's public reference
    DESIGNED = "designed"  # by us: permissive, and marked so everywhere
    OPERATOR = "operator"  # registered by whoever runs this installation


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """One type, identified by family and name."""

    family: str
    name: str
    words: str  # what it means, in the source's words
    provenance: Provenance
    note: str = ""  # what the source leaves out, in ours
    solution: str = ""  # the product of the provider's, as its document divides them
    title: str = ""  # the heading under which its document has it
    kind: str = ""  # the kind of object that it is about, of the same family
    object_type: str = ""  # what publishers name in object.type
    aliases: tuple[str, ...] = ()  # other names under which it is published
    schema: bytes | None = None  # JSON Schema 2020-12
    example: bytes | None = None  # JSON
    version: int = 1
    created_at: datetime | None = None  # set on the operator's own
