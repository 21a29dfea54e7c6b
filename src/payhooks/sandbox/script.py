"""What a run publishes, event by event: a pure function of scenario, values, seed and times.

Whoever takes a run over writes the same script again, to the byte. Ids come from the seed and the
names of the objects, so the same seed tells of the same payment.
"""

import copy
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from random import Random
from typing import Any, Final
from uuid import UUID

import msgspec

from payhooks import limits
from payhooks.catalogue import Catalogue
from payhooks.catalogue.life_cycle import ObjectKind, steps_of
from payhooks.errors import InvalidError
from payhooks.model.event_type import EventType
from payhooks.sandbox.ids import drawn
from payhooks.sandbox.samples import sample_of
from payhooks.sandbox.scenarios import AUTO_CAPTURE, Scenario, Step, is_literal, sum_of, unfit
from payhooks.sandbox.templates import NULL, TIMES, amount_of, filled, placeholders, span_ms

VALUE_CHARS_MAX: Final = 64
HELD_BACK_BEHIND_MAX: Final = 3
# As the door has it, where the event is an object around its data.
DATA_DEPTH_MAX: Final = limits.JSON_DEPTH_MAX - 1
_CERTAIN: Final = 100
_INDEX_CHARS_MAX: Final = 6

Scope = dict[str, str | datetime]


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a script."""

    place: int  # in the life that is told, from 0
    family: str
    type: str
    object: str  # what the scenario calls it
    object_type: str
    object_id: str
    data: bytes
    metadata: bytes | None
    at_ms: int  # of life since the first event
    occurred_at: datetime
    words: str


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What is published, in the order in which it happens."""

    publications: tuple[Publication, ...]
    left_out: int  # steps that the merchant's settings leave out

    @property
    def fingerprint(self) -> bytes:
        """Sixteen bytes that no other script has."""
        return hashlib.sha256(msgspec.msgpack.encode(self.publications)).digest()[:16]


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may choose of a scenario."""

    seed: int
    values: Mapping[str, str] = {}  # of variables
    members: Mapping[str, object] = {}  # of data, by ``a.b.c``; where one event is played alone
    auto_capture: bool = True


def of_event(type_: EventType, variables: Mapping[str, str]) -> Scenario:
    """Return the scenario in which this event happens, and nothing else.

    *variables* are those of a scenario that it comes in: what its kind writes over the example.
    """
    step = Step(event=type_.name, object="object", words=type_.words)
    return Scenario(
        name=type_.name,
        title=type_.name,
        words=type_.words,
        steps=(step,),
        variables=dict(variables),
        family=type_.family,
    )


def length_ms(scenario: Scenario, *, auto_capture: bool) -> int:
    """Return the time from the first event to the last, in milliseconds of life."""
    return _moments(scenario, auto_capture=auto_capture)[-1][1]


def write(scenario: Scenario, book: Catalogue, wishes: Wishes, *, begins_at: datetime) -> Script:
    """Return the script of a life that begins at this time.

    Raises:
        InvalidError: A value is of no variable of the scenario, or makes no sense there.

    """
    variables = _variables(scenario, wishes.values)
    moments = _moments(scenario, auto_capture=wishes.auto_capture)
    kinds = _kinds(scenario, book)
    # Two scenarios of one seed are of different objects.
    seed = f"{wishes.seed}/{scenario.name}"
    ids = {name: _ids(kind, name, seed) for name, kind in kinds.items()}
    shared: Scope = {**variables}
    shared |= {f"{name}.{id_}": text for name, own in ids.items() for id_, text in own.items()}
    born: dict[str, datetime] = {}
    publications = []
    for place, (step, at_ms) in enumerate(moments):
        now = begins_at + timedelta(milliseconds=at_ms)
        own = ids[step.object]
        scope: Scope = {**shared, **own, "now": now, "born": born.setdefault(step.object, now)}
        type_ = book.find(scenario.family, step.event)
        assert type_ is not None  # scenarios are checked when they are read
        kind = book.kind_of(type_)
        sample = _sample(type_, seed)
        data = _written(sample.data, kind, step, scope)
        for path, value in wishes.members.items():
            _set_member(data, path, value)
        if wishes.members and _is_deeper(data, DATA_DEPTH_MAX):
            detail = f"Arrays and objects of an event's data nest at most {DATA_DEPTH_MAX} deep."
            raise InvalidError.at("/set", "too_deep", detail)
        publications.append(
            Publication(
                place=place,
                family=scenario.family,
                type=step.event,
                object=step.object,
                object_type=type_.object_type or sample.object_type,
                object_id=_main(own) or sample.object_id,
                data=msgspec.json.encode(data),
                metadata=_beside(kind, type_, scope),
                at_ms=at_ms,
                occurred_at=now,
                words=step.words,
            )
        )
    return Script(
        publications=tuple(publications), left_out=len(scenario.steps) - len(publications)
    )


def order(count: int, *, percent: int, seed: int) -> list[int]:
    """Return places in the order in which they go out: some behind one to three later ones."""
    random = _random(seed, "disorder")
    keys = []
    for place in range(count):
        held_back = random.uniform(0, _CERTAIN) < percent
        behind = random.randint(1, HELD_BACK_BEHIND_MAX)
        keys.append(place + behind + 0.5 if held_back else float(place))
    shuffled = sorted(range(count), key=lambda place: (keys[place], place))
    if percent >= _CERTAIN and count > 1 and shuffled == sorted(shuffled):
        # All held back alike are in order again, and whoever asked for disorder is to have some.
        shuffled[0], shuffled[1] = shuffled[1], shuffled[0]
    return shuffled


def repeated(count: int, *, percent: int, seed: int) -> frozenset[int]:
    """Return the places whose deliveries are sent twice."""
    random = _random(seed, "duplicate")
    return frozenset(place for place in range(count) if random.uniform(0, _CERTAIN) < percent)


def _random(seed: int, use: str) -> Random:
    return Random(f"{seed}:{use}")  # noqa: S311 - a seed must play the same again


def _moments(scenario: Scenario, *, auto_capture: bool) -> list[tuple[Step, int]]:
    """Return the steps that are played, each with its time; two never have the same."""
    found: list[tuple[Step, int]] = []
    for step in scenario.steps:
        if step.condition == AUTO_CAPTURE and not auto_capture:
            continue
        at_ms = found[-1][1] + max(span_ms(step.after), 1) if found else 0
        found.append((step, at_ms))
    if not found:
        raise InvalidError.at("/scenario", "nothing_to_play", "Its settings leave out every step.")
    return found


def _check_given(scenario: Scenario, given: Mapping[str, str]) -> None:
    for name, value in given.items():
        if name not in scenario.variables:
            own = [one for one, text in scenario.variables.items() if sum_of(text) is None]
            near = get_close_matches(name[:VALUE_CHARS_MAX], own, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            detail = f"There is no variable {name[:VALUE_CHARS_MAX]}{hint}"
            detail += f" There are: {', '.join(own) or 'none'}."
            raise InvalidError.at("/set", "unknown_variable", detail)
        summed = sum_of(scenario.variables[name])
        if summed is not None:
            terms = " and ".join(term for _, term in summed.terms if not is_literal(term))
            is_sum = scenario.variables[name].removeprefix("=").strip()
            detail = f"{name} cannot be set: it is {is_sum}. It follows from {terms}."
            raise InvalidError.at(f"/set/{name}", "computed_variable", detail)
        if not 0 < len(value) <= VALUE_CHARS_MAX or not value.isprintable():
            detail = f"A value has 1 to {VALUE_CHARS_MAX} printable characters."
            raise InvalidError.at(f"/set/{name}", "invalid", detail)
        wanted = unfit(name, value)
        if wanted is not None:
            raise InvalidError.at(f"/set/{name}", "invalid", wanted)


def _variables(scenario: Scenario, given: Mapping[str, str]) -> dict[str, str]:
    _check_given(scenario, given)
    found: dict[str, str] = {}
    for name, text in {**scenario.variables, **given}.items():
        # What a caller gives is never read as a sum.
        summed = None if name in given else sum_of(text)
        if summed is None:
            found[name] = text
            continue
        total = sum(
            sign * amount_of(term if is_literal(term) else found[term], term)
            for sign, term in summed.terms
        )
        if total < 0:
            detail = f"{name} would be {total}: it is {text.removeprefix('= ')}."
            raise InvalidError.at("/set", "negative_amount", detail)
        found[name] = str(total)
    return found


def _kinds(scenario: Scenario, book: Catalogue) -> dict[str, list[ObjectKind]]:
    """Return the kinds of each object: two kinds of event may tell of one object."""
    found: dict[str, list[ObjectKind]] = {}
    for step in scenario.steps:
        kinds = found.setdefault(step.object, [])
        type_ = book.find(scenario.family, step.event)
        kind = None if type_ is None else book.kind_of(type_)
        if kind is not None and kind not in kinds:
            kinds.append(kind)
    return found


def _ids(kinds: Sequence[ObjectKind], name: str, seed: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind in kinds:
        for id_, template in kind.ids.items():
            if id_ not in found:
                found[id_] = drawn(template, f"{seed}/{name}/{id_}")
    return found


def _main(own: Mapping[str, str]) -> str | None:
    """Return the id that publishers name: ``id``, else the first there is."""
    return own.get("id") or next(iter(own.values()), None)


def _sample(type_: EventType, seed: str) -> Any:  # noqa: ANN401 - see samples.Sample
    example = None if type_.example is None else msgspec.json.decode(type_.example)
    suffix = UUID(bytes=hashlib.sha256(f"{seed}/object".encode()).digest()[:16]).hex[:12]
    return sample_of(type_.name, example=example, suffix=suffix)


def _written(
    example: Mapping[str, Any], kind: ObjectKind | None, step: Step, scope: Scope
) -> dict[str, Any]:
    data: dict[str, Any] = copy.deepcopy(dict(example))
    for pointer, template in ({} if kind is None else kind.bind).items():
        # A scenario need not have all that the kind's template knows of: the example stays.
        known = all(said.name in {*scope, *TIMES, NULL} for said in placeholders(template))
        if known:
            _put(data, pointer, filled(template, scope), only_where_it_is=True)
    for pointer, template in step.set.items():
        _put(data, pointer, filled(template, scope), only_where_it_is=False)
    for pointer in step.unset:
        _take(data, pointer)
    return data


def _beside(kind: ObjectKind | None, type_: EventType, scope: Scope) -> bytes | None:
    """Return what the type's metadata says, if it says anything."""
    for entry in () if kind is None else kind.types:
        if entry.name == type_.name and entry.metadata:
            return msgspec.json.encode(filled(entry.metadata, scope))
    return None


