"""What the server may say to a publisher, and what is made of it."""

import email.utils
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from payhooks.clock import SystemClock
from payhooks.errors import InputError, OutcomeUnknownError

# It came too slowly, too early, too often: the same request, a while later, may be taken. Whoever
# stands before the server says so without a word that could be read.
_LATER: Final = frozenset({408, 425, 429})
_BROKEN: Final = 500  # and above: who says so may have stored it
_ACCEPTED: Final = 202


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was stored. ``replayed``: the key was known, this is its first answer."""

    id: str
    type: str
    created_at: str
    deliveries: int
    replayed: bool
    idempotency_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer, names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RefusedError(InputError):
    """The server will never accept this as it stands. ``problem`` says why.

    ``of_request``: it was the request that was refused, a batch as a whole, not this event.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], *, of_request: bool = True) -> None:
        words = problem.get("detail") or problem.get("title") or "no reason given"
        super().__init__(f"{status}: {words}{_faults(problem)}")
        self.status = status
        self.problem = problem
        self.of_request = of_request


class UnansweredError(OutcomeUnknownError):
    """Stored or not: nobody said. Publish again with the same ``idempotency_key``."""

    def __init__(self, reason: str, *, idempotency_key: str, retry_after_s: float) -> None:
        super().__init__(
            f"{reason}; publish again with idempotency key {idempotency_key}",
            retry_after_s=retry_after_s,
        )
        self.reason = reason
        self.idempotency_key = idempotency_key


Outcome = Published | RefusedError | UnansweredError


def of_event(answer: Answer, idempotency_key: str) -> Outcome:
    """Return what became of an event published alone."""
    content = decoded(answer.body)
    if answer.status == _ACCEPTED:
        replayed = answer.headers.get("idempotent-replayed") == "true"
        return _published(content, idempotency_key, replayed=replayed) or _cut_off(idempotency_key)
    return _failed(answer.status, content, idempotency_key, retry_after_s(answer))


def of_batch(answer: Answer, keys: list[str]) -> list[Outcome]:
    """Return what became of each event of a batch."""
    content = decoded(answer.body)
    if answer.status != _ACCEPTED:
        rest_s = retry_after_s(answer)
        return [_failed(answer.status, content, key, rest_s) for key in keys]
    results = content.get("data")
    if not isinstance(results, list) or len(results) != len(keys):
        return [_cut_off(key) for key in keys]
    return [_of_item(result, key) for result, key in zip(results, keys, strict=True)]


def _of_item(result: object, key: str) -> Outcome:
    if not isinstance(result, dict):
        return _cut_off(key)
    problem = result.get("error")
    if not isinstance(problem, dict):
        replayed = result.get("repeated") is True
        return _published(result, key, replayed=replayed) or _cut_off(key)
    status = problem.get("status")
    if not isinstance(status, int):
        return _cut_off(key)
    return _failed(status, problem, key, 0.0, of_request=False)


def _published(
    content: Mapping[str, Any], idempotency_key: str, *, replayed: bool
) -> Published | None:
    match content:
        case {
            "id": str(id_),
            "type": str(type_),
            "created_at": str(created_at),
            "deliveries": int(deliveries),
        }:
            return Published(
                id=id_,
                type=type_,
                created_at=created_at,
                deliveries=deliveries,
                replayed=replayed,
                idempotency_key=idempotency_key,
            )
        case _:
            return None


def _cut_off(idempotency_key: str) -> UnansweredError:
    # Or not our server: the same key gets the answer again.
    return UnansweredError(
        "the server's answer is not whole", idempotency_key=idempotency_key, retry_after_s=0.0
    )


def _failed(
    status: int,
    problem: Mapping[str, Any],
    idempotency_key: str,
    rest_s: float,
    *,
    of_request: bool = True,
) -> Outcome:
    # The server knows best: an idempotency key still being worked on is a 409 that passes.
    if status in _LATER or status >= _BROKEN or problem.get("retryable") is True:
        return UnansweredError(
            f"the server answered {status}", idempotency_key=idempotency_key, retry_after_s=rest_s
        )
    return RefusedError(status, problem, of_request=of_request)


def retry_after_s(answer: Answer) -> float:
    """Return how long the server asks to be left alone; 0 where it says nothing of sense."""
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        at = email.utils.parsedate_to_datetime(text)
        return max(0.0, at.timestamp() - SystemClock().now().timestamp())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def decoded(body: bytes) -> Mapping[str, Any]:
    """Return the members of an answer; none where it is not a JSON object."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _faults(problem: Mapping[str, Any]) -> str:
    """Return what is wrong where, as far as the problem says it."""
    faults = problem.get("errors")
    if not isinstance(faults, list):
        return ""
    said = [
        f"{fault.get('pointer', '')} {fault['detail']}".strip()
        for fault in faults
        if isinstance(fault, dict) and "detail" in fault
    ]
    return f" ({'; '.join(said)})" if said else ""
