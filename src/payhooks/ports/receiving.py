"""What the inbound half asks of the store: receipts, what they told, and what is waited for.

An event that a receipt tells is accepted like any other, and the receipt's conclusion goes with
it in the same transaction (``Arrival.conclusion``). A receipt that tells nothing is concluded
alone.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, Protocol

import msgspec

from payhooks.ids import ConnectorId, MerchantId, ReceiptId
from payhooks.model.audit import AuditEntry
from payhooks.model.connector import Connector
from payhooks.model.expectation import Expectation
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.controlling import Window


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """That a receipt is about an object: the provider's, or one that an event was told of."""

    object_type: str
    object_id: str
    # Of the provider's object: what was told with this receipt, a word each, in order.
    said: tuple[str, ...] = ()


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A name that somebody has for an object: the merchant's order, the provider's transaction."""

    reference: str
    object_type: str
    object_id: str


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """How much of an object's history a conclusion was drawn from."""

    object_type: str
    object_id: str
    count: int  # of PROCESSED receipts that are linked to it, by the same connector
    since: ReceiptId | None = None  # the oldest that counts; None: all do


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """What is expected of an object, and when it is due: in so many seconds of the store's time."""

    expectation: Expectation
    due_in_s: float


# Nobody claims an expectation for longer: one that is due later is judged by nobody now.
EXPECTATION_CLAIM_S_MAX: Final = 60.0


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """That news was told of an object by which it may wait no more, or for something else."""

    object_type: str
    object_id: str


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a receipt. Written where it is still RECEIVED; the rest goes with that.

    Where more was heard of an object than was *seen*, nothing is written, and nothing is told;
    news that no receipt tells goes with the end of one that is not there, for that alone.
    """

    merchant_id: MerchantId
    receipt_id: ReceiptId
    connector_id: ConnectorId
    state: ReceiptState
    detail: str | None = None
    word: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    links: tuple[Link, ...] = ()
    references: tuple[Reference, ...] = ()
    seen: tuple[Seen, ...] = ()
    # Each is kept where its object has none yet, or one whose connector is deleted; any other that
    # is there was heard again.
    waits: tuple[Wait, ...] = ()
    # Before that: what was expected of each before is due now, before all else, and was heard
    # again, where it is overdue, or may be judged at the moment by what was known without the news.
    moved: tuple[Moved, ...] = ()


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """For how long a receipt is to be left alone."""

    merchant_id: MerchantId
    receipt_id: ReceiptId
    for_s: float


class HeardBefore(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt about an object, and what was told with it."""

    receipt: Receipt
    said: tuple[str, ...]


# A provider may repeat what is as old as this: nobody hears that often of one object.
TOLD_MAX: Final = 2_000


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What the store still knows of an object."""

    heard: tuple[HeardBefore, ...]
    # What was told with older ones, and with those that are there no more, oldest first.
    ancient: tuple[str, ...] = ()


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's object, as one connector tells of it."""

    merchant_id: MerchantId
    connector_id: ConnectorId
    object_type: str
    object_id: str


class ReceiptFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which receipts; members that are None do not restrict."""

    connector_id: ConnectorId | None = None
    states: tuple[ReceiptState, ...] | None = None


class ConnectorHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How a connector fares: counts since it was made, and the last times."""

    connector_id: ConnectorId
    received: int = 0  # verified or to be fetched
    unverified: int = 0
    last_received_at: datetime | None = None  # verified or to be fetched
    last_unverified_at: datetime | None = None
    quarantined: int = 0  # held now
    quarantined_bytes: int = 0  # of bodies, held now
    dropped: int = 0  # out of the quarantine, because it was full


