"""Why a request verifies or does not, step by step, for whoever sets up a receiver.

When no signature matches, the usual culprits are tried one by one: what a framework, a proxy
or an editor does to a body, and whether the headers look like another dialect's. It is for
people, at a command line or with one request before them that is kept; what takes requests must
not do this.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from payhooks.receiver.advice import advice_on
from payhooks.receiver.dialects import DIALECTS
from payhooks.receiver.errors import Code, VerificationError
from payhooks.receiver.standard import ID, TIMESTAMP, read_id
from payhooks.receiver.verifier import Headers, Verifier
from payhooks.receiver.ways import Values

# Written with a line for each member, what nests deeply grows with the square of its depth. Any
# payment object at most trebles.
_GROWTH_MAX: Final = 8
_LINE_BEGINS: Final = re.compile(r"^ +", re.MULTILINE)
# Of compact JSON: a text, an empty one of either kind, what parts the others, or a number or word.
_PIECE: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|\[\]|\{\}|[\[\]{},:]|[^\"\[\]{},:]+")
_NOT_ASCII: Final = re.compile(r"[^\x00-~]+")
_CHANGED: Final = "something between the sender and this file changed the body."


class _CulpritError(VerificationError):
    """What is wrong is known, so nothing else need be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that was looked at."""

    name: str
    passed: bool
    words: str
    advice: tuple[str, ...] = ()  # what to ask and do about it, most likely first


def explain(  # noqa: PLR0913 - what a command line has
    body: bytes,
    headers: Headers,
    secrets: Sequence[str],
    *,
    now: datetime,
    any_age: bool = False,
    dialect: str = "standard",
) -> list[Step]:
    """Return the steps in order, going on after a failure where the rest still says something.

    Args:
        body: The bytes as they were captured.
        headers: Names in any case.
        secrets: Any may match.
        now: The time to judge by.
        any_age: Accept a request that was captured long ago.
        dialect: What the sender speaks, by name; an unknown one is a TypeError.

    """
    try:
        verifier = Verifier(secrets, dialect=dialect)
    except VerificationError as error:
        # A secret of another kind mostly belongs to another dialect.
        return _with_another([_failed("secret", error)], dialect, headers, body)
    try:
        values = verifier.values(headers)
    except VerificationError as error:
        return [_failed("headers", error)]
    way = verifier.way
    steps = []
    if ID in way.headers:
        steps.append(_step(ID, lambda: read_id(values)))
    if way.signs_time:
        name = TIMESTAMP if TIMESTAMP in way.headers else f"t in {way.place}"
        steps.append(_step(name, lambda: _age(verifier, values, now, any_age=any_age)))
    if all(name in values for name in way.headers if name != way.place):
        steps.append(_step(way.place, lambda: _signature(verifier, values, body)))
    if not all(step.passed for step in steps):
        return _with_another(steps, dialect, values, body)
    return [*steps, _step("body", lambda: _content(verifier, values, body))]


def speaks(headers: Headers, body: bytes) -> list[str]:
    """Return the dialects whose signature is there, so that a wrong choice can be named."""
    names = {str(name).lower() for name, _ in headers.items()}
    return [
        name
        for name, dialect in DIALECTS.items()
        if (
            names.issuperset(dialect.way.headers)
            if dialect.way.headers
            else f'"{dialect.way.place}"'.encode() in body
        )
    ]


def suspects(body: bytes, *, rewritten: bool = True) -> Iterator[tuple[str, bytes]]:
    """Yield what the body may have been before a framework, a proxy or an editor changed it.

    Each once, with words that end the sentence "It verifies …", the cheap first, and never the
    body as it is.

    Args:
        body: As it came.
        rewritten: JSON is written again as well, which takes 1 ms for each KiB.

    """
    seen = {body}
    for words, candidate in _before(body, rewritten=rewritten):
        if candidate not in seen:
            seen.add(candidate)
            yield words, candidate


def _before(body: bytes, *, rewritten: bool) -> Iterator[tuple[str, bytes]]:
    yield "without the line feed at the end", body.removesuffix(b"\n")
    yield "without the CR LF at the end", body.removesuffix(b"\r\n")
    yield "with a line feed at the end", body + b"\n"
    yield "with LF instead of CR LF", body.replace(b"\r\n", b"\n")
    yield "with CR LF instead of LF", body.replace(b"\n", b"\r\n")
    yield "without the byte order mark", body.removeprefix(b"\xef\xbb\xbf")
    yield "without white space around it", body.strip()
    if not rewritten:
        return
    for words, text in _written_again(body):
        # What is not ASCII stands as it is, or escaped, as the writer pleases.
        for spelled in (text, _NOT_ASCII.sub(lambda part: json.dumps(part[0])[1:-1], text)):
            yield f"after writing the JSON again {words}", spelled.encode("utf-8", "surrogatepass")


def _written_again(body: bytes) -> Iterator[tuple[str, str]]:
    """Yield the body's JSON as others write it, its members in their order; nothing if it is none.

    So do JavaScript, Go and Java; PHP, which escapes slashes; Python; Ruby, as Stripe sends it.
    """
    try:
        content = json.loads(body)
        compact = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        yield "without spaces", compact
        yield "without spaces and with slashes escaped", compact.replace("/", "\\/")
        yield "with spaces after commas and colons", json.dumps(content, ensure_ascii=False)
        by_two = _indented(compact, chars_max=_GROWTH_MAX * len(compact))
        yield "indented by 2", by_two
        # No text of JSON's has a line of its own.
        yield "indented by 4", _LINE_BEGINS.sub(lambda spaces: spaces[0] * 2, by_two)
    # How deep content may be nested to be read, and to be written, is the interpreter's affair.
    except (ValueError, RecursionError):
        return


def _indented(compact: str, *, chars_max: int) -> str:
    # As json.dumps does it with indent=2, which leaves a circle of functions behind each time: a
    # server that explains, and seldom collects, would keep them.
    pieces, chars, depth = list[str](), 0, 0
    for match in _PIECE.finditer(compact):
        piece = match[0]
        if piece in {"[", "{"}:
            depth += 1
            piece = f"{piece}\n{'  ' * depth}"
        elif piece in {"]", "}"}:
            depth -= 1
            piece = f"\n{'  ' * depth}{piece}"
        elif piece == ",":
            piece = f",\n{'  ' * depth}"
        elif piece == ":":
            piece = ": "
        pieces.append(piece)
        chars += len(piece)
        if chars > chars_max:
            raise ValueError("it nests too deeply to be anybody's")
    return "".join(pieces)


def _step(name: str, look: Callable[[], str]) -> Step:
    try:
        return Step(name=name, passed=True, words=look())
    except VerificationError as error:
        return _failed(name, error)


def _failed(name: str, error: VerificationError) -> Step:
    advice = () if isinstance(error, _CulpritError) else advice_on(error.code)
    return Step(name=name, passed=False, words=error.hint, advice=advice)


def _advised(steps: Sequence[Step], *, cause_known: bool) -> list[Step]:
    """Return the steps with each piece of advice once, or with none where it is the dialect."""
    said: set[str] = set()
    advised = []
    for step in steps:
        advice = () if cause_known else tuple([it for it in step.advice if it not in said])
        said.update(advice)
        advised.append(replace(step, advice=advice))
    return advised


def _age(verifier: Verifier, values: Values, now: datetime, *, any_age: bool) -> str:
    sent_at_s = verifier.way.sent_at_s(values)
    assert sent_at_s is not None, "asked only where a time is signed"
    try:
        sent_at = datetime.fromtimestamp(sent_at_s, UTC)
    except (ValueError, OverflowError):  # after the year 9999
        raise VerificationError(
            Code.TIMESTAMP_TOO_NEW, "It lies thousands of years ahead."
        ) from None
    if not any_age:
        verifier.check_age(values, now)
    age_s = now.timestamp() - sent_at_s
    return f"{sent_at:%Y-%m-%d %H:%M:%S} UTC ({age_s:.0f} s ago)"


def _signature(verifier: Verifier, values: Values, body: bytes) -> str:
    try:
        verifier.check_signature(values, body)
    except VerificationError as error:
        if error.code is not Code.NO_MATCH:
            raise
        for words, candidate in suspects(body):
            if _would_match(verifier, values, candidate):
                hint = f"No signature matches, but one does {words}: {_CHANGED} Use the raw bytes."
                raise _CulpritError(Code.NO_MATCH, hint) from None
        raise
    return "matches"


def _would_match(verifier: Verifier, values: Values, body: bytes) -> bool:
    try:
        verifier.check_signature(values, body)
    except VerificationError:
        return False
    return True


def _with_another(steps: Sequence[Step], dialect: str, headers: Headers, body: bytes) -> list[Step]:
    """Return the steps with their advice, or with the dialect that it looks like instead."""
    spoken = speaks(headers, body)
    if dialect in spoken or not spoken:
        return _advised(steps, cause_known=False)
    words = f"This is signed as {' or '.join(spoken)} signs, not {dialect}."
    another = Step(name="dialect", passed=False, words=words)
    return [*_advised(steps, cause_known=True), another]


def _content(verifier: Verifier, values: Values, body: bytes) -> str:
    event = verifier.read(values, body)
    at = "no time" if event.timestamp is None else f"{event.timestamp:%Y-%m-%d %H:%M:%S} UTC"
    return f"{event.type}, {at}, {len(body)} bytes"
