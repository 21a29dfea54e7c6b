"""What several who edit one thing at the same moment are answered, whatever the store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.api_world import World
from tests.support.stores import STORES, open_store

from payhooks.control.context import upon_what_is_there
from payhooks.errors import StaleVersionError
from payhooks.limits import EDIT_TRIES_MAX


@pytest.fixture(params=STORES)
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Yield the API over an empty store of each kind."""
    database = request.getfixturevalue("database") if request.param == "postgres" else None
    async with open_store(request.param, tmp_path, database) as opened:
        yield World(opened)


async def _at_once(api: World, target: str, *edits: dict[str, Any]) -> list[int]:
    """Return the statuses of edits that are all under way before the first is answered."""
    answers = await asyncio.gather(*(api.call("PATCH", target, edit) for edit in edits))
    return [answer.status for answer in answers]


async def test_edits_that_name_no_version_are_all_made(api: World) -> None:
    """Each says what is to be, whatever is there: it has nothing to read again."""
    merchant = await api.merchant()
    hook = await api.endpoint(merchant)
    at = f"/v1/merchants/{merchant}/endpoints/{hook['id']}"
    edits = ({"label": "Shop"}, {"timeout_s": 7}, {"rate_limit": 9}, {"ordering": "object"})
    assert await _at_once(api, at, *edits) == [200] * len(edits)
    read = (await api.call("GET", at)).json
    assert {**read, **{name: value for edit in edits for name, value in edit.items()}} == read
    assert read["version"] == 1 + len(edits)


async def test_edits_of_a_merchant_and_of_a_type_are_all_made(api: World) -> None:
    """They are read and written in the same way."""
    merchant = await api.merchant()
    edits = ({"name": "Shop"}, {"type_check": "strict"}, {"card_numbers": "mask"})
    assert await _at_once(api, f"/v1/merchants/{merchant}", *edits) == [200] * len(edits)
    own = {"words": "Left.", "schema": {"type": "object"}, "example": {"a": 1}}
    await api.call("POST", "/v1/event-types", {"family": "shop", "name": "basket.left", **own})
    words = [{"words": f"Left {n}."} for n in range(3)]
    assert await _at_once(api, "/v1/event-types/shop/basket.left", *words) == [200] * len(words)


async def test_edits_of_a_connector_and_of_a_member_are_all_made(api: World) -> None:
    """Also beside its rotation, which counts as an edit of the connector."""
    merchant = await api.merchant()
    at = f"/v1/merchants/{merchant}"
    owl = {"name": "owl", "dialect": "owlpay", "secrets": ["whs_of-a-test"]}
    assert (await api.call("POST", f"{at}/connectors", owl)).status == 201
    answers = await asyncio.gather(
        api.call("PATCH", f"{at}/connectors/owl", {"events": ["order.*"]}),
        api.call("POST", f"{at}/connectors/owl/disable"),
        api.call("POST", f"{at}/connectors/owl/rotate-secret", {"secret": "whs_of-another"}),
    )
    assert [answer.status for answer in answers] == [200] * len(answers)
    said = {"username": "ines", "email": "ines@x", "password": "seven tall herons wade"}
    member = (await api.call("POST", f"{at}/users", {**said, "role": "viewer"})).headers["location"]
    roles = ({"role": "support"}, {"role": "developer"})
    assert await _at_once(api, member, *roles) == [200, 200]


async def test_what_is_switched_at_once_is_as_the_last_one_said(api: World) -> None:
    """Nobody who pauses or resumes named a version, so nobody can have named a wrong one."""
    merchant = await api.merchant()
    hook = await api.endpoint(merchant)
    at = f"/v1/merchants/{merchant}/endpoints/{hook['id']}"
    calls = [api.call("POST", f"{at}/{word}") for word in ("pause", "resume") * 4]
    assert {answer.status for answer in await asyncio.gather(*calls)} == {200}


async def test_of_edits_of_one_version_one_is_made(api: World) -> None:
    """An If-Match asks for just that: two people with one form must not undo each other."""
    merchant = await api.merchant()
    hook = await api.endpoint(merchant)
    at = f"/v1/merchants/{merchant}/endpoints/{hook['id']}"
    answers = await asyncio.gather(
        *(
            api.call("PATCH", at, {"timeout_s": 5 + n}, headers={"If-Match": '"1"'})
            for n in range(4)
        )
    )
    assert sorted(answer.status for answer in answers) == [200, 412, 412, 412]


async def test_an_edit_that_others_are_always_before_ends() -> None:
    """A limit, as everything has one."""
    tries = 0

    async def edit() -> None:
        nonlocal tries
        tries += 1
        raise StaleVersionError("edited since")

    with pytest.raises(StaleVersionError):
        await upon_what_is_there(edit)
    assert tries == EDIT_TRIES_MAX
