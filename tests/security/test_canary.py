"""A marker in every secret, a whole life of an installation, and no marker in the clear."""

import asyncio
import base64
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped] # It ships no types.
import pytest
from tests.support.commands import run
from tests.support.leaks import Canaries, Sink, command_lines, postgres_bytes, sqlite_bytes
from tests.support.postgres import cluster
from tests.support.server import Api, Json, Refused, Server

from payhooks.control.keyring import new_key_text
from payhooks.storage.postgres.migrations import migrate

SETTLES_WITHIN_S = 30.0
_LOOK_EVERY_S = 0.05
_FINAL = {"delivered", "failed", "cancelled"}


@contextmanager
def _postgres(canaries: Canaries) -> Iterator[str]:
    """Yield a database whose owner is no more than that, and has a password."""
    password = canaries.add("database password", f"pw-{os.urandom(12).hex()}")

    async def administer(url: str, *statements: str) -> None:
        connection = await asyncpg.connect(url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    with cluster() as url:
        name = f"payhooks_canary_{os.getpid()}"
        host = urlsplit(url).netloc.rpartition("@")[2]
        ours = f"postgresql://{name}:{password}@{host}/{name}"
        # As docs/operations.md says: a role that may log in and owns its database.
        role = f"CREATE ROLE {name} LOGIN PASSWORD '{password}'"
        asyncio.run(administer(url, role, f"CREATE DATABASE {name} OWNER {name}"))
        try:
            asyncio.run(migrate(ours))
            yield ours
        finally:
            gone = f"DROP DATABASE {name} WITH (FORCE)"
            asyncio.run(administer(url, gone, f"DROP ROLE {name}"))


@contextmanager
def _database(kind: str, folder: Path, canaries: Canaries) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'payhooks.db'}"
    else:
        with _postgres(canaries) as url:
            yield url


