"""Bugs of what reads receipts, put in on purpose. See ``planted``."""

from collections.abc import Mapping, Sequence

import msgspec

from payhooks.connectors.contract import Heard
from payhooks.flow.conclude import Due, TakenError
from payhooks.flow.messages import Account
from payhooks.flow.tell import Teller, Telling
from payhooks.model.receipt import Receipt
from payhooks.ports.receiving import Conclusion


class DeafToOthers(Teller):
    """A word whose key is taken by another message counts as told: the receipt ends with that."""

    async def _publish(
        self, account: Account, receipt: Receipt, telling: Telling, *, sure: bool
    ) -> Conclusion | None:
        try:
            return await super()._publish(account, receipt, telling, sure=sure)
        except TakenError:
            return await self.conclude(account, telling.conclusion)


class EndsFirst(Teller):
    """A receipt's end is written before the events that it tells."""

    async def _publish(
        self, account: Account, receipt: Receipt, telling: Telling, *, sure: bool
    ) -> Conclusion | None:
        await self.conclude(account, telling.conclusion)
        return await super()._publish(account, receipt, telling, sure=sure)


class OncePerMeaning(Teller):
    """What was said once of an object counts as told, so a second equal capture is lost."""

    async def _due(
        self,
        account: Account,
        receipt: Receipt,
        group: Sequence[Heard],
        taken: Mapping[str, bytes],
    ) -> Due:
        due = await super()._due(account, receipt, group, taken)
        first = tuple(word for word in due.words if word.number == 1)
        return msgspec.structs.replace(due, words=first)
