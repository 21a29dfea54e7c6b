"""Which captures of an object stand, as its messages tell of them in the provider's time. Pure.

Whoever let go of the rest, or of one capture, takes nothing back of another one. So what stands is
counted by captures, and not read from the state that the last message left.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import msgspec

from payhooks.connectors.contract import Heard

_BRINGS_MONEY: Final = frozenset({"payment_captured", "payment_succeeded"})


def brings_money(heard: Heard) -> bool:
    """Return whether it is a capture that was made, and not one that failed."""
    return heard.capture != "" and heard.type in _BRINGS_MONEY


class Standing(NamedTuple):
    """What stood when a message was heard."""

    before: bool  # a capture of another message
    after: bool  # a capture, with what the message says of its own
    again: bool  # it says of its capture that it failed, as was said already


class Captures:
    """The captures of one object. Tell it the messages in the provider's time."""

    def __init__(
        self, told: Iterable[str], *, standing: int, identify: Callable[[Heard], str]
    ) -> None:
        """Begin with the captures that stand of messages that nobody has any more.

        *told* are these, and *standing* is how many of their captures have not failed.
        """
        self._told = set(told)
        self._standing_long = standing
        self._identify = identify
        self._standing: set[str] = set()
        self._failed: set[str] = set()

    def hear(self, heard: Heard) -> Standing:
        """Take in what a message says of a capture, if it says anything."""
        before, again = self._stand(), False
        if brings_money(heard):
            self._failed.discard(heard.capture)
            if self._identify(heard) not in self._told:  # else it is counted
                self._standing.add(heard.capture)
        elif heard.capture:
            again = heard.capture in self._failed
            self._fail(heard)
        return Standing(before, self._stand(), again)

    def _fail(self, heard: Heard) -> None:
        self._failed.add(heard.capture)
        self._standing.discard(heard.capture)
        captured = self._identify(msgspec.structs.replace(heard, event_id=heard.capture))
        if captured in self._told and self._identify(heard) not in self._told:
            self._told.discard(captured)
            self._standing_long -= 1

    def _stand(self) -> bool:
        return bool(self._standing) or self._standing_long > 0
