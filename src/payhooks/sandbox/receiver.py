"""The test receiver: every way of answering a webhook, each at a path, and what it saw.

/ok              200
/503             503
/slow?s=2        200 after two seconds
/hang            never
/flaky?p=30      500 in thirty of a hundred requests, else 200
/gone            410
/retry-after?s=5 429 and Retry-After at a message's first attempt, 200 afterwards

A bare ASGI application for uvicorn. It answers POST and PUT; anything else is told the list.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, Final
from urllib.parse import parse_qs

from payhooks.clock import Clock
from payhooks.receiver import Code, VerificationError, Verifier

PATHS: Final = ("/ok", "/503", "/slow", "/hang", "/flaky?p=30", "/gone", "/retry-after?s=5")
BODY_BYTES_MAX: Final = 1024 * 1024
SLOW_S_DEFAULT: Final = 2.0
SLOW_S_MAX: Final = 60.0
RETRY_AFTER_S_DEFAULT: Final = 5
RETRY_AFTER_S_MAX: Final = 3_600
FLAKY_PERCENT_DEFAULT: Final = 30
_SECRETS_AT_ONCE: Final = 10  # as many as one Verifier takes
_POSTED: Final = frozenset({"POST", "PUT"})

Secrets = Callable[[], Awaitable[Sequence[str]]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One request that arrived."""

    at: datetime
    path: str
    message_id: str
    attempt: str
    event_type: str  # empty where the signature is not right: nothing in it is to be believed
    status: int | None  # None: it will never be answered
    verified: bool
    words: str  # about the signature
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """How a path answers."""

    status: int | None
    wait_s: float = 0.0
    headers: tuple[tuple[bytes, bytes], ...] = ()


_SAME_ALWAYS: Final = {
    "/ok": _Reply(status=200),
    "/503": _Reply(status=503),
    "/hang": _Reply(status=None),
    "/gone": _Reply(status=410),
}


class Receiver:
    """Takes requests, checks their signatures, tells *saw* of each, and answers as its path says.

    *secrets* is asked when none of those known fits: a secret may have been made since.
    """

    def __init__(
        self, *, secrets: Secrets, saw: Callable[[Sight], None], clock: Clock, random: Random
    ) -> None:
        self._secrets = secrets
        self._saw = saw
        self._clock = clock
        self._random = random
        self._known: Sequence[str] = ()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body = await _read(receive)
        if body is None:
            await _answer(send, 413, b"This is larger than any webhook.\n")
            return
        if scope["method"] not in _POSTED:
            await _answer(send, 200, ("\n".join(PATHS) + "\n").encode())
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        reply = self._reply(scope["path"], _query(scope), headers)
        verified, event_type, words = await self._check(body, headers)
        # Told before the answer, so that a request is seen although it is never answered.
        self._saw(
            Sight(
                at=self._clock.now(),
                path=scope["path"],
                message_id=headers.get("webhook-id", ""),
                attempt=headers.get("webhook-attempt", ""),
                event_type=event_type,
                status=reply.status,
                verified=verified,
                words=words,
                body=body,
            )
        )
        if reply.status is None:
            await _until_hung_up(receive)
            return
        await asyncio.sleep(reply.wait_s)
        await _answer(send, reply.status, b"", reply.headers)

    def _reply(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> _Reply:
        if path in _SAME_ALWAYS:
            return _SAME_ALWAYS[path]
        match path:
            case "/slow":
                wait_s = _number(query, "s", SLOW_S_DEFAULT)
                return _Reply(status=200, wait_s=min(wait_s, SLOW_S_MAX))
            case "/flaky":
                fails = self._random.random() * 100 < _number(query, "p", FLAKY_PERCENT_DEFAULT)
                return _Reply(status=500 if fails else 200)
            case "/retry-after" if headers.get("webhook-attempt", "1") == "1":
                rest_s = min(_number(query, "s", RETRY_AFTER_S_DEFAULT), RETRY_AFTER_S_MAX)
                return _Reply(status=429, headers=((b"retry-after", b"%d" % rest_s),))
            case "/retry-after":
                return _Reply(status=200)
            case _:
                return _Reply(status=404)

    async def _check(self, body: bytes, headers: Mapping[str, str]) -> tuple[bool, str, str]:
        """Return whether the signature is right, the event's type if so, and words about it."""
        if "webhook-signature" not in headers:
            return False, "", "not signed"
        found = self._verify(body, headers)
        if found is None or isinstance(found, VerificationError):
            self._known = await self._secrets()
            found = self._verify(body, headers)
        if found is None:
            return False, "", "no secret is known here"
        if isinstance(found, VerificationError):
            return False, "", f"SIGNATURE WRONG: {found.hint}"
        return True, found, "signature right"

    def _verify(self, body: bytes, headers: Mapping[str, str]) -> str | VerificationError | None:
        """Return the type of a verified event, or why it is not one; None without secrets."""
        failure: VerificationError | None = None
        for start in range(0, len(self._known), _SECRETS_AT_ONCE):
            some = self._known[start : start + _SECRETS_AT_ONCE]
            try:
                return Verifier(some).verify(body, headers, now=self._clock.now()).type
            except VerificationError as error:
                failure = error
                if error.code is not Code.NO_MATCH:
                    break
        return failure


async def _read(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_BYTES_MAX:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


async def _until_hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(
    send: Send, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    said = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": said})
    await send({"type": "http.response.body", "body": body})


def _query(scope: Mapping[str, Any]) -> dict[str, str]:
    parsed = parse_qs(scope["query_string"].decode("latin-1"))
    return {name: values[-1] for name, values in parsed.items()}


def _number(query: Mapping[str, str], name: str, default: float) -> float:
    text = query.get(name, "")
    digits = text.isascii() and text.replace(".", "", 1).isdecimal()
    return float(text) if digits else default