class ReceivingStore(Protocol):
    """The inbound half at rest."""

    async def connector(
        self, merchant_id: MerchantId, connector_id: ConnectorId
    ) -> Connector | None:
        """Return the connector; a deleted one too."""
        ...

    async def connectors(self, merchant_id: MerchantId, window: Window) -> list[Connector]:
        """Return connectors that are not deleted, newest first."""
        ...

    async def connector_health(
        self, merchant_id: MerchantId, connector_ids: Sequence[ConnectorId]
    ) -> list[ConnectorHealth]:
        """Return how each fares, in the order asked; zeros where nothing ever came."""
        ...

    async def receive(
        self,
        receipts: Sequence[Receipt],
        *,
        owner: int,
        for_s: float,
        quarantine_max: int,
        quarantine_bytes_max: int,
    ) -> None:
        """Keep a batch and count it: on the disk when this returns. A repeat changes nothing.

        Those RECEIVED are *owner*'s for so long. Of each connector's QUARANTINED ones the oldest
        go until count and bytes of bodies are within bounds; that is counted as dropped.

        Raises:
            UnavailableError: Nothing was stored.
            OutcomeUnknownError: Stored or not; send the same batch again.

        """
        ...

    async def claim_receipts(self, *, owner: int, limit: int, for_s: float) -> list[Receipt]:
        """Take RECEIVED receipts that nobody holds, oldest first, and hold them for so long."""
        ...

    async def rest_receipts(self, rests: Sequence[Rest]) -> None:
        """Let nobody claim those that are still RECEIVED for so long from now."""
        ...

    async def conclude(self, conclusions: Sequence[Conclusion]) -> frozenset[ReceiptId]:
        """Conclude receipts that tell nothing; those that are not RECEIVED any more stay.

        Returns those of whose objects more was heard than was seen; they stay as well.
        """
        ...

    async def heard_before(self, subject: Subject, *, limit: int) -> Remembered:
        """Return the newest so many PROCESSED receipts linked to the object, oldest first.

        Of as many as TOLD_MAX that are older, and as many that have retired, what they told.
        """
        ...

    async def receipt(self, merchant_id: MerchantId, receipt_id: ReceiptId) -> Receipt | None:
        """Return the receipt."""
        ...

    async def receipts(
        self, merchant_id: MerchantId, which: ReceiptFilter, window: Window
    ) -> list[Receipt]:
        """Return receipts, newest first."""
        ...

    async def count_receipts(
        self, merchant_id: MerchantId, state: ReceiptState, *, since: datetime, at_most: int
    ) -> int:
        """Return how many that came since are in this state, counting no further than *at_most*."""
        ...

    async def receipts_about(
        self, merchant_id: MerchantId, object_type: str, object_id: str, window: Window
    ) -> list[Receipt]:
        """Return receipts linked to the object, whatever connector they came by, newest first."""
        ...

    async def linked_receipts(
        self, merchant_id: MerchantId, object_type: str, object_id: str, ids: Collection[ReceiptId]
    ) -> list[Receipt]:
        """Return those of these receipts that are linked to the object, newest first."""
        ...

    async def reprocessable(
        self,
        merchant_id: MerchantId,
        connector_id: ConnectorId,
        states: Sequence[ReceiptState],
        *,
        after: ReceiptId | None,
        limit: int,
    ) -> list[Receipt]:
        """Return the connector's receipts in these states, oldest first, that came after one."""
        ...

    async def reprocess(self, receipts: Sequence[Receipt], *, audit: AuditEntry) -> int:
        """Put receipts back to RECEIVED, held by nobody, with what is decided anew of these.

        Each only where its stored state is one of REPROCESSABLE; a quarantined one leaves the
        quarantine's counts. Returns how many; the audit entry is written if any.
        """
        ...

    async def retire_receipts(self, *, before: datetime, limit: int) -> int:
        """Remove receipts that came before, with their links; return how many.

        RECEIVED ones stay. References go with the last link of their object. What was told with
        PROCESSED ones is remembered.
        """
        ...

    async def forget_said(self, *, before: datetime, limit: int) -> int:
        """Forget what retired receipts that came before have told; return of how many links."""
        ...

    async def objects_called(
        self, merchant_id: MerchantId, reference: str, *, limit: int
    ) -> list[Reference]:
        """Return the objects that somebody calls so, by type and id."""
        ...

    async def references_of(
        self, merchant_id: MerchantId, object_type: str, object_id: str, *, limit: int
    ) -> list[Reference]:
        """Return the names that the object has."""
        ...

    async def claim_expectations(
        self, *, limit: int, for_s: float, skip: Collection[MerchantId] = ()
    ) -> list[Expectation]:
        """Take what has been due for longest, of no merchant in *skip*.

        It is due again for others after so long, EXPECTATION_CLAIM_S_MAX at most.
        """
        ...

    async def claim_moved(self, *, limit: int, for_s: float) -> list[Expectation]:
        """Take what is due because its object moved, whosever it is.

        It is due again after so long, as above, then like any other.
        """
        ...

    async def reread_expectation(self, expectation: Expectation) -> Expectation | None:
        """Return it as it is by now: what was heard of its object before counts as seen.

        None where it is gone, also where another of the same object stands in its place.
        """
        ...

    async def write_expectation(self, expectation: Expectation, *, due_in_s: float) -> None:
        """Write it where it is still there, due in so many seconds of the store's time.

        One that was heard again since it was read stays as it is.
        """
        ...

    async def forget_expectation(self, expectation: Expectation) -> None:
        """Remove it: the object waits no more. One that was heard again since it was read stays."""
        ...

    async def overdue(
        self, merchant_id: MerchantId, connector_id: ConnectorId | None, window: Window
    ) -> list[Expectation]:
        """Return what is overdue of connectors that are not deleted, newest first.

        What is due says that it is looked at now.
        """
        ...

    async def overdue_counts(self) -> list[tuple[str, int]]:
        """Return how much is overdue per dialect of its connector, unless that is deleted.

        For metrics.
        """
        ...
