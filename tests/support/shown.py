"""Which row of a matrix a test shows, and what came of it.

A test marked ``@pytest.mark.shows("F27")`` is the evidence for row F27 of ``proofs/matrix``.
With `RESULTS_VARIABLE` in the environment a run appends one line of JSON per marked test to
that file: its rows, its outcome, its seconds. With `ROWS_VARIABLE` it runs the tests of those
rows alone. ``scripts/prove`` sets both.
"""

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

RESULTS_VARIABLE: Final = "PAYHOOKS_TEST_SHOWN"
ROWS_VARIABLE: Final = "PAYHOOKS_TEST_ROWS"  # separated by spaces
_PROPERTY: Final = "shows"


def pytest_configure(config: pytest.Config) -> None:
    """Take down results where somebody asked for them; workers of a run report to its head."""
    if (path := os.environ.get(RESULTS_VARIABLE)) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Results(Path(path)))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Write each test's rows where its report carries them, and leave out what nobody wants."""
    wanted = set(os.environ.get(ROWS_VARIABLE, "").split())
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        rows = sorted({row for mark in item.iter_markers(_PROPERTY) for row in mark.args})
        if rows:
            item.user_properties.append((_PROPERTY, rows))
        (kept if not wanted or wanted.intersection(rows) else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


class _Results:
    """Gathers the phases of each test until it is over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._took_s: dict[str, float] = {}
        self._outcome: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        rows: list[str] = dict(report.user_properties).get(_PROPERTY, [])  # type: ignore[assignment] # Values are what we put there.
        if not rows:
            return
        test = report.nodeid
        self._took_s[test] = self._took_s.get(test, 0.0) + report.duration
        if report.outcome != "passed" or test not in self._outcome:
            self._outcome[test] = report.outcome
        if report.when == "teardown":
            found: dict[str, Any] = {
                "test": test,
                "rows": rows,
                "outcome": self._outcome.pop(test),
                "took_s": round(self._took_s.pop(test), 3),
            }
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
