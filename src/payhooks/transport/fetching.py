"""What inbound asks of providers, over the transport that deliveries go by.

So it has the same address guard, follows no redirect, and ends within one deadline.
"""

from functools import partial
from typing import Final

from payhooks import limits
from payhooks.errors import UnavailableError
from payhooks.model.attempt import Answer
from payhooks.ports.fetching import Fetch, Fetched
from payhooks.ports.transport import OutboundRequest, Transport, end_of

# A certificate is asked for while its webhook waits for an answer, and providers wait ten seconds
# or less. What is not there by then is asked for again when the provider tries again.
_DEADLINE_S: Final = 5.0


class TransportFetcher:
    """See Fetcher."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def fetch(self, request: Fetch) -> Fetched:
        """See Fetcher; cancelling it closes the connection."""
        outbound = OutboundRequest(
            url=request.url,
            headers=request.headers,
            body=b"",
            method="GET",
            deadline_s=_DEADLINE_S,
            connect_timeout_s=min(limits.CONNECT_TIMEOUT_S, _DEADLINE_S),
            allow_http=request.allow_http,
            answer_kept_bytes_max=limits.ANSWER_READ_BYTES_MAX,
        )
        outcome = await end_of(partial(self._transport.begin, outbound))
        if not isinstance(outcome, Answer):
            raise UnavailableError(outcome.detail)
        if outcome.body_truncated:
            # A part of an answer may read like another answer.
            raise UnavailableError("The answer broke off, or it is too large.")
        return Fetched(status=outcome.status, body=outcome.body)
