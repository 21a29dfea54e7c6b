"""What ``payhooks event-types`` prints of the catalogue, from what the API says of it."""

from typing import Any

import pytest
from tests.support.api_world import World

from payhooks.catalogue import CATALOGUE
from payhooks.cli import describing
from payhooks.cli.output import highlighted

pytestmark = pytest.mark.shows("E09")


async def _read(name: str) -> Any:  # noqa: ANN401 - JSON is anything
    answer = await World().call("GET", f"/v1/event-types/{name}")
    return answer.json["data"][0]


async def test_the_tree_has_families_objects_and_types() -> None:
    """And what we designed is marked: nobody should build on a guess unawares."""
    listed = (await World().call("GET", "/v1/event-types")).json["data"]
    lines = list(describing.tree(listed))
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == sorted(
        {type_.family for type_ in CATALOGUE.types}
    )
    assert "  Payment Intent" in lines
    types = [line for line in lines if line.startswith("    ")]
    assert len(types) == len(CATALOGUE.types)
    [captured] = [line for line in types if " payment_intent.captured " in line]
    assert captured.startswith("    ~ payment_intent.captured")
    [created] = [line for line in types if " payin.create " in line]
    assert created.startswith("      payin.create")


async def test_the_life_of_an_object_is_a_picture_in_text() -> None:
    """States in the order of a good life, what leads out of them, and where this event leads."""
    view = await _read("payment_intent.captured")
    lines = list(describing.life(view["object"], view["name"]))
    begin = lines.index("  ○ authorized: The issuer holds the money for the merchant.")
    assert lines[begin + 1] == "      ══ payment_intent.captured ═▶ captured"
    assert any("── payment_intent.refunded (/status = " in line for line in lines)
    assert any(line.startswith("      stays on ") for line in lines)
    states = [state["name"] for state in view["object"]["life_cycle"]["states"]]
    drawn = [line[4:].partition(":")[0] for line in lines if line[2] in "○◉"]
    assert drawn == ["start", *states]
    final = [line[4:].partition(":")[0] for line in lines if line[2] == "◉"]
    assert final == [
        state["name"] for state in view["object"]["life_cycle"]["states"] if state["final"]
    ]


async def test_what_states_mean_elsewhere_is_said_or_why_they_mean_nothing() -> None:
    """A merchant who hears unified events finds there what to expect."""
    lines = list(describing.mapping((await _read("payment_intent.captured"))["object"]))
    assert "  captured ─▶ payment_succeeded" in lines
    assert any(line.startswith("  created ─▶ nothing: ") for line in lines)


async def test_a_schema_is_a_table_of_members() -> None:
    """Nobody reads $ref and allOf for pleasure."""
    lines = list(describing.members((await _read("payment_intent.captured"))["schema"]))
    rows = {line.split()[0]: line for line in lines}
    assert "  a whole number  " in rows["/amount"]
    assert "  required  " in rows["/amount"]
    assert '"captured".' in rows["/status"]
    assert "required" not in rows["/card/brand"]


async def test_an_operators_type_is_shown_with_the_little_there_is() -> None:
    """No family of ours, no object, no schema."""
    world = World()
    said = {"family": "shop", "name": "basket.left", "words": "Somebody left."}
    await world.call("POST", "/v1/event-types", said)
    [view] = (await world.call("GET", "/v1/event-types/basket.left")).json["data"]
    assert list(describing.whole(view)) == [
        "basket.left  shop",
        "Somebody left.",
        "Registered by whoever runs this installation.",
    ]
    assert list(describing.tree([view])) == ["shop", "      basket.left  Somebody left."]


def test_an_example_cannot_write_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """It may be an operator's, and is shown to others."""
    highlighted({"a": "\x1b[2J\x9b"})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert "\x1b" not in printed