class _Life:
    """What an installation goes through, and every answer that was not asked for a secret."""

    def __init__(self, server: Server, sink: Sink, canaries: Canaries, operator_key: str) -> None:
        self.api = Api(server.port, operator_key)
        self.said: list[bytes] = []
        self._sink = sink
        self._canaries = canaries
        self.path = ""

    def ask(self, method: str, path: str, body: Json | None = None, **headers: str) -> Json:
        """Ask for something that shows no secret; refusals are answers too."""
        try:
            found = self.api.call(method, path, body, headers)
        except Refused as refused:
            self.said.append(refused.body.encode())
            return {}
        self.said.append(json.dumps(found).encode())
        return found

    def make(self) -> None:
        """Make a merchant with everything that has a secret."""
        self.path = f"/v1/merchants/{self.ask('POST', '/v1/merchants', _MERCHANT)['id']}"
        key = self.api.post(f"{self.path}/keys", _KEY)
        self._canaries.add("API key", key["key"])
        source = self.api.post(f"{self.path}/keys", {**_KEY, "signing": True})
        self._canaries.add("Source Key", source["key"])
        for number, (authentication, signature) in enumerate(
            [
                (("password", "basic", {"username": "shop"}), {"type": "endpoint_secret"}),
                (("token", "bearer", {}), {"type": "signature_key"}),
                (
                    ("value", "header", {"name": "X-Shop-Token"}),
                    {"type": "source_key", "key_id": source["id"]},
                ),
            ]
        ):
            member, type_, more = authentication
            marker = self._canaries.add(f"credential {type_}", f"cred-{os.urandom(9).hex()}")
            given = "whsec_" + base64.b64encode(os.urandom(24)).decode()
            for status in ("200", "503"):
                made = self.api.post(
                    f"{self.path}/endpoints",
                    {
                        "label": f"{type_} {status}",
                        "url": self._sink.url(f"/{status}/{number}"),
                        "events": ["payment_*"],
                        "authentication": {"type": type_, member: marker, **more},
                        "signature": signature,
                        "retry_policy": [1],
                        "secret": given,
                    },
                )
                self._canaries.add("endpoint secret", made["secret"])
                if status == "200":
                    at = f"{self.path}/endpoints/{made['id']}"
                    new = self.api.post(f"{at}/rotate-secret", {"grace_s": 60})
                    self._canaries.add("rotated secret", new["secret"])
        new = self.api.post(f"{self.path}/signature-key/rotate", {"grace_s": 60})
        self._canaries.add("Signature Key", new["secret"])
        for secret in self.api.get(f"{self.path}/signature-key")["data"]:
            self._canaries.add("Signature Key", secret["secret"])

        self._invite()
        self._connect()

    def _connect(self) -> None:
        """Let a provider send who shows a password, and signs with what nobody knows."""
        credential = self._canaries.add("connector's password", f"adyen:{os.urandom(9).hex()}")
        keys = [self._canaries.add("HMAC key", os.urandom(32).hex()) for _ in range(2)]
        said = {"name": "till", "dialect": "adyen", "secrets": keys[:1], "credential": credential}
        connector = self.ask("POST", f"{self.path}/connectors", said)
        at = f"{self.path}/connectors/{connector['id']}"
        assert self.ask("POST", f"{at}/rotate-secret", {"secret": keys[1], "grace_s": 60})
        for wrong in ({"secret": f" {keys[1]}"}, {"secret": keys, "grace_s": 0}, {keys[0]: 1}):
            assert self.ask("POST", f"{at}/rotate-secret", wrong) == {}
        for member in ("name", "dialect", "secrets", "options", "events"):
            assert self.ask("PATCH", at, {member: [keys[0] + "!"]}) == {}
        connection = HTTPConnection("127.0.0.1", self.api.port, timeout=SETTLES_WITHIN_S)
        shown = base64.b64encode(credential.encode()).decode()
        self._canaries.add("connector's password as it is shown", shown)
        headers = {"authorization": f"Basic {shown}", "content-type": "application/json"}
        path = urlsplit(connector["url"]).path
        connection.request("POST", path, b'{"notificationItems":[]}', headers)
        assert connection.getresponse().status == HTTPStatus.UNAUTHORIZED
        connection.close()

    def _invite(self) -> None:
        """Give the merchant a team: somebody with a password, and a link that was opened."""
        password = self._canaries.add("password", f"pass-{os.urandom(9).hex()}")
        name = {"username": "maria", "email": "maria@shop.example"}
        user = {**name, "password": password, "role": "owner"}
        self.said.append(json.dumps(self.api.post(f"{self.path}/users", user)).encode())
        said = {"email": "ines@shop.example", "role": "viewer"}
        link = urlsplit(self.api.post(f"{self.path}/invitations", said)["url"])
        self._canaries.add("invitation", link.path.rpartition("/")[2])
        connection = HTTPConnection("127.0.0.1", self.api.port, timeout=SETTLES_WITHIN_S)
        connection.request("GET", link.path)
        assert connection.getresponse().status == HTTPStatus.OK
        connection.close()

    def misuse(self) -> None:
        """Put secrets where they do not belong, and see what is said of it."""
        marker = self._canaries.add("misplaced secret", f"lost-{os.urandom(9).hex()}")
        good = {"label": "x", "url": self._sink.url("/200/x"), "events": ["*"]}
        wrong: list[Json] = [
            {**good, "secret": f"whsec_!{marker}"},
            {**good, "secret": [marker]},
            {**good, "url": f"http://shop:{marker}@127.0.0.1/"},
            {**good, "headers": {"Authorization": f"Bearer {marker}"}},
            {**good, "headers": {f"X {marker}": "1"}},
            {**good, marker: marker},
            {**good, "authentication": {"type": marker}},
            {**good, "authentication": {"type": "basic", "username": f"{marker}:", "password": ""}},
            {**good, "authentication": {"type": "bearer", "token": f"{marker}\n"}},
            {**good, "authentication": {"type": "header", "name": marker + "\n", "value": marker}},
            {**good, "authentication": {"type": "basic", "password": {"a": marker}}},
            {**good, "signature": {"type": "source_key", "key_id": marker}},
        ]
        for body in wrong:
            assert self.ask("POST", f"{self.path}/endpoints", body) == {}, body
        self.ask("POST", f"{self.path}/keys", {"label": "x", "scopes": [marker]})
        self.ask("GET", f"{self.path}/events?api_key={marker}")
        self.ask("GET", f"{self.path}/events?after={marker}")
        self.ask("POST", f"{self.path}/events", {"type": marker + "!", "data": marker})
        for credential in (f"Bearer {marker}", f"Basic {marker}", marker):
            self.ask("GET", f"{self.path}/events", authorization=credential)
            self.ask("POST", f"{self.path}/events", {"data": {}}, authorization=credential)

    def publish(self) -> None:
        """Publish one event: more failures would close the lanes of those that fail."""
        event: Json = {"type": "payment_succeeded", "data": {"amount": 1}}
        assert self.ask("POST", f"{self.path}/events", event)

    def await_the_end(self) -> None:
        """Return when no delivery is on its way any more."""
        deadline_s = time.monotonic() + SETTLES_WITHIN_S
        while True:
            found = list(self.api.pages(f"{self.path}/deliveries"))
            if found and all(each["status"] in _FINAL for each in found):
                assert {"delivered", "failed"} <= {each["status"] for each in found}
                return
            assert time.monotonic() < deadline_s, [each["status"] for each in found]
            # Nobody but the database knows: it is asked until it says so.
            threading.Event().wait(_LOOK_EVERY_S)

    def look_around(self) -> None:
        """Read everything that can be read without asking for a secret."""
        for place in ("deliveries", "events", "endpoints", "keys", "connectors", "receipts"):
            prefix = "/v1/merchants" if place == "" else f"{self.path}/{place}"
            found = self.ask("GET", f"{prefix}?limit=100")["data"]
            assert found, place
            for each in found:
                if place != "keys":
                    self.ask("GET", f"{prefix}/{each['id']}")
        for path in (f"{self.path}/audit-log?limit=100", "/v1/merchants", self.path, "/metrics"):
            assert self.ask("GET", path)
        for path in ("/readyz", "/healthz", "/openapi.json", "/asyncapi.json"):
            assert self.ask("GET", path)


