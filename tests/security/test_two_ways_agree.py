"""Publishing has two ways through the server: what one refuses, the other must not take.

Where two readers of one request disagree, an attacker lives. The short way is `api/plain`, the
long way is the application; the same parser stands before both.
"""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.api_world import OPERATOR_KEY, World

from payhooks.api.asgi import Message

if TYPE_CHECKING:
    from payhooks.api.plain import Answer

BODY = b'{"type":"payment_succeeded","data":{"amount":1}}'
MERCHANT, KEY = b"<merchant>", b"<key>"
ANSWERS_WITHIN_S = 5.0

Headers = list[tuple[bytes, bytes]]
_PLAIN: Headers = [
    (b"host", b"payhooks.test"),
    (b"authorization", b"Bearer " + KEY),
    (b"content-type", b"application/json"),
    (b"content-length", b"48"),
]
_TARGETS = [
    b"/v1/merchants/" + MERCHANT + b"/events",
    b"/v1/merchants/" + MERCHANT + b"/events?",
    b"/v1/merchants/" + MERCHANT + b"/events?x=1",
    b"/v1/merchants/" + MERCHANT + b"//events",
    b"/v1/merchants/" + MERCHANT + b"/./events",
    b"/v1/merchants/%6Der_x/events",
    b"/v1/merchants/x/../" + MERCHANT + b"/events",
    b"//v1/merchants/" + MERCHANT + b"/events",
    b"http://other/v1/merchants/" + MERCHANT + b"/events",
    b"/v1/merchants/nobody/events",
    b"/v1/merchants//events",
]
_NAMES = [
    b"host", b"authorization", b"content-type", b"content-length", b"content-encoding",
    b"transfer-encoding", b"expect", b"upgrade", b"idempotency-key", b"x-forwarded-for",
    b"x-http-method-override", b"connection", b"cookie",
]  # fmt: skip
_VALUES = [
    b"", b" ", b"Bearer " + KEY, b"bearer " + KEY, b"Bearer  " + KEY, b"Bearer " + KEY + b" ",
    b"Basic " + KEY, b"Bearer " + OPERATOR_KEY.encode(), b"application/json",
    b"application/json; charset=latin-1", b"text/plain", b"gzip", b"identity", b"chunked",
    b"100-continue", b"payhooks.test:443", b"a/b", b"a b", b"h2c", b"k", b'"k"', b"\xff", b"close",
    b"p" * 20_000,
]  # fmt: skip
_BODIES = [BODY, b"", b"{}", b"[]", BODY + b" ", BODY + b"{}", b'{"type":"payment_succeeded"}']


class _Ways:
    """One installation, asked both ways."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._world = World()
        self._merchant, self._key = runner.run(self._begin())

    async def _begin(self) -> tuple[bytes, bytes]:
        merchant = await self._world.merchant()
        key = await self._world.key(merchant, "events:write")
        # From now on the process knows merchant and key, so the short way can be taken.
        said = {"type": "payment_succeeded", "data": {}}
        path = f"/v1/merchants/{merchant}/events"
        assert (await self._world.call("POST", path, said, key=key)).status == 202
        return merchant.encode(), key.encode()

    def ask(self, target: bytes, headers: Headers, body: bytes) -> tuple[int | None, int]:
        """Return what the short way answered, None where it left it alone, and the long way."""
        target = target.replace(MERCHANT, self._merchant)
        headers = [(name, value.replace(KEY, self._key)) for name, value in headers]
        return self._runner.run(self._ask(target, headers, body))

    def demand_no_bugs(self) -> None:
        assert self._world.bugs == []

    async def _ask(self, target: bytes, headers: Headers, body: bytes) -> tuple[int | None, int]:
        told: asyncio.Queue[Answer] = asyncio.Queue()
        plain = self._world.application.plain
        assert plain is not None
        await self._world.services.book.current()
        taken = plain.begin(target, headers, body, told.put_nowait)
        short = (await asyncio.wait_for(told.get(), ANSWERS_WITHIN_S)).status if taken else None
        return short, await self._long(target, headers, body)

    async def _long(self, target: bytes, headers: Headers, body: bytes) -> int:
        path, _, query = target.partition(b"?")
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "scheme": "http", "path": path.decode("latin-1"), "raw_path": path,
            "query_string": query, "root_path": "", "headers": headers,
            "client": ("192.0.2.1", 4711), "server": ("127.0.0.1", 80), "state": {},
        }  # fmt: skip
        statuses: list[int] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await self._world.app(scope, receive, send)
        [status] = statuses
        return status


@pytest.fixture(scope="module")
def ways() -> Iterator[_Ways]:
    """Yield the installation that all examples share: making one costs more than asking."""
    with asyncio.Runner() as runner:
        asked = _Ways(runner)
        yield asked
        asked.demand_no_bugs()


_header = st.tuples(st.sampled_from(_NAMES), st.sampled_from(_VALUES))


@pytest.mark.shows("S32")
@settings(max_examples=400)
@given(
    target=st.sampled_from(_TARGETS),
    more=st.lists(_header, max_size=3),
    fewer=st.sets(st.sampled_from([name for name, _ in _PLAIN]), max_size=1),
    body=st.sampled_from(_BODIES),
)
@example(target=_TARGETS[0], more=[], fewer=set(), body=BODY)
@example(target=_TARGETS[0], more=[(b"x-a", b"p" * 33_000)], fewer=set(), body=BODY)
@example(target=_TARGETS[0], more=[(b"x-%d" % n, b"p") for n in range(100)], fewer=set(), body=BODY)
@example(
    target=_TARGETS[0],
    more=[(b"x-a", b"p" * 20_000), (b"x-b", b"p" * 20_000)],
    fewer=set(),
    body=BODY,
)
def test_what_the_short_way_takes_the_long_way_takes_too(
    ways: _Ways, target: bytes, more: Headers, fewer: set[bytes], body: bytes
) -> None:
    """One request, one meaning: no rule of the application can be walked around."""
    headers = [header for header in _PLAIN if header[0] not in fewer] + more
    short, long = ways.ask(target, headers, body)
    assert short in {None, long}


@pytest.mark.shows("S32")
def test_the_short_way_is_taken_by_what_is_plain(ways: _Ways) -> None:
    """Or the test above would compare nothing."""
    assert ways.ask(_TARGETS[0], _PLAIN, BODY) == (202, 202)
