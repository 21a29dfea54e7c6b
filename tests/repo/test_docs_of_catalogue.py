"""The catalogue's pages show what is in the families' files, and tell of nothing that is not."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.support.printed_catalogue import FAMILIES, PICTURES
from tests.support.source_tree import ROOT, text_of

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.members import members_of
from payhooks.catalogue.pictures import condition_words
from payhooks.catalogue.registry import PAYHOOKS
from payhooks.sandbox.scenarios import shipped

pytestmark = pytest.mark.shows("E11")

_PAGES: Final = ROOT / "docs" / "catalogue"
_LIVES: Final = _PAGES / "life-of-a-payment"
_IMAGES: Final = ROOT / "docs" / "images" / "catalogue"
_TOLD: Final = sorted(path.stem for path in _LIVES.iterdir())
_CODE: Final = re.compile(r"`([^`\n]+)`")
_SHOWN: Final = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")
_COMMAND: Final = re.compile(r"payhooks (trigger|event-types show) ([\w.-]+)")
# Of words that are joined by one sign, the first says what they name.
_DOTTED: Final = re.compile(r"\w+(?:\.\w+)+")
_UNDERSCORED: Final = re.compile(r"[a-z]+(?:_[a-z]+)+")
_HYPHENED: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")
# Whoever leads on to another page or says whose words they are.
_NO_SCENARIOS: Final = frozenset({"merchant-console"})


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_the_life_cycle_says(name: str) -> None:
    """Regenerate, never edit."""
    assert text_of(ROOT / name) == PICTURES[name]()


def test_every_picture_is_shown_and_there_are_no_others() -> None:
    """One that nothing shows is of a life that no object has any more."""
    kept = {path.resolve() for path in _IMAGES.iterdir()}
    assert kept == {(ROOT / name).resolve() for name in PICTURES}
    shown = {
        (path.parent / target).resolve()
        for path in _PAGES.rglob("*.md")
        for target in _SHOWN.findall(text_of(path))
    }
    assert shown == kept


def test_every_family_has_its_page_and_its_life_told() -> None:
    """Who comes from a provider's document looks for that provider's name."""
    assert sorted(FAMILIES) == sorted(CATALOGUE.families)
    assert sorted([*_TOLD, PAYHOOKS]) == sorted(FAMILIES)
    index = text_of(_PAGES / "README.md")
    for name in FAMILIES:
        assert f"({name}.md)" in index
        assert name == PAYHOOKS or f"(life-of-a-payment/{name}.md)" in index


@pytest.mark.parametrize("family", _TOLD)
def test_a_life_is_told_in_names_that_exist(family: str) -> None:
    """A name that nobody publishes is waited for in vain."""
    text = text_of(_LIVES / f"{family}.md")
    events, words = set(_events(family)), set(_words(family))
    said = set(_CODE.findall(text))
    first = {re.split(r"[._]", event)[0] for event in events}
    for word in said:
        if _DOTTED.fullmatch(word) and word.partition(".")[0] in first:
            assert word in events | words, word
        if _UNDERSCORED.fullmatch(word) and word.partition("_")[0] in first:
            assert word in events | words, word
        if _HYPHENED.fullmatch(word):
            assert word in {*shipped().scenarios, *_NO_SCENARIOS}, word
    for command, name in _COMMAND.findall(text):
        known = shipped().scenarios if command == "trigger" else events
        assert name in known, name
    # A page that names next to nothing would pass all of this.
    own = {type_.name for type_ in CATALOGUE.types if type_.family == family}
    assert len(said & own) >= min(6, len(own)), "it names hardly any event"
    assert said & set(shipped().scenarios), "it names nothing to play"


def _events(family: str) -> Iterator[str]:
    """Yield every name of an event that the page may have: its family's and the unified ones."""
    for type_ in CATALOGUE.types:
        if type_.family in {family, "owngateway"}:
            yield type_.name
            yield from type_.aliases


def _words(family: str) -> Iterator[str]:
    """Yield whatever else stands in the family's data: states, members, values."""
    for kind in CATALOGUE.kinds.values():
        if kind.family in {family, "owngateway"}:
            yield from kind.life_cycle.states
            for move in kind.life_cycle.transitions:
                yield from re.findall(r"[\w.]+", condition_words(move.when))
    for type_ in CATALOGUE.types:
        if type_.family == family:
            # In tables whose heading has the rest.
            yield type_.name.partition(".")[2]
            assert type_.schema is not None
            for member in members_of(json.loads(type_.schema)):
                steps = [step for step in member.pointer.split("/")[1:] if step != "*"]
                yield from (".".join(steps[place:]) for place in range(len(steps)))
                yield from re.findall(r"[\w.]+", member.says)
                yield from re.findall(r"\w+", member.says)


def test_the_folder_is_whole() -> None:
    """Nothing but these pages is under docs/catalogue, so that nothing there is forgotten."""
    found = {str(path.relative_to(_PAGES)) for path in _PAGES.rglob("*.md")}
    expected = {"README.md", *(f"{name}.md" for name in FAMILIES)}
    assert found == expected | {str(Path("life-of-a-payment") / f"{name}.md") for name in _TOLD}
