"""A schema as people read it: one row for each member."""

import msgspec
import pytest

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.members import Member, members_of


def test_what_a_type_narrows_and_what_its_object_has_are_one_row() -> None:
    """Whoever asks for a member wants all of it in one place."""
    schema = {
        "$ref": "#/$defs/a.b",
        "$defs": {
            "a": {
                "type": "object",
                "required": ["status"],
                "properties": {
                    "status": {"type": ["string", "null"], "description": "How it is."},
                    "lines": {
                        "type": "array",
                        "items": {"properties": {"a/b": {"type": "integer", "minimum": 1}}},
                    },
                    "any": True,
                },
            },
            "a.b": {
                "allOf": [
                    {"$ref": "#/$defs/a"},
                    {
                        "required": ["lines"],
                        "properties": {"status": {"type": "string", "enum": ["x", "y"]}},
                    },
                ]
            },
        },
    }

    def member(pointer: str, types: str, says: str = "", *, required: bool = False) -> Member:
        return Member(pointer=pointer, types=types, required=required, says=says)

    assert members_of(schema) == [
        member("/status", "text", '"x" or "y". How it is.', required=True),
        member("/lines", "a list", required=True),
        member("/lines/*", "anything", required=True),
        member("/lines/*/a~1b", "a whole number", "At least 1."),
        member("/any", "anything"),
    ]


def test_a_schema_of_itself_has_an_end() -> None:
    """An operator may write one; a page of it must not hold the server up."""
    names = [f"m{number}" for number in range(20)]
    schema = {"allOf": [{"$ref": "#"}], "properties": {name: {"$ref": "#"} for name in names}}
    assert len(members_of(schema)) == 500


def test_every_schema_that_we_ship_has_rows_with_types() -> None:
    """The pages and commands that show them are made of these."""
    for type_ in CATALOGUE.types:
        assert type_.schema is not None
        assert members_of(msgspec.json.decode(type_.schema)), type_.name


@pytest.mark.parametrize(
    ("types", "words"),
    [
        (["number", "integer"], "a whole number"),
        (["integer", ["number", "null"]], "a whole number"),
        (["string", "integer"], "nothing"),
        ([["string", "null"], ["null", "number"]], "null"),
        (["number", "number"], "a number"),
    ],
)
def test_what_two_schemas_say_of_one_type_is_one(types: list[object], words: str) -> None:
    """A whole number is a number, and a page must be made of what leaves nothing too."""
    schema = {"properties": {"a": {"allOf": [{"type": each} for each in types]}}}
    assert [member.types for member in members_of(schema)] == [words]


def test_a_choice_of_nothing_is_said_as_such() -> None:
    """JSON Schema allows it."""
    [member] = members_of({"properties": {"a": {"enum": []}}})
    assert member.says == "nothing."
