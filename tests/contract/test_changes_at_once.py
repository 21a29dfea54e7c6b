"""Two people change what signs at once: secrets that are rotated, Source Keys that are revoked."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from tests.support.api_world import Answer
from tests.support.api_world import World as ApiWorld
from tests.support.changes import written
from tests.support.stores import STORES, open_store
from tests.support.world import World

from payhooks import limits
from payhooks.errors import StaleVersionError, WrongStateError
from payhooks.ids import MerchantId
from payhooks.model.endpoint import Endpoint, EndpointStatus, Signature, SignatureType
from payhooks.model.key import ApiKey
from payhooks.model.secret import SealedSecret
from payhooks.ports.controlling import Change, Window


@pytest.fixture(params=STORES)
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ApiWorld]:
    """Yield the API over an empty store of each kind."""
    database = request.getfixturevalue("database") if request.param == "postgres" else None
    async with open_store(request.param, tmp_path, database) as opened:
        yield ApiWorld(opened)


async def test_a_rotation_is_refused_whole_where_its_owner_has_other_secrets(world: World) -> None:
    """The one that it does not know would sign without end."""
    merchant = await world.merchant()
    first, second, third = [world.secret(merchant, merchant.id) for _ in range(3)]
    foreign = world.secret(merchant, world.ids.new())
    audit = world.audit(merchant.id)
    await world.store.apply(Change(audit=audit, secrets=(first, foreign)))
    based = frozenset({first.id})
    await world.store.apply(Change(audit=audit, secrets=(second,), secrets_before=based))
    late = Change(audit=audit, secrets=(third,), secrets_before=based, forget_secrets=(first.id,))
    [before] = await world.store.routing([merchant.id])
    with pytest.raises(StaleVersionError):
        await world.store.apply(late)
    kept = await world.store.secrets(merchant.id, merchant.id)
    assert {secret.id for secret in kept} == {first.id, second.id}
    assert await world.store.routing([merchant.id]) == [before]
    based = frozenset({first.id, second.id})
    await world.store.apply(msgspec.structs.replace(late, secrets_before=based))
    kept = await world.store.secrets(merchant.id, merchant.id)
    assert {secret.id for secret in kept} == {second.id, third.id}


async def test_a_source_key_is_revoked_once_no_endpoint_signs_with_it(world: World) -> None:
    """Asked with the write: an endpoint may have chosen it since anybody looked."""
    merchant = await world.merchant()
    key, other = [world.key(merchant.id, signing=True) for _ in range(2)]
    for made in (key, other):
        await world.store.apply(Change(audit=world.audit(merchant.id), key=made))
    signature = Signature(type=SignatureType.SOURCE_KEY, key_id=key.id)
    endpoint = await world.endpoint(merchant, signature=signature)
    paused = await world.edit(endpoint, status=EndpointStatus.PAUSED)
    revoked, other = [msgspec.structs.replace(one, revoked_at=world.now()) for one in (key, other)]
    audit = world.audit(merchant.id)
    with pytest.raises(WrongStateError):
        await world.store.apply(Change(audit=audit, key=revoked))
    assert await world.store.key_by_digest(key.digest) == key
    await world.store.apply(Change(audit=audit, key=other))
    await world.edit(paused, status=EndpointStatus.DELETED)
    await world.store.apply(Change(audit=audit, key=revoked))
    assert await world.store.key_by_digest(key.digest) == revoked


async def test_an_endpoint_cannot_choose_a_key_that_is_revoked_or_unknown(world: World) -> None:
    """It would sign with what its merchant took for closed."""
    merchant = await world.merchant()
    live, unknown = [world.key(merchant.id, signing=True) for _ in range(2)]
    revoked = world.key(merchant.id, signing=True, revoked_at=world.now())
    audit = world.audit(merchant.id)
    for key in (live, revoked):
        await world.store.apply(Change(audit=audit, key=key))
    endpoint = await world.endpoint(merchant)
    for key in (revoked, unknown):
        with pytest.raises(WrongStateError):
            await world.store.apply(_choosing(world, endpoint, key))
    assert await world.store.endpoint(merchant.id, endpoint.id) == endpoint
    await world.store.apply(_choosing(world, endpoint, live))
    chosen = await world.store.endpoint(merchant.id, endpoint.id)
    assert chosen is not None
    assert chosen.signature.key_id == live.id


@pytest.mark.parametrize("grace_s", [0, 60])
@pytest.mark.parametrize("endpoints_own", [True, False], ids=["secret", "signature key"])
async def test_of_two_rotations_at_once_one_secret_lives_without_end(
    api: ApiWorld, *, endpoints_own: bool, grace_s: int
) -> None:
    """Else whoever had the one that leaked could forge messages for ever."""
    shown, rotate = await _signer(api, endpoints_own=endpoints_own)
    other: list[Answer] = []
    read = api.store.secrets

    async def overtaken(merchant_id: MerchantId, owner_id: bytes) -> list[SealedSecret]:
        found = await read(merchant_id, owner_id)
        if not other:
            api.break_store("secrets", read)
            other.append(await api.call("POST", rotate, {"grace_s": grace_s}))
        return found

    api.break_store("secrets", overtaken)
    mine = await api.call("POST", rotate, {"grace_s": grace_s})
    assert [answer.status for answer in (*other, mine)] == [200, 200]
    living = (await api.call("GET", shown)).json["data"]
    assert [one["secret"] for one in living if one["expires_at"] is None] == [mine.json["secret"]]
    assert len(living) == (3 if grace_s else 1)


@pytest.mark.parametrize("grace_s", [0, 60])
async def test_many_rotations_at_once_keep_the_bound(api: ApiWorld, grace_s: int) -> None:
    """Every live secret is one more signature in every request, and receivers bound them."""
    shown, rotate = await _signer(api, endpoints_own=True)
    calls = [api.call("POST", rotate, {"grace_s": grace_s}) for _ in range(16)]
    statuses = [answer.status for answer in await asyncio.gather(*calls)]
    assert set(statuses) <= {200, 409}
    assert 200 in statuses
    living = (await api.call("GET", shown)).json["data"]
    assert [one["expires_at"] for one in living].count(None) == 1
    assert len(living) <= (limits.LIVE_SECRETS_MAX if grace_s else 1)


async def test_a_rotation_that_is_always_overtaken_says_to_try_again(api: ApiWorld) -> None:
    """A bound: nobody waits for others without end, and nothing is half done."""
    shown, rotate = await _signer(api, endpoints_own=True)
    read = api.store.secrets
    tries = 0

    async def overtaken(merchant_id: MerchantId, owner_id: bytes) -> list[SealedSecret]:
        nonlocal tries
        tries += 1
        found = await read(merchant_id, owner_id)
        api.break_store("secrets", read)
        assert (await api.call("POST", rotate, {"grace_s": 0})).status == 200
        api.break_store("secrets", overtaken)
        return found

    api.break_store("secrets", overtaken)
    refused = await api.call("POST", rotate, {"grace_s": 0})
    api.break_store("secrets", read)
    assert refused.status == 409
    assert "try again" in refused.json["detail"]
    assert tries == limits.EDIT_TRIES_MAX
    assert len((await api.call("GET", shown)).json["data"]) == 1


@pytest.mark.parametrize("edits", [False, True], ids=["create", "edit"])
async def test_a_key_that_is_revoked_while_an_endpoint_chooses_it_does_not_sign(
    api: ApiWorld, *, edits: bool
) -> None:
    """Its owner was told that it opens nothing and signs nothing any more."""
    merchant = await api.merchant()
    at = f"/v1/merchants/{merchant}"
    await api.key(merchant, "events:read", signing=True)
    [key] = (await api.call("GET", f"{at}/keys")).json["data"]
    choice: dict[str, object] = {"signature": {"type": "source_key", "key_id": key["id"]}}
    hook = (await api.endpoint(merchant))["id"]
    read = api.store.keys
    revoked: list[Answer] = []

    async def overtaken(merchant_id: MerchantId | None, window: Window) -> list[ApiKey]:
        found = await read(merchant_id, window)
        api.break_store("keys", read)
        revoked.append(await api.call("DELETE", f"{at}/keys/{key['id']}"))
        return found

    api.break_store("keys", overtaken)
    if edits:
        refused = await api.call("PATCH", f"{at}/endpoints/{hook}", choice)
    else:
        made = {"label": "Hook", "url": "https://example.com/hook", "events": ["*"], **choice}
        refused = await api.call("POST", f"{at}/endpoints", made)
    assert [answer.status for answer in (*revoked, refused)] == [200, 409]
    listed = (await api.call("GET", f"{at}/endpoints")).json["data"]
    assert [one["signature"]["type"] for one in listed] == ["endpoint_secret"]


def _choosing(world: World, endpoint: Endpoint, key: ApiKey) -> Change:
    signature = Signature(type=SignatureType.SOURCE_KEY, key_id=key.id)
    chosen = msgspec.structs.replace(endpoint, signature=signature, version=endpoint.version + 1)
    change = written(chosen, world.audit(endpoint.merchant_id), before=endpoint)
    return msgspec.structs.replace(change, signer=key.id)


async def _signer(api: ApiWorld, *, endpoints_own: bool) -> tuple[str, str]:
    """Return where to see and to rotate what signs."""
    merchant = await api.merchant()
    if not endpoints_own:
        place = f"/v1/merchants/{merchant}/signature-key"
        return place, f"{place}/rotate"
    hook = f"/v1/merchants/{merchant}/endpoints/{(await api.endpoint(merchant))['id']}"
    return f"{hook}/secret", f"{hook}/rotate-secret"
