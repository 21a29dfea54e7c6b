"""Why a request verifies or does not, step by step, for whoever sets up a receiver.

When no signature matches, the usual culprits are tried one by one: what a framework, a proxy
or an editor does to a body. It is for people at a command line; a server must not do this.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from payhooks.receiver.errors import Code, VerificationError
from payhooks.receiver.verifier import (
    ID,
    SIGNATURE,
    TIMESTAMP,
    Verifier,
    lower_case,
    read_id,
    read_timestamp,
)

_CHANGED: Final = "something between the sender and this file changed the body."


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that was looked at."""

    name: str
    passed: bool
    words: str


def explain(
    body: bytes,
    headers: Mapping[str, str],
    secrets: Sequence[str],
    *,
    now: datetime,
    any_age: bool = False,
) -> list[Step]:
    """Return the steps in order, going on after a failure where the rest still says something.

    Args:
        body: The bytes as they were captured.
        headers: Names in any case.
        secrets: Any may match.
        now: The time to judge by.
        any_age: Accept a request that was captured long ago.

    """
    try:
        verifier = Verifier(secrets)
    except VerificationError as error:
        return [Step(name="secret", passed=False, words=error.hint)]
    try:
        values = lower_case(headers)
    except VerificationError as error:
        return [Step(name="headers", passed=False, words=error.hint)]
    steps = [
        _step(ID, lambda: read_id(values)),
        _step(TIMESTAMP, lambda: _age(verifier, values, now, any_age=any_age)),
    ]
    if ID in values and TIMESTAMP in values:
        steps.append(_step(SIGNATURE, lambda: _signature(verifier, values, body)))
    if all(step.passed for step in steps):
        sent_at = datetime.fromtimestamp(read_timestamp(values), UTC)
        steps.append(_step("body", lambda: _content(verifier, values, body, sent_at)))
    return steps


def _step(name: str, look: Callable[[], str]) -> Step:
    try:
        return Step(name=name, passed=True, words=look())
    except VerificationError as error:
        return Step(name=name, passed=False, words=error.hint)


def _age(verifier: Verifier, values: Mapping[str, str], now: datetime, *, any_age: bool) -> str:
    sent_at_s = read_timestamp(values)
    try:
        sent_at = datetime.fromtimestamp(sent_at_s, UTC)
    except (ValueError, OverflowError):  # after the year 9999
        raise VerificationError(
            Code.TIMESTAMP_TOO_NEW, "It lies thousands of years ahead."
        ) from None
    if not any_age:
        verifier.check_age(sent_at_s, now)
    age_s = now.timestamp() - sent_at_s
    return f"{sent_at:%Y-%m-%d %H:%M:%S} UTC ({age_s:.0f} s ago)"


def _signature(verifier: Verifier, values: Mapping[str, str], body: bytes) -> str:
    try:
        verifier.check_signature(values, body)
    except VerificationError as error:
        if error.code is not Code.NO_MATCH:
            raise
        for words, candidate in _suspects(body):
            if candidate != body and _would_match(verifier, values, candidate):
                hint = f"No signature matches, but one does {words}: {_CHANGED} Use the raw bytes."
                raise VerificationError(Code.NO_MATCH, hint) from None
        raise
    return "matches"


def _would_match(verifier: Verifier, values: Mapping[str, str], body: bytes) -> bool:
    try:
        verifier.check_signature(values, body)
    except VerificationError:
        return False
    return True


def _suspects(body: bytes) -> list[tuple[str, bytes]]:
    suspects = [
        ("without the line feed at the end", body.removesuffix(b"\n")),
        ("without the CR LF at the end", body.removesuffix(b"\r\n")),
        ("with a line feed at the end", body + b"\n"),
        ("with LF instead of CR LF", body.replace(b"\r\n", b"\n")),
        ("with CR LF instead of LF", body.replace(b"\n", b"\r\n")),
        ("without the byte order mark", body.removeprefix(b"\xef\xbb\xbf")),
        ("without white space around it", body.strip()),
    ]
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return suspects
    for as_ascii in (False, True):
        compact = json.dumps(content, ensure_ascii=as_ascii, separators=(",", ":"))
        encoded = compact.encode("utf-8", "surrogatepass")
        suspects.append(("after writing the JSON again without spaces", encoded))
    return suspects


def _content(verifier: Verifier, values: Mapping[str, str], body: bytes, sent_at: datetime) -> str:
    event = verifier.verify(body, values, now=sent_at)
    return f"{event.type}, {event.timestamp:%Y-%m-%d %H:%M:%S} UTC, {len(body)} bytes"
