"""A seed is the same run to the byte, and a failing one is made small enough to be read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from payhooks.errors import InvalidError
from payhooks.simulator.options import Size
from payhooks.simulator.planted import FOUND_BY, PLANTED
from payhooks.simulator.run import run
from payhooks.simulator.shrink import shrink
from payhooks.simulator.tape import Tape, read, written

ROOT = Path(__file__).parents[2]
SEEDS = (3, 5, 8)
BUG = "answer before commit"
PLANTED_BUG = PLANTED[BUG]
_PRINT = "from payhooks.simulator.run import run; print([run(s).trace_hash for s in (3, 5, 8)])"


def _traces(hash_seed: str) -> str:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", _PRINT]
    done = subprocess.run(  # noqa: S603 - our own command
        command, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_a_seed_is_the_same_run_to_the_byte_in_every_process() -> None:
    """A seed in a bug report is worth nothing unless it shows the bug again, anywhere."""
    here = [run(seed).trace_hash for seed in SEEDS]
    assert [run(seed).trace_hash for seed in SEEDS] == here
    assert len(set(here)) == len(SEEDS)
    assert _traces("1") == _traces("2") == str(here)


def test_a_smaller_world_of_a_seed_has_less_in_it() -> None:
    """What is not needed to break a promise should not be in its timeline."""
    whole, small = run(7), run(7, size=Size(merchants=1, publishers=1, publications=3))
    assert small.violation is None
    assert 0 < small.events < whole.events


def test_a_failing_run_is_made_small_and_its_tape_plays_it_again() -> None:
    """A hundred faults explain nothing; those that matter can be read, and shown to others."""
    runs = (run(seed, parts=PLANTED_BUG) for seed in (FOUND_BY[BUG], *range(1, 41)))
    failing = next(report for report in runs if report.violation is not None)
    small = shrink(failing, parts=PLANTED_BUG, runs_max=60)
    assert small.violation is not None
    assert len(small.faults) <= 3 < len(failing.faults)
    assert small.events <= failing.events
    # The run stops at the end of that moment: what else was due in it is told as well.
    moment = small.timeline[-1].split()[0]
    assert any(line.split()[0] == moment and "VIOLATION" in line for line in small.timeline)
    tape = read(written(Tape.of(small)))
    played = tape.play(parts=PLANTED_BUG)
    assert (played.violation, played.trace_hash) == (small.violation, small.trace_hash)


def test_what_is_no_tape_is_refused() -> None:
    """A person who names the wrong file is told so."""
    with pytest.raises(InvalidError):
        read(b'{"seed": "one"}')
