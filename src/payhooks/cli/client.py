"""One server over HTTP, for the commands that talk to one.

Where it is and with which key comes from PAYHOOKS_API_URL and PAYHOOKS_API_KEY; without a key
and beside a running ``payhooks dev``, from what that keeps in ./.payhooks.
"""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from payhooks import __version__
from payhooks.cli import spelled
from payhooks.cli.exits import TimedOutError
from payhooks.cli.inputs import url_parts
from payhooks.errors import InvalidError, UnauthenticatedError, UnavailableError
from payhooks.publisher.answers import RefusedError

URL_DEFAULT: Final = "http://127.0.0.1:8420"
DEV_FILE: Final = Path(".payhooks") / "dev.json"
TIMEOUT_S: Final = 30.0
# The server sends a comment every few seconds; silence for this long is a dead connection.
STREAM_TIMEOUT_S: Final = 60.0
PAGE_SIZE: Final = 100
_ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
_LINE_BYTES_MAX: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server said, where it did not refuse."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        """The body, read; its numbers are as they came."""
        return spelled.read(self.body) if self.body else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A server, a key, and the merchant that is spoken of."""

    url: str
    key: str = field(repr=False)
    merchant: str | None = None

    def get(self, path: str, **query: object) -> Any:  # noqa: ANN401 - JSON is anything
        """Return what is there."""
        return self.call("GET", path, query=query).json

    def post(self, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON is anything
        """Return what came of asking for it."""
        return self.call("POST", path, body=body).json

    def of_merchant(self, path: str = "") -> str:
        """Return the path of something of the merchant.

        Raises:
            InvalidError: No merchant was named.

        """
        if self.merchant is None:
            raise InvalidError.at(
                "--merchant", "required", "Name the merchant, or set PAYHOOKS_API_MERCHANT."
            )
        return f"/v1/merchants/{segment(self.merchant)}{path}"

    def pages(self, path: str, *, limit: int, **query: object) -> Iterator[dict[str, Any]]:
        """Yield the members of a list, page after page, at most *limit*."""
        after: str | None = None
        left = limit
        while left > 0:
            page = self.get(path, **query, limit=min(left, PAGE_SIZE), after=after)
            yield from page["data"]
            left -= len(page["data"])
            after = page["next"]
            if not page["has_more"]:
                return

    def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return the answer; *body* is JSON-like, or bytes of JSON that go out as they are.

        Raises:
            RefusedError: The server answered with a problem.
            UnavailableError: There is no such server, or it broke off.
            TimedOutError: It took too long.

        """
        connection = _connection(self.url, TIMEOUT_S)
        with closing(connection), self._translated(TIMEOUT_S):
            self._send(connection, method, path, body, query or {}, headers or {})
            response = connection.getresponse()
            answer = Answer(
                status=response.status,
                headers={name.lower(): value for name, value in response.getheaders()},
                body=response.read(_ANSWER_BYTES_MAX),
            )
        _demand_success(answer.status, answer.body)
        return answer

    @contextmanager
    def lines(self, method: str, path: str, **query: object) -> Iterator[Iterator[str]]:
        """Yield the lines of an answer that does not end.

        Raises:
            RefusedError, UnavailableError, TimedOutError: As for ``call``.

        """
        connection = _connection(self.url, STREAM_TIMEOUT_S)
        with closing(connection):
            with self._translated(STREAM_TIMEOUT_S):
                self._send(connection, method, path, None, query, {"accept": "text/event-stream"})
                response = connection.getresponse()
                if not _is_success(response.status):
                    _demand_success(response.status, response.read(_ANSWER_BYTES_MAX))
            yield self._read_lines(response)

    def _read_lines(self, response: http.client.HTTPResponse) -> Iterator[str]:
        while True:
            # Reading alone: what goes wrong where a line is used is not the server's doing.
            with self._translated(STREAM_TIMEOUT_S):
                raw = response.readline(_LINE_BYTES_MAX)
            if not raw:
                return
            yield raw.decode("utf-8", "replace").rstrip("\r\n")

    def _send(  # noqa: PLR0913, PLR0917 - private, and every part of a request
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: object,
        query: Mapping[str, object],
        headers: Mapping[str, str],
    ) -> None:
        said = [(name, each) for name, value in query.items() for each in _texts(value)]
        prefix = urlsplit(self.url).path.rstrip("/")
        target = prefix + path + (f"?{urlencode(said)}" if said else "")
        content = body if isinstance(body, bytes | None) else spelled.write(body).encode()
        sent = {
            "authorization": f"Bearer {self.key}",
            "user-agent": f"payhooks-cli/{__version__}",
            "accept": "application/json",
            **({} if content is None else {"content-type": "application/json"}),
            **headers,
        }
        connection.request(method, target, body=content, headers=sent)

    @contextmanager
    def _translated(self, timeout_s: float) -> Iterator[None]:
        """Turn what the network raises into our errors."""
        try:
            yield
        except TimeoutError:
            raise TimedOutError(f"{self.url} did not answer in {timeout_s:.0f} s") from None
        except ConnectionRefusedError:
            raise UnavailableError(
                f"nothing listens at {self.url}; start it with payhooks serve or payhooks dev, or"
                " set PAYHOOKS_API_URL"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(f"{self.url} broke off: {type(error).__name__}") from None


def connect(merchant: str | None = None, *, operator: bool = False) -> Api:
    """Return the server that the environment names; *operator* for what no merchant's key may.

    Raises:
        UnauthenticatedError: There is no key.

    """
    url = environ.get("PAYHOOKS_API_URL")
    key = environ.get("PAYHOOKS_API_KEY")
    known = read_dev_file(DEV_FILE) if key is None else {}
    if key is None:
        key = known.get("operator_key" if operator else "api_key")
        merchant = merchant or known.get("merchant_id")
        url = url or known.get("url")
    if not key:
        raise UnauthenticatedError(
            "there is no key: set PAYHOOKS_API_KEY, or run this beside payhooks dev"
        )
    if not key.isascii() or not key.isprintable():
        raise InvalidError.at("PAYHOOKS_API_KEY", "malformed", "A key is printable ASCII.")
    return Api(url=_checked_url(url or URL_DEFAULT), key=key, merchant=merchant)


def read_dev_file(path: Path) -> dict[str, str]:
    """Return what ``payhooks dev`` keeps, or nothing where there is none."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: value for name, value in content.items() if isinstance(value, str)}


def segment(text: str) -> str:
    """Return *text* as one part of a path, whatever is in it."""
    return quote(text, safe="")


def _connection(url: str, timeout_s: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    assert parts.hostname is not None
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout_s)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)


def _checked_url(url: str) -> str:
    if url_parts(url) is None:
        raise InvalidError.at(
            "PAYHOOKS_API_URL", "malformed", "It is a URL, as in http://127.0.0.1:8420."
        )
    return url.rstrip("/")


def _is_success(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - the class of statuses


def _demand_success(status: int, body: bytes) -> None:
    if _is_success(status):
        return
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        problem = {}
    raise RefusedError(status, problem if isinstance(problem, dict) else {})


def _texts(value: object) -> list[str]:
    """Return a parameter's values: none, one, or several under one name."""
    if value is None:
        return []
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]
