"""``/in/<word>/…``: takes any request to a sandbox merchant's inbox, and keeps it for a look.

It stands beside FastAPI and the way of events, and its errors never repeat the path: the word in
it is all that one needs to send here.
"""

import re
from collections import OrderedDict
from typing import Final

from payhooks import limits
from payhooks.api import asgi
from payhooks.api.problems import Problem, ProblemError, of_error
from payhooks.control import inboxes
from payhooks.control.context import Control
from payhooks.errors import NotFoundError, PayhooksError, RateLimitedError
from payhooks.model.inbox import Heard, Inbox

PREFIX: Final = "/in/"
BODY_BYTES_MAX: Final = 256 * limits.KIB
PER_SECOND_MAX: Final = 50  # of one inbox, in this process
_INBOXES_COUNTED_MAX: Final = 10_000
_STATUSES: Final = range(200, 600)
_BODILESS: Final = frozenset({204, 205, 304})
_STATUS: Final = re.compile(r"(?:^|&)status=([0-9]{3})(?=&|$)")
_STATUS_DEFAULT: Final = 200
_CHARS_KEPT: Final = 2_048  # of the path, and of the query


class InboxIntake:
    """The ASGI application behind the inboxes' URLs."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._counts: OrderedDict[bytes, tuple[int, int]] = OrderedDict()  # second, requests

    def takes(self, path: str) -> bool:
        """Whether a request to this path is for an inbox."""
        return path.startswith(PREFIX)

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer one request."""
        problem: Problem
        try:
            status = await self._hear(scope, receive)
        except PayhooksError as error:
            problem = of_error(error)
        except ProblemError as error:
            problem = error.problem
        else:
            if status in _BODILESS:
                await asgi.send_bytes(send, status, b"", [])
            else:
                await asgi.answer(send, status, {"received": True})
            return
        request_id = scope["state"]["request_id"]
        await asgi.answer_problem(send, problem, request_id=request_id, instance=PREFIX)

    async def _hear(self, scope: asgi.Scope, receive: asgi.Receive) -> int:
        self._demand_host(scope)
        word, path = _parts(scope["raw_path"].decode("latin-1"))
        found = await inboxes.at(self._control, word)
        if found is None:
            raise NotFoundError("There is no such inbox.")
        self._count(found)
        query: str = scope["query_string"].decode("latin-1")
        status = _status(query)
        body = await asgi.read_body(scope, receive, bytes_max=BODY_BYTES_MAX)
        headers = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        heard = Heard(
            id=self._control.ids.new(),
            method=scope["method"],
            query=inboxes.behind(path[:_CHARS_KEPT], query[:_CHARS_KEPT]),
            headers=tuple(headers),
            body=body,
            status=status,
        )
        await inboxes.hear(self._control, found, heard)
        return status

    def _demand_host(self, scope: asgi.Scope) -> None:
        """Refuse the other mode's public name: what is played stays out of sight there."""
        wanted = self._control.urls.inbox_host
        if wanted is not None and asgi.host(scope) != wanted:
            raise NotFoundError("There is no such inbox.")

    def _count(self, inbox: Inbox) -> None:
        second = int(self._control.clock.monotonic_s())
        begun, count = self._counts.pop(inbox.id, (second, 0))
        count = count + 1 if begun == second else 1
        self._counts[inbox.id] = (second, count)
        while len(self._counts) > _INBOXES_COUNTED_MAX:
            self._counts.popitem(last=False)
        if count > PER_SECOND_MAX:
            detail = f"An inbox takes {PER_SECOND_MAX} requests a second."
            raise RateLimitedError(detail, retry_after_s=1.0)


def _parts(raw_path: str) -> tuple[str, str]:
    """Return the inbox's word, and what is behind it with its slash, as it was written."""
    _, _, word, *rest = raw_path.split("/", 3) if raw_path.count("/") > 1 else ["", "", ""]
    return word, "".join(f"/{text}" for text in rest)


def _status(query: str) -> int:
    """Return what the URL asks to be answered with; a sender's own words ask for nothing."""
    asked = (int(text) for text in _STATUS.findall(query))
    return next((status for status in asked if status in _STATUSES), _STATUS_DEFAULT)
