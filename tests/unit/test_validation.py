"""What an event's data is told when it is not what its type's schema says."""

import json
import time

import jsonschema_rs
import pytest

from payhooks import limits
from payhooks.catalogue import validation
from payhooks.model.event_type import EventType, Provenance

pytestmark = pytest.mark.shows("E05")

_SECRET = "4111-secret-of-somebody"


def _type(schema: object) -> EventType:
    raw = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    return EventType(
        family="shop", name="a.b", words="", provenance=Provenance.OPERATOR, schema=raw
    )


def _found(schema: object, data: object) -> list[tuple[str, str]]:
    found = validation.faults(_type(schema), json.dumps(data).encode(), at_most=10)
    assert {each.code for each in found} <= {"schema"}
    return [(each.pointer, each.detail) for each in found]


_UNKNOWN = "There is a member that is not known."
_FORMS = "This has none of the forms that are allowed."
_CONTAINED = "There are too few or too many items of the kind that is wanted."


@pytest.mark.parametrize(
    ("schema", "data", "pointer", "detail"),
    [
        ({"required": ["a/b"]}, {}, "/data/a~1b", "This member is required."),
        (
            {"dependentRequired": {"a": ["b"]}},
            {"a": _SECRET},
            "/data/b",
            "This member is required.",
        ),
        (
            {"type": ["string", "null", "integer"]},
            {},
            "/data",
            "This must be a whole number, null or text.",
        ),
        ({"items": {"type": "boolean"}}, [True, _SECRET], "/data/1", "This must be true or false."),
        ({"const": "EUR"}, _SECRET, "/data", 'This must be "EUR".'),
        ({"enum": ["a", "b", None]}, _SECRET, "/data", 'This must be "a", "b" or null.'),
        ({"pattern": "^[a-z]{3}$"}, _SECRET, "/data", 'This must match "^[a-z]{3}$".'),
        ({"minimum": 3}, 1, "/data", "This must be at least 3."),
        ({"maximum": 3}, 5, "/data", "This must be at most 3."),
        ({"exclusiveMinimum": 3}, 3, "/data", "This must be more than 3."),
        ({"exclusiveMaximum": 3}, 3, "/data", "This must be less than 3."),
        ({"multipleOf": 0.01}, 0.005, "/data", "This must be a multiple of 0.01."),
        ({"minLength": 1}, "", "/data", "This must have at least 1 character."),
        ({"maxLength": 3}, _SECRET, "/data", "This must have at most 3 characters."),
        ({"minItems": 2}, [], "/data", "This must have at least 2 items."),
        ({"maxItems": 1}, [1, 2], "/data", "This must have at most 1 item."),
        ({"minProperties": 1}, {}, "/data", "This must have at least 1 member."),
        ({"maxProperties": 0}, {_SECRET: 1}, "/data", "This must have at most 0 members."),
        ({"uniqueItems": True}, [_SECRET, _SECRET], "/data", "No two items may be equal."),
        ({"contains": {"type": "null"}}, [_SECRET], "/data", _CONTAINED),
        ({"additionalProperties": False}, {_SECRET: 1}, "/data", _UNKNOWN),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1}, "/data", _UNKNOWN),
        ({"unevaluatedProperties": False}, {_SECRET: 1}, "/data", _UNKNOWN),
        (
            {"prefixItems": [True], "unevaluatedItems": False},
            [1, _SECRET],
            "/data",
            "There are more items than are allowed.",
        ),
        (
            {"propertyNames": {"pattern": "^a"}},
            {_SECRET: 1},
            "/data",
            "There is a member with a name that is not allowed.",
        ),
        ({"properties": {"a": False}}, {"a": _SECRET}, "/data/a", "Nothing may stand here."),
        ({"prefixItems": [True], "items": False}, [1, 2], "/data/1", "Nothing may stand here."),
        ({"anyOf": [{"type": "null"}, {"const": 1}]}, _SECRET, "/data", _FORMS),
        ({"oneOf": [{"type": "null"}, {"const": 1}]}, _SECRET, "/data", _FORMS),
        (
            {"oneOf": [{"type": "string"}, {"minLength": 1}]},
            _SECRET,
            "/data",
            "This has more than one of the forms of which it may have one.",
        ),
        (
            {"not": {"type": "string"}},
            _SECRET,
            "/data",
            "This has the one form that is not allowed.",
        ),
        (
            {"if": {"type": "string"}, "then": {"maxLength": 1}},
            _SECRET,
            "/data",
            "This must have at most 1 character.",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) and value else "",
)
def test_what_is_wrong_is_said_in_a_sentence_that_quotes_nothing(
    schema: object, data: object, pointer: str, detail: str
) -> None:
    """Findings are kept and shown to people who may not read what the event says."""
    assert _found(schema, data) == [(pointer, detail)]
    assert _SECRET not in detail


