"""Real server processes: started on a port of their own, killed, started again."""

import asyncio
import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped] # It ships no types.
from tests.support.ports import free_port

from payhooks.storage.postgres.migrations import migrate

ROOT: Final = Path(__file__).parents[2]
OPERATOR_KEY: Final = "operator-key-of-a-test-that-is-long-enough"
SECRET_KEY: Final = base64.b64encode(bytes(range(32))).decode()
SERVE: Final = ("payhooks", "serve")  # after python -m
EVENT_TYPE: Final = "payment_succeeded"
_START_S_MAX: Final = 40.0
_POLL_S: Final = 0.02
_STOP_S_MAX: Final = 60.0

Json = dict[str, Any]


class ServerError(Exception):
    """The server did not start or stop; the message ends with what it said."""


class Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """The API answered with a problem."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


class Server:
    """One serving process. It keeps its port over restarts, as an installation does."""

    def __init__(
        self,
        folder: Path,
        database_url: str,
        *,
        port: int | None = None,
        command: Sequence[str] = SERVE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Take where it works and keeps its data; *port* to share that of another."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port() if port is None else port
        self.command = command
        self.database_url = database_url
        self.environment = {
            **{name: value for name, value in os.environ.items() if not _is_ours(name)},
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
            "PAYHOOKS_DATABASE_URL": database_url,
            "PAYHOOKS_SECRET_KEY": SECRET_KEY,
            "PAYHOOKS_OPERATOR_KEY": OPERATOR_KEY,
            "PAYHOOKS_LISTEN": f"127.0.0.1:{self.port}",
            "PAYHOOKS_EGRESS_ALLOW": "127.0.0.1/32",
            "PAYHOOKS_ALLOW_HTTP": "true",
            **(environment or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def sqlite_path(self) -> Path:
        """The file, where the store is SQLite."""
        return Path(self.database_url.removeprefix("sqlite:///"))

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.process is not None
        return self.process.pid

    def begin(self, environment: Mapping[str, str] | None = None) -> None:
        """Start the process without waiting for it; *environment* is for this start alone."""
        assert self.process is None, "it runs already"
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.command],
                cwd=ROOT,
                env={**self.environment, **(environment or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start(self, environment: Mapping[str, str] | None = None) -> "Server":
        """Start the process and return when it answers."""
        self.begin(environment)
        deadline_s = time.monotonic() + _START_S_MAX
        while not self._answers():
            self._demand_alive(deadline_s)
            time.sleep(_POLL_S)
        return self

    async def start_async(self) -> None:
        """Start the process and return when it answers, without stopping the caller's loop."""
        self.begin()
        deadline_s = time.monotonic() + _START_S_MAX
        while not await asyncio.to_thread(self._answers):
            self._demand_alive(deadline_s)
            await asyncio.sleep(_POLL_S)

    def kill(self) -> None:
        """Kill it as the machine's death would: no handler runs, nothing is flushed."""
        self.signal(signal.SIGKILL)
        self.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, by its id."""
        os.kill(self.pid, number)

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Return the exit code when it has ended."""
        assert self.process is not None
        try:
            code = self.process.wait(timeout=_STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise ServerError(f"it did not end:\n{self.said()}") from None
        finally:
            self.process = None
        return code

    def said(self) -> str:
        """Return the end of its log."""
        return (self.folder / "server.log").read_text("utf-8", "replace")[-4_000:]

    def close(self) -> None:
        """End the process, if there is one."""
        if self.process is not None:
            self.process.kill()
            self.wait()

    def _demand_alive(self, deadline_s: float) -> None:
        assert self.process is not None
        if self.process.poll() is not None:
            code = self.wait()
            raise ServerError(f"it ended with {code}:\n{self.said()}")
        if time.monotonic() > deadline_s:
            self.close()
            raise ServerError(f"it does not answer:\n{self.said()}")

    def _answers(self) -> bool:
        try:
            return Api(self.port).get("/healthz") is not None
        except (OSError, http.client.HTTPException):
            return False


class Api:
    """Calls of the HTTP API, one connection each: who asks seldom needs no pool."""

    def __init__(self, port: int, key: str = OPERATOR_KEY) -> None:
        self.port = port
        self.key = key

    def get(self, path: str) -> Json:
        return self.call("GET", path)

    def post(self, path: str, body: Json | None = None, **headers: str) -> Json:
        return self.call("POST", path, body, headers)

    def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """Return what was answered; raises Refused for any other answer than a 2xx."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=35)
        try:
            connection.request(
                method,
                path,
                None if body is None else json.dumps(body),
                {
                    "authorization": f"Bearer {self.key}",
                    **({} if body is None else {"content-type": "application/json"}),
                    **{name.replace("_", "-"): text for name, text in (headers or {}).items()},
                },
            )
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise Refused(answer.status, text)
        found: Json = json.loads(text) if text.startswith("{") else {"text": text}
        return found

    def pages(self, path: str) -> Iterator[Json]:
        """Yield every member of a list, page by page."""
        mark = "&" if "?" in path else "?"
        after = ""
        while True:
            page = self.get(f"{path}{mark}limit=100{after}")
            yield from page["data"]
            if not page["has_more"]:
                return
            after = f"&after={page['next']}"


class Tenant:
    """A sandbox merchant of a server, with what is asked of it again and again."""

    def __init__(self, api: Api, name: str = "Proof", **fields: object) -> None:
        self.api = api
        merchant = api.post("/v1/merchants", {"name": name, "mode": "sandbox", **fields})
        self.id: str = merchant["id"]
        self.path = f"/v1/merchants/{self.id}"
        made = api.post(
            f"{self.path}/keys",
            {
                "label": "publisher",
                "scopes": ["events:write", "events:read", "deliveries:read"],
            },
        )
        self.key: str = made["key"]
        self.secrets: dict[str, str] = {}  # by path of the URL

    @classmethod
    def at(cls, tenant: "Tenant", port: int) -> "Tenant":
        """Return the same tenant, asked for at another process."""
        other = cls.__new__(cls)
        other.__dict__.update(tenant.__dict__, api=Api(port, tenant.api.key))
        return other

    def endpoint(self, url: str, **fields: object) -> str:
        """Make an endpoint that wants everything; return its id."""
        events = fields.pop("events", [EVENT_TYPE])
        body = {"label": url[-40:], "url": url, "events": events, **fields}
        made = self.api.post(f"{self.path}/endpoints", body)
        self.secrets["/" + url.split("/", 3)[3]] = made["secret"]
        found: str = made["id"]
        return found

    def publish(self, data: Json, *, key: str | None = None, **fields: object) -> Json:
        """Publish one event."""
        headers = {} if key is None else {"idempotency_key": key}
        return self.api.post(
            f"{self.path}/events", {"type": EVENT_TYPE, "data": data, **fields}, **headers
        )


@contextmanager
def sqlite_url(folder: Path) -> Iterator[str]:
    """Yield the URL of a SQLite file that is not there yet."""
    yield f"sqlite:///{folder / 'payhooks.db'}"


@contextmanager
def postgres_url(cluster_url: str, name: str) -> Iterator[str]:
    """Yield the URL of a migrated database of our own on a running cluster."""

    async def administer(*statements: str) -> None:
        connection = await asyncpg.connect(cluster_url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    drop = f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'
    asyncio.run(administer(drop, f'CREATE DATABASE "{name}"'))
    url = f"{cluster_url.rpartition('/')[0]}/{name}"
    asyncio.run(migrate(url))
    try:
        yield url
    finally:
        asyncio.run(administer(drop))


def _is_ours(name: str) -> bool:
    return name.startswith("PAYHOOKS_")
