"""A receiver that shows us our own credential does not make us keep or show it."""

import base64

import pytest
from tests.support.flow import Flow, payment
from tests.support.stores import OpenedStore
from tests.support.world import World, attempts_of

from payhooks.flow.publication import Published
from payhooks.model.attempt import Answer, Timing
from payhooks.model.endpoint import Authentication, AuthenticationType, Signature, SignatureType
from payhooks.model.secret import SecretPurpose
from payhooks.policy.echo import MASK
from payhooks.ports.controlling import Change, Window
from payhooks.ports.transport import OutboundRequest
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock

CANARY = "canary-9d21"


def _echo(request: OutboundRequest) -> Answer:
    """Answer as a debugging page does: with every header of the request."""
    page = "\n".join(f"{name}: {value}" for name, value in request.headers)
    sent = [value for _, value in request.headers if "canary" in value or "Basic" in value]
    return Answer(
        status=500,
        headers=tuple(("x-debug", value) for value in sent),
        body=f"{page}\n{CANARY} was the password".encode(),
        body_truncated=False,
        timing=Timing(),
        peer="192.0.2.1:443",
    )


@pytest.mark.shows("S13")
@pytest.mark.parametrize(
    "authentication",
    [
        Authentication(type=AuthenticationType.BASIC, username="shop"),
        Authentication(type=AuthenticationType.BEARER),
        Authentication(type=AuthenticationType.HEADER, name="X-Api-Key"),
    ],
    ids=lambda authentication: authentication.type,
)
async def test_a_credential_that_comes_back_is_not_kept(authentication: Authentication) -> None:
    """Error pages that list headers are common; it would stand in the database in the clear."""
    clock = ManualClock()
    world = World(OpenedStore(store=MemoryStore(clock=clock), clock=clock))
    flow = Flow(world, script=_echo)
    merchant = await world.merchant()
    endpoint = await world.endpoint(
        merchant, authentication=authentication, signature=Signature(type=SignatureType.NONE)
    )
    secret = world.secret(
        merchant, endpoint.id, purpose=SecretPurpose.AUTHENTICATION, sealed=CANARY.encode()
    )
    await world.store.apply(Change(audit=world.audit(merchant.id), secrets=(secret,)))
    [published] = await flow.publish(merchant, payment())
    assert isinstance(published, Published)
    await flow.settled()
    [request] = flow.transport.sent
    pair = base64.b64encode(f"shop:{CANARY}".encode()).decode()
    assert any(CANARY in value or pair in value for _, value in request.headers)
    [delivery] = await world.store.deliveries_of(merchant.id, published.event_id, Window(limit=1))
    [attempt] = await attempts_of(world.store, merchant.id, delivery.id)
    kept = attempt.answer_body.decode() + str(attempt.answer_headers)
    assert CANARY not in kept
    assert pair not in kept
    assert MASK in attempt.answer_body.decode()
    assert "webhook-attempt: 1" in kept
