"""What AcceptStore promises: stored whole, once, planned on the routing of now."""

import msgspec
import pytest
from tests.support.world import OWNER, World, events_of, ids_of

from payhooks.ids import delivery_id
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.merchant import Merchant
from payhooks.ports.accepting import Accepted, Arrival, Repeated, StaleRouting
from payhooks.ports.controlling import Change
from payhooks.ports.leasing import LaneNews

KEY = b"k" * 16
CONTENT = b"c" * 16
OTHER_OWNER = 202


async def test_an_accepted_event_is_stored_as_it_was_told(world: World) -> None:
    """Promises 1 and 5: 202 means stored, and data byte for byte."""
    merchant = await world.merchant()
    event = world.event(
        merchant,
        data=b'{"b": 1.10,  "a":1e2, "n":"\xc3\xa9\\u00e9"}',
        metadata=b'{"till": 4}',
        object_type="payment",
        object_id="pay_1",
        ordering_key="order 7",
        occurred_at=world.now(),
    )
    [accepted] = await world.accept(await world.arrival(event))
    stored = await world.store.event(merchant.id, event.id)
    assert accepted == Accepted(leased=())
    assert stored is not None
    assert stored.event == event


async def test_a_new_delivery_waits_for_a_look_when_no_hand_off_was_wanted(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint)
    assert (await world.delivery(event, endpoint)).state is State.SCHEDULED
    assert events_of(await world.lease()) == [event.id]


async def test_a_hand_off_is_leased_to_the_caller_at_once(world: World) -> None:
    """On the good path nothing is read back, and no other worker may take it."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    arrival = await world.arrival(world.event(merchant), endpoint, hand_off=True)
    [accepted] = await world.accept(arrival)
    delivery = await world.delivery(arrival.event, endpoint)
    assert accepted == Accepted(leased=(arrival.deliveries[0].id,))
    assert (delivery.state, delivery.fence) == (State.LEASED, 1)
    assert await world.lease(owner=OTHER_OWNER) == []


async def test_a_hand_off_is_taken_back_when_its_lease_ends(
    world: World,
) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint, hand_off=True)
    await world.advance(27)
    assert await world.store.expire(limit=10) == []
    await world.advance(4)
    assert [one.delivery_id for one in await world.store.expire(limit=10)] == [
        delivery_id(event.id, endpoint.number)
    ]
    assert (await world.lease_one()).fence == 2


async def _waits(world: World, merchant: Merchant, endpoint: Endpoint) -> bool:
    """Whether a new delivery of the endpoint waits, although a hand-off was wanted."""
    event = await world.publish(merchant, endpoint, hand_off=True)
    return (await world.delivery(event, endpoint)).state is State.SCHEDULED


async def test_nothing_is_handed_off_on_a_paused_lane(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    endpoint = await world.edit(endpoint, status=EndpointStatus.PAUSED)
    assert await _waits(world, merchant, endpoint)


async def test_nothing_is_handed_off_past_a_backlog(world: World) -> None:
    """New events would overtake old ones for ever, and retries would starve."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    await world.publish(merchant, endpoint)
    assert len(await world.lease(per_lane_max=1)) == 1
    assert await _waits(world, merchant, endpoint)


