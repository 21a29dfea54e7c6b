"""What all bodies share: no unknown members, no guessed types, times with a zone."""

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import PydanticKnownError


class Body(BaseModel):
    """A request's body. A member that is not known is an error, not a typo that is ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class View(BaseModel):
    """An answer's body; documentation alone, answers are encoded from plain values."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]")


def _only_text(value: object) -> object:
    # Pydantic takes a number, or digits, for seconds since 1970; who sends one meant otherwise.
    if not isinstance(value, str) or _DATE.match(value) is None:
        raise PydanticKnownError("datetime_type")
    return value


def _in_utc(value: datetime) -> datetime:
    # Stores and answers speak UTC; the first and the last hours of the calendar have none.
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("A time lies between the years 1 and 9999 in UTC") from None


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticKnownError("float_type")
    # An integer of JSON may have any length, and what computes with it has doubles.
    try:
        finite = math.isfinite(value)
    except OverflowError:
        raise ValueError("A number is at most what a double holds") from None
    if not finite:
        raise PydanticKnownError("finite_number")
    return value


Time = Annotated[AwareDatetime, BeforeValidator(_only_text), AfterValidator(_in_utc)]
# As it came: 5 is answered as 5. One check, as two of a union would each say what is wrong.
Number = Annotated[float, PlainValidator(_number), WithJsonSchema({"type": "number"})]
JsonObject = dict[str, Any]
Label = Annotated[str, Field(min_length=1, max_length=80, description="A name for people.")]


class Page(View):
    """One part of a list."""

    has_more: bool
    next: str | None = Field(description="Give this as `after` to read on.")
