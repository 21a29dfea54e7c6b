"""What a message says, by JSON pointer: texts, amounts to the digit, currencies.

Every method takes several pointers and answers with the first that something stands at: providers
say the same in other places from one message to the next.
"""

import re
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final

import msgspec

from payhooks.catalogue.life_cycle import at
from payhooks.errors import InvalidError
from payhooks.model.currencies import digits_of

# A double would lose digits of an amount, so numbers with a point are read as they are spelled.
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode
# More than any payment has; without a bound somebody's exponent fills the memory.
_AMOUNT: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_WHOLE: Final = re.compile(r"[0-9]{1,18}")
_CURRENCY: Final = re.compile(r"[A-Za-z]{3}")
_TEXT_CHARS_MAX: Final = 255  # of an id or a reference, as stores keep them


class Unit(StrEnum):
    """What an amount counts."""

    WHOLE = "whole"  # 12.50 are twelve euros and a half
    SMALLEST = "smallest"  # 1250 are the same


class Said:
    """One message's data."""

    def __init__(self, data: bytes) -> None:
        """Read it.

        Raises:
            InvalidError: It is no JSON.

        """
        self.spelled: Final = data
        try:
            self.data: object = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidOperation):
            # The last: an exponent with more digits than any number needs is JSON, and no decimal.
            raise InvalidError.at("", "malformed", "The message's data is not JSON.") from None

    def text(self, *pointers: str) -> str | None:
        """Return a text, or a whole number as text; None where neither is there."""
        for pointer in pointers:
            found = at(self.data, pointer)
            if isinstance(found, int) and not isinstance(found, bool):
                found = str(found)
            if isinstance(found, str) and 0 < len(found) <= _TEXT_CHARS_MAX:
                return found
        return None

    def needed(self, *pointers: str) -> str:
        """Return what ``text`` does.

        Raises:
            InvalidError: There is none.

        """
        found = self.text(*pointers)
        if found is None:
            raise _absent(pointers)
        return found

    def currency(self, *pointers: str) -> str | None:
        """Return a currency in capitals; None where nothing is there.

        Raises:
            InvalidError: It is none.

        """
        found = self.text(*pointers)
        if found is not None and _CURRENCY.fullmatch(found) is None:
            raise InvalidError.at(pointers[0], "malformed", "It is not a currency of ISO 4217.")
        return None if found is None else found.upper()

    def amount(self, *pointers: str, currency: str, unit: Unit) -> Decimal | None:
        """Return an amount in the currency's own unit; None where nothing is there.

        Raises:
            InvalidError: It is none, or less than the currency's smallest coin remains.

        """
        for pointer in pointers:
            found = at(self.data, pointer)
            if found is not None and found != "":
                return _amount(found, pointer, digits_of(currency), unit)
        return None


def _amount(found: object, pointer: str, digits: int, unit: Unit) -> Decimal:
    spelled = str(found) if isinstance(found, (str, int, Decimal)) else ""
    if isinstance(found, bool):
        spelled = ""
    if unit is Unit.SMALLEST:
        if _WHOLE.fullmatch(spelled) is None:
            detail = "It is not an amount in the currency's smallest unit."
            raise InvalidError.at(pointer, "malformed", detail)
        return Decimal(spelled).scaleb(-digits)
    if _AMOUNT.fullmatch(spelled) is None:
        raise InvalidError.at(pointer, "malformed", "It is not an amount.")
    amount = Decimal(spelled)
    if amount.scaleb(digits) % 1 != 0:
        detail = "The currency has no coin that is so small."
        raise InvalidError.at(pointer, "malformed", detail)
    return amount


def _absent(pointers: tuple[str, ...]) -> InvalidError:
    names = " or ".join(pointer.removeprefix("/").replace("/", ".") for pointer in pointers)
    return InvalidError.at(pointers[0], "required", f"The message has no {names}.")
