"""A schema as a list of members, for people: where, what, whether it must be there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from payhooks.catalogue.life_cycle import at
from payhooks.catalogue.validation import TYPE_WORDS, as_json, one_of

# Deeper than any payment object; a schema may refer to itself.
_DEPTH_MAX: Final = 8
_MEMBERS_MAX: Final = 500
_Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of an event's data, with all that its schema says of it."""

    pointer: str  # into data; * is each item of a list
    types: str
    required: bool  # where what it is a member of is there
    says: str


def members_of(schema: Mapping[str, Any]) -> list[Member]:
    """Return what the schema says of each member, in its order."""
    return list(islice(_below(schema, [schema], "", 0), _MEMBERS_MAX))


def _below(root: _Schema, schemas: list[_Schema], place: str, depth: int) -> Iterator[Member]:
    if depth == _DEPTH_MAX:
        return
    parts = _parts(root, schemas)
    required = {name for part in parts for name in part.get("required", ())}
    inner: dict[str, list[_Schema]] = {}
    for part in parts:
        for name, below in part.get("properties", {}).items():
            inner.setdefault(str(name).replace("~", "~0").replace("/", "~1"), []).append(below)
        if isinstance(part.get("items"), Mapping):
            inner.setdefault("*", []).append(part["items"])
    for name, below in inner.items():
        pointer = f"{place}/{name}"
        of_it = _parts(root, below)
        yield Member(
            pointer=pointer,
            types=_types(of_it),
            required=name in required or name == "*",
            says=_says(of_it),
        )
        yield from _below(root, below, pointer, depth + 1)


def _parts(root: _Schema, schemas: Sequence[object]) -> list[_Schema]:
    """Return the schemas and all that must hold besides, each once; `true` says nothing."""
    found: list[_Schema] = []
    ahead = list(reversed(schemas))
    while ahead:
        schema = ahead.pop()
        if not isinstance(schema, Mapping) or any(schema is one for one in found):
            continue
        found.append(schema)
        ahead += reversed(schema.get("allOf", ()))
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference[:2] in {"#", "#/"}:
            ahead.append(at(root, reference[1:]))
    return found


def _types(parts: Sequence[_Schema]) -> str:
    allowed: list[str] | None = None
    for part in parts:
        if "type" in part:
            said = [part["type"]] if isinstance(part["type"], str) else list(part["type"])
            allowed = said if allowed is None else _both(allowed, said)
    return "anything" if allowed is None else one_of([TYPE_WORDS[one] for one in allowed])


def _both(some: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return what is among both; whole numbers are numbers."""
    common = set(some) & set(others)
    if "integer" in {*some, *others} and all(
        {"integer", "number"} & {*each} for each in (some, others)
    ):
        common.add("integer")
    return sorted(common)


def _says(parts: Sequence[_Schema]) -> str:
    only, said = [], []
    for part in parts:
        if "const" in part:
            only.append(f"{as_json(part['const'])}.")
        if "enum" in part:
            only.append(f"{one_of([as_json(one) for one in part['enum']])}.")
        if "pattern" in part:
            said.append(f"Matches {part['pattern']}.")
        if "minimum" in part:
            said.append(f"At least {as_json(part['minimum'])}.")
        if "maximum" in part:
            said.append(f"At most {as_json(part['maximum'])}.")
        if "description" in part:
            said.append(str(part["description"]))
    # What a type narrows, before what all events of its object have.
    return " ".join(dict.fromkeys([*only, *said]))
