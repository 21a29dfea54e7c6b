"""Whether an event's data is what its type's schema says; the faults in words for people."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import jsonschema_rs
import msgspec
from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

from payhooks.model.event import Finding
from payhooks.model.event_type import EventType

_COMPILED_KEPT: Final = 1_024
_DETAIL_CHARS_MAX: Final = 300
# Backtracking patterns could hold a whole server up; these take linear time.
_PATTERNS: Final = jsonschema_rs.RegexOptions()


class BadSchemaError(ValueError):
    """No JSON Schema 2020-12 that stands alone; the text says where and why."""


def check_schema(schema: bytes) -> None:
    """Return if *schema* can be validated against.

    Raises:
        BadSchemaError: It is none, or refers to something outside itself.

    """
    _compiled(schema)


def faults(type_: EventType, data: bytes, *, at_most: int) -> tuple[Finding, ...]:
    """Return what is wrong with *data*, which is JSON; nothing where the type has no schema."""
    if type_.schema is None:
        return ()
    validator = _compiled(type_.schema)
    value = msgspec.json.decode(data)
    if validator.is_valid(value):
        return ()
    return tuple(_findings(validator, value, at_most))


def _findings(validator: Draft202012Validator, value: object, at_most: int) -> Iterator[Finding]:
    for count, error in enumerate(validator.iter_errors(value)):
        if count == at_most:
            return
        pointer = "/data" + "".join(f"/{_escaped(step)}" for step in error.instance_path)
        pointer, detail = _said(error, pointer)
        yield Finding(pointer=pointer, code="schema", detail=detail[:_DETAIL_CHARS_MAX])


def _said(error: ValidationError, pointer: str) -> tuple[str, str]:
    """Return the place and one sentence, without the values: they may be anybody's secrets."""
    match error.kind:
        case ValidationErrorKind.Required(property=member):
            return f"{pointer}/{_escaped(member)}", "This member is required."
        case ValidationErrorKind.Type(types=types):
            return pointer, f"This must be {_one_of(types)}."
        case ValidationErrorKind.Constant(expected_value=wanted):
            return pointer, f"This must be {_json(wanted)}."
        case ValidationErrorKind.Enum(options=options):
            return pointer, f"This must be one of {_json(options)[1:-1]}."
        case ValidationErrorKind.Pattern(pattern=pattern):
            return pointer, f"This must match {pattern}."
        case kind:
            return pointer, f"This does not satisfy the schema's {kind.name}."


def _one_of(types: Sequence[str]) -> str:
    *others, last = sorted(types)
    return f"{', '.join(others)} or {last}" if others else last


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _escaped(step: str | int) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")


@lru_cache(maxsize=_COMPILED_KEPT)
def _compiled(schema: bytes) -> Draft202012Validator:
    try:
        # Offline: a schema that is fetched would be a way out past the egress client.
        return Draft202012Validator(schema.decode(), offline=True, pattern_options=_PATTERNS)
    except (ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise BadSchemaError(str(error).partition("\n")[0]) from error
