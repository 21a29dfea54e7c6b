"""Endpoint URLs: read once, by one strict parser, and rebuilt from the parts.

Parsers disagree about what unusual URLs mean, and an attacker lives in the difference between
the one that checks and the one that connects. So whatever two parsers could read differently is
refused, and the text that is stored and called is the one rebuilt here.
"""

import re
import unicodedata
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from payhooks import limits
from payhooks.errors import InvalidError
from payhooks.policy.address_guard import (
    NOTHING_ALLOWED,
    AllowList,
    host_verdict,
    is_address,
)

HTTPS_PORT: Final = 443
HTTP_PORT: Final = 80
_UNPRIVILEGED_PORT: Final = 1_024
_PORT_MAX: Final = 65_535
_PORTS_LOW_ALLOWED: Final = frozenset({HTTPS_PORT})
# Services that understand, or choke on, an HTTP request: databases, caches, brokers, schedulers,
# shells. No webhook receiver listens there.
PORTS_DENIED: Final = frozenset(
    {
        1_433, 1_521, 1_883, 2_049, 2_375, 2_376, 2_379, 2_380, 3_128, 3_306, 3_389, 4_222,
        4_369, 5_432, 5_433, 5_671, 5_672, 5_900, 5_984, 5_985, 5_986, 6_000, 6_379, 6_380,
        6_432, 6_443, 6_660, 6_667, 7_000, 7_001, 7_199, 8_222, 8_500, 8_600, 9_042, 9_092,
        9_100, 9_200, 9_300, 10_250, 10_255, 11_211, 15_672, 25_672, 26_257, 27_017, 28_017,
    }
)  # fmt: skip

_HOST_CHARS_MAX: Final = 253
_LABEL_CHARS_MAX: Final = 63

_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)"
    r"(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.DOTALL,
)
_BLANK_OR_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")
_AUTHORITY: Final = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
# RFC 3986 path and query characters, escapes well-formed.
_TARGET: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")
_DOT_SEGMENT: Final = re.compile(r"/(?:\.|%2[eE]){1,2}(?=/|\Z)")
_SECRET_IN_QUERY: Final = re.compile(
    r"[?&](?:[A-Za-z0-9_.-]*(?:token|secret|password|passwd|api_?key|signature)|key|auth|sig)=",
    re.IGNORECASE,
)
# The full stops of other scripts, which IDNA takes for dots.
_FOREIGN_DOTS: Final = frozenset("\u3002\uff0e\uff61")
# IDNA 2003 and 2008 read these four differently: sharp s, final sigma, the two joiners.
_DEVIATIONS: Final = frozenset("\u00df\u03c2\u200c\u200d")
# Ends of names that only mean something inside somebody's network.
_INSIDE_SUFFIXES: Final = frozenset(
    {
        "arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local",
        "localdomain", "localhost", "onion", "private", "svc",
    }
)  # fmt: skip


class Advice(StrEnum):
    """What is allowed but worth telling whoever saves the URL."""

    SECRET_IN_QUERY = "secret_in_query"  # noqa: S105 - names a finding, is none
    INTERNATIONAL_NAME = "international_name"  # may look like another name; shown as xn--…


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlRules:
    """What this installation and this merchant allow."""

    allow_http: bool  # sandbox merchants, or by setting
    allowed: AllowList = NOTHING_ALLOWED
    own_hosts: frozenset[str] = frozenset()  # our public names: a hook to ourselves is a loop
    inboxes: str | None = None  # but for what begins so: an inbox takes whatever comes, and rests


@dataclass(frozen=True, slots=True, kw_only=True)
class HookUrl:
    """A URL that may be stored and called. ``url`` is the canonical text."""

    url: str
    scheme: str
    host: str  # lower case, A-labels; an IPv6 address without brackets
    port: int
    host_is_address: bool
    advice: tuple[Advice, ...] = ()


def read_hook_url(text: str, *, pointer: str, rules: UrlRules) -> HookUrl:
    """Return the canonical reading of *text*.

    Raises:
        InvalidError: it is not a URL that we call; the fault carries *pointer*.

    """
    if len(text) > limits.URL_CHARS_MAX:
        raise InvalidError.at(
            pointer, "too_long", f"A URL has at most {limits.URL_CHARS_MAX} characters."
        )
    if _BLANK_OR_CONTROL.search(text):
        raise InvalidError.at(
            pointer, "invalid_character", "A URL has no spaces and no control characters."
        )
    parts = _URL.fullmatch(text)
    if parts is None:
        raise InvalidError.at(
            pointer, "invalid_url", "Give a whole URL, such as https://example.com/hooks."
        )
    scheme = _scheme(parts["scheme"], pointer, rules)
    host_text, port_text = _authority(parts["authority"], pointer)
    if rules.inboxes is not None and text.startswith(rules.inboxes):
        rules = replace(rules, own_hosts=frozenset())
    host, advice = _host(host_text, pointer, rules)
    port = _port(port_text, scheme, pointer, rules)
    target = _target(parts, pointer)
    if _SECRET_IN_QUERY.search(target):
        advice = (*advice, Advice.SECRET_IN_QUERY)
    authority = f"[{host}]" if ":" in host else host
    if port != _default_port(scheme):
        authority = f"{authority}:{port}"
    url = f"{scheme}://{authority}{target}"
    # Encoding the name can make it longer than what came in.
    if len(url) > limits.URL_CHARS_MAX:
        raise InvalidError.at(
            pointer, "too_long", f"A URL has at most {limits.URL_CHARS_MAX} characters."
        )
    return HookUrl(
        url=url,
        scheme=scheme,
        host=host,
        port=port,
        host_is_address=is_address(host),
        advice=advice,
    )


