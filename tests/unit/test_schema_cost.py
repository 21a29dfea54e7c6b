"""What a schema may cost: refused is one with which somebody could hold a server up."""

import json
import time

import msgspec
import pytest

from payhooks.catalogue import CATALOGUE, schema_cost, validation
from payhooks.model.event_type import EventType, Provenance

_TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "anyOf": [
                {"properties": {"l": {"$ref": "#/$defs/node"}}, "required": ["l"]},
                {"properties": {"l": {"$ref": "#/$defs/node"}}, "required": ["r"]},
            ]
        }
    },
}
_DOUBLED = {
    "$ref": "#/$defs/d0",
    "$defs": {
        **{f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(26)},
        "d26": {"type": "object"},
    },
}


def _unevaluated(levels: int) -> dict[str, object]:
    schema: dict[str, object] = {"properties": {"a": True}}
    for _ in range(levels):
        schema = {"allOf": [schema], "unevaluatedProperties": False}
    return schema


def _deep(levels: int) -> dict[str, object]:
    schema: dict[str, object] = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


def _refusal(schema: object) -> str | None:
    found = validation.fault_of_schema(json.dumps(schema).encode())
    assert found is None or found.pointer.startswith("/schema")
    return None if found is None else found.detail


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        pytest.param({"not": {"$ref": "#"}}, "leads back to itself", id="itself"),
        pytest.param(_TREE, "leads back to itself", id="a tree"),
        pytest.param(_deep(100), "deeper than 64", id="deep"),
        pytest.param(_DOUBLED, "too long", id="doubled 26 times"),
        pytest.param({"items": {"allOf": [{"type": "integer"}] * 3_000}}, "too long", id="wide"),
        pytest.param({"items": _unevaluated(12)}, "too long", id="unevaluated"),
        pytest.param({"items": {"enum": [1.5, "a", 2.5]}}, "too long", id="numbers of many kinds"),
        pytest.param({"items": {"multipleOf": 1e-300}}, "too long", id="a tiny fraction"),
        pytest.param({"allOf": [{"pattern": "^[a-z]{200}$"}] * 9}, "too long", id="patterns"),
        pytest.param({"pattern": "^(.*a.{300}){1,3}$"}, "short pattern", id="long pattern"),
        pytest.param({"$dynamicRef": "#"}, "use $ref", id="dynamic"),
        pytest.param({"$ref": "#a", "$defs": {"a": {"$anchor": "a"}}}, "A $ref is #", id="anchor"),
        pytest.param({"properties": {"a": {"$id": "https://a.example"}}}, "an $id", id="nested id"),
    ],
)
def test_a_schema_that_could_hold_the_server_up_is_refused(schema: object, words: str) -> None:
    """A body of 200 bytes took a minute; whoever registers is told what to write instead."""
    began_s = time.process_time()
    assert words in (_refusal(schema) or "")
    assert time.process_time() - began_s < 1.0


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {f"m{i}": {"enum": ["a", "b"], "pattern": "^.{1,9}$"} for i in range(200)}},
        {"items": {"properties": {f"m{i}": {"multipleOf": 0.01} for i in range(40)}}},
        {"allOf": [{"properties": {"a": True}}], "unevaluatedProperties": False},
        {"properties": {f"m{i}": {"uniqueItems": True, "items": True} for i in range(30)}},
        {"enum": []},
        {"properties": {"$id": {"type": "string"}}},
        True,
    ],
    ids=["wide object", "lines", "closed", "lists", "nothing", "a member called $id", "all"],
)
def test_what_people_write_is_taken(schema: object) -> None:
    """A bound that honest schemas meet would have people leave schemas out."""
    assert _refusal(schema) is None


def test_every_schema_that_we_ship_keeps_the_bound_with_room() -> None:
    """It holds for what is compiled, so one that did not would not be looked at at all."""
    for type_ in CATALOGUE.types:
        assert type_.schema is not None
        spent_s = schema_cost.seconds(msgspec.json.decode(type_.schema))
        assert spent_s < schema_cost.SECONDS_MAX / 2, type_.name


def test_the_worst_that_is_taken_is_over_soon() -> None:
    """As many forms as may be, each looked at for as many items as fit into a body."""
    schema = {"items": {"allOf": [{"type": "integer"}] * 150}}
    assert _refusal(schema) is None
    raw = json.dumps(schema).encode()
    type_ = EventType(
        family="shop", name="a.b", words="", provenance=Provenance.OPERATOR, schema=raw
    )
    began_s = time.process_time()
    assert validation.faults(type_, b"[%s1]" % (b"1," * 131_000), at_most=10) == ()
    assert time.process_time() - began_s < 1.0
