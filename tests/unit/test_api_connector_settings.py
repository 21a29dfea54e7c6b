"""What a connector may be over the API, and what is said of what it may not be."""

import pytest
from tests.support.api_world import World
from tests.support.connected import connected, wanted
from tests.support.owlpay_sender import SECRET

from payhooks import limits


@pytest.fixture
def world() -> World:
    """One installation."""
    return World()


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        pytest.param({"name": "Owl"}, "/name", id="capitals"),
        pytest.param({"name": "-owl"}, "/name", id="a hyphen first"),
        pytest.param({"name": "a/b"}, "/name", id="a slash"),
        pytest.param({"name": ""}, "/name", id="no name"),
        pytest.param({"name": "a" * 65}, "/name", id="a long name"),
        pytest.param({"dialect": "owlpai"}, "/dialect", id="no such provider"),
        pytest.param({"dialect": "custom"}, "/dialect", id="a format that is not set"),
        pytest.param({"secrets": []}, "/secrets", id="no secret"),
        pytest.param(
            {"dialect": "standard", "secrets": ["whsec_?"]}, "/secrets/0", id="none of its secrets"
        ),
        pytest.param(
            {"dialect": "foloosi", "secrets": [], "options": {"signed": "extension"}},
            "/secrets",
            id="signed with nothing",
        ),
        pytest.param({"secrets": [""]}, "/secrets/0", id="an empty secret"),
        pytest.param({"secrets": [SECRET, f"{SECRET} "]}, "/secrets/1", id="a blank behind it"),
        pytest.param({"secrets": ["x" * 1_025]}, "/secrets/0", id="a long secret"),
        pytest.param({"secrets": [SECRET] * 6}, "/secrets", id="six secrets"),
        pytest.param({"credential": "a:b"}, "/credential", id="a credential that it has not"),
        pytest.param(
            {"dialect": "adyen", "secrets": ["ab" * 32], "credential": "shop:pass "},
            "/credential",
            id="a blank behind a password",
        ),
        pytest.param(
            {"dialect": "adyen", "secrets": ["ab" * 32], "credential": f"shop:{'x' * 1_024}"},
            "/credential",
            id="a long password",
        ),
        pytest.param({"options": {"nonsense": "1"}}, "/options", id="no such option"),
        pytest.param({"options": {"a": "x" * 1_025}}, "/options", id="a long option"),
        pytest.param({"options": {f"o{n}": "" for n in range(21)}}, "/options", id="21 options"),
        pytest.param({"events": ["a b"]}, "/events/0", id="no pattern"),
        pytest.param({"events": ["a"] * 101}, "/events", id="101 patterns"),
        pytest.param({"secret": SECRET}, "/secret", id="an unknown member"),
    ],
)
async def test_what_a_connector_may_not_be_is_refused_beside_its_field(
    world: World, members: dict[str, object], pointer: str
) -> None:
    """A form can only put a message beside the field that it is about."""
    merchant = await world.merchant()
    answer = await world.call("POST", f"/v1/merchants/{merchant}/connectors", wanted(**members))
    assert answer.status == 422
    assert pointer in {fault["pointer"] for fault in answer.json["errors"]}
    assert SECRET not in answer.body.decode()
    assert await world.audit_actions(merchant) == ["merchant.created"]


async def test_every_fault_is_named_at_once(world: World) -> None:
    """Mending one and being told of the next is how people give up."""
    merchant = await world.merchant()
    said = wanted(name="A", secrets=[], events=["a b"])
    answer = await world.call("POST", f"/v1/merchants/{merchant}/connectors", said)
    assert {fault["pointer"] for fault in answer.json["errors"]} == {
        "/name",
        "/secrets",
        "/events/0",
    }


async def test_a_name_is_one_connectors_until_that_is_deleted(world: World) -> None:
    """It is the address: two of one name would be told apart by nobody."""
    merchant, other = await world.merchant(), await world.merchant()
    made = await connected(world, merchant)
    await connected(world, other)
    at = f"/v1/merchants/{merchant}/connectors"

    taken = await world.call("POST", at, wanted())
    assert (taken.status, taken.json["errors"][0]["pointer"]) == (422, "/name")
    assert (await world.call("DELETE", f"{at}/{made['id']}")).status == 204
    assert (await world.call("GET", f"{at}/{made['id']}")).status == 404
    assert (await world.call("GET", f"{at}/owlpay-main")).status == 404
    assert (await connected(world, merchant))["id"] != made["id"]


