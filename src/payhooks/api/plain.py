"""Publishing without ASGI: the plain request of one event, from the parser's hands to its 202.

Plain is what a publisher's client sends all day: whole in one piece, with a key and for a
merchant that this process knows, and nothing wrong with it. It needs no task, no queue of
messages and no wrapper. Whatever is less than plain is not judged here but left to the front,
which takes everything and says what is wrong; so nothing is refused in two places.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from payhooks.api import problems, strict_json
from payhooks.api.auth import CREDENTIAL_CHARS_MAX
from payhooks.api.front import HEADER_BYTES_MAX, HEADERS_MAX, HOST, SECURE, RequestIds
from payhooks.api.hot import Authority, HotPath, RulesChangedError, accepted
from payhooks.api.problems import INTERNAL, ProblemError
from payhooks.api.publication import decode_event, idempotency_key_of
from payhooks.api.services import Services
from payhooks.control import key_text
from payhooks.errors import PayhooksError, UnavailableError
from payhooks.flow.publication import Published
from payhooks.model.event import Finding

Headers = Sequence[tuple[bytes, bytes]]

TAIL: Final = b"/events"
# One look at the target: it has no escape, no query and no second spelling.
_TARGET: Final = re.compile(rb"/v1/merchants/([A-Za-z0-9_-]{1,64})/events")
_BEARER: Final = b"Bearer "
# What changes how a body is read, or what is answered before one.
_NOT_PLAIN: Final = frozenset({b"content-encoding", b"expect", b"transfer-encoding", b"upgrade"})
_SECURE: Final = b"".join([b"%b: %b\r\n" % header for header in SECURE])
_ALWAYS: Final = b"content-type: application/json\r\ncache-control: no-store\r\n" + _SECURE
_REPLAYED: Final = b"idempotent-replayed: true\r\n"


class Answer(NamedTuple):
    """What goes back: the protocol adds the headers that every answer of the server has."""

    status: int
    headers: bytes  # lines, each with its end
    body: bytes


class _Request(NamedTuple):
    merchant_ref: str
    key: str | None
    body: bytes
    authority: Authority
    id: str
    tell: Callable[[Answer], None]


class PlainPublishing:
    """Takes plain requests. One per process."""

    def __init__(
        self,
        services: Services,
        *,
        hot: HotPath,
        request_ids: RequestIds,
        on_bug: Callable[[BaseException, str], None],
    ) -> None:
        self._services = services
        self._hot = hot
        self._request_ids = request_ids
        self._on_bug = on_bug
        # A loop holds its tasks weakly.
        self._again: set[asyncio.Task[tuple[Published, Sequence[Finding]]]] = set()

    def begin(
        self, target: bytes, headers: Headers, body: bytes, tell: Callable[[Answer], None]
    ) -> bool:
        """Begin to accept the event of a POST; False, and nothing was done, if it is not plain.

        *tell* is called from the loop, once, with the answer.
        """
        found = _TARGET.fullmatch(target)
        # As a mapping: where a header came twice, it has fewer entries.
        named = dict(headers)
        if found is None or not len(named) == len(headers) <= HEADERS_MAX:
            return False
        authorization = named.get(b"authorization", b"")
        # Counted here too: a head may come in pieces, so that no piece is too long.
        size = sum(map(len, named)) + sum(map(len, named.values()))
        if (
            not authorization.startswith(_BEARER)
            or not 0 < len(authorization) - len(_BEARER) <= CREDENTIAL_CHARS_MAX
            or named.get(b"content-type") != b"application/json"
            or HOST.fullmatch(named.get(b"host", b"")) is None
            or not _NOT_PLAIN.isdisjoint(named)
            or size > HEADER_BYTES_MAX
        ):
            return False
        credential = authorization[len(_BEARER) :].decode("latin-1")
        key = named.get(b"idempotency-key")
        try:
            request = _Request(
                merchant_ref=found[1].decode(),
                key=None if key is None else idempotency_key_of(key),
                body=body,
                authority=Authority(self._services, key_text.digest(credential), None),
                id=self._request_ids.next(),
                tell=tell,
            )
            return self._publish(request)
        except (PayhooksError, ProblemError):
            return False

    def _publish(self, request: _Request) -> bool:
        table = self._services.directory.known(request.merchant_ref)
        book = self._services.book.known()
        if table is None or book is None:
            return False
        request.authority.check(table)
        strict_json.check(request.body)
        publication = decode_event(request.body, table, book, request.key)
        return self._services.acceptor.begin(
            table,
            publication,
            authorise=request.authority.under_rules_of(table),
            tell=partial(self._on_told, request, publication.findings),
        )

    def _on_told(
        self, request: _Request, findings: Sequence[Finding], told: Published | Exception
    ) -> None:
        if isinstance(told, Published):
            self._answer(request, told, findings)
        elif isinstance(told, RulesChangedError):
            self._judge_again(request)
        else:
            self._refuse(request, told)

    def _judge_again(self, request: _Request) -> None:
        def on_done(done: "asyncio.Task[tuple[Published, Sequence[Finding]]]") -> None:
            self._again.discard(done)
            error = UnavailableError("broken off") if done.cancelled() else done.exception()
            if error is None:
                self._answer(request, *done.result())
            else:
                self._refuse(request, error)

        again = asyncio.get_running_loop().create_task(
            self._hot.publish_judged(
                request.body, request.key, request.merchant_ref, request.authority
            )
        )
        self._again.add(again)
        again.add_done_callback(on_done)

    def _answer(self, request: _Request, told: Published, findings: Sequence[Finding]) -> None:
        replayed = _REPLAYED if told.repeated else b""
        headers = b"x-request-id: %b\r\n%b%b" % (request.id.encode(), _ALWAYS, replayed)
        request.tell(Answer(202, headers, accepted(told, findings)))

    def _refuse(self, request: _Request, error: BaseException) -> None:
        problem = problems.of_error(error) if isinstance(error, PayhooksError) else INTERNAL
        if problem is INTERNAL:
            self._on_bug(error, request.id)
        headers = [("x-request-id", request.id), *problems.headers_of(problem)]
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
        instance = problems.shown(f"/v1/merchants/{request.merchant_ref}/events")
        body = problems.body_of(problem, request_id=request.id, instance=instance)
        request.tell(Answer(problem.status, lines.encode("latin-1") + _SECURE, body))
