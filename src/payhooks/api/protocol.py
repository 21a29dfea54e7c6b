"""uvicorn's HTTP protocol with what it leaves open closed: slow heads, endless heads, answers.

A peer that never finishes its request's head would hold a connection for ever; one that sends
megabytes of headers would hold memory. Both are cut here, before any request exists. What the
parser refuses is answered with a problem document like every other refusal.
"""

import asyncio
import sys
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any, Final

import httptools
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
from payhooks.limits import KIB, MIB

HEAD_WAIT_S: Final = 10.0
# 4 MiB in that time is 140 KB/s: slower peers do better with smaller batches.
BODY_WAIT_S: Final = 30.0
# Targets and headers that are a little too long still reach the front, which answers them
# more exactly; this bound is for those that do not end.
HEAD_BYTES_MAX: Final = 2 * HEADER_BYTES_MAX + 32 * KIB
# A chunk of one byte has five bytes around it. What goes beyond is chunk extensions and
# trailers, and those the parser keeps.
_FRAMING_PER_BYTE_MAX: Final = 8
# Of a body that was refused: enough for a client that reads only when it has sent all.
UNREAD_BYTES_MAX: Final = 32 * MIB

_NOT_HTTP: Final = Problem(kind=Kind.MALFORMED, detail="This is not a valid HTTP/1.1 request.")
_TOO_LONG: Final = Problem(
    kind=Kind.HEADERS_TOO_LARGE, detail=f"A head has at most {HEAD_BYTES_MAX} bytes."
)
_TOO_MUCH_FRAMING: Final = Problem(
    kind=Kind.TOO_LARGE, detail="The chunks or trailers are larger than what they carry."
)
_CROWDED: Final = Problem(
    kind=Kind.OVERLOADED,
    detail="This process has as many connections as it takes; come back in a moment.",
    retry_after_s=1.0,
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
        self._framing_bytes = 0  # around the body, less what the body itself gives room for
        self._unread_bytes = 0
        self._closes_when_read = False
        self._refusal = _NOT_HTTP  # of what the parser does not take
        self._piece = b""  # the one that the parser was given last
        self._head_again: bytes | None = None  # of a request that asked for another protocol
        self._again: bytes | None = None  # what the parser is given next
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
        if self._waits_for is _Part.NOTHING and self._is_idle():
            # A line end alone begins no request for the parser, and yet stops the server's
            # keep-alive: nobody would count the time any more.
            self._begin_head()
        if self._waits_for is _Part.HEAD:
            self._head_bytes += len(data)
        elif self._waits_for is _Part.BODY:
            self._framing_bytes += len(data)
        self._piece = data
        super().data_received(data)
        while self._again is not None:
            self._piece, self._again = self._again, None
            super().data_received(self._piece)
        if self._held is not None:
            self._release()
        if self.transport.is_closing():
            return
        # Looked at afterwards: a piece that ends a head may hold much of a body too.
        if self._waits_for is _Part.HEAD and self._head_bytes > HEAD_BYTES_MAX:
            self._refuse(_TOO_LONG)
        elif self._waits_for is _Part.BODY and self._framing_bytes > HEAD_BYTES_MAX:
            self._refuse(_TOO_MUCH_FRAMING)
        else:
            self._mind_time()

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        if self._waits_for is not _Part.HEAD:
            self._begin_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. Behind a body they are read past: who may call is in the head alone."""
        if self._waits_for is _Part.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the head; the body is next."""
        self._framing_bytes = self._unread_bytes = 0
        if self._is_crowded():
            self._refusal = _CROWDED
            raise httptools.HttpParserError("too many connections")  # and nothing is parsed on
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._head_again = self._without_upgrade()
        elif self._may_be_plain():
            self._held = []
        else:
            self._begin_cycle()
        # Behind what may raise: a head that cannot be read has no request that was begun.
        self._waits_for = _Part.BODY

    def on_body(self, body: bytes) -> None:
        """Add to the body."""
        self._framing_bytes -= len(body) * (1 + _FRAMING_PER_BYTE_MAX)
        if self._held is not None:
            self._held.append(body)
        elif self.cycle.response_complete:
            self._unread_bytes += len(body)
            if self._unread_bytes > UNREAD_BYTES_MAX:
                self.transport.close()
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request; between requests the server's keep-alive counts."""
        if self._head_again is not None:
            return
        self._waits_for = _Part.NOTHING
        if self._closes_when_read:
            self.transport.close()
            return
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
            and self.url.startswith(b"/")
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            # So neither the head nor the body is over any bound.
            and len(self._piece) <= HEADER_BYTES_MAX
            and (cycle is None or cycle.response_complete)
            and not self.flow.write_paused
        )

    def _publish(self, body: bytes) -> bool:
        assert self.plain is not None
        cycle = _PlainCycle(keep_alive=self.parser.should_keep_alive())
        if not self.plain.begin(self.url, self.headers, body, partial(self._answer, cycle)):
            return False
        self.cycle = cycle
        return True

    def _answer(self, cycle: "_PlainCycle", answer: Answer) -> None:
        cycle.response_started = cycle.response_complete = True
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
        self._begin_cycle()
        for body in held:
            super().on_body(body)

    def _is_crowded(self) -> bool:
        most = self.limit_concurrency
        return most is not None and max(len(self.connections), len(self.tasks)) >= most

    def _begin_cycle(self) -> None:
        super().on_headers_complete()
        self.cycle.transport = _Closing(self.transport, self._close_when_read)  # type: ignore[assignment]  # all that it calls

    def _close_when_read(self) -> None:
        """Close; where the body is still on its way, read and drop it first.

        To close under a client that is sending resets its connection, and many read only when
        they have sent all: they would never learn why they were refused.
        """
        if self._waits_for is _Part.BODY and not self.transport.is_closing():
            self._closes_when_read = True
            self.transport.write_eof()
        else:
            self.transport.close()

    def _begin_head(self) -> None:
        self._waits_for = _Part.HEAD
        self._head_bytes = 0

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _without_upgrade(self) -> bytes:
        """Return the head without its wish, which a server may ignore (RFC 9110, 7.8)."""
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _unsupported_upgrade_warning(self) -> None:
        """Read the request once more as what it is without the wish.

        Called while the parser's exception is handled. The parser takes no body and no other
        request behind such a head, so that clients which ask for HTTP/2 in passing, as some do
        with every first request, would not be heard any more.
        """
        switch = sys.exception()
        head, self._head_again = self._head_again, None
        if head is None or not isinstance(switch, httptools.HttpParserUpgrade):
            self._refuse(_NOT_HTTP)
            return
        rest = self._piece[switch.args[0] :]
        self.parser = httptools.HttpRequestParser(self)
        self._begin_head()
        self._again = head + rest

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refused, and close."""
        self._refuse(self._refusal)

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
        may_answer = self._may_answer()
        self._waits_for = _Part.NOTHING
        self._mind_time()
        if not may_answer:
            self._end_quietly()
            return
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

    def _may_answer(self) -> bool:
        """Whether what we write now would be read as the answer to what is refused."""
        if self._waits_for is _Part.BODY and self._held is None:
            return not (self.cycle.response_started or self.pipeline)
        return self._is_idle()

    def _end_quietly(self) -> None:
        """Close behind the answers that are due: they are to requests that went before."""
        if self._is_idle():
            self.transport.close()
        else:
            self.cycle.keep_alive = False
            self.flow.pause_reading()


class _Closing:
    """A transport that a request writes its answer to, and that closes in our way."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write, self.is_closing = transport.write, transport.is_closing
        self.close = close


class _PlainCycle(RequestResponseCycle):
    """Stands where uvicorn keeps the request under way, so that later ones queue behind it."""

    message_event = asyncio.Event()  # nobody waits: the request was there whole

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_started = False
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
