"""Watching deliveries until something came of them, and how one is shown."""

import time
from collections.abc import Callable
from typing import Any, Final

from payhooks.cli.client import Api, segment
from payhooks.cli.output import line, say

POLL_S: Final = 0.2
_UNDONE: Final = frozenset({"scheduled", "sending", "blocked"})
_MARKS: Final = {"delivered": "✓", "failed": "✗", "cancelled": "-"}
# Of these no request was made: nobody was silent, and it took no time.
_UNSENT: Final = frozenset({"blocked_address", "internal", "not_carried", "too_large"})
_BODY_CHARS_SHOWN: Final = 400


def poll(look: Callable[[], bool], *, wait_s: float) -> bool:
    """Return whether *look* came true in time."""
    deadline_s = time.monotonic() + wait_s
    while not look():
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(POLL_S)  # noqa: TID251 - a person waits
    return True


def await_attempt(api: Api, delivery_id: str, *, wait_s: float) -> dict[str, Any]:
    """Return the delivery as soon as an attempt is over, or as it is when the wait is."""
    found: dict[str, Any] = {}

    def look() -> bool:
        found.clear()
        found.update(api.get(api.of_merchant(f"/deliveries/{segment(delivery_id)}")))
        return not is_untried(found)

    if not poll(look, wait_s=wait_s):
        say(f"{delivery_id} has not been tried yet.")
    return found


def is_untried(delivery: dict[str, Any]) -> bool:
    """Whether a first attempt is still to come, and soon."""
    return delivery["status"] in _UNDONE and delivery["attempts_made"] == 0


def print_delivery(delivery: dict[str, Any], *, label: str | None = None) -> None:
    """Print one line about a delivery, and one about its last attempt."""
    mark = _MARKS.get(delivery["status"], "◆")
    parts = [mark, label or delivery["endpoint_id"], delivery["status"]]
    attempts = delivery.get("attempts") or []
    if attempts:
        parts += _outcome(attempts[-1])
    line("  ".join(parts))
    if delivery.get("reason_text") and delivery["status"] != "delivered":
        line(f"  {delivery['reason_text']}")
    if delivery["status"] == "scheduled" and delivery["attempts_made"] and delivery["due_at"]:
        line(f"  Next attempt at {delivery['due_at']}.")


def print_attempts(delivery: dict[str, Any]) -> None:
    """Print every attempt, oldest first."""
    for number, attempt in enumerate(delivery["attempts"], start=1):
        words = [f"  {number}.", attempt["at"], *_outcome(attempt)]
        if attempt["late"]:
            words.append("(late: its lease had gone to somebody else)")
        line("  ".join(words))
        if attempt["detail"]:
            line(f"      {attempt['detail']}")
        if attempt["reason"] and attempt["answer"]["body"]:
            text = " ".join(attempt["answer"]["body"].split())
            line(f"      answered: {text[:_BODY_CHARS_SHOWN]}")


def _outcome(attempt: dict[str, Any]) -> list[str]:
    """Return what the receiver answered, and after how long; or that it was never asked."""
    if attempt["reason"] in _UNSENT:
        return ["not sent"]
    answer = "no answer" if attempt["status"] is None else str(attempt["status"])
    return [answer, f"{attempt['timing_ms']['total']:.0f} ms"]
