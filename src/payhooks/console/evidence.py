"""The request of an attempt, made once more for people to read, copy and verify.

Requests are not kept, but made again from what is: the event, the webhook and its secrets, by the
same functions that sent them, at the time of the attempt. What authenticates us is never in it;
a signature is, since it gives nothing away and is what there is to compare. Headers of the
webhook's own are for those who may write them: there are secrets among them, whatever we ask for.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from payhooks.console.parts import Parts
from payhooks.control import secrets
from payhooks.dialects.contract import Signed
from payhooks.errors import InvalidError, UnavailableError
from payhooks.flow.send import USER_AGENT, render, sign
from payhooks.model.attempt import Attempt
from payhooks.model.delivery import Delivery
from payhooks.model.endpoint import AuthenticationType, Endpoint, SignatureType
from payhooks.model.event import Event
from payhooks.ports.leasing import Leased
from payhooks.receiver.dialects import DIALECTS
from payhooks.receiver.explain import Step, explain

HIDDEN: Final = "••••••••"
_VARIABLE: Final = '"$WEBHOOK_SECRET"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it is shown."""

    headers: tuple[tuple[str, str], ...]  # those that authenticate us with HIDDEN in their place
    head: str
    body: bytes
    pretty: str
    dialect: str
    at: datetime
    unsigned: str  # why it has no signature though it should; empty where it is as it was
    curl: str


async def request_of(  # noqa: PLR0913 - a request has many parts
    parts: Parts,
    delivery: Delivery,
    event: Event,
    endpoint: Endpoint,
    attempt: Attempt | None,
    *,
    whole: bool,
) -> Request | None:
    """Return the request of an attempt, or of the next; None where its dialect cannot say it.

    Unless *whole*, what the webhook's own headers say is hidden.
    """
    table = await parts.directory.reload(delivery.merchant_id)
    at = parts.control.clock.now() if attempt is None else attempt.at
    leased = _leased(delivery, event)
    try:
        dialect = table.dialect(delivery.dialect)
    except UnavailableError:
        return None
    if dialect.refusal(event) is not None:
        return None
    rendered = render(dialect, leased, endpoint, table.merchant)
    unsigned = "The next attempt signs it." if attempt is None else ""
    signed = Signed(headers=(), body=rendered.body)
    if attempt is not None:
        try:
            signed = sign(dialect, leased, endpoint, table, body=rendered.body, now=at)
        except (UnavailableError, InvalidError):
            unsigned = "The secret that signed it is not there any more."
    common = (
        ("content-type", rendered.content_type),
        ("user-agent", USER_AGENT),
        *signed.headers,
    )
    own = tuple((name, value if whole else HIDDEN) for name, value in endpoint.headers)
    shown = (*common, *_masked(endpoint), *own)
    return Request(
        headers=shown,
        head=f"POST {endpoint.url}\n{head(shown)}",
        body=signed.body,
        pretty=pretty(signed.body),
        dialect=delivery.dialect,
        at=at,
        unsigned=unsigned,
        curl=_curl(endpoint, (*common, *own), signed.body),
    )


async def steps_of(parts: Parts, request: Request, endpoint: Endpoint) -> list[Step]:
    """Return what a receiver that has the secret finds, step by step; nothing where none signs."""
    if endpoint.signature.type is SignatureType.NONE or request.unsigned:
        return []
    if request.dialect not in DIALECTS:
        return []
    owner, purpose = secrets.signer_of(endpoint.signature, endpoint.id, endpoint.merchant_id)
    control = parts.control
    known = await control.store.secrets(endpoint.merchant_id, owner)
    live = secrets.live(known, purpose, control.clock.now())
    try:
        texts = [secrets.open_secret(control.keyring, secret) for secret in live]
    except UnavailableError:
        return []
    return explain(
        request.body,
        dict(request.headers),
        texts,
        now=control.clock.now(),
        any_age=True,
        dialect=request.dialect,
    )


def head(headers: Sequence[tuple[str, str]]) -> str:
    """Return headers as lines."""
    return "\n".join(f"{name}: {value}" for name, value in headers)


def pretty(body: bytes) -> str:
    """Return JSON indented, with numbers spelled as they were; other text as it is."""
    try:
        return msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "replace")


def _leased(delivery: Delivery, event: Event) -> Leased:
    """Return the delivery as the functions that send it take it; nothing is leased."""
    return Leased(
        id=delivery.id,
        endpoint_id=delivery.endpoint_id,
        merchant_id=delivery.merchant_id,
        event=event,
        fence=delivery.fence,
        attempts_made=delivery.attempts_made,
        lease_s=0.0,
        order_key=None,
        dialect=delivery.dialect,
        dialect_version=delivery.dialect_version,
        replay_id=delivery.replay_id,
        replay_bulk=None,
        rendered=None,
        routing_version=0,
        lane_failing=False,
        lane_probe=False,
    )


def _masked(endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
    chosen = endpoint.authentication
    match chosen.type:
        case AuthenticationType.NONE:
            return ()
        case AuthenticationType.BASIC:
            return (("authorization", f"Basic {HIDDEN}"),)
        case AuthenticationType.BEARER:
            return (("authorization", f"Bearer {HIDDEN}"),)
        case AuthenticationType.HEADER:
            assert chosen.name is not None
            return ((chosen.name, HIDDEN),)


def _curl(endpoint: Endpoint, headers: tuple[tuple[str, str], ...], body: bytes) -> str:
    """Return a command for a shell; whoever runs it puts the credential into its environment."""
    chosen = endpoint.authentication
    words = ["curl -i"]
    words += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers]
    match chosen.type:
        case AuthenticationType.BASIC:
            words.append(f"-u {shlex.quote(f'{chosen.username}:')}{_VARIABLE}")
        case AuthenticationType.BEARER:
            words.append(f"-H 'authorization: Bearer '{_VARIABLE}")
        case AuthenticationType.HEADER:
            words.append(f"-H {shlex.quote(f'{chosen.name}: ')}{_VARIABLE}")
        case AuthenticationType.NONE:
            pass
    words.append(f"--data-binary {shlex.quote(body.decode('utf-8', 'replace'))}")
    words.append(shlex.quote(endpoint.url))
    return " \\\n  ".join(words)
