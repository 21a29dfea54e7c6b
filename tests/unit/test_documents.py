"""Configuration as documents: what is written is read, by older and newer versions too."""

import msgspec
import pytest
from tests.support.stores import OpenedStore
from tests.support.world import World

from payhooks.model.endpoint import Authentication, AuthenticationType, Endpoint
from payhooks.storage.documents import decode, encode
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock


@pytest.fixture
def world() -> World:
    clock = ManualClock()
    return World(OpenedStore(store=MemoryStore(clock=clock), clock=clock))


async def test_every_kind_of_configuration_reads_back_as_it_was_written(world: World) -> None:
    """Ids are raw bytes, times have microseconds, optional values may be missing."""
    merchant = await world.merchant(reference="shop-7", account_id=b"\x00\xff" * 8)
    documents: list[msgspec.Struct] = [
        merchant,
        await world.endpoint(
            merchant,
            authentication=Authentication(type=AuthenticationType.BASIC, username="J\xf6rg"),
            retry_delays_s=(0.5, 60.0),
        ),
        world.key(None, revoked_at=world.now()),
        world.secret(merchant, merchant.id, expires_at=world.now()),
        world.job(merchant, cursor=b"\x01" * 16),
    ]
    for document in documents:
        assert decode(type(document), encode(document)) == document


async def test_a_document_of_an_older_version_gets_the_new_settings_defaults(
    world: World,
) -> None:
    """A new setting needs no migration."""
    endpoint = await world.endpoint(await world.merchant())
    old = msgspec.json.decode(encode(endpoint))
    del old["timeout_s"], old["listening"]
    assert decode(Endpoint, msgspec.json.encode(old)) == endpoint


async def test_a_document_of_a_newer_version_reads_without_what_is_unknown(
    world: World,
) -> None:
    """Old and new code run side by side while an upgrade rolls out."""
    endpoint = await world.endpoint(await world.merchant())
    new = msgspec.json.decode(encode(endpoint)) | {"colour": "blue"}
    assert decode(Endpoint, msgspec.json.encode(new).decode()) == endpoint
