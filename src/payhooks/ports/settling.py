"""What settle asks of the store: outcomes written down, guarded by the fence."""

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from payhooks.ids import DeliveryId, EndpointId, MerchantId
from payhooks.model.attempt import Attempt, Reason
from payhooks.model.delivery import Trigger

_SETTLING: Final = frozenset({Trigger.SUCCEED, Trigger.RETRY, Trigger.GIVE_UP, Trigger.RELEASE})


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one lease."""

    delivery_id: DeliveryId
    merchant_id: MerchantId
    endpoint_id: EndpointId
    fence: int
    trigger: Trigger  # SUCCEED, RETRY, GIVE_UP or RELEASE
    delay_s: float  # until due again, for RETRY and RELEASE
    reason: Reason | None
    # Of a RELEASE only where a request was broken off: ABANDONED, and due when it would be over.
    attempt: Attempt | None
    rendered: bytes | None  # the body, at a failure, so that an upgrade cannot change it
    block_order: bool  # GIVE_UP on an ordered endpoint whose objects then wait for a person

    def __post_init__(self) -> None:
        assert self.trigger in _SETTLING
        if self.trigger is Trigger.RELEASE:
            assert self.attempt is None or self.attempt.reason is Reason.ABANDONED
        else:
            assert self.attempt is not None
        assert self.delay_s >= 0


class SettleStore(Protocol):
    """The record of attempts."""

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Write a batch of outcomes; per settlement, whether the fence still held.

        True: the delivery moved, once; the same settlement again changes nothing and is True
        again. False: the lease had gone to somebody else; the delivery is untouched and the
        attempt, where there is one, is kept as ``late``. A RELEASE spends no attempt: what it
        brings explains a duplicate, and is kept where nothing explains that lease yet; said
        again it is False. A RETRY or RELEASE of a deleted endpoint becomes ``cancelled``. A lease
        past its end still holds until ``expire`` takes it back. Of several rendered bodies of a
        delivery the first is kept.
        An ordered delivery that ended leaves a wake for those behind it.

        Raises:
            UnavailableError, OutcomeUnknownError: Send the same batch again.

        """
        ...
