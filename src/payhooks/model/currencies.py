"""How many digits a currency has behind the point (ISO 4217)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_USUAL: Final = 2
_POINTLESS: Final = ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX")
_DIGITS: Final[Mapping[str, int]] = MappingProxyType(
    {
        **dict.fromkeys((*_POINTLESS, "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
        **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    }
)


def digits_of(currency: str) -> int:
    """Return how many digits are behind the point of an amount; two where nobody knows."""
    return _DIGITS.get(currency.upper(), _USUAL)
