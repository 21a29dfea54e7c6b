"""uvicorn's HTTP protocol with what it leaves open closed: slow heads, endless heads, answers.

A peer that never finishes its request's head would hold a connection for ever; one that sends
megabytes of headers would hold memory. Both are cut here, before any request exists. What the
parser refuses is answered with a problem document like every other refusal.
"""

import asyncio
from enum import Enum
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from payhooks import ids
from payhooks.api import problems
from payhooks.api.front import HEADER_BYTES_MAX
from payhooks.api.problems import Kind, Problem
from payhooks.ids import IdSource
from payhooks.limits import KIB

HEAD_WAIT_S: Final = 10.0
# 4 MiB in that time is 140 KB/s: slower peers do better with smaller batches.
BODY_WAIT_S: Final = 30.0
# Targets and headers that are a little too long still reach the front, which answers them
# more exactly; this bound is for those that do not end.
HEAD_BYTES_MAX: Final = 2 * HEADER_BYTES_MAX + 32 * KIB

_NOT_HTTP: Final = Problem(kind=Kind.MALFORMED, detail="This is not a valid HTTP/1.1 request.")
_TOO_LONG: Final = Problem(
    kind=Kind.HEADERS_TOO_LARGE, detail=f"A head has at most {HEAD_BYTES_MAX} bytes."
)
_TOO_SLOW: Final = Problem(kind=Kind.TIMEOUT, detail="The request took too long to arrive.")


class _Part(Enum):
    HEAD = "head"
    BODY = "body"
    NOTHING = "nothing"  # the app is at work, or the connection idles between requests


class GuardedHttp(HttpToolsProtocol):
    """One connection. Made by ``guarded_http``, which gives it its id source.

    A request that arrives in one piece, as nearly all do, never sees a timer.
    """

    id_source: IdSource
    head_wait_s: float = HEAD_WAIT_S
    body_wait_s: float = BODY_WAIT_S

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*arguments, **named)
        self._waits_for = _Part.HEAD
        self._timer: asyncio.TimerHandle | None = None
        self._timer_for = _Part.NOTHING
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Give the first head its time."""
        super().connection_made(transport)
        self._mind_time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._waits_for = _Part.NOTHING
        self._mind_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; cut a head that has become too long."""
        if self._waits_for is _Part.HEAD:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        # Looked at afterwards: a piece that ends a head may hold much of a body too.
        if self._waits_for is _Part.HEAD and self._head_bytes > HEAD_BYTES_MAX:
            self._refuse(_TOO_LONG)
        else:
            self._mind_time()

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        if self._waits_for is not _Part.HEAD:
            self._waits_for = _Part.HEAD
            self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """End the head; the body is next."""
        self._waits_for = _Part.BODY
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the request; between requests the server's keep-alive counts."""
        self._waits_for = _Part.NOTHING
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refused, and close."""
        self._refuse(_NOT_HTTP)

    def _mind_time(self) -> None:
        """Let a timer run for the part that is waited for, one per part."""
        if self._timer_for is self._waits_for:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_for = self._waits_for
        if self._waits_for is not _Part.NOTHING:
            wait_s = self.head_wait_s if self._waits_for is _Part.HEAD else self.body_wait_s
            self._timer = self.loop.call_later(wait_s, self._on_slow)

    def _on_slow(self) -> None:
        if not self.transport.is_closing():
            self._refuse(_TOO_SLOW)

    def _refuse(self, problem: Problem) -> None:
        self._waits_for = _Part.NOTHING
        self._mind_time()
        request_id = ids.to_text(ids.REQUEST, self.id_source.new())
        body = problems.body_of(problem, request_id=request_id)
        headers = [
            *problems.headers_of(problem),
            ("x-request-id", request_id),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        lines = [f"HTTP/1.1 {problem.status} Refused", *(f"{n}: {v}" for n, v in headers), "", ""]
        self.transport.write("\r\n".join(lines).encode("latin-1") + body)
        self.transport.close()


def guarded_http(
    id_source: IdSource, *, head_wait_s: float = HEAD_WAIT_S, body_wait_s: float = BODY_WAIT_S
) -> type[GuardedHttp]:
    """Return the protocol class for uvicorn's ``http`` setting."""
    members = {"id_source": id_source, "head_wait_s": head_wait_s, "body_wait_s": body_wait_s}
    return type("GuardedHttpHere", (GuardedHttp,), members)
