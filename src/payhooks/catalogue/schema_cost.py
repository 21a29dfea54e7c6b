"""What a schema can cost at worst: how long the most hostile body holds up who validates it.

Counted over the schema as it is when every ``$ref`` is written out, which may be a million times
as long as its text; each place of the text is counted once.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from payhooks.catalogue.life_cycle import at

SECONDS_MAX: Final = 0.3
PATTERN_BYTES_MAX: Final = 32_768  # as it is compiled
DEPTH_MAX: Final = 64  # Deeper than any payment object; libraries recurse.
_VALUES: Final = 131_072  # in the 256 KiB of an event: [1,1,1…
# For one value, measured with the worst that fits. Numbers are compared as they are written:
# beside 1e-300 that is a matter of microseconds.
_NODE_NS: Final = 5.0
_KEYWORD_NS: Final = {"pattern": 25.0, "uniqueItems": 250.0}
_ENTRY_NS: Final = 10.0  # of what is gone through for each value
_NUMBER_NS: Final = 2_250.0  # is it this one, or a multiple of this fraction
_BOUNDS: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_WHOLE_BOUND_NS: Final = 110.0
_BOUND_NS: Final = 250.0
_WHOLE_MAX: Final = 2**53
_FRACTION_MIN: Final = 1e-9  # Money has no smaller ones.
_DEAREST: Final = 4.0  # A single value may be dearer than any of which many fit.
# For each byte of a text or a list; of a pattern about one step for each of its states.
_BYTES: Final = 262_144
_STATE_NS: Final = 5.0
_STATES_MAX: Final = 200  # A pattern of more is dear, but none is longer than PATTERN_BYTES_MAX.
_LIST_NS: Final = 15.0
_REPEATED: Final = re.compile(r"(\))?\{(\d{1,6})(?:,(\d{0,6}))?\}")
# What is evaluated is found out by validating again, at each level.
_UNEVALUATED: Final = {"unevaluatedItems": 4.0, "unevaluatedProperties": 4.0}
_ENTRIES: Final = frozenset(
    {"patternProperties", "required", "dependentRequired", "dependentSchemas"}
)
_HERE: Final = ("not", "if", "then", "else")
_HERE_LISTS: Final = ("allOf", "anyOf", "oneOf")
_MANY: Final = (
    "items", "contains", "additionalProperties", "propertyNames",
    "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip


class _RefusedError(Exception):
    """Why a schema is not taken, in a sentence."""


@dataclass(frozen=True, slots=True)
class _Cost:
    """Nanoseconds. Of one value: the schema's own, and the dearest below it. Of a body."""

    here: float = 0.0
    below: float = 0.0
    once: float = 0.0  # what is applied to one value, wherever that is
    many: float = 0.0  # to each value, if the body is all of them
    scan_here: float = 0.0  # as here and below, of one byte
    scan_below: float = 0.0

    @property
    def worst(self) -> float:
        return max(self.here, self.below)

    @property
    def scan(self) -> float:
        return max(self.scan_here, self.scan_below)

    def __add__(self, other: "_Cost") -> "_Cost":
        return _Cost(
            self.here + other.here,
            self.below + other.below,
            self.once + other.once,
            self.many + other.many,
            self.scan_here + other.scan_here,
            self.scan_below + other.scan_below,
        )

    def times(self, factor: float) -> "_Cost":
        return _Cost(*(getattr(self, each.name) * factor for each in fields(self)))


def refusal(root: object) -> str | None:
    """Return why the schema is not taken, in a sentence; None if it is."""
    try:
        spent_s = seconds(root)
    except _RefusedError as error:
        return str(error)
    if spent_s <= SECONDS_MAX:
        return None
    return "An event could take too long to be checked: ask less, above all of what is in lists."


def seconds(root: object) -> float:
    """Return about how long the most hostile body takes, for a schema that is taken at all."""
    cost = _Count(root).of(root, 0)
    return (cost.once + cost.many * _VALUES + cost.scan * _BYTES) / 1e9


