"""What SettleStore promises: each outcome once, and a late owner's word as evidence only."""

import asyncio

import msgspec
import pytest
from tests.support.world import World, attempts_of

from payhooks.model.attempt import Reason
from payhooks.model.delivery import State
from payhooks.model.endpoint import EndpointStatus
from payhooks.ports.leasing import Leased


async def _leased(world: World) -> Leased:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    return await world.lease_one()


async def _taken_over(world: World) -> tuple[Leased, Leased]:
    """Return a lease that ran out, and the one that followed it."""
    old = await _leased(world)
    await world.advance(31)
    await world.store.expire(limit=10)
    return old, await world.lease_one(owner=2)


async def _state(world: World, leased: Leased) -> State:
    delivery = await world.store.delivery(leased.merchant_id, leased.id)
    assert delivery is not None
    return delivery.state


async def test_a_success_ends_the_delivery(world: World) -> None:
    leased = await _leased(world)
    assert await world.settle(world.succeeded(leased)) == [True]
    delivery = await world.store.delivery(leased.merchant_id, leased.id)
    assert delivery is not None
    assert delivery.state is State.DELIVERED
    assert delivery.finished_at == delivery.delivered_at
    assert abs((delivery.delivered_at or world.now()) - world.now()).total_seconds() < 5
    assert (delivery.attempts_made, delivery.reason, delivery.due_at) == (1, None, None)
    assert await world.lease() == []


async def test_an_attempt_is_kept_as_it_happened(world: World) -> None:
    """It is what a merchant sees when asking why; the answer's bytes are not decoded."""
    leased = await _leased(world)
    attempt = world.attempt(leased, status=503, reason=Reason.HTTP_5XX)
    await world.settle(world.failed(leased))
    [kept] = await attempts_of(world.store, leased.merchant_id, leased.id)
    assert abs(kept.at - attempt.at).total_seconds() < 5
    assert (kept.fence, kept.late, kept.status, kept.reason) == (1, False, 503, Reason.HTTP_5XX)
    assert (kept.detail, kept.peer) == (attempt.detail, attempt.peer)
    assert kept.timing == attempt.timing
    assert kept.answer_headers == attempt.answer_headers
    assert kept.answer_body == attempt.answer_body


async def test_whatever_bytes_a_receiver_puts_into_headers_are_kept(world: World) -> None:
    """A header that a store cannot hold would hold up every outcome of its batch."""
    leased = await _leased(world)
    settlement = world.failed(leased)
    assert settlement.attempt is not None
    every_byte = bytes(range(256)).decode("latin-1")
    odd = msgspec.structs.replace(settlement.attempt, answer_headers=(("x-odd", every_byte),))
    assert await world.settle(msgspec.structs.replace(settlement, attempt=odd)) == [True]
    [kept] = await attempts_of(world.store, leased.merchant_id, leased.id)
    assert kept.answer_headers == odd.answer_headers


async def test_a_retry_waits_its_delay(world: World) -> None:
    leased = await _leased(world)
    await world.settle(world.failed(leased, delay_s=300))
    delivery = await world.store.delivery(leased.merchant_id, leased.id)
    assert delivery is not None
    assert (delivery.state, delivery.attempts_made) == (State.SCHEDULED, 1)
    assert delivery.reason is Reason.HTTP_5XX
    assert delivery.due_at is not None
    assert 290 < (delivery.due_at - world.now()).total_seconds() <= 300
    await world.advance(301)
    again = await world.lease_one()
    assert (again.fence, again.attempts_made) == (2, 1)


async def test_giving_up_ends_the_delivery_with_its_reason(world: World) -> None:
    leased = await _leased(world)
    assert await world.settle(world.given_up(leased)) == [True]
    delivery = await world.store.delivery(leased.merchant_id, leased.id)
    assert delivery is not None
    assert (delivery.state, delivery.reason) == (State.FAILED, Reason.HTTP_4XX)
    assert delivery.finished_at is not None
    assert delivery.delivered_at is None


