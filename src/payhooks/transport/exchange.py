"""One request and its answer on one reusable libcurl handle.

What libcurl reports arrives in callbacks. They are total: an exception in one would be printed
and lost, so whatever goes wrong becomes a field that ``outcome`` reads afterwards.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import pycurl  # type: ignore[import-untyped]  # it ships no types

from payhooks import limits
from payhooks.model.attempt import Outcome
from payhooks.policy.hook_url import HookUrl
from payhooks.ports.transport import OutboundRequest

Done = Callable[[Outcome], None]
Easy = Any  # a pycurl.Curl; pycurl ships no types
SocketAddress = Any  # what pycurl gives: family, kind, protocol, (address, port, …)
OpenedSocket = Any  # a socket, or SOCKET_BAD

# pycurl 7.49 has no name for it. Without it the answer of a proxy to CONNECT would be read
# as the receiver's.
_SUPPRESS_CONNECT_HEADERS: Final = 265
# A connection is checked when it is made. It is not kept so long that a name which moved away
# is still served by the old address.
_IDLE_CONNECTION_S_MAX: Final = 60
_CONNECTION_S_MAX: Final = 300
_RESOLVED_KEPT_S: Final = 60
# Ours to write; anybody else's would break the framing or the deadline.
_FRAMING_HEADERS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "expect", "te", "upgrade"}
)
_GO_ON: Final = None
_STOP: Final = -1
_FINAL_STATUS_MIN: Final = 200
_STATUS_DIGITS: Final = 3


class Exchange:
    """A libcurl handle with the state of the request that it carries."""

    def __init__(
        self,
        *,
        on_cancel: Callable[["Exchange"], None],
        may_dial: Callable[[str, str], bool],
        on_dial: Callable[[str], None] | None,
        proxy: str | None,
        ca_bundle: str | None,
    ) -> None:
        self.easy: Easy = pycurl.Curl()
        self._on_cancel = on_cancel
        self.easy.exchange = self
        self.proxied = proxy is not None
        self._may_dial = may_dial
        self._on_dial = on_dial
        self._host = ""
        self._resolve_set = False
        self._alone = False
        self._method = "POST"
        self._kept_bytes_max = limits.ANSWER_KEPT_BYTES_MAX
        self._body = b""
        self._body_given = 0
        self._answer_bytes = 0
        self._header_bytes = 0
        self._clear()
        self._configure(proxy, ca_bundle)

    def _configure(self, proxy: str | None, ca_bundle: str | None) -> None:
        setopt = self.easy.setopt
        setopt(pycurl.NOSIGNAL, 1)
        setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        setopt(pycurl.HTTP09_ALLOWED, 0)
        setopt(pycurl.FOLLOWLOCATION, 0)
        setopt(pycurl.NETRC, pycurl.NETRC_IGNORED)
        # Empty, not unset: unset means what the environment says.
        setopt(pycurl.PROXY, proxy or "")
        setopt(pycurl.NOPROXY, "")
        if proxy is not None:
            setopt(pycurl.HTTPPROXYTUNNEL, 1)
        setopt(_SUPPRESS_CONNECT_HEADERS, 1)
        setopt(pycurl.USERAGENT, "")  # pycurl's own lists our versions to everybody
        setopt(pycurl.HTTP_CONTENT_DECODING, 0)
        setopt(pycurl.PATH_AS_IS, 1)
        setopt(pycurl.SSL_VERIFYPEER, 1)
        setopt(pycurl.SSL_VERIFYHOST, 2)
        setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        # A resumed session shows no certificate, so one that has expired since would not be seen.
        setopt(pycurl.SSL_SESSIONID_CACHE, 0)
        setopt(pycurl.OPT_CERTINFO, 1)  # to foretell that one expires
        if ca_bundle is not None:
            setopt(pycurl.CAINFO, ca_bundle)
        setopt(pycurl.DNS_CACHE_TIMEOUT, _RESOLVED_KEPT_S)
        setopt(pycurl.MAXAGE_CONN, _IDLE_CONNECTION_S_MAX)
        setopt(pycurl.MAXLIFETIME_CONN, _CONNECTION_S_MAX)
        setopt(pycurl.POST, 1)
        setopt(pycurl.READFUNCTION, self._give_body)
        setopt(pycurl.SEEKFUNCTION, self._rewind)
        setopt(pycurl.HEADERFUNCTION, self._take_header)
        setopt(pycurl.WRITEFUNCTION, self._take_body)
        setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)

    def _clear(self) -> None:
        self.done: Done | None = None  # None while it idles
        self.url: HookUrl | None = None
        self.dns_s = 0.0
        self.status: int | None = None  # set once the headers of a final answer are complete
        self.headers: list[bytes] = []
        self.body: list[bytes] = []
        self.kept_bytes = 0
        self.truncated = False
        self.headers_too_large = False
        self.blocked = False  # an address was refused when its socket was to be opened
        self.exhausted = False  # this process has no socket left

    def begin(  # noqa: PLR0913 - what a request is made of, each once
        self,
        request: OutboundRequest,
        url: HookUrl,
        *,
        headers: list[str],
        addresses: tuple[str, ...],
        dns_s: float,
        alone: bool,
        done: Done,
    ) -> None:
        """Take the request on; the caller then hands ``easy`` to libcurl.

        *addresses* is empty where the host is an address, or where a proxy resolves. *alone*
        asks for a connection that nothing used before and nothing will use again.
        """
        self._clear()
        self.done = done
        self.url = url
        self.dns_s = dns_s
        self._body = request.body
        self._kept_bytes_max = request.answer_kept_bytes_max
        self._body_given = 0
        self._answer_bytes = 0
        self._header_bytes = 0
        self._host = url.host
        setopt = self.easy.setopt
        setopt(pycurl.URL, url.url)
        setopt(pycurl.HTTPHEADER, headers)
        if request.method != self._method:
            setopt(pycurl.HTTPGET if request.method == "GET" else pycurl.POST, 1)
            self._method = request.method
        setopt(pycurl.POSTFIELDSIZE, len(request.body))
        setopt(pycurl.TIMEOUT_MS, max(1, int((request.deadline_s - dns_s) * 1_000)))
        setopt(pycurl.CONNECTTIMEOUT_MS, max(1, int(request.connect_timeout_s * 1_000)))
        if alone is not self._alone:
            setopt(pycurl.FRESH_CONNECT, int(alone))
            setopt(pycurl.FORBID_REUSE, int(alone))
            self._alone = alone
        if addresses:
            # The plus lets the entry age: without it the table grows for ever.
            setopt(pycurl.RESOLVE, [f"+{url.host}:{url.port}:{_joined(addresses)}"])
            self._resolve_set = True
        elif self._resolve_set:
            setopt(pycurl.RESOLVE, [])
            self._resolve_set = False

    def cancel(self) -> None:
        """See UnderWay."""
        self._on_cancel(self)

    def end(self) -> None:
        """Forget the request, so that its body is not kept while the handle idles."""
        self._clear()
        self._body = b""

    def close(self) -> None:
        """Free the handle; it must not be in a multi handle."""
        self.easy.close()

    def _give_body(self, size: int) -> bytes:
        chunk = self._body[self._body_given : self._body_given + size]
        self._body_given += len(chunk)
        return chunk

    def _rewind(self, offset: int, origin: int) -> int:
        # libcurl repeats a request, POST too, when a kept connection breaks before a byte of
        # the answer came. Once our body was given away the receiver may have acted on it, so
        # that is the delivery's retry, with its number and its wait, and not a silent second one.
        return int(pycurl.SEEKFUNC_FAIL if self._body_given else pycurl.SEEKFUNC_OK)

    def _take_header(self, line: bytes) -> int | None:
        self._header_bytes += len(line)
        if self._header_bytes > limits.ANSWER_HEADER_BYTES_MAX:
            self.headers_too_large = True
            return _STOP
        if self.status is not None:
            return _GO_ON  # a trailer: counted, not kept
        if line in (b"\r\n", b"\n"):
            return self._take_end_of_headers()
        if line.startswith(b"HTTP/"):
            # After an informational answer comes another status line.
            self.headers.clear()
        self.headers.append(line)
        return _GO_ON

    def _take_end_of_headers(self) -> int | None:
        words = self.headers[0].split(None, 2) if self.headers else []
        digits = words[1] if len(words) > 1 else b""
        # libcurl lets four through.
        if len(digits) != _STATUS_DIGITS or not digits.isdigit():
            return _STOP
        status = int(digits)
        if status < _FINAL_STATUS_MIN:
            return _GO_ON
        self.status = status
        if _is_ambiguous(self.headers):
            # Where the answer ends depends on who reads it. The verdict is in the status line;
            # stopping here makes libcurl close the connection instead of keeping it.
            self.truncated = True
            return _STOP
        return _GO_ON

    def _take_body(self, chunk: bytes) -> int | None:
        self._answer_bytes += len(chunk)
        room = self._kept_bytes_max - self.kept_bytes
        if room > 0:
            self.body.append(chunk[:room])
            self.kept_bytes += min(room, len(chunk))
        self.truncated = self._answer_bytes > self.kept_bytes
        if self._answer_bytes >= limits.ANSWER_READ_BYTES_MAX:
            self.truncated = True
            return _STOP
        return _GO_ON

    def _open_socket(self, purpose: int, address: SocketAddress) -> OpenedSocket:
        try:
            family, kind, protocol, where = address
            if family not in (socket.AF_INET, socket.AF_INET6):
                self.blocked = True
                return pycurl.SOCKET_BAD
            dialled = where[0]
            # A proxy is the operator's choice. Everything else is judged again, as if nobody
            # had: what was asked of DNS and what is dialled must be one thing.
            if not (self.proxied or self._may_dial(self._host, dialled)):
                self.blocked = True
                return pycurl.SOCKET_BAD
            if self._on_dial is not None:
                self._on_dial(dialled)
            opened = socket.socket(family, kind, protocol)
            _demand_a_second(opened)
        except OSError:
            self.exhausted = True
            return pycurl.SOCKET_BAD
        # Ours is closed as soon as it has its own.
        asyncio.get_running_loop().call_soon(opened.close)
        return opened


def _demand_a_second(opened: socket.socket) -> None:
    """Raise OSError where no duplicate can be had, as pycurl needs.

    It would not say so: the request would read as if the receiver did not listen.
    """
    try:
        os.close(os.dup(opened.fileno()))
    except OSError:
        opened.close()
        raise


def header_lines(headers: tuple[tuple[str, str], ...]) -> list[str] | None:
    """Return the lines for libcurl, or None if one of them cannot be sent."""
    added = _lines_beside(tuple([name for name, _ in headers]))
    if added is None:
        return None
    # A semicolon is how libcurl is told of a header without a value.
    lines = [f"{name}: {value}" if value else f"{name};" for name, value in headers]
    joined = "".join(lines)
    return [*added, *lines] if joined.isascii() and joined.isprintable() else None


# The names of a receiver's headers are the same on every request; the values are not.
@lru_cache(maxsize=1_024)
def _lines_beside(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return what must stand beside headers of these names; None if one is ours to write.

    A name with a colon and nothing else takes out what libcurl would add by itself.
    """
    given = {name.lower() for name in names}
    if given & _FRAMING_HEADERS or any(":" in name or not name for name in names):
        return None
    added = ["Expect:"]
    added += [line for line in ("Accept:", "Content-Type:") if line[:-1].lower() not in given]
    if "accept-encoding" not in given:
        added.append("Accept-Encoding: identity")
    return tuple(added)


def _joined(addresses: tuple[str, ...]) -> str:
    return ",".join(f"[{address}]" if ":" in address else address for address in addresses)


def _is_ambiguous(lines: list[bytes]) -> bool:
    """Return whether two readers could disagree where this answer ends."""
    lengths = codings = bare = 0
    for line in lines:
        start = line[:18].lower()
        lengths += start.startswith(b"content-length:")
        codings += start.startswith(b"transfer-encoding:")
        bare += not line.endswith(b"\r\n")
    return bool(bare) or lengths > 1 or bool(lengths and codings)
