"""No connection is made to an address that was not judged."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.raw_server import (
    Connection,
    ScriptedResolver,
    open_transport,
    post,
    raw_server,
    says,
)

from payhooks import limits
from payhooks.model.attempt import Answer, OurFault, Outcome, Reason, Silence
from payhooks.policy.hook_url import HookUrl
from payhooks.testing import ManualClock
from payhooks.transport import Unresolved
from payhooks.transport.exchange import Exchange

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
METADATA = "169.254.169.254"
ONE_ROUND = timedelta(seconds=6)  # longer than any answer is kept


def assert_blocked(outcome: Outcome) -> None:
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.BLOCKED_ADDRESS


@pytest.mark.shows("D9", "S02")
@pytest.mark.parametrize(
    "answer",
    [
        (METADATA,),
        ("127.0.0.1", METADATA),
        (METADATA, "127.0.0.1"),
        ("1.1.1.1", "10.0.0.1"),
        ("127.0.0.1", "::1"),
        ("127.0.0.1", "::ffff:7f00:1"),
        ("127.0.0.1", "fe80::1%lo"),
        ("127.0.0.1", "not an address"),
        (*(["127.0.0.1"] * 499), METADATA),
    ],
    ids=lambda answer: f"{answer[0]} … {answer[-1]}",
)
async def test_one_forbidden_address_refuses_them_all(answer: tuple[str, ...]) -> None:
    """Keeping the allowed part would let the owner of the name wait for the other."""
    dialled: list[str] = []
    resolver = ScriptedResolver(lambda _host: answer)
    async with open_transport(resolver=resolver, on_dial=dialled.append) as transport:
        assert_blocked(await transport.send(post("https://mixed.example/")))
    assert dialled == []


@pytest.mark.shows("D9", "S02")
async def test_a_name_that_rebinds_is_followed_only_to_judged_addresses() -> None:
    """Public to the one who asks first, metadata to the one who asks next, 1,000 times."""
    clock = ManualClock()
    dialled: list[str] = []
    rounds = 0

    def answer(_host: str) -> tuple[str, ...]:
        nonlocal rounds
        rounds += 1
        return ("127.0.0.1",) if rounds % 2 else (METADATA,)

    resolver = ScriptedResolver(answer)
    async with (
        raw_server(says(OK)) as server,
        open_transport(resolver=resolver, on_dial=dialled.append, clock=clock) as transport,
    ):
        request = post(f"http://rebinding.example:{server.port}/")
        for number in range(1_000):
            clock.advance(ONE_ROUND)
            outcome = await transport.send(request)
            if number % 2:
                assert_blocked(outcome)
            else:
                assert isinstance(outcome, Answer)
    assert len(resolver.asked) == 1_000
    assert set(dialled) == {"127.0.0.1"}


@pytest.mark.shows("D9", "S02")
async def test_the_socket_is_judged_again_whatever_was_judged_before() -> None:
    """The second lock: it holds even if the first were bypassed by a bug."""
    async with raw_server(says(OK)) as server:
        exchange = Exchange(
            may_dial=lambda _host, _address: False,
            on_dial=None,
            on_cancel=lambda _exchange: None,
            proxy=None,
            ca_bundle=None,
        )
        request = post(f"http://127.0.0.1:{server.port}/")
        url = HookUrl(
            url=request.url,
            scheme="http",
            host="127.0.0.1",
            port=server.port,
            host_is_address=True,
        )
        exchange.begin(
            request, url, headers=[], addresses=(), dns_s=0.0, alone=False, done=lambda _what: None
        )
        with pytest.raises(Exception, match="connect"):
            exchange.easy.perform()
        assert exchange.blocked
        exchange.close()
    assert server.connections == 0


@pytest.mark.shows("S03")
@pytest.mark.parametrize(
    "url",
    [
        f"http://{METADATA}/latest/meta-data/",
        "http://127.0.0.2:8080/",
        "http://[::1]:8080/",
        "http://127.1:8080/",
        "http://localhost:8080/",
        "http://metadata.google.internal/",
        "http://127.0.0.1:6379/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
    ],
)
async def test_a_stored_url_that_the_rules_no_longer_allow_is_not_called(url: str) -> None:
    dialled: list[str] = []
    resolver = ScriptedResolver(lambda _host: ("127.0.0.1",))
    async with open_transport(resolver=resolver, on_dial=dialled.append) as transport:
        assert_blocked(await transport.send(post(url)))
    assert dialled == []
    assert resolver.asked == []


@pytest.mark.shows("S06")
async def test_what_is_blocked_reads_the_same_whatever_is_there() -> None:
    """Different words for a closed, an open and a filtered port would make us a port scanner."""
    resolver = ScriptedResolver(lambda host: ("10.0.0.1",) if "ten" in host else (METADATA,))
    async with raw_server(says(OK)) as server, open_transport(resolver=resolver) as transport:
        outcomes = [
            await transport.send(post(url))
            for url in (
                f"http://127.0.0.2:{server.port}/",
                "http://127.0.0.2:9/",
                "https://ten.example/",
                "https://metadata.example/",
            )
        ]
    details = {outcome.detail for outcome in outcomes if isinstance(outcome, Silence)}
    assert len(details) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        f"http://{METADATA}/latest/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "https://elsewhere.example/",
        "/elsewhere",
    ],
)
@pytest.mark.shows("F48", "S04")
async def test_a_redirect_is_an_answer_and_never_a_second_request(
    status: int, location: str
) -> None:
    """Following it would send a signed payment event where its owner never asked for it."""
    dialled: list[str] = []
    resolver = ScriptedResolver(lambda _host: ("127.0.0.1",))
    answer = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    requests = 0

    async def script(connection: Connection) -> None:
        nonlocal requests
        while await connection.read_request():
            requests += 1
            await connection.say(answer.encode())

    async with (
        raw_server(script) as server,
        open_transport(resolver=resolver, on_dial=dialled.append) as transport,
    ):
        outcome = await transport.send(post(f"http://127.0.0.1:{server.port}/"))
    assert isinstance(outcome, Answer)
    assert outcome.status == status
    assert (requests, dialled, resolver.asked) == (1, ["127.0.0.1"], [])


@pytest.mark.shows("S04")
async def test_the_environment_sets_no_proxy_no_password_and_no_cookie(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A variable that is set for some other program must not see every webhook."""
    got: list[bytes] = []
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password something\n")

    async def script(connection: Connection) -> None:
        while request := await connection.read_request():
            got.append(request)
            await connection.say(OK[:17] + b"Set-Cookie: a=1\r\n" + OK[17:])

    async with raw_server(script) as server, raw_server(says(OK)) as evil:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("CURL_HOME", str(tmp_path))
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{evil.port}")
        async with open_transport() as transport:
            for _ in range(2):
                outcome = await transport.send(post(f"http://127.0.0.1:{server.port}/"))
                assert isinstance(outcome, Answer)
    assert evil.connections == 0
    assert len(got) == 2
    for request in got:
        assert b"authorization" not in request.lower()
        assert b"cookie" not in request.lower()


