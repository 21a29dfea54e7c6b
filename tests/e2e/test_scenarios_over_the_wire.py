"""Scenarios over real sockets, verified and read from outside; the whole is `scripts/prove`.

Two of each family and three dialects here: one that says what it is about, one that has its own
form of data, and one that prints as little as any.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import pytest
from tests.support.captured import Captured
from tests.support.played_scenarios import (
    Performance,
    Scenario,
    Stage,
    heard,
    opened,
    scenarios,
    told_otherwise,
)
from tests.support.server import Api, Server, Tenant
from tests.support.strict_door import STRICT, Door
from tests.support.walked_lives import last_states

from payhooks.catalogue import CATALOGUE

pytestmark = pytest.mark.shows("E25")

_DIALECTS = ("cloudevents", "treezor", "foloosi")


def _some() -> list[Scenario]:
    """Return the longest and the shortest scenario of each family."""
    found = []
    for family in sorted({one.family for one in scenarios()}):
        mine = sorted(
            (one for one in scenarios() if one.family == family), key=lambda one: len(one.events)
        )
        found += [mine[0], mine[-1]]
    return found


def _complaints(stage: Stage, performance: Performance) -> dict[str, list[str]]:
    found = {
        dialect: list(heard(performance, dialect, stage.secrets[dialect]).complaints)
        for dialect in _DIALECTS
    }
    return {"": told_otherwise(performance), **found}


def test_a_receiver_sees_what_the_scenario_lists_and_nothing_else(
    on_sqlite: Server, stack: ExitStack
) -> None:
    """A developer who builds on a scenario builds on each event of it, in its order."""
    stage = opened(stack, on_sqlite)(_DIALECTS)
    for scenario in _some():
        performance = stage.play(scenario)
        assert not any(_complaints(stage, performance).values()), scenario.name


def test_disorder_and_duplicates_leave_an_object_where_order_leaves_it(
    on_sqlite: Server, stack: ExitStack
) -> None:
    """Whoever was late or told twice, the payment is in the state that the provider says."""
    stage_of = opened(stack, on_sqlite)
    in_order, disordered = stage_of(_DIALECTS[:1]), stage_of(_DIALECTS[:1])
    late = 0
    for scenario in _some()[1::2]:
        first = in_order.play(scenario)
        second = disordered.play(scenario, disorder=100, duplicate=30)
        [ear] = [heard(second, dialect, key) for dialect, key in disordered.secrets.items()]
        assert (ear.complaints, ear.duplicates) == ((), second.run["sent_again"])
        found = disordered.objects(second)
        assert found == in_order.objects(first), scenario.name
        states = {id_: one.state for id_, one in found.items()}
        assert states == last_states(scenario.family, first.events)
        late += sum(one.late for one in found.values())
    assert late > 0


def _altered(request: Captured) -> Captured:
    # A digit of an id in the data: a receiver reads it as well as before.
    at = request.body.index(b"2031")
    return replace(request, body=request.body[:at] + b"2032" + request.body[at + 4 :])


_LIES: dict[str, Callable[[list[Captured]], list[Captured]]] = {
    "one is missing": lambda came: came[1:],
    "two are swapped": lambda came: [came[1], came[0], *came[2:]],
    "one was altered on the way": lambda came: [_altered(came[0]), *came[1:]],
    "one came instead of another": lambda came: [came[0], came[0], *came[2:]],
}


def test_a_receiver_is_not_lied_to(on_sqlite: Server, stack: ExitStack) -> None:
    """What cannot see a fault shows nothing by seeing none."""
    stage = opened(stack, on_sqlite)(_DIALECTS)
    [scenario] = [one for one in scenarios() if one.name == "topup-card"]
    performance = stage.play(scenario)
    assert not any(_complaints(stage, performance).values())
    for name, lie in _LIES.items():
        lied = {dialect: lie(came) for dialect, came in performance.arrived.items()}
        found = _complaints(stage, replace(performance, arrived=lied))
        assert all(found[dialect] for dialect in _DIALECTS), name
    for events in (performance.events[1:], performance.events[::-1]):
        assert all(_complaints(stage, replace(performance, events=events)).values())
    otherwise = replace(scenario, events=scenario.events[::-1])
    assert told_otherwise(replace(performance, scenario=otherwise))


def test_a_strict_door_lets_in_what_is_right_and_nothing_else(on_sqlite: Server) -> None:
    """One type of each family that promises what its members are; in the proof it is all."""
    strict = {type_.family: type_ for type_ in CATALOGUE.types if type_.provenance in STRICT}
    tenant = Tenant(Api(on_sqlite.port), type_check="strict")
    answers = Door(tenant).try_all(strict.values())
    assert (answers.let_in, answers.kept_out) == ([], [])
    assert answers.examples == len(strict) == 4
    assert answers.mutants > 300


def test_a_lax_door_is_noticed(on_sqlite: Server) -> None:
    """Where nothing is refused, each mutant is a complaint."""
    type_ = CATALOGUE.find("treezor", "payin.create")
    assert type_ is not None
    answers = Door(Tenant(Api(on_sqlite.port), type_check="warn")).try_all([type_])
    assert len(answers.let_in) == answers.mutants > 0
