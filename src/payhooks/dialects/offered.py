"""Whether an object that somebody else wrote is a dialect: everything the protocol asks, by shape.

What it does with an event cannot be known before it is asked; that it can be asked can.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Final, NamedTuple, cast, get_origin, get_type_hints

from payhooks.dialects.contract import Dialect
from payhooks.limits import TIMEOUT_S_MAX
from payhooks.policy.retry import POLICIES

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_MEMBERS: Final = {name: it for name, it in vars(Dialect).items() if not name.startswith("_")}
_METHODS: Final = tuple(name for name, it in _MEMBERS.items() if not isinstance(it, property))
_FACTS: Final[dict[str, type]] = {
    name: get_origin(hint := get_type_hints(it.fget)["return"]) or hint
    for name, it in _MEMBERS.items()
    if isinstance(it, property)
}
_RANGES: Final[dict[str, tuple[float, float]]] = {
    "version": (1, 2**31 - 1),  # as stores keep it
    "timeout_s": (1.0, TIMEOUT_S_MAX),
    "connect_timeout_s": (0.1, TIMEOUT_S_MAX),
    "in_flight_max": (1, 1_000),
}


class Offer(NamedTuple):
    """Something that says it is a dialect, and where it came from."""

    origin: str  # in words, for whoever has to mend it
    found: object


def accepted(found: object) -> Dialect | str:
    """Return *found* as the dialect that it is, or what keeps it from being one, in words."""
    try:
        # One at a time: what has no name is not asked what it is called.
        words = next(chain(_of_shape(found), _of_values(found)), None)
    except Exception as error:  # noqa: BLE001 - foreign code may raise anything when looked at
        words = f"looking at it raises {type(error).__name__}"
    return cast("Dialect", found) if words is None else words


def _of_shape(found: object) -> Iterator[str]:
    if isinstance(found, type):
        yield "it is a class; name an object made of it"
    missing = [name for name in _MEMBERS if not hasattr(found, name)]
    if missing:
        yield f"it has no {', '.join(missing)}"
    for name in _METHODS:
        if not callable(getattr(found, name)):
            yield f"its {name} cannot be called"
    for name, wanted in _FACTS.items():
        if not _is_of(getattr(found, name), wanted):
            yield f"its {name} is no {wanted.__name__}"


def _of_values(found: object) -> Iterator[str]:
    dialect = cast("Dialect", found)
    if not _NAME.fullmatch(dialect.name):
        yield "its name is not of lower-case letters, digits and -, at most 40"
    if dialect.retry_policy not in POLICIES:
        yield f"its retry_policy is none of {', '.join(POLICIES)}"
    for name, (least, most) in _RANGES.items():
        if not least <= getattr(dialect, name) <= most:
            yield f"its {name} is not between {least} and {most}"


def _is_of(value: object, wanted: type) -> bool:
    if wanted is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is wanted
