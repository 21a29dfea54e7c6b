"""What becomes of an event whose type is known, by how closely its merchant wants it looked at."""

import json

import pytest
from tests.support.api_world import Answer, World

from payhooks import limits
from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.registry import Catalogue
from payhooks.model.event_type import EventType, Provenance

_SCHEMA = {
    "type": "object",
    "required": ["id", "amount"],
    "properties": {"id": {"type": "string"}, "amount": {"type": "integer", "minimum": 0}},
}
_TYPE = {"family": "shop", "name": "basket.left", "words": "Somebody left.", "schema": _SCHEMA}
_BAD = {"amount": -5, "card": "4111-secret"}
_SAID_OF_BAD = [
    {"pointer": "/data/id", "code": "schema", "detail": "This member is required."},
    {"pointer": "/data/amount", "code": "schema", "detail": "This must be at least 0."},
]


@pytest.fixture
async def world() -> World:
    """Return an installation with a type of its own."""
    world = World()
    assert (await world.call("POST", "/v1/event-types", _TYPE)).status == 201
    return world


async def _published(world: World, type_check: str, data: object) -> Answer:
    merchant = await world.merchant(type_check=type_check)
    return await world.publish(merchant, type="basket.left", data=data)


@pytest.mark.shows("E05")
async def test_strict_refuses_with_a_fault_for_each_finding(world: World) -> None:
    """Whoever mends the first should not learn of the second by another deployment."""
    answer = await _published(world, "strict", _BAD)
    assert answer.status == 422
    assert answer.json["errors"] == _SAID_OF_BAD
    assert "secret" not in answer.body.decode()


@pytest.mark.shows("E05")
async def test_warn_takes_it_and_says_and_keeps_what_it_found(world: World) -> None:
    """News about money is not lost for a member that is missing."""
    merchant = await world.merchant()
    answer = await world.publish(merchant, type="basket.left", data=_BAD)
    assert answer.status == 202
    assert answer.json["findings"] == _SAID_OF_BAD
    read = await world.call("GET", f"/v1/merchants/{merchant}/events/{answer.json['id']}")
    assert read.json["findings"] == _SAID_OF_BAD


@pytest.mark.shows("E05")
async def test_off_looks_at_nothing(world: World) -> None:
    """Who has asked not to be told is not told."""
    answer = await _published(world, "off", _BAD)
    assert (answer.status, "findings" in answer.json) == (202, False)


@pytest.mark.shows("E05")
@pytest.mark.parametrize("type_check", ["strict", "warn", "off"])
async def test_what_satisfies_its_schema_is_taken_without_a_word(
    world: World, type_check: str
) -> None:
    """Further members are everybody's right."""
    answer = await _published(world, type_check, {"id": "b1", "amount": 0, "more": [1]})
    assert (answer.status, "findings" in answer.json) == (202, False)


@pytest.mark.shows("E05")
async def test_findings_have_one_bound_together(world: World) -> None:
    """What cannot be carried is said first: those deliveries will fail."""
    schema = {"required": [f"m{number}" for number in range(40)]}
    type_ = {**_TYPE, "name": "basket.full", "schema": schema}
    assert (await world.call("POST", "/v1/event-types", type_)).status == 201
    merchant = await world.merchant()
    await world.endpoint(merchant, dialect="treezor")
    answer = await world.publish(merchant, type="basket.full", data={})
    codes = [each["code"] for each in answer.json["findings"]]
    assert codes == ["not_carried", *["schema"] * (limits.EVENT_FINDINGS_MAX - 1)]


@pytest.mark.shows("E05")
async def test_of_a_batch_only_the_bad_one_is_refused(world: World) -> None:
    """The pointer is into the event, as if it had been sent alone."""
    merchant = await world.merchant(type_check="strict")
    good = {"type": "basket.left", "data": {"id": "b1", "amount": 1}}
    events = [good, {**good, "data": _BAD}, good]
    answer = await world.call("POST", f"/v1/merchants/{merchant}/events/batch", {"events": events})
    first, bad, last = answer.json["data"]
    assert "id" in first
    assert "id" in last
    assert bad["error"]["errors"] == _SAID_OF_BAD


def _aliases() -> list[EventType]:
    return [type_ for type_ in CATALOGUE.types if type_.aliases and type_.example]


@pytest.mark.shows("E06")
async def test_another_name_of_a_type_is_the_type() -> None:
    """Providers print one name in a heading and another in the sample below it."""
    world = World()
    known = _aliases()
    assert known
    for type_ in known:
        assert type_.example is not None
        merchant = await world.merchant(type_check="strict", families=[type_.family])
        data = json.loads(type_.example)
        answer = await world.publish(merchant, type=type_.aliases[0], data=data)
        assert answer.status == 202, answer.body
        assert answer.json["type"] == type_.name
        assert answer.json["findings"] == [
            {
                "pointer": "/type",
                "code": "alias",
                "detail": f"{type_.aliases[0]} is taken as {type_.name}.",
            }
        ]


@pytest.mark.shows("E06")
@pytest.mark.parametrize("members", [{}, {"family": "owlpay"}], ids=["unsaid", "said"])
async def test_both_names_are_the_same_word_of_one_key(members: dict[str, str]) -> None:
    """A publisher that corrects its spelling between two tries has said one thing."""
    world = World()
    type_ = next(type_ for type_ in _aliases() if type_.family == "owlpay")
    merchant = await world.merchant(type_check="off")
    target, key = f"/v1/merchants/{merchant}/events", {"Idempotency-Key": "k1"}
    answers = [
        await world.call("POST", target, {"type": name, "data": {}, **members}, headers=key)
        for name in (type_.aliases[0], type_.name)
    ]
    assert [answer.status for answer in answers] == [202, 202]
    assert answers[0].body == answers[1].body
    assert "findings" not in answers[0].json
    assert answers[1].headers["idempotent-replayed"] == "true"


@pytest.mark.shows("E06")
async def test_a_name_of_somebodys_own_is_not_taken_for_anothers_alias() -> None:
    """An operator had the word first."""
    named = EventType(family="shop", name="a.b", words="", provenance=Provenance.OPERATOR)
    other = EventType(
        family="mall", name="c.d", words="", provenance=Provenance.OPERATOR, aliases=("a.b", "x.y")
    )
    book = Catalogue([named, other])
    assert book.family_of("a.b", ()) == "shop"
    assert book.meant("x.y", ()) == other
    assert book.meant("x.y", ("mall",)) == other
    assert book.meant("x.y", ("shop",)) is None
