"""Every dialect, by name."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from payhooks.dialects.contract import Dialect
from payhooks.dialects.standard import STANDARD
from payhooks.errors import InvalidError
from payhooks.model.merchant import Merchant

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType({STANDARD.name: STANDARD})


def bound(name: str, merchant: Merchant) -> Dialect:
    """Return the dialect called *name* as this merchant speaks it; it is known to exist."""
    return DIALECTS[name]


def find(name: str) -> Dialect:
    """Return the dialect called *name*.

    Raises:
        InvalidError: At ``/dialect``; there is none of that name.

    """
    dialect = DIALECTS.get(name)
    if dialect is None:
        # 64: difflib's time grows with the square of what it is given.
        near = get_close_matches(name[:64], DIALECTS, n=1)
        choice = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(DIALECTS)}."
        raise InvalidError.at("/dialect", "unknown_dialect", f"No such dialect. {choice}")
    return dialect
