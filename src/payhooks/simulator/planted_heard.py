"""Bugs of what reads receipts, put in on purpose. See ``planted``."""

from collections.abc import Mapping, Sequence

import msgspec

from payhooks.connectors.contract import Heard
from payhooks.flow.conclude import Due
from payhooks.flow.messages import Account
from payhooks.flow.normalise import Normaliser, TakenError
from payhooks.model.receipt import Receipt
from payhooks.ports.receiving import Conclusion


class DeafToOthers(Normaliser):
    """A word whose key is taken by another message counts as told: the receipt ends with that."""

    async def _publish(
        self,
        account: Account,
        receipt: Receipt,
        dues: Sequence[Due],
        conclusion: Conclusion,
        *,
        sure: bool,
    ) -> bool:
        try:
            return await super()._publish(account, receipt, dues, conclusion, sure=sure)
        except TakenError:
            await self._conclude(account, conclusion)
            return True


class EndsFirst(Normaliser):
    """A receipt's end is written before the events that it tells."""

    async def _publish(
        self,
        account: Account,
        receipt: Receipt,
        dues: Sequence[Due],
        conclusion: Conclusion,
        *,
        sure: bool,
    ) -> bool:
        await self._conclude(account, conclusion)
        return await super()._publish(account, receipt, dues, conclusion, sure=sure)


class OncePerMeaning(Normaliser):
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
