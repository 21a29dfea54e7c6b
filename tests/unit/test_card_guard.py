"""What becomes of an event with card data in it, by what its merchant has chosen."""

from typing import Any, Final

import pytest
from tests.support.api_world import Answer, World

from payhooks import ids
from payhooks.dialects.contract import Carried
from payhooks.errors import InvalidError
from payhooks.flow.examine import examined
from payhooks.flow.publication import Publication
from payhooks.flow.routing import RoutingTable
from payhooks.ids import MerchantId
from payhooks.model.merchant import CardNumbers
from payhooks.policy.card_numbers import MASK, is_in

NUMBER: Final = "4111111111111111"
HIDDEN: Final = f"411111{MASK * 6}1111"
# Spelt as no encoder of ours would.
_DATA: Final = b'{ "b":"%b" ,"a":[1.50, {"cvv":"123"}],"c":"\\u00e9"}'
_EVENT: Final = (
    b'{"type":"basket.left","data":%b,"metadata":{"m":%b},"object":{"type":"o","id":"o1"}}'
)


@pytest.fixture
def world() -> World:
    """Return an installation."""
    return World()


async def _published(world: World, merchant: str, number: str = NUMBER, **headers: str) -> Answer:
    data = _DATA % number.encode()
    raw = _EVENT % (data, number.encode())
    target = f"/v1/merchants/{merchant}/events"
    return await world.call("POST", target, raw=raw, headers=headers)


async def _stored(world: World, merchant: str, answer: Answer) -> Any:  # noqa: ANN401 - JSON
    read = await world.call("GET", f"/v1/merchants/{merchant}/events/{answer.json['id']}")
    assert read.status == 200
    return read


def _id_of(merchant: str) -> MerchantId:
    found = ids.from_text(ids.MERCHANT, merchant)
    assert found is not None
    return MerchantId(found)


def _codes(answer: Answer, member: str = "findings") -> list[tuple[str, str]]:
    return [(each["pointer"], each["code"]) for each in answer.json[member]]


_PLACES: Final = [
    ("/data/b", "card_number"),
    ("/data/a/1/cvv", "security_code"),
    ("/metadata/m", "card_number"),
]


@pytest.mark.shows("S41")
async def test_report_stores_what_came_and_says_where(world: World) -> None:
    """The default: a reference that looks like a card must arrive as it was sent."""
    merchant = await world.merchant(type_check="off")
    answer = await _published(world, merchant)
    assert answer.status == 202
    assert _codes(answer) == _PLACES
    assert NUMBER not in str(answer.json)
    read = await _stored(world, merchant, answer)
    assert _DATA % NUMBER.encode() in read.body
    assert _codes(read) == _PLACES


@pytest.mark.shows("S41", "S42", "S43")
async def test_mask_stores_what_is_left_and_no_other_byte_is_changed(world: World) -> None:
    """Everything that is read later, searched, shown, delivered, is this copy."""
    merchant = await world.merchant(type_check="off", card_numbers="mask")
    answer = await _published(world, merchant)
    assert answer.status == 202
    assert _codes(answer) == [(pointer, f"{code}_masked") for pointer, code in _PLACES]
    read = await _stored(world, merchant, answer)
    assert (_DATA % HIDDEN.encode()).replace(b"123", MASK.encode() * 3) in read.body
    assert read.json["metadata"] == {"m": HIDDEN}
    assert NUMBER not in read.body.decode()


@pytest.mark.shows("S41", "S42")
async def test_reject_refuses_with_every_place_and_stores_nothing(world: World) -> None:
    """Whoever must not have numbers in his systems learns where they come from."""
    merchant = await world.merchant(card_numbers="reject")
    answer = await _published(world, merchant)
    assert answer.status == 422
    assert _codes(answer, "errors") == _PLACES
    assert NUMBER not in answer.body.decode()
    listed = await world.call("GET", f"/v1/merchants/{merchant}/events")
    assert listed.json["data"] == []


