"""The catalogue's data: complete, to the letter, and as strict as its provenance promises.

Whoever builds on an event type trusts its schema and its example; a gap here is an event that a
merchant's code has never seen.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest
from tests.support import schema_mutants

from payhooks.catalogue import CATALOGUE, validation
from payhooks.catalogue.life_cycle import START
from payhooks.model.event_type import Provenance

_DOCUMENTED: Final = Path(__file__).parent / "documented_events.tsv"
_TYPES: Final = {f"{type_.family}/{type_.name}": type_ for type_ in CATALOGUE.types}
_KINDS: Final = {f"{kind.family}/{kind.name}": kind for kind in CATALOGUE.kinds.values()}
_STRICT: Final = [
    name
    for name, type_ in _TYPES.items()
    if type_.provenance in {Provenance.SAMPLE, Provenance.REFERENCE}
]


def _documented() -> list[dict[str, str]]:
    with _DOCUMENTED.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.mark.shows("E01")
def test_every_documented_event_is_there_with_its_words() -> None:
    """The five documents define the product, name by name."""
    rows = _documented()
    assert len(rows) == 100
    for row in rows:
        type_ = CATALOGUE.find(row["family"], row["name"])
        assert type_ is not None, row["name"]
        said = {
            "solution": type_.solution,
            "object": type_.title,
            "words": type_.words,
            "has_sample": "yes" if type_.provenance is Provenance.SAMPLE else "no",
        }
        assert said == {member: row[member] for member in said}, row["name"]


@pytest.mark.shows("E01")
@pytest.mark.parametrize("name", _TYPES)
def test_an_example_satisfies_its_own_schema(name: str) -> None:
    """An example that would be refused teaches the wrong thing."""
    type_ = _TYPES[name]
    assert type_.schema is not None
    assert type_.example is not None
    assert validation.faults(type_, type_.example, at_most=5) == ()


@pytest.mark.shows("E01")
@pytest.mark.parametrize("name", _TYPES)
def test_an_example_has_no_number_that_could_be_spelled_twice(name: str) -> None:
    """1.10 and 1.1 are the same number and other bytes: money is text or whole."""
    example = msgspec.json.decode(_TYPES[name].example or b"{}")
    assert not [path for path, value in schema_mutants.members(example) if isinstance(value, float)]


@pytest.mark.shows("E02")
@pytest.mark.parametrize("name", _STRICT)
def test_whatever_a_document_does_not_print_is_found(name: str) -> None:
    """Less than was promised, or a number for text, breaks whoever reads it."""
    type_ = _TYPES[name]
    dropped = changed = 0
    for mutant in schema_mutants.of(type_):
        assert validation.faults(type_, mutant.data, at_most=1), mutant.words
        dropped += mutant.drops
        changed += not mutant.drops
    assert dropped >= 3
    assert changed >= 10


@pytest.mark.shows("E02")
@pytest.mark.parametrize("name", _STRICT)
def test_every_member_of_an_example_has_a_type(name: str) -> None:
    """A member that may be anything promises nothing."""
    assert schema_mutants.untyped(_TYPES[name]) == []


@pytest.mark.shows("E03")
@pytest.mark.parametrize("name", _KINDS)
def test_a_life_cycle_is_whole(name: str) -> None:
    """Every event does something, every state can be reached, every name is declared."""
    kind = _KINDS[name]
    cycle, names = kind.life_cycle, {entry.name for entry in kind.types}
    known = {START, *cycle.states}
    assert {one.event for one in cycle.transitions} == names
    for one in cycle.transitions:
        assert one.sources, one
        assert set(one.sources) <= known, one
        assert one.to is None or one.to in cycle.states, one
    assert set(cycle.final) <= set(cycle.states)
    reachable = {state for state in cycle.states if cycle.leads_to(START, state)}
    assert reachable == set(cycle.states)


@pytest.mark.shows("E03")
@pytest.mark.parametrize("name", _KINDS)
def test_an_example_moves_its_object(name: str) -> None:
    """Each example is an event that the life cycle understands."""
    kind = _KINDS[name]
    for entry in kind.types:
        type_ = _TYPES[f"{kind.family}/{entry.name}"]
        data = msgspec.json.decode(type_.example or b"{}")
        assert kind.life_cycle.row(entry.name, data, START) is not None, entry.name


def _mapped() -> Iterator[tuple[str, str, str]]:
    for name, kind in _KINDS.items():
        if kind.family != "payhooks":
            for event, state in kind.moves():
                yield name, event, state


@pytest.mark.shows("E04")
@pytest.mark.parametrize(("name", "event", "state"), list(_mapped()))
def test_every_state_that_an_event_brings_about_means_something_or_says_why_not(
    name: str, event: str, state: str
) -> None:
    """A gap in the mapping would be money of which nobody is told."""
    row = _KINDS[name].means(state, event)
    assert row is not None
    assert (row.event is None) != (row.why is None)
    if row.event is not None:
        assert CATALOGUE.find("owngateway", row.event) is not None
    else:
        assert row.why


@pytest.mark.shows("E04")
@pytest.mark.parametrize("name", _KINDS)
def test_no_row_of_a_mapping_is_without_use(name: str) -> None:
    """A row that nothing reaches is a belief that nobody checked."""
    kind = _KINDS[name]
    used = [kind.means(state, event) for event, state in kind.moves()]
    assert [row for row in kind.unified if row not in used] == []


@pytest.mark.shows("E04")
def test_a_chargeback_of_treezor_is_a_dispute_already_accepted() -> None:
    """It cannot be refused: the wallet is debited when the news arrives."""
    kind = _KINDS["treezor/chargeback"]
    rows = [kind.means(state, event) for event, state in kind.moves()]
    assert [row.event for row in rows if row] == ["dispute_accepted"]


@pytest.mark.shows("E06")
def test_other_names_are_nobody_elses() -> None:
    """An alias that is a name would take another event's place."""
    for type_ in CATALOGUE.types:
        for alias in type_.aliases:
            assert CATALOGUE.find(type_.family, alias) is None
            assert CATALOGUE.meant_by(type_.family, alias) == type_
