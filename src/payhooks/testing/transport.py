"""A transport that answers as a test says, and remembers what it was asked to send."""

import asyncio
from collections.abc import Callable

from payhooks.model.attempt import Answer, Outcome, Timing
from payhooks.ports.transport import OutboundRequest, UnderWay


def answer(status: int, *, body: bytes = b"", retry_after: str | None = None) -> Answer:
    """Return an answer with nothing in it that the test did not ask for."""
    headers = () if retry_after is None else (("retry-after", retry_after),)
    return Answer(
        status=status,
        headers=headers,
        body=body,
        body_truncated=False,
        timing=Timing(total_s=0.01),
        peer="192.0.2.1:443",
    )


class ScriptedTransport:
    """Answer each request with ``script(request)``, None being never; by default with 200."""

    def __init__(self, script: Callable[[OutboundRequest], Outcome | None] | None = None) -> None:
        self._script = script or (lambda _request: answer(200))
        self.sent: list[OutboundRequest] = []
        self.broken_off: list[OutboundRequest] = []  # of those never answered

    def begin(self, request: OutboundRequest, done: Callable[[Outcome], None]) -> UnderWay | None:
        """See Transport."""
        self.sent.append(request)
        outcome = self._script(request)
        if outcome is None:
            return _Hanging(request, self.broken_off)
        # Later, as of a network: nobody may rely on an answer that is there at once.
        return asyncio.get_running_loop().call_soon(done, outcome)

    async def close(self) -> None:
        """See Transport."""


class _Hanging:
    def __init__(self, request: OutboundRequest, broken_off: list[OutboundRequest]) -> None:
        self._request = request
        self._broken_off = broken_off

    def cancel(self) -> None:
        self._broken_off.append(self._request)
