"""Connectors over the API: made, edited, given new secrets, disabled, deleted; never disclosed."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.api_world import World
from tests.support.owlpay_sender import OTHER_SECRET, SECRET, message, signed

from payhooks import limits
from payhooks.control.connector_draft import ConnectorDraft

PAID = message("payment_intent.succeeded", {"uuid": "pi_1", "status": "succeeded", "amount": 1})


@pytest.fixture
def world() -> World:
    """One installation."""
    return World()


def _said(**members: object) -> dict[str, object]:
    return {"name": "owlpay-main", "dialect": "owlpay", "secrets": [SECRET], **members}


async def _made(world: World, merchant: str, **members: object) -> dict[str, Any]:
    answer = await world.call("POST", f"/v1/merchants/{merchant}/connectors", _said(**members))
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.json
    return made


async def _sent(world: World, url: str, secret: str = SECRET) -> int:
    headers = signed(PAID, world.clock.now(), secret)
    answer = await world.call("POST", url, raw=PAID, key=None, headers=headers)
    return answer.status


def _path(made: dict[str, Any]) -> str:
    """Return the path of the URL that is pasted at the provider."""
    url: str = made["url"]
    return "/" + url.split("/", 3)[3]


async def test_a_new_connector_says_what_to_do_at_the_provider(world: World) -> None:
    """Who sets it up has two browser tabs open, and no time for a manual."""
    merchant = await world.merchant(reference="cafe")
    answer = await world.call("POST", f"/v1/merchants/{merchant}/connectors", _said())
    made = answer.json

    assert answer.status == 201
    assert answer.headers["location"] == f"/v1/merchants/{merchant}/connectors/{made['id']}"
    assert answer.headers["etag"] == '"1"'
    assert made["url"].endswith("/webhooks/cafe/owlpay-main")
    assert (made["source"], made["status"], made["dialect"]) == ("signature", "active", "owlpay")
    assert set(made["guide"]) == {"where", "events", "secret", "source_url"}
    assert made["secret_words"]["label"]
    assert made["health"] == {
        "received": 0,
        "unverified": 0,
        "last_received_at": None,
        "last_unverified_at": None,
        "quarantined": 0,
        "quarantined_bytes": 0,
        "dropped": 0,
    }


async def test_a_connector_is_read_by_its_id_or_its_name_and_listed(world: World) -> None:
    """The name is what stands in the provider's dashboard; the id is what programs keep."""
    merchant = await world.merchant()
    first, second = await _made(world, merchant), await _made(world, merchant, name="owlpay-2")
    at = f"/v1/merchants/{merchant}/connectors"

    for text in (first["id"], "owlpay-main"):
        assert (await world.call("GET", f"{at}/{text}")).json == first
    listed = (await world.call("GET", at)).json
    assert [one["id"] for one in listed["data"]] == [second["id"], first["id"]]
    page = (await world.call("GET", f"{at}?limit=1")).json
    assert (len(page["data"]), page["has_more"]) == (1, True)


async def test_health_tells_what_came_and_what_was_not_verified(world: World) -> None:
    """A connector that is silent, and one whose secret is wrong, look alike from the outside."""
    merchant = await world.merchant()
    made = await _made(world, merchant)
    await _sent(world, _path(made))
    await _sent(world, _path(made), OTHER_SECRET)

    at = f"/v1/merchants/{merchant}/connectors"
    health = (await world.call("GET", f"{at}/owlpay-main")).json["health"]
    assert (health["received"], health["unverified"], health["quarantined"]) == (1, 1, 1)
    assert health["last_received_at"] == health["last_unverified_at"] is not None
    assert health["quarantined_bytes"] == len(PAID)
    assert (await world.call("GET", at)).json["data"][0]["health"] == health


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
        pytest.param({"secret": SECRET}, "", id="an unknown member"),
    ],
)
async def test_what_a_connector_may_not_be_is_refused_beside_its_field(
    world: World, members: dict[str, object], pointer: str
) -> None:
    """A form can only put a message beside the field that it is about."""
    merchant = await world.merchant()
    answer = await world.call("POST", f"/v1/merchants/{merchant}/connectors", _said(**members))
    assert answer.status == 422
    assert pointer in {fault["pointer"] for fault in answer.json["errors"]}
    assert SECRET not in answer.body.decode()
    assert await world.audit_actions(merchant) == ["merchant.created"]