async def test_of_a_batch_each_event_is_looked_at_as_if_it_came_alone(world: World) -> None:
    """A batch must not be the way around."""
    events = [{"type": "a.b", "data": {"n": n}} for n in (1, NUMBER, 2)]
    target = "/v1/merchants/{}/events/batch"
    for choice, code in (("mask", "card_number_masked"), ("report", "card_number")):
        merchant = await world.merchant(card_numbers=choice, type_check="off")
        answer = await world.call("POST", target.format(merchant), {"events": events})
        said = [each.get("findings") for each in answer.json["data"]]
        assert (said[0], said[2]) == (None, None)
        assert [(each["pointer"], each["code"]) for each in said[1]] == [("/data/n", code)]
    merchant = await world.merchant(card_numbers="reject", type_check="off")
    answer = await world.call("POST", target.format(merchant), {"events": events})
    first, bad, last = answer.json["data"]
    assert ("id" in first, "id" in last) == (True, True)
    assert bad["error"]["errors"][0]["pointer"] == "/data/n"


async def test_a_key_repeated_is_the_same_word_when_both_are_masked(world: World) -> None:
    """Compared is what is stored: the number is not even kept as a hash."""
    merchant = await world.merchant(card_numbers="mask")
    first = await _published(world, merchant, **{"Idempotency-Key": "k"})
    again = await _published(world, merchant, **{"Idempotency-Key": "k"})
    assert (first.status, again.status) == (202, 202)
    assert again.headers["idempotent-replayed"] == "true"
    alike = next(f"411111{n:06}1111" for n in range(100) if is_in(f"411111{n:06}1111"))
    other = await _published(world, merchant, alike, **{"Idempotency-Key": "k"})
    assert other.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("choice", ["mask", "reject"])
@pytest.mark.parametrize(
    ("member", "pointer"),
    [
        ({"object": {"type": "card", "id": NUMBER}}, "/object/id"),
        ({"object": {"type": NUMBER, "id": "o1"}}, "/object/type"),
        ({"ordering_key": f"card {NUMBER}"}, "/ordering_key"),
    ],
    ids=["object id", "object type", "ordering key"],
)
async def test_an_id_that_is_a_card_number_is_refused_where_none_may_be_stored(
    world: World, member: dict[str, Any], pointer: str, choice: str
) -> None:
    """Masked, the ids of two objects would be one, and their events one object's."""
    merchant = await world.merchant(card_numbers=choice)
    answer = await world.publish(merchant, **member)
    assert answer.status == 422
    assert _codes(answer, "errors") == [(pointer, "card_number")]


async def test_an_id_that_is_a_card_number_is_reported(world: World) -> None:
    """Three in a hundred references of sixteen digits look like one."""
    merchant = await world.merchant()
    answer = await world.publish(merchant, object={"type": "payment", "id": NUMBER})
    assert answer.status == 202
    assert ("/object/id", "card_number") in _codes(answer)


@pytest.mark.shows("S41")
@pytest.mark.parametrize("choice", list(CardNumbers))
@pytest.mark.parametrize("member", ["type", "family"])
async def test_a_type_is_never_a_card_number(world: World, member: str, choice: str) -> None:
    """It is logged, counted and shown with every delivery."""
    merchant = await world.merchant(card_numbers=choice)
    answer = await world.publish(merchant, **{"type": "a.b", member: NUMBER})
    assert answer.status == 422
    assert _codes(answer, "errors") == [(f"/{member}", "card_number")]
    assert NUMBER not in answer.body.decode()


async def test_names_that_would_be_equal_once_masked_are_refused(world: World) -> None:
    """Of two equal names every parser drops one, with what it says."""
    merchant = await world.merchant(card_numbers="mask")
    answer = await world.publish(merchant, data={NUMBER: 1, HIDDEN: 2}, metadata={})
    assert answer.status == 422
    assert _codes(answer, "errors") == [("/data", "card_number")]
    answer = await world.publish(merchant, metadata={NUMBER: 1, HIDDEN: 2})
    assert _codes(answer, "errors") == [("/metadata", "card_number")]


