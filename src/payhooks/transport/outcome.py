"""What libcurl's result means, in the words of the model.

Details are fixed sentences: libcurl's own name addresses, and a merchant who may read them could
map the network that we run in.
"""

import errno
from datetime import UTC, datetime
from typing import Final

import pycurl  # type: ignore[import-untyped]  # it ships no types

from payhooks import limits
from payhooks.model.attempt import Answer, OurFault, Outcome, Reason, Silence, Timing
from payhooks.transport.exchange import Easy, Exchange

BLOCKED: Final = "The URL leads to an address that we never call, so we did not connect."
NAME_UNKNOWN: Final = "The name in the URL does not exist, or it has no address."
NAME_TEMPORARY: Final = "No name server answered for the name in the URL."
NAME_TIMEOUT: Final = "The name in the URL was not resolved before the deadline."
RESOLVER_DOWN: Final = "No name can be resolved: our resolver does not answer."
CLOSING: Final = "Stopped before the answer came."
BUG: Final = "A bug of ours: {}."
UNSENDABLE: Final = "A header of this request cannot be sent."

_NO_CONNECTION: Final = "No connection could be made: it was refused, or there is no way there."
_REFUSED: Final = "The connection was refused: nothing listens at this address and port."
_NO_WAY: Final = "There is no way to this address."
_NO_CONNECTION_IN_TIME: Final = "No connection was made in time."
_CLOSED: Final = "The connection was closed before the answer was complete."
_NOT_HTTP: Final = "The answer was not valid HTTP/1.1 or HTTP/2."
_TOO_MANY_HEADERS: Final = (
    f"The answer had more than {limits.ANSWER_HEADER_BYTES_MAX // limits.KIB} KiB of headers."
)
_NO_ANSWER: Final = "No complete answer came before the deadline."
_HANDSHAKE: Final = "The TLS handshake failed; we speak TLS 1.2 and newer."
_NO_TLS: Final = "The server does not speak TLS at this port."
_HANDSHAKE_IN_TIME: Final = "The TLS handshake did not finish in time."
_UNTRUSTED: Final = "The certificate is not valid."
_PROXY_DOWN: Final = "The egress proxy does not answer."
_PROXY_REFUSED: Final = "The egress proxy refused the connection."
_EXHAUSTED: Final = "This process has no socket left."

# X.509 verification results, as OpenSSL numbers them.
_CERTIFICATES: Final = {
    7: "The certificate is not signed by the authority that it names.",
    9: "The certificate is not valid yet.",
    10: "The certificate has expired.",
    18: "The certificate is self-signed.",
    19: "The certificate's chain ends in a root that we do not trust.",
    20: "The certificate's issuer is unknown; is the intermediate certificate missing?",
    21: "The certificate's issuer is unknown; is the intermediate certificate missing?",
    23: "The certificate has been revoked.",
    62: "The certificate is for another host name.",
    64: "The certificate is for another address.",
    66: "The certificate's key is too weak.",
    67: "The certificate's issuer has a key that is too weak.",
    68: "The certificate is signed with an algorithm that is too weak.",
}
_WRONG_NAME: Final = _CERTIFICATES[62]
_EXPIRE_DATE: Final = "%b %d %H:%M:%S %Y GMT"  # as OpenSSL prints it
_MICROSECOND: Final = 1e-6
_FORBIDDEN: Final = 403

