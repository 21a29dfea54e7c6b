"""The API against its own description: whatever the document allows is answered as it says."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.support.api_world import OPERATOR_KEY, World, finish

from payhooks.api.protocol import guarded_http
from payhooks.model.delivery import Trigger

REFERENCE = "shop"
EXAMPLES = 12
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]


def _document() -> dict[str, Any]:
    document: dict[str, Any] = asyncio.run(World().call("GET", "/openapi.json")).json
    # A stream does not end; it has a test of its own.
    del document["paths"]["/v1/merchants/{m}/listen"]
    return document


schema = schemathesis.openapi.from_dict(_document())


async def _furnished() -> tuple[World, dict[str, str]]:
    """Return an installation with one of everything, and the ids for its paths."""
    world = World()
    merchant = await world.merchant(reference=REFERENCE)
    await world.key(merchant, "events:read")
    await world.endpoint(merchant)
    await world.publish(merchant)
    await finish(world, Trigger.GIVE_UP)
    await world.call("POST", f"/v1/merchants/{merchant}/replays", {"include": ["failed"]})
    known = {"m": REFERENCE, "name": "payment_succeeded", "family": "owngateway"}
    for noun, parameter in (
        ("endpoints", "endpoint_id"),
        ("events", "event_id"),
        ("deliveries", "delivery_id"),
        ("replays", "replay_id"),
        ("keys", "key_id"),
    ):
        listed = await world.call("GET", f"/v1/merchants/{merchant}/{noun}")
        known[parameter] = listed.json["data"][0]["id"]
    return world, known


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, dict[str, str], World]]:
    """Serve a furnished installation from a thread of its own."""
    world, known = asyncio.run(_furnished())
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        world.app, http=guarded_http(world.ids), lifespan="off", ws="none", log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    # Listening already, so the first request waits for the server and not we.
    listener.listen()
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", known, world
    server.should_exit = True
    thread.join(10)
    listener.close()
    assert world.bugs == []


@pytest.mark.shows("B12")
@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_answers_as_it_is_described(
    case: "Case[Any]", running: tuple[str, dict[str, str], World]
) -> None:
    """A client that was generated from the document must understand every answer."""
    base_url, known, _ = running
    # Our ids in the paths: else every case would end at 404.
    for name in case.path_parameters or {}:
        case.path_parameters[name] = known.get(name, case.path_parameters[name])
    case.headers["authorization"] = f"Bearer {OPERATOR_KEY}"
    response = case.call(base_url=base_url, timeout=10)
    case.validate_response(response, checks=CHECKS)
