"""Rotating the installation's key: everything is sealed anew, and opens with the new key alone."""

import dataclasses
import os

import pytest
from tests.support.api_world import World

from payhooks.control import merchants, resealing, secrets
from payhooks.control.context import SYSTEM, Control
from payhooks.control.keyring import Keyring
from payhooks.control.merchants import MerchantDraft
from payhooks.errors import UnavailableError
from payhooks.model.merchant import Mode

NEW_KEY = os.urandom(32)


def _with(control: Control, *keys: bytes) -> Control:
    return dataclasses.replace(control, keyring=Keyring(keys, random_bytes=os.urandom))


@pytest.mark.shows("S12")
async def test_after_rotation_the_old_key_may_go() -> None:
    """A key that leaked must become worthless without a merchant noticing."""
    world, old_key = World(), os.urandom(32)
    before = _with(world.control, old_key)
    draft = MerchantDraft(name="Shop")
    merchant = await merchants.create(before, SYSTEM, Mode.SANDBOX, draft)
    [known] = await secrets.reveal_signature_key(before, SYSTEM, merchant)

    both = _with(world.control, NEW_KEY, old_key)
    assert await resealing.reseal_all(both, SYSTEM) == 1
    assert await resealing.reseal_all(both, SYSTEM) == 0

    after = _with(world.control, NEW_KEY)
    [kept] = await secrets.reveal_signature_key(after, SYSTEM, merchant)
    assert kept.text == known.text
    entries = await world.store.audit(None, after=0, limit=10)
    assert [(entry.entry.action, entry.entry.changes) for entry in entries] == [
        ("secrets.resealed", b'{"count":[null,1]}')
    ], "the run that changed something is on record, the other is not"


async def test_without_the_old_key_nothing_is_touched() -> None:
    """Sealing what cannot be opened would destroy it."""
    world, old_key = World(), os.urandom(32)
    before = _with(world.control, old_key)
    merchant = await merchants.create(before, SYSTEM, Mode.SANDBOX, MerchantDraft(name="Shop"))
    with pytest.raises(UnavailableError):
        await resealing.reseal_all(_with(world.control, NEW_KEY), SYSTEM)
    assert len(await secrets.reveal_signature_key(before, SYSTEM, merchant)) == 1


@pytest.mark.shows("S12")
async def test_a_process_with_another_key_does_not_start() -> None:
    """It would accept events for days and sign none of them."""
    world, old_key = World(), os.urandom(32)
    before = _with(world.control, old_key)
    await resealing.demand_openable(before)
    await merchants.create(before, SYSTEM, Mode.SANDBOX, MerchantDraft(name="Shop"))
    await resealing.demand_openable(before)
    await resealing.demand_openable(_with(world.control, NEW_KEY, old_key))
    with pytest.raises(UnavailableError, match="is not in PAYHOOKS_SECRET_KEY"):
        await resealing.demand_openable(_with(world.control, NEW_KEY))
