"""The one way out: an HTTP request to an address somebody else chose."""

from typing import Protocol

import msgspec

from payhooks.model.attempt import Outcome


class OutboundRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One POST, complete: transport adds nothing but Host, Content-Length and framing."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    deadline_s: float  # wall clock, from the call to the last byte read; nothing outlives it
    connect_timeout_s: float
    allow_http: bool  # plain http, as sandbox merchants may use


class Transport(Protocol):
    """Sends requests. One per process, used from its event loop only."""

    async def send(self, request: OutboundRequest) -> Outcome:
        """Return what came of one attempt, at the latest when its deadline is over.

        Never raises for anything the network or the receiver does. Cancelling the call
        closes the connection.
        """
        ...

    async def close(self) -> None:
        """End what is under way and free every socket."""
        ...
