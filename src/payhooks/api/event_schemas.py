"""The event types' schemas as parts of a larger document, and the envelopes around them."""

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from payhooks.catalogue import CATALOGUE
from payhooks.model.event_type import EventType

_DEFS: Final = "#/$defs/"
_COMPONENTS: Final = "#/components/schemas/"
_OBJECT: Final = "{object}"  # stands for what the event is about


class Envelope(NamedTuple):
    """Where a dialect's body has the type's name, and where the publisher's data."""

    type_at: tuple[str, ...]
    data_at: tuple[str, ...]
    family: str | None = None  # whose own language it is


ENVELOPES: Final[Mapping[str, Envelope]] = MappingProxyType(
    {
        "standard": Envelope(("type",), ("data",)),
        "cloudevents": Envelope(("type",), ("data",)),
        "stripe": Envelope(("type",), ("data", "object")),
        "owlpay": Envelope(("observation",), ("data", _OBJECT), "owlpay"),
        "treezor": Envelope(("webhook",), ("object_payload",), "treezor"),
        "merchant-console": Envelope(("event_type",), ("event_body", "object"), "merchant-console"),
        "foloosi": Envelope(("event",), ("data", _OBJECT), "foloosi"),
        "owngateway": Envelope(("event_type",), ("content", "object"), "owngateway"),
        "hyperswitch": Envelope(("event_type",), ("content", "object"), "owngateway"),
    }
)


@cache
def components() -> dict[str, Any]:
    """Return every definition of every type's schema, once, under a name of its own."""
    found: dict[str, Any] = {}
    for type_ in CATALOGUE.types:
        if type_.schema is not None:
            for name, schema in msgspec.json.decode(type_.schema)["$defs"].items():
                found[_component(type_, name)] = _moved(schema, type_)
    return found


def body_of(type_: EventType, dialect: str) -> dict[str, Any]:
    """Return the schema of the body that carries such an event in *dialect*."""
    envelope = ENVELOPES[dialect]
    data_at = [type_.object_type if step == _OBJECT else step for step in envelope.data_at]
    root: dict[str, Any] = {}
    _put(root, envelope.type_at, {"const": type_.name})
    _put(root, data_at, _data_of(type_))
    return root


def body_of_any(dialect: str) -> dict[str, Any]:
    """Return the schema of a body that carries any event in *dialect*."""
    root: dict[str, Any] = {}
    _put(root, ENVELOPES[dialect].type_at, {"type": "string"})
    _put(root, ENVELOPES[dialect].data_at, {"type": "object"})
    return root


def _data_of(type_: EventType) -> dict[str, Any]:
    if type_.schema is None:
        return {"type": "object"}
    return {"$ref": _moved(msgspec.json.decode(type_.schema), type_)["$ref"]}


def _put(schema: dict[str, Any], path: Sequence[str], inner: Mapping[str, Any]) -> None:
    """Let *schema* demand *inner* at the path."""
    for step in path:
        schema.setdefault("type", "object")
        required = schema.setdefault("required", [])
        if step not in required:
            required.append(step)
        schema = schema.setdefault("properties", {}).setdefault(step, {})
    schema.update(inner)


def _component(type_: EventType, name: str) -> str:
    # Two files may have a definition of the same name.
    return f"{type_.family}.{type_.kind}.{name}"


def _moved(schema: Any, type_: EventType) -> Any:  # noqa: ANN401 - JSON is anything
    """Return the schema with its references to where the definitions are now."""
    if isinstance(schema, list):
        return [_moved(one, type_) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        member: _COMPONENTS + _component(type_, value.removeprefix(_DEFS))
        if member == "$ref" and isinstance(value, str)
        else _moved(value, type_)
        for member, value in schema.items()
        if member != "$defs"
    }
