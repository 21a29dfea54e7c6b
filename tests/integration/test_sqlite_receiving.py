"""What only a file can show of receipts: a restart, a damaged row, what plain publishing costs."""

from pathlib import Path
from random import Random

import apsw
import pytest
from tests.support.inbound import FOR_S, Inbound
from tests.support.stores import OpenedStore
from tests.support.world import OWNER, World

from payhooks.errors import DamagedError
from payhooks.storage.sqlite import SqliteStore, concluding, migrations
from payhooks.storage.sqlite.connection import connect
from payhooks.testing import ManualClock


async def _open(path: Path, clock: ManualClock) -> Inbound:
    store = await SqliteStore.open(path, clock=clock, random=Random(1))
    return Inbound(World(OpenedStore(store, clock)))


async def test_what_a_dead_process_had_not_read_is_free_at_the_next_start(tmp_path: Path) -> None:
    """The lock proves that nobody holds it, so no provider's news waits for a claim to run out."""
    clock = ManualClock()
    before = await _open(tmp_path / "file", clock)
    connector = await before.connector(await before.world.merchant())
    done = await before.concluded(await before.received(connector))
    waiting = await before.received(connector)
    await before.store.close()  # as far as the file shows, this is how a kill looks

    after = await _open(tmp_path / "file", clock)

    claim = after.store.claim_receipts
    assert await claim(owner=OWNER + 1, limit=10, for_s=FOR_S) == [waiting]
    assert await after.stored(done) == done
    await after.store.close()


async def test_a_damaged_receipt_holds_up_none_of_the_others(tmp_path: Path) -> None:
    """Whoever asks for it is told; the claim, which takes what there is, goes on without it."""
    clock = ManualClock()
    before = await _open(tmp_path / "file", clock)
    connector = await before.connector(await before.world.merchant())
    receipts = [await before.received(connector) for _ in range(3)]
    await before.store.close()
    with apsw.Connection(str(tmp_path / "file")) as db:
        db.execute("UPDATE receipts SET document = x'7b' WHERE id = ?", (receipts[1].id,))

    after = await _open(tmp_path / "file", clock)

    claimed = await after.store.claim_receipts(owner=OWNER, limit=10, for_s=FOR_S)
    assert claimed == [receipts[0], receipts[2]]
    with pytest.raises(DamagedError):
        await after.stored(receipts[1])
    await after.store.close()


async def test_a_damaged_expectation_holds_up_none_of_the_others(tmp_path: Path) -> None:
    """One bad row must not end the watch over everybody's payments."""
    clock = ManualClock()
    before = await _open(tmp_path / "file", clock)
    connector = await before.connector(await before.world.merchant())
    first, second = [
        await before.expects(before.expectation(connector, object_id))
        for object_id in ("pay_1", "pay_2")
    ]
    await before.store.close()
    with apsw.Connection(str(tmp_path / "file")) as db:
        db.execute("UPDATE expectations SET document = x'7b' WHERE id = ?", (first.id,))

    after = await _open(tmp_path / "file", clock)

    claimed = await after.store.claim_expectations(limit=10, for_s=FOR_S)
    assert [one.id for one in claimed] == [second.id]
    await after.store.close()


def test_a_batch_without_conclusions_runs_no_statement_for_them(tmp_path: Path) -> None:
    """Plain publishing must not pay for what providers send."""
    db = connect(tmp_path / "file", writes=True)
    migrations.migrate(db, now_us=0)
    said: list[str] = []

    def heard(_cursor: object, sql: str, _bindings: object) -> bool:
        said.append(sql)
        return True

    db.exec_trace = heard
    concluding.write_conclusions(db, [], now=0)
    db.exec_trace = None
    db.close()

    assert said == []