def test_each_keyword_that_can_be_broken_has_its_sentence() -> None:
    """One that a new version of the library can tell of would be a sentence about nothing."""
    named = {
        name
        for name in dir(jsonschema_rs.ValidationErrorKind)
        if name[0].isupper()
        # Of other drafts, of what is not judged, of an engine that is not used, of schemas alone.
        and name
        not in {
            "AdditionalItems",
            "BacktrackLimitExceeded",
            "ContentEncoding",
            "ContentMediaType",
            "Custom",
            "FromUtf8",
            "Referencing",
            "RegexEngineFailure",
        }
    }
    said = {"Required", "Type", "Constant", "Enum"}
    said |= validation.SENTENCES.keys() | validation.BOUNDS.keys()
    assert named == said


def test_what_is_right_has_no_faults_and_what_has_no_schema_is_right() -> None:
    """Most types of most operators have none."""
    assert _found({"required": ["a"]}, {"a": 1, "more": 2}) == []
    bare = EventType(family="shop", name="a.b", words="", provenance=Provenance.OPERATOR)
    assert validation.faults(bare, b"{}", at_most=1) == ()


def test_a_format_is_no_demand() -> None:
    """As the standard has it: whoever means one writes a pattern."""
    assert _found({"format": "email"}, "nobody") == []


def test_what_two_parts_of_a_schema_demand_is_missed_once() -> None:
    """A type narrows what its object has; ten findings are too few to say things twice."""
    demanding = {"required": ["a"]}
    assert _found({"allOf": [demanding, demanding]}, {}) == [
        ("/data/a", "This member is required.")
    ]


def test_faults_are_few_and_short() -> None:
    """They are stored beside the event, and an event's author chooses how many there are."""
    schema = {"additionalProperties": {"enum": ["x" * 1_000]}}
    data = json.dumps({f"{number}{'k' * 500}": 1 for number in range(20)}).encode()
    found = validation.faults(_type(schema), data, at_most=10)
    # A name too long to be said may be anything.
    assert [each.pointer for each in found] == ["/data/*"]
    assert [len(each.detail) for each in found] == [limits.FINDING_CHARS_MAX]
    named = json.dumps({f"k{number}": 1 for number in range(20)}).encode()
    assert len(validation.faults(_type(schema), named, at_most=10)) == 10


_TEXTS = {"items": {"type": "string"}}
_FEW = {"minItems": 5, "items": {"required": ["a"]}}


@pytest.mark.parametrize(
    ("schema", "data", "places"),
    [
        pytest.param(_TEXTS, ["a", 1, 2, 3, 4], ["/data/1", "/data/2"], id="the first items"),
        pytest.param(_TEXTS, [*"abcdefg", 1, 2], ["/data/7"], id="the first of those behind"),
        pytest.param({"anyOf": [_TEXTS]}, [*"abcdefg", 1], ["/data"], id="a form behind"),
        pytest.param(_FEW, [{}, *[{"a": 1}] * 9], ["/data/0/a"], id="nothing for our cut"),
        pytest.param(
            {"properties": {"z": {"type": "string"}}},
            {**{f"m{number}": number for number in range(300)}, "z": 1},
            ["/data/z"],
            id="the first of many members",
        ),
    ],
)
def test_of_long_lists_the_beginning_is_looked_at_for_all_faults(
    schema: object, data: object, places: list[str]
) -> None:
    """Each item has as many faults as its schema has demands, and the last is like the first."""
    assert [pointer for pointer, _ in _found(schema, data)] == places


