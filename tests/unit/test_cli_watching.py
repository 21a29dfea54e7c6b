"""How a delivery and its attempts are shown to whoever watches it."""

from typing import Any

import pytest

from payhooks.cli import watching


def _attempt(**members: object) -> dict[str, Any]:
    return {
        "at": "2026-01-31T12:00:00.000Z",
        "status": None,
        "reason": None,
        "detail": "",
        "late": False,
        "timing_ms": {"total": 0.0},
        "answer": {"body": ""},
        **members,
    }


def _shown(capsys: pytest.CaptureFixture[str], attempt: dict[str, Any]) -> list[str]:
    """Return what is told of an attempt: in the line of its delivery, and in its own."""
    delivery = {"status": "failed", "reason_text": None, "attempts": [attempt]}
    watching.print_delivery(delivery, label="ep")
    watching.print_attempts(delivery)
    delivery_line, attempt_line, *_ = capsys.readouterr().out.splitlines()
    return [
        delivery_line.removeprefix("✗  ep  failed  "),
        attempt_line.partition("Z  ")[2],
    ]


@pytest.mark.parametrize("reason", ["not_carried", "too_large", "blocked_address", "internal"])
def test_what_was_never_sent_is_no_silence_of_the_receiver(
    reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever reads of no answer looks for the fault at the receiver, who was never asked."""
    assert _shown(capsys, _attempt(reason=reason)) == ["not sent"] * 2


def test_an_answer_and_a_silence_are_told_with_their_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They say how slow the receiver is, and where a time-out cut it off."""
    answered = _attempt(status=200, timing_ms={"total": 12.4})
    assert _shown(capsys, answered) == ["200  12 ms"] * 2
    silent = _attempt(reason="timeout", timing_ms={"total": 15_000.0})
    assert _shown(capsys, silent) == ["no answer  15000 ms"] * 2
