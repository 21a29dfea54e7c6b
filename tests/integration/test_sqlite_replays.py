"""What the embedded store could get wrong of a replay: it numbers places anew at each start."""

from pathlib import Path
from random import Random

from tests.support.stores import OpenedStore
from tests.support.world import World, events_of

from payhooks.ports.controlling import Change
from payhooks.storage.sqlite import SqliteStore
from payhooks.testing import ManualClock

OBJECT = b"o" * 16


async def _open(path: Path, clock: ManualClock) -> World:
    store = await SqliteStore.open(path, clock=clock, random=Random(1))
    return World(OpenedStore(store, clock))


async def test_a_replay_after_a_restart_never_gets_its_old_place_by_chance(tmp_path: Path) -> None:
    """That place says that it held its object up; taken back, it would begin to."""
    clock = ManualClock()
    before = await _open(tmp_path / "payhooks.db", clock)
    merchant = await before.merchant()
    endpoint = await before.endpoint(merchant)
    failed = await before.publish(merchant, endpoint, order_key=OBJECT)
    await before.fail(await before.lease_one())
    await before.store.close()
    # The queue is empty, so its places begin with the first one again.
    after = await _open(tmp_path / "payhooks.db", clock)
    after.ids = before.ids
    job = after.job(merchant)
    await after.store.apply(Change(audit=after.audit(merchant.id), replay=job))
    item = after.again(failed, endpoint, OBJECT)
    assert await after.store.advance_replay(job, after=job, items=[item], bulk=True)
    behind = await after.publish(merchant, endpoint, order_key=OBJECT)
    assert await after.store.cancel_replay_backlog(merchant.id, job.id, limit=10) == 1
    assert events_of(await after.lease()) == [behind.id]
    await after.store.close()
