"""From a lease to a line in the record: what is sent, and what an answer does."""

import asyncio
import base64
from collections.abc import Sequence
from datetime import timedelta

import pytest
from tests.support.flow import Flow, payment
from tests.support.stores import OpenedStore
from tests.support.world import World, attempts_of

from payhooks.flow.publication import Published
from payhooks.ids import MerchantId
from payhooks.model.attempt import Answer, OurFault, Outcome, Reason, Silence, Timing
from payhooks.model.delivery import State
from payhooks.model.endpoint import (
    Authentication,
    AuthenticationType,
    DisabledReason,
    EndpointStatus,
    OnFailed,
    Ordering,
    Signature,
    SignatureType,
)
from payhooks.model.secret import SecretPurpose
from payhooks.policy.retry import POLICIES
from payhooks.ports.accepting import Routing
from payhooks.ports.controlling import Change, Window
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock
from payhooks.testing.transport import answer

ALL = Window(limit=100)
NO_SIGNATURE = Signature(type=SignatureType.NONE)
SIGNED = Signature(type=SignatureType.ENDPOINT_SECRET)


@pytest.fixture
def world() -> World:
    clock = ManualClock()
    return World(OpenedStore(store=MemoryStore(clock=clock), clock=clock))


async def sent_once(world: World, outcome: Outcome, **members: object) -> tuple[Flow, Published]:
    """Publish one event to one endpoint whose receiver answers *outcome*."""
    flow = Flow(world, script=lambda _request: outcome)
    merchant = await world.merchant()
    await world.endpoint(merchant, **{"signature": NO_SIGNATURE, **members})
    [published] = await flow.publish(merchant, payment())
    assert isinstance(published, Published)
    await flow.settled()
    return flow, published


async def state_after(world: World, outcome: Outcome, **members: object) -> State:
    flow, published = await sent_once(world, outcome, **members)
    merchant_id = (await flow.store.merchants(Window(limit=1)))[0].id
    [delivery] = await world.store.deliveries_of(merchant_id, published.event_id, ALL)
    return delivery.state


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        pytest.param(answer(204), State.DELIVERED, id="204"),
        pytest.param(answer(503), State.SCHEDULED, id="503 is tried again"),
        pytest.param(answer(410), State.FAILED, id="410 ends it"),
        pytest.param(
            Silence(reason=Reason.TIMEOUT, detail="", timing=Timing()), State.SCHEDULED, id="silent"
        ),
        pytest.param(OurFault(detail="resolver down"), State.SCHEDULED, id="our fault"),
    ],
)
async def test_an_outcome_moves_the_delivery(world: World, outcome: Outcome, state: State) -> None:
    assert await state_after(world, outcome) is state


async def test_our_own_fault_spends_no_attempt_and_alarms(world: World) -> None:
    flow, published = await sent_once(world, OurFault(detail="resolver down"))
    merchant = (await flow.store.merchants(Window(limit=1)))[0]
    [delivery] = await world.store.deliveries_of(merchant.id, published.event_id, ALL)
    assert delivery.attempts_made == 0
    assert await attempts_of(world.store, merchant.id, delivery.id) == []
    assert ("our_fault", "resolver down") in flow.quiet.alarms


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        pytest.param(answer(410), DisabledReason.GONE, id="410"),
        pytest.param(
            Answer(
                status=200,
                headers=(("webhook-delivery", "disable"),),
                body=b"",
                body_truncated=False,
                timing=Timing(),
                peer=None,
            ),
            DisabledReason.RECEIVER,
            id="it says so",
        ),
    ],
)
async def test_an_endpoint_can_ask_to_be_left_alone(
    world: World, outcome: Outcome, reason: DisabledReason
) -> None:
    flow, _ = await sent_once(world, outcome)
    assert [why for _, why in flow.disabled] == [reason]


async def test_every_attempt_sends_the_same_bytes_under_the_same_id(world: World) -> None:
    """A receiver dedupes by the id and may compare bodies."""
    flow, _ = await sent_once(world, answer(500))
    for _ in range(3):
        await world.advance(30 * 3600)
        assert await flow.lease_and_send() == 1
    assert len({request.body for request in flow.transport.sent}) == 1
    sent = [dict(request.headers) for request in flow.transport.sent]
    assert len({headers["webhook-id"] for headers in sent}) == 1
    assert [headers["webhook-attempt"] for headers in sent] == ["1", "2", "3", "4"]
    assert len({headers["webhook-timestamp"] for headers in sent}) == 4


