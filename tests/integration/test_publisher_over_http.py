"""The publisher client on a real socket: what it writes, and what it does not follow."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from payhooks.publisher import Client, RefusedError, UnansweredError

STORED = {"id": "evt_1", "type": "a.b", "created_at": "2030-01-01T00:00:00.000Z", "deliveries": 0}


class Handler(BaseHTTPRequestHandler):
    """Answers 503 once, then 202; other paths redirect or cut off."""

    seen: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        """Answer by the merchant in the path."""
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen.append((self.path, headers, body))
        if "nowhere" in self.path:
            self._answer(308, b"", location="http://[::1")
        elif "elsewhere" in self.path:
            self._answer(302, b"", location="/stolen")
        elif "silent" in self.path:
            self.close_connection = True
        elif len(self.seen) == 1:
            self._answer(503, b"{}", retry_after="0")
        else:
            self._answer(202, json.dumps(STORED).encode())

    def do_GET(self) -> None:
        """Be seen: nobody should come here."""
        self.seen.append((self.path, {}, b""))
        self._answer(200, b"")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this machine's proxy, if it has one, out of the way."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@contextmanager
def _server() -> Iterator[str]:
    Handler.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _client(url: str, merchant: str) -> Client:
    return Client(url, "phk_sandbox_x", merchant=merchant, wait=lambda _: None, attempts_max=2)


def test_a_server_that_was_busy_gets_the_same_request_again() -> None:
    """The whole way: bytes, headers, two connections."""
    with _server() as url:
        published = _client(url, "shop").publish("a.b", b'{"amount":1.10}', idempotency_key="k")
    assert published.id == "evt_1"
    assert Handler.seen[0][1] == Handler.seen[1][1]
    path, headers, body = Handler.seen[1]
    assert path == "/v1/merchants/shop/events"
    assert headers["authorization"] == "Bearer phk_sandbox_x"
    assert headers["content-type"] == "application/json"
    assert body == b'{"type":"a.b","data":{"amount":1.10}}'


def test_a_redirect_is_not_followed() -> None:
    """It would carry the API key to wherever somebody points."""
    with _server() as url, pytest.raises(RefusedError) as caught:
        _client(url, "elsewhere").publish("a.b", {})
    assert caught.value.status == 302
    assert [path for path, _, _ in Handler.seen] == ["/v1/merchants/elsewhere/events"]


def test_a_redirect_that_leads_nowhere_is_an_answer_too() -> None:
    """Another error than the documented ones would end an outbox's forwarder for good."""
    with _server() as url, pytest.raises(RefusedError) as caught:
        _client(url, "nowhere").publish("a.b", {})
    assert caught.value.status == 308


def test_a_server_that_hangs_up_leaves_the_outcome_open() -> None:
    """It may have stored the event before it fell silent."""
    with _server() as url, pytest.raises(UnansweredError):
        _client(url, "silent").publish("a.b", {})
    assert len(Handler.seen) == 2


def test_nobody_listening_leaves_it_open_too() -> None:
    with _server() as url:
        pass
    with pytest.raises(UnansweredError):
        _client(url, "shop").publish("a.b", {})


@pytest.mark.parametrize("fast", [b"", b"HTTP/1.1 202 X\r\ncontent-length: 99\r\n\r\n"])
def test_an_answer_that_drips_ends_with_the_time_out(fast: bytes) -> None:
    """Each read of a drip is in time; whoever waits for the whole of it waits for ever."""
    hung_up = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(fast or b"HTTP/1.1 202 X\r\nx: ")
            for _ in range(500):
                connection.sendall(b"y")
                if hung_up.wait(0.01):
                    break

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        done = pool.submit(drip, listener)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = Client(url, "k", merchant="shop", timeout_s=0.3, attempts_max=1)
        begun_s = time.monotonic()
        with pytest.raises(UnansweredError, match="Timeout"):
            client.publish("a.b", {})
        took_s = time.monotonic() - begun_s
        hung_up.set()
        done.result(20)
    assert 0.3 <= took_s < 3.0
