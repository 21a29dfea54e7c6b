"""uvicorn's HTTP protocol with what it leaves open closed: slow heads, endless heads, answers.

A peer that never finishes its request's head would hold a connection for ever; one that sends
megabytes of headers would hold memory. Both are cut here, before any request exists. What the
parser refuses is answered with a problem document like every other refusal.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from payhooks import ids
from payhooks.api import problems
from payhooks.api.front import HEADER_BYTES_MAX
from payhooks.api.problems import Kind, Problem
from payhooks.ids import IdSource
from payhooks.limits import KIB

HEAD_WAIT_S: Final = 10.0
# Targets and headers that are a little too long still reach the front, which answers them
# more exactly; this bound is for those that do not end.
HEAD_BYTES_MAX: Final = 2 * HEADER_BYTES_MAX + 32 * KIB

_NOT_HTTP: Final = Problem(kind=Kind.MALFORMED, detail="This is not a valid HTTP/1.1 request.")
_TOO_LONG: Final = Problem(
    kind=Kind.HEADERS_TOO_LARGE, detail=f"A head has at most {HEAD_BYTES_MAX} bytes."
)
_TOO_SLOW: Final = Problem(
    kind=Kind.TIMEOUT, detail=f"The head must arrive within {HEAD_WAIT_S:.0f} seconds."
)


class GuardedHttp(HttpToolsProtocol):
    """One connection. Made by ``guarded_http``, which gives it its id source."""

    id_source: IdSource
    head_wait_s: float = HEAD_WAIT_S

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*arguments, **named)
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Give the first head its time."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless the head has become too long."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        # Looked at afterwards: a piece that ends a head may hold much of a body too.
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self._refuse(_TOO_LONG)

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        if not self._in_head:
            self._begin_head()

    def on_headers_complete(self) -> None:
        """End a head."""
        self._end_head()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refused, and close."""
        self._refuse(_NOT_HTTP)

    def _begin_head(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(self.head_wait_s, self._on_slow_head)

    def _end_head(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _on_slow_head(self) -> None:
        if not self.transport.is_closing():
            self._refuse(_TOO_SLOW)

    def _refuse(self, problem: Problem) -> None:
        self._end_head()
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


def guarded_http(id_source: IdSource, *, head_wait_s: float = HEAD_WAIT_S) -> type[GuardedHttp]:
    """Return the protocol class for uvicorn's ``http`` setting."""
    return type(
        "GuardedHttpHere", (GuardedHttp,), {"id_source": id_source, "head_wait_s": head_wait_s}
    )
