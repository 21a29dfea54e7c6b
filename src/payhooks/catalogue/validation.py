"""Whether an event's data is what its type's schema says; the faults in words for people.

The words are ours and quote no value of the data, which may be anybody's secret. What is right
costs 3 us for 1 KB. The library makes all faults at once, some microseconds each, and a list of
nothing but {} has more of them than bytes: so of lists only the first items are looked at for
all of their faults.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import jsonschema_rs
import msgspec
from jsonschema_rs import Draft202012Validator, ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from payhooks import limits
from payhooks.catalogue import schema_cost
from payhooks.model.event import Finding
from payhooks.model.event_type import EventType

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_COMPILED_KEPT: Final = 1_024
_POINTER_CHARS_MAX: Final = 250
# Whoever keys an object by what it is of, has card numbers, tokens and accounts for names.
_NAME_CHARS_MAX: Final = 64
_NAME_DIGITS_MAX: Final = 12  # From here on they are no longer than the shortest card number.
_VALUES_MAX: Final = 200  # More than the examples that we ship have.
_ITEMS_MAX: Final = 3  # Whoever writes an item wrong writes the next one wrong too.
# Backtracking patterns could hold a whole server up; these take linear time.
_PATTERNS: Final = jsonschema_rs.RegexOptions(size_limit=schema_cost.PATTERN_BYTES_MAX)
# Keywords of which one fault is made of all the faults below it.
_ALTERNATIVES: Final = (b'"anyOf"', b'"oneOf"')
TYPE_WORDS: Final = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "text",
}


def fault_of_schema(schema: bytes) -> Finding | None:
    """Return why *schema* is no JSON Schema 2020-12 that stands alone, None if it is one."""
    found = _compiled(schema)
    return found if isinstance(found, Finding) else None


def faults(type_: EventType, data: bytes, *, at_most: int) -> tuple[Finding, ...]:
    """Return what is wrong with *data*, which is JSON; nothing where the type has no schema."""
    schema = type_.schema
    validator = None if schema is None else _compiled(schema)
    if schema is None or not isinstance(validator, Draft202012Validator):
        return ()  # Where it is no schema, the type is older than the look at schemas.
    try:
        value = msgspec.json.decode(data)
    except msgspec.DecodeError:
        # JSON bounds no number; every parser does.
        return (_finding("/data", "There is a number that is too long to be checked."),)
    if validator.is_valid(value):
        return ()
    # Once each: what a type narrows its object may have demanded already.
    found = dict.fromkeys(_of_the_beginning(validator, value))
    if found:
        return tuple(islice(found, at_most))
    if any(keyword in schema for keyword in _ALTERNATIVES):
        return (_finding("/data", "This is not what the schema says, and too much to say where."),)
    return tuple(_fault("/data", each) for each in _first(validator, value))


def _of_the_beginning(validator: Draft202012Validator, value: object) -> Iterator[Finding]:
    """Yield all that is wrong with the first items of each list and what is outside of lists."""
    excerpt = _Excerpt()
    beginning = excerpt.of(value)
    if excerpt.room < 0:
        return
    for error in validator.iter_errors(beginning):
        if not (excerpt.has_cut and isinstance(error.kind, Kind.MinItems | Kind.Contains)):
            yield _fault("/data", error)


class _Excerpt:
    """Copies the beginning of a JSON value."""

    def __init__(self) -> None:
        self.room = _VALUES_MAX  # below zero if there was not enough
        self.has_cut = False

    def of(self, value: object) -> object:
        self.room -= 1
        if self.room < 0:
            return None
        if isinstance(value, dict):
            return {name: self.of(member) for name, member in value.items()}
        if isinstance(value, list):
            self.has_cut |= len(value) > _ITEMS_MAX
            return [self.of(item) for item in value[:_ITEMS_MAX]]
        return value


def _first(validator: Draft202012Validator, value: object) -> Iterator[ValidationError]:
    try:
        validator.validate(value)
    except ValidationError as error:
        yield error


def _fault(root: str, error: ValidationError) -> Finding:
    match error.kind:
        case Kind.Required(property=member):
            place = _pointer(root, [*error.instance_path, member])
            return _finding(place, "This member is required.")
        case kind:
            keyword = error.schema_path[-1] if error.schema_path else ""
            return _finding(_pointer(root, error.instance_path), _said(kind, keyword))


def _finding(pointer: str, detail: str) -> Finding:
    chars_max = limits.FINDING_CHARS_MAX
    cut = detail if len(detail) <= chars_max else f"{detail[: chars_max - 1]}…"
    return Finding(pointer=pointer, code="schema", detail=cut)


def _pointer(root: str, steps: Sequence[str | int]) -> str:
    """Return where it is, or the nearest place above whose pointer is short enough."""
    pointer = root
    for step in steps:
        escaped = _step(str(step))
        if len(pointer) + len(escaped) >= _POINTER_CHARS_MAX:
            break
        pointer += f"/{escaped}"
    return pointer


def _step(name: str) -> str:
    """Return a step of a pointer; ``*`` for a name that may be a value, which is not told."""
    if len(name) > _NAME_CHARS_MAX or sum(map(str.isdigit, name)) >= _NAME_DIGITS_MAX:
        return "*"
    return name.replace("~", "~0").replace("/", "~1")


def _said(kind: Kind, keyword: str | int) -> str:
    """Return one sentence, with what the schema says and nothing of what was found."""
    match kind:
        case Kind.Type(types=types):
            return f"This must be {one_of([TYPE_WORDS[one] for one in types])}."
        case Kind.Constant(expected_value=wanted):
            return f"This must be {as_json(wanted)}."
        case Kind.Enum(options=options):
            return f"This must be {one_of([as_json(one) for one in options])}."
        case Kind.FalseSchema() if keyword == "additionalProperties":
            return _UNKNOWN_MEMBER  # the fault of the object, not of a member
        case _:
            return SENTENCES.get(type(kind).__name__) or _of_a_bound(kind)


# Not named: a name that nobody expected is as much the caller's as a value.
_UNKNOWN_MEMBER: Final = "There is a member that is not known."
SENTENCES: Final = {
    "AdditionalProperties": _UNKNOWN_MEMBER,
    "AnyOf": "This has none of the forms that are allowed.",
    "Contains": "There are too few or too many items of the kind that is wanted.",
    "FalseSchema": "Nothing may stand here.",
    # Said of schemas alone: of data, a format is not judged.
    "Format": "This must be a short pattern without look-around and back-references.",
    "Not": "This has the one form that is not allowed.",
    "OneOfMultipleValid": "This has more than one of the forms of which it may have one.",
    "OneOfNotValid": "This has none of the forms that are allowed.",
    "PropertyNames": "There is a member with a name that is not allowed.",
    "UnevaluatedItems": "There are more items than are allowed.",
    "UnevaluatedProperties": _UNKNOWN_MEMBER,
    "UniqueItems": "No two items may be equal.",
}
# By what the schema says, and what is counted.
BOUNDS: Final = {
    "Pattern": ("This must match {}.", ""),
    "MultipleOf": ("This must be a multiple of {}.", ""),
    "Minimum": ("This must be at least {}.", ""),
    "Maximum": ("This must be at most {}.", ""),
    "ExclusiveMinimum": ("This must be more than {}.", ""),
    "ExclusiveMaximum": ("This must be less than {}.", ""),
    "MinLength": ("This must have at least {} {}.", "character"),
    "MaxLength": ("This must have at most {} {}.", "character"),
    "MinItems": ("This must have at least {} {}.", "item"),
    "MaxItems": ("This must have at most {} {}.", "item"),
    "MinProperties": ("This must have at least {} {}.", "member"),
    "MaxProperties": ("This must have at most {} {}.", "member"),
}


def _of_a_bound(kind: Kind) -> str:
    if type(kind).__name__ not in BOUNDS:
        return "This is not what the schema says."
    template, noun = BOUNDS[type(kind).__name__]
    return template.format(as_json(kind.value), noun if kind.value == 1 else f"{noun}s")


def one_of(words: Sequence[str]) -> str:
    """Return the words as a choice."""
    if not words:
        return "nothing"  # A schema may leave no choice at all.
    *others, last = sorted(words)
    return f"{', '.join(others)} or {last}" if others else last


def as_json(value: Any) -> str:  # noqa: ANN401 - JSON is anything
    """Return a value of a schema as it is written."""
    return msgspec.json.encode(value).decode()


@lru_cache(maxsize=_COMPILED_KEPT)
def _compiled(schema: bytes) -> Draft202012Validator | Finding:
    """Return what validates, or why there is none."""
    try:
        # Offline: a schema that is fetched would be a way out past the egress client. Masked:
        # the library's own sentences quote what was found, which we neither say nor pay for.
        validator = Draft202012Validator(
            schema.decode(), offline=True, pattern_options=_PATTERNS, mask="…"
        )
    except ValidationError as error:
        if isinstance(error.kind, Kind.Referencing):
            return _finding("/schema", "A $ref leads to nothing inside this schema.")
        return _fault("/schema", error)
    except (jsonschema_rs.ReferencingError, ValueError):
        return _finding("/schema", "This is no JSON Schema.")
    whole = msgspec.json.decode(schema)
    if isinstance(whole, dict) and whole.get("$schema", _DIALECT).rstrip("#") != _DIALECT:
        return _finding("/schema/$schema", "Only JSON Schema 2020-12 is known here.")
    refusal = schema_cost.refusal(whole)
    return validator if refusal is None else _finding("/schema", refusal)
