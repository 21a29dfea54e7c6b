"""Who hears of what: event types, patterns, and the table that answers for many endpoints.

A pattern is an exact type, or the beginning of one and a star: ``payment_intent.*`` and
``payment_*`` by the same rule, ``*`` for everything. Case counts.
"""

from collections.abc import Iterable
from re import compile as compiled
from typing import Final

from payhooks import limits

# [.] instead of an escape, and \Z instead of $, which also matches before a newline.
_EVENT_TYPE: Final = compiled(r"[A-Za-z0-9_-]+(?:[.][A-Za-z0-9_-]+)*\Z")
_BEGINNING: Final = compiled(r"(?:[A-Za-z0-9_-]+[.])*[A-Za-z0-9_-]*\Z")
_STAR: Final = "*"

# A merchant uses some dozens of types; a publisher that makes up a type per event must not
# grow the memo. The second bound is the one that costs memory: 8 bytes an index, so 4 MiB.
MEMO_TYPES_MAX: Final = 1_024
MEMO_INDEXES_MAX: Final = 524_288


def is_valid_event_type(text: str) -> bool:
    """Return whether *text* can name an event type, whoever's it is."""
    return len(text) <= limits.EVENT_TYPE_CHARS_MAX and _EVENT_TYPE.match(text) is not None


def is_valid_pattern(text: str) -> bool:
    """Return whether *text* can select event types: an exact type, or a beginning and a star."""
    if not text.endswith(_STAR):
        return is_valid_event_type(text)
    beginning = text[:-1]
    return len(beginning) <= limits.EVENT_TYPE_CHARS_MAX and _BEGINNING.match(beginning) is not None


def matches(pattern: str, event_type: str) -> bool:
    """Return whether *pattern* selects *event_type*. The definition MatchTable must equal."""
    if pattern.endswith(_STAR):
        return event_type.startswith(pattern[:-1])
    return event_type == pattern


class MatchTable:
    """The subscriptions of many endpoints, asked by type in the time that the answer takes.

    Built once per version of a merchant's routing and never changed; only its memo is. Its
    owner's event loop alone may use it.
    """

    def __init__(self, entries: Iterable[tuple[int, Iterable[str]]]) -> None:
        self._exact: dict[str, list[int]] = {}
        self._beginnings: dict[str, list[int]] = {}
        for index, patterns in entries:
            for pattern in patterns:
                if pattern.endswith(_STAR):
                    self._beginnings.setdefault(pattern[:-1], []).append(index)
                else:
                    self._exact.setdefault(pattern, []).append(index)
        self._lengths = sorted({len(beginning) for beginning in self._beginnings})
        self._memo: dict[str, tuple[int, ...]] = {}
        self._memo_indexes = 0

    def select(self, event_type: str) -> tuple[int, ...]:
        """Return the indexes with at least one pattern that selects it, ascending, each once."""
        known = self._memo.get(event_type)
        if known is not None:
            return known
        selected = self._look_up(event_type)
        self._remember(event_type, selected)
        return selected

    def _look_up(self, event_type: str) -> tuple[int, ...]:
        found = set(self._exact.get(event_type, ()))
        # At most as many look-ups as a type has characters, however many patterns there are.
        for length in self._lengths:
            if length > len(event_type):
                break
            found.update(self._beginnings.get(event_type[:length], ()))
        return tuple(sorted(found))

    def _remember(self, event_type: str, selected: tuple[int, ...]) -> None:
        full = len(self._memo) >= MEMO_TYPES_MAX
        if full or self._memo_indexes + len(selected) > MEMO_INDEXES_MAX:
            # Emptying it all costs one look-up per type in use; an eviction order would cost
            # something at every hit.
            self._memo.clear()
            self._memo_indexes = 0
        self._memo[event_type] = selected
        self._memo_indexes += len(selected)
