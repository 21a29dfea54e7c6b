"""Texts with placeholders, as scenarios and the catalogue's ``ids`` and ``bind`` have them.

``{name}`` is a variable or an id of the object, ``{other.id}`` one of another object, ``{now}`` and
``{born}`` are times, ``{null}`` is null. An offset and a form may follow: ``{now+7d|paris}``.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from payhooks.errors import InvalidError
from payhooks.model.currencies import digits_of

TIMES: Final = frozenset({"now", "born"})
NULL: Final = "null"
CURRENCY: Final = "currency"  # the variable that says how many digits an amount has
# Far above any amount, and short enough that nobody fills a store with one.
AMOUNT: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,4})?")

_SPANS: Final = MappingProxyType(
    {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
)
_SPAN: Final = re.compile(r"([0-9]{1,6})(ms|s|m|h|d)")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_INSIDE: Final = re.compile(
    r"(?P<name>[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?)"
    r"(?P<offset>[+-][0-9]{1,6}(?:ms|s|m|h|d))?(?:\|(?P<form>[a-z_]+))?"
)


class Placeholder(NamedTuple):
    """What stands between braces."""

    name: str
    offset: timedelta
    form: str  # empty: as it is


def span_ms(text: str) -> int:
    """Return the milliseconds of ``30s`` or ``1d``.

    Raises:
        ValueError: It is no span.

    """
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text} is no span of time such as 30s or 1d")
    return int(found[1]) * _SPANS[found[2]]


def placeholders(value: object) -> Iterator[Placeholder]:
    """Yield every placeholder in *value*, whatever lists and objects it consists of.

    Raises:
        ValueError: One of them cannot be understood.

    """
    match value:
        case str():
            yield from map(_read, _PLACEHOLDER.findall(value))
        case Mapping():
            for member in value.values():
                yield from placeholders(member)
        case list() | tuple():
            for member in value:
                yield from placeholders(member)
        case _:
            pass


def filled(value: object, scope: Mapping[str, str | datetime]) -> object:
    """Return *value* with what *scope* has in the place of every placeholder.

    A text that is one placeholder of a number is a number.

    Raises:
        InvalidError: What is to be an amount or a number is none; names the variable.

    """
    match value:
        case str():
            return _filled_text(value, scope)
        case Mapping():
            return {name: filled(member, scope) for name, member in value.items()}
        case list() | tuple():
            return [filled(member, scope) for member in value]
        case _:
            return value


def amount_of(text: str, name: str) -> Decimal:
    """Return the amount that the variable has.

    Raises:
        InvalidError: It has none.

    """
    if AMOUNT.fullmatch(text) is None:
        raise InvalidError.at(f"/set/{name}", "invalid_amount", "This is an amount, as in 125.00.")
    return Decimal(text)


def _read(inside: str) -> Placeholder:
    found = _INSIDE.fullmatch(inside)
    if found is None:
        raise ValueError(f"{{{inside}}} is no placeholder")
    name, offset, form = found["name"], found["offset"], found["form"] or ""
    if name in TIMES:
        if form and form not in _OF_TIMES:
            raise ValueError(f"{{{inside}}}: a time has no form {form}")
    elif offset:
        raise ValueError(f"{{{inside}}}: only a time has an offset")
    elif form and (form not in _OF_TEXTS or name == NULL):
        raise ValueError(f"{{{inside}}}: there is no form {form}")
    away = 0
    if offset:
        away = span_ms(offset[1:]) * (-1 if offset[0] == "-" else 1)
    return Placeholder(name, timedelta(milliseconds=away), form)


def _filled_text(text: str, scope: Mapping[str, str | datetime]) -> object:
    whole = _PLACEHOLDER.fullmatch(text)
    if whole is not None:
        return _value(_read(whole[1]), scope)
    return _PLACEHOLDER.sub(lambda found: str(_value(_read(found[1]), scope)), text)


def _value(said: Placeholder, scope: Mapping[str, str | datetime]) -> str | int | None:
    if said.name == NULL:
        return None
    value = scope[said.name]
    if isinstance(value, datetime):
        return _OF_TIMES[said.form or "utc"](value + said.offset)
    if not said.form:
        return value
    return _OF_TEXTS[said.form](value, said.name, str(scope.get(CURRENCY, "")))


def _minor(text: str, name: str, currency: str) -> int:
    digits = digits_of(currency)
    amount = amount_of(text, name).scaleb(digits)
    if amount != int(amount):  # cut, it would be another amount than was asked for
        most = f"at most {digits} decimals" if digits else "no decimals"
        detail = f"An amount of {currency or 'money'} has {most}: {text} has more."
        raise InvalidError.at(f"/set/{name}", "invalid_amount", detail)
    return int(amount)


def _cents(text: str, name: str, currency: str) -> str:
    return str(_minor(text, name, currency))


def _whole(text: str, name: str, _currency: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise InvalidError.at(f"/set/{name}", "invalid_number", "This is a whole number.")
    return int(text)


def _in(zone: str) -> Callable[[datetime], str]:
    return lambda at: f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}"


_OF_TEXTS: Final[Mapping[str, Callable[[str, str, str], str | int]]] = MappingProxyType(
    {"minor": _minor, "cents": _cents, "int": _whole}
)
_OF_TIMES: Final[Mapping[str, Callable[[datetime], str]]] = MappingProxyType(
    {
        "utc": lambda at: at.astimezone(UTC).isoformat(timespec="seconds"),
        "z": lambda at: f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z",
        "day": lambda at: f"{at.astimezone(UTC):%Y-%m-%d}",
        "mmyy": lambda at: f"{at.astimezone(UTC):%m%y}",
        "paris": _in("Europe/Paris"),
        "los_angeles": _in("America/Los_Angeles"),
    }
)