async def test_a_delivery_fails_when_its_policy_is_used_up(world: World) -> None:
    flow, published = await sent_once(world, answer(500))
    attempts_max = POLICIES["standard"].attempts_max
    for _ in range(attempts_max + 3):
        await world.advance(30 * 3600)
        await flow.lease_and_send()
    merchant = (await flow.store.merchants(Window(limit=1)))[0]
    [delivery] = await world.store.deliveries_of(merchant.id, published.event_id, ALL)
    assert delivery.state is State.FAILED
    assert delivery.attempts_made == attempts_max
    assert len(flow.transport.sent) == attempts_max


async def test_retry_after_rests_the_lane_and_not_only_the_delivery(world: World) -> None:
    flow, _ = await sent_once(world, answer(429, retry_after="600"))
    merchant = (await flow.store.merchants(Window(limit=1)))[0]
    await flow.publish(merchant, payment(2))
    await flow.settled()
    await world.advance(500)
    assert await flow.lease_and_send() == 0
    await world.advance(101)
    assert await flow.lease_and_send() == 2


async def test_an_endpoint_edited_during_the_last_attempt_blocks_nothing(world: World) -> None:
    """Its objects were let go a moment ago, and of this one nobody would think again."""
    flow = Flow(world, script=lambda _request: answer(500))
    merchant = await world.merchant()
    endpoint = await world.endpoint(
        merchant, ordering=Ordering.STRICT, on_failed=OnFailed.BLOCK, retry_delays_s=()
    )
    await flow.publish(merchant, payment(), payment(2))
    taken_at_s = world.clock.monotonic_s()
    flow.dispatcher.offer(await world.lease_one(), taken_at_s=taken_at_s)
    await asyncio.sleep(0)  # now it is under way
    assert flow.dispatcher.in_flight == len(flow.transport.sent) == 1
    await world.edit(endpoint, on_failed=OnFailed.SKIP)
    await flow.settled()
    assert await flow.lease_and_send() == 1


async def test_an_endpoint_paused_while_its_delivery_waited_is_not_told(world: World) -> None:
    flow = Flow(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, ordering=Ordering.STRICT, signature=NO_SIGNATURE)
    await flow.publish(merchant, payment())
    taken_at_s = world.clock.monotonic_s()
    lease = await world.store.lease(owner=7, lanes_max=1, per_lane_max=1, skip=[])
    await world.edit(endpoint, status=EndpointStatus.PAUSED)
    await flow.directory.reload(merchant.id)
    for leased in lease.leased:
        flow.dispatcher.offer(leased, taken_at_s=taken_at_s)
    await flow.settled()
    assert flow.transport.sent == []
    resumed = await world.edit(
        (await world.store.endpoint(merchant.id, endpoint.id)) or endpoint,
        status=EndpointStatus.ACTIVE,
    )
    assert resumed.status is EndpointStatus.ACTIVE
    assert await flow.lease_and_send() == 1
    assert len(flow.transport.sent) == 1


@pytest.mark.parametrize(
    ("waited_s", "deadline_s"),
    [
        pytest.param(0.0, 10.0, id="it may use what waiting left"),
        pytest.param(4.0, 6.0, id="it waited"),
    ],
)
async def test_no_request_outlives_its_lease(
    world: World, waited_s: float, deadline_s: float
) -> None:
    """The endpoint was given more time after it was leased: another would get it meanwhile."""
    flow = Flow(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, timeout_s=5.0)
    await world.publish(merchant, endpoint)
    taken_at_s = world.clock.monotonic_s()
    leased = await world.lease_one()
    await world.edit(endpoint, timeout_s=45.0)
    await flow.directory.reload(merchant.id)
    await world.advance(waited_s)
    flow.dispatcher.offer(leased, taken_at_s=taken_at_s)
    await flow.settled()
    assert [request.deadline_s for request in flow.transport.sent] == [deadline_s]


