"""Connectors over the API: made, edited, given new secrets, disabled, deleted; never disclosed."""

from datetime import timedelta

import pytest
from tests.support.api_world import World
from tests.support.connected import PAID, connected, path_of, sent, wanted
from tests.support.owlpay_sender import OTHER_SECRET, SECRET

from payhooks import limits
from payhooks.control.connector_draft import ConnectorDraft

pytestmark = pytest.mark.shows("N02")


@pytest.fixture
def world() -> World:
    """One installation."""
    return World()


async def test_a_new_connector_says_what_to_do_at_the_provider(world: World) -> None:
    """Who sets it up has two browser tabs open, and no time for a manual."""
    merchant = await world.merchant(reference="cafe")
    answer = await world.call("POST", f"/v1/merchants/{merchant}/connectors", wanted())
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
    first, second = (
        await connected(world, merchant),
        await connected(world, merchant, name="owlpay-2"),
    )
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
    made = await connected(world, merchant)
    await sent(world, path_of(made))
    await sent(world, path_of(made), OTHER_SECRET)

    at = f"/v1/merchants/{merchant}/connectors"
    health = (await world.call("GET", f"{at}/owlpay-main")).json["health"]
    assert (health["received"], health["unverified"], health["quarantined"]) == (1, 1, 1)
    assert health["last_received_at"] == health["last_unverified_at"] is not None
    assert health["quarantined_bytes"] == len(PAID)
    assert (await world.call("GET", at)).json["data"][0]["health"] == health


async def test_an_edit_changes_what_is_given_and_nothing_else(world: World) -> None:
    merchant = await world.merchant()
    made = await connected(world, merchant)
    at = f"/v1/merchants/{merchant}/connectors/owlpay-main"

    answer = await world.call("PATCH", at, {"events": ["payment_intent.*"]})

    assert answer.headers["etag"] == '"2"'
    edited = answer.json
    assert edited["events"] == ["payment_intent.*"]
    same = {"events", "version", "updated_at"}
    assert {k: v for k, v in edited.items() if k not in same} == {
        k: v for k, v in made.items() if k not in same
    }
    assert await sent(world, path_of(made)) == 200


async def test_an_edit_based_on_an_old_version_changes_nothing(world: World) -> None:
    """Two people with the same page open must not undo each other unseen."""
    merchant = await world.merchant()
    made = await connected(world, merchant)
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
    made = await connected(world, merchant)
    at = f"/v1/merchants/{merchant}/connectors/{made['id']}"
    await world.call("PATCH", at, {"secrets": [OTHER_SECRET]})
    assert await sent(world, path_of(made), SECRET) == 401
    assert await sent(world, path_of(made), OTHER_SECRET) == 200


async def test_both_secrets_verify_until_the_grace_ends(world: World) -> None:
    """The provider changes over at a moment that nobody here chooses."""
    merchant = await world.merchant()
    made = await connected(world, merchant)
    at = f"/v1/merchants/{merchant}/connectors/{made['id']}/rotate-secret"

    rotated = await world.call("POST", at, {"secret": OTHER_SECRET, "grace_s": 60})
    assert (rotated.status, rotated.headers["etag"]) == (200, '"2"')
    assert await sent(world, path_of(made), SECRET) == 200
    assert await sent(world, path_of(made), OTHER_SECRET) == 200
    world.clock.advance(timedelta(seconds=61))
    assert await sent(world, path_of(made), SECRET) == 401
    assert await sent(world, path_of(made), OTHER_SECRET) == 200


async def test_a_rotation_is_bounded_and_without_grace_is_immediate(world: World) -> None:
    merchant = await world.merchant()
    made = await connected(world, merchant)
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
    assert await sent(world, path_of(made), SECRET) == 401


async def test_a_disabled_connector_is_not_there_for_its_provider(world: World) -> None:
    """Who posts to a guess must not learn that there is something behind it."""
    merchant = await world.merchant()
    made = await connected(world, merchant)
    at = f"/v1/merchants/{merchant}/connectors/owlpay-main"
    for move, status, answer in (("disable", "disabled", 404), ("enable", "active", 200)):
        for _ in range(2):
            moved = await world.call("POST", f"{at}/{move}")
            assert (moved.status, moved.json["status"]) == (200, status)
        assert await sent(world, path_of(made)) == answer
    actions = await world.audit_actions(merchant)
    assert actions.count("connector.disabled") == actions.count("connector.enabled") == 1


@pytest.mark.shows("S13")
async def test_secrets_are_in_no_answer_and_no_audit_entry(world: World) -> None:
    """Whoever has one makes payments succeed that nobody paid."""
    merchant = await world.merchant()
    made = await connected(world, merchant)
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
    await connected(world, merchant)
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
    made = await connected(world, other)
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


async def test_a_provider_whose_keys_are_its_own_has_no_secret_to_rotate(world: World) -> None:
    """PayPal does sign, with a certificate: told that it signs nothing, who would trust it."""
    merchant = await world.merchant()
    options = {"webhook_id": "4JH86294D6297924G"}
    made = await connected(world, merchant, dialect="paypal", secrets=[], options=options)
    at = f"/v1/merchants/{merchant}/connectors/{made['id']}/rotate-secret"
    refused = await world.call("POST", at, {"secret": SECRET, "grace_s": 0})
    assert refused.status == 422
    [fault] = refused.json["errors"]
    assert fault["pointer"] == "/secret"
    assert fault["detail"] == "This provider signs with nothing that is kept here."
