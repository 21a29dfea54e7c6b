"""The catalogue and the sandbox: every scenario to every dialect, mutants at the door, kills.

What is listed comes from the scenarios' files, what was seen from the wire: see
``tests/support/played_scenarios.py``.
"""

import csv
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.support.captured import capturing
from tests.support.played_scenarios import (
    Heard,
    Name,
    Performance,
    Stage,
    heard,
    opened,
    scenarios,
    told_otherwise,
)
from tests.support.server import Api, Server, Tenant, sqlite_url
from tests.support.strict_door import Door
from tests.support.walked_lives import last_states

from payhooks.catalogue import CATALOGUE
from payhooks.dialects.registry import DIALECTS
from proofs import killed_runs
from proofs.ground import QUICK, Size, Store, database, open_store
from proofs.lines import ROOT, Line, at_least, exactly

DISORDER: Final = 100
DUPLICATES: Final = 30
_DOCUMENTED: Final = ROOT / "tests" / "catalogue" / "documented_events.tsv"
_OWN: Final = "payhooks"  # the family of which nobody but Payhooks publishes
_PICKY: Final = "treezor"  # the one dialect that has no place for every data

Ear = Mapping[str, Heard]  # by dialect: what its receiver makes of one scenario


def prove_wire(size: Size) -> Iterator[Line]:
    """Yield what receivers of each dialect saw of every scenario, told in order and in disorder."""
    with ExitStack() as stack:
        for name in ("sqlite",) if size == QUICK else ("sqlite", "postgres"):
            store = open_store(stack, name)
            stage_of = opened(stack, _server(stack, store))
            in_order, disordered = stage_of(tuple(DIALECTS)), stage_of(tuple(DIALECTS))
            told = [in_order.play(one) for one in scenarios()]
            ears = [_ears(in_order, each) for each in told]
            yield from _in_order(store, told, ears)
            yield from _names(store, ears)
            wishes = {"disorder": DISORDER, "duplicate": DUPLICATES}
            shuffled = [disordered.play(one, **wishes) for one in scenarios()]
            yield from _in_disorder(store, shuffled, [_ears(disordered, each) for each in shuffled])
            yield from _objects(store, in_order, told, disordered, shuffled)


def _server(stack: ExitStack, store: Store) -> Server:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="payhooks-proof-")))
    server = Server(folder / "server", stack.enter_context(database(store, folder)))
    stack.callback(server.close)
    return server.start()


def _ears(stage: Stage, performance: Performance) -> Ear:
    return {
        dialect: heard(performance, dialect, secret) for dialect, secret in stage.secrets.items()
    }


def _in_order(store: Store, told: Sequence[Performance], ears: Sequence[Ear]) -> Iterator[Line]:
    listed = sum(len(each.scenario.events) for each in told)
    complaints = [
        f"{each.scenario.name}: {words}" for each in told for words in told_otherwise(each)
    ]
    yield _line(
        f"{store.name}: {len(told)} scenarios are played as their files list them",
        complaints,
        figure=f"{listed} events",
        limit="every event, in order, one id for each object",
    )
    for dialect in DIALECTS:
        mine = [ear[dialect] for ear in ears]
        messages, refused = sum(one.messages for one in mine), sum(one.refused for one in mine)
        compared = sorted(frozenset.intersection(*(one.read for one in mine if one.messages)))
        figure = f"{messages} messages"
        if refused:
            figure += f", {refused} refused as not carried"
        if untyped := sum(one.without_type for one in mine):
            figure += f", {untyped} without a type"
        complaints = list(_said(told, mine))
        if messages + refused != listed:
            complaints.append(f"{messages} and {refused} are not {listed}")
        yield _line(
            f"{store.name}: {dialect} hears every scenario",
            complaints,
            figure=figure,
            limit=f"verified from outside, listed in this order: {', '.join(compared)}",
        )


def _names(store: Store, ears: Sequence[Ear]) -> Iterator[Line]:
    """Yield which names stood on the wire, in each dialect that carries everything."""
    seen = {
        dialect: frozenset[Name]().union(*(ear[dialect].names for ear in ears))
        for dialect in DIALECTS
    }
    everywhere = frozenset.intersection(*(seen[one] for one in DIALECTS if one != _PICKY))
    documented = _documented()
    further = {(one.family, one.name) for one in CATALOGUE.types if one.family != _OWN} - documented
    for words, names, by in (
        ("documented names in each dialect but treezor", documented, everywhere),
        ("further names in each dialect but treezor", further, everywhere),
        (
            "documented names of treezor in treezor",
            {name for name in documented if name[0] == _PICKY},
            seen[_PICKY],
        ),
    ):
        missing = sorted(name for _, name in names - by)
        yield Line(
            passed=not missing,
            name=f"{store.name}: {words}",
            figure=f"{len(names & by)} of {len(names)} on the wire {' '.join(missing[:3])}".strip(),
            limit=f"= {len(names)}",
        )


