"""One served process for many bad requests, looked at from outside after each of them.

Whatever a request was, what is asked afterwards is the same: an answer that was allowed, a
problem document as the description has it, nothing stored, nothing said in the log that was
secret, no memory kept, and a good request that is accepted as if nothing had been.
"""

import contextlib
import json
import os
import socket
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # It ships no types.
from tests.support.receiving import until
from tests.support.server import EVENT_TYPE, OPERATOR_KEY, Api, Server, Tenant, sqlite_url

WAIT_S: Final = 5.0  # bounds a test, and measures nothing
RSS_GROWTH_MAX: Final = 20 * 1024 * 1024
# In what every case sends, and so in no log and no answer.
CANARY: Final = "canary-7d31c0ffee4b21aa"
GOOD: Final = json.dumps({"type": EVENT_TYPE, "data": {"card": CANARY}}).encode()
LENGTH: Final = f"content-length: {len(GOOD)}"
# Written whether anybody asks or not: signs of life, and what follows the change of a case before,
# as what is counted of it some seconds later.
_OF_ITS_OWN: Final = frozenset({"announcements", "idempotency", "tallies", "wakes", "workers"})
# Whatever was counted by then: what was refused is never among it.
_COUNTED_RIGHTLY: Final = (
    "SELECT (SELECT coalesce(sum(accepted), 0) FROM tallies WHERE step_s = 60)"
    " <= (SELECT count(*) FROM events)"
)
_BY_OTHERS: Final = {"events": "family <> 'payhooks'"}
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_PIECE_BYTES: Final = 65_536
_END: Final = b"\r\n\r\n"


@dataclass(frozen=True)
class Reply:
    """What came back; ``status`` is None where the connection ended without a word."""

    status: int | None
    headers: dict[str, str]
    body: bytes
    more: bytes  # what followed the first answer
    closed: bool

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        """The body, read."""
        return json.loads(self.body)


