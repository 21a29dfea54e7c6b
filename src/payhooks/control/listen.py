"""Listening: a temporary endpoint whose deliveries go into a stream, not to a URL.

No worker takes its lane; the stream leases from it, and what the listener acknowledges is
settled as an attempt like any other. A stream that falls silent is swept away.
"""

from random import Random

import msgspec

from payhooks import ids
from payhooks.control import secrets
from payhooks.control.context import Caller, Control, audit_entry
from payhooks.control.endpoint_draft import check_events, next_number
from payhooks.control.faults import Faults
from payhooks.control.secrets import Revealed
from payhooks.dialects import deadlines, registry
from payhooks.errors import NotFoundError, WrongStateError
from payhooks.ids import DeliveryId, EndpointId
from payhooks.model.attempt import Answer, Attempt, Outcome, Reason, Silence, Timing
from payhooks.model.audit import AuditEntry
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.merchant import Merchant
from payhooks.model.secret import SecretPurpose
from payhooks.policy.classify import classify
from payhooks.policy.decide import decide
from payhooks.policy.retry import policy_of
from payhooks.ports.controlling import Change
from payhooks.ports.settling import Settlement


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one delivery at the listener."""

    delivery_id: DeliveryId
    fence: int
    status: int | None  # None: nobody answered there
    duration_s: float
    body: bytes


async def start(
    control: Control, caller: Caller, merchant: Merchant, events: tuple[str, ...]
) -> tuple[Endpoint, Revealed]:
    """Return a new listening endpoint and the secret that its deliveries are signed with.

    Raises:
        InvalidError: A pattern is none, or the merchant has had as many endpoints as it may.

    """
    faults = Faults()
    await check_events(control, merchant, events, faults)
    faults.check()
    now = control.clock.now()
    endpoint = Endpoint(
        id=EndpointId(control.ids.new()),
        merchant_id=merchant.id,
        number=await next_number(control, merchant.id),
        label="payhooks listen",
        url="",
        events=events,
        status=EndpointStatus.ACTIVE,
        disabled_reason=None,
        version=1,
        created_at=now,
        updated_at=now,
        listening=True,
    )
    text = secrets.new_text(control, endpoint.dialect)
    sealed = secrets.seal(
        control,
        text,
        merchant_id=merchant.id,
        owner_id=endpoint.id,
        purpose=SecretPurpose.ENDPOINT,
    )
    await control.apply(
        Change(
            audit=_entry(control, caller, endpoint, "listener.started"),
            endpoint=endpoint,
            lease_s=deadlines.lease_s(endpoint),
            secrets=(sealed,),
        )
    )
    return endpoint, Revealed(text=text, created_at=now, expires_at=None)


async def stop(control: Control, caller: Caller, endpoint: Endpoint) -> None:
    """Delete a listening endpoint; a repeat changes nothing."""
    assert endpoint.listening
    current = await control.store.endpoint(endpoint.merchant_id, endpoint.id)
    if current is None or current.status is EndpointStatus.DELETED:
        return
    known = await control.store.secrets(endpoint.merchant_id, endpoint.id)
    stopped = msgspec.structs.replace(
        current,
        status=EndpointStatus.DELETED,
        disabled_reason=None,
        version=current.version + 1,
        updated_at=control.clock.now(),
    )
    await control.apply(
        Change(
            audit=_entry(control, caller, endpoint, "listener.stopped"),
            endpoint=stopped,
            lease_s=deadlines.lease_s(stopped),
            forget_secrets=tuple(secret.id for secret in known),
        )
    )


async def acknowledge(control: Control, merchant: Merchant, endpoint: Endpoint, ack: Ack) -> bool:
    """Write down what the listener says; False where the lease had gone meanwhile.

    Raises:
        NotFoundError: The delivery is not one of this stream.
        WrongStateError: It is not out at the moment.

    """
    if not endpoint.listening:
        raise WrongStateError("This endpoint is no stream.")
    delivery = await control.store.delivery(merchant.id, ack.delivery_id)
    if delivery is None or delivery.endpoint_id != endpoint.id:
        raise NotFoundError("There is no such delivery.")
    if not 1 <= ack.fence <= delivery.fence:
        raise WrongStateError("The delivery was not sent under this fence.")
    now = control.clock.now()
    dialect = registry.find(endpoint.dialect)
    policy = policy_of(endpoint, dialect.retry_policy)
    # 410 and its like end the delivery here, not the stream.
    verdict = classify(_outcome(ack), gone_disables=False, now=now)
    decision = decide(
        verdict,
        attempts_made=delivery.attempts_made,
        policy=policy,
        random=Random(int.from_bytes(control.random_bytes(8), "big")),  # noqa: S311 - jitter
    )
    timing = Timing(total_s=ack.duration_s)
    settlement = Settlement(
        delivery_id=delivery.id,
        merchant_id=merchant.id,
        endpoint_id=endpoint.id,
        fence=ack.fence,
        trigger=decision.trigger,
        delay_s=decision.delay_s or 0.0,
        reason=verdict.reason,
        attempt=Attempt(
            delivery_id=delivery.id,
            fence=ack.fence,
            late=False,
            at=now,
            status=ack.status,
            reason=verdict.reason,
            detail=verdict.detail,
            timing=timing,
            peer=None,
            answer_body=ack.body,
        ),
        rendered=None,
        block_order=False,
    )
    [held] = await control.store.settle([settlement])
    control.settled(settlement, held=held)
    return held


def _outcome(ack: Ack) -> Outcome:
    timing = Timing(total_s=ack.duration_s)
    if ack.status is None:
        return Silence(
            reason=Reason.CONNECT, detail="Nobody answered at the listener's end.", timing=timing
        )
    return Answer(
        status=ack.status,
        headers=(),
        body=ack.body,
        body_truncated=False,
        timing=timing,
        peer=None,
    )


def _entry(control: Control, caller: Caller, endpoint: Endpoint, action: str) -> AuditEntry:
    return audit_entry(
        control,
        caller,
        merchant_id=endpoint.merchant_id,
        action=action,
        target=ids.to_text(ids.ENDPOINT, endpoint.id),
        changes={"events": [None, endpoint.events]},
    )