async def test_a_lease_given_back_spends_no_attempt(world: World) -> None:
    """What waited too long in memory, or met our own fault, was never sent."""
    leased = await _leased(world)
    assert await world.settle(world.released(leased)) == [True]
    assert await attempts_of(world.store, leased.merchant_id, leased.id) == []
    again = await world.lease_one()
    assert (again.fence, again.attempts_made) == (2, 0)


async def test_a_lease_given_back_may_wait_a_while(world: World) -> None:
    leased = await _leased(world)
    await world.settle(world.released(leased, delay_s=60))
    assert await world.lease() == []
    await world.advance(61)
    assert len(await world.lease()) == 1


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "given_up"])
async def test_the_same_settlement_again_changes_nothing(world: World, outcome: str) -> None:
    """After a lost reply the batch is sent again."""
    leased = await _leased(world)
    settlement = {
        "succeeded": world.succeeded(leased),
        "failed": world.failed(leased),
        "given_up": world.given_up(leased),
    }[outcome]
    assert await world.settle(settlement) == [True]
    before = await world.store.delivery(leased.merchant_id, leased.id)
    assert await world.settle(settlement) == [True]
    assert await world.store.delivery(leased.merchant_id, leased.id) == before
    [kept] = await attempts_of(world.store, leased.merchant_id, leased.id)
    assert not kept.late


async def test_a_settlement_again_after_the_next_lease_is_still_true(world: World) -> None:
    """The first one moved the delivery; that somebody holds it anew is not its fault."""
    leased = await _leased(world)
    await world.settle(world.failed(leased, delay_s=0))
    await world.lease_one(owner=2)
    assert await world.settle(world.failed(leased, delay_s=0)) == [True]
    assert await _state(world, leased) is State.LEASED
    assert len(await attempts_of(world.store, leased.merchant_id, leased.id)) == 1


@pytest.mark.shows("F78")
async def test_a_worker_that_slept_past_its_lease_changes_nothing(world: World) -> None:
    """It woke up, and somebody else is already sending."""
    old, new = await _taken_over(world)
    assert await world.settle(world.succeeded(old)) == [False]
    assert await _state(world, new) is State.LEASED
    assert await world.settle(world.failed(new)) == [True]


async def test_a_late_attempt_is_kept_as_evidence(world: World) -> None:
    """The receiver got it twice; somebody will ask why."""
    old, new = await _taken_over(world)
    await world.settle(world.succeeded(old))
    await world.settle(world.succeeded(new))
    attempts = await attempts_of(world.store, old.merchant_id, old.id)
    told = [(one.fence, one.late, one.reason) for one in attempts]
    assert told == [
        (1, False, Reason.ABANDONED),
        (1, True, None),
        (2, False, None),
    ]
    delivery = await world.store.delivery(old.merchant_id, old.id)
    assert delivery is not None
    assert delivery.attempts_made == 1


async def test_a_late_attempt_told_twice_is_kept_once(world: World) -> None:
    old, _ = await _taken_over(world)
    assert await world.settle(world.succeeded(old)) == [False]
    assert await world.settle(world.succeeded(old)) == [False]
    assert len(await attempts_of(world.store, old.merchant_id, old.id)) == 2


async def test_a_lease_that_ran_out_settles_nothing_even_before_the_next_one(
    world: World,
) -> None:
    old = await _leased(world)
    await world.advance(31)
    await world.store.expire(limit=10)
    assert await world.settle(world.succeeded(old)) == [False]
    assert await _state(world, old) is State.SCHEDULED


async def test_a_late_settle_after_the_end_does_not_undo_it(world: World) -> None:
    old, new = await _taken_over(world)
    await world.settle(world.succeeded(new))
    assert await world.settle(world.given_up(old)) == [False]
    assert await _state(world, new) is State.DELIVERED


async def test_a_late_release_leaves_no_trace(world: World) -> None:
    old, new = await _taken_over(world)
    assert await world.settle(world.released(old)) == [False]
    assert await _state(world, new) is State.LEASED
    assert len(await attempts_of(world.store, old.merchant_id, old.id)) == 1


