"""What PlayStore promises of sandbox runs: claimed, written step by step, bounded."""

from datetime import timedelta

import msgspec
import pytest
from tests.support.replays import lane
from tests.support.world import World

from payhooks.errors import WrongStateError
from payhooks.ids import RunId, delivery_id
from payhooks.model.delivery import State
from payhooks.model.merchant import Merchant
from payhooks.model.sandbox_run import Played, RunState, SandboxRun
from payhooks.ports.controlling import Requeue, Window

pytestmark = pytest.mark.shows("E16")

OWNER, OTHER_OWNER = 1, 2
MANY = 1_000


def _new(world: World, merchant: Merchant, **members: object) -> SandboxRun:
    run = SandboxRun(
        id=RunId(world.ids.new()),
        merchant_id=merchant.id,
        name="card-payment-3ds",
        family="owlpay",
        alone=False,
        seed=1,
        values=(("amount", "80.00"),),
        members="{}",
        speed="1d=1s",
        disorder=30,
        duplicate=0,
        auto_capture=True,
        fingerprint=b"d" * 16,
        steps=3,
        left_out=1,
        begins_at=world.now() - timedelta(days=1),
        created_at=world.now(),
    )
    return msgspec.structs.replace(run, **members)


async def _start(world: World, run: SandboxRun, *, playing: int = 20, kept: int = MANY) -> None:
    audit = world.audit(run.merchant_id, "sandbox_run.created")
    await world.store.start_run(run, audit=audit, playing_max=playing, kept_max=kept)


async def _started(world: World, merchant: Merchant, **members: object) -> SandboxRun:
    run = _new(world, merchant, **members)
    await _start(world, run)
    return run


def _next(run: SandboxRun, **members: object) -> SandboxRun:
    return msgspec.structs.replace(run, revision=run.revision + 1, **members)


async def test_a_run_reads_back_as_it_was_written(world: World) -> None:
    merchant, stranger = await world.merchant(), await world.merchant()
    run = await _started(world, merchant)
    other = await _started(world, merchant)
    assert await world.store.run(merchant.id, run.id) == run
    assert await world.store.run(stranger.id, run.id) is None
    assert await world.store.runs(merchant.id, Window(limit=10)) == [other, run]
    assert await world.store.runs(merchant.id, Window(limit=10, after=other.id)) == [run]
    assert await world.store.runs(stranger.id, Window(limit=10)) == []
    [*_, entry] = await world.store.audit(merchant.id, after=0, limit=100)
    assert entry.entry.action == "sandbox_run.created"


async def test_a_run_is_played_by_one_process_at_a_time(world: World) -> None:
    """Two would publish nothing twice, but neither would know how far it is."""
    merchant = await world.merchant()
    run = await _started(world, merchant)
    over = await _started(world, merchant)
    assert await world.store.write_run(_next(over, state=RunState.STOPPED))
    claim = world.store.claim_runs
    assert await claim(owner=OWNER, limit=10, for_s=30) == [run]
    assert await claim(owner=OTHER_OWNER, limit=10, for_s=30) == []
    await world.advance(31)
    assert await claim(owner=OTHER_OWNER, limit=10, for_s=30) == [run]


async def test_who_plays_a_run_holds_it_on(world: World) -> None:
    """A life that takes minutes must not stand still whenever a hold runs out."""
    merchant = await world.merchant()
    run = await _started(world, merchant)
    claim = world.store.claim_runs
    assert await claim(owner=OWNER, limit=1, for_s=30) == [run]
    assert await claim(owner=OWNER, limit=1, for_s=30) == []
    await world.advance(20)
    newer = await _started(world, merchant)
    assert await claim(owner=OWNER, limit=1, for_s=30) == [run], "what it holds comes first"
    await world.advance(20)
    assert await claim(owner=OTHER_OWNER, limit=10, for_s=30) == [newer]


async def test_a_run_is_written_once_for_each_revision(world: World) -> None:
    """A write whose answer was lost is not done again, nor one that comes late."""
    merchant = await world.merchant()
    run = await _started(world, merchant)
    played = Played(place=0, event_id=world.ids.new_event(), at=world.now())
    further = _next(run, played=(played,))
    assert await world.store.write_run(further)
    assert not await world.store.write_run(further)
    assert not await world.store.write_run(_next(run, state=RunState.FAILED, reason="late"))
    assert await world.store.run(merchant.id, run.id) == further
    assert not await world.store.write_run(_next(_new(world, merchant)))


async def test_deliveries_go_again_with_the_write_that_notes_it(world: World) -> None:
    """Both or neither: a player that dies in between would send a third."""
    merchant, endpoint = await lane(world)
    event = await world.publish(merchant, endpoint)
    await world.store.settle([world.succeeded(await world.lease_one())])
    run = await _started(world, merchant)
    again = Requeue(
        delivery_id=delivery_id(event.id, endpoint.number),
        merchant_id=merchant.id,
        endpoint_id=endpoint.id,
        event_type=event.type,
        order_key=None,
        dialect="standard",
        dialect_version=1,
    )
    noted = _next(run, repeated=(0,), sent_again=1)
    entry = world.audit(merchant.id, "event.resent")
    assert await world.store.write_run(noted, items=[again], audit=entry)
    assert not await world.store.write_run(noted, items=[again], audit=entry)
    leased = await world.lease_one()
    assert leased.id == again.delivery_id
    await world.store.settle([world.succeeded(leased)])
    assert await world.lease() == []
    delivery = await world.store.delivery(merchant.id, again.delivery_id)
    assert delivery is not None
    assert delivery.state is State.DELIVERED
    actions = [one.entry.action for one in await world.store.audit(merchant.id, after=0, limit=99)]
    assert actions.count("event.resent") == 1


async def test_a_merchant_plays_so_many_runs_at_once(world: World) -> None:
    merchant, other = await world.merchant(), await world.merchant()
    first = await _started(world, merchant)
    await _start(world, _new(world, merchant), playing=2)
    with pytest.raises(WrongStateError):
        await _start(world, _new(world, merchant), playing=2)
    await _start(world, _new(world, other), playing=2)
    assert await world.store.write_run(_next(first, state=RunState.FINISHED))
    await _start(world, _new(world, merchant), playing=2)


async def test_of_those_that_are_over_the_oldest_are_forgotten(world: World) -> None:
    """Whoever plays all day fills no disk; what is being played is never forgotten."""
    merchant = await world.merchant()
    playing = await _started(world, merchant)
    over = [await _started(world, merchant) for _ in range(3)]
    for run in over:
        assert await world.store.write_run(_next(run, state=RunState.FINISHED))
    newest = _new(world, merchant)
    await _start(world, newest, kept=3)
    kept = {run.id for run in await world.store.runs(merchant.id, Window(limit=10))}
    assert kept == {playing.id, over[2].id, newest.id}
