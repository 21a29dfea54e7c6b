"""The record of attempts: one call of settle_v2 a batch."""

from collections.abc import Sequence
from typing import Final

import msgspec

from payhooks.model.attempt import Attempt, Timing
from payhooks.model.delivery import Trigger
from payhooks.ports.settling import Settlement
from payhooks.storage.postgres.connections import Connections

_SETTLE: Final = (
    "SELECT settle_v2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,"
    " $17, $18, $19, $20, $21, $22, $23) AS held"
)
_TRIGGERS: Final = {
    Trigger.SUCCEED: 0,
    Trigger.RETRY: 1,
    Trigger.GIVE_UP: 2,
    Trigger.RELEASE: 3,
}
_NO_TIMING: Final = Timing()


class PostgresSettle:
    """See SettleStore."""

    _settling: Connections

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """See SettleStore."""
        if not settlements:
            return []
        # Whoever may wait for queue rows takes them in this order.
        order = sorted(
            range(len(settlements)),
            key=lambda at: (settlements[at].merchant_id, settlements[at].delivery_id),
        )
        arguments = parameters([settlements[at] for at in order])
        rows = await self._settling.persist(lambda: self._settling.call(_SETTLE, *arguments))
        held = [False] * len(settlements)
        for at, one in zip(order, rows[0]["held"], strict=True):
            held[at] = one
        return held


def parameters(settlements: Sequence[Settlement]) -> list[Sequence[object]]:
    """Return the parameters of settle_v2."""
    attempts = [settlement.attempt for settlement in settlements]
    timings = [_NO_TIMING if attempt is None else attempt.timing for attempt in attempts]
    answers = [
        (at, attempt)
        for at, attempt in enumerate(attempts, start=1)
        if attempt is not None and (attempt.answer_headers or attempt.answer_body)
    ]
    rendered = [
        (at, settlement.rendered)
        for at, settlement in enumerate(settlements, start=1)
        if settlement.rendered is not None
    ]
    return [
        [settlement.merchant_id for settlement in settlements],
        [settlement.delivery_id for settlement in settlements],
        [settlement.fence for settlement in settlements],
        [_TRIGGERS[settlement.trigger] for settlement in settlements],
        [settlement.delay_s for settlement in settlements],
        [settlement.reason for settlement in settlements],
        [settlement.block_order for settlement in settlements],
        [None if attempt is None else attempt.at for attempt in attempts],
        [None if attempt is None else attempt.status for attempt in attempts],
        [None if attempt is None else attempt.reason for attempt in attempts],
        ["" if attempt is None else _storable(attempt.detail) for attempt in attempts],
        [timing.dns_s for timing in timings],
        [timing.connect_s for timing in timings],
        [timing.tls_s for timing in timings],
        [timing.wait_s for timing in timings],
        [timing.total_s for timing in timings],
        [
            None if attempt is None or attempt.peer is None else _storable(attempt.peer)
            for attempt in attempts
        ],
        [at for at, _ in answers],
        [_headers(attempt) for _, attempt in answers],
        [attempt.answer_body for _, attempt in answers],
        [attempt.answer_truncated for _, attempt in answers],
        [at for at, _ in rendered],
        [body for _, body in rendered],
    ]


def _storable(text: str) -> str:
    """Return *text* without what PostgreSQL's text cannot hold.

    A receiver has its say in it, and one that it refuses would fail the batch of strangers.
    """
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _headers(attempt: Attempt) -> str:
    return msgspec.json.encode(attempt.answer_headers).decode()