async def test_nothing_is_handed_off_past_what_nobody_has_looked_at_yet(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    first = await world.publish(merchant, endpoint)
    assert await _waits(world, merchant, endpoint)
    assert events_of(await world.lease())[0] == first.id


async def test_hand_off_comes_back_when_the_backlog_is_gone(world: World) -> None:
    """Else one retry would cost the good path for good."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    await world.deliver(*await world.lease())
    assert not await _waits(world, merchant, endpoint)


async def test_a_success_does_not_cost_the_next_event_its_hand_off(world: World) -> None:
    """News of success comes with the first delivery of every lane."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.report(endpoint, LaneNews.FAILING)
    await world.report(endpoint, LaneNews.RECOVERED)
    assert not await _waits(world, merchant, endpoint)


async def test_a_retry_far_off_does_not_stop_hand_offs(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint, hand_off=True)
    await world.publish(merchant, endpoint)
    await world.settle(world.failed(await world.lease_one(), delay_s=3_600))
    await world.lease()
    assert not await _waits(world, merchant, endpoint)


async def test_nothing_is_handed_off_on_a_resting_lane(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.report(endpoint, LaneNews.RESTED, rest_s=60)
    assert await _waits(world, merchant, endpoint)


async def test_nothing_is_handed_off_while_the_circuit_is_open(world: World) -> None:
    """The lane sends one probe at a time until one succeeds."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.report(endpoint, LaneNews.TRIPPED, rest_s=30)
    await world.advance(31)
    assert await _waits(world, merchant, endpoint)


async def test_nothing_is_handed_off_under_a_rate_limit(world: World) -> None:
    """The limit is spent under the lane's lock, which accept does not take."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, rate_limit_per_s=100.0)
    assert await _waits(world, merchant, endpoint)


async def test_nothing_that_keeps_order_is_handed_off(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint, hand_off=True, order_key=b"o" * 16)
    assert (await world.delivery(event, endpoint)).state is State.BLOCKED


async def test_nothing_is_handed_off_to_a_listening_endpoint(world: World) -> None:
    """Its stream takes what there is, when it is connected."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, listening=True)
    assert await _waits(world, merchant, endpoint)


async def test_each_lane_of_a_batch_is_judged_by_itself(world: World) -> None:
    merchant = await world.merchant()
    free = await world.endpoint(merchant)
    resting = await world.endpoint(merchant)
    await world.report(resting, LaneNews.RESTED, rest_s=60)
    arrival = await world.arrival(world.event(merchant), free, resting, hand_off=True)
    [accepted] = await world.accept(arrival)
    assert accepted == Accepted(leased=(delivery_id(arrival.event.id, free.number),))


async def test_a_repeated_key_gets_the_first_answer_and_stores_nothing(world: World) -> None:
    """Promise 3: a publisher that repeats itself after a timeout makes no second event."""
    merchant = await world.merchant()
    endpoints = [await world.endpoint(merchant) for _ in range(2)]
    first = world.event(merchant, type="payment.failed")
    second = world.event(merchant)
    await world.accept(await world.arrival(first, *endpoints, key=KEY, content=CONTENT))
    [repeated] = await world.accept(
        await world.arrival(second, *endpoints, key=KEY, content=b"d" * 16, hand_off=True)
    )
    assert repeated == Repeated(
        event_id=first.id, event_type="payment.failed", content=CONTENT, deliveries=2
    )
    assert await world.store.event(merchant.id, second.id) is None
    assert events_of(await world.lease()) == [first.id] * 2


async def test_one_repeated_key_does_not_refuse_the_others_of_its_batch(world: World) -> None:
    """Callers who share a batch do not know each other."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    first, again, new, keyless = (world.event(merchant) for _ in range(4))
    await world.accept(await world.arrival(first, endpoint, key=KEY))
    answers = await world.accept(
        await world.arrival(new, endpoint, key=b"n" * 16),
        await world.arrival(again, endpoint, key=KEY),
        await world.arrival(keyless, endpoint),
    )
    assert [type(answer) for answer in answers] == [Accepted, Repeated, Accepted]
    assert events_of(await world.lease()) == [first.id, new.id, keyless.id]


@pytest.mark.parametrize("key", [KEY, None], ids=["with a key", "without a key"])
async def test_the_same_batch_again_is_safe_after_a_lost_answer(
    world: World, key: bytes | None
) -> None:
    """After OutcomeUnknownError nobody knows; sending again must give the same answer."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    arrival = await world.arrival(world.event(merchant), endpoint, key=key, hand_off=True)
    first = await world.accept(arrival)
    again = await world.accept(arrival)
    assert first == again == [Accepted(leased=(arrival.deliveries[0].id,))]
    await world.advance(31)
    assert len(await world.store.expire(limit=10)) == 1


async def test_a_resend_does_not_claim_what_another_holds_by_now(world: World) -> None:
    """Between the two sends the first lease ran out and somebody else sends."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    arrival = await world.arrival(world.event(merchant), endpoint, key=KEY, hand_off=True)
    await world.accept(arrival)
    await world.advance(31)
    await world.store.expire(limit=10)
    [theirs] = await world.lease(owner=OTHER_OWNER)
    assert await world.accept(arrival) == [Accepted(leased=())]
    assert (await world.delivery(arrival.event, endpoint)).fence == theirs.fence


async def test_a_resend_does_not_send_again_what_is_delivered(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    arrival = await world.arrival(world.event(merchant), endpoint, key=KEY)
    await world.accept(arrival)
    await world.deliver(*await world.lease())
    await world.accept(arrival)
    assert (await world.delivery(arrival.event, endpoint)).state is State.DELIVERED
    assert await world.lease() == []


async def test_a_stale_plan_is_refused_and_stores_nothing(world: World) -> None:
    """What is subscribed at accept time must hold however many processes cache the routing."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    arrival = await world.arrival(world.event(merchant), endpoint, key=KEY)
    await world.edit(endpoint, events=("refund.*",))
    assert await world.accept(arrival) == [StaleRouting()]
    assert await world.store.event(merchant.id, arrival.event.id) is None
    assert await world.lease() == []


async def test_a_refused_plan_does_not_use_up_its_key(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = world.event(merchant)
    stale = await world.arrival(event, endpoint, key=KEY)
    await world.edit(endpoint, label="Counter")
    await world.accept(stale)
    [accepted] = await world.accept(await world.arrival(event, endpoint, key=KEY))
    assert isinstance(accepted, Accepted)


async def test_a_change_at_one_merchant_does_not_refuse_another(world: World) -> None:
    changed = await world.merchant()
    other = await world.merchant()
    stale = await world.arrival(world.event(changed))
    fresh = await world.arrival(world.event(other))
    await world.endpoint(changed)
    answers = await world.accept(stale, fresh)
    assert answers == [StaleRouting(), Accepted(leased=())]


async def test_a_merchant_that_does_not_exist_has_no_routing(world: World) -> None:
    known = await world.merchant()
    unknown = world.new_merchant()
    arrival = Arrival(
        event=world.event(unknown),
        routing_version=1,
        idempotency=None,
        content=bytes(16),
        deliveries=(),
    )
    assert await world.accept(arrival) == [StaleRouting()]
    found = await world.store.routing([unknown.id, known.id])
    assert [routing.merchant.id for routing in found] == [known.id]


async def test_accept_order_is_list_order_and_call_order(world: World) -> None:
    """Promise 7: if the 202 of A came back before B was sent, A goes first."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    events = [world.event(merchant) for _ in range(6)]
    arrivals = [await world.arrival(event, endpoint) for event in events]
    # Ids grow in the order of making; the order of acceptance is another.
    await world.accept(arrivals[4], arrivals[1])
    await world.accept(arrivals[5], arrivals[0], arrivals[2])
    await world.accept(arrivals[3])
    expected = [events[number].id for number in (4, 1, 5, 0, 2, 3)]
    assert events_of(await world.lease()) == expected


async def test_an_event_nobody_selected_is_kept_all_the_same(world: World) -> None:
    merchant = await world.merchant()
    event = await world.publish(merchant)
    stored = await world.store.event(merchant.id, event.id)
    assert stored is not None
    assert (stored.status, stored.fan_out) == ("unsubscribed", 0)


async def test_a_large_batch_keeps_every_delivery(world: World) -> None:
    """The bounds of one statement are the store's business."""
    merchant = await world.merchant()
    endpoints = [await world.endpoint(merchant) for _ in range(7)]
    events = [world.event(merchant) for _ in range(150)]
    arrivals = [await world.arrival(event, *endpoints, hand_off=True) for event in events]
    answers = await world.accept(*arrivals)
    leased = [one for answer in answers if isinstance(answer, Accepted) for one in answer.leased]
    assert leased == [planned.id for arrival in arrivals for planned in arrival.deliveries]


async def test_an_empty_batch_is_no_trouble(world: World) -> None:
    assert await world.accept() == []


async def test_routing_says_all_that_sending_needs(world: World) -> None:
    merchant = await world.merchant()
    second = await world.endpoint(merchant, label="second")
    first = await world.endpoint(merchant, label="first")
    gone = await world.endpoint(merchant)
    secret = world.secret(merchant, second.id)
    expired = world.secret(merchant, second.id, expires_at=world.now())
    key = world.key(merchant.id)
    revoked = world.key(merchant.id, revoked_at=world.now())
    secrets = Change(audit=world.audit(merchant.id), secrets=(secret, expired), key=key)
    await world.store.apply(secrets)
    await world.store.apply(Change(audit=world.audit(merchant.id), key=revoked))
    await world.edit(gone, status=EndpointStatus.DELETED)
    await world.advance(1)
    [routing] = await world.store.routing([merchant.id])
    assert routing.merchant == merchant
    assert routing.endpoints == (second, first)
    assert routing.secrets == (secret,)
    assert routing.keys == (key,)


async def test_every_change_raises_the_routing_version(world: World) -> None:
    """A process that caches routing learns of a change by the version alone."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    secret = world.secret(merchant, endpoint.id)
    renamed = msgspec.structs.replace(merchant, name="Patisserie", version=2)
    audit = world.audit(merchant.id)
    versions = [(await world.store.routing([merchant.id]))[0].version]
    for change in (
        Change(audit=audit, merchant=renamed),
        Change(audit=audit, secrets=(secret,)),
        Change(audit=audit, forget_secrets=(secret.id,)),
        Change(audit=audit, key=world.key(merchant.id)),
    ):
        await world.store.apply(change)
        versions.append((await world.store.routing([merchant.id]))[0].version)
    assert versions == sorted(set(versions))


async def test_a_lease_from_hand_off_belongs_to_the_process_that_accepted(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    arrival = await world.arrival(world.event(merchant), endpoint, key=KEY, hand_off=True)
    await world.accept(arrival, owner=OWNER)
    # The same batch, sent by another process, is not that process's to send.
    assert await world.accept(arrival, owner=OTHER_OWNER) == [Accepted(leased=())]
    assert ids_of(await world.lease(owner=OTHER_OWNER)) == []
