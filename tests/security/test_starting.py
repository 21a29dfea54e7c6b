"""A process that starts is safe as it stands: nothing is open, and nothing is taken on trust."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from tests.support.api_world import World
from tests.support.certificates import make_authority, server_context
from tests.support.commands import run_json
from tests.support.server import SECRET_KEY, Api, Refused, Server

from payhooks import __version__
from payhooks.clock import SystemClock
from payhooks.errors import InvalidError, UnavailableError
from payhooks.settings import load
from payhooks.storage.postgres import PostgresStore

_SSL_REQUEST_BYTES = 8
_PASSWORD = "canary-of-the-database"


@pytest.mark.shows("S50")
def test_without_a_key_of_ones_own_nobody_gets_in(tmp_path: Path) -> None:
    """There is no first administrator, no default password, nothing to forget to change."""
    server = Server(tmp_path, f"sqlite:///{tmp_path / 'payhooks.db'}")
    del server.environment["PAYHOOKS_OPERATOR_KEY"]
    settings = {"PAYHOOKS_DATABASE_URL": server.database_url, "PAYHOOKS_SECRET_KEY": SECRET_KEY}
    key = run_json(tmp_path, "keys", "create", "first", "--operator", **settings)["key"]
    try:
        server.start()
        for guess in ("", "admin", "payhooks", "operator", SECRET_KEY, f"{key}x", key[:-1]):
            with pytest.raises(Refused) as caught:
                Api(server.port, guess).get("/v1/merchants")
            assert caught.value.status == 401
        assert Api(server.port, key).get("/v1/merchants")["data"] == []
    finally:
        server.close()
    # Open to this machine alone unless somebody says otherwise.
    assert load(settings).host_and_port[0] == "127.0.0.1"


@pytest.mark.shows("S50", "S12")
@pytest.mark.parametrize(
    ("change", "name"),
    [
        pytest.param({"PAYHOOKS_SECRET_KEY": ""}, "SECRET_KEY", id="no key"),
        pytest.param({"PAYHOOKS_SECRET_KEY": "A" * 43 + "="}, "SECRET_KEY", id="a key of zeros"),
        pytest.param({"PAYHOOKS_SECRET_KEY": "00" * 32}, "SECRET_KEY", id="zeros in hex"),
        pytest.param({"PAYHOOKS_SECRET_KEY": "changeme"}, "SECRET_KEY", id="a word"),
        pytest.param({"PAYHOOKS_SECRET_KEY": "Y2hhbmdl" * 5 + "Y2g="}, "SECRET_KEY", id="typed"),
        pytest.param({"PAYHOOKS_OPERATOR_KEY": "admin"}, "OPERATOR_KEY", id="a short operator key"),
        pytest.param({"PAYHOOKS_OPERATOR_KEY": ""}, "OPERATOR_KEY", id="an empty operator key"),
        pytest.param({"PAYHOOKS_DEBUG": "true"}, "DEBUG", id="there is no debugging to turn on"),
    ],
)
def test_a_setting_that_protects_nothing_is_refused(change: dict[str, str], name: str) -> None:
    """A key from an example protects as much as none."""
    settings = {"PAYHOOKS_DATABASE_URL": "sqlite:///a.db", "PAYHOOKS_SECRET_KEY": SECRET_KEY}
    with pytest.raises(InvalidError) as caught:
        load({**settings, **change})
    assert [fault.pointer for fault in caught.value.faults] == [f"PAYHOOKS_{name}"]


@pytest.mark.shows("S50")
async def test_answers_do_not_say_which_version_runs() -> None:
    """Who looks for a version with a hole should have to try it."""
    world = World()
    places = ("/healthz", "/readyz", "/v1/merchants", "/nowhere", "/v1/merchants/x/events")
    for place in places:
        for key in (None, "wrong"):
            answer = await world.call("GET", place, key=key)
            said = str(answer.headers) + answer.body.decode()
            assert __version__ not in said, place
            assert "server" not in answer.headers
            assert "uvicorn" not in said.lower()


@asynccontextmanager
async def _database(context: ssl.SSLContext | None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Yield the port of something that begins like PostgreSQL, and what it is told behind TLS."""
    told: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(_SSL_REQUEST_BYTES)
            writer.write(b"N" if context is None else b"S")
            await writer.drain()
            if context is not None:
                await writer.start_tls(context)
            told.append(await reader.read(4_096))
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], told
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.shows("S45")
@pytest.mark.parametrize(
    ("mode", "certificate_of", "begins"),
    [
        pytest.param("verify-full", "localhost", True, id="verify-full, the right name"),
        pytest.param("verify-full", "other.example", False, id="verify-full, another name"),
        pytest.param("verify-full", None, False, id="verify-full, no TLS"),
        pytest.param("require", None, False, id="require, no TLS"),
    ],
)
async def test_the_database_is_told_nothing_before_it_has_shown_who_it_is(
    mode: str, certificate_of: str | None, *, begins: bool, tmp_path: Path
) -> None:
    """`sslmode` that falls back to the clear gives password and payloads to whoever is between."""
    authority = make_authority()
    context = (
        None if certificate_of is None else server_context(tmp_path, authority, host=certificate_of)
    )
    bundle = authority.bundle(tmp_path)
    async with _database(context) as (port, told):
        url = f"postgresql://payhooks:{_PASSWORD}@localhost:{port}/payhooks"
        query = f"?sslmode={mode}&sslrootcert={bundle}"
        with pytest.raises(UnavailableError) as caught:
            await PostgresStore.open(url + query, clock=SystemClock(), random=Random(1))
    assert _PASSWORD not in str(caught.value)
    assert any(b"payhooks" in each for each in told) == begins
