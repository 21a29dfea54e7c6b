"""Secrets in the tables: each opens in its own place alone, and no two are sealed alike."""

import os

import msgspec
import pytest
from tests.support.api_world import World

from payhooks import ids
from payhooks.control import secrets
from payhooks.control.keyring import Keyring, SealContext
from payhooks.dialects import registry
from payhooks.dialects.contract import SECRET_RANDOM_BYTES
from payhooks.ids import MerchantId
from payhooks.model.secret import SealedSecret, SecretPurpose

_NONCE = slice(9, 21)  # behind format and key id
_BEARER = {"type": "bearer", "token": "the-bearer-token"}


async def _secrets(api: World, merchant: str, endpoint: str | None) -> list[SealedSecret]:
    owner = ids.from_text(ids.MERCHANT, merchant)
    assert owner is not None
    of = owner if endpoint is None else ids.from_text(ids.ENDPOINT, endpoint)
    assert of is not None
    return await api.store.secrets(MerchantId(owner), of)


def _of(found: list[SealedSecret], purpose: SecretPurpose) -> SealedSecret:
    return next(secret for secret in found if secret.purpose is purpose)


@pytest.mark.shows("S11")
@pytest.mark.parametrize(
    "whose", ["another merchant", "another endpoint", "another purpose", "an older secret"]
)
async def test_a_sealed_secret_opens_nowhere_else(api: World, whose: str) -> None:
    """Whoever can write the tables must not be able to read a secret by moving it to his own."""
    mine, other = await api.merchant(), await api.merchant()
    victim = await api.endpoint(other, authentication=_BEARER)
    at = f"/v1/merchants/{mine}/endpoints"
    endpoint = await api.endpoint(mine, authentication=_BEARER)
    neighbour = await api.endpoint(mine)
    old = _of(await _secrets(api, mine, endpoint["id"]), SecretPurpose.ENDPOINT)
    await api.call("POST", f"{at}/{endpoint['id']}/rotate-secret", {"grace_s": 60})
    place = _of(await _secrets(api, mine, endpoint["id"]), SecretPurpose.ENDPOINT)
    assert place.id != old.id
    stolen = {
        "another merchant": _of(await _secrets(api, other, victim["id"]), SecretPurpose.ENDPOINT),
        "another endpoint": _of(await _secrets(api, mine, neighbour["id"]), SecretPurpose.ENDPOINT),
        "another purpose": _of(
            await _secrets(api, mine, endpoint["id"]), SecretPurpose.AUTHENTICATION
        ),
        "an older secret": old,
    }[whose]
    shown = await api.call("GET", f"{at}/{endpoint['id']}/secret")
    assert shown.status == 200
    moved = msgspec.structs.replace(place, sealed=stolen.sealed)
    assert await api.store.reseal([place], [moved]) == 1
    refused = await api.call("GET", f"{at}/{endpoint['id']}/secret")
    assert (refused.status, refused.json["type"]) == (503, "/problems/store-unavailable")
    plain = secrets.open_secret(api.control.keyring, stolen)
    assert plain.encode() not in refused.body


def _draw_nonces(count: int) -> int:
    keyring = Keyring([os.urandom(32)], random_bytes=os.urandom)
    context = SealContext(
        purpose="p", table="t", column="c", merchant_id=bytes(16), row_id=bytes(16)
    )
    return len({keyring.seal(b"", context=context)[_NONCE] for _ in range(count)})


@pytest.mark.shows("S11")
@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_no_nonce_comes_twice(count: int) -> None:
    """With the same nonce twice, AES-GCM gives away what both secrets have in common."""
    assert _draw_nonces(count) == count


@pytest.mark.shows("S09")
@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_every_secret_is_one_of_its_kind(count: int) -> None:
    """Two endpoints with one secret, and either could forge what the other gets."""
    standard = registry.find("standard")
    drawn = {standard.new_secret(os.urandom(SECRET_RANDOM_BYTES)) for _ in range(count)}
    assert len(drawn) == count


@pytest.mark.shows("S09")
async def test_each_endpoint_merchant_and_key_has_its_own_secret(api: World) -> None:
    """Made from chance alone: two that look the same in everything else share nothing."""
    found: list[str] = []
    for _ in range(3):
        merchant = await api.merchant()
        at = f"/v1/merchants/{merchant}"
        found.append((await api.call("GET", f"{at}/signature-key")).json["data"][0]["secret"])
        found += [await api.key(merchant, "events:read") for _ in range(3)]
        for _ in range(3):
            endpoint = await api.endpoint(merchant)
            found.append(endpoint["secret"])
            rotated = await api.call("POST", f"{at}/endpoints/{endpoint['id']}/rotate-secret")
            found.append(rotated.json["secret"])
    assert len(set(found)) == len(found) == 30
    assert all(len(each) >= 32 for each in found)


@pytest.mark.shows("S09")
async def test_a_secret_is_shown_when_made_and_then_on_record_alone(api: World) -> None:
    """Reading an endpoint must not be enough to forge for it; a look leaves a line."""
    merchant = await api.merchant()
    endpoint = await api.endpoint(merchant)
    at = f"/v1/merchants/{merchant}/endpoints"
    reader = await api.key(merchant, "endpoints:read", "endpoints:write", "audit:read")
    for place in (at, f"{at}/{endpoint['id']}", f"/v1/merchants/{merchant}/audit-log"):
        answer = await api.call("GET", place, key=reader)
        assert endpoint["secret"].encode() not in answer.body
    refused = await api.call("GET", f"{at}/{endpoint['id']}/secret", key=reader)
    assert refused.status == 403
    before = await api.audit_actions(merchant)
    shown = await api.call("GET", f"{at}/{endpoint['id']}/secret")
    assert shown.json["data"][0]["secret"] == endpoint["secret"]
    assert await api.audit_actions(merchant) == [*before, "endpoint.revealed"]
