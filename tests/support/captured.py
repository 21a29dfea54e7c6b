"""A receiver that keeps every request as it came, to the byte, and says yes."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

_BODY_BYTES_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Captured:
    """One request."""

    path: str
    headers: tuple[tuple[str, str], ...]  # names as they were spelled
    body: bytes

    @property
    def named(self) -> dict[str, str]:
        """The headers by name, in lower case."""
        return {name.lower(): value for name, value in self.headers}


class Capture:
    """What has come so far."""

    def __init__(self) -> None:
        self._came = threading.Condition()
        self._requests: list[Captured] = []
        self.port = 0

    def url(self, path: str) -> str:
        """Return the URL of *path* here."""
        return f"http://127.0.0.1:{self.port}{path}"

    def keep(self, request: Captured) -> None:
        """Add one request."""
        with self._came:
            self._requests.append(request)
            self._came.notify_all()

    def until(self, count: int, *, s: float = 30.0) -> list[Captured]:
        """Return the requests when so many have come; fails when they do not come."""
        with self._came:
            came = self._came.wait_for(lambda: len(self._requests) >= count, timeout=s)
            assert came, f"{len(self._requests)} of {count} requests came"
            return list(self._requests)


@contextmanager
def capturing() -> Iterator[Capture]:
    """Yield a receiver on a free port of loopback."""
    capture = Capture()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = min(int(self.headers["content-length"]), _BODY_BYTES_MAX)
            body = self.rfile.read(length)
            capture.keep(Captured(self.path, tuple(self.headers.items()), body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - theirs
            """Say nothing."""

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: object, client_address: object) -> None:
            # A sender that is killed hangs up as it falls.
            if not isinstance(sys.exc_info()[1], ConnectionError):
                super().handle_error(request, client_address)  # type: ignore[arg-type] # Handed on.

    with Listener(("127.0.0.1", 0), Handler) as server:
        capture.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield capture
        finally:
            server.shutdown()
            thread.join(10)
