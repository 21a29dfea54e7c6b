"""What the control plane makes of a store: replays, reconcile and pages, asked of all three."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from tests.support.api_world import OWNER, Answer, World, finish
from tests.support.stores import STORES, open_store

from payhooks import ids
from payhooks.control import audit
from payhooks.control.context import SYSTEM, audit_entry
from payhooks.control.reconcile import Report, reconcile
from payhooks.control.replay import Replayer
from payhooks.model.delivery import Trigger
from payhooks.model.merchant import Merchant
from payhooks.ports.controlling import Change


@pytest.fixture(params=STORES)
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Yield the API over an empty store of each kind."""
    database = request.getfixturevalue("database") if request.param == "postgres" else None
    async with open_store(request.param, tmp_path, database) as opened:
        yield World(opened)


async def _found(api: World, merchant: str) -> Merchant:
    raw = ids.from_text(ids.MERCHANT, merchant)
    assert raw is not None
    found = await api.store.merchant(ids.MerchantId(raw))
    assert found is not None
    return found


async def _reconcile(api: World, merchant: str, *, repair: bool = False) -> Report:
    return await reconcile(api.control, SYSTEM, await _found(api, merchant), repair=repair)


async def _statuses(api: World, merchant: str) -> list[str]:
    listed = await api.call("GET", f"/v1/merchants/{merchant}/deliveries?limit=100")
    return sorted(delivery["status"] for delivery in listed.json["data"])


async def test_what_failed_and_what_was_missed_is_replayed_to_its_end(api: World) -> None:
    """One story through every part: disable, miss, fail, replay in slices, reconcile."""
    merchant = await api.merchant()
    await api.endpoint(merchant, events=["payment_*"])
    endpoint = await api.endpoint(merchant, ordering="object")
    hook = f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}"
    for n in range(3):
        await api.publish(merchant, object={"type": "payment", "id": f"p{n % 2}"})
    assert await finish(api, Trigger.GIVE_UP) == 6
    await api.call("POST", f"{hook}/disable")
    await api.publish(merchant, type="refund_failed")
    await api.call("POST", f"{hook}/enable")
    api.advance(1)
    target = f"/v1/merchants/{merchant}/replays"
    said = {"include": ["failed", "missed"], "rate_per_s": 2}
    counted = await api.call("POST", target, {**said, "dry_run": True})
    assert counted.json["matched"] == 7
    job = (await api.call("POST", target, said)).json
    replayer = Replayer(api.control, owner=OWNER)
    for _ in range(12):
        await replayer.step()
        await finish(api, Trigger.SUCCEED)
        api.advance(1)
    read = (await api.call("GET", f"{target}/{job['id']}")).json
    assert (read["state"], read["queued"]) == ("done", 7)
    assert await _statuses(api, merchant) == ["delivered"] * 7
    report = await _reconcile(api, merchant)
    assert report.is_equal, report.differences
    chains = await audit.verify_all(api.control)
    assert chains
    assert all(chain.broken_at is None for chain in chains)


async def test_a_cancelled_replay_leaves_everything_as_it_ended_before(api: World) -> None:
    """Who pressed the wrong button must be able to stop it."""
    merchant = await api.merchant()
    endpoint = await api.endpoint(merchant)
    for _ in range(4):
        await api.publish(merchant)
    await finish(api, Trigger.GIVE_UP)
    hook = f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}"
    await api.call("POST", f"{hook}/pause")
    api.advance(1)
    target = f"/v1/merchants/{merchant}/replays"
    job = (await api.call("POST", target, {"include": ["failed"], "rate_per_s": 2})).json
    replayer = Replayer(api.control, owner=OWNER)
    for _ in range(2):
        await replayer.step()
        api.advance(1)
    assert "held" in await _statuses(api, merchant)
    cancelled = await api.call("POST", f"{target}/{job['id']}/cancel")
    assert cancelled.status == 200
    assert await _statuses(api, merchant) == ["failed"] * 4
    await api.call("POST", f"{hook}/resume")
    assert await finish(api, Trigger.SUCCEED) == 0


