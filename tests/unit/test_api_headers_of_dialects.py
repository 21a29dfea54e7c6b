"""One header has one writer: an endpoint may not set what its dialect signs with."""

import pytest
from tests.support.api_world import Answer, World
from tests.support.custom_formats import HUB

OWN = {
    "merchant-console": "X-Signature",
    "owlpay": "OwlPay-Signature",
    "owngateway": "x-webhook-signature-512",
    "hyperswitch": "X-Webhook-Signature-512",
    "stripe": "Stripe-Signature",
    "foloosi": "X-Foloosi-Signature",
    "custom": "x-hub-signature-256",
}


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


async def _made(world: World, merchant: str, **members: object) -> Answer:
    said = {"label": "Hook", "url": "https://example.com/hook", "events": ["*"], **members}
    return await world.call("POST", f"/v1/merchants/{merchant}/endpoints", said)


def _where(answer: Answer) -> list[tuple[str, str]]:
    assert answer.status == 422, answer.body
    return [(fault["pointer"], fault["code"]) for fault in answer.json["errors"]]


@pytest.mark.parametrize("dialect", OWN)
async def test_a_header_of_the_dialect_is_refused(world: World, dialect: str) -> None:
    """Sent twice it verifies nowhere, and nothing would tell the merchant why."""
    merchant = await world.merchant(custom_dialect=HUB)
    twice = await _made(world, merchant, dialect=dialect, headers={OWN[dialect]: "x"})
    assert _where(twice) == [("/headers", "duplicate")]
    named = {"type": "header", "name": OWN[dialect], "value": "x"}
    also = await _made(world, merchant, dialect=dialect, authentication=named)
    assert _where(also) == [("/authentication/name", "duplicate")]
    # Of another dialect it is a header like any other, until the endpoint is given this one.
    made = await _made(world, merchant, headers={OWN[dialect]: "x"})
    assert made.status == 201
    at = f"/v1/merchants/{merchant}/endpoints/{made.json['id']}"
    edited = await world.call("PATCH", at, {"dialect": dialect})
    assert _where(edited) == [("/headers", "duplicate")]


async def test_a_format_is_refused_whose_header_an_endpoint_sets(world: World) -> None:
    """The endpoint was there first; its merchant has to decide which of the two it is."""
    merchant = await world.merchant(custom_dialect=HUB)
    made = await _made(world, merchant, dialect="custom", headers={"X-Mine": "1"})
    assert made.status == 201
    at = f"/v1/merchants/{merchant}"
    taken = {"custom_dialect": {**HUB, "signature_header": "x-mine"}}
    assert _where(await world.call("PATCH", at, taken)) == [("/custom_dialect", "duplicate")]
    free = {"custom_dialect": {**HUB, "signature_header": "X-Other"}}
    assert (await world.call("PATCH", at, free)).status == 200
