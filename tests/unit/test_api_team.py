"""A merchant's team over the API: the same words and rules as in the console."""

import json

import pytest
from tests.support.api_world import World

PASSWORD = "six green bicycles"
SAID = {"username": "ines", "email": "ines@shop.example", "password": PASSWORD, "role": "support"}


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


async def test_a_user_is_made_and_listed_without_anything_secret(world: World) -> None:
    merchant = await world.merchant()
    at = f"/v1/merchants/{merchant}/users"
    made = await world.call("POST", at, SAID)
    assert made.status == 201
    shown = {**SAID, "two_factor": False, "disabled_at": None}
    del shown["password"]
    assert {**made.json, **shown} == made.json
    assert made.json["id"].startswith("usr_")
    listed = await world.call("GET", at)
    assert listed.json["data"] == [made.json]
    assert PASSWORD not in json.dumps([made.json, listed.json])
    assert "argon2" not in json.dumps([made.json, listed.json])


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"password": "short"}, 422, "/password"),
        ({"password": "password1234"}, 422, "/password"),
        ({"password": "x" * 300}, 422, "/password"),
        ({"email": "nobody"}, 422, "/email"),
        ({"username": "a@b"}, 422, "/username"),
        ({"role": "operator"}, 422, "/role"),
        ({"username": "INES"}, 201, None),
    ],
)
async def test_a_user_that_cannot_be_is_refused_by_member(
    world: World, change: dict[str, str], status: int, pointer: str | None
) -> None:
    merchant = await world.merchant()
    answer = await world.call("POST", f"/v1/merchants/{merchant}/users", {**SAID, **change})
    assert answer.status == status
    if pointer is not None:
        assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


async def test_a_member_has_another_role_and_leaves_as_the_console_does_it(world: World) -> None:
    """What is done by a program is seen, told and refused as what is done by a person."""
    merchant = await world.merchant()
    at = f"/v1/merchants/{merchant}/users"
    boss = {**SAID, "username": "boss", "email": "b@shop.example", "role": "owner"}
    owner = (await world.call("POST", at, boss)).json
    made = await world.call("POST", at, SAID)
    one = made.headers["location"]
    assert one == f"{at}/{made.json['id']}"
    read = await world.call("GET", one)
    assert (read.json, read.headers["etag"]) == (made.json, made.headers["etag"])
    changed = await world.call(
        "PATCH", one, {"role": "developer"}, headers={"if-match": read.headers["etag"]}
    )
    assert (changed.status, changed.json["role"]) == (200, "developer")
    assert changed.headers["etag"] == (await world.call("GET", one)).headers["etag"]
    alone = await world.call("PATCH", f"{at}/{owner['id']}", {"role": "viewer"})
    assert (alone.status, alone.json["detail"]) == (409, "The last owner of a team stays.")
    assert (await world.call("DELETE", f"{at}/{owner['id']}")).status == 409
    assert (await world.call("DELETE", one)).status == 204
    for method, body in (("GET", None), ("PATCH", {"role": "viewer"}), ("DELETE", None)):
        assert (await world.call(method, one, body)).status == 404
    assert [user["username"] for user in (await world.call("GET", at)).json["data"]] == ["boss"]
    actions = await world.audit_actions(merchant)
    assert actions[-2:] == ["member.changed", "member.removed"]
    told = [one.type for one in await world.store.announcements(limit=9)]
    assert told == ["agent.created", "agent.created", "agent.updated", "agent.deleted"]


async def test_a_member_who_changed_since_they_were_read_is_left_alone(world: World) -> None:
    """412, as for whatever else two may edit at once."""
    merchant = await world.merchant()
    at = f"/v1/merchants/{merchant}/users"
    await world.call("POST", at, {**SAID, "username": "boss", "email": "b@x", "role": "owner"})
    made = await world.call("POST", at, SAID)
    one, seen = made.headers["location"], {"if-match": made.headers["etag"]}
    await world.call("PATCH", one, {"role": "viewer"})
    for method, body in (("PATCH", {"role": "owner"}), ("DELETE", None)):
        assert (await world.call(method, one, body, headers=seen)).status == 412
    nonsense = {"if-match": '"1"'}
    assert (await world.call("DELETE", one, headers=nonsense)).status == 412
    assert (await world.call("GET", one)).json["role"] == "viewer"
    assert (await world.call("DELETE", one, headers={"if-match": "*"})).status == 204


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({}, "/role", id="nothing"),
        pytest.param({"role": "operator"}, "/role", id="no role of a team"),
        pytest.param({"role": None}, "/role", id="null"),
        pytest.param({"role": "viewer", "email": "x@y"}, "/email", id="what is the user's own"),
    ],
)
async def test_of_a_member_the_role_alone_is_the_teams_to_change(
    world: World, body: dict[str, str], pointer: str
) -> None:
    """Whoever could change the e-mail of a user could take the user over, other teams too."""
    merchant = await world.merchant()
    made = await world.call("POST", f"/v1/merchants/{merchant}/users", SAID)
    refused = await world.call("PATCH", made.headers["location"], body)
    assert refused.status == 422
    assert [error["pointer"] for error in refused.json["errors"]] == [pointer]


async def test_a_name_that_is_taken_is_a_conflict(world: World) -> None:
    mine, other = await world.merchant(), await world.merchant()
    await world.call("POST", f"/v1/merchants/{mine}/users", SAID)
    again = await world.call("POST", f"/v1/merchants/{other}/users", {**SAID, "username": "INES"})
    assert again.status == 409


async def test_an_invitation_shows_its_link_once_and_is_revoked(world: World) -> None:
    merchant = await world.merchant()
    at = f"/v1/merchants/{merchant}/invitations"
    made = await world.call("POST", at, {"email": "r@shop.example", "role": "developer"})
    assert (made.status, made.json["mailed"]) == (201, False)
    assert made.json["url"].startswith("https://payhooks.test/console/invitations/")
    [listed] = (await world.call("GET", at)).json["data"]
    assert {**listed, "url": made.json["url"], "mailed": False} == made.json
    assert "url" not in listed
    one = f"{at}/{made.json['id']}"
    assert (await world.call("DELETE", one)).status == 204
    assert (await world.call("DELETE", one)).status == 404
    assert (await world.call("GET", at)).json["data"] == []


async def test_a_key_that_may_write_the_team_makes_nobody_greater_than_itself(
    world: World,
) -> None:
    """Else team:write would be every permission."""
    merchant = await world.merchant()
    writer = await world.key(merchant, "team:write")
    reader = await world.key(merchant, "team:read")
    at = f"/v1/merchants/{merchant}"
    said = {"email": "r@shop.example", "role": "viewer"}
    made = await world.call("POST", f"{at}/users", {**SAID, "username": "a", "email": "a@x"})
    one = made.headers["location"]
    answers = [
        await world.call("PATCH", one, {"role": "viewer"}, key=writer),
        await world.call("PATCH", one, {"role": "viewer"}, key=reader),
        await world.call("DELETE", one, key=writer),
        await world.call("DELETE", one, key=reader),
        await world.call("GET", one, key=writer),
        await world.call("POST", f"{at}/invitations", said, key=writer),
        await world.call("POST", f"{at}/users", SAID, key=writer),
        await world.call("POST", f"{at}/invitations", said, key=reader),
        await world.call("GET", f"{at}/users", key=writer),
    ]
    assert {answer.status for answer in answers} == {403}
    listed = await world.call("GET", f"{at}/users", key=reader)
    assert listed.json["data"] == [made.json]
    assert (await world.call("GET", one, key=reader)).json == made.json