async def test_a_name_is_asked_for_once_by_all_who_wait_and_again_after_seconds() -> None:
    clock = ManualClock()
    resolver = ScriptedResolver(lambda _host: ("127.0.0.1",))
    async with (
        raw_server(says(OK)) as server,
        open_transport(resolver=resolver, clock=clock) as transport,
    ):
        request = post(f"http://receiver.example:{server.port}/")
        await asyncio.gather(*(transport.send(request) for _ in range(50)))
        assert resolver.asked == ["receiver.example"]
        clock.advance(timedelta(seconds=4))
        await transport.send(request)
        assert len(resolver.asked) == 1
        clock.advance(timedelta(seconds=2))
        await transport.send(request)
    assert len(resolver.asked) == 2


@pytest.mark.shows("D9")
async def test_of_many_addresses_sixteen_are_tried() -> None:
    """A name with 500 addresses must not cost 500 connections."""
    dialled: list[str] = []
    addresses = tuple(f"127.0.{number // 250}.{number % 250 + 1}" for number in range(500))
    async with raw_server(says(OK)) as server:
        port = server.port
    async with open_transport(
        allowed=("127.0.0.0/8",),
        resolver=ScriptedResolver(lambda _host: addresses),
        on_dial=dialled.append,
    ) as transport:
        outcome = await transport.send(post(f"http://many.example:{port}/"))
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.CONNECT
    assert 1 <= len(dialled) <= limits.RESOLVED_ADDRESSES_MAX


