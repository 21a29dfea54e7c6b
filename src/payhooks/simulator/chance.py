"""Chance by coordinates: what happens at one site does not depend on what happened elsewhere.

A shared stream of random numbers would shift with every fault that is taken out, and a failing
run could not be made smaller. Here each decision hashes the seed with its own coordinate.
"""

import hashlib
import math
from collections.abc import Sequence
from random import Random
from typing import Final, TypeVar

Option = TypeVar("Option")

_SCALE: Final = 2.0**64
_DIGEST_BYTES: Final = 8


class Chance:
    """Every draw of one run. The same seed gives the same answer to the same question."""

    def __init__(self, seed: int, *, tape: frozenset[str] | None = None) -> None:
        """Take the seed; with a *tape* only the faults whose coordinates are on it fire."""
        self._key = f"payhooks:{seed}".encode()
        self._tape = tape
        self._numbers: dict[str, int] = {}
        self.enabled = True  # faults may fire; off in the phase that must end well
        self.fired: list[str] = []  # coordinates of the faults that fired, in order

    def draw(self, coordinate: str) -> float:
        """Return a number from 0 up to 1."""
        digest = hashlib.blake2b(coordinate.encode(), digest_size=_DIGEST_BYTES, key=self._key)
        return int.from_bytes(digest.digest(), "big") / _SCALE

    def between(self, coordinate: str, low: float, high: float) -> float:
        """Return a number from *low* up to *high*."""
        return low + (high - low) * self.draw(coordinate)

    def whole(self, coordinate: str, low: int, high: int) -> int:
        """Return a whole number from *low* to *high*, both included."""
        return low + int((high - low + 1) * self.draw(coordinate))

    def skewed(self, coordinate: str, low: float, high: float) -> float:
        """Return a number between the two, as likely in one decade as in the next."""
        return low * math.exp(math.log(high / low) * self.draw(coordinate))

    def one_of(self, coordinate: str, options: Sequence[Option]) -> Option:
        """Return one of *options*."""
        return options[int(self.draw(coordinate) * len(options))]

    def fires(self, coordinate: str, rate: float) -> bool:
        """Return whether the fault at this coordinate happens, and remember that it did."""
        if not self.enabled or rate <= 0 or self.draw(coordinate) >= rate:
            return False
        if self._tape is not None and coordinate not in self._tape:
            return False
        self.fired.append(coordinate)
        return True

    def numbered(self, site: str) -> str:
        """Return the coordinate of the next visit to *site*."""
        number = self._numbers.get(site, 0) + 1
        self._numbers[site] = number
        return f"{site}#{number}"

    def random(self, coordinate: str) -> Random:
        """Return a stream for code that takes one, apart for each coordinate."""
        return Random(int(self.draw(coordinate) * _SCALE))  # noqa: S311 - a seed replays it
