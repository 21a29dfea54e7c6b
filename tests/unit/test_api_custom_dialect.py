"""A merchant's own format over the API: set, shown, counted, refused, removed."""

import json

import msgspec
import pytest
from tests.support.api_world import World
from tests.support.changes import written
from tests.support.custom_formats import HUB, SLACK

from payhooks import ids
from payhooks.control.context import SYSTEM, audit_entry
from payhooks.control.replay import Replayer
from payhooks.ids import MerchantId

pytestmark = pytest.mark.shows("V09")

HUB_SHOWN = {
    **HUB,
    "algorithm": "sha256",
    "encoding": "hex",
    "signed": "{body}",
    "timestamp_header": None,
    "timestamp_unit": "seconds",
    "content_type": "application/json",
}


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


async def _patch(world: World, merchant: str, definition: object, status: int = 200) -> object:
    answer = await world.call("PATCH", f"/v1/merchants/{merchant}", {"custom_dialect": definition})
    assert answer.status == status, answer.body
    return answer.json


async def test_a_format_is_shown_as_it_was_set(world: World) -> None:
    """With what was left out, so that nobody has to know the defaults."""
    merchant = await world.merchant(custom_dialect=HUB)
    read = await world.call("GET", f"/v1/merchants/{merchant}")
    assert read.json["custom_dialect"] == {**HUB_SHOWN, "version": 1}
    other = await world.merchant()
    read = await world.call("GET", f"/v1/merchants/{other}")
    assert read.json["custom_dialect"] is None


async def test_no_two_formats_of_a_merchant_have_one_version(world: World) -> None:
    """A delivery remembers the version it was rendered in; also after the format was gone."""
    merchant = await world.merchant(custom_dialect=HUB)
    versions = []
    for definition in (HUB, SLACK, None, HUB):
        await _patch(world, merchant, definition)
        read = await world.call("GET", f"/v1/merchants/{merchant}")
        shown = read.json["custom_dialect"]
        versions.append(shown and shown["version"])
    assert versions == [1, 2, None, 4]


async def test_an_edit_that_leaves_it_out_keeps_it(world: World) -> None:
    """As every other member."""
    merchant = await world.merchant(custom_dialect=HUB)
    await world.call("PATCH", f"/v1/merchants/{merchant}", {"name": "Other"})
    read = await world.call("GET", f"/v1/merchants/{merchant}")
    assert (read.json["name"], read.json["custom_dialect"]["version"]) == ("Other", 1)


async def test_the_audit_log_says_what_it_was_and_became(world: World) -> None:
    """Whoever finds signatures that do not verify looks there."""
    merchant = await world.merchant()
    await _patch(world, merchant, HUB)
    log = await world.call("GET", f"/v1/merchants/{merchant}/audit-log")
    [before, after] = log.json["data"][0]["changes"]["custom_dialect"]
    assert (before, after) == (None, {**HUB_SHOWN, "version": 2})


@pytest.mark.parametrize(
    ("changed", "pointers"),
    [
        pytest.param({"signature_header": "Host"}, ["signature_header"], id="header of ours"),
        pytest.param({"signature_header": "x y"}, ["signature_header"], id="no header name"),
        pytest.param({"id_header": "webhook-attempt"}, ["id_header"], id="header that we send"),
        pytest.param({"algorithm": "md5"}, ["algorithm"], id="no such algorithm"),
        pytest.param({"encoding": "hex2"}, ["encoding"], id="no such encoding"),
        pytest.param({"timestamp_unit": "days"}, ["timestamp_unit"], id="no such unit"),
        pytest.param({"envelope": 1}, ["envelope"], id="no text"),
        pytest.param({"signed": "{body", "envelope": "{"}, ["signed", "envelope"], id="two"),
        pytest.param({"version": 7}, ["version"], id="its version is ours"),
        pytest.param({"secret": "x"}, ["secret"], id="unknown member"),
    ],
)
async def test_what_a_format_may_not_be_is_refused_at_its_place(
    world: World, changed: dict[str, object], pointers: list[str]
) -> None:
    """At create and at edit, and nothing is changed."""
    merchant = await world.merchant()
    definition = {**HUB, **changed}
    made = await world.call(
        "POST", "/v1/merchants", {"name": "a", "mode": "live", "custom_dialect": definition}
    )
    edited = await world.call("PATCH", f"/v1/merchants/{merchant}", {"custom_dialect": definition})
    for answer in (made, edited):
        assert answer.status == 422, answer.body
        found = [error["pointer"] for error in answer.json["errors"]]
        assert found == [f"/custom_dialect/{member}" for member in pointers]
    read = await world.call("GET", f"/v1/merchants/{merchant}")
    assert (read.json["custom_dialect"], read.json["version"]) == (None, 1)


