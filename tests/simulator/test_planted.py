"""Bugs put in on purpose: a simulator that overlooks those says nothing about the others."""

import pytest

from payhooks.simulator.planted import FOUND_BY, PLANTED, mistake
from payhooks.simulator.run import run

# Those whose seeds are slow to run are left to ``scripts/prove simulator``.
QUICK = tuple(name for name, found in FOUND_BY.items() if found <= 25)
OTHERS = range(1, 41)


def test_every_planted_bug_has_a_seed_that_finds_it() -> None:
    """The table says where to look for each; one that is missing was never found."""
    assert set(FOUND_BY) == set(PLANTED)
    assert len(PLANTED) >= 20


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_says_which_mistake_it_is(name: str) -> None:
    """Somebody will ask what it stands for."""
    assert mistake(PLANTED[name]).endswith(".")


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found(name: str) -> None:
    """Its seed shows it, or another does: a change of the engine makes other worlds of seeds."""
    seeds = (FOUND_BY[name], *OTHERS)
    assert any(run(seed, parts=PLANTED[name]).violation is not None for seed in seeds)


@pytest.mark.parametrize("seed", sorted({FOUND_BY[name] for name in QUICK}))
def test_what_has_no_bug_passes_the_same_seeds(seed: int) -> None:
    """A simulator that cries at everything finds every bug, too."""
    assert run(seed).violation is None