async def test_every_fault_is_named_at_once(world: World) -> None:
    """Mending one and being told of the next is how people give up."""
    merchant = await world.merchant()
    said = _said(name="A", secrets=[], events=["a b"])
    answer = await world.call("POST", f"/v1/merchants/{merchant}/connectors", said)
    assert {fault["pointer"] for fault in answer.json["errors"]} == {
        "/name",
        "/secrets",
        "/events/0",
    }


async def test_a_name_is_one_connectors_until_that_is_deleted(world: World) -> None:
    """It is the address: two of one name would be told apart by nobody."""
    merchant, other = await world.merchant(), await world.merchant()
    made = await _made(world, merchant)
    await _made(world, other)
    at = f"/v1/merchants/{merchant}/connectors"

    taken = await world.call("POST", at, _said())
    assert (taken.status, taken.json["errors"][0]["pointer"]) == (422, "/name")
    assert (await world.call("DELETE", f"{at}/{made['id']}")).status == 204
    assert (await world.call("GET", f"{at}/{made['id']}")).status == 404
    assert (await world.call("GET", f"{at}/owlpay-main")).status == 404
    assert (await _made(world, merchant))["id"] != made["id"]


async def test_a_merchant_has_so_many_connectors_and_no_more(world: World) -> None:
    """Their secrets are in the memory of every process that routes for the merchant."""
    merchant = await world.merchant()
    for number in range(limits.CONNECTORS_PER_MERCHANT_MAX):
        await _made(world, merchant, name=f"owlpay-{number}")
    answer = await world.call("POST", f"/v1/merchants/{merchant}/connectors", _said())
    assert (answer.status, answer.json["errors"][0]["code"]) == (422, "quota")
    assert (await world.call("GET", f"/v1/merchants/{merchant}/connectors/owlpay-0")).status == 200


async def test_an_edit_changes_what_is_given_and_nothing_else(world: World) -> None:
    merchant = await world.merchant()
    made = await _made(world, merchant)
    at = f"/v1/merchants/{merchant}/connectors/owlpay-main"

    answer = await world.call("PATCH", at, {"events": ["payment_intent.*"]})

    assert answer.headers["etag"] == '"2"'
    edited = answer.json
    assert edited["events"] == ["payment_intent.*"]
    same = {"events", "version", "updated_at"}
    assert {k: v for k, v in edited.items() if k not in same} == {
        k: v for k, v in made.items() if k not in same
    }
    assert await _sent(world, _path(made)) == 200


@pytest.mark.parametrize("member", ["name", "dialect"])
async def test_what_a_connector_is_addressed_by_stays(world: World, member: str) -> None:
    """The provider goes on posting to the old URL, in its own language."""
    merchant = await world.merchant()
    made = await _made(world, merchant)
    at = f"/v1/merchants/{merchant}/connectors/{made['id']}"
    assert (await world.call("PATCH", at, {member: made[member]})).status == 200
    refused = await world.call("PATCH", at, {member: "other"})
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, f"/{member}")


async def test_an_edit_based_on_an_old_version_changes_nothing(world: World) -> None:
    """Two people with the same page open must not undo each other unseen."""
    merchant = await world.merchant()
    made = await _made(world, merchant)
    at = f"/v1/merchants/{merchant}/connectors/{made['id']}"
    assert (
        await world.call("PATCH", at, {"events": ["a"]}, headers={"if-match": '"1"'})
    ).status < 300

    for method, body in (("PATCH", {"events": ["b"]}), ("DELETE", None)):
        stale = await world.call(method, at, body, headers={"if-match": '"1"'})
        assert stale.status == 412
    assert (await world.call("GET", at)).json["events"] == ["a"]