def test_what_is_wrong_in_every_place_holds_nobody_up() -> None:
    """A list of {} has more faults than bytes; the library makes all of them at once."""
    lines = {"items": {"required": [f"m{number}" for number in range(25)]}}
    numbers = b"[" + b",".join([b"1"] * 100_000) + b"]"
    cases = [
        (lines, b"[" + b",".join([b"{}"] * 80_000) + b"]"),
        (_TEXTS, numbers),
        ({"anyOf": [_TEXTS] * 20}, numbers),
    ]
    for schema, data in cases:
        type_ = _type(schema)
        assert validation.faults(type_, b"[]", at_most=10) == ()
        began_s = time.process_time()
        assert validation.faults(type_, data, at_most=10)
        # Milliseconds; to say all of them takes many seconds.
        assert time.process_time() - began_s < 2, schema


def test_a_number_that_no_parser_takes_is_a_fault_and_no_crash() -> None:
    """JSON has no bound for digits, and the door lets them pass."""
    schema = {"properties": {"a": {"type": "integer"}}}
    found = validation.faults(_type(schema), b'{"a":' + b"1" * 4_400 + b"}", at_most=10)
    assert [each.pointer for each in found] == ["/data"]


@pytest.mark.parametrize(
    ("schema", "pointer", "detail"),
    [
        (b'{"type":"wrong"}', "/schema/type", _FORMS),
        (b'{"properties":{"a":{"minLength":-1}}}', "/schema/properties/a/minLength", None),
        (
            b'{"$ref":"http://192.0.2.1/x"}',
            "/schema",
            "A $ref leads to nothing inside this schema.",
        ),
        (
            b'{"$ref":"file:///etc/passwd"}',
            "/schema",
            "A $ref leads to nothing inside this schema.",
        ),
        (b'{"$ref":"#/$defs/gone"}', "/schema", "A $ref leads to nothing inside this schema."),
        (
            b'{"pattern":"(?=a)"}',
            "/schema/pattern",
            "This must be a short pattern without look-around and back-references.",
        ),
        (
            b'{"$schema":"http://json-schema.org/draft-07/schema#"}',
            "/schema/$schema",
            "Only JSON Schema 2020-12 is known here.",
        ),
        (b"{", "/schema", "This is no JSON Schema."),
        (b'{"not":' * 300 + b"{}" + b"}" * 300, "/schema", "This is no JSON Schema."),
    ],
    ids=["type", "bound", "remote", "file", "dangling", "pattern", "draft", "cut", "deep"],
)
def test_a_schema_that_cannot_be_used_is_refused_with_the_place(
    schema: bytes, pointer: str, detail: str | None
) -> None:
    """Found at the first event it would be everybody's riddle; and nothing is ever fetched."""
    fault = validation.fault_of_schema(schema)
    assert fault is not None
    assert fault.pointer == pointer
    assert detail in {None, fault.detail}
    assert validation.faults(_type(schema), b"{}", at_most=1) == ()


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"properties": {"a": {"$ref": "#"}}, "if": {"$ref": "#"}, "then": {"$ref": "#"}},
        {"unevaluatedProperties": {"$ref": "#"}},
    ],
    ids=["itself", "all of itself", "if itself", "what is left"],
)
def test_a_schema_that_refers_to_itself_ends(schema: object) -> None:
    """An operator's slip must not be a process's end."""
    fault = validation.fault_of_schema(json.dumps(schema).encode())
    assert fault is not None
    assert "spell out as many levels" in fault.detail
    assert _found(schema, {"a": {"a": {}}}) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("4111111111111111", "*", id="a card number"),
        pytest.param("card 4111 1111 1111", "*", id="in groups"),
        pytest.param("x" * 65, "*", id="a token"),
        pytest.param("x" * 64, "x" * 64, id="a long name"),
        pytest.param("amount_20261121", "amount_20261121", id="a date"),
    ],
)
def test_a_name_that_may_be_a_value_is_not_told(name: str, shown: str) -> None:
    """Findings are stored, and read by those who may not read what was published."""
    schema = {"additionalProperties": {"additionalProperties": {"type": "string"}}}
    assert _found(schema, {"cards": {name: 1}}) == [(f"/data/cards/{shown}", "This must be text.")]


@pytest.mark.parametrize(
    "schema",
    [{"enum": []}, {"allOf": [{"enum": []}]}],
    ids=["no choice", "no choice besides"],
)
def test_a_schema_that_leaves_no_choice_is_described(schema: object) -> None:
    """JSON Schema allows it, so the door must not fall over it."""
    assert validation.fault_of_schema(json.dumps(schema).encode()) is None
    assert _found(schema, 1) == [("/data", "This must be nothing.")]
