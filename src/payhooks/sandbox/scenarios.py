"""The scenarios that come with Payhooks: ``scenarios/<family>[-<part>].toml``, read once.

Whatever a file says that is not understood is refused, with the file and the scenario named: a
misspelt member would otherwise be a step that quietly does something else. The format is in
docs/adr/0014.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from payhooks.catalogue import CATALOGUE, Catalogue
from payhooks.sandbox.templates import CURRENCY, NULL, TIMES, placeholders, span_ms

STEPS_MAX: Final = 200
AUTO_CAPTURE: Final = "auto_capture"  # the one condition that a step may have
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_WORD: Final = re.compile(r"[a-z][a-z0-9_]*")
_POINTER: Final = re.compile(r"(?:/(?:[^/~]|~[01])+)+")
_SUM: Final = re.compile(r"= *(?P<first>[^ ]+)(?P<rest>(?: [+-] [^ ]+)*)")
# What a variable of this name may be, wherever it is; the others may be any text.
_ALLOWED: Final = MappingProxyType(
    {
        CURRENCY: (re.compile(r"[A-Z]{3}"), "three capital letters, as in EUR"),
        "capture_method": (re.compile(r"automatic|manual"), "automatic or manual"),
    }
)
_LITERAL: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")


class Sum(NamedTuple):
    """What a variable is the sum of: names and amounts, each with its sign."""

    terms: tuple[tuple[int, str], ...]


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One event of a scenario, as its file says it."""

    event: str
    object: str
    after: str = "1s"
    set: dict[str, Any] = {}
    unset: tuple[str, ...] = ()
    condition: str | None = msgspec.field(name="if", default=None)
    words: str = ""


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens to a few objects, in order."""

    name: str
    title: str
    words: str
    steps: tuple[Step, ...]
    # Those of the file first; one may be the sum of earlier ones. What it does not use is left
    # out: setting it would change nothing.
    variables: dict[str, str] = {}
    family: str = ""  # what the file's name begins with


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    variables: dict[str, str] = {}
    scenarios: tuple[Scenario, ...] = ()


class Shipped(NamedTuple):
    """All of them."""

    scenarios: Mapping[str, Scenario]
    # By family and event: what the scenarios of the file that plays it have in common.
    variables: Mapping[tuple[str, str], Mapping[str, str]]


@cache
def shipped() -> Shipped:
    """Return every scenario by name, family by family.

    Raises:
        ValueError: A file says what cannot be understood.

    """
    scenarios: dict[str, Scenario] = {}
    variables: dict[tuple[str, str], Mapping[str, str]] = {}
    for file in sources():
        for scenario in read(file, CATALOGUE):
            if scenario.name in scenarios:
                raise ValueError(f"{file.name}: there are two scenarios {scenario.name}")
            scenarios[scenario.name] = scenario
            for step in scenario.steps:
                variables.setdefault((scenario.family, step.event), scenario.variables)
    return Shipped(scenarios, variables)


def sources() -> list[Traversable]:
    """Return the files that scenarios are in, by family."""
    found = (files(__package__) / "scenarios").iterdir()
    return sorted((one for one in found if one.name.endswith(".toml")), key=lambda one: one.name)


def read(file: Traversable, book: Catalogue) -> list[Scenario]:
    """Return the scenarios of one file.

    Raises:
        ValueError: It says what cannot be understood.

    """
    try:
        said = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{file.name}: {error}") from error
    family = _family(file.name, book)
    found: list[Scenario] = []
    for one in said.scenarios:
        scenario = msgspec.structs.replace(
            one, family=family, variables={**said.variables, **one.variables}
        )
        try:
            _check(scenario, book)
            _demand(scenario.name not in {other.name for other in found}, "there are two of it")
        except ValueError as error:
            raise ValueError(f"{file.name}: {scenario.name}: {error}") from error
        used = _used(scenario, book)
        kept = {name: text for name, text in scenario.variables.items() if name in used}
        found.append(msgspec.structs.replace(scenario, variables=kept))
    return found


def sum_of(text: str) -> Sum | None:
    """Return what ``= amount - first`` says; None where the text is a value of its own.

    Raises:
        ValueError: It begins as a sum, and is none.

    """
    if not text.startswith("="):
        return None
    found = _SUM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text} is no sum: write = amount - first")
    words = found["rest"].split()
    signs = [1, *(1 if sign == "+" else -1 for sign in words[::2])]
    return Sum(tuple(zip(signs, [found["first"], *words[1::2]], strict=True)))


def unfit(name: str, text: str) -> str | None:
    """Return what a variable of this name has to be; None where the text is that."""
    pattern, wanted = _ALLOWED.get(name, (None, ""))
    return None if pattern is None or pattern.fullmatch(text) else f"{name} is {wanted}."


def is_literal(term: str) -> bool:
    """Whether a term of a sum is an amount and not a name."""
    return _LITERAL.fullmatch(term) is not None


def _family(file: str, book: Catalogue) -> str:
    """Return the family that the file is of; a family may be told in parts."""
    stem = file.removesuffix(".toml")
    known = {type_.family for type_ in book.types}
    fitting = [one for one in known if f"{stem}-".startswith(f"{one}-")]
    _demand(fitting, f"{file} is named after no family")
    return max(fitting, key=len)


def _check(scenario: Scenario, book: Catalogue) -> None:
    _demand(_NAME.fullmatch(scenario.name), "a name has small letters, digits and -")
    _demand(0 < len(scenario.steps) <= STEPS_MAX, f"a scenario has 1 to {STEPS_MAX} steps")
    _check_variables(scenario.variables)
    known = set(_names(scenario, book))
    for number, step in enumerate(scenario.steps, start=1):
        try:
            _check_step(step, scenario, book, known)
        except ValueError as error:
            raise ValueError(f"step {number}: {error}") from error


def _check_variables(variables: Mapping[str, str]) -> None:
    before: set[str] = set()
    for name, text in variables.items():
        _demand(_WORD.fullmatch(name), f"{name} cannot name a variable")
        _demand(name not in {*TIMES, NULL}, f"{name} is a placeholder of its own")
        wanted = unfit(name, text)
        _demand(wanted is None, f"{text}: {wanted}")
        summed = sum_of(text)
        for _, term in () if summed is None else summed.terms:
            _demand(is_literal(term) or term in before, f"{name}: there is no {term} before it")
        before.add(name)


def _check_step(step: Step, scenario: Scenario, book: Catalogue, known: Iterable[str]) -> None:
    _demand(book.find(scenario.family, step.event), f"{scenario.family} has no {step.event}")
    _demand(_WORD.fullmatch(step.object), f"{step.object} cannot name an object")
    _demand(step.condition in {None, AUTO_CAPTURE}, f"there is no condition {step.condition}")
    span_ms(step.after)
    for pointer in (*step.set, *step.unset):
        _demand(_POINTER.fullmatch(pointer), f"{pointer} is no JSON pointer to a member")
    own = {name.partition(".")[2] for name in known if name.startswith(f"{step.object}.")}
    for said in placeholders(step.set):
        understood = said.name in {*known, *own, *scenario.variables, *TIMES, NULL}
        _demand(understood, f"{{{said.name}}} is neither a variable nor an id")


def _names(scenario: Scenario, book: Catalogue) -> Iterator[str]:
    """Yield the ids of the scenario's objects, each as ``object.id``."""
    for step in scenario.steps:
        type_ = book.find(scenario.family, step.event)
        kind = None if type_ is None else book.kind_of(type_)
        for name in () if kind is None else kind.ids:
            yield f"{step.object}.{name}"


def _used(scenario: Scenario, book: Catalogue) -> set[str]:
    used: set[str] = set()
    for step in scenario.steps:
        type_ = book.find(scenario.family, step.event)
        kind = None if type_ is None else book.kind_of(type_)
        beside = [] if kind is None else [entry.metadata for entry in kind.types]
        templates = (step.set, {} if kind is None else kind.bind, beside)
        used |= {said.name for said in placeholders(templates)}
    # A sum is of earlier ones, so that from behind every use is seen before what it uses.
    for name, text in reversed(scenario.variables.items()):
        if name in used and (summed := sum_of(text)) is not None:
            used |= {term for _, term in summed.terms}
    return used


def _demand(fact: object, otherwise: str) -> None:
    if not fact:
        raise ValueError(otherwise)
