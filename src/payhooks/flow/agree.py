"""Whether a receipt says what its provider said before; where not, a person decides. Pure."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from payhooks.catalogue import Catalogue
from payhooks.connectors import history
from payhooks.connectors.contract import Heard
from payhooks.connectors.history import History
from payhooks.connectors.words import (
    Message,
    identity_of,
    meaning_in,
    message_in,
    money_in,
)
from payhooks.flow.messages import Account, by_identity, insisted, message_of, number_of, read
from payhooks.ids import ReceiptId
from payhooks.model.receipt import Receipt


class ContradictedError(Exception):
    """The provider said otherwise before, under the same id."""


class Folding(msgspec.Struct, frozen=True, kw_only=True):
    """How the messages of an account are folded while a receipt is brought to its end."""

    account: Account
    receipt: Receipt
    catalogue: Catalogue
    now: datetime

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

    def contradicts(self, message: Message, other: Message) -> bool:
        """Return whether of two messages with one id each means something else."""
        if other.heard.data == message.heard.data:
            return False
        return self._meanings(message) != self._meanings(other)

    def was_insisted_on(self, message: Message, earlier: Sequence[Message]) -> bool:
        """Return whether a person had the very same told already, as another receipt brought it."""
        # Told, it has an id of its own: it is the same as what its receipt is read as.
        as_read = (
            heard
            for one in earlier
            if one.insisted
            for heard in self.account.reads.get(ReceiptId(one.receipt_id), ())
        )
        identity, data = identity_of(message.heard), message.heard.data
        return any(identity_of(heard) == identity and heard.data == data for heard in as_read)

    def _meanings(self, message: Message) -> list[str]:
        return [word.meaning for word in self.history([message]).words]

    def insisted(
        self, group: Sequence[Heard], earlier: Sequence[Message], ancient: Sequence[str]
    ) -> Sequence[Heard]:
        """Return what the receipt says, of which a person has said that it is told all the same.

        Of a batch he insists on what conflicts, and the rest is what it was.
        """
        receipt, reading = self.receipt, read(self.account, self.receipt)
        known = by_identity(earlier)
        own: list[Message] = []
        found = []
        for heard in group:
            message, identity = message_of(receipt, heard), identity_of(heard)
            if self.was_insisted_on(message, earlier):
                found.append(heard)
            elif not self._is_contrary(message, known.get(identity), ancient):
                known.setdefault(identity, message)
                found.append(heard)
            elif not any(self._repeats(message, other) for other in own):
                own.append(message)
                found.append(insisted(receipt, heard, number_of(heard, reading)))
        return found

    def _is_contrary(self, message: Message, known: Message | None, ancient: Sequence[str]) -> bool:
        if len(read(self.account, self.receipt)) == 1:
            return True  # What conflicts is the only one that there is.
        if known is not None:
            return self.contradicts(message, known)
        return self._is_other_money(message, ancient)

    def _repeats(self, message: Message, other: Message) -> bool:
        is_same = identity_of(message.heard) == identity_of(other.heard)
        return is_same and not self.contradicts(message, other)

    def _is_other_money(self, message: Message, ancient: Sequence[str]) -> bool:
        # What was told of it is known. Another option makes another event of that money.
        identity = identity_of(message.heard).hex()
        told = [word for word in ancient if message_in(word) == identity]
        meant = self._meanings(message) if told else []
        return not {money_in(meaning_in(word)) for word in told}.issuperset(map(money_in, meant))


def demand_one_meaning(
    folding: Folding, earlier: Sequence[Message], new: Sequence[Message]
) -> None:
    """Return if what is said twice under one id is the same.

    Raises:
        ContradictedError: It means another event, or another amount.

    """
    known = by_identity(earlier)
    for message in new:
        # Of a batch, one item may say otherwise than another.
        other = known.setdefault(identity_of(message.heard), message)
        if folding.contradicts(message, other) and not folding.was_insisted_on(message, earlier):
            raise ContradictedError