async def test_a_lease_past_its_end_that_nobody_took_still_settles(world: World) -> None:
    """Expiry is what ends a lease, not the clock: no duplicate for a slow answer."""
    leased = await _leased(world)
    await world.advance(300)
    assert await world.settle(world.succeeded(leased)) == [True]
    assert await world.store.expire(limit=10) == []


async def test_one_lost_fence_does_not_stop_the_others_of_its_batch(world: World) -> None:
    old, _ = await _taken_over(world)
    good = await _leased(world)
    assert await world.settle(world.succeeded(old), world.succeeded(good)) == [False, True]
    assert await _state(world, good) is State.DELIVERED


async def test_each_retry_sends_the_body_of_the_first_failure(world: World) -> None:
    """Promise 5: an upgrade of a dialect in between must not change it."""
    leased = await _leased(world)
    await world.settle(world.failed(leased, delay_s=0, rendered=b'{"first":true}'))
    second = await world.lease_one()
    assert second.rendered == b'{"first":true}'
    await world.settle(world.failed(second, delay_s=0, rendered=b'{"first":false}'))
    assert (await world.lease_one()).rendered == b'{"first":true}'


@pytest.mark.parametrize("outcome", ["failed", "released"])
async def test_what_was_under_way_when_its_endpoint_was_deleted_is_cancelled(
    world: World, outcome: str
) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    await world.edit(endpoint, status=EndpointStatus.DELETED)
    settlement = world.failed(leased) if outcome == "failed" else world.released(leased)
    assert await world.settle(settlement) == [True]
    assert await _state(world, leased) is State.CANCELLED


async def test_a_success_counts_although_its_endpoint_was_deleted(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    await world.edit(endpoint, status=EndpointStatus.DELETED)
    await world.deliver(leased)
    assert await _state(world, leased) is State.DELIVERED


async def test_a_retry_of_a_paused_endpoint_waits(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    endpoint = await world.edit(endpoint, status=EndpointStatus.PAUSED)
    await world.settle(world.failed(leased, delay_s=0))
    delivery = await world.delivery(event, endpoint)
    assert (delivery.state, delivery.held) == (State.SCHEDULED, True)
    assert await world.lease() == []
    await world.edit(endpoint, status=EndpointStatus.ACTIVE)
    assert len(await world.lease()) == 1


async def test_an_empty_batch_is_no_trouble(world: World) -> None:
    assert await world.settle() == []


async def test_no_receiver_fails_the_batch_of_the_others(world: World) -> None:
    """PostgreSQL's text holds no NUL; whatever is made of it, the others are written down."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    for _ in range(2):
        await world.publish(merchant, endpoint)
    odd, plain = await world.lease()
    failed = world.failed(odd)
    assert failed.attempt is not None
    attempt = msgspec.structs.replace(
        failed.attempt, detail="Stop\0now", peer="\0", answer_headers=(("x-odd", "a\0b"),)
    )
    failed = msgspec.structs.replace(failed, attempt=attempt)
    assert await world.settle(failed, world.succeeded(plain)) == [True, True]
    [stored] = await attempts_of(world.store, merchant.id, odd.id)
    assert stored.detail in {"Stop\0now", "Stop\N{REPLACEMENT CHARACTER}now"}
    assert stored.answer_headers == (("x-odd", "a\0b"),)


async def test_a_delivery_is_never_read_with_attempts_that_it_does_not_count(world: World) -> None:
    """A merchant who sees the answer of an attempt must not read beside it "not tried yet"."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    torn: list[tuple[int, int]] = []
    for _ in range(20):
        await world.publish(merchant, endpoint)
        leased = await world.lease_one()
        settling = asyncio.ensure_future(world.deliver(leased))
        while not settling.done():
            found = await world.store.delivery_with_attempts(merchant.id, leased.id)
            assert found is not None
            delivery, attempts = found
            if delivery.attempts_made != len(attempts):
                torn.append((delivery.attempts_made, len(attempts)))
            await asyncio.sleep(0)
        await settling
    assert torn == []