class Ground:
    """The process, a merchant for the good requests, and every way of looking at it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.api = Api(server.port)
        self.tenant = Tenant(self.api)
        self.path = self.tenant.path
        self._addresses = count(2)
        self._validator = _problem_validator(self.api.get("/openapi.json"))
        for _ in range(3):  # what the first requests make and keep is not a case's
            assert self.answers_a_good_request()

    def head(
        self,
        *lines: str,
        method: str = "POST",
        target: str | None = None,
        key: str | None = OPERATOR_KEY,
        version: str = "1.1",
    ) -> bytes:
        """Return the head of a request to publish, with *lines* added."""
        always = [
            f"{method} {target or self.path + '/events'} HTTP/{version}",
            f"host: 127.0.0.1:{self.server.port}",
            "content-type: application/json",
        ]
        if key is not None:
            always.append(f"authorization: Bearer {key}")
        return "\r\n".join([*always, *lines, "", ""]).encode("latin-1")

    def connect(self) -> socket.socket:
        """Return a connection from an address of its own: invalid keys are counted by it."""
        number = next(self._addresses)
        source = f"127.7.{number // 250}.{number % 250 + 1}"
        connection = socket.create_connection(
            ("127.0.0.1", self.server.port), timeout=WAIT_S, source_address=(source, 0)
        )
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def raw(self, *pieces: bytes, to_the_end: bool = False) -> Reply:
        """Send the pieces as they are and return the answer.

        *to_the_end*: read on until the server closes the connection.
        """
        with self.connect() as connection:
            # A server that has refused already may close while we still send.
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    connection.sendall(piece)
            return read(connection, to_the_end=to_the_end)

    def call(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *lines: str,
        key: str | None = OPERATOR_KEY,
    ) -> Reply:
        """Send one request that is good HTTP."""
        sent = [*lines, "connection: close"]
        if body is not None:
            sent.append(f"content-length: {len(body)}")
        return self.raw(self.head(*sent, method=method, target=target, key=key), body or b"")

    def answers_a_good_request(self) -> bool:
        """Return whether a good request on a fresh connection is accepted."""
        return self.raw(self.head(LENGTH, "connection: close"), GOOD).status == 202

    @contextlib.contextmanager
    def unharmed(
        self, *, stores: bool = False, rss_growth_max: int = RSS_GROWTH_MAX, alarm: str = ""
    ) -> Iterator[None]:
        """Run the block, then ask whether the process is as it was, but for one *alarm*."""
        rows, rss, log_bytes = self._rows(), self._rss(), len(self._log())
        yield
        if not stores:
            now = self._rows()
            assert now == rows, {name: now[name] - rows[name] for name in now}
        if alarm:  # It may come after what it tells of can be seen.
            until(self._log, lambda log: _alarm(alarm) in log[log_bytes:])
        said = self._log()[log_bytes:]
        for secret in (CANARY, OPERATOR_KEY, self.tenant.key):
            assert secret.encode() not in said
        # A provider who did not answer in another test is asked for as long as he does not.
        lines = [line for line in said.splitlines() if _alarm("not_fetched") not in line]
        if alarm:
            alarms = [line for line in lines if _alarm(alarm) in line]
            assert len(alarms) == 1, said
            lines.remove(alarms[0])
        assert not [line for line in lines if b'"level":"error"' in line], said
        assert b"Traceback" not in said
        assert all(byte >= 0x20 or byte == 0x0A for byte in said), said
        grown = self._rss() - rss
        assert grown < rss_growth_max, grown
        assert self.answers_a_good_request()

    def judge(self, reply: Reply, allowed: Collection[int | None]) -> None:
        """Assert that this was allowed, and told as every refusal is."""
        assert reply.status in allowed, (reply.status, reply.body[:300])
        if reply.status is None or reply.status < 400:
            return
        assert reply.status < 500
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.headers["cache-control"] == "no-store"
        problem = reply.json
        assert list(self._validator.iter_errors(problem)) == []
        assert problem["status"] == reply.status
        assert problem["request_id"] == reply.headers["x-request-id"]
        for secret in (CANARY, OPERATOR_KEY, self.tenant.key):
            assert secret.encode() not in reply.body
        if reply.status == 401:
            assert reply.headers["www-authenticate"].startswith("Bearer")
        if reply.status == 405:
            assert reply.headers["allow"]

    def refuses(
        self, send: Callable[[], Reply], allowed: Collection[int | None], *, stores: bool = False
    ) -> Reply:
        """Return the answer to what *send* does, after asking all that is always asked."""
        with self.unharmed(stores=stores):
            reply = send()
            self.judge(reply, allowed)
        return reply

    def _rows(self) -> dict[str, int]:
        # As another process would: what is counted is on the disk.
        uri = f"file:{self.server.sqlite_path}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
            found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            names = {name for (name,) in found} - _OF_ITS_OWN
            assert database.execute(_COUNTED_RIGHTLY).fetchone() == (1,)
            return {name: _count(database, name) for name in sorted(names)}

    def _rss(self) -> int:
        pages = Path(f"/proc/{self.server.pid}/statm").read_text("ascii").split()[1]
        return int(pages) * _PAGE_BYTES

    def _log(self) -> bytes:
        return (self.server.folder / "server.log").read_bytes()


def _alarm(kind: str) -> bytes:
    return f'"kind":"{kind}"'.encode()


def case(row: str, name: str, *values: object) -> object:
    """Return one line of a table: named by its row, and evidence for it."""
    return pytest.param(*values, id=f"{row} {name}", marks=pytest.mark.shows(row))


def read(connection: socket.socket, *, to_the_end: bool = False) -> Reply:
    """Return the next answer on *connection*, waiting no longer than its time-out."""
    got, closed = b"", False
    while to_the_end or not _is_whole(got):
        try:
            piece = connection.recv(_PIECE_BYTES)
        except ConnectionError:
            piece = b""
        if not piece:
            closed = True
            break
        got += piece
    return _parsed(got, closed=closed)


@contextlib.contextmanager
def ground(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Ground]:
    """Serve from *folder* on SQLite for as long as the block lasts."""
    with sqlite_url(folder) as url:
        server = Server(folder, url, environment=environment)
        try:
            yield Ground(server.start())
        finally:
            server.close()


def _parsed(got: bytes, *, closed: bool) -> Reply:
    head, end, rest = got.partition(_END)
    if not end:
        assert not got, got
        return Reply(status=None, headers={}, body=b"", more=b"", closed=closed)
    status_line, *lines = head.decode("latin-1").split("\r\n")
    named = [line.partition(": ") for line in lines]
    headers = {name.lower(): value for name, _, value in named}
    # Twice the same header would be read differently by two clients.
    assert len(headers) == len(named), lines
    size = int(headers.get("content-length", len(rest)))
    assert status_line.startswith("HTTP/1.1 ")
    return Reply(
        status=int(status_line[9:12]),
        headers=headers,
        body=rest[:size],
        more=rest[size:],
        closed=closed,
    )


def _is_whole(got: bytes) -> bool:
    head, end, rest = got.partition(_END)
    if not end:
        return False
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(rest) >= int(line.partition(b":")[2])
    return b" 204 " in head[:20]


def _count(database: sqlite3.Connection, table: str) -> int:
    where = _BY_OTHERS.get(table, "true")
    found = database.execute(f'SELECT count(*) FROM "{table}" WHERE {where}').fetchone()  # noqa: S608 - our own names
    number: int = found[0]
    return number


def _problem_validator(document: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(
        {"$ref": "#/components/schemas/ProblemView", "components": document["components"]}
    )