async def test_what_came_is_held_to_its_schema_and_not_what_is_left_of_it(world: World) -> None:
    """A publisher that keeps to the schema is not told that it does not."""
    schema = {"properties": {"n": {"type": "integer"}}, "additionalProperties": {"type": "string"}}
    type_ = {"family": "shop", "name": "card.seen", "words": "A card.", "schema": schema}
    assert (await world.call("POST", "/v1/event-types", type_)).status == 201
    merchant = await world.merchant(card_numbers="mask", type_check="strict")
    answer = await world.publish(merchant, type="card.seen", data={"n": int(NUMBER)})
    assert answer.status == 202
    assert _codes(answer) == [("/data/n", "card_number_masked")]
    refused = await world.publish(merchant, type="card.seen", data={NUMBER: 1})
    assert _codes(refused, "errors") == [("/data/*", "schema")]
    assert NUMBER not in refused.body.decode()


class _Talkative(RoutingTable):
    """Of a merchant with a dialect that quotes what it cannot carry."""

    def refusals(self, said: Carried) -> dict[str, str]:
        return {"quoting": f"no {said.data.decode()}"}


async def test_what_a_dialect_says_of_an_event_does_not_quote_the_number(world: World) -> None:
    """Findings are read by more people than data, and what is refused is said in an error."""
    merchant = await world.merchant(type_check="strict")
    [routing] = await world.store.routing([_id_of(merchant)])
    table = _Talkative(routing, lambda _sealed: "")
    said = Publication(type="a.b", family="shop", data=b'{"a":"%b"}' % NUMBER.encode())
    with pytest.raises(InvalidError) as refused:
        examined(said, None, table)
    [fault] = refused.value.faults
    assert (fault.code, HIDDEN in fault.detail) == ("not_carried", True)


async def test_a_dialect_is_asked_whether_it_can_carry_what_is_left(world: World) -> None:
    """That is what will be delivered; the rest is not its business."""
    merchant = await world.merchant(card_numbers="mask")
    [routing] = await world.store.routing([_id_of(merchant)])
    table = _Talkative(routing, lambda _sealed: "")
    said = Publication(type="a.b", family="shop", data=b'{"cvv":"737"}')
    [_, quoted] = examined(said, None, table).findings
    assert quoted.detail.endswith(f'no {{"cvv":"{MASK * 3}"}}')


@pytest.mark.parametrize("choice", list(CardNumbers))
async def test_a_merchant_may_choose_each_when_made_and_later(world: World, choice: str) -> None:
    """The choice is shown, and is in the audit log."""
    made = await world.call(
        "POST", "/v1/merchants", {"name": "Shop", "mode": "sandbox", "card_numbers": choice}
    )
    assert (made.status, made.json["card_numbers"]) == (201, choice)
    merchant = await world.merchant()
    edited = await world.call("PATCH", f"/v1/merchants/{merchant}", {"card_numbers": choice})
    assert (edited.status, edited.json["card_numbers"]) == (200, choice)


@pytest.mark.parametrize("tail", ["events", "events/batch"])
async def test_a_choice_holds_from_the_moment_it_was_answered(world: World, tail: str) -> None:
    """Another process still knows the merchant as it was, and would store it in the clear."""
    merchant = await world.merchant(type_check="off")
    await world.publish(merchant)  # so that the process knows the merchant
    event = {"type": "a.b", "data": {"n": NUMBER}}
    body = {"events": [event]} if tail.endswith("batch") else event

    # As another process does it: this one is not told, and only the store finds out.
    before = await world.directory.find(merchant)
    await world.call("PATCH", f"/v1/merchants/{merchant}", {"card_numbers": "mask"})
    world.directory._tables[_id_of(merchant)] = before  # noqa: SLF001 - no port makes it forget
    answer = await world.call("POST", f"/v1/merchants/{merchant}/{tail}", body)
    said = answer.json["data"][0] if "data" in answer.json else answer.json
    assert [each["code"] for each in said["findings"]] == ["card_number_masked"]
