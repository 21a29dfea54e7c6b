"""Card numbers that nobody was ever given, of every brand, and the disguises in which they come."""

import base64
import json
import sys
from collections.abc import Callable, Collection, Mapping
from random import Random
from typing import Final

from payhooks.flow.receipt_guard import guarded
from payhooks.ids import ConnectorId, MerchantId, ReceiptId
from payhooks.model.receipt import Receipt, Verdict

# How the numbers of a brand begin, and how long they are.
BRANDS: Final[Mapping[str, tuple[tuple[str, int], ...]]] = {
    "visa": (("4", 16), ("4", 19), ("4", 13)),
    "mastercard": (("51", 16), ("55", 16), ("2221", 16), ("2720", 16)),
    "american express": (("34", 15), ("37", 15)),
    "diners club": (("300", 14), ("3095", 14), ("36", 14), ("38", 16)),
    "discover": (("6011", 16), ("644", 16), ("65", 19)),
    "jcb": (("3528", 16), ("3589", 16)),
    "unionpay": (("62", 16), ("62", 19), ("81", 16)),
    "maestro": (("5018", 12), ("6759", 19), ("5893", 13), ("6304", 18)),
    "rupay": (("508", 16), ("60", 16), ("82", 16)),
    "mir": (("2200", 16), ("2204", 19)),
    "troy": (("9792", 16),),
}
# Printed in the documentation of payment companies, for tests.
PRINTED: Final = (
    "4111111111111111",
    "4242424242424242",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "30569309025904",
    "6011111111111117",
    "3530111333300000",
    "6200000000000005",
    "6759649826438453",
)


def number_of(begin: str, length: int, random: Random) -> str:
    """Return a number with a right check digit."""
    body = begin + "".join(random.choices("0123456789", k=length - len(begin) - 1))
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return f"{body}{-total % 10}"


def corpus(count: int) -> list[str]:
    """Return the printed ones and so many of every brand in turn, always the same."""
    random = Random(40)
    kinds = [kind for kinds in BRANDS.values() for kind in kinds]
    return [*PRINTED, *(number_of(*kinds[n % len(kinds)], random) for n in range(count))]


def grouped(number: str, separator: str) -> str:
    """Return the number in fours, as it is printed on most cards."""
    return separator.join(number[at : at + 4] for at in range(0, len(number), 4))


def _in_script(number: str, zero: str) -> str:
    return "".join(chr(ord(zero) + int(digit)) for digit in number)


def _text(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()


def _escaped(number: str) -> bytes:
    return b'"%b"' % "".join(f"\\u{ord(digit):04x}" for digit in number).encode()


# Each returns the JSON of one value.
DISGUISES: Final[Mapping[str, Callable[[str], bytes]]] = {
    "plain": _text,
    "JSON number": str.encode,
    "spaces": lambda number: _text(grouped(number, " ")),
    "hyphens": lambda number: _text(grouped(number, "-")),
    "dots": lambda number: _text(grouped(number, ".")),
    "no-break spaces": lambda number: _text(grouped(number, "\u00a0")),
    "zero-width": lambda number: _text(grouped(number, "\u200b")),
    "every digit apart": lambda number: _text(" ".join(number)),
    "Arabic digits": lambda number: _text(_in_script(number, "\u0660")),
    "full-width digits": lambda number: _text(_in_script(number, "\uff10")),
    "mathematical digits": lambda number: json.dumps(_in_script(number, "\U0001d7ce")).encode(),
    "escapes": _escaped,
    "escaped separators": lambda number: json.dumps(grouped(number, "\u2009")).encode(),
    "in a sentence": lambda number: _text(f'Paid with "{number}",\nexp 12/27.'),
    "before an expiry date": lambda number: _text(f"{grouped(number, ' ')} 12 27"),
    "behind Chinese": lambda number: _text(f"卡号{number}已付款"),
    "in base64": lambda number: _text(base64.b64encode(f'{{"pan":"{number}"}}'.encode()).decode()),
    "in URL-safe base64, in groups": lambda number: _text(
        base64.urlsafe_b64encode(f"?>{grouped(number, ' ')}".encode()).decode().rstrip("=")
    ),
}
# Base64 is looked into for what has fourteen digits: shorter ones look like any base64.
BASE64_DIGITS_MIN: Final = 14
# Who counts the lines that are run takes three times as long as they do.
TRACED: Final = 3.0 if sys.gettrace() is not None else 1.0


def is_carried(disguise: str, number: str) -> bool:
    """Whether a disguise is looked through for a number as long as that."""
    return "base64" not in disguise or len(number) >= BASE64_DIGITS_MIN


def guarded_body(body: bytes, own_ids: Collection[tuple[str | int, ...]] = ()) -> bytes:
    """Return a body as a receipt with it is stored."""
    receipt = Receipt(
        id=ReceiptId(bytes(15) + b"\x01"),
        merchant_id=MerchantId(bytes(15) + b"\x02"),
        connector_id=ConnectorId(bytes(15) + b"\x03"),
        method="POST",
        query="",
        headers=(),
        body=body,
        body_sha256=bytes(32),
        verdict=Verdict.VERIFIED,
        answered=200,
    )
    return guarded(receipt, own_ids=own_ids).body