def _scheme(text: str, pointer: str, rules: UrlRules) -> str:
    scheme = text.lower()
    if scheme == "https" or (scheme == "http" and rules.allow_http):
        return scheme
    also = " or http://" if rules.allow_http else ""
    raise InvalidError.at(pointer, "scheme_not_allowed", f"The URL must begin with https://{also}.")


def _authority(text: str, pointer: str) -> tuple[str, str | None]:
    """Return host and port as written, with nothing else between the slashes."""
    if "@" in text:
        raise InvalidError.at(
            pointer,
            "userinfo_not_allowed",
            "Put no user name or password into the URL; set authentication instead.",
        )
    parts = _AUTHORITY.fullmatch(text)
    if parts is None or "%" in text or "\\" in text:
        raise _invalid_host(pointer)
    return parts["host"], parts["port"]


def _port(text: str | None, scheme: str, pointer: str, rules: UrlRules) -> int:
    if text is None:
        return _default_port(scheme)
    if not _PORT.fullmatch(text) or int(text) > _PORT_MAX:
        raise InvalidError.at(pointer, "invalid_port", "The port is not a number that ports have.")
    port = int(text)
    if (
        port in _PORTS_LOW_ALLOWED
        or (port == HTTP_PORT and rules.allow_http)
        or (port >= _UNPRIVILEGED_PORT and port not in PORTS_DENIED)
    ):
        return port
    raise InvalidError.at(
        pointer,
        "port_not_allowed",
        "We do not call this port. Use 443, 8443 or another above 1023.",
    )


def _default_port(scheme: str) -> int:
    return HTTPS_PORT if scheme == "https" else HTTP_PORT


def _host(text: str, pointer: str, rules: UrlRules) -> tuple[str, tuple[Advice, ...]]:
    if text.startswith("["):
        address = text[1:-1]
        if ":" not in address or not is_address(address):
            raise _invalid_host(pointer)
        _refuse_unreachable(address, pointer, rules)
        return address, ()
    host = _ascii_name(text, pointer)
    if host in rules.own_hosts:
        raise InvalidError.at(
            pointer, "own_host", "This is our own address; an endpoint must be yours."
        )
    _refuse_unreachable(host, pointer, rules)
    if not is_address(host) and host not in rules.allowed.names:
        _refuse_inside_names(host, pointer)
    return host, (Advice.INTERNATIONAL_NAME,) if "xn--" in host else ()


def _refuse_unreachable(host: str, pointer: str, rules: UrlRules) -> None:
    if host_verdict(host, allowed=rules.allowed) is not None:
        raise InvalidError.at(
            pointer, "host_not_allowed", "The host must be a public name or a public address."
        )


def _refuse_inside_names(host: str, pointer: str) -> None:
    _, dot, last = host.rpartition(".")
    if not dot or last in _INSIDE_SUFFIXES:
        raise InvalidError.at(
            pointer, "host_not_allowed", "The host must be a public name or a public address."
        )


def _ascii_name(text: str, pointer: str) -> str:
    """Return the name in lower case and A-labels, every label well-formed."""
    if _FOREIGN_DOTS.intersection(text) or _DEVIATIONS.intersection(text):
        raise _invalid_host(pointer)
    labels = [_ascii_label(label, pointer) for label in text.split(".")]
    host = ".".join(labels)
    if len(host) > _HOST_CHARS_MAX:
        raise _invalid_host(pointer)
    return host


def _ascii_label(text: str, pointer: str) -> str:
    label = text.lower()
    try:
        if not label.isascii():
            # What compatibility mapping would change has another reading: digits in circles,
            # full-width letters.
            if unicodedata.normalize("NFKC", label) != label:
                raise _invalid_host(pointer)
            label = label.encode("idna").decode("ascii")
        if label.startswith("xn--"):
            # Raises for an A-label that is not the one encoding of what it decodes to.
            label.encode("ascii").decode("idna")
    except UnicodeError:
        raise _invalid_host(pointer) from None
    if not _LABEL.fullmatch(label) or len(label) > _LABEL_CHARS_MAX:
        raise _invalid_host(pointer)
    return label


def _target(parts: re.Match[str], pointer: str) -> str:
    if parts["fragment"] is not None:
        raise InvalidError.at(
            pointer, "fragment_not_allowed", "A URL that we call has no part after #."
        )
    path = parts["path"] or "/"
    target = path + (parts["query"] or "")
    if not _TARGET.fullmatch(target):
        raise InvalidError.at(
            pointer,
            "invalid_character",
            "Percent-encode what is not a plain URL character in the path and query.",
        )
    if _DOT_SEGMENT.search(path):
        raise InvalidError.at(
            pointer, "invalid_path", "The path must not contain . or .. as a step."
        )
    return target


def _invalid_host(pointer: str) -> InvalidError:
    return InvalidError.at(
        pointer, "invalid_host", "The host is not a plain name or address, such as example.com."
    )
