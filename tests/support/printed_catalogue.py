"""What the pages of docs/catalogue print from the families' files, and the pictures they show."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from types import MappingProxyType
from typing import Final

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.life_cycle import ObjectKind, Unified
from payhooks.catalogue.members import members_of
from payhooks.catalogue.pictures import flow_chart_svg, life_cycle_svg
from payhooks.catalogue.registry import PAYHOOKS
from payhooks.catalogue.shipped import Family
from payhooks.model.event_type import PROVENANCE_SENTENCES, EventType, Provenance
from payhooks.sandbox.scenarios import Scenario, shipped

_IMAGES: Final = "docs/images/catalogue"
# The unified events first: the others are told in their words. Ours last.
_FIRST: Final = "owngateway"
FAMILIES: Final = sorted(
    CATALOGUE.families, key=lambda name: (name == PAYHOOKS, name != _FIRST, name)
)
PICTURES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        **{
            f"{_IMAGES}/{kind.family}-{kind.name}.svg": partial(life_cycle_svg, kind)
            for kind in CATALOGUE.kinds.values()
        },
        **{
            f"{_IMAGES}/{name}-flow_chart.svg": partial(flow_chart_svg, family.flow_chart)
            for name, family in CATALOGUE.families.items()
            if family.flow_chart
        },
    }
)


def overview() -> str:
    """Return one line for each family, and what the marks mean."""
    rows = []
    for name in FAMILIES:
        types, scenarios = _types(name), _scenarios(name)
        counts = Counter(type_.provenance for type_ in types)
        shares = [str(counts[one] or "") for one in _SHIPPED]
        link = f"[{CATALOGUE.families[name].title}]({name}.md)"
        rows.append(
            [link, f"`{name}`", len(_kinds(name)), len(types), *shares, len(scenarios) or ""]
        )
    sums = [sum(int(row[place] or 0) for row in rows) for place in range(2, 8)]
    rows.append(["All", "", *(f"**{each}**" for each in sums)])
    head = ["Family", "Name", "Objects", "Events", *map(str, _SHIPPED), "Scenarios"]
    marks = [[f"`{one}`", PROVENANCE_SENTENCES[one]] for one in _SHIPPED]
    return "\n\n".join([_table(head, rows), _table(["Provenance", "Means"], marks)])


def page(name: str) -> str:
    """Return the printed part of the page of the family called *name*."""
    family = CATALOGUE.families[name]
    parts = [family.words, _links(name)]
    kinds = _kinds(name)
    contents = [
        f"- {solution}: {', '.join(f'[`{kind.name}`](#{_anchor(kind.name)})' for kind in of_it)}"
        for solution, of_it in groupby(kinds, key=lambda kind: kind.solution)
    ]
    parts.append("\n".join(contents))
    if family.flow_chart:
        parts += [f"## {family.flow_chart.title}", family.flow_chart.words]
        parts.append(f"![{family.flow_chart.title}](../images/catalogue/{name}-flow_chart.svg)")
    for kind in kinds:
        parts += _kind(kind)
    parts += _played(name)
    parts += _open(family)
    return "\n\n".join(parts)


_SHIPPED: Final = [Provenance.SAMPLE, Provenance.REFERENCE, Provenance.DESIGNED]


def _links(name: str) -> str:
    if name == PAYHOOKS:
        return (
            "They are published by Payhooks itself, in the dialect of each endpoint. *Designed* is "
            "said of them because they are ours."
        )
    return (
        f"[The life of a payment](life-of-a-payment/{name}.md) tells it in order; "
        f"[the dialect](../dialects/{name}.md) is how it is written and signed."
    )


def _kind(kind: ObjectKind) -> Iterator[str]:
    """Yield the parts about one kind of object."""
    yield f"## `{kind.name}`"
    title = f"**{kind.title}.** " if kind.title != kind.name else ""
    published = f" Its events name the object `{kind.object}`." if kind.object != kind.name else ""
    yield f"{title}{kind.words}{published}"
    yield f"![{_told(kind)}](../images/catalogue/{kind.family}-{kind.name}.svg)"
    yield _states(kind)
    types = [CATALOGUE.find(kind.family, entry.name) for entry in kind.types]
    known = [type_ for type_ in types if type_ is not None]
    rows = [
        [
            " ".join([f"`{type_.name}`", *(f"(also `{alias}`)" for alias in type_.aliases)]),
            type_.words,
            type_.note,
            _mark(type_.provenance),
        ]
        for type_ in known
    ]
    yield _table(["Event", "In the source's words", "In ours", "Provenance"], rows)
    for type_ in known:
        yield from _type(type_)


def _told(kind: ObjectKind) -> str:
    return f"Which events move a {kind.name} from which state to which"


def _states(kind: ObjectKind) -> str:
    """Return a line for each state: what it says, and what it means in the unified events."""
    rows = []
    for state, words in kind.life_cycle.states.items():
        final = ", final" if state in kind.life_cycle.final else ""
        meanings = [_meaning(row) for row in kind.unified if row.state == state]
        rows.append([f"`{state}`{final}", words, " ".join(meanings)])
    if kind.unified:
        return _table(["State", "Means", "In the unified events"], rows)
    return _table(["State", "Means"], [row[:2] for row in rows])


def _meaning(row: Unified) -> str:
    after = f"After `{row.after}`: " if row.after else ""
    return f"{after}`{row.event}`." if row.event else f"{after}None. {row.why}"


def _mark(provenance: Provenance) -> str:
    return f"**{provenance}**" if provenance is Provenance.DESIGNED else str(provenance)


def _type(type_: EventType) -> Iterator[str]:
    """Yield what opens when somebody wants to see what an event carries."""
    assert type_.schema is not None
    assert type_.example is not None
    yield f"<details><summary><code>{type_.name}</code>: its data</summary>"
    rows = [
        [f"`{one.pointer}`", one.types, "yes" if one.required else "", one.says]
        for one in members_of(json.loads(type_.schema))
    ]
    yield _table(["Member", "Is", "Required", "Says"], rows)
    example = json.dumps(json.loads(type_.example), indent=2, ensure_ascii=False)
    yield f"```json\n{example}\n```"
    yield "</details>"


def _played(family: str) -> Iterator[str]:
    """Yield the scenarios of the family, each with its exact list of events."""
    scenarios = _scenarios(family)
    if not scenarios:
        return
    yield "## Scenarios"
    yield "Play one with `payhooks trigger` and its name. It publishes these events in this order."
    for scenario in scenarios:
        yield f"<details><summary><code>{scenario.name}</code>: {scenario.title}</summary>"
        yield scenario.words
        yield _table(["", "After", "Event", "Of", "What happens"], _steps(scenario))
        yield "</details>"


def _steps(scenario: Scenario) -> Iterator[Sequence[object]]:
    for number, step in enumerate(scenario.steps, start=1):
        only = "Only where captures come by themselves. " if step.condition else ""
        after = step.after if number > 1 else ""
        yield [number, after, f"`{step.event}`", step.object, f"{only}{step.words}".strip()]


def _open(family: Family) -> Iterator[str]:
    if family.notes:
        yield "## What the sources leave open"
        yield "\n".join(f"- {note}" for note in family.notes)


def _types(family: str) -> list[EventType]:
    return [type_ for type_ in CATALOGUE.types if type_.family == family]


def _kinds(family: str) -> list[ObjectKind]:
    """Return the kinds of object by product, those first that have the most events."""
    kinds = [kind for kind in CATALOGUE.kinds.values() if kind.family == family]
    most = {
        solution: max(len(kind.types) for kind in kinds if kind.solution == solution)
        for solution in {kind.solution for kind in kinds}
    }
    kinds.sort(key=lambda kind: (-most[kind.solution], kind.solution, -len(kind.types), kind.name))
    return kinds


def _scenarios(family: str) -> list[Scenario]:
    return [one for one in shipped().scenarios.values() if one.family == family]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(str(cell)) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    """Return *text* as Markdown that is one cell and no markup but our own."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _anchor(heading: str) -> str:
    """Return what leads to a heading, as hosts of Markdown make it."""
    return re.sub(r"[^\w-]", "", heading.lower())
