"""What was found of an event: told to its publisher, kept with it, bounded, forgotten with it."""

import pytest
from tests.support.api_world import World
from tests.support.shipped import example_of

from payhooks import ids, limits
from payhooks.api.publication import decode_event
from payhooks.catalogue import CATALOGUE
from payhooks.dialects.contract import Carried
from payhooks.flow.routing import RoutingTable

SAID = {"type": "payment_succeded", "data": {"amount": 1, "currency": "EUR"}}


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


async def _published(world: World, merchant: str) -> tuple[str, object]:
    """Return an event with two findings, and them as the publisher was told."""
    await world.endpoint(merchant, dialect="treezor")
    answer = await world.call("POST", f"/v1/merchants/{merchant}/events", SAID)
    found = answer.json["findings"]
    assert [(each["pointer"], each["code"]) for each in found] == [
        ("/type", "unknown_event_type"),
        ("/data", "not_carried"),
    ]
    return answer.json["id"], found


async def test_what_the_publisher_was_told_is_kept_with_the_event(world: World) -> None:
    """Whoever asks a week later why a merchant heard nothing did not read that answer."""
    merchant = await world.merchant()
    event, told = await _published(world, merchant)
    good = await world.publish(
        merchant, type="payin.create", data=example_of("treezor", "payin.create")
    )

    read = await world.call("GET", f"/v1/merchants/{merchant}/events/{event}")
    listed = await world.call("GET", f"/v1/merchants/{merchant}/events")

    assert read.json["findings"] == told
    assert {each["id"]: each["findings"] for each in listed.json["data"]} == {
        event: told,
        good.json["id"]: [],
    }


async def test_each_event_of_a_batch_keeps_its_own(world: World) -> None:
    """One bad type among a hundred must not be said of its neighbours."""
    merchant = await world.merchant()
    example = example_of("owngateway", "payment_succeeded")
    known = {"type": "payment_succeeded", "data": example}
    target = f"/v1/merchants/{merchant}/events"
    bad = {"type": "no type", "data": {}}
    answer = await world.call("POST", f"{target}/batch", {"events": [known, bad, SAID, known]})

    kept = []
    for result in answer.json["data"]:
        if "id" in result:
            read = await world.call("GET", f"{target}/{result['id']}")
            kept.append([each["code"] for each in read.json["findings"]])
            assert read.json["findings"] == result.get("findings", [])

    assert kept == [[], ["unknown_event_type"], []]


async def test_what_is_expunged_takes_its_findings_along(world: World) -> None:
    """A dialect that cannot carry something may say what."""
    merchant = await world.merchant()
    event, _ = await _published(world, merchant)
    target = f"/v1/merchants/{merchant}/events/{event}"

    await world.call("POST", f"{target}/expunge")

    assert (await world.call("GET", target)).json["findings"] == []


class _Talkative(RoutingTable):
    """Of a merchant with more dialects than ours, each of which quotes all that it was given."""

    def refusals(self, said: Carried) -> dict[str, str]:
        return {f"d{number}": f"no {said.data.decode()}" for number in range(40)}


async def test_findings_are_few_and_short(world: World) -> None:
    """A dialect in code may say as much as it likes; it must not fill the store."""
    merchant = await world.merchant()
    merchant_id = ids.from_text(ids.MERCHANT, merchant)
    assert merchant_id is not None
    [routing] = await world.store.routing([ids.MerchantId(merchant_id)])
    table = _Talkative(routing, lambda _sealed: "")
    body = b'{"type":"nobodys.word","data":{"a":"%b"}}' % (b"x" * 10_000)

    found = decode_event(body, table, CATALOGUE, None).findings

    assert len(found) == limits.EVENT_FINDINGS_MAX
    assert found[0].code == "unknown_event_type"
    assert {len(each.detail) for each in found[1:]} == {limits.FINDING_CHARS_MAX}
    assert found[1].detail.endswith("x…")
