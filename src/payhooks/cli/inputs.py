"""What several commands read from their arguments: JSON, files, times, hosts, pairs."""

import ipaddress
import sys
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import SplitResult, urlsplit

import typer

from payhooks.cli import spelled
from payhooks.errors import InvalidError
from payhooks.limits import IDEMPOTENCY_KEY_CHARS_MAX

_BYTES_MAX: Final = 16 * 1024 * 1024


def read_bytes(path: str, *, option: str) -> bytes:
    """Return what is in a file, or on standard input for ``-``.

    Raises:
        InvalidError: As for ``file_bytes``.

    """
    if path == "-":
        return _bounded(sys.stdin.buffer, option=option)
    return file_bytes(path, option=option)


def file_bytes(path: str, *, option: str) -> bytes:
    """Return what is in a file.

    Raises:
        InvalidError: It cannot be read, or is larger than anything that we send or receive.

    """
    try:
        with Path(path).open("rb") as file:
            return _bounded(file, option=option)
    except OSError as error:
        # A path is a value like any other: whoever mistyped it has to mend the command.
        detail = f"{path} cannot be read: {error.strerror}."
        raise InvalidError.at(option, "unreadable", detail) from None


def json_bytes(text: str, *, option: str) -> bytes:
    """Return the JSON in *text*, ``@file`` or ``-`` as the bytes that it is written in.

    Raises:
        InvalidError: It is not JSON.

    """
    if text == "-" or text.startswith("@"):
        raw = read_bytes(text.removeprefix("@"), option=option).strip()
    else:
        raw = text.encode("utf-8", "surrogateescape")
    try:
        spelled.read(raw)
    except (ValueError, RecursionError):
        # The bytes go out as they are: what is no JSON could break out of its place.
        raise InvalidError.at(option, "malformed", "This is not JSON.") from None
    return raw


def value_of(text: str) -> Any:  # noqa: ANN401 - JSON is anything
    """Return what *text* is as JSON; what is none is text, so that nobody must quote twice."""
    try:
        return spelled.read(text)
    except (ValueError, RecursionError):
        return text


def read_time(parameter: typer.CallbackParam, text: str | None) -> str | None:
    """Return the time in an option's text as RFC 3339 writes it; what an option calls back.

    Raises:
        InvalidError: It is none, or does not say in which zone.

    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        option = parameter.opts[0]
        raise InvalidError.at(option, "malformed", "Write it as 2026-01-31T12:00:00Z.")
    return at.isoformat()


def read_idempotency_key(text: str | None) -> str | None:
    """Return an idempotency key that a server can be given; what an option calls back.

    Raises:
        InvalidError: It is none, such as an empty one, of a variable that a script forgot to set.

    """
    if text is None:
        return None
    if not (1 <= len(text) <= IDEMPOTENCY_KEY_CHARS_MAX and text.isascii() and text.isprintable()):
        detail = f"A key has 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters."
        raise InvalidError.at("--idempotency-key", "malformed", detail)
    return text


def url_parts(url: str) -> SplitResult | None:
    """Return the parts of a URL of HTTP; None where no request can be made to it."""
    try:
        parts = urlsplit(url)
        # The line of a request has no spaces and is ASCII, and names are looked up as IDNA.
        (parts.hostname or "").encode("idna")
        plain = url.isprintable() and " " not in url and f"{parts.path}{parts.query}".isascii()
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and plain
    except ValueError:
        return None
    return parts if good else None


def is_local(host: str) -> bool:
    """Whether a host of a URL is this machine, for whoever is on it."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def pair(text: str, *, separator: str, option: str) -> tuple[str, str]:
    """Return the two halves of ``name=value``.

    Raises:
        InvalidError: There are no two.

    """
    name, found, value = text.partition(separator)
    if not found or not name:
        raise InvalidError.at(option, "malformed", f"Write it as name{separator}value.")
    return name, value


def _bounded(stream: IO[bytes], *, option: str) -> bytes:
    content = stream.read(_BYTES_MAX + 1)
    if len(content) > _BYTES_MAX:
        raise InvalidError.at(option, "too_long", "This is too large to be an event.")
    return content
