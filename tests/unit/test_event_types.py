"""Reading the catalogue over the API, and an operator's own types."""

from typing import Any

import pytest
from tests.support.api_world import Answer, World

from payhooks import limits
from payhooks.api.schemas.catalogue import EventTypesInFullView, EventTypesView
from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.members import members_of

_SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
_TYPE = {"family": "shop", "name": "basket.left", "words": "Somebody left."}


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


async def _created(world: World, **members: object) -> Answer:
    return await world.call("POST", "/v1/event-types", {**_TYPE, **members})


def _faults(answer: Answer) -> list[tuple[str, str]]:
    assert answer.status == 422, answer.body
    return [(fault["pointer"], fault["code"]) for fault in answer.json["errors"]]


async def _listed(world: World, query: str = "") -> list[dict[str, Any]]:
    answer = await world.call("GET", f"/v1/event-types{query}")
    assert answer.status == 200
    EventTypesView.model_validate(answer.json)
    found: list[dict[str, Any]] = answer.json["data"]
    return found


@pytest.mark.shows("E08")
async def test_the_list_has_every_type_and_not_what_takes_much_room(world: World) -> None:
    """Whoever draws a menu of them does not want a megabyte of schemas."""
    found = await _listed(world)
    assert [(each["family"], each["name"]) for each in found] == [
        (type_.family, type_.name) for type_ in CATALOGUE.types
    ]
    assert not {"schema", "example", "object"} & {member for each in found for member in each}


@pytest.mark.shows("E08")
async def test_the_list_is_narrowed_by_family_and_by_what_is_said(world: World) -> None:
    """In any case, in names, other names, headings and words."""
    treezor = await _listed(world, "?family=treezor")
    assert {each["family"] for each in treezor} == {"treezor"}
    assert {each["family_title"] for each in treezor} == {CATALOGUE.families["treezor"].title}
    found = await _listed(world, "?q=PayIn.Create")
    assert [each["name"] for each in found] == ["payin.create"]
    by_alias = await _listed(world, "?q=received_order")
    assert "order.received" in [each["name"] for each in by_alias]
    assert await _listed(world, "?q=nothing%20has%20this") == []


@pytest.mark.shows("E08")
async def test_each_type_is_read_in_full(world: World) -> None:
    """The view is what OpenAPI says it is, for every type that we ship."""
    for type_ in CATALOGUE.types:
        answer = await world.call("GET", f"/v1/event-types/{type_.name}")
        EventTypesInFullView.model_validate(answer.json)
        [view] = [one for one in answer.json["data"] if one["family"] == type_.family]
        assert view["name"] == type_.name


@pytest.mark.shows("E08")
async def test_a_type_shows_what_its_object_goes_through(world: World) -> None:
    """And what is designed by us says so in words."""
    answer = await world.call("GET", "/v1/event-types/payment_intent.captured")
    [view] = answer.json["data"]
    assert view["provenance"] == "designed"
    assert "Designed by us" in view["provenance_text"]
    assert view["object"]["type"] == "payment_intent"
    states = {state["name"]: state for state in view["object"]["life_cycle"]["states"]}
    assert states["voided"]["final"]
    assert not states["captured"]["final"]
    rows = view["object"]["life_cycle"]["transitions"]
    assert {
        "event": "payment_intent.captured",
        "from": ["authorized", "partially_captured"],
        "to": "captured",
        "when": {},
        "words": "",
    } in rows
    assert {
        "state": "captured",
        "after": None,
        "event": "payment_succeeded",
        "why": None,
    } in view["object"]["unified"]


@pytest.mark.shows("E06")
async def test_a_type_is_found_by_its_other_name(world: World) -> None:
    """It is what stands in the sample that somebody has before them."""
    answer = await world.call("GET", "/v1/event-types/owlpay.received_order")
    assert [view["name"] for view in answer.json["data"]] == ["order.received"]
    assert "owlpay.received_order" in answer.json["data"][0]["aliases"]


