"""Transport on libcurl's multi-socket interface, driven by the running event loop.

libcurl says which sockets and which time it waits for; the loop tells it when they are due.
Nothing here blocks, and many requests that begin in one turn of the loop are begun in one call.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, assert_never

import pycurl  # type: ignore[import-untyped]  # it ships no types

from payhooks import limits
from payhooks.clock import Clock
from payhooks.errors import InvalidError
from payhooks.model.attempt import OurFault, Outcome, Reason, Silence, Timing
from payhooks.policy.address_guard import AllowList, verdict
from payhooks.policy.hook_url import HookUrl, UrlRules, read_hook_url
from payhooks.ports.telemetry import Telemetry
from payhooks.ports.transport import OutboundRequest, UnderWay, end_of
from payhooks.transport import outcome
from payhooks.transport.exchange import Done, Exchange, header_lines
from payhooks.transport.resolve import (
    AddressBook,
    Checked,
    Refused,
    Resolver,
    SystemResolver,
    Unresolved,
)

# libcurl comes with its own OpenSSL, whose built-in path is another machine's.
_CA_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/cert.pem",  # macOS, BSD
)
_URLS_KEPT: Final = 4_096
# After it, keeping connections is tried again: the receiver may have been restarted just then.
_IMPATIENT_S: Final = 600.0
_NO_TIME: Final = Timing()


class CurlTransport:
    """See Transport. ``allowed`` names what may be called though it is private.

    With ``proxy`` every request goes through that HTTP proxy by CONNECT, and it is the proxy
    that resolves names and must judge their addresses. ``on_dial`` is told every address just
    before a socket to it is opened.
    """

    def __init__(  # noqa: PLR0913 - one setting each
        self,
        *,
        clock: Clock,
        telemetry: Telemetry,
        allowed: tuple[str, ...] = (),
        proxy: str | None = None,
        ca_bundle: str | None = None,
        resolver: Resolver | None = None,
        on_dial: Callable[[str], None] | None = None,
    ) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._on_dial = on_dial
        self._allowed = AllowList.of(allowed)
        self._proxy = proxy
        self._ca_bundle = ca_bundle or _system_ca_bundle()
        self._book = AddressBook(
            resolver=resolver or SystemResolver(relative_names=self._allowed.names),
            clock=clock,
            allowed=self._allowed,
        )
        self._urls: dict[tuple[str, bool], HookUrl] = {}
        self._impatient: dict[tuple[str, int], float] = {}
        self._idle: list[Exchange] = []
        self._under_way: set[Exchange] = set()
        self._watched: dict[int, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._kick_due = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._multi: Any = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, limits.SLOTS_PER_PROCESS)

    def begin(self, request: OutboundRequest, done: Done) -> UnderWay | None:
        """See Transport."""
        headers = header_lines(request.headers)
        if self._closed or headers is None:
            detail = outcome.CLOSING if self._closed else outcome.UNSENDABLE
            done(OurFault(detail=detail))
            return None
        try:
            url = self._read(request)
        except InvalidError:
            # It was fit when it was saved; the rules have become stricter since.
            done(_blocked(_NO_TIME))
            return None
        self._loop = asyncio.get_running_loop()
        if url.host_is_address or self._proxy is not None:
            return self._exchange(request, url, headers, done, addresses=(), dns_s=0.0)
        found = self._book.recent(url.host)
        if isinstance(found, Checked):
            addresses = found.addresses
            return self._exchange(request, url, headers, done, addresses=addresses, dns_s=0.0)
        return self._loop.create_task(self._begin_unknown(request, url, headers, done))

    async def close(self) -> None:
        """See Transport."""
        if self._closed:
            return
        self._closed = True
        await self._book.close()
        for exchange in tuple(self._under_way):
            self._finish(exchange, pycurl.E_ABORTED_BY_CALLBACK, "")
        self._multi.close()
        if self._timer is not None:
            self._timer.cancel()
        for fd in tuple(self._watched):
            self._watch(pycurl.POLL_REMOVE, fd, None, None)
        for exchange in self._idle:
            exchange.close()
        self._idle.clear()

    def _read(self, request: OutboundRequest) -> HookUrl:
        key = (request.url, request.allow_http)
        known = self._urls.get(key)
        if known is None:
            rules = UrlRules(allow_http=request.allow_http, allowed=self._allowed)
            known = read_hook_url(request.url, pointer="", rules=rules)
            if len(self._urls) >= _URLS_KEPT:
                del self._urls[next(iter(self._urls))]
            self._urls[key] = known
        return known

    async def _begin_unknown(
        self, request: OutboundRequest, url: HookUrl, headers: list[str], done: Done
    ) -> None:
        """Carry a request to a name just not known; the task lasts as long as the request."""
        try:
            what = await self._look_up_and_send(request, url, headers)
        except Exception as error:  # noqa: BLE001 - the top of a task: its end must be heard of
            what = OurFault(detail=outcome.BUG.format(type(error).__name__))
        self._tell(done, what)

    async def _look_up_and_send(
        self, request: OutboundRequest, url: HookUrl, headers: list[str]
    ) -> Outcome:
        started_s = self._clock.monotonic_s()
        found = self._book.recent(url.host)
        if found is None:
            found = await self._book.look_up(url.host, timeout_s=request.deadline_s)
        dns_s = self._clock.monotonic_s() - started_s
        if not isinstance(found, Checked):
            return self._nowhere(found, dns_s=dns_s)
        if self._closed:
            return OurFault(detail=outcome.CLOSING)
        if dns_s >= request.deadline_s:
            timing = Timing(dns_s=dns_s, total_s=dns_s)
            return Silence(reason=Reason.DNS, detail=outcome.NAME_TIMEOUT, timing=timing)
        begin = partial(
            self._exchange, request, url, headers, addresses=found.addresses, dns_s=dns_s
        )
        return await end_of(begin)

    def _nowhere(self, why: Refused | Unresolved, *, dns_s: float) -> Outcome:
        """Return the outcome of a request whose name led to no address that we call."""
        timing = Timing(dns_s=dns_s, total_s=dns_s)
        match why:
            case Refused():
                return _blocked(timing)
            case Unresolved.UNKNOWN:
                return Silence(reason=Reason.DNS, detail=outcome.NAME_UNKNOWN, timing=timing)
            case Unresolved.TEMPORARY if self._closed:
                return OurFault(detail=outcome.CLOSING)
            case Unresolved.TEMPORARY if self._book.resolver_is_down():
                return OurFault(detail=outcome.RESOLVER_DOWN)
            case Unresolved.TEMPORARY:
                return Silence(reason=Reason.DNS, detail=outcome.NAME_TEMPORARY, timing=timing)
            case _:
                assert_never(why)

    def _exchange(  # noqa: PLR0913 - what a request is made of, each once
        self,
        request: OutboundRequest,
        url: HookUrl,
        headers: list[str],
        done: Done,
        *,
        addresses: tuple[str, ...],
        dns_s: float,
    ) -> Exchange:
        exchange = self._idle.pop() if self._idle else self._new_exchange()
        exchange.begin(
            request,
            url,
            headers=headers,
            addresses=addresses,
            dns_s=dns_s,
            alone=self._closes_early(url),
            done=done,
        )
        self._multi.add_handle(exchange.easy)
        self._under_way.add(exchange)
        return exchange

    def _closes_early(self, url: HookUrl) -> bool:
        if not self._impatient:
            return False
        until_s = self._impatient.get((url.host, url.port))
        return until_s is not None and self._clock.monotonic_s() < until_s

    def _note_early_close(self, url: HookUrl) -> None:
        """Remember a receiver that closes kept connections without having said so.

        libcurl looks whether a kept connection is alive once a second, not at every use. With a
        receiver that closes after each answer every second request would fail.
        """
        self._impatient.pop((url.host, url.port), None)
        if len(self._impatient) >= _URLS_KEPT:
            del self._impatient[next(iter(self._impatient))]
        self._impatient[url.host, url.port] = self._clock.monotonic_s() + _IMPATIENT_S

    def _new_exchange(self) -> Exchange:
        return Exchange(
            may_dial=self._may_dial,
            on_dial=self._on_dial,
            on_cancel=self._cancel,
            proxy=self._proxy,
            ca_bundle=self._ca_bundle,
        )

    def _may_dial(self, host: str, address: str) -> bool:
        return host in self._allowed.names or verdict(address, allowed=self._allowed) is None

    def _finish(self, exchange: Exchange, code: int, message: str) -> None:
        """Take out a request that has ended, and tell what came of it."""
        done, url = exchange.done, exchange.url
        assert done is not None
        assert url is not None
        self._under_way.discard(exchange)
        self._multi.remove_handle(exchange.easy)
        if code == pycurl.E_SEND_FAIL_REWIND:
            self._note_early_close(url)
        try:
            if self._closed and exchange.status is None:
                what: Outcome = OurFault(detail=outcome.CLOSING)
            else:
                what = outcome.outcome_of(exchange, code, message, dns_s=exchange.dns_s)
        except Exception as error:  # noqa: BLE001 - others ended with this one, and must hear of it
            what = OurFault(detail=outcome.BUG.format(type(error).__name__))
        # Before it is told: whoever hears of it may begin the next with this very handle.
        self._put_away(exchange)
        self._tell(done, what)

    def _tell(self, done: Done, what: Outcome) -> None:
        try:
            done(what)
        except Exception as error:  # noqa: BLE001 - others ended with this one, and must hear of it
            self._telemetry.bug_caught("transport", error)

    def _cancel(self, exchange: Exchange) -> None:
        if exchange in self._under_way:
            self._under_way.discard(exchange)
            self._multi.remove_handle(exchange.easy)  # this closes its connection
            self._put_away(exchange)

    def _put_away(self, exchange: Exchange) -> None:
        exchange.end()
        if self._closed or len(self._idle) >= limits.SLOTS_PER_PROCESS:
            exchange.close()
        else:
            self._idle.append(exchange)

    # --- what libcurl asks of the loop ---------------------------------------------------

    def _watch(self, event: int, fd: int, _multi: object, _data: object) -> None:
        assert self._loop is not None
        wanted = 0 if event == pycurl.POLL_REMOVE else event
        watched = self._watched.get(fd, 0)
        # The bits of POLL_IN and POLL_OUT are those of CSELECT_IN and CSELECT_OUT.
        if wanted & pycurl.POLL_IN and not watched & pycurl.POLL_IN:
            self._loop.add_reader(fd, self._act, fd, pycurl.CSELECT_IN)
        elif watched & pycurl.POLL_IN and not wanted & pycurl.POLL_IN:
            self._loop.remove_reader(fd)
        if wanted & pycurl.POLL_OUT and not watched & pycurl.POLL_OUT:
            self._loop.add_writer(fd, self._act, fd, pycurl.CSELECT_OUT)
        elif watched & pycurl.POLL_OUT and not wanted & pycurl.POLL_OUT:
            self._loop.remove_writer(fd)
        if wanted:
            self._watched[fd] = wanted
        else:
            self._watched.pop(fd, None)

    def _set_timer(self, timeout_ms: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if timeout_ms < 0 or self._loop is None:
            return
        if timeout_ms == 0:
            # Not at once: libcurl must not be entered from its own callback.
            if not self._kick_due:
                self._kick_due = True
                self._loop.call_soon(self._kick)
        else:
            self._timer = self._loop.call_later(timeout_ms / 1_000, self._kick)

    def _kick(self) -> None:
        self._kick_due = False
        self._act(pycurl.SOCKET_TIMEOUT, 0)

    def _act(self, fd: int, events: int) -> None:
        if self._closed:
            return
        _, running = self._multi.socket_action(fd, events)
        if running < len(self._under_way):
            self._collect()

    def _collect(self) -> None:
        waiting = 1
        while waiting:
            waiting, ended, failed = self._multi.info_read()
            for easy in ended:
                self._finish(easy.exchange, pycurl.E_OK, "")
            for easy, code, message in failed:
                self._finish(easy.exchange, code, message)


def _blocked(timing: Timing) -> Silence:
    return Silence(reason=Reason.BLOCKED_ADDRESS, detail=outcome.BLOCKED, timing=timing)


def _system_ca_bundle() -> str | None:
    return next((path for path in _CA_BUNDLES if Path(path).exists()), None)
