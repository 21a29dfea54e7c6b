"""Whether a provider's messages agree on how much money came of an object. Pure.

That a payment, a refund or a payout went through is said once of each, and with one amount. Said
again with another, as a message of its own, it is news that may be a mistake: it is told, in
whatever order the two come, and marked, for somebody has to ask which is right (docs/adr/0017).
Parts of a payment are not concerned, as each is told; nor is what an account corrects when it is
asked, or what failed in between and went through with another amount afterwards.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from payhooks.connectors.contract import Heard, Told
from payhooks.connectors.words import Word, amount_in, event_in, identity_of, object_of

_WENT_THROUGH: Final = frozenset({"payment_succeeded", "refund_succeeded", "payout_success"})
# After these the money may come with any amount.
_UNDOES: Final = frozenset(
    {
        "payment_cancelled",
        "payment_cancelled_post_capture",
        "payment_expired",
        "payment_failed",
        "payout_cancelled",
        "payout_expired",
        "payout_failed",
        "payout_reversed",
        "refund_failed",
    }
)


class _Money(NamedTuple):
    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"


class Amounts:
    """With which amounts it was said of objects that something went through."""

    def __init__(self, ancient: Sequence[str]) -> None:
        """Begin with what was told of messages that nobody has any more."""
        self._said: dict[tuple[str, str, str], set[_Money]] = {}
        for kept in ancient:
            money = amount_in(kept)
            if event_in(kept) in _WENT_THROUGH and money is not None:
                place = (event_in(kept), *object_of(kept))
                self._said.setdefault(place, set()).add(_Money(*money))

    def __bool__(self) -> bool:
        """Whether there is anything that could be said again with another."""
        return bool(self._said)

    def note(self, heard: Heard, unified: str, told: Told) -> None:
        """Take in what a message is told as."""
        money = _stated(heard, unified, told)
        if money is not None:
            place = (unified, told.object_type, told.object_id)
            self._said.setdefault(place, set()).add(money)

    def differ(self, heard: Heard, unified: str | None, told: Told | None) -> bool:
        """Return whether what a message says was said before, and never with this amount."""
        if unified is None or told is None:
            return False
        money = _stated(heard, unified, told)
        said = self._said.get((unified, told.object_type, told.object_id))
        return said is not None and money is not None and money not in said


def marked(
    chosen: Sequence[Word], words: Sequence[Word], ancient: Sequence[str]
) -> tuple[Word, ...]:
    """Return the words that are *chosen* to be told, with which other amount each was said.

    *words* are all, in the provider's time, and *ancient* is what was told, oldest first, of
    messages that nobody has any more. What a person insists on is no question.
    """
    others = _others(words, ancient)
    return tuple(
        msgspec.structs.replace(word, conflicting=others.get(identity_of(word.heard), ""))
        for word in chosen
    )


def _others(words: Sequence[Word], ancient: Sequence[str]) -> dict[bytes, str]:
    """Return by message another amount than its own, with which the same was said."""
    said: dict[tuple[str, str], dict[_Money, bytes | None]] = {}
    for kept in ancient:
        money = amount_in(kept)
        if event_in(kept) in _UNDOES:
            said.pop(object_of(kept), None)
        elif event_in(kept) in _WENT_THROUGH and money is not None:
            said.setdefault(object_of(kept), {})[_Money(*money)] = None
    found: dict[bytes, str] = {}
    for word in words:
        place, identity = (word.told.object_type, word.told.object_id), identity_of(word.heard)
        if word.unified in _UNDOES:
            said.pop(place, None)
        money = _stated(word.heard, word.unified, word.told)
        if money is None or word.message.insisted:
            continue
        beside = said.setdefault(place, {})
        for other, who in beside.items():
            if other != money:
                found[identity] = str(other)
                if who is not None:
                    found.setdefault(who, str(money))
        beside.setdefault(money, identity)
    return found


def _stated(heard: Heard, unified: str, told: Told) -> _Money | None:
    """Return what a message says that came of its object; None where it says nothing of that."""
    # What an account may correct when it is asked has a version.
    if unified not in _WENT_THROUGH or heard.each_time or heard.version:
        return None
    if told.amount is None or told.currency is None:
        return None
    return _Money(told.amount, told.currency)
