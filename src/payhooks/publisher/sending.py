"""One HTTP request by the standard library, whose answer has one deadline."""

import http.client
import io
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from typing import IO, Any, Final, cast

from payhooks.publisher.answers import Answer

# A result of a batch is at most a problem with a hundred faults, and mostly a line.
_ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024

# Sends one request: (URL, headers, body) → Answer; raises OSError or HTTPException.
Send = Callable[[str, Mapping[str, str], bytes], Answer]


def urllib_sender(timeout_s: float) -> Send:
    """Return what sends with urllib: it knows the proxies and certificates of its machine.

    The answer must be whole *timeout_s* after the beginning, however it comes. A name with
    several addresses of which none answers takes as long for each.
    """
    opener = urllib.request.build_opener(_NoRedirects, _Http, _Https)

    def send(url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        request = urllib.request.Request(  # noqa: S310 - Client looked at the scheme
            url, data=body, headers=dict(headers), method="POST"
        )
        try:
            response = opener.open(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return Answer(
                status=response.status,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=response.read(_ANSWER_BYTES_MAX),
            )

    return send


class _Reads(io.RawIOBase):
    """Reads of a socket that end together: its own time-out is per read, and a drip meets none."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket, ends_s: float) -> None:
        self._raw = raw
        self._connection = connection
        self._ends_s = ends_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - the base says no more
        left_s = self._ends_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer drips")
        self._connection.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, ends_s: float, **options: Any) -> None:  # noqa: ANN401 - the library's
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_Reads(self.fp.detach(), sock, ends_s))


def _until(timeout_s: float) -> type[http.client.HTTPResponse]:
    """Return what makes responses that are whole within so long from now."""
    made = partial(_Response, ends_s=time.monotonic() + timeout_s)
    return cast("type[http.client.HTTPResponse]", made)


class _HttpConnection(http.client.HTTPConnection):
    def __init__(self, host: str, /, **options: Any) -> None:  # noqa: ANN401 - as above
        super().__init__(host, **options)
        self.response_class = _until(options["timeout"])


class _HttpsConnection(http.client.HTTPSConnection):
    def __init__(self, host: str, /, **options: Any) -> None:  # noqa: ANN401 - as above
        super().__init__(host, **options)
        self.response_class = _until(options["timeout"])


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_HttpConnection, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_HttpsConnection, req)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects are answers like others: following one would take the API key elsewhere."""

    def http_error_302(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> None:
        """Follow nothing, and do not read where to: the library raises for what is no URL."""

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
