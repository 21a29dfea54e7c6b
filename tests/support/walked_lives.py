"""How a story leaves its objects, walked through the families' files as they lie there.

Nothing of the product is asked, so that a fold which is wrong in the same way whenever it is made
agrees with itself and not with this.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from tests.support.server import ROOT, Json

_FAMILIES = ROOT / "src" / "payhooks" / "catalogue" / "families"
_START = "start"

ObjectId = tuple[str, str]  # kind and id


def last_states(family: str, events: Sequence[Json]) -> dict[ObjectId, str]:
    """Return the state in which each object is after *events*, which are in the story's order."""
    # An object of which several files tell has a state in each; the last that moved is told.
    states: dict[tuple[ObjectId, str], str] = {}
    told: dict[ObjectId, str] = {}
    for event in events:
        object_id = (event["object"]["type"], event["object"]["id"])
        for name, life_cycle in _lives_of(family, event["type"]):
            state = states.get((object_id, name), _START)
            to = _moved(life_cycle, event, state)
            states[object_id, name] = told[object_id] = to
    return told


def _moved(life_cycle: Json, event: Json, state: str) -> str:
    rows = [
        row
        for row in life_cycle["transitions"]
        if row["event"] == event["type"]
        and state in row["from"]
        and all(_agrees(event["data"], *one) for one in row.get("when", {}).items())
    ]
    assert rows, f"{event['type']} is no move from {state}"
    return str(rows[0].get("to", state))


def _agrees(data: Any, pointer: str, wanted: object) -> bool:  # noqa: ANN401 - JSON is anything
    here = data
    for step in pointer.split("/")[1:]:
        if isinstance(here, list):
            here = here[int(step)] if step.isdecimal() and int(step) < len(here) else None
        else:
            here = here.get(step) if isinstance(here, Mapping) else None
    return here in wanted if isinstance(wanted, list) else here == wanted


def _lives_of(family: str, event: str) -> Iterator[tuple[str, Json]]:
    for name, said in _files(family).items():
        if any(type_["name"] == event for type_ in said.get("types", ())):
            yield name, said["life_cycle"]


@cache
def _files(family: str) -> dict[str, Json]:
    paths = sorted((_FAMILIES / family).glob("*.toml"))
    return {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in paths}
