"""What ``payhooks event-types`` prints: a tree of types, and one of them with all about it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

View = Mapping[str, Any]

_START: Final = "start"


def tree(types: Sequence[View]) -> Iterator[str]:
    """Yield the lines of a tree: families, what their types are about, the types."""
    width = max((len(each["name"]) for each in types), default=0)
    for _, of_family in groupby(types, lambda each: each["family"]):
        listed = list(of_family)
        yield "  ".join(dict.fromkeys([listed[0]["family"], listed[0]["family_title"]]))
        titles = dict.fromkeys(each["title"] for each in listed)
        for title in titles:
            if title:
                yield f"  {title}"
            for each in listed:
                if each["title"] == title:
                    mark = "~" if each["provenance"] == "designed" else " "
                    said = each["words"] or each["note"]
                    yield f"    {mark} {each['name']:<{width}}  {said}".rstrip()


def whole(view: View) -> Iterator[str]:
    """Yield the lines about one type, all but its schema and example."""
    yield f"{view['name']}  {', '.join(filter(None, [view['family_title'], view['title']]))}"
    for said in (view["words"], view["note"]):
        if said:
            yield said
    yield view["provenance_text"]
    if view["aliases"]:
        yield f"Also published as: {', '.join(view['aliases'])}"


def members(schema: View) -> Iterator[str]:
    """Yield a row for each member of the data: where, what, whether it must be there."""
    # The families' files take a moment to read, and most commands need none of them.
    from payhooks.catalogue.members import members_of  # noqa: PLC0415 - start-up time

    found = members_of(schema)
    rows = [(one.pointer, one.types, "required" if one.required else "") for one in found]
    widths = [max(map(len, texts)) for texts in zip(*rows, strict=True)]
    for row, one in zip(rows, found, strict=True):
        cells = [f"{text:<{width}}" for text, width in zip(row, widths, strict=True)]
        yield f"  {'  '.join(cells)}  {one.says}".rstrip()


def life(kind: View, event: str) -> Iterator[str]:
    """Yield the states of an object with the arrows that leave them; *event*'s are marked."""
    cycle = kind["life_cycle"]
    states = [{"name": _START, "words": "Not heard of before.", "final": False}, *cycle["states"]]
    for state in states:
        sign = "◉" if state["final"] else "○"
        yield f"  {sign} {state['name']}: {state['words']}"
        leaving = [row for row in cycle["transitions"] if state["name"] in row["from"]]
        for row in leaving:
            if row["to"] is not None:
                here = "═" if row["event"] == event else "─"
                yield f"      {here}{here} {row['event']}{_when(row)} {here}▶ {row['to']}"
        staying = [f"{row['event']}{_when(row)}" for row in leaving if row["to"] is None]
        if staying:
            yield f"      stays on {', '.join(staying)}"


def _when(row: View) -> str:
    asked = [f"{pointer} = {json.dumps(wanted)}" for pointer, wanted in row["when"].items()]
    return f" ({', '.join(asked)})" if asked else ""


def mapping(kind: View) -> Iterator[str]:
    """Yield what each state means in the unified events, or why nothing."""
    for row in kind["unified"]:
        after = f" after {row['after']}" if row["after"] else ""
        meaning = row["event"] or f"nothing: {row['why']}"
        yield f"  {row['state']}{after} ─▶ {meaning}"