_MERCHANT: Json = {"name": "Shop", "mode": "sandbox"}
_KEY: Json = {"label": "k", "scopes": ["events:write", "events:read"]}


@pytest.mark.shows("S13", "S14", "S11", "S49")
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
def test_no_secret_stands_anywhere_in_the_clear(kind: str, tmp_path: Path) -> None:
    """What is stolen or shown by mistake is a log, a dump, a screen: none of them has a secret."""
    canaries = Canaries()
    operator_key = canaries.add("operator key", f"operator-{os.urandom(16).hex()}")
    key_ring = canaries.add_key_ring(new_key_text(os.urandom))
    with Sink() as sink, _database(kind, tmp_path, canaries) as url:
        server = Server(
            tmp_path,
            url,
            environment={
                "PAYHOOKS_OPERATOR_KEY": operator_key,
                "PAYHOOKS_SECRET_KEY": key_ring,
                "PAYHOOKS_LOG_LEVEL": "debug",
                "PAYHOOKS_TRACES": "true",
                "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url("/collector"),
            },
        )
        life = _Life(server, sink, canaries, operator_key)
        places: dict[str, bytes] = {}
        try:
            server.start()
            life.make()
            life.misuse()
            life.publish()
            # Or the rest would wait for the leases of the killed process to run out.
            life.await_the_end()
            server.kill()
            server.start({"PAYHOOKS_WORKERS": "1" if kind == "sqlite" else "2"})
            life.publish()
            life.await_the_end()
            life.look_around()
            places["command lines"] = command_lines(server.pid)
            places["database"] = _stored(kind, server, url)
            server.stop()
        finally:
            server.close()
        places["database after the end"] = _stored(kind, server, url)
        places["commands"] = _commands(tmp_path, url, key_ring)
    traced = [i for i, path in enumerate(sink.paths) if path.startswith("/collector")]
    places["traces"] = b"\n".join(sink.bodies[i] + sink.heads[i].encode() for i in traced)
    places["answers"] = b"\n".join(life.said)
    places["log"] = (tmp_path / "server.log").read_bytes()
    # Each place was written to at all, or nothing found in it says nothing.
    assert b"payhooks" in places["command lines"]
    assert b"payment_succeeded" in places["database"]
    assert b"payhooks.delivery_id" in places["traces"]
    assert b'"event":"attempt"' in places["log"]
    assert b"problem" in places["answers"]
    assert {
        name: found for name, each in places.items() if (found := canaries.found_in(each))
    } == {}
    # What the receivers got proves that the markers are what was really used.
    received = "\n".join(sink.heads).encode()
    assert {"credential basic", "credential bearer", "credential header"} <= set(
        canaries.found_in(received)
    )


def _stored(kind: str, server: Server, url: str) -> bytes:
    if kind == "sqlite":
        return sqlite_bytes(server.sqlite_path)
    return asyncio.run(postgres_bytes(url))


def _commands(folder: Path, url: str, key_ring: str) -> bytes:
    """Return what the commands that hold the secrets print."""
    settings: dict[str, Any] = {"PAYHOOKS_DATABASE_URL": url, "PAYHOOKS_SECRET_KEY": key_ring}
    said = b""
    for command in (("config", "check"), ("doctor",), ("audit-log", "verify"), ("reconcile",)):
        done = run(folder, *command, **settings)
        assert done.stdout, done.stderr
        said += (done.stdout + done.stderr).encode()
    # A start that fails has more to say than one that works.
    other = {**settings, "PAYHOOKS_SECRET_KEY": new_key_text(os.urandom)}
    done = run(folder, "serve", PAYHOOKS_LISTEN="127.0.0.1:0", **other)
    assert done.returncode == 1
    assert "PAYHOOKS_SECRET_KEY" in done.stderr
    return said + (done.stdout + done.stderr).encode()
