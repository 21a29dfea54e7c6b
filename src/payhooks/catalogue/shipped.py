"""What comes with Payhooks: every family's files, read once, from inside the package."""

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from payhooks.catalogue.flow_chart import FlowChart
from payhooks.catalogue.life_cycle import ObjectKind, TypeEntry
from payhooks.model.event_type import EventType

_SCHEMA: Final = "https://json-schema.org/draft/2020-12/schema"
_FLOW_CHART: Final = "flow_chart.toml"
_REF: Final = "#/$defs/"
_T = TypeVar("_T")


class Family(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vocabulary, and whose it is."""

    title: str
    words: str
    notes: tuple[str, ...] = ()  # what its documents leave open or say twice
    name: str = ""  # the folder
    flow_chart: FlowChart | None = None  # of a family whose document has one: a file beside


class Shipped(NamedTuple):
    """All of it."""

    families: Mapping[str, Family]
    kinds: Mapping[tuple[str, str], ObjectKind]  # by family and name
    types: tuple[EventType, ...]


def read() -> Shipped:
    """Return what the files say.

    Raises:
        ValueError: A file says what cannot be understood; it is named.

    """
    families: dict[str, Family] = {}
    kinds: dict[tuple[str, str], ObjectKind] = {}
    types: list[EventType] = []
    for folder in _sorted(files(__package__) / "families"):
        for file in _sorted(folder):
            if file.name == "family.toml":
                families[folder.name] = _family(file, folder)
            elif file.name.endswith(".toml") and file.name != _FLOW_CHART:
                name = file.name.removesuffix(".toml")
                kind = _read(file, ObjectKind)
                kind = msgspec.structs.replace(kind, family=folder.name, name=name)
                kinds[folder.name, name] = kind
                types += _types(kind, folder)
    return Shipped(families, kinds, tuple(types))


def _family(file: Traversable, folder: Traversable) -> Family:
    chart = folder / _FLOW_CHART
    return msgspec.structs.replace(
        _read(file, Family),
        name=folder.name,
        flow_chart=_read(chart, FlowChart) if chart.is_file() else None,
    )


def _types(kind: ObjectKind, folder: Traversable) -> Iterator[EventType]:
    defs = _members(folder / f"{kind.name}.schema.json", "$defs")
    examples = _members(folder / f"{kind.name}.examples.json")
    for entry in kind.types:
        if entry.name not in examples:
            raise ValueError(f"{folder.name}/{kind.name}: {entry.name} has no example")
        yield EventType(
            family=kind.family,
            name=entry.name,
            words=entry.words,
            provenance=entry.provenance,
            note=entry.note,
            solution=kind.solution,
            title=entry.title or kind.title,
            kind=kind.name,
            object_type=kind.object,
            aliases=entry.aliases,
            schema=_schema(kind, entry, defs),
            example=msgspec.json.encode(examples[entry.name]),
        )


def _schema(kind: ObjectKind, entry: TypeEntry, defs: Mapping[str, Any]) -> bytes:
    """Return the type's schema, with all that it refers to and nothing else."""
    name = next((one for one in (entry.name, kind.name) if one in defs), kind.object)
    needed: dict[str, Any] = {}
    wanted = [name]
    while wanted:
        one = wanted.pop()
        if one in needed:
            continue
        if one not in defs:
            raise ValueError(f"{kind.family}/{kind.name}: the schema has no $defs/{one}")
        needed[one] = defs[one]
        wanted += _references(defs[one])
    whole = {"$schema": _SCHEMA, "title": entry.name, "$ref": _REF + name, "$defs": needed}
    return msgspec.json.encode(whole)


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        for member, value in schema.items():
            if member == "$ref" and isinstance(value, str):
                yield value.removeprefix(_REF)
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _members(file: Traversable, *steps: str) -> Mapping[str, Any]:
    found: Any = msgspec.json.decode(file.read_bytes())
    for step in steps:
        found = found[step]
    return dict(found)


def _read(file: Traversable, type_: type[_T]) -> _T:
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), type_)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{file}: {error}") from error


def _sorted(folder: Traversable) -> list[Traversable]:
    visible = [one for one in folder.iterdir() if not one.name.startswith(("_", "."))]
    return sorted(visible, key=lambda one: one.name)