class _Count:
    def __init__(self, root: object) -> None:
        self._root = root
        self._known: dict[int, _Cost] = {}
        self._open: set[int] = set()

    def of(self, schema: object, depth: int) -> _Cost:
        if not isinstance(schema, Mapping):
            return _Cost(here=_NODE_NS, once=_NODE_NS)
        place = id(schema)
        if place in self._known:
            return self._known[place]
        if place in self._open:
            raise _RefusedError("It leads back to itself; spell out as many levels as you need.")
        if depth == DEPTH_MAX:
            raise _RefusedError(f"It goes deeper than {DEPTH_MAX} levels.")
        self._open.add(place)
        cost = self._counted(schema, depth + 1)
        self._open.remove(place)
        self._known[place] = cost
        return cost

    def _counted(self, schema: Mapping[str, Any], depth: int) -> _Cost:
        here = _own(schema)
        total = _Cost(here=here, once=here * _DEAREST, scan_here=_of_bytes(schema))
        for other in self._in_place(schema):
            total += self.of(other, depth)
        # A value has one name and one place: of these one is applied to it.
        for others in (_values(schema, "properties"), _items(schema, "prefixItems")):
            found = [self.of(other, depth) for other in others]
            total += _Cost(
                below=max((each.worst for each in found), default=0.0),
                once=sum(each.once for each in found),
                many=max((each.many for each in found), default=0.0),
                scan_below=max((each.scan for each in found), default=0.0),
            )
        for other in (
            *(schema[keyword] for keyword in _MANY if keyword in schema),
            *_values(schema, "patternProperties"),
        ):
            each = self.of(other, depth)
            total += _Cost(below=each.worst, many=each.worst, scan_below=each.scan)
        for keyword, factor in _UNEVALUATED.items():
            if keyword in schema:
                total = total.times(factor)
        return total

    def _in_place(self, schema: Mapping[str, Any]) -> Iterator[object]:
        if schema is not self._root and isinstance(schema.get("$id"), str):
            raise _RefusedError("Only the whole may have an $id.")
        if "$dynamicRef" in schema:
            raise _RefusedError("A $dynamicRef is not taken; use $ref.")
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference[:2] not in {"#", "#/"} or "%" in reference:
                raise _RefusedError("A $ref is # or #/ and the way to its place.")
            yield at(self._root, reference[1:])
        yield from (schema[keyword] for keyword in _HERE if keyword in schema)
        for keyword in _HERE_LISTS:
            yield from _items(schema, keyword)
        yield from _values(schema, "dependentSchemas")


def _own(schema: Mapping[str, Any]) -> float:
    return _NODE_NS + sum(_of_keyword(keyword, value) for keyword, value in schema.items())


def _of_keyword(keyword: str, value: Any) -> float:  # noqa: ANN401 - JSON is anything
    if keyword == "const":
        return _compared([value])
    if keyword == "enum" and isinstance(value, list):
        # All of one kind are found by their hash.
        alike = {type(one) for one in value} in ({str}, {int})
        return _NODE_NS if alike else _compared(value)
    if keyword == "multipleOf":
        fraction = _NUMBER_NS if value >= _FRACTION_MIN else 4 * _NUMBER_NS
        return _WHOLE_BOUND_NS * 3 if _is_whole(value) else fraction
    if keyword in _BOUNDS:
        return _WHOLE_BOUND_NS if _is_whole(value) else _BOUND_NS
    if keyword in _ENTRIES:
        return _ENTRY_NS * len(value)
    return _KEYWORD_NS.get(keyword, _NODE_NS)


def _compared(values: Sequence[object]) -> float:
    plain = sum(value is None or isinstance(value, str | bool) for value in values)
    return plain * _ENTRY_NS + (len(values) - plain) * _NUMBER_NS


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and abs(value) <= _WHOLE_MAX


def _of_bytes(schema: Mapping[str, Any]) -> float:
    patterns = [*_names(schema, "patternProperties"), schema.get("pattern")]
    spent = sum(_states(one) * _STATE_NS for one in patterns if isinstance(one, str))
    return spent + (_LIST_NS if "uniqueItems" in schema else 0.0)


def _states(pattern: str) -> int:
    """Return about how many states the pattern has, and not many too few."""
    states = len(pattern)
    for group, least, most in _REPEATED.findall(pattern):
        times = int(most or least)
        states = states * max(times, 1) if group else states + times
    return min(states, _STATES_MAX)


def _names(schema: Mapping[str, Any], keyword: str) -> Sequence[str]:
    found = schema.get(keyword)
    return list(found) if isinstance(found, Mapping) else ()


def _values(schema: Mapping[str, Any], keyword: str) -> Sequence[object]:
    found = schema.get(keyword)
    return list(found.values()) if isinstance(found, Mapping) else ()


def _items(schema: Mapping[str, Any], keyword: str) -> Sequence[object]:
    found = schema.get(keyword)
    return found if isinstance(found, list) else ()