_HTTP2_STREAM: Final = 92  # pycurl has no name for it
_PLAIN: Final = {
    # libcurl is content with headers that the end of the connection cuts off. We are not.
    pycurl.E_OK: (Reason.PROTOCOL, _CLOSED),
    pycurl.E_GOT_NOTHING: (Reason.PROTOCOL, _CLOSED),
    pycurl.E_RECV_ERROR: (Reason.PROTOCOL, _CLOSED),
    pycurl.E_SEND_ERROR: (Reason.PROTOCOL, _CLOSED),
    pycurl.E_PARTIAL_FILE: (Reason.PROTOCOL, _CLOSED),
    # See Exchange: a kept connection broke after we had sent.
    pycurl.E_SEND_FAIL_REWIND: (Reason.PROTOCOL, _CLOSED),
    pycurl.E_UNSUPPORTED_PROTOCOL: (Reason.PROTOCOL, _NOT_HTTP),  # HTTP/0.9
    # The old name of WEIRD_SERVER_REPLY.
    pycurl.E_FTP_WEIRD_SERVER_REPLY: (Reason.PROTOCOL, _NOT_HTTP),
    pycurl.E_HTTP2: (Reason.PROTOCOL, _NOT_HTTP),
    _HTTP2_STREAM: (Reason.PROTOCOL, _NOT_HTTP),
    pycurl.E_WRITE_ERROR: (Reason.PROTOCOL, _NOT_HTTP),  # we stopped: a status without number
    pycurl.E_BAD_CONTENT_ENCODING: (Reason.PROTOCOL, _NOT_HTTP),
    pycurl.E_COULDNT_RESOLVE_HOST: (Reason.DNS, NAME_TEMPORARY),
}
# Three ways of being away, for whoever has to mend it. It is no port scanner: addresses that are
# not for everybody to call are refused before, in one sentence for all.
_UNCONNECTED: Final = {
    errno.ECONNREFUSED: _REFUSED,
    errno.EHOSTUNREACH: _NO_WAY,
    errno.ENETUNREACH: _NO_WAY,
}
_TLS_CODES: Final = frozenset(
    {
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_SSL_CIPHER,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_ISSUER_ERROR,
        pycurl.E_SSL_INVALIDCERTSTATUS,
        pycurl.E_SSL_CRL_BADFILE,
    }
)
_PROXY_CODES: Final = frozenset({pycurl.E_COULDNT_RESOLVE_PROXY, pycurl.E_COULDNT_CONNECT})


def outcome_of(exchange: Exchange, code: int, message: str, *, dns_s: float) -> Outcome:
    """Return what came of the request that *exchange* carried. Reads the handle; sends nothing."""
    timing = _timing(exchange.easy, dns_s)
    peer = None if exchange.proxied else _peer(exchange.easy)
    if exchange.status is not None:
        # The status line decides; whatever broke afterwards is only evidence.
        return Answer(
            status=exchange.status,
            headers=_headers(exchange.headers),
            body=b"".join(exchange.body),
            body_truncated=exchange.truncated or code != pycurl.E_OK,
            timing=timing,
            peer=peer,
            certificate_ends_at=_certificate_ends_at(exchange.easy),
        )
    return _without_answer(exchange, code, message, timing=timing, peer=peer)


def _without_answer(
    exchange: Exchange, code: int, message: str, *, timing: Timing, peer: str | None
) -> Outcome:
    if exchange.exhausted:
        return OurFault(detail=_EXHAUSTED)
    fault = _proxy_fault(exchange.easy, code, timing) if exchange.proxied else None
    if fault is not None:
        return fault
    if exchange.blocked:
        return Silence(reason=Reason.BLOCKED_ADDRESS, detail=BLOCKED, timing=timing)
    meaning = (
        (Reason.PROTOCOL, _TOO_MANY_HEADERS)
        if exchange.headers_too_large
        else _meaning(exchange.easy, code, message)
    )
    if meaning is None:
        return OurFault(detail=f"libcurl failed with code {code}.")
    reason, detail = meaning
    return Silence(reason=reason, detail=detail, timing=timing, peer=peer)


def _meaning(easy: Easy, code: int, message: str) -> tuple[Reason, str] | None:
    """Return what a failure before any answer means; None if it is our own."""
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return _late(easy)
    if code == pycurl.E_COULDNT_CONNECT:
        return Reason.CONNECT, _UNCONNECTED.get(easy.getinfo(pycurl.OS_ERRNO), _NO_CONNECTION)
    if code in _TLS_CODES:
        return Reason.TLS, _certificate(easy, code, message)
    return _PLAIN.get(code)


