"""What waits for a deleted endpoint is found, whoever else has a backlog, and nothing is missed."""

import pytest
from tests.support.postgres_hand import Hand
from tests.support.world import World

from payhooks.errors import UnavailableError
from payhooks.model.delivery import State
from payhooks.model.endpoint import EndpointStatus
from payhooks.storage.postgres.connections import Target
from payhooks.storage.postgres.replaying import put_again

_BACKLOG = 20_000
_DELETED = 50

# Endpoints of before, with nothing undone; and what waits at one that is there, as its first does.
_DELETE = """
INSERT INTO lanes (endpoint_id, merchant_id, state, lease_s, shard)
SELECT lpad(to_hex(n), 32, '0')::uuid, $1, 3, 30, 0 FROM generate_series(1, $2::int) n
"""
_PILE_UP = """
INSERT INTO queue (merchant_id, id, endpoint_id, due_at, state, dialect_version, shard, event_type,
  dialect)
SELECT merchant_id, (left(id::text, 24) || lpad(to_hex(n), 7, '0') || '00001')::uuid, endpoint_id,
  due_at, 0, dialect_version, shard, event_type, dialect
FROM queue, generate_series(1, $1::int) n
"""


async def test_the_backlog_of_one_endpoint_is_not_read_for_those_that_were_deleted(
    world: World, hand: Hand
) -> None:
    """Read for each of a thousand, it ended in the time-out, turn after turn, for everybody."""
    merchant = await world.merchant()
    endpoint, gone = await world.endpoint(merchant), await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    await hand.run(_PILE_UP, _BACKLOG)
    await hand.run(_DELETE, merchant.id, _DELETED)
    late = await world.publish(merchant, gone)
    await world.edit(gone, status=EndpointStatus.DELETED)
    await hand.script("ANALYZE queue, lanes")
    await hand.begin()
    before = await hand.read_of("queue")

    turns = [await hand.cancel_orphans() for _ in range(2)]

    assert turns == [1, 0]
    assert await hand.read_of("queue") - before < _DELETED
    await hand.commit()
    assert (await world.delivery(late, gone)).state is State.CANCELLED


async def test_a_deleted_endpoint_with_nothing_undone_is_looked_at_once(
    world: World, hand: Hand
) -> None:
    """Every stream that anybody ever listened to is one of them."""
    merchant = await world.merchant()
    await world.endpoint(merchant)
    await hand.run(_DELETE, merchant.id, _DELETED)
    assert await hand.cancel_orphans() == 0
    await hand.begin()
    before = await hand.read_of("lanes")

    assert await hand.cancel_orphans() == 0

    assert await hand.read_of("lanes") == before


async def test_an_endpoint_is_deleted_before_a_replay_or_after_it_and_not_meanwhile(
    world: World, database: str
) -> None:
    """Found empty while the replay was under way, it would keep what that made for ever."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint)
    await world.deliver(await world.lease_one())
    replaying = await Target.of(database).connect()
    try:
        async with replaying.transaction():
            again = world.again(event, endpoint)
            assert await put_again(replaying, [again], replay_id=None, bulk=False) == 1
            with pytest.raises(UnavailableError):
                await world.edit(endpoint, status=EndpointStatus.DELETED)
    finally:
        await replaying.close()

    await world.edit(endpoint, status=EndpointStatus.DELETED)

    assert await world.store.cancel_orphans(limit=10) == 1
