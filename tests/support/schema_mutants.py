"""What a schema must refuse: its example with one member less, or one of another type."""

import copy
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from payhooks.model.event_type import EventType

# A JSON pointer's steps; of a JSON value there is nothing to say but that it is one.
Path = tuple[str | int, ...]
Schema = dict[str, Any]

_OF_EACH_TYPE: Final[dict[str, object]] = {
    "string": "text",
    "integer": 7,
    "number": 7.5,
    "boolean": True,
    "null": None,
    "array": [],
    "object": {},
}


class Mutant(NamedTuple):
    """Data that is not of the type."""

    words: str
    data: bytes
    drops: bool  # a required member is missing; else one is of another type


def of(type_: EventType) -> Iterator[Mutant]:
    """Yield each required member dropped, and each member as each type that it may not be."""
    schema, example = _decoded(type_)
    for path in _required(schema, schema, example, ()):
        mutant = copy.deepcopy(example)
        del _parent(mutant, path)[path[-1]]
        yield Mutant(f"without {_pointer(path)}", msgspec.json.encode(mutant), drops=True)
    for path, _ in members(example):
        declared = _declared(schema, path)
        for other in _OF_EACH_TYPE.keys() - declared:
            if other == "integer" and "number" in declared:
                continue  # Whole numbers are numbers too.
            mutant = copy.deepcopy(example)
            _parent(mutant, path)[path[-1]] = _OF_EACH_TYPE[other]
            words = f"{_pointer(path)} as {other}"
            yield Mutant(words, msgspec.json.encode(mutant), drops=False)


def untyped(type_: EventType) -> list[str]:
    """Return the members of the example of which the schema says no type."""
    schema, example = _decoded(type_)
    return [_pointer(path) for path, _ in members(example) if not _declared(schema, path)]


def members(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield every member of the JSON value, with where it stands."""
    for step, inner in _items(value):
        yield (*path, step), inner
        yield from members(inner, (*path, step))


def _items(value: object) -> Iterator[tuple[str | int, object]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _decoded(type_: EventType) -> tuple[Schema, object]:
    assert type_.schema is not None
    assert type_.example is not None
    return msgspec.json.decode(type_.schema), msgspec.json.decode(type_.example)


def _pointer(path: Path) -> str:
    return "".join(f"/{step}" for step in path)


def _parent(value: object, path: Path) -> Any:  # noqa: ANN401 - a dict or a list, both indexed
    here: Any = value
    for step in path[:-1]:
        here = here[step]
    return here


def _parts(root: Schema, schema: Schema) -> Iterator[Schema]:
    """Yield the schema and all that it must satisfy besides."""
    yield schema
    if "$ref" in schema:
        yield from _parts(root, root["$defs"][schema["$ref"].removeprefix("#/$defs/")])
    for inner in schema.get("allOf", []):
        yield from _parts(root, inner)


def _below(root: Schema, schemas: list[Schema], step: str | int) -> list[Schema]:
    found = []
    for schema in schemas:
        for part in _parts(root, schema):
            if isinstance(step, int):
                prefixed = part.get("prefixItems", [])
                below = prefixed[step] if step < len(prefixed) else part.get("items")
            else:
                below = part.get("properties", {}).get(step)
            if isinstance(below, dict):
                found.append(below)
    return found


def _declared(root: Schema, path: Path) -> set[str]:
    schemas: list[Schema] = [root]
    for step in path:
        schemas = _below(root, schemas, step)
    declared: set[str] | None = None
    for schema in schemas:
        for part in _parts(root, schema):
            said = part.get("type")
            if said is not None:
                types = {said} if isinstance(said, str) else set(said)
                declared = types if declared is None else declared & types
    return declared or set()


def _required(root: Schema, schema: Schema, value: object, path: Path) -> Iterator[Path]:
    """Yield where the example has a member that the schema requires."""
    if isinstance(value, dict):
        for part in _parts(root, schema):
            yield from ((*path, name) for name in part.get("required", []) if name in value)
    for step, inner in _items(value):
        # All that the member must satisfy, as one schema.
        below: Schema = {"allOf": _below(root, [schema], step)}
        yield from _required(root, below, inner, (*path, step))
