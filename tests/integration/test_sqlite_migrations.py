"""What migrations make of rows that a version before has written."""

from pathlib import Path
from random import Random

import apsw
from tests.support.stores import OpenedStore
from tests.support.world import World

from payhooks.dialects.deadlines import lease_s
from payhooks.dialects.registry import DIALECTS
from payhooks.storage.sqlite import SqliteStore
from payhooks.testing import ManualClock


async def test_lanes_of_before_lease_for_what_their_dialects_allow(tmp_path: Path) -> None:
    """Nobody edits an endpoint because its requests are made twice."""
    clock, path = ManualClock(), tmp_path / "payhooks.sqlite"
    store = await SqliteStore.open(path, clock=clock, random=Random(1))
    world = World(OpenedStore(store, clock))
    merchant = await world.merchant()
    endpoints = [
        *[await world.endpoint(merchant, dialect=dialect) for dialect in (*DIALECTS, "anothers")],
        await world.endpoint(merchant, dialect="merchant-console", timeout_s=15.0),
    ]
    await store.close()
    plain = apsw.Connection(str(path))
    plain.execute("UPDATE lanes SET lease_us = 30000000")
    plain.execute("DELETE FROM schema_migrations WHERE number = 10")
    plain.close()

    store = await SqliteStore.open(path, clock=clock, random=Random(1))
    await store.close()

    plain = apsw.Connection(str(path))
    rows = plain.execute("SELECT endpoint_id, lease_us / 1000000.0 FROM lanes").fetchall()
    plain.close()
    # Those that allow less than the default keep its lease: nothing is lost by it.
    assert sorted(rows) == sorted((one.id, max(lease_s(one), 30.0)) for one in endpoints)
