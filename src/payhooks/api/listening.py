"""The stream behind ``payhooks listen``: server-sent events, one per delivery.

Each look leases from the store what is due for this stream alone; the look is also the sign
of life that keeps the sweeper away.
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from payhooks import __version__, ids
from payhooks.api.auth import Granted
from payhooks.control import keys, listen
from payhooks.control.secrets import Revealed
from payhooks.dialects import registry
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.ports.leasing import Leased

LOOK_EVERY_S: Final = 0.25
LEASED_AT_ONCE_MAX: Final = 16
_LOOKS_PER_COMMENT: Final = 40  # ten seconds, below the idle limits of common proxies
_LOOKS_PER_PROOF: Final = 4  # so that a revoked key hears for a second more at most

# Ends of streams under way: the loop keeps only weak references to tasks.
_ending: Final[set[asyncio.Task[None]]] = set()


async def stream(granted: Granted, endpoint: Endpoint, secret: Revealed) -> AsyncIterator[bytes]:
    """Yield the stream until the listener hangs up or may not listen; then its endpoint goes."""
    printed = ids.to_text(ids.ENDPOINT, endpoint.id)
    store = granted.control.store
    try:
        yield _sent("ready", {"id": printed, "secret": secret.text, "events": endpoint.events})
        looks = 0
        while looks % _LOOKS_PER_PROOF or await _may_go_on(granted, endpoint):
            lease = await store.lease(
                owner=granted.services.owner,
                lanes_max=1,
                per_lane_max=LEASED_AT_ONCE_MAX,
                skip=(),
                only=endpoint.id,
            )
            for leased in lease.leased:
                yield _sent("delivery", _delivery(granted, endpoint, secret, leased))
            looks += 1
            if looks % _LOOKS_PER_COMMENT == 0:
                yield b": still here\n\n"
            if len(lease.leased) < LEASED_AT_ONCE_MAX:
                await asyncio.sleep(LOOK_EVERY_S)
    finally:
        # A task of its own: this generator is being cancelled and may not wait any more.
        task = asyncio.create_task(listen.stop(granted.control, granted.caller, endpoint))
        _ending.add(task)
        task.add_done_callback(_ending.discard)


async def _may_go_on(granted: Granted, endpoint: Endpoint) -> bool:
    """Return whether the key still opens the stream, and nobody has deleted its endpoint."""
    if not await keys.is_still_live(granted.control, granted.caller):
        return False
    current = await granted.control.store.endpoint(endpoint.merchant_id, endpoint.id)
    return current is not None and current.status is not EndpointStatus.DELETED


def _delivery(
    granted: Granted, endpoint: Endpoint, secret: Revealed, leased: Leased
) -> dict[str, object]:
    """Return the request as the listener shall make it at its end."""
    dialect = registry.find(endpoint.dialect)
    rendered = dialect.render(event=leased.event, endpoint=endpoint, merchant=granted.merchant)
    message_id = ids.to_text(ids.DELIVERY, leased.id)
    attempt = dialect.sign(
        message_id=message_id,
        body=rendered.body,
        secrets=[dialect.signing_secret(secret.text)],
        now=granted.control.clock.now(),
    )
    headers = [
        ("content-type", rendered.content_type),
        ("user-agent", f"payhooks/{__version__}"),
        ("webhook-attempt", str(leased.attempts_made + 1)),
        *attempt.headers,
    ]
    return {
        "delivery_id": message_id,
        "event_id": ids.to_text(ids.EVENT, leased.event.id),
        "event_type": leased.event.type,
        "fence": leased.fence,
        "headers": headers,
        # Base64: the signature is over bytes, and a stream of text could change them.
        "body": base64.b64encode(attempt.body).decode("ascii"),
    }


def _sent(name: str, value: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(value))
