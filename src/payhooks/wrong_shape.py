"""What is wrong with a value's shape, in our codes and sentences, whichever library found it.

The libraries' own texts name Python's types, and some of them repeat the value. Here every
sentence begins with *This* where the value is meant, and holds rules alone.
"""

from collections.abc import Mapping
from typing import Any, Final

TEXT: Final = "text"
OBJECT: Final = "an object"
LIST: Final = "a list"
TIME: Final = ("invalid", "Write it as 2026-01-31T12:00:00Z.")
REQUIRED: Final = ("required", "This member is required.")
UNKNOWN_FIELD: Final = ("unknown_field", "This member is not known.")
EMPTY: Final = ("empty", "This must not be empty.")
# What there are no words for: the rule is in the description.
UNNAMED: Final = ("invalid", "This is not valid.")

_WHOLE: Final = "a whole number"
_BOOLEAN: Final = "true or false"
_WANTED: Final = {
    "string_type": TEXT,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "list_type": LIST,
    "tuple_type": LIST,
    "dict_type": OBJECT,
    "model_type": OBJECT,
    "model_attributes_type": OBJECT,
}
_SAID: Final = {
    "missing": REQUIRED,
    "union_tag_not_found": REQUIRED,
    "extra_forbidden": UNKNOWN_FIELD,
    "timezone_aware": TIME,
    "datetime_type": TIME,
    "datetime_parsing": TIME,
    "datetime_from_date_parsing": TIME,
    "int_parsing_size": ("out_of_range", "This has too many digits."),
    "finite_number": ("out_of_range", "This must be finite."),
    "greater_than_equal": ("out_of_range", "This must be at least {ge}."),
    "less_than_equal": ("out_of_range", "This must be at most {le}."),
    "string_too_short": EMPTY,
    "string_too_long": ("too_long", "At most {max_length} characters are allowed."),
    "too_short": ("too_few", "At least {min_length} must be given."),
    "too_long": ("too_many", "At most {max_length} are allowed."),
    "string_pattern_mismatch": ("invalid", "This must match {pattern}."),
}


def wrong_type(wanted: str) -> tuple[str, str]:
    """Return code and sentence where the value should be *wanted*: ``text``, ``a list``."""
    return "wrong_type", f"This must be {wanted}."


def told(found: Mapping[str, Any]) -> tuple[str, str]:
    """Return our code and sentence for one of pydantic's errors; what came in is never in them."""
    kind: str = found["type"]
    context = found.get("ctx") or {}
    if kind in _WANTED:
        return wrong_type(_WANTED[kind])
    if kind in _SAID:
        code, sentence = _SAID[kind]
        return code, sentence.format_map(context)
    if kind in {"enum", "literal_error"}:
        return _one_of(context["expected"])
    if kind == "union_tag_invalid":
        before, _, last = context["expected_tags"].rpartition(", ")
        return _one_of(f"{before} or {last}")
    if kind in {"value_error", "wrong_type"}:
        # Raised by our own checks, in words for callers.
        code = "invalid" if kind == "value_error" else kind
        return code, f"{found['msg'].removeprefix('Value error, ')}."
    return UNNAMED


def _one_of(quoted: str) -> tuple[str, str]:
    # None of our own words has a quote in it.
    plain = quoted.replace("'", "")
    return "invalid_choice", f"This must be {plain}."
