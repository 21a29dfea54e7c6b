"""From what the two readers of bodies say to our faults: where, which rule, in words.

FastAPI's places name which way of several a value was read (``list[int]``, ``basic``); a pointer
is into the document that came. Names of members are the caller's text: cut, and escaped.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from payhooks.api.problems import shown
from payhooks.errors import Fault, InvalidError
from payhooks.wrong_shape import (
    EMPTY,
    LIST,
    OBJECT,
    REQUIRED,
    TEXT,
    TIME,
    UNKNOWN_FIELD,
    UNNAMED,
    told,
    wrong_type,
)

# The last one: what stands before it may be the caller's text.
_AT: Final = re.compile(r"(?P<message>.*) - at `\$(?P<path>.*)`\Z", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_UNKNOWN_FIELD: Final = re.compile(r"Object contains unknown field `(.*)`\Z", re.DOTALL)
_MISSING_FIELD: Final = re.compile(r"Object missing required field `(.*?)`")
_EXPECTED: Final = re.compile(r"Expected `(\w+)[^`]*`(?: of length (..) (\d+))?")
# A slip of the pen. Whatever else is where a name should be may be a key or a password that was
# put into the wrong place, and is not repeated.
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_]{1,24}")
_WANTED: Final = {"str": TEXT, "object": OBJECT, "array": LIST}


def of_request(found: Sequence[Mapping[str, Any]], body: object) -> list[Fault]:
    """Return our faults for what FastAPI found wrong with a request that has this body."""
    with_faults_inside = {each["loc"][:-1] for each in found}
    return [
        _of_one(each, body)
        for each in found
        # A list of which no item is good was not sent empty.
        if each["type"] != "too_short" or each["loc"] not in with_faults_inside
    ]


def _of_one(found: Mapping[str, Any], body: object) -> Fault:
    where, *path = found["loc"]
    code, detail = told(found)
    if where == "query":
        return Fault(pointer=f"?{path[0]}", code=code, detail=detail)
    if where == "header":
        return Fault(pointer=path[0], code=code, detail=detail)
    if where == "path":
        return Fault(pointer=f"{{{path[0]}}}", code=code, detail=detail)
    if not path and code == "required":
        return Fault(pointer="", code=code, detail="Send a body.")
    if found["type"] == "extra_forbidden":
        *path, name = path
        return _unknown("".join(map(_step, _in_document(path, body))), name)
    pointer = "".join(map(_step, _in_document(path, body)))
    if found["type"] == "missing":
        pointer += _step(path[-1])
    elif found["type"].startswith("union_tag_"):
        pointer += _step(found["ctx"]["discriminator"].strip("'"))
    return Fault(pointer=pointer, code=code, detail=detail)


def _in_document(path: Sequence[object], document: Any) -> Iterator[object]:  # noqa: ANN401 - JSON is anything
    """Yield the steps of *path* that lead through the document."""
    for step in path:
        inside = isinstance(document, list) and isinstance(step, int)
        if inside or (isinstance(document, dict) and step in document):
            document = document[step]
            yield step


def of_event(error: msgspec.ValidationError) -> InvalidError:
    """Return our fault for what msgspec says of an event or a batch."""
    message, pointer = str(error), ""
    found = _AT.fullmatch(message)
    if found is not None:
        message = found["message"]
        pointer = "".join(_step(step[1] or step[2]) for step in _STEP.finditer(found["path"]))
    unknown = _UNKNOWN_FIELD.match(message)
    if unknown is not None:
        return InvalidError([_unknown(pointer, unknown[1])])
    missing = _MISSING_FIELD.match(message)
    if missing is not None:
        return InvalidError.at(pointer + _step(missing[1]), *REQUIRED)
    return InvalidError.at(pointer, *_of_value(message))


def _of_value(message: str) -> tuple[str, str]:
    found = _EXPECTED.match(message)
    if found is None and message == "Number out of range":
        return "out_of_range", "This number is too large."
    if found is None:
        return TIME if "datetime" in message else UNNAMED
    wanted, bound, length = found.groups()
    if bound == "<=":
        return "too_long", f"At most {length} characters are allowed."
    if bound == ">=":
        return EMPTY
    if wanted == "datetime":
        return TIME
    return wrong_type(_WANTED[wanted]) if wanted in _WANTED else UNNAMED


def _unknown(pointer: str, name: str) -> Fault:
    code, detail = UNKNOWN_FIELD
    if _PLAIN_NAME.fullmatch(name):
        return Fault(pointer=pointer + _step(name), code=code, detail=detail)
    return Fault(pointer=pointer, code=code, detail="There is a member that is not known.")


def _step(step: object) -> str:
    return "/" + shown(str(step)).replace("~", "~0").replace("/", "~1")