async def test_secrets_that_are_given_replace_the_old_ones_at_once(world: World) -> None:
    """A secret that leaked must not verify for another minute."""
    merchant = await world.merchant()
    made = await _made(world, merchant)
    at = f"/v1/merchants/{merchant}/connectors/{made['id']}"
    await world.call("PATCH", at, {"secrets": [OTHER_SECRET]})
    assert await _sent(world, _path(made), SECRET) == 401
    assert await _sent(world, _path(made), OTHER_SECRET) == 200


async def test_settings_are_checked_as_they_are_after_an_edit(world: World) -> None:
    """An option may need a secret that was not needed before, and may be given with it."""
    merchant = await world.merchant()
    credential = "secret-key-of-a-test"
    made = await _made(world, merchant, dialect="foloosi", secrets=[], credential=credential)
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


async def test_a_format_that_a_connector_hears_stays(world: World) -> None:
    """Without it every request that is signed so would be turned away."""
    format_ = {"signature_header": "X-Sign", "envelope": '{"event":"{type}","data":"{data}"}'}
    merchant = await world.merchant(custom_dialect=format_)
    made = await _made(world, merchant, dialect="custom", secrets=["of-their-own"])
    at = f"/v1/merchants/{merchant}"
    assert (await world.call("PATCH", at, {"custom_dialect": None})).status == 409
    assert (await world.call("DELETE", f"{at}/connectors/{made['id']}")).status == 204
    assert (await world.call("PATCH", at, {"custom_dialect": None})).status == 200


async def test_both_secrets_verify_until_the_grace_ends(world: World) -> None:
    """The provider changes over at a moment that nobody here chooses."""
    merchant = await world.merchant()
    made = await _made(world, merchant)
    at = f"/v1/merchants/{merchant}/connectors/{made['id']}/rotate-secret"

    rotated = await world.call("POST", at, {"secret": OTHER_SECRET, "grace_s": 60})
    assert (rotated.status, rotated.headers["etag"]) == (200, '"2"')
    assert await _sent(world, _path(made), SECRET) == 200
    assert await _sent(world, _path(made), OTHER_SECRET) == 200
    world.clock.advance(timedelta(seconds=61))
    assert await _sent(world, _path(made), SECRET) == 401
    assert await _sent(world, _path(made), OTHER_SECRET) == 200


async def test_a_rotation_is_bounded_and_without_grace_is_immediate(world: World) -> None:
    merchant = await world.merchant()
    made = await _made(world, merchant)
    at = f"/v1/merchants/{merchant}/connectors/{made['id']}/rotate-secret"
    for _ in range(limits.LIVE_SECRETS_MAX - 1):
        assert (await world.call("POST", at, {"secret": SECRET, "grace_s": 60})).status == 200
    assert (await world.call("POST", at, {"secret": SECRET, "grace_s": 60})).status == 409
    for said, pointer in (
        ({"secret": ""}, "/secret"),
        ({"secret": f" {SECRET}"}, "/secret"),
        ({"secret": SECRET, "grace_s": -1}, "/grace_s"),
    ):
        refused = await world.call("POST", at, said)
        assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, pointer)
    assert (await world.call("POST", at, {"secret": OTHER_SECRET, "grace_s": 0})).status == 200
    assert await _sent(world, _path(made), SECRET) == 401


async def test_a_disabled_connector_is_not_there_for_its_provider(world: World) -> None:
    """Who posts to a guess must not learn that there is something behind it."""
    merchant = await world.merchant()
    made = await _made(world, merchant)
    at = f"/v1/merchants/{merchant}/connectors/owlpay-main"
    for move, status, answer in (("disable", "disabled", 404), ("enable", "active", 200)):
        for _ in range(2):
            moved = await world.call("POST", f"{at}/{move}")
            assert (moved.status, moved.json["status"]) == (200, status)
        assert await _sent(world, _path(made)) == answer
    actions = await world.audit_actions(merchant)
    assert actions.count("connector.disabled") == actions.count("connector.enabled") == 1