@pytest.mark.parametrize("changed", [{"on_failed": "skip"}, {"ordering": "none"}])
async def test_an_edit_lets_objects_go_that_waited_for_a_person(
    api: World, changed: dict[str, str]
) -> None:
    """The person has spoken: nothing waits for one any more."""
    merchant = await api.merchant()
    endpoint = await api.endpoint(merchant, ordering="object", on_failed="block")
    hook = f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}"
    for _ in range(2):
        await api.publish(merchant, object={"type": "payment", "id": "p1"})
    assert await finish(api, Trigger.GIVE_UP, block_order=True) == 1
    await api.call("PATCH", hook, {"label": "Till"})
    assert await finish(api, Trigger.SUCCEED) == 0
    await api.call("PATCH", hook, changed)
    assert await finish(api, Trigger.SUCCEED) == 1


async def test_a_lane_leases_for_what_its_endpoint_allows_by_now(api: World) -> None:
    """Its dialect's time-out, or its own; with 5 s of waiting and 10 s to write down."""
    merchant = await api.merchant()
    endpoint = await api.endpoint(merchant, dialect="merchant-console", ordering="object")
    hook = f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}"
    leases = []
    for changed in ({"label": "Till"}, {"timeout_s": 20}, {"timeout_s": None}):
        await api.call("PATCH", hook, changed)
        await api.publish(merchant, object={"type": "payment", "id": str(changed)})
        look = await api.store.lease(owner=OWNER, lanes_max=1, per_lane_max=1, skip=())
        leases += [leased.lease_s for leased in look.leased]
    assert leases == [60.0, 35.0, 60.0]


async def test_every_list_is_read_to_its_end(api: World) -> None:
    """Pages neither repeat nor leave out, whatever the store."""
    merchant = await api.merchant()
    for n in range(3):
        await api.endpoint(merchant, label=f"n{n}", events=["payment_succeeded"])
        await api.key(merchant, "events:read")
        await api.publish(merchant, object={"type": "payment", "id": f"p{n}"})
    at = f"/v1/merchants/{merchant}"
    for noun, count in (("endpoints", 3), ("keys", 3), ("events", 3), ("deliveries", 6)):
        seen: list[str] = []
        target = f"{at}/{noun}?limit=2"
        for _ in range(10):
            page = (await api.call("GET", target)).json
            seen += [item["id"] for item in page["data"]]
            if not page["has_more"]:
                break
            target = f"{at}/{noun}?limit=2&after={page['next']}"
        assert len(seen) == len(set(seen)) == count, noun
        assert seen == sorted(seen, reverse=True), noun


async def test_filters_select_what_they_say(api: World) -> None:
    """A filter that selects too much is found out in a replay, by the receiver."""
    merchant = await api.merchant()
    endpoint = await api.endpoint(merchant, events=["payment_*"])
    await api.publish(merchant, object={"type": "payment", "id": "p1"})
    await finish(api, Trigger.GIVE_UP)
    await api.publish(merchant, type="refund_failed")
    at = f"/v1/merchants/{merchant}"
    for query, count in (
        ("events?status=failed", 1),
        ("events?status=unsubscribed", 1),
        ("events?type=payment_*", 1),
        ("events?object_id=p1", 1),
        ("events?created[gte]=2000-01-01T00:00:00Z&created[lt]=2001-01-01T00:00:00Z", 0),
        ("deliveries?status=failed", 1),
        ("deliveries?status=delivered", 0),
        ("deliveries?reason=http_5xx", 1),
        ("deliveries?reason=timeout", 0),
        ("deliveries?event_type=refund_*", 0),
        (f"deliveries?endpoint_id={endpoint['id']}", 1),
    ):
        answer = await api.call("GET", f"{at}/{query}")
        assert answer.status == 200, answer.body
        assert len(answer.json["data"]) == count, query


_HOOK = {"label": "Hook", "url": "https://example.com/hook", "events": ["payment_*"]}
_OWL = {"name": "owl", "dialect": "owlpay", "events": ["order.*"]}


async def _trace(api: World, merchant: str) -> tuple[list[str], int]:
    """Return what was noted of changes to the merchant, and how much is told of them."""
    return await api.audit_actions(merchant), len(await api.store.announcements(limit=100))


