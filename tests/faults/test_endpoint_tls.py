"""Certificates and handshakes that are wrong: refused, in words of their own, or foretold."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from tests.support.certificates import Authority, make_authority, server_context
from tests.support.raw_server import (
    AwaitedTransport,
    Connection,
    Script,
    ScriptedResolver,
    open_transport,
    post,
    raw_server,
    says_and_closes,
)
from tests.support.served_endpoints import Merchant, served
from tests.support.server import Server

from payhooks import limits
from payhooks.model.attempt import Answer, Outcome, Reason, Silence

CLOSES = says_and_closes(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
ADDRESS = "127.0.0.1"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority()


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a server that trusts our authority, as an installation may."""
    bundle = authority.bundle(tmp_path_factory.mktemp("authority"))
    with served({"PAYHOOKS_EGRESS_CA_BUNDLE": bundle}) as server:
        yield server


async def _silent(connection: Connection) -> None:
    await connection.wait_until_closed()


async def _plain(connection: Connection) -> None:
    await connection.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await connection.wait_until_closed()


def _expired(folder: Path, authority: Authority) -> ssl.SSLContext:
    return server_context(folder, authority, days=(-10, -1))


def _early(folder: Path, authority: Authority) -> ssl.SSLContext:
    return server_context(folder, authority, days=(1, 10))


def _others(folder: Path, authority: Authority) -> ssl.SSLContext:
    return server_context(folder, authority, host="other.example")


def _own(folder: Path, _authority: Authority) -> ssl.SSLContext:
    return server_context(folder, None)


def _strangers(folder: Path, _authority: Authority) -> ssl.SSLContext:
    return server_context(folder, make_authority("Somebody Else"))


def _impostors(folder: Path, _authority: Authority) -> ssl.SSLContext:
    return server_context(folder, make_authority())


def _weak(folder: Path, authority: Authority) -> ssl.SSLContext:
    return server_context(folder, authority, rsa_bits=1_024)


def _old(folder: Path, authority: Authority) -> ssl.SSLContext:
    context = server_context(folder, authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


Wrong = Callable[[Path, Authority], ssl.SSLContext]
WRONG: dict[str, tuple[Wrong | None, Script, str]] = {
    "expired": (_expired, CLOSES, "has expired"),
    "not yet valid": (_early, CLOSES, "not valid yet"),
    "for another host": (_others, CLOSES, "another host name"),
    "signed by itself": (_own, CLOSES, "self-signed"),
    "of an unknown authority": (_strangers, CLOSES, "issuer is unknown"),
    "of another authority of that name": (_impostors, CLOSES, "not signed by the authority"),
    "of 1,024 bits": (_weak, CLOSES, "too weak"),
    "of an old TLS": (_old, CLOSES, "TLS 1.2 and newer"),
    "no TLS at all": (None, _plain, "does not speak TLS"),
    "a handshake that stalls": (None, _silent, "did not finish in time"),
}


@pytest.mark.shows("F52")
async def test_what_is_wrong_with_a_certificate_has_words_of_its_own(
    authority: Authority, tmp_path: Path
) -> None:
    """Who has to mend it reads what; and none of them is ever given the event."""
    said = {}
    bundle = authority.bundle(tmp_path)
    for name, (wrong, script, _words) in WRONG.items():
        context = None if wrong is None else wrong(tmp_path, authority)
        outcome = await _outcome_of(script, context, bundle)
        assert isinstance(outcome, Silence), name
        assert outcome.reason is Reason.TLS, name
        said[name] = outcome.detail
    for name, (_, _, words) in WRONG.items():
        assert words in said[name]
    assert len(set(said.values())) == len(said)


async def _outcome_of(script: Script, context: ssl.SSLContext | None, bundle: str) -> Outcome:
    async with (
        raw_server(script, tls=context) as receiver,
        _transport(bundle) as transport,
    ):
        url = f"https://receiver.example:{receiver.port}/"
        return await transport.send(post(url, connect_timeout_s=0.5))


def _transport(bundle: str) -> AbstractAsyncContextManager[AwaitedTransport]:
    return open_transport(resolver=ScriptedResolver(lambda _host: (ADDRESS,)), ca_bundle=bundle)


@pytest.mark.shows("F52")
async def test_a_certificate_that_expires_between_two_attempts_is_refused_at_the_second(
    authority: Authority, tmp_path: Path
) -> None:
    """What was good at the first connection is looked at again at the next."""
    context = server_context(tmp_path, authority)
    bundle = authority.bundle(tmp_path)
    async with raw_server(CLOSES, tls=context) as receiver, _transport(bundle) as transport:
        request = post(f"https://receiver.example:{receiver.port}/")
        first = await transport.send(request)
        server_context(tmp_path, authority, days=(-10, -1))
        context.load_cert_chain(tmp_path / "chain.pem")
        second = await transport.send(request)
    assert isinstance(first, Answer)
    assert isinstance(second, Silence)
    assert second.reason is Reason.TLS


@pytest.mark.parametrize(
    ("days", "status", "words"),
    [
        pytest.param(limits.CERTIFICATE_WARNING_DAYS - 1, "delivered", "expires on", id="soon"),
        pytest.param(limits.CERTIFICATE_WARNING_DAYS + 1, "delivered", "", id="later"),
        pytest.param(-1, "scheduled", "has expired", id="already"),
    ],
)
@pytest.mark.shows("F52")
async def test_the_owner_reads_that_a_certificate_expires_before_it_does(  # noqa: PLR0913, PLR0917 - three fixtures, three columns
    server: Server, authority: Authority, tmp_path: Path, days: int, status: str, words: str
) -> None:
    """Two weeks are enough to renew one; afterwards every delivery fails."""
    merchant = await asyncio.to_thread(Merchant, server)
    context = server_context(tmp_path, authority, host=ADDRESS, days=(-10, days))
    async with raw_server(CLOSES, tls=context) as receiver:
        endpoint = await merchant.endpoint(f"https://{ADDRESS}:{receiver.port}/")
        await merchant.publish()
        found = await merchant.attempted(endpoint)
    [attempt] = found["attempts"]
    assert found["status"] == status
    assert words in attempt["detail"]
    assert bool(words) == bool(attempt["detail"])
