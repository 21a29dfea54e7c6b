"""Objects and the orders that follow them, asked of every store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.api_world import World, finish
from tests.support.stores import STORES, open_store

from payhooks.flow.orders import OrderFollower
from payhooks.model.delivery import Trigger
from payhooks.testing.telemetry import QuietTelemetry


@pytest.fixture(params=STORES)
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Yield the API over an empty store of each kind."""
    database = request.getfixturevalue("database") if request.param == "postgres" else None
    async with open_store(request.param, tmp_path, database) as opened:
        yield World(opened)


async def _tell(api: World, merchant: str, type_: str, *, minute: int) -> str:
    answer = await api.publish(
        merchant,
        type=type_,
        family="owngateway",
        data={"payment_id": "pay/1"},
        object={"type": "payment", "id": "pay/1"},
        occurred_at=f"2026-11-20T11:{minute:02}:00Z",
    )
    assert answer.status == 202, answer.body
    event_id: str = answer.json["id"]
    return event_id


@pytest.mark.shows("E23")
async def test_an_object_is_told_with_what_became_of_its_deliveries(api: World) -> None:
    """The state from the events, the rest from the rows beside them."""
    merchant, other = await api.merchant(), await api.merchant()
    endpoint = await api.endpoint(merchant)
    last = await _tell(api, merchant, "payment_succeeded", minute=2)
    first = await _tell(api, merchant, "payment_processing", minute=1)
    await _tell(api, other, "payment_failed", minute=3)
    await finish(api, Trigger.GIVE_UP)

    path = f"/v1/merchants/{merchant}/objects"
    found = (await api.call("GET", f"{path}/payment/pay%2F1")).json
    listed = (await api.call("GET", f"{path}?id=pay%2F1")).json["data"]

    assert (found["state"], found["events"], found["complete"]) == ("succeeded", 2, True)
    assert [one["event_id"] for one in found["history"]] == [first, last]
    timeline = found["timeline"]["data"]
    assert [one["event_id"] for one in timeline] == [first, last]
    for told in timeline:
        [sent] = told["deliveries"]
        assert (sent["endpoint_id"], sent["status"]) == (endpoint["id"], "failed")
        assert sent["attempts_made"] == 1
    assert [(one["type"], one["state"]) for one in listed] == [("payment", "succeeded")]


@pytest.mark.shows("E24")
async def test_each_word_to_an_order_is_stored_once(api: World) -> None:
    """Whoever looks, and however many do at the same time, the store has the last word."""
    merchant = await api.merchant(families=["foloosi", "owngateway"])
    await _tell(api, merchant, "payment_failed", minute=1)
    await _tell(api, merchant, "payment_succeeded", minute=2)
    services = api.services
    followers = [
        OrderFollower(api.control, services.acceptor, services.book, telemetry=QuietTelemetry())
        for _ in range(3)
    ]

    await asyncio.gather(*(follower.step() for follower in followers))
    await asyncio.gather(*(follower.step() for follower in followers))

    found = await api.call("GET", f"/v1/merchants/{merchant}/events?type=order.*")
    types = [event["type"] for event in reversed(found.json["data"])]
    assert types == ["order.cancel", "order.success"]
