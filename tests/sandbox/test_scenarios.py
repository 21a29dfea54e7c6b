"""Every scenario that ships: legal, consistent, and together the whole catalogue."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources.abc import Traversable
from pathlib import Path

import msgspec
import pytest

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.life_cycle import START
from payhooks.catalogue.registry import PAYHOOKS
from payhooks.catalogue.validation import faults
from payhooks.sandbox import scenarios, script
from payhooks.sandbox.scenarios import Scenario
from payhooks.sandbox.script import Publication, Wishes
from payhooks.sandbox.templates import placeholders

pytestmark = pytest.mark.shows("E14")

BEGINS_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
FAULTS_SHOWN = 5
FOLLOWED = {"foloosi": ("owngateway",)}  # its orders follow the payments that these play
LIVES = Path(__file__).parents[2] / "docs" / "catalogue" / "life-of-a-payment"


def _all() -> Iterator[Scenario]:
    for file in scenarios.sources():
        try:
            yield from scenarios.read(file, CATALOGUE)
        except ValueError:
            continue  # test_a_file_of_scenarios_is_understood says so


SOURCES = scenarios.sources()
SCENARIOS = list(_all())


def _named(scenario: Scenario) -> str:
    return scenario.name


def _of_file(file: Traversable) -> str:
    return file.name


def _script(scenario: Scenario, *, seed: int = 1) -> tuple[Publication, ...]:
    return script.write(scenario, CATALOGUE, Wishes(seed=seed), begins_at=BEGINS_AT).publications


@pytest.mark.parametrize("file", SOURCES, ids=_of_file)
def test_a_file_of_scenarios_is_understood(file: Traversable) -> None:
    assert scenarios.read(file, CATALOGUE)


def test_no_two_scenarios_have_one_name() -> None:
    assert scenarios.shipped().scenarios.keys() == {one.name for one in SCENARIOS}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=_named)
def test_each_step_is_a_legal_move(scenario: Scenario) -> None:
    """By the data that is published, not by what the file's author had in mind."""
    states: dict[tuple[str, str, str], str] = {}
    for said in _script(scenario):
        type_ = CATALOGUE.find(said.family, said.type)
        assert type_ is not None
        kind = CATALOGUE.kind_of(type_)
        assert kind is not None, f"{said.type} is about no kind of object"
        key = (said.family, said.object_type, said.object_id)
        state = states.get(key, START)
        row = kind.life_cycle.row(said.type, msgspec.json.decode(said.data), state)
        where = f"step {said.place + 1}, {said.type}"
        assert row is not None, f"{where}: no row agrees with its data"
        assert state in row.sources, f"{where}: {said.object} is {state}, not {row.sources}"
        states[key] = row.to or state


@pytest.mark.parametrize("scenario", SCENARIOS, ids=_named)
def test_each_step_is_what_its_schema_says(scenario: Scenario) -> None:
    """A merchant that checks strictly takes every scenario."""
    for said in _script(scenario):
        type_ = CATALOGUE.find(said.family, said.type)
        assert type_ is not None
        found = faults(type_, said.data, at_most=FAULTS_SHOWN)
        assert not found, f"step {said.place + 1}, {said.type}: {found}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=_named)
def test_each_object_is_named_in_its_data(scenario: Scenario) -> None:
    """Who looks for the payment by what it received finds all that is told of it."""
    for said in _script(scenario):
        assert said.object_id in said.data.decode(), f"step {said.place + 1}, {said.type}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=_named)
def test_another_seed_tells_of_other_objects(scenario: Scenario) -> None:
    """An id left over from an example would join every run ever played into one object."""
    ones = {said.object_id for said in _script(scenario, seed=1)}
    others = {said.object_id for said in _script(scenario, seed=2)}
    assert not ones & others


@pytest.mark.parametrize("scenario", SCENARIOS, ids=_named)
def test_with_automatic_capture_off_nothing_is_captured_by_itself(scenario: Scenario) -> None:
    """Else a merchant is sandboxed as an account that it does not have."""
    wishes = Wishes(seed=1, auto_capture=False)
    written = script.write(scenario, CATALOGUE, wishes, begins_at=BEGINS_AT)
    for said in written.publications:
        data = msgspec.json.decode(said.data)
        if said.type.endswith("captured"):
            assert data.get("capture_method") != "automatic", f"step {said.place + 1}"


@pytest.mark.parametrize("family", sorted({one.family for one in SCENARIOS}))
def test_a_familys_page_names_its_own_scenarios_and_all_of_them(family: str) -> None:
    """A name that belongs to another provider plays what the reader did not ask for."""
    text = (LIVES / f"{family}.md").read_text(encoding="utf-8")
    played = set(re.findall(r"[a-z0-9-]+", " ".join(re.findall(r"`([^`\n]+)`", text))))
    played |= set(re.findall(r"payhooks trigger ([a-z0-9-]+)", text))
    assert {one.name for one in SCENARIOS if one.family == family} - played == set()
    theirs = {family, *FOLLOWED.get(family, ())}
    foreign = {one.name for one in SCENARIOS if one.family not in theirs}
    assert set(re.findall(r"`([^`\n]+)`", text)) & foreign == set()


def test_what_the_scenarios_tell_is_the_whole_catalogue() -> None:
    """But for our own family, whose events nobody plays: they happen."""
    told = {(one.family, step.event) for one in SCENARIOS for step in one.steps}
    known = {(type_.family, type_.name) for type_ in CATALOGUE.types}
    assert sorted({one for one in known if one[0] != PAYHOOKS} - told) == []


def test_what_a_kind_writes_over_its_examples_is_known_to_some_scenario() -> None:
    """Where no scenario knows the name the example would stay as it is, and nobody would notice."""
    known: dict[str, set[str]] = {}
    for scenario in SCENARIOS:
        names = known.setdefault(scenario.family, set())
        names.update(scenario.variables)
        for step in scenario.steps:
            type_ = CATALOGUE.find(scenario.family, step.event)
            kind = None if type_ is None else CATALOGUE.kind_of(type_)
            names.update(f"{step.object}.{id_}" for id_ in (kind.ids if kind else ()))
    unknown = [
        f"{kind.family}/{kind.name}: {{{said.name}}}"
        for kind in CATALOGUE.kinds.values()
        if kind.family != PAYHOOKS
        for template in kind.bind.values()
        for said in placeholders(template)
        if said.name not in {*kind.ids, *known.get(kind.family, ()), "now", "born", "null"}
    ]
    assert not unknown
