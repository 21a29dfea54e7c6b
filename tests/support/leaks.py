"""Secrets that can be found again: markers, and everything in which one may stand by mistake."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self

import asyncpg  # type: ignore[import-untyped] # It ships no types.

_BODY_BYTES_MAX: Final = 4 * 1024 * 1024


class Canaries:
    """Secrets by what they are; ``found_in`` looks for each in the spellings it could have."""

    def __init__(self) -> None:
        self._spellings: dict[str, set[bytes]] = {}

    def add(self, name: str, text: str) -> str:
        """Take a secret down and return it."""
        assert len(text) >= 8, "a short one is found by accident"
        raw = text.encode()
        spellings = {raw, raw.hex().encode(), base64.b64encode(raw).rstrip(b"=")[:-1]}
        spellings |= {base64.b64encode(b"shop:" + raw).rstrip(b"=")[:-1]}
        # What stands behind a prefix is base64 of what is really secret.
        _, separator, tail = text.partition("whsec_")
        if separator:
            secret = base64.b64decode(tail + "=" * (-len(tail) % 4))
            spellings |= {tail.encode(), secret, secret.hex().encode()}
        self._spellings.setdefault(name, set()).update(spellings)
        return text

    def add_key_ring(self, text: str) -> str:
        """Take the key that seals down: its text, and the bytes that it stands for."""
        raw = base64.b64decode(text)
        self._spellings["key ring"] = {text.rstrip("=").encode(), raw, raw.hex().encode()}
        return text

    def found_in(self, content: bytes) -> list[str]:
        """Return the names of those that stand in *content*, however spelt."""
        return sorted(
            name
            for name, spellings in self._spellings.items()
            if any(spelling in content for spelling in spellings)
        )


class _Server(ThreadingHTTPServer):
    """A server to whom a sender that was killed is no news."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


class Sink:
    """An HTTP server of the test's own that keeps every request: receiver, and trace collector.

    It answers as the first step of the path says: /503 with that status, the rest with 200.
    """

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = min(int(self.headers["content-length"]), _BODY_BYTES_MAX)
                body = self.rfile.read(length)
                # The body before its path: whoever sees the path finds the body there.
                sink.bodies.append(body)
                sink.heads.append(str(self.headers))
                sink.paths.append(self.path)
                word = self.path.split("/")[1]
                self.send_response(int(word) if word.isdecimal() else 200)
                # As a debugging page does.
                said = str(self.headers).encode() if word.isdecimal() else b""
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - theirs
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str) -> str:
        """Return the URL of a path here."""
        return f"http://127.0.0.1:{self.port}{path}"


def sqlite_bytes(path: Path) -> bytes:
    """Return everything that stands in the files of a database, free pages and log too."""
    return b"".join(each.read_bytes() for each in sorted(path.parent.glob(f"{path.name}*")))


async def postgres_bytes(url: str) -> bytes:
    """Return every row of every table, and what the server says of its sessions."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        found: list[Any] = []
        for table in tables:
            rows = await connection.fetch(f"SELECT to_jsonb(t)::text AS row FROM {table['name']} t")  # noqa: S608 - names from the catalogue
            found += [row["row"] for row in rows]
        found += [
            row["query"] for row in await connection.fetch("SELECT query FROM pg_stat_activity")
        ]
    finally:
        await connection.close()
    return json.dumps(found).encode()


def command_lines(pid: int) -> bytes:
    """Return how a process and its children were started, as anybody on the machine reads it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return b"\n".join(Path(f"/proc/{each}/cmdline").read_bytes() for each in (str(pid), *children))
