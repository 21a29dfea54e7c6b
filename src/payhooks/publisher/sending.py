"""One HTTP request with one deadline, by the standard library."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import IO, Final

from payhooks.publisher.answers import Answer

# A result of a batch is at most a problem with a hundred faults, and mostly a line.
_ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
_PIECE_BYTES: Final = 64 * 1024

# Sends one request: (URL, headers, body) → Answer; raises OSError or HTTPException.
Send = Callable[[str, Mapping[str, str], bytes], Answer]


def urllib_sender(timeout_s: float) -> Send:
    """Return what sends with urllib: it knows the proxies and certificates of its machine."""
    opener = urllib.request.build_opener(_NoRedirects)

    def send(url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        ends_s = time.monotonic() + timeout_s
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
                body=_body(response, ends_s),
            )

    return send


def _body(response: http.client.HTTPResponse | urllib.error.HTTPError, ends_s: float) -> bytes:
    """Return the body. The socket's time-out is per read: a dripping server never meets it."""
    body = b""
    while piece := response.read1(min(_PIECE_BYTES, _ANSWER_BYTES_MAX - len(body))):
        body += piece
        if time.monotonic() > ends_s:
            raise TimeoutError("the answer drips")
    return body


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
