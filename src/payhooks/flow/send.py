"""Step 4: one attempt. Render in the pinned dialect, sign with every live secret, send.

The body is the same on every attempt: rendered from the event alone, and stored at the first
failure so that an upgrade of the dialect cannot change it. Headers are made afresh, and so is a
signature that a dialect puts into the body, because a secret may have been replaced meanwhile.
"""

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Final, assert_never

import msgspec

from payhooks import __version__
from payhooks.clock import Clock
from payhooks.dialects.contract import Dialect, Rendered, Signed
from payhooks.errors import DamagedError, InvalidError, UnavailableError
from payhooks.flow.routing import RoutingTable
from payhooks.ids import DELIVERY, to_text
from payhooks.model.attempt import Answer, OurFault, Outcome, Reason, Silence, Timing
from payhooks.model.endpoint import AuthenticationType, Endpoint
from payhooks.model.merchant import Merchant, Mode
from payhooks.policy.echo import without_credentials
from payhooks.ports.leasing import Leased
from payhooks.ports.transport import OutboundRequest, Transport, UnderWay

USER_AGENT: Final = f"payhooks/{__version__}"


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt was and what came of it."""

    outcome: Outcome
    rendered: bytes | None  # the body before it was signed; None where there can be none
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
        *,
        deadline_s: float,
    ) -> UnderWay | None:
        """Begin one attempt; *done* hears of it after *deadline_s* at the latest.

        Cancelled, *done* hears nothing. Returns None where *done* was told already.
        """
        assert deadline_s > 0
        began_at = self._clock.now()
        # Only the current version of a dialect writes; an older pin has its body stored.
        try:
            dialect = table.dialect(leased.dialect)
        except DamagedError as error:
            # Not installed any more: an operator's matter, so it costs no attempt either.
            fault = OurFault(detail=str(error))
            done(Sent(outcome=fault, rendered=None, began_at=began_at))
            return None
        refusal = None if dialect.carries_everything else dialect.refusal(leased.event)
        if refusal is not None:
            silence = Silence(reason=Reason.NOT_CARRIED, detail=refusal, timing=Timing())
            done(Sent(outcome=silence, rendered=None, began_at=began_at))
            return None
        rendered = render(dialect, leased, endpoint, table.merchant)
        try:
            signed = sign(dialect, leased, endpoint, table, body=rendered.body, now=began_at)
            headers = (
                ("content-type", rendered.content_type),
                ("user-agent", USER_AGENT),
                *signed.headers,
                *_own_headers(leased),
                *_authentication(endpoint, table),
                *endpoint.headers,
            )
        except UnavailableError as error:
            # A secret that does not open is ours to mend: the merchant must not pay for it.
            fault = OurFault(detail=str(error))
            done(Sent(outcome=fault, rendered=rendered.body, began_at=began_at))
            return None
        except InvalidError as error:
            # The endpoint has another dialect by now, and since then a secret of that one alone.
            detail = error.faults[0].detail
            silence = Silence(reason=Reason.NOT_CARRIED, detail=detail, timing=Timing())
            done(Sent(outcome=silence, rendered=rendered.body, began_at=began_at))
            return None
        request = OutboundRequest(
            url=endpoint.url,
            headers=headers,
            body=signed.body,
            deadline_s=deadline_s,
            connect_timeout_s=min(dialect.connect_timeout_s, deadline_s),
            allow_http=self._allow_http or table.merchant.mode is Mode.SANDBOX,
        )

        credentials = _credentials(endpoint, table)

        def ended(outcome: Outcome) -> None:
            if credentials and isinstance(outcome, Answer):
                outcome = without_credentials(outcome, credentials)
            done(Sent(outcome=outcome, rendered=rendered.body, began_at=began_at))

        return self._transport.begin(request, ended)


def render(dialect: Dialect, leased: Leased, endpoint: Endpoint, merchant: Merchant) -> Rendered:
    """Return the body of every attempt of this delivery, before it is signed."""
    rendered = dialect.render(event=leased.event, endpoint=endpoint, merchant=merchant)
    if leased.rendered is None:
        return rendered
    return Rendered(content_type=rendered.content_type, body=leased.rendered)


def sign(  # noqa: PLR0913 - every part is named at the call site
    dialect: Dialect,
    leased: Leased,
    endpoint: Endpoint,
    table: RoutingTable,
    *,
    body: bytes,
    now: datetime,
) -> Signed:
    """Return one attempt, signed with every secret that lives now.

    Raises:
        InvalidError: The endpoint has no secret of this dialect any more.
        UnavailableError: A secret cannot be opened.

    """
    return dialect.sign(
        message_id=to_text(DELIVERY, leased.id),
        body=body,
        secrets=table.signing_secrets(endpoint, leased.dialect, now),
        now=now,
    )


def _own_headers(leased: Leased) -> tuple[tuple[str, str], ...]:
    attempt = ("webhook-attempt", str(leased.attempts_made + 1))
    if leased.replay_bulk is None:
        return (attempt,)
    return (attempt, ("webhook-replay", "bulk" if leased.replay_bulk else "manual"))


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
