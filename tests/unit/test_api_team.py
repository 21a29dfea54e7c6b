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
    answers = [
        await world.call("POST", f"{at}/invitations", said, key=writer),
        await world.call("POST", f"{at}/users", SAID, key=writer),
        await world.call("POST", f"{at}/invitations", said, key=reader),
        await world.call("GET", f"{at}/users", key=writer),
    ]
    assert {answer.status for answer in answers} == {403}
    assert (await world.call("GET", f"{at}/users", key=reader)).json["data"] == []