def _put(data: dict[str, Any], pointer: str, value: object, *, only_where_it_is: bool) -> None:
    *way, last = steps_of(pointer)
    here: Any = data
    for step in way:
        here = _inside(here, step)
    match here:
        case dict() if last in here or not only_where_it_is:
            here[last] = value
        case list() if last.isdecimal() and int(last) < len(here):
            here[int(last)] = value
        case list() if last == "-" and not only_where_it_is:
            here.append(value)
        case _ if only_where_it_is:
            pass
        case _:
            raise ValueError(f"{pointer}: there is nothing to put it into")


def _take(data: dict[str, Any], pointer: str) -> None:
    *way, last = steps_of(pointer)
    here: Any = data
    for step in way:
        here = _inside(here, step)
    match here:
        case dict():
            here.pop(last, None)
        case list() if last.isdecimal() and int(last) < len(here):
            del here[int(last)]
        case _:
            pass


def _inside(here: object, step: str) -> object:
    match here:
        case dict():
            return here.get(step)
        case list() if step.isdecimal() and int(step) < len(here):
            return here[int(step)]
        case _:
            return None


def _set_member(data: dict[str, Any], path: str, value: object) -> None:
    *parents, last = path.split(".")
    here: Any = data
    for name in parents:
        here = here.setdefault(name, {}) if isinstance(here, dict) else here[_index(here, name)]
    if isinstance(here, dict):
        here[last] = value
    else:
        here[_index(here, last)] = value


def _is_deeper(value: object, levels: int) -> bool:
    """Whether objects and lists nest deeper than this."""
    if not isinstance(value, dict | list):
        return False
    members = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(member, levels - 1) for member in members)


def _index(here: object, name: str) -> int:
    """Return which member of a list the path is of.

    Raises:
        InvalidError: It is no list, or has no such member.

    """
    if not isinstance(here, list):
        detail = "A member on the way is neither an object nor a list."
        raise InvalidError.at("/set", "malformed", detail)
    if not (name.isascii() and name.isdecimal() and len(name) <= _INDEX_CHARS_MAX):
        raise InvalidError.at("/set", "malformed", "A member of a list is named by a number.")
    if int(name) >= len(here):
        detail = f"A list on the way has {len(here)} members; the first is 0."
        raise InvalidError.at("/set", "malformed", detail)
    return int(name)
