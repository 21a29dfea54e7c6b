"""The runner of the parts: a red part must never read as green."""

import os
import sys

from tests.support.run_parts import PARTS, Part, count_of, main, run, summary

WAIT_S = 15 * 60
INSTALL_S = 60


def _part(program: str, *, budget_s: int = 10) -> Part:
    return Part(name="some", command=(sys.executable, "-c", program), budget_s=budget_s)


def test_the_budgets_are_what_a_change_may_wait() -> None:
    """15 minutes for everything on two cores, and some of that goes into installing."""
    assert sum(part.budget_s for part in PARTS) <= WAIT_S - INSTALL_S


def test_errors_count_as_failures() -> None:
    """A test that could not even be set up has not passed."""
    line = "=== 1 failed, 2 passed, 3 skipped, 4 errors in 5.67s ==="
    assert count_of(line) == {"failed": 5, "passed": 2, "skipped": 3}


def test_a_part_that_breaks_outside_any_test_is_one_failure() -> None:
    """The linter prints no closing line; the sum must still not say "0 failed"."""
    result = run(_part("print('2 passed in 0.01s'); raise SystemExit(1)"), os.environ)
    assert not result.succeeded
    assert result.counts == {"passed": 2, "failed": 1}
    assert summary([result]).splitlines()[-1].startswith("2 passed, 1 failed in ")


def test_a_part_that_hangs_is_ended_and_failed() -> None:
    """One hanging test must not keep the verdict of all others from everybody."""
    result = run(_part("import signal; signal.pause()", budget_s=0), os.environ)
    assert not result.succeeded
    assert "OVER BUDGET" in summary([result])


def test_the_closing_line_sums_all_parts() -> None:
    """Whoever reads only the last line reads the whole truth."""
    results = [run(_part(f"print('{n} passed, 1 skipped in 0.01s')"), os.environ) for n in (2, 3)]
    assert summary(results).splitlines()[-1].startswith("5 passed, 0 failed, 2 skipped in ")


def test_an_unknown_part_is_refused() -> None:
    """A misspelt part that runs nothing would look like success."""
    assert main(["untis"]) == 2
