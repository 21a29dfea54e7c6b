"""How a command ends: one sentence on standard error and one of a few exit codes."""

import errno
import sys
import traceback
from enum import IntEnum
from typing import Final

from payhooks.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    InvalidError,
    NotFoundError,
    PayhooksError,
    SignatureError,
    UnauthenticatedError,
    UnavailableError,
)
from payhooks.publisher.answers import RefusedError
from payhooks.receiver.errors import VerificationError

NOT_FOUND_STATUS: Final = 404


class ExitCode(IntEnum):
    """What scripts can tell apart. docs/cli.md lists them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_AUTHORISED = 4
    CONFLICT = 5
    NOT_VERIFIED = 6
    TIMED_OUT = 7
    INTERRUPTED = 130  # 128 and SIGINT, as shells have it


class TimedOutError(UnavailableError):
    """What was waited for did not come in time."""


# The first that fits, so subclasses come before their parents.
_BY_ERROR: Final[tuple[tuple[type[PayhooksError], ExitCode], ...]] = (
    (NotFoundError, ExitCode.NOT_FOUND),
    (UnauthenticatedError, ExitCode.NOT_AUTHORISED),
    (ForbiddenError, ExitCode.NOT_AUTHORISED),
    (VerificationError, ExitCode.NOT_VERIFIED),
    (SignatureError, ExitCode.NOT_VERIFIED),
    (InputError, ExitCode.USAGE),
    (ConflictError, ExitCode.CONFLICT),
    (TimedOutError, ExitCode.TIMED_OUT),
)
_BY_STATUS: Final = {
    400: ExitCode.USAGE,
    401: ExitCode.NOT_AUTHORISED,
    403: ExitCode.NOT_AUTHORISED,
    NOT_FOUND_STATUS: ExitCode.NOT_FOUND,
    408: ExitCode.TIMED_OUT,
    409: ExitCode.CONFLICT,
    412: ExitCode.CONFLICT,
    413: ExitCode.USAGE,
    422: ExitCode.USAGE,
    504: ExitCode.TIMED_OUT,
}


def code_of(error: BaseException) -> ExitCode:
    """Return how a command ends that met this error."""
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if isinstance(error, RefusedError):
        return _BY_STATUS.get(error.status, ExitCode.FAILED)
    for kind, code in _BY_ERROR:
        if isinstance(error, kind):
            return code
    return ExitCode.FAILED


def sentence_of(error: BaseException) -> str:
    """Return what a person reads of it: never a traceback, whose locals may be secrets."""
    if isinstance(error, RefusedError):
        return _of_problem(error)
    if isinstance(error, InvalidError):
        lines = [f"{fault.pointer or 'input'}: {fault.detail}" for fault in error.faults]
        return "\n".join(lines)
    if isinstance(error, VerificationError):
        return error.hint
    if isinstance(error, PayhooksError):
        return _capitalised(str(error)) or type(error).__name__
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or type(error).__name__}{where}"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].name}:{frames[-1].lineno}" if frames else ""
    return f"Payhooks has a bug: {type(error).__name__}{place}. Please report it."


def end(error: BaseException) -> ExitCode:
    """Say what happened and return the exit code."""
    if isinstance(error, BrokenPipeError) or getattr(error, "errno", None) == errno.EPIPE:
        return ExitCode.FAILED  # Whoever read us has left: there is nobody to tell.
    if not isinstance(error, KeyboardInterrupt):
        sys.stderr.write(f"payhooks: {sentence_of(error)}\n")
    return code_of(error)


def _of_problem(error: RefusedError) -> str:
    problem = error.problem
    title = str(problem.get("title") or f"The server answered {error.status}")
    detail = str(problem.get("detail") or "")
    # What is not there is told by the detail; the title says the same once more.
    missing = error.status == NOT_FOUND_STATUS and detail
    lines = [detail if missing else f"{title}. {detail}".strip()]
    faults = problem.get("errors")
    lines += [
        f"  {fault.get('pointer') or 'body'}: {fault.get('detail')}"
        for fault in (faults if isinstance(faults, list) else [])
    ]
    if problem.get("request_id"):
        lines.append(f"  request {problem['request_id']}")
    return "\n".join(lines)


def _capitalised(text: str) -> str:
    # A path or a setting at the beginning keeps its spelling.
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text
