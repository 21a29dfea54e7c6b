"""An event type: a name in somebody's vocabulary, with the words that explain it."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec


class Provenance(StrEnum):
    """Where the description of a type comes from."""

    SAMPLE = "sample"  # printed in the provider's document
    REFERENCE = "reference"  # from the provider's public reference
    DESIGNED = "designed"  # by us: permissive, and marked so everywhere
    OPERATOR = "operator"  # registered by whoever runs this installation


# For people; API, CLI, console and the docs say the same.
PROVENANCE_SENTENCES: Final[Mapping[Provenance, str]] = MappingProxyType(
    {
        Provenance.SAMPLE: "Printed in the provider's document.",
        Provenance.REFERENCE: "From the provider's public reference.",
        Provenance.DESIGNED: "Designed by us: no document shows a sample. Permissive.",
        Provenance.OPERATOR: "Registered by whoever runs this installation.",
    }
)


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
