"""Step 4: one attempt. Render in the pinned dialect, sign with every live secret, send.

The body is the same on every attempt: rendered from the event alone, and stored at the first
failure so that an upgrade of the dialect cannot change it. Headers are made afresh.
"""

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Final, assert_never

import msgspec

from payhooks import __version__
from payhooks.clock import Clock
from payhooks.dialects.contract import Dialect, Rendered
from payhooks.dialects.registry import DIALECTS
from payhooks.errors import UnavailableError
from payhooks.flow.fan_out import timeout_s
from payhooks.flow.routing import RoutingTable
from payhooks.ids import DELIVERY, to_text
from payhooks.model.attempt import Answer, OurFault, Outcome
from payhooks.model.endpoint import AuthenticationType, Endpoint
from payhooks.model.merchant import Mode
from payhooks.policy.echo import without_credentials
from payhooks.ports.leasing import Leased
from payhooks.ports.transport import OutboundRequest, Transport, UnderWay

USER_AGENT: Final = f"payhooks/{__version__}"


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt was and what came of it."""

    outcome: Outcome
    body: bytes
    began_at: datetime


class Sender:
    """Makes attempts. One per process."""

    def __init__(self, *, transport: Transport, clock: Clock, allow_http: bool) -> None:
        """Take the way out; *allow_http* lets live merchants use plain http too."""
        self._transport = transport
        self._clock = clock
        self._allow_http = allow_http

    def begin(
        self,
        leased: Leased,
        endpoint: Endpoint,
        table: RoutingTable,
        done: Callable[[Sent], None],
    ) -> UnderWay | None:
        """Begin one attempt; *done* hears of it when the endpoint's time-out is over at last.

        Cancelled, *done* hears nothing. Returns None where *done* was told already.
        """
        began_at = self._clock.now()
        rendered = render(leased, endpoint, table)
        try:
            headers = request_headers(leased, endpoint, table, rendered=rendered, now=began_at)
        except UnavailableError as error:
            # A secret that does not open is ours to mend: the merchant must not pay for it.
            fault = OurFault(detail=str(error))
            done(Sent(outcome=fault, body=rendered.body, began_at=began_at))
            return None
        deadline_s = timeout_s(endpoint)
        request = OutboundRequest(
            url=endpoint.url,
            headers=headers,
            body=rendered.body,
            deadline_s=deadline_s,
            connect_timeout_s=min(DIALECTS[leased.dialect].connect_timeout_s, deadline_s),
            allow_http=self._allow_http or table.merchant.mode is Mode.SANDBOX,
        )

        credentials = _credentials(endpoint, table)

        def ended(outcome: Outcome) -> None:
            if credentials and isinstance(outcome, Answer):
                outcome = without_credentials(outcome, credentials)
            done(Sent(outcome=outcome, body=rendered.body, began_at=began_at))

        return self._transport.begin(request, ended)


def render(leased: Leased, endpoint: Endpoint, table: RoutingTable) -> Rendered:
    """Return the body of every attempt of this delivery."""
    dialect = _dialect(leased)
    rendered = dialect.render(event=leased.event, endpoint=endpoint, merchant=table.merchant)
    if leased.rendered is None:
        return rendered
    return Rendered(content_type=rendered.content_type, body=leased.rendered)


def request_headers(
    leased: Leased,
    endpoint: Endpoint,
    table: RoutingTable,
    *,
    rendered: Rendered,
    now: datetime,
) -> tuple[tuple[str, str], ...]:
    """Return the headers of one attempt.

    Raises:
        UnavailableError: A secret cannot be opened.

    """
    replay: tuple[tuple[str, str], ...] = ()
    if leased.replay_bulk is not None:
        replay = (("webhook-replay", "bulk" if leased.replay_bulk else "manual"),)
    return (
        ("content-type", rendered.content_type),
        ("user-agent", USER_AGENT),
        *_dialect(leased).sign(
            message_id=to_text(DELIVERY, leased.id),
            body=rendered.body,
            secrets=table.signing_secrets(endpoint, now),
            now=now,
        ),
        ("webhook-attempt", str(leased.attempts_made + 1)),
        *replay,
        *_authentication(endpoint, table),
        *endpoint.headers,
    )


def _dialect(leased: Leased) -> Dialect:
    # Only the current version of a dialect writes; an older pin has its body stored.
    return DIALECTS[leased.dialect]


def _credentials(endpoint: Endpoint, table: RoutingTable) -> tuple[str, ...]:
    """Return what a receiver could repeat: the secret, and where it has one its wire form."""
    headers = _authentication(endpoint, table)
    if not headers:
        return ()
    return (headers[0][1].rpartition(" ")[2], table.authentication_secret(endpoint))


def _authentication(endpoint: Endpoint, table: RoutingTable) -> tuple[tuple[str, str], ...]:
    chosen = endpoint.authentication
    match chosen.type:
        case AuthenticationType.NONE:
            return ()
        case AuthenticationType.BASIC:
            pair = f"{chosen.username}:{table.authentication_secret(endpoint)}".encode()
            return (("authorization", "Basic " + base64.b64encode(pair).decode()),)
        case AuthenticationType.BEARER:
            return (("authorization", "Bearer " + table.authentication_secret(endpoint)),)
        case AuthenticationType.HEADER:
            assert chosen.name is not None
            return ((chosen.name, table.authentication_secret(endpoint)),)
        case _:
            assert_never(chosen.type)