async def test_a_merchant_has_so_many_connectors_and_no_more(world: World) -> None:
    """Their secrets are in the memory of every process that routes for the merchant."""
    merchant = await world.merchant()
    for number in range(limits.CONNECTORS_PER_MERCHANT_MAX):
        await connected(world, merchant, name=f"owlpay-{number}")
    answer = await world.call("POST", f"/v1/merchants/{merchant}/connectors", wanted())
    assert (answer.status, answer.json["errors"][0]["code"]) == (422, "quota")
    assert (await world.call("GET", f"/v1/merchants/{merchant}/connectors/owlpay-0")).status == 200


@pytest.mark.parametrize("member", ["name", "dialect"])
async def test_what_a_connector_is_addressed_by_stays(world: World, member: str) -> None:
    """The provider goes on posting to the old URL, in its own language."""
    merchant = await world.merchant()
    made = await connected(world, merchant)
    at = f"/v1/merchants/{merchant}/connectors/{made['id']}"
    assert (await world.call("PATCH", at, {member: made[member]})).status == 200
    refused = await world.call("PATCH", at, {member: "other"})
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, f"/{member}")


async def test_settings_are_checked_as_they_are_after_an_edit(world: World) -> None:
    """An option may need a secret that was not needed before, and may be given with it."""
    merchant = await world.merchant()
    credential = "secret-key-of-a-test"
    made = await connected(world, merchant, dialect="foloosi", secrets=[], credential=credential)
    assert made["source"] == "fetch"
    at = f"/v1/merchants/{merchant}/connectors/{made['id']}"

    signed_with_nothing = await world.call("PATCH", at, {"options": {"signed": "extension"}})
    assert signed_with_nothing.status == 422
    assert signed_with_nothing.json["errors"][0]["pointer"] == "/secrets"
    signed = {
        "options": {"signed": "extension"},
        "secrets": ["of-the-extension"],
        "credential": None,
    }
    edited = await world.call("PATCH", at, signed)
    assert (edited.status, edited.json["source"]) == (200, "signature")
    entry = (await world.call("GET", f"/v1/merchants/{merchant}/audit-log")).json["data"][0]
    assert entry["changes"]["credential"] == ["(not shown)", None]
    for said, pointer in (({"secrets": []}, "/secrets"), ({"options": {}}, "/credential")):
        refused = await world.call("PATCH", at, said)
        assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, pointer)


async def test_an_option_that_says_nothing_is_none(world: World) -> None:
    """A live account with a stand-in of no name would be one of tests for ever."""
    merchant = await world.merchant()
    said = {"dialect": "mollie", "secrets": [], "credential": f"test_{'a' * 30}"}
    made = await connected(world, merchant, **said, options={"api_url": ""})
    assert made["options"] == {}
    at = f"/v1/merchants/{merchant}/connectors/{made['id']}"
    somewhere = {"api_url": "http://127.0.0.1:9"}
    assert (await world.call("PATCH", at, {"options": somewhere})).json["options"] == somewhere
    assert (await world.call("PATCH", at, {"options": {"api_url": ""}})).json["options"] == {}


async def test_nothing_is_none_of_the_values_that_may_be_chosen(world: World) -> None:
    """The default instead of what a script forgot to say would tell of other money."""
    merchant = await world.merchant()
    said = wanted(dialect="adyen", secrets=["ab" * 32], options={"capture": ""})
    answer = await world.call("POST", f"/v1/merchants/{merchant}/connectors", said)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/options/capture")


async def test_a_format_that_a_connector_hears_stays(world: World) -> None:
    """Without it every request that is signed so would be turned away."""
    format_ = {"signature_header": "X-Sign", "envelope": '{"event":"{type}","data":"{data}"}'}
    merchant = await world.merchant(custom_dialect=format_)
    made = await connected(world, merchant, dialect="custom", secrets=["of-their-own"])
    at = f"/v1/merchants/{merchant}"
    assert (await world.call("PATCH", at, {"custom_dialect": None})).status == 409
    assert (await world.call("DELETE", f"{at}/connectors/{made['id']}")).status == 204
    assert (await world.call("PATCH", at, {"custom_dialect": None})).status == 200
