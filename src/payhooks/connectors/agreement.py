"""Whether a provider's messages agree on how much money came of an object. Pure.

That a payment, a refund or a payout went through is said once of each, and with one amount. Said
again with another, as a message of its own, it is a mistake, or news that no program can tell from
one: a person decides (docs/adr/0017). Parts of a payment are not concerned, as each is told; nor
is what failed in between, and went through with another amount afterwards.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from payhooks.connectors.contract import Told
from payhooks.connectors.untold import first_after
from payhooks.connectors.words import Message, Word, amount_in, event_in, identity_of

_WENT_THROUGH: Final = frozenset({"payment_succeeded", "refund_succeeded", "payout_success"})


class Disagreement(NamedTuple):
    """That what came of an object was said with two amounts."""

    messages: frozenset[bytes]  # identities of those that say so
    words: str


class _Money(NamedTuple):
    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"


class Agreement:
    """What came of the objects of one history. Tell it the messages in the provider's time."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self.disagreements: list[Disagreement] = []
        # By object: the event, its money, and which message said so.
        self._said: dict[tuple[str, str], tuple[str, _Money, bytes]] = {}

    def __bool__(self) -> bool:
        """Whether there is anything that another message could disagree with."""
        return bool(self._said)

    def hear(
        self, message: Message, unified: str | None, told: Told | None, *, moved: bool
    ) -> None:
        """Take in what a message means, and whether it *moved* its object."""
        if moved and told is None:
            self._said.clear()  # which it was, nobody knows
        if told is None:
            return
        place = (told.object_type, told.object_id)
        if moved:
            self._said.pop(place, None)
        money = None if unified is None else _stated(message, unified, told)
        if unified is None or money is None:
            return
        identity = identity_of(message.heard)
        event, before, first = self._said.setdefault(place, (unified, money, identity))
        if event == unified and before != money:
            self.disagreements.append(_between(unified, before, money, {first, identity}))


def _stated(message: Message, unified: str, told: Told) -> _Money | None:
    """Return what a message says that came of its object; None where it says nothing of that."""
    heard = message.heard
    # What a provider may correct has a version: the answers of an account.
    is_otherwise = message.insisted or heard.each_time or heard.version != ""
    if unified not in _WENT_THROUGH or is_otherwise:
        return None
    if told.amount is None or told.currency is None:
        return None
    return _Money(told.amount, told.currency)


def since(words: Sequence[Word], ancient: Sequence[str]) -> Iterator[Disagreement]:
    """Yield where words disagree with what was told last of messages that nobody has any more.

    *words* and *ancient* are as in ``untold``.
    """
    for word, kept in first_after(words, ancient):
        money, before = _stated(word.message, word.unified, word.told), amount_in(kept)
        if money is None or before is None or event_in(kept) != word.unified:
            continue
        if before != money:
            both = {identity_of(word.message.heard)}
            yield _between(word.unified, _Money(*before), money, both)


def _between(unified: str, one: _Money, other: _Money, messages: set[bytes]) -> Disagreement:
    words = f"{unified} of {one} and of {other}"
    return Disagreement(messages=frozenset(messages), words=words)
