"""The memory store: the reference that the others are compared with, and the simulator's."""

from payhooks.clock import Clock
from payhooks.storage.memory.accepting import MemoryAccept
from payhooks.storage.memory.controlling import MemoryControl
from payhooks.storage.memory.expecting import MemoryExpect
from payhooks.storage.memory.identity import MemoryIdentity
from payhooks.storage.memory.inboxes import MemoryInboxes
from payhooks.storage.memory.leasing import MemoryLease
from payhooks.storage.memory.playing import MemoryPlay
from payhooks.storage.memory.reading import MemoryRead
from payhooks.storage.memory.receiving import MemoryReceive
from payhooks.storage.memory.replaying import MemoryReplay
from payhooks.storage.memory.rows import Observer
from payhooks.storage.memory.settling import MemorySettle
from payhooks.storage.memory.sweeping import MemorySweep
from payhooks.storage.memory.tables import Tables
from payhooks.storage.memory.tallying import MemoryTally


class MemoryStore(
    MemoryAccept,
    MemoryLease,
    MemorySettle,
    MemorySweep,
    MemoryControl,
    MemoryPlay,
    MemoryInboxes,
    MemoryReplay,
    MemoryIdentity,
    MemoryRead,
    MemoryReceive,
    MemoryExpect,
    MemoryTally,
):
    """Keep everything in dictionaries. Nothing waits, nothing fails, nothing survives.

    The same calls at the same times give the same answers in the same order, whatever the
    hash seed. *observer* is told of every accepted event and of every move of a delivery,
    after the transaction that did it: see ``rows.EventAccepted`` and ``rows.DeliveryMoved``.
    """

    def __init__(self, *, clock: Clock, observer: Observer | None = None) -> None:
        self._tables = Tables(clock, observer)

    async def close(self) -> None:
        """See Store."""