@pytest.mark.parametrize(
    ("authentication", "name", "value"),
    [
        pytest.param(
            Authentication(type=AuthenticationType.BASIC, username="oms"),
            "authorization",
            "Basic " + base64.b64encode(b"oms:s3cret").decode(),
            id="basic",
        ),
        pytest.param(
            Authentication(type=AuthenticationType.BEARER), "authorization", "Bearer s3cret",
            id="bearer",
        ),
        pytest.param(
            Authentication(type=AuthenticationType.HEADER, name="x-key"), "x-key", "s3cret",
            id="header",
        ),
    ],
)  # fmt: skip
async def test_the_receiver_is_shown_what_it_asked_for(
    world: World, authentication: Authentication, name: str, value: str
) -> None:
    flow = Flow(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(
        merchant, signature=NO_SIGNATURE, authentication=authentication, headers=(("x-shop", "1"),)
    )
    secret = world.secret(
        merchant, endpoint.id, purpose=SecretPurpose.AUTHENTICATION, sealed=b"s3cret"
    )
    await world.store.apply(Change(audit=world.audit(merchant.id), secrets=(secret,)))
    await flow.publish(merchant, payment())
    await flow.settled()
    headers = dict(flow.transport.sent[0].headers)
    assert headers[name] == value
    assert headers["x-shop"] == "1"


async def test_without_authentication_there_is_no_such_header(world: World) -> None:
    flow, _ = await sent_once(world, answer(200))
    assert "authorization" not in dict(flow.transport.sent[0].headers)


@pytest.mark.shows("F68")
async def test_a_secret_rotated_out_signs_until_its_grace_ends(world: World) -> None:
    """A receiver that still has the old secret must go on verifying."""
    flow = Flow(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, signature=SIGNED)
    text = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    other = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
    grace_ends = world.now() + timedelta(hours=1)
    old = world.secret(merchant, endpoint.id, sealed=text.encode(), expires_at=grace_ends)
    new = world.secret(merchant, endpoint.id, sealed=other.encode())
    await world.store.apply(Change(audit=world.audit(merchant.id), secrets=(old, new)))
    await flow.publish(merchant, payment(1))
    await flow.settled()
    await world.advance(3601)
    await flow.publish(merchant, payment(2))
    await flow.settled()
    await flow.lease_and_send()
    signatures = [dict(request.headers)["webhook-signature"] for request in flow.transport.sent]
    assert [len(signature.split()) for signature in signatures] == [2, 1]


@pytest.mark.shows("F71")
async def test_without_the_secret_that_signs_nothing_is_sent(world: World) -> None:
    """Unsigned it would teach receivers to take what anybody sends."""
    flow = Flow(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, signature=SIGNED)
    event = await flow.publish(merchant, payment())
    await flow.settled()
    assert flow.transport.sent == []
    assert isinstance(event[0], Published)
    [delivery] = await world.store.deliveries_of(merchant.id, event[0].event_id, ALL)
    assert (delivery.state, delivery.attempts_made) == (State.SCHEDULED, 0)
    assert delivery.endpoint_id == endpoint.id


@pytest.mark.parametrize("cached", [True, False], ids=["table known", "table loaded first"])
async def test_a_drained_process_leaves_no_connection_behind(world: World, *, cached: bool) -> None:
    """Whichever way its attempt began: the receiver must not answer somebody who is gone."""
    merchant = await world.merchant()
    # Ordered deliveries are not handed off, so that another process comes to send this one.
    await world.endpoint(merchant, signature=NO_SIGNATURE, ordering=Ordering.OBJECT)
    await Flow(world).publish(merchant, payment())
    flow = Flow(world, script=lambda _request: None)
    if cached:
        await flow.directory.reload(merchant.id)
    lease = await flow.store.lease(owner=8, lanes_max=1, per_lane_max=1, skip=[])
    for leased in lease.leased:
        flow.dispatcher.offer(leased, taken_at_s=world.clock.monotonic_s())
    for _ in range(10):
        await asyncio.sleep(0)
    await flow.dispatcher.drain(grace_s=0)
    assert len(flow.transport.sent) == 1
    await asyncio.sleep(0)
    assert flow.transport.broken_off == flow.transport.sent


class SleepyStore(MemoryStore):
    """A store whose answer about routing comes after the process was asleep."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.asleep_s = 0.0
        self._manual = clock

    async def routing(self, merchant_ids: Sequence[MerchantId]) -> list[Routing]:
        """See AcceptStore."""
        found = await super().routing(merchant_ids)
        self._manual.advance(timedelta(seconds=self.asleep_s))
        return found


@pytest.mark.parametrize(
    ("waited_s", "asleep_s"),
    [
        pytest.param(0.0, 6.0, id="looking up took too long"),
        pytest.param(4.0, 2.0, id="waiting and looking up together did"),
    ],
)
async def test_a_process_that_slept_while_it_looked_up_the_endpoint_sends_nothing(
    waited_s: float, asleep_s: float
) -> None:
    """Its lease may have ended meanwhile: somebody else may be sending the same."""
    clock = ManualClock()
    store = SleepyStore(clock)
    world = World(OpenedStore(store=store, clock=clock))
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, signature=NO_SIGNATURE)
    await world.publish(merchant, endpoint)
    flow = Flow(world)
    taken_at_s = clock.monotonic_s()
    leased = await world.lease_one()
    await world.advance(waited_s)
    store.asleep_s = asleep_s
    flow.dispatcher.offer(leased, taken_at_s=taken_at_s)
    await flow.settled()
    assert flow.transport.sent == []
    store.asleep_s = 0.0
    assert await flow.lease_and_send() == 1
    assert len(flow.transport.sent) == 1
