"""Reconcile: two sides that must be equal, and a name for everything that is not."""

from typing import Any

from tests.support.api_world import World, finish

from payhooks import ids
from payhooks.control.context import SYSTEM
from payhooks.control.reconcile import DifferenceKind, Report, reconcile
from payhooks.model.delivery import Trigger
from payhooks.ports.reading import FactsPage


async def _reconcile(world: World, merchant: str, *, repair: bool = False) -> Report:
    raw = ids.from_text(ids.MERCHANT, merchant)
    assert raw is not None
    found = await world.store.merchant(ids.MerchantId(raw))
    assert found is not None
    return await reconcile(world.control, SYSTEM, found, repair=repair)


async def test_the_sides_are_equal_through_every_change_of_an_endpoint() -> None:
    """Who was subscribed when is the whole question; pauses and edits must not blur it."""
    world = World()
    merchant = await world.merchant()
    await world.publish(merchant)
    endpoint = await world.endpoint(merchant, events=["payment_*"])
    hook = f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}"
    await world.publish(merchant)
    await finish(world, Trigger.SUCCEED)
    await world.call("POST", f"{hook}/pause")
    await world.publish(merchant)
    await world.call("POST", f"{hook}/disable")
    await world.publish(merchant)
    await world.call("POST", f"{hook}/enable")
    await world.publish(merchant)
    await finish(world, Trigger.GIVE_UP)
    await world.call("PATCH", hook, {"events": ["refund_*"]})
    await world.publish(merchant)
    await world.call("POST", f"{hook}/test")
    await world.call("DELETE", hook)
    await world.publish(merchant)
    report = await _reconcile(world, merchant)
    assert report.is_equal
    assert report.events == 8
    [hour] = report.hours.values()
    assert (hour.expected, hour.actual, hour.delivered, hour.failed) == (3, 3, 1, 2)


async def test_a_delivery_that_vanished_is_named_and_made_again() -> None:
    """The promise of completeness is worth what can be checked and mended."""
    world = World()
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant)
    lost = (await world.publish(merchant)).json["id"]
    await finish(world, Trigger.SUCCEED)
    raw = ids.from_text(ids.EVENT, lost)
    assert raw is not None
    world.forget_delivery(ids.delivery_id(ids.EventId(raw), 1))
    report = await _reconcile(world, merchant, repair=True)
    assert [(d.kind, d.event_id) for d in report.differences] == [(DifferenceKind.MISSING, raw)]
    assert ids.to_text(ids.ENDPOINT, report.differences[0].endpoint_id or b"") == endpoint["id"]
    assert report.repaired == 1
    assert (await _reconcile(world, merchant)).is_equal
    assert await finish(world, Trigger.SUCCEED) == 1
    assert (await world.audit_actions(merchant))[-1] == "deliveries.repaired"


async def test_an_endpoint_that_changes_meanwhile_is_judged_by_what_it_had_selected() -> None:
    """A run takes hours and traffic goes on: a repair must send nobody what he did not select."""
    world = World()
    merchant = await world.merchant()
    narrowed = await world.endpoint(merchant, events=["payment_*"])
    disabled = await world.endpoint(merchant, url="https://example.com/other")
    hooks = f"/v1/merchants/{merchant}/endpoints"
    await world.publish(merchant)
    await finish(world, Trigger.SUCCEED)
    read_facts = world.store.event_facts

    async def after_a_change(*place: Any, **bounds: Any) -> FactsPage:  # noqa: ANN401 - passed on
        world.break_store("event_facts", read_facts)
        edited = await world.call("PATCH", f"{hooks}/{narrowed['id']}", {"events": ["refund_*"]})
        assert edited.status == 200
        await world.call("POST", f"{hooks}/{disabled['id']}/disable")
        assert (await world.publish(merchant)).json["deliveries"] == 0
        return await read_facts(*place, **bounds)

    world.break_store("event_facts", after_a_change)
    report = await _reconcile(world, merchant, repair=True)
    assert (report.events, report.differences, report.repaired) == (2, [], 0)
    assert await finish(world, Trigger.SUCCEED) == 0


async def test_what_a_deleted_endpoint_lost_is_repaired_too() -> None:
    """Nothing is left to send, but the sides have to be equal afterwards."""
    world = World()
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    lost = (await world.publish(merchant)).json["id"]
    await finish(world, Trigger.SUCCEED)
    raw = ids.from_text(ids.EVENT, lost)
    assert raw is not None
    world.forget_delivery(ids.delivery_id(ids.EventId(raw), 1))
    await world.call("DELETE", f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}")
    assert (await _reconcile(world, merchant, repair=True)).repaired == 1
    report = await _reconcile(world, merchant)
    assert report.is_equal
    assert [hour.cancelled for hour in report.hours.values()] == [1]
    assert await finish(world, Trigger.SUCCEED) == 0


async def test_pages_that_are_cut_short_are_not_the_end() -> None:
    """Of a merchant with thousands of endpoints each event is read alone, and all of them are."""
    world = World()
    merchant = await world.merchant()
    for _ in range(2):
        await world.endpoint(merchant)
    for _ in range(3):
        await world.publish(merchant)
    await finish(world, Trigger.SUCCEED)
    facts = world.store.event_facts

    async def alone(*place: Any, **bounds: Any) -> FactsPage:  # noqa: ANN401 - passed on
        return await facts(*place, **(bounds | {"deliveries_max": 1}))

    world.break_store("event_facts", alone)
    report = await _reconcile(world, merchant)
    assert (report.events, report.is_equal) == (3, True)
    assert sum(hour.delivered for hour in report.hours.values()) == 6
