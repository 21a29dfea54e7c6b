"""The audit log's chain, the catalogue with an operator's types, and what announcements say."""

import msgspec
import pytest
from tests.support.api_world import World

from payhooks import ids
from payhooks.catalogue import CATALOGUE
from payhooks.control import audit
from payhooks.control.listen import stop
from payhooks.policy.match import is_valid_event_type


@pytest.mark.shows("S37")
async def test_an_entry_that_was_edited_breaks_the_chain_where_it_was_edited() -> None:
    """Whoever can write the table must not be able to rewrite the past unseen."""
    world = World()
    merchant = await world.merchant()
    for label in ("a", "b", "c"):
        await world.endpoint(merchant, label=label)
    assert all(report.broken_at is None for report in await audit.verify_all(world.control))
    raw = ids.from_text(ids.MERCHANT, merchant)
    assert raw is not None
    world.edit_audit_entry(ids.MerchantId(raw), number=2, actor="somebody else")
    report = await audit.verify(world.control, ids.MerchantId(raw))
    assert (report.broken_at, report.entries) == (2, 1)


async def test_every_name_of_the_catalogue_may_be_published() -> None:
    """A type that the door refuses for its spelling would be one that nobody can send."""
    for type_ in CATALOGUE.types:
        for name in (type_.name, *type_.aliases):
            assert is_valid_event_type(name), name


async def test_an_operators_type_is_known_at_once_and_may_be_edited() -> None:
    """A strict merchant publishes a new type the moment it is registered."""
    world = World()
    merchant = await world.merchant(type_check="strict")
    said = {"family": "shop", "name": "basket.left", "words": "Somebody left."}
    assert (await world.publish(merchant, type="basket.left")).status == 422
    made = await world.call("POST", "/v1/event-types", {**said, "schema": {"type": "object"}})
    assert (made.status, made.json["schema"]) == (201, {"type": "object"})
    published = await world.publish(merchant, type="basket.left")
    assert (published.status, "findings" in published.json) == (202, False)
    again = await world.call("POST", "/v1/event-types", said)
    shipped = await world.call(
        "POST", "/v1/event-types", {**said, "family": "owngateway", "name": "payment_failed"}
    )
    ours = await world.call("POST", "/v1/event-types", {**said, "family": "payhooks"})
    assert (again.status, shipped.status, ours.status) == (409, 409, 422)
    at = "/v1/event-types/shop/basket.left"
    edited = await world.call("PATCH", at, {"words": "Gone."}, headers={"If-Match": '"1"'})
    stale = await world.call("PATCH", at, {"words": "Back."}, headers={"If-Match": '"1"'})
    assert (edited.status, stale.status) == (200, 412)
    assert (await world.call("PATCH", "/v1/event-types/owlpay/order.received", {})).status == 404
    found = await world.call("GET", "/v1/event-types/basket.left")
    assert [type_["words"] for type_ in found.json["data"]] == ["Gone."]


@pytest.mark.parametrize(
    ("families", "name", "family"),
    [
        ([], "payment_succeeded", "owngateway"),
        (["treezor"], "payin.create", "treezor"),
        ([], "webhook.created", "owlpay"),
        (["foloosi"], "payment_succeeded", "foloosi"),
        ([], "shop.basket.left", "custom"),
    ],
)
async def test_a_type_without_a_family_is_the_word_of_the_merchants_own(
    families: list[str], name: str, family: str
) -> None:
    """Most publishers speak one language, and should not have to say which."""
    world = World()
    merchant = await world.merchant(families=families)
    event = (await world.publish(merchant, type=name)).json["id"]
    read = await world.call("GET", f"/v1/merchants/{merchant}/events/{event}")
    assert read.json["family"] == family


async def test_a_disabled_endpoint_is_announced_with_its_reason() -> None:
    """The merchant's own systems must learn that nothing arrives any more."""
    world = World()
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.call("POST", f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}/disable")
    last = (await world.store.announcements(limit=100))[-1]
    data = msgspec.json.decode(last.data)
    assert (last.type, data["status"], data["disabled_reason"]) == (
        "webhook.disabled", "disabled", "operator",
    )  # fmt: skip


async def test_a_move_that_changes_nothing_leaves_nothing_behind() -> None:
    """Two people press the same button; the log shows one change."""
    world = World()
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    at = f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}"
    for _ in range(2):
        assert (await world.call("POST", f"{at}/pause")).json["status"] == "paused"
    await world.call("POST", f"{at}/disable")
    assert (await world.call("POST", f"{at}/resume")).status == 409
    assert (await world.call("POST", f"{at}/test")).status == 409
    assert (await world.audit_actions(merchant))[2:] == ["endpoint.paused", "endpoint.disabled"]


async def test_only_a_listening_endpoint_can_be_stopped_as_one() -> None:
    """A bug that deletes a merchant's endpoint must stop the program instead."""
    world = World()
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    raw = ids.from_text(ids.ENDPOINT, endpoint["id"])
    owner = ids.from_text(ids.MERCHANT, merchant)
    assert raw is not None
    assert owner is not None
    stored = await world.store.endpoint(ids.MerchantId(owner), ids.EndpointId(raw))
    assert stored is not None
    with pytest.raises(AssertionError):
        await stop(world.control, world.caller, stored)