async def test_an_edit_that_changes_nothing_leaves_no_trace(api: World) -> None:
    """Programs that set what is set already would tell receivers of nothing all day."""
    shop = {"families": ["owlpay"], "provider_ids": {"merch_key": "a", "merchant_id": "b"}}
    merchant = await api.merchant(**shop)
    at = f"/v1/merchants/{merchant}"
    hook = await api.endpoint(merchant, **_HOOK, headers={"X-A": "1"}, retry_policy=[5, 60])
    owl = (await api.call("POST", f"{at}/connectors", {**_OWL, "secrets": ["whs_of-a-test"]})).json
    before = await _trace(api, merchant)
    for target, said in (
        (at, {"name": "Shop", "custom_dialect": None, **shop}),
        (
            f"{at}/endpoints/{hook['id']}",
            {
                **_HOOK,
                "url": "HTTPS://example.com:443/hook",
                "headers": {"X-A": "1"},
                "retry_policy": [5, 60],
                "authentication": {"type": "none"},
            },
        ),
        (f"{at}/connectors/{owl['id']}", {**_OWL, "credential": None}),
    ):
        read = await api.call("GET", target)
        for body in ({}, said):
            edited = await api.call("PATCH", target, body)
            assert (edited.status, edited.json) == (200, read.json), target
            assert edited.headers["etag"] == read.headers["etag"]
        stale = await api.call("PATCH", target, {}, headers={"If-Match": '"9"'})
        assert stale.status == 412
    assert await _trace(api, merchant) == before


async def test_an_edit_of_an_event_type_that_changes_nothing_leaves_no_trace(api: World) -> None:
    """It belongs to no merchant, and is in the installation's own log."""
    own = {"words": "Left.", "schema": {"type": "object"}, "example": {"a": 1}}
    await api.call("POST", "/v1/event-types", {"family": "shop", "name": "basket.left", **own})
    for body in ({}, own):
        edited = await api.call("PATCH", "/v1/event-types/shop/basket.left", body)
        assert (edited.status, edited.json["version"]) == (200, 1)
    assert "event_type.updated" not in await api.audit_actions(None)


async def test_a_credential_that_is_given_is_a_change_whatever_it_was(api: World) -> None:
    """The audit log has to say that somebody set it, also where it is the old one."""
    merchant = await api.merchant()
    bearer = {"authentication": {"type": "bearer", "token": "tok-en"}}
    hook = await api.endpoint(merchant, **bearer)
    at = f"/v1/merchants/{merchant}/endpoints/{hook['id']}"
    assert (await api.call("PATCH", at, bearer)).json["version"] == 2
    assert (await api.audit_actions(merchant))[-1] == "endpoint.updated"


_SHOP = {"name": "Shop", "mode": "sandbox"}


async def test_families_of_a_merchant_are_families_that_there_are(api: World) -> None:
    """With a typo its orders would follow no payment, and its picker would be empty."""

    def told(answer: Answer) -> list[tuple[str, str]]:
        return [(each["pointer"], each["code"]) for each in answer.json["errors"]]

    merchant = await api.merchant(families=["owlpay", "foloosi"])
    at = f"/v1/merchants/{merchant}"
    for families, faults in (
        (["owlpai", "nope"], [(f"/families/{n}", "unknown_family") for n in (0, 1)]),
        (["owlpay", "shop"], [("/families/1", "unknown_family")]),
        (["payhooks"], [("/families/0", "not_allowed")]),
        (["owlpay", "owlpay"], [("/families/1", "duplicate")]),
    ):
        made = await api.call("POST", "/v1/merchants", {**_SHOP, "families": families})
        edited = await api.call("PATCH", at, {"families": families})
        assert (told(made), told(edited)) == (faults, faults)
    misspelt = await api.call("PATCH", at, {"families": ["foloosy"]})
    assert "Did you mean foloosi?" in misspelt.json["errors"][0]["detail"]
    own = {"family": "shop", "name": "basket.left", "words": "Left."}
    assert (await api.call("POST", "/v1/event-types", own)).status == 201
    assert (await api.call("PATCH", at, {"families": ["shop", "owlpay"]})).status == 200


async def test_a_family_that_a_merchant_has_may_stay(api: World) -> None:
    """It was taken by an earlier version, and an edit of the others must not need it gone."""
    merchant = await _found(api, await api.merchant())
    odd = msgspec.structs.replace(merchant, version=2, families=("nope", "payhooks"))
    entry = audit_entry(
        api.control, SYSTEM, merchant_id=merchant.id, action="merchant.updated", target="x"
    )
    await api.store.apply(Change(audit=entry, merchant=odd))
    at = f"/v1/merchants/{ids.to_text(ids.MERCHANT, merchant.id)}"
    edited = await api.call("PATCH", at, {"families": ["nope", "payhooks", "owlpay"]})
    assert edited.status == 200, edited.body
