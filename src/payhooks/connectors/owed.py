"""Events that an object has come to mean, and that nobody told. Pure.

A message is told once. Where an option was changed since, it means another event now, which is
owed: another message that says the same once more, and of which nothing was told, tells it. Where
money was told of the object, that may be the same money, and nothing is owed.
"""

from collections.abc import Collection
from typing import Final

from payhooks.connectors.words import Message, Word, event_in, identity_of, message_in

_MONEY: Final = frozenset(
    {"payment_captured", "payment_succeeded", "refund_succeeded", "payout_success"}
)


class Owed:
    """What is owed of one object. Ask it in the provider's time, of what is not over by then."""

    def __init__(self, said: Collection[str]) -> None:
        """Begin with nothing; *said* is what was kept of the words that were told."""
        self._told = frozenset(map(message_in, said))
        self._events = frozenset(map(event_in, said))
        self._owed: set[str] = set()

    def __bool__(self) -> bool:
        """Whether anything is."""
        return bool(self._owed)

    def was_told(self, message: Message) -> bool:
        """Whether something was told of a message."""
        return identity_of(message.heard).hex() in self._told

    def note(self, word: Word) -> None:
        """Take in what a message means; what is news each time is not owed."""
        is_news = word.unified not in self._events and not self._events & _MONEY
        if self.was_told(word.message) and is_news and not word.each_time:
            self._owed.add(word.unified)

    def settle(self, unified: str | None, message: Message) -> bool:
        """Return whether a message that says the event once more is the one to tell it."""
        if unified not in self._owed or self.was_told(message):
            return False
        self._owed.discard(unified)
        return True