async def test_an_endpoint_speaks_it_once_it_is_set(world: World) -> None:
    """Before, nobody could say what its requests would look like."""
    merchant = await world.merchant()
    at = f"/v1/merchants/{merchant}/endpoints"
    wanted = {"label": "a", "url": "https://example.com/", "events": ["*"], "dialect": "custom"}
    refused = await world.call("POST", at, wanted)
    assert refused.status == 422
    [error] = refused.json["errors"]
    assert (error["pointer"], error["detail"]) == (
        "/dialect",
        "Set the merchant's custom_dialect first.",
    )
    await _patch(world, merchant, HUB)
    made = await world.call("POST", at, wanted)
    assert made.status == 201, made.body
    assert len(made.json["secret"]) == 64
    options = await world.call(
        "PATCH", f"{at}/{made.json['id']}", {"dialect_options": {"zone": "UTC"}}
    )
    assert [error["pointer"] for error in options.json["errors"]] == ["/dialect_options"]


async def test_a_format_that_endpoints_speak_stays(world: World) -> None:
    """Removing it would end their deliveries; how many there are is said."""
    merchant = await world.merchant(custom_dialect=HUB)
    at = f"/v1/merchants/{merchant}/endpoints"
    endpoint = await world.endpoint(merchant, dialect="custom")
    await world.endpoint(merchant)
    refused = await world.call("PATCH", f"/v1/merchants/{merchant}", {"custom_dialect": None})
    assert refused.status == 409
    assert "1 endpoint speaks" in refused.json["detail"]
    assert (await world.call("DELETE", f"{at}/{endpoint['id']}")).status == 204
    await _patch(world, merchant, None)


async def test_a_delivery_is_pinned_to_the_version_of_the_format(world: World) -> None:
    """Published, and sent again: both know which format they were made for."""
    merchant = await world.merchant(custom_dialect=HUB)
    endpoint = await world.endpoint(merchant, dialect="custom")
    await _patch(world, merchant, SLACK)
    published = await world.call(
        "POST", f"/v1/merchants/{merchant}/events", {"type": "a.b", "data": {"n": 1}}
    )
    assert (published.status, published.json["deliveries"]) == (202, 1)
    tried = await world.call(
        "POST", f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}/test", {}
    )
    assert tried.status == 202, tried.body
    leases = await world.store.lease(owner=1, lanes_max=9, per_lane_max=9, skip=())
    assert {lease.dialect_version for lease in leases.leased} == {2}


async def test_a_replay_is_made_for_the_format_as_it_is_then(world: World) -> None:
    """What a merchant asks for again, its receivers of today have to understand."""
    merchant = await world.merchant(custom_dialect=HUB)
    await world.endpoint(merchant, dialect="custom")
    await world.publish(merchant)
    at = f"/v1/merchants/{merchant}"
    [delivery] = (await world.call("GET", f"{at}/deliveries")).json["data"]
    await world.call("POST", f"{at}/deliveries/{delivery['id']}/cancel")
    await _patch(world, merchant, SLACK)
    world.advance(1)
    asked = await world.call("POST", f"{at}/replays", {"include": ["cancelled"]})
    assert asked.status == 202, asked.body
    replayer = Replayer(world.control, owner=1)
    for _ in range(3):
        world.advance(1)
        await replayer.step()
    found = await world.store.lease(owner=1, lanes_max=9, per_lane_max=9, skip=())
    versions = [each.dialect_version for each in found.leased if each.replay_bulk is not None]
    assert versions == [2]


async def test_a_name_that_nearly_is_one_is_told_the_nearest(world: World) -> None:
    """Custom included."""
    merchant = await world.merchant()
    answer = await world.call(
        "POST",
        f"/v1/merchants/{merchant}/endpoints",
        {"label": "a", "url": "https://example.com/", "events": ["*"], "dialect": "costum"},
    )
    assert "Did you mean custom?" in json.dumps(answer.json["errors"])


async def test_events_wait_for_a_dialect_that_is_not_installed_any_more(world: World) -> None:
    """Late, not lost; and the operator can give the endpoint another."""
    merchant = await world.merchant()
    made = await world.endpoint(merchant)
    merchant_id = MerchantId(ids.from_text(ids.MERCHANT, merchant) or b"")
    [routing] = await world.store.routing([merchant_id])
    [endpoint] = routing.endpoints
    changed = msgspec.structs.replace(endpoint, dialect="gone", version=endpoint.version + 1)
    entry = audit_entry(
        world.control, SYSTEM, merchant_id=merchant_id, action="endpoint.updated", target="x"
    )
    await world.control.apply(written(changed, entry))
    world.directory.outdate(merchant_id)
    refused = await world.publish(merchant)
    assert (refused.status, refused.json["retryable"]) == (503, True)
    mended = await world.call(
        "PATCH", f"/v1/merchants/{merchant}/endpoints/{made['id']}", {"dialect": "standard"}
    )
    assert mended.status == 200, mended.body
    world.directory.outdate(merchant_id)
    assert (await world.publish(merchant)).status == 202
    assert world.bugs == []
