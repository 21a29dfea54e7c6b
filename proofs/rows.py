"""Rows of a matrix: a fault, a bad input or a demand of security, and the tests that show it.

A matrix is a folder of TOML files under ``proofs/matrix``: one table per row, named by its id,
with *given* (what happens) and *expected* (what Payhooks does). The evidence is every test with
``@pytest.mark.shows("<id>")``; a row passes when it has evidence and all of it passed.
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.postgres import URL_VARIABLE, cluster
from tests.support.shown import RESULTS_VARIABLE, ROWS_VARIABLE

from proofs.lines import ROOT, Line

MATRIX: Final = ROOT / "proofs" / "matrix"
# In a process of its own: the browser's driver keeps a loop running, beside which no
# asynchronous test can run.
_BROWSER: Final = "tests/e2e/console"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: what happens, and what Payhooks does then."""

    id: str
    given: str
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One test of a row, as it came out."""

    test: str
    outcome: str
    took_s: float


def rows(kind: str) -> dict[str, Row]:
    """Return the rows of *kind* (a folder of `MATRIX`) by id, in the order of their ids."""
    found: dict[str, Row] = {}
    for path in sorted((MATRIX / kind).glob("*.toml")):
        for id_, row in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if id_ in found:
                raise ValueError(f"{path}: the row {id_} is there twice")
            found[id_] = Row(id=id_, given=row["given"], expected=row["expected"])
    return dict(sorted(found.items(), key=lambda item: _order(item[0])))


def prove_rows(kind: str, only: Collection[str] = ()) -> Iterator[Line]:
    """Run every test that shows a row of *kind*, or *only* those, and yield a line per row.

    Raises:
        ValueError: No row has an id that was asked for.

    """
    known = rows(kind)
    if unknown := sorted(set(only) - set(known)):
        raise ValueError(f"no row of {kind} is named {', '.join(unknown)}")
    wanted = {id_: row for id_, row in known.items() if not only or id_ in only}
    evidence = _gather(set(wanted))
    for row in wanted.values():
        yield _line(row, evidence.get(row.id, []))


def _line(row: Row, evidence: list[Evidence]) -> Line:
    failed = [each.test for each in evidence if each.outcome != "passed"]
    took_s = sum(each.took_s for each in evidence)
    figure = f"{len(evidence)} tests, {took_s:.1f} s"
    if failed:
        figure = f"{len(failed)} of {len(evidence)} did not pass: {failed[0]}"
    return Line(
        passed=bool(evidence) and not failed,
        name=f"{row.id} {row.given}",
        figure=figure,
        limit=row.expected,
        tests=tuple(each.test for each in evidence),
    )


def _gather(wanted: set[str]) -> Mapping[str, list[Evidence]]:
    """Return what the tests of the wanted rows came to, by row."""
    # One cluster for all, as scripts/test has it; without it what is about PostgreSQL is skipped.
    with cluster() as url, tempfile.TemporaryDirectory(prefix="payhooks-proof-") as folder:
        results = Path(folder) / "shown.jsonl"
        environment = os.environ | {
            RESULTS_VARIABLE: str(results),
            URL_VARIABLE: url,
            ROWS_VARIABLE: " ".join(sorted(wanted)),
        }
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-m", "shows"]
        for part in (("tests", f"--ignore={_BROWSER}"), (_BROWSER,)):
            # Its own verdict does not count: a row without a test would pass there.
            subprocess.run([*command, *part], cwd=ROOT, env=environment, check=False)
        lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    found: dict[str, list[Evidence]] = {}
    for line in lines:
        test: dict[str, Any] = json.loads(line)
        one = Evidence(test=test["test"], outcome=test["outcome"], took_s=test["took_s"])
        for row in wanted.intersection(test["rows"]):
            found.setdefault(row, []).append(one)
    return found


def _order(id_: str) -> tuple[str, int]:
    letters = id_.rstrip("0123456789")
    return letters, int(id_[len(letters) :] or 0)
