"""The promises by name: in the code, in a violation, in the docs."""

from pathlib import Path

from payhooks.simulator.planted import PLANTED
from payhooks.simulator.promises import MEANING, Promise
from payhooks.simulator.run import run

DOCS = Path(__file__).parents[2] / "docs" / "simulator.md"


def test_every_promise_is_in_the_docs() -> None:
    """Who reads a violation looks its name up there."""
    text = DOCS.read_text(encoding="utf-8")
    assert set(MEANING) == set(Promise)
    assert [each for each in Promise if f"| {each} | {MEANING[each]} |" not in text] == []


def test_a_violation_names_the_promise_and_reads_without_ids() -> None:
    """The timeline is for people: they know endpoints by their labels."""
    report = run(1, parts=PLANTED["jitter downward"])
    assert report.violation is not None
    assert f"{Promise.SCHEDULE}: " in report.violation
    assert "VIOLATION" in report.timeline[-1]
    assert "to merchant0.endpoint" in report.timeline[-1]