def _in_disorder(store: Store, told: Sequence[Performance], ears: Sequence[Ear]) -> Iterator[Line]:
    name = f"{store.name}: disorder {DISORDER} %, duplicates {DUPLICATES} %"
    several = [each for each in told if len(each.events) > 1]
    shuffled = [each for each in several if not _is_in_order(each)]
    yield exactly(
        f"{name}: scenarios of two events and more, shuffled", len(shuffled), len(several)
    )
    complaints = [
        f"{each.scenario.name}: {words}" for each in told for words in told_otherwise(each)
    ]
    for each, ear in zip(told, ears, strict=True):
        complaints += _said([each], list(ear.values()))
        again = sum(one.duplicates for one in ear.values())
        if again != each.run["sent_again"]:
            said = each.run["sent_again"]
            complaints.append(f"{each.scenario.name}: {again} came again, {said} were sent again")
    messages = sum(one.messages for ear in ears for one in ear.values())
    again = sum(one.duplicates for ear in ears for one in ear.values())
    yield _line(
        f"{name}: each message arrives, and again under its own id",
        complaints,
        figure=f"{messages} messages, {again} came again",
        limit="every one at least once, as it was published",
    )
    share = 100 * again / messages
    yield at_least(f"{name}: of the messages came again", share, DUPLICATES / 2, "%")


def _objects(
    store: Store,
    in_order: Stage,
    told: Sequence[Performance],
    disordered: Stage,
    shuffled: Sequence[Performance],
) -> Iterator[Line]:
    """Yield whether disorder and duplicates leave each object as the ordered story does."""
    complaints, count, late, late_in_order = [], 0, 0, 0
    for first, second in zip(told, shuffled, strict=True):
        listed = last_states(first.scenario.family, first.events)
        expected, found = in_order.objects(first), disordered.objects(second)
        count += len(listed)
        late += sum(one.late for one in found.values())
        late_in_order += sum(one.late for one in expected.values())
        if {id_: one.state for id_, one in expected.items()} != listed:
            complaints.append(f"{first.scenario.name}: {expected}, and by the tables {listed}")
        if expected != found:
            complaints.append(f"{first.scenario.name}: {expected}, and disordered {found}")
    yield _line(
        f"{store.name}: each object ends and moved as the tables have it, in any order",
        complaints,
        figure=f"{count} objects",
        limit="the same state and moves in order and in disorder",
    )
    yield exactly(f"{store.name}: events marked as late where nothing was", late_in_order, 0)
    yield at_least(f"{store.name}: events marked as late, told in disorder", late, 1, "")


def prove_strict(size: Size) -> Iterator[Line]:
    """Yield what a strict merchant's door refuses and accepts, over the live API."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="payhooks-proof-")))
        server = Server(folder / "server", stack.enter_context(sqlite_url(folder)))
        stack.callback(server.close)
        tenant = Tenant(Api(server.start().port), type_check="strict")
        types = [one for one in CATALOGUE.types if one.family != _OWN]
        answers = Door(tenant).try_all(types)
    yield _line(
        "strict: every mutant of sample and reference types is refused",
        answers.let_in,
        figure=f"{answers.mutants:,} mutants, {answers.dropping:,} lack a required member",
        limit="422 for what the schema says, each one",
    )
    yield _line(
        "strict: every example is accepted",
        answers.kept_out,
        figure=f"{answers.examples} types",
        limit="202",
    )


def prove_killed(size: Size) -> Iterator[Line]:
    """Yield what is on record of runs whose server was killed in the middle of them."""
    with ExitStack() as stack:
        for name in ("sqlite",) if size == QUICK else ("sqlite", "postgres"):
            store = open_store(stack, name)
            server = _server(stack, store)
            played = scenarios()[:: 8 if size == QUICK else 1]
            capture = stack.enter_context(capturing())
            yield from killed_runs.prove(store, server, capture, played)


def _documented() -> set[Name]:
    with _DOCUMENTED.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {(row["family"], row["name"]) for row in rows}


def _is_in_order(performance: Performance) -> bool:
    ids = [str(event["id"]) for event in performance.events]
    return ids == sorted(ids)


def _said(told: Sequence[Performance], by: Sequence[Heard]) -> Iterator[str]:
    for each, one in zip(told, by, strict=False):
        yield from (f"{each.scenario.name}: {words}" for words in one.complaints)


def _line(name: str, complaints: Sequence[str], *, figure: str, limit: str) -> Line:
    """Return a line that says what was found, or what there is to complain of."""
    found = f"{len(complaints)} complaints: {complaints[0]}" if complaints else figure
    return Line(passed=not complaints, name=name, figure=found, limit=limit)


PARTS: Final[dict[str, Callable[[Size], Iterator[Line]]]] = {
    "wire": prove_wire,
    "strict": prove_strict,
    "killed": prove_killed,
}
