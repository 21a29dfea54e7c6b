"""uvicorn's HTTP protocol with what it leaves open closed: slow heads, endless heads, answers.

A peer that never finishes its request's head would hold a connection for ever; one that sends
megabytes of headers would hold memory. Both are cut here, before any request exists. What the
parser refuses is answered with a problem document like every other refusal.
"""

import asyncio
import math
from enum import Enum
from functools import partial
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from payhooks import ids
from payhooks.api import problems
from payhooks.api.front import HEADER_BYTES_MAX
from payhooks.api.plain import TAIL, Answer, PlainPublishing
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
    plain: PlainPublishing | None = None
    head_wait_s: float = HEAD_WAIT_S
    body_wait_s: float = BODY_WAIT_S

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*arguments, **named)
        self._waits_for = _Part.HEAD
        self._timer: asyncio.TimerHandle | None = None
        self._timer_for = _Part.NOTHING
        self._head_bytes = 0
        self._piece_bytes = 0
        self._held: list[bytes] | None = None  # the body of a request that may be plain

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
        self._piece_bytes = len(data)
        super().data_received(data)
        if self._held is not None:
            self._release()
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
        if self._may_be_plain():
            self._held = []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Add to the body."""
        if self._held is not None:
            self._held.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request; between requests the server's keep-alive counts."""
        self._waits_for = _Part.NOTHING
        if self._held is not None:
            if self._publish(b"".join(self._held)):
                self._held = None
                return
            self._release()
        super().on_message_complete()

    def _may_be_plain(self) -> bool:
        """Whether to wait for the end of the piece before the application hears of it."""
        cycle = self.cycle
        return (
            self.plain is not None
            and self.url.endswith(TAIL)
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            # So neither the head nor the body is over any bound.
            and self._piece_bytes <= HEADER_BYTES_MAX
            and (cycle is None or cycle.response_complete)
            and not self.flow.write_paused
            and len(self.connections) < (self.limit_concurrency or math.inf)
        )

    def _publish(self, body: bytes) -> bool:
        assert self.plain is not None
        cycle = _PlainCycle(keep_alive=self.parser.should_keep_alive())
        if not self.plain.begin(self.url, self.headers, body, partial(self._answer, cycle)):
            return False
        self.cycle = cycle
        return True

    def _answer(self, cycle: "_PlainCycle", answer: Answer) -> None:
        cycle.response_complete = True
        if cycle.disconnected or self.transport.is_closing():
            return
        lines = [STATUS_LINE[answer.status]]
        lines += [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        lines.append(answer.headers)
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"content-length: %d\r\n\r\n" % len(answer.body))
        lines.append(answer.body)
        self.transport.write(b"".join(lines))
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _release(self) -> None:
        """Give the application what was held: the request is not whole, or not plain."""
        held, self._held = self._held or (), None
        super().on_headers_complete()
        for body in held:
            super().on_body(body)

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


class _PlainCycle(RequestResponseCycle):
    """Stands where uvicorn keeps the request under way, so that later ones queue behind it."""

    message_event = asyncio.Event()  # nobody waits: the request was there whole

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False


def guarded_http(
    id_source: IdSource,
    *,
    plain: PlainPublishing | None = None,
    head_wait_s: float = HEAD_WAIT_S,
    body_wait_s: float = BODY_WAIT_S,
) -> type[GuardedHttp]:
    """Return the protocol class for uvicorn's ``http`` setting."""
    members = {
        "id_source": id_source,
        "plain": plain,
        "head_wait_s": head_wait_s,
        "body_wait_s": body_wait_s,
    }
    return type("GuardedHttpHere", (GuardedHttp,), members)