async def test_when_the_first_address_is_dead_the_next_one_answers() -> None:
    async with (
        raw_server(says(OK)) as server,
        open_transport(
            allowed=("127.0.0.0/8",),
            resolver=ScriptedResolver(lambda _host: ("127.0.0.3", "127.0.0.1")),
        ) as transport,
    ):
        outcome = await transport.send(post(f"http://two.example:{server.port}/"))
    assert isinstance(outcome, Answer)
    assert outcome.peer == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("host", ["[::1]", "six.example"])
async def test_ipv6_is_called_by_address_and_by_name(host: str) -> None:
    dialled: list[str] = []
    async with (
        raw_server(says(OK), host="::1") as server,
        open_transport(
            allowed=("::1",),
            resolver=ScriptedResolver(lambda _host: ("::1",)),
            on_dial=dialled.append,
        ) as transport,
    ):
        outcome = await transport.send(post(f"http://{host}:{server.port}/"))
    assert isinstance(outcome, Answer)
    assert outcome.peer == f"[::1]:{server.port}"
    assert dialled == ["::1"]


async def test_an_allowed_name_may_lead_anywhere() -> None:
    """The operator vouches for it: a receiver inside the same cluster."""
    async with (
        raw_server(says(OK)) as server,
        open_transport(
            allowed=("receiver",), resolver=ScriptedResolver(lambda _host: ("127.0.0.1",))
        ) as transport,
    ):
        outcome = await transport.send(post(f"http://receiver:{server.port}/"))
        assert isinstance(outcome, Answer)
        assert_blocked(await transport.send(post(f"http://127.0.0.1:{server.port}/")))


async def test_the_machines_own_resolver_is_asked_where_none_is_given() -> None:
    async with raw_server(says(OK)) as server, open_transport(allowed=("localhost",)) as transport:
        outcome = await transport.send(post(f"http://localhost:{server.port}/"))
    assert isinstance(outcome, Answer)
    assert outcome.timing.dns_s > 0


@pytest.mark.shows("D9")
@pytest.mark.parametrize("answer", [(), Unresolved.UNKNOWN, Unresolved.TEMPORARY])
@pytest.mark.shows("F40", "F41")
async def test_a_name_that_leads_nowhere_is_the_receivers_failure(
    answer: tuple[str, ...] | Unresolved,
) -> None:
    async with open_transport(resolver=ScriptedResolver(lambda _host: answer)) as transport:
        outcome = await transport.send(post("https://nowhere.example/"))
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.DNS


@pytest.mark.shows("F41")
async def test_a_resolver_that_fails_for_all_is_our_fault() -> None:
    """Nobody's attempts are spent while it is us who cannot resolve."""
    clock = ManualClock()
    works = True

    def answer(_host: str) -> tuple[str, ...] | Unresolved:
        return Unresolved.UNKNOWN if works else Unresolved.TEMPORARY

    async with open_transport(resolver=ScriptedResolver(answer), clock=clock) as transport:
        await transport.send(post("https://works.example/"))
        works = False
        for name in ("a.one.example", "b.one.example", "c.one.example", "two.test"):
            assert isinstance(await transport.send(post(f"https://{name}/")), Silence)
        clock.advance(timedelta(seconds=61))
        last_single = await transport.send(post("https://b.two.test/"))
        third = await transport.send(post("https://three.test/"))
        works = True
        clock.advance(ONE_ROUND)
        await transport.send(post("https://works.example/"))
        works = False
        afterwards = await transport.send(post("https://four.test/"))
    assert isinstance(last_single, Silence), "two domains alone may have broken servers"
    assert isinstance(third, OurFault)
    assert isinstance(afterwards, Silence), "one answer shows that the resolver lives"


class HangingResolver:
    """Never answers."""

    async def resolve(self, host: str) -> tuple[str, ...] | Unresolved:
        """See Resolver."""
        await asyncio.Event().wait()
        return ()

    async def close(self) -> None:
        """See Resolver."""


@pytest.mark.shows("F41")
async def test_a_hanging_name_server_is_bounded_by_the_deadline() -> None:
    loop = asyncio.get_running_loop()
    async with open_transport(resolver=HangingResolver()) as transport:
        started = loop.time()
        outcome = await transport.send(post("https://hangs.example/", deadline_s=0.2))
        assert loop.time() - started < 0.5
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.DNS


async def test_closing_does_not_wait_for_a_hanging_name_server() -> None:
    async with open_transport(resolver=HangingResolver()) as transport:
        sending = asyncio.create_task(transport.send(post("https://hangs.example/")))
        await asyncio.sleep(0)
    assert isinstance(await sending, OurFault)