def _late(easy: Easy) -> tuple[Reason, str]:
    """Return in which phase the time ran out."""
    if easy.getinfo(pycurl.CONNECT_TIME) == 0:
        return Reason.CONNECT, _NO_CONNECTION_IN_TIME
    secure = easy.getinfo(pycurl.EFFECTIVE_URL).startswith("https:")
    if secure and easy.getinfo(pycurl.APPCONNECT_TIME) == 0:
        return Reason.TLS, _HANDSHAKE_IN_TIME
    return Reason.TIMEOUT, _NO_ANSWER


def _certificate(easy: Easy, code: int, message: str) -> str:
    if code != pycurl.E_PEER_FAILED_VERIFICATION:
        # What OpenSSL says of bytes that are no record of TLS.
        plain = "wrong version number" in message or "packet length too long" in message
        return _NO_TLS if plain else _HANDSHAKE
    known = _CERTIFICATES.get(easy.getinfo(pycurl.SSL_VERIFYRESULT))
    if known is not None:
        return known
    # libcurl compares the name itself, after OpenSSL was content.
    return _WRONG_NAME if "subject name" in message or "does not match" in message else _UNTRUSTED


def _certificate_ends_at(easy: Easy) -> datetime | None:
    """Return when the receiver's certificate expires, where a connection was made for this."""
    if not easy.getinfo(pycurl.NUM_CONNECTS) or not easy.getinfo(pycurl.APPCONNECT_TIME):
        return None
    chain = easy.getinfo(pycurl.INFO_CERTINFO)
    for name, value in chain[0] if chain else ():
        if name == "Expire date":
            try:
                return datetime.strptime(value, _EXPIRE_DATE).replace(tzinfo=UTC)
            except ValueError:
                return None
    return None


def _proxy_fault(easy: Easy, code: int, timing: Timing) -> Outcome | None:
    """Return what the egress proxy itself did to the request, if anything."""
    refused_with = easy.getinfo(pycurl.HTTP_CONNECTCODE)
    if refused_with == _FORBIDDEN:
        return Silence(reason=Reason.BLOCKED_ADDRESS, detail=BLOCKED, timing=timing)
    if refused_with >= 500:  # noqa: PLR2004 - it could not reach the receiver
        return Silence(reason=Reason.CONNECT, detail=_NO_CONNECTION, timing=timing)
    if refused_with >= 400:  # noqa: PLR2004 - 407 and its like: we are set up wrongly
        return OurFault(detail=_PROXY_REFUSED)
    unreached = code == pycurl.E_OPERATION_TIMEDOUT and easy.getinfo(pycurl.CONNECT_TIME) == 0
    return OurFault(detail=_PROXY_DOWN) if code in _PROXY_CODES or unreached else None


def _timing(easy: Easy, dns_s: float) -> Timing:
    getinfo = easy.getinfo
    connected = getinfo(pycurl.CONNECT_TIME)
    secured = getinfo(pycurl.APPCONNECT_TIME)
    sent = getinfo(pycurl.POSTTRANSFER_TIME_T) * _MICROSECOND
    first_byte = getinfo(pycurl.STARTTRANSFER_TIME)
    return Timing(
        dns_s=dns_s,
        connect_s=max(0.0, connected - getinfo(pycurl.NAMELOOKUP_TIME)),
        tls_s=max(0.0, secured - connected),
        wait_s=max(0.0, first_byte - sent) if sent else 0.0,
        total_s=dns_s + getinfo(pycurl.TOTAL_TIME),
    )


def _peer(easy: Easy) -> str | None:
    address = easy.getinfo(pycurl.PRIMARY_IP)
    if not address:
        return None
    port = easy.getinfo(pycurl.PRIMARY_PORT)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _headers(lines: list[bytes]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for line in lines[1:]:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            pairs.append((name.strip().lower(), value.strip()))
    return tuple(pairs)
