"""``/webhooks/<merchant>/<connector>``: takes what providers send, past FastAPI.

What it says to a stranger is one 404, whatever he guessed wrong. What it says to a provider is
what that provider wants to hear, in his own format; problems are for everything else.
"""

import asyncio
from dataclasses import replace
from typing import Final
from urllib.parse import unquote_to_bytes

from payhooks.api import asgi
from payhooks.api.problems import Kind, Problem, ProblemError, ending, of_error
from payhooks.connectors import registry
from payhooks.connectors.contract import Answer, Incoming
from payhooks.control.context import Control
from payhooks.errors import NotFoundError, PayhooksError, UnavailableError
from payhooks.flow.receive import BODY_BYTES_MAX, Receiver
from payhooks.flow.routing import Directory, RoutingTable
from payhooks.model.connector import Connector
from payhooks.model.merchant import Mode

PREFIX: Final = "/webhooks/"
_PARTS: Final = 2
# Here nobody knows of an Idempotency-Key, with which publishers are told to come again.
_WITH_KEY: Final = frozenset({Kind.OVERLOADED, Kind.STORE_UNAVAILABLE})
_AGAIN: Final = "Send the same request again after a moment."
_NAME_CHARS_MAX: Final = 64
_QUERY_CHARS_MAX: Final = 2_048
# A provider is told 503 within two seconds. So long may the store take in all, to find whom a
# request is for and to keep it; a little longer than whoever keeps it waits for itself.
PATIENCE_S: Final = 1.6
# A stranger is told no sooner that there is nobody: to look up a merchant takes longer than to know
# him, and the difference would tell whose names are merchants'.
NOBODY_S: Final = 0.05


class ConnectorIntake:
    """The ASGI application behind the connectors' URLs."""

    def __init__(self, control: Control, directory: Directory, receiver: Receiver) -> None:
        self._control = control
        self._directory = directory
        self._receiver = receiver

    def takes(self, path: str) -> bool:
        """Whether a request to this path is for a connector."""
        return path.startswith(PREFIX)

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer one request."""
        problem: Problem
        try:
            answer = await self._hear(scope, receive)
        except PayhooksError as error:
            problem = _of_error(error)
        except ProblemError as error:
            problem = error.problem
        else:
            headers = [(b"content-type", answer.content_type.encode())] if answer.body else []
            await asgi.send_bytes(send, answer.status, answer.body, headers)
            return
        # Never the path: it names a merchant, and is what somebody guessed.
        request_id = scope["state"]["request_id"]
        self.turned_away(problem, request_id)
        await asgi.answer_problem(send, problem, request_id=request_id, instance=PREFIX)

    def turned_away(self, problem: Problem, request_id: str) -> None:
        """Count a request that is answered with a problem: its sender alone would know of it."""
        self._receiver.turned_away(problem.status, request_id)

    async def _hear(self, scope: asgi.Scope, receive: asgi.Receive) -> Answer:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            async with asyncio.timeout(PATIENCE_S):
                table, connector = await self._find(scope)
        except TimeoutError:
            raise UnavailableError("the store does not answer") from None
        except NotFoundError:
            await asyncio.sleep(began_s + NOBODY_S - loop.time())
            raise
        left_s = PATIENCE_S - (loop.time() - began_s)
        provider = registry.bound(connector, table.merchant)
        if scope["method"] not in provider.methods:
            allowed = ", ".join(sorted(provider.methods))
            raise ending(Kind.METHOD, f"This connector takes {allowed}.", ("allow", allowed))
        query: str = scope["query_string"].decode("latin-1")
        if len(query) > _QUERY_CHARS_MAX:
            raise ending(Kind.URI_TOO_LONG, f"A query has at most {_QUERY_CHARS_MAX} characters.")
        body = await asgi.read_body(scope, receive, bytes_max=BODY_BYTES_MAX)
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
        incoming = Incoming(scope["method"], query, headers, body)
        # How long its sender takes to send it, or a certificate's owner to answer, is not ours.
        return await self._receiver.receive(table, connector, provider, incoming, patience_s=left_s)

    async def _find(self, scope: asgi.Scope) -> tuple[RoutingTable, Connector]:
        """Return whom a request is for.

        Raises:
            NotFoundError: Nobody, or nobody who is heard, under this name of ours.

        """
        names = _names(scope["raw_path"])
        if names is None:
            raise _nobody()
        try:
            table = await self._directory.confirmed(names[0])
        except NotFoundError:
            raise _nobody() from None
        connector = table.heard(names[1])
        if connector is None or not self._is_named(asgi.host(scope), table.merchant.mode):
            raise _nobody()
        return table, connector

    def _is_named(self, host: str, mode: Mode) -> bool:
        """Whether connectors of this mode are under the name."""
        hosts = self._control.urls.webhook_hosts
        # A mode that was given no name is under any, but for the other's.
        return host not in hosts.values() if hosts[mode] is None else host == hosts[mode]


def _of_error(error: PayhooksError) -> Problem:
    problem = of_error(error)
    return replace(problem, detail=_AGAIN) if problem.kind in _WITH_KEY else problem


def _nobody() -> NotFoundError:
    return NotFoundError("There is no such connector.")


def _names(raw_path: bytes) -> tuple[str, str] | None:
    """Return merchant and connector as the path spells them; nothing is tidied up."""
    parts = raw_path.removeprefix(PREFIX.encode()).split(b"/")
    if len(parts) != _PARTS or unquote_to_bytes(raw_path) != raw_path:
        return None
    merchant, name = (part.decode("latin-1") for part in parts)
    if not (0 < len(merchant) <= _NAME_CHARS_MAX and 0 < len(name) <= _NAME_CHARS_MAX):
        return None
    return merchant, name
