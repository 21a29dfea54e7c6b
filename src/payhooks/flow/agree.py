"""Whether a provider said otherwise under the same id; where he did, a person decides. Pure."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from payhooks.catalogue import Catalogue
from payhooks.connectors import history
from payhooks.connectors.contract import Heard
from payhooks.connectors.history import History
from payhooks.connectors.words import Message, Word, amount_in, identity_of, message_in
from payhooks.errors import InvalidError
from payhooks.flow.messages import Account, by_identity, message_of, under_own_id
from payhooks.model.receipt import Receipt


class ContradictedError(Exception):
    """The provider said otherwise under the same id."""


class Folding(msgspec.Struct, frozen=True, kw_only=True):
    """How the messages of an account are folded while a receipt is brought to its end."""

    account: Account
    receipt: Receipt
    catalogue: Catalogue
    now: datetime
    # The words of messages alone, by identity and data: each is asked for again and again.
    alone: dict[tuple[bytes, bytes], tuple[Word, ...]] = msgspec.field(default_factory=dict)

    def history(
        self,
        messages: Sequence[Message],
        *,
        said: Collection[str] = (),
        ancient: Sequence[str] = (),
    ) -> History:
        """Return what follows from distinct messages; *said* and *ancient* are as in ``untold``.

        Raises:
            InvalidError: The receipt brought one that lacks what it has to say.

        """
        return history.folded(
            self.account.provider,
            messages,
            self.account.options,
            catalogue=self.catalogue,
            merchant_id=self.account.table.merchant.id,
            now=self.now,
            said=said,
            ancient=ancient,
            newest=self.receipt.id,
        )

    def is_contrary(self, message: Message, holder: Message | None, ancient: Sequence[str]) -> bool:
        """Return whether a message means something else than what has its id.

        That is its *holder*; or, where nobody has it any more, what was told of it long ago.
        """
        if holder is None:
            return self._is_other_money(message, ancient)
        if holder.heard.data == message.heard.data:
            return False
        return self.meanings(message) != self.meanings(holder)

    def meanings(self, message: Message) -> tuple[str, ...]:
        """Return what a message means by itself."""
        return tuple(word.meaning for word in self._words(message))

    def _is_other_money(self, message: Message, ancient: Sequence[str]) -> bool:
        identity = identity_of(message.heard).hex()
        told = [amount_in(word) for word in ancient if message_in(word) == identity]
        known = {money for money in told if money is not None}
        if not known:
            return False
        try:
            words = self._words(message)
        except InvalidError:
            return False  # Another option may leave it nothing to say. What it was is told.
        # Another option makes another event of that money, and may give it another currency.
        currencies = {currency for _amount, currency in known}
        return any(
            word.told.currency in currencies and (word.told.amount, word.told.currency) not in known
            for word in words
        )

    def _words(self, message: Message) -> tuple[Word, ...]:
        key = (identity_of(message.heard), message.heard.data)
        if key not in self.alone:
            self.alone[key] = self.history([message]).words
        return self.alone[key]


def agreed(
    folding: Folding, group: Sequence[Heard], earlier: Sequence[Message], ancient: Sequence[str]
) -> list[Message]:
    """Return what a receipt says of one object, each message under the id under which it is told.

    That is the provider's, but where a person insists on what was said otherwise under it: that
    has an id of its own. *ancient* is as in ``untold``.

    Raises:
        ContradictedError: It means another event, or another amount, and nobody insists on it.
        InvalidError: A message lacks what it has to say.

    """
    holders = by_identity(earlier)
    own: set[tuple[bytes, tuple[str, ...]]] = set()
    found = []
    for heard in group:
        message, identity = message_of(folding.receipt, heard), identity_of(heard)
        if not folding.is_contrary(message, holders.get(identity), ancient):
            holders.setdefault(identity, message)
            found.append(message)
        elif not folding.receipt.despite_conflict:
            raise ContradictedError
        elif (said := (identity, folding.meanings(message))) not in own:
            own.add(said)
            found.append(message_of(folding.receipt, under_own_id(heard)))
    return found
