"""Ids for what a scenario makes: as the provider's look, and the same for the same seed."""

import hashlib
import re
import string
from typing import Final
from uuid import UUID

_DRAWN: Final = re.compile(r"\{(?:(hex|digits|alnum):([1-9][0-9]?)|(uuid))\}")
_ALPHABETS: Final = {
    "hex": "0123456789abcdef",
    "digits": string.digits,
    "alnum": string.ascii_letters + string.digits,
}


def drawn(template: str, seed: str) -> str:
    """Return *template* with what ``{hex:32}``, ``{uuid}`` and the like stand for.

    Raises:
        ValueError: It has a placeholder of another kind.

    """
    left = _DRAWN.sub("", template)
    if "{" in left or "}" in left:
        raise ValueError(f"{template}: an id has {{hex:N}}, {{digits:N}}, {{alnum:N}} or {{uuid}}")
    places = iter(range(len(template)))
    return _DRAWN.sub(lambda found: _draw(found, f"{seed}/{next(places)}"), template)


def _draw(found: re.Match[str], seed: str) -> str:
    number = int.from_bytes(hashlib.sha512(seed.encode()).digest() * 2, "big")
    if found[3]:
        return str(UUID(int=number & (1 << 128) - 1, version=4))
    alphabet, count = _ALPHABETS[found[1]], int(found[2])
    letters = []
    for _ in range(count):
        number, letter = divmod(number, len(alphabet))
        letters.append(alphabet[letter])
    if found[1] == "digits" and letters[0] == "0":
        letters[0] = "1"  # read as a number it must have as many digits
    return "".join(letters)