@pytest.mark.shows("S13")
async def test_secrets_are_in_no_answer_and_no_audit_entry(world: World) -> None:
    """Whoever has one makes payments succeed that nobody paid."""
    merchant = await world.merchant()
    made = await _made(world, merchant)
    at = f"/v1/merchants/{merchant}/connectors"
    answers = [
        await world.call("PATCH", f"{at}/{made['id']}", {"secrets": [SECRET, OTHER_SECRET]}),
        await world.call("POST", f"{at}/{made['id']}/rotate-secret", {"secret": OTHER_SECRET}),
        await world.call("GET", f"{at}/{made['id']}"),
        await world.call("GET", at),
        await world.call("GET", f"/v1/merchants/{merchant}/audit-log?limit=100"),
    ]
    assert [answer.status for answer in answers] == [200] * 5
    for answer in answers:
        for secret in (SECRET, OTHER_SECRET):
            assert secret.removeprefix("whs_") not in answer.body.decode()
    [updated] = [one for one in answers[-1].json["data"] if one["action"] == "connector.updated"]
    assert updated["changes"] == {"secrets": ["(not shown)", "(changed)"]}
    assert SECRET not in repr(ConnectorDraft(name="a", secrets=(SECRET,), credential=SECRET))


@pytest.mark.shows("S14")
async def test_reading_and_changing_connectors_are_permissions_of_their_own(world: World) -> None:
    """Whoever may set a secret can make events; who publishes or adds webhooks need not."""
    merchant = await world.merchant()
    await _made(world, merchant)
    at = f"/v1/merchants/{merchant}/connectors"
    others = await world.key(merchant, "events:write", "endpoints:write", "deliveries:write")
    reader = await world.key(merchant, "connectors:read")
    writer = await world.key(merchant, "connectors:write")

    reads = [at, f"{at}/owlpay-main", f"/v1/merchants/{merchant}/receipts"]
    reads.append(f"/v1/merchants/{merchant}/overdue")
    for target in reads:
        statuses = [
            (await world.call("GET", target, key=key)).status for key in (others, reader, writer)
        ]
        assert statuses == [403, 200, 403]
    for key, status in ((others, 403), (reader, 403), (writer, 200)):
        assert (await world.call("POST", f"{at}/owlpay-main/enable", key=key)).status == status


@pytest.mark.shows("S26")
async def test_another_merchants_connector_is_none(world: World) -> None:
    """By id or by name, for every call there is."""
    merchant, other = await world.merchant(), await world.merchant()
    made = await _made(world, other)
    at = f"/v1/merchants/{merchant}/connectors"
    nothing = "con_00000000000000000000000000"
    calls: list[tuple[str, str, object]] = [
        ("GET", "", None),
        ("PATCH", "", {"events": []}),
        ("DELETE", "", None),
        ("POST", "/rotate-secret", {"secret": SECRET}),
        ("POST", "/disable", None),
        ("POST", "/enable", None),
        ("POST", "/reprocess", {"states": ["quarantined"]}),
    ]
    for method, rest, body in calls:
        theirs = await world.call(method, f"{at}/{made['id']}{rest}", body)
        none = await world.call(method, f"{at}/{nothing}{rest}", body)
        named = await world.call(method, f"{at}/owlpay-main{rest}", body)
        assert [theirs.status, none.status, named.status] == [404, 404, 404]
        assert theirs.json["detail"] == none.json["detail"] == named.json["detail"]
    assert (await world.call("GET", at)).json["data"] == []


async def test_every_provider_that_can_be_heard_is_listed_with_its_guide(world: World) -> None:
    """The list is what a form is made of."""
    merchant = await world.merchant()
    key = await world.key(merchant, "events:read")
    found = (await world.call("GET", "/v1/providers", key=key)).json["data"]
    assert [one["name"] for one in found] == sorted(one["name"] for one in found)
    [owlpay] = [one for one in found if one["name"] == "owlpay"]
    assert owlpay["title"] == "OwlPay"
    assert all(owlpay["guide"].values())
    assert owlpay["methods"] == ["POST", "PUT"]