@pytest.mark.shows("E07")
@pytest.mark.parametrize(
    ("members", "faults"),
    [
        ({"schema": {"type": "wrong"}}, [("/schema/type", "schema")]),
        ({"schema": {"$ref": "http://192.0.2.1/x"}}, [("/schema", "schema")]),
        ({"schema": _SCHEMA, "example": {"id": 1}}, [("/example/id", "schema")]),
        ({"schema": _SCHEMA, "example": {}}, [("/example/id", "schema")]),
        (
            {"schema": {"$comment": "x" * limits.SCHEMA_BYTES_MAX}, "words": " "},
            [("/words", "empty"), ("/schema", "too_long")],
        ),
        ({"example": {"a": "x" * limits.EXAMPLE_BYTES_MAX}}, [("/example", "too_long")]),
    ],
    ids=["no schema", "remote", "other type", "member missing", "long schema", "long example"],
)
async def test_a_type_that_could_not_be_held_to_is_refused(
    world: World, members: dict[str, object], faults: list[tuple[str, str]]
) -> None:
    """Later it would be the publishers' riddle."""
    assert _faults(await _created(world, **members)) == faults
    assert await _listed(world, "?family=shop") == []


@pytest.mark.shows("E07")
async def test_an_example_without_a_schema_is_fine(world: World) -> None:
    """It is more than nothing to whoever must read the event."""
    made = await _created(world, example={"id": "b1"})
    assert (made.status, made.json["example"], made.json["schema"]) == (201, {"id": "b1"}, None)
    assert (made.json["object"], made.json["family_title"]) == (None, "shop")


@pytest.mark.shows("E07")
async def test_a_kept_example_must_satisfy_the_new_schema(world: World) -> None:
    """Two members that were right alone can be wrong together."""
    assert (await _created(world, example={"id": 1})).status == 201
    at = "/v1/event-types/shop/basket.left"
    assert _faults(await world.call("PATCH", at, {"schema": _SCHEMA})) == [
        ("/example/id", "schema")
    ]
    both = await world.call("PATCH", at, {"schema": _SCHEMA, "example": {"id": "b1"}})
    assert both.status == 200
    gone = await world.call("PATCH", at, {"schema": None})
    assert (gone.status, gone.json["schema"], gone.json["example"]) == (200, None, {"id": "b1"})


@pytest.mark.shows("E07")
async def test_a_new_schema_holds_for_the_next_event(world: World) -> None:
    """A strict merchant relies on what the operator was answered."""
    merchant = await world.merchant(type_check="strict")
    await _created(world, schema=_SCHEMA)
    assert (await world.publish(merchant, type="basket.left", data={})).status == 422
    await world.call("PATCH", "/v1/event-types/shop/basket.left", {"schema": None})
    assert (await world.publish(merchant, type="basket.left", data={})).status == 202


@pytest.mark.shows("E07")
@pytest.mark.parametrize("family", ["owlpay", "shop"])
async def test_another_name_of_ours_cannot_be_registered(world: World, family: str) -> None:
    """Events of merchants that named no families would change their meaning."""
    taken = await _created(world, family=family, name="owlpay.received_order")
    assert taken.status == 409
    assert "another name of order.received" in taken.json["detail"]
    merchant = await world.merchant()
    event = await world.publish(merchant, type="owlpay.received_order", data={})
    assert event.json["type"] == "order.received"


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": []},
        {"type": "number", "allOf": [{"type": "integer"}]},
        {"type": "string", "allOf": [{"type": "integer"}]},
    ],
    ids=["nothing", "a number that is whole", "what cannot be"],
)
async def test_every_schema_can_be_published_under_and_read(
    world: World, schema: dict[str, object]
) -> None:
    """What was registered with a 201 must not be a 500 to publishers and readers."""
    merchant = await world.merchant()
    whole = {"properties": {"a": schema}}
    assert (await _created(world, schema=whole)).status == 201
    assert (await world.publish(merchant, type="basket.left", data={"a": {}})).status == 202
    assert members_of(whole)
    assert (await world.call("GET", "/v1/event-types/basket.left")).status == 200


async def test_a_schema_that_could_hold_a_server_up_is_refused(world: World) -> None:
    """With the place and a sentence, as all that is wrong with a draft."""
    answer = await _created(world, schema={"properties": {"a": {"$ref": "#"}}})
    assert _faults(answer) == [("/schema", "schema")]
