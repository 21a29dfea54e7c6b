"""`scripts/prove` and `scripts/bench` run, in small: what they show is theirs to say."""

import os
import re
import subprocess
import sys

import pytest
from tests.support.server import ROOT

_ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
_LINE = re.compile(r"(PASS|FAIL)  \S.*?\s{1,}\S.*")


@pytest.mark.parametrize("part", ["arrival"])
def test_a_part_of_the_proof_prints_lines_and_all_of_them_pass(part: str) -> None:
    """Parts that measure no speed hold on any machine, at any size."""
    command = [sys.executable, "-m", "proofs", "engine", "--quick", "--store", "sqlite"]
    done = subprocess.run(
        [*command, "--only", part],
        cwd=ROOT,
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert len(lines) >= 5, done.stderr
    assert all(_LINE.fullmatch(line) for line in lines), done.stdout
    assert not [line for line in lines if line.startswith("FAIL")]
    assert done.returncode == 0


def test_a_benchmark_prints_a_line_and_writes_nothing() -> None:
    """In small it shows that it runs; its figures would be worth nothing."""
    page = ROOT / "docs" / "benchmarks.md"
    before = page.read_bytes()
    command = [sys.executable, "-m", "benchmarks", "--quick", "--store", "sqlite"]
    done = subprocess.run(
        [*command, "--only", "half-load"],
        cwd=ROOT,
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[-1]
    assert line.startswith("half load"), done.stdout
    assert line.endswith(" 0 errors"), line
    assert page.read_bytes() == before
