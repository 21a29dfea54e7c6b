"""The one way out: an HTTP request to an address somebody else chose."""

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

import msgspec

from payhooks import limits
from payhooks.model.attempt import Outcome

Result = TypeVar("Result")


class OutboundRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request, complete: transport adds nothing but Host, Content-Length and framing."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    deadline_s: float  # wall clock, from the call to the last byte read; nothing outlives it
    connect_timeout_s: float
    allow_http: bool  # plain http, as sandbox merchants may use
    method: Literal["POST", "GET"] = "POST"  # a GET has no body
    answer_kept_bytes_max: int = limits.ANSWER_KEPT_BYTES_MAX


class UnderWay(Protocol):
    """What has begun and can be broken off; asyncio's tasks and handles are such."""

    def cancel(self) -> object:
        """End it now. Only while it has not ended: afterwards it may be something else."""
        ...


class Transport(Protocol):
    """Sends requests. One per process, used from its event loop only.

    Nothing is awaited here: thousands of requests a second are under way, and a task for each
    would cost as much as all that we do for it ourselves.
    """

    def begin(self, request: OutboundRequest, done: Callable[[Outcome], None]) -> UnderWay | None:
        """Begin one attempt; tell *done* once what came of it, when its deadline is over at last.

        Never raises for anything the network or the receiver does, nor may *done*. Cancelling
        closes the connection, and *done* hears nothing. Returns None where *done* was told
        already.
        """
        ...

    async def close(self) -> None:
        """End what is under way and free every socket."""
        ...


async def end_of(begin: Callable[[Callable[[Result], None]], UnderWay | None]) -> Result:
    """Begin something, and return what it tells of its end; cancelling breaks it off.

    For those who have a task anyway. What has ended in the turn in which its task was cancelled
    is heard by nobody, and is not broken off: by then it may be somebody else's.
    """
    told: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    ended = False

    def done(result: Result) -> None:
        nonlocal ended
        ended = True
        if not told.done():
            told.set_result(result)

    under_way = begin(done)
    try:
        return await told
    finally:
        if under_way is not None and not ended:
            under_way.cancel()
