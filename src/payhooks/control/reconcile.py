"""Reconcile: proof that every endpoint got what it had selected.

The two sides come from different tables. Expected: events and the kept history of
subscriptions. Actual: the queue and the history of deliveries. A third count, ``fan_out``, was
written with the event itself. Whatever differs is named, event by event.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from payhooks import ids, limits
from payhooks.catalogue.registry import TEST_TYPE
from payhooks.control.context import Caller, Control, audit_entry
from payhooks.control.history import History
from payhooks.control.replay_scope import requeue_of_facts
from payhooks.ids import EndpointId, EventId
from payhooks.model.delivery import FINAL_STATES, State
from payhooks.model.endpoint import Endpoint
from payhooks.model.merchant import Merchant
from payhooks.ports.reading import EventFacts

# Far more than a person reads; the counts go on, and --repair mends what is beyond too.
DIFFERENCES_NAMED_MAX: Final = 10_000


class DifferenceKind(StrEnum):
    """What is wrong with an event."""

    MISSING = "missing"  # selected, but there is no delivery
    UNEXPECTED = "unexpected"  # a delivery, but nothing had selected the event
    FAN_OUT = "fan_out"  # as many deliveries were selected as the event itself says, or not


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One event that differs."""

    kind: DifferenceKind
    event_id: EventId
    endpoint_id: EndpointId | None  # None for FAN_OUT: it is a fact of the event


@dataclass(slots=True, kw_only=True)
class Hour:
    """One endpoint in one hour. ``expected`` is one side, the rest the other."""

    expected: int = 0
    delivered: int = 0
    failed: int = 0
    cancelled: int = 0
    pending: int = 0
    missing: int = 0

    @property
    def is_equal(self) -> bool:
        """Whether the two sides are the same."""
        return self.missing == 0 and self.expected == self.actual

    @property
    def actual(self) -> int:
        """Deliveries there are of what was expected."""
        return self.delivered + self.failed + self.cancelled + self.pending


@dataclass(slots=True, kw_only=True)
class Report:
    """What one run found."""

    events: int = 0
    hours: dict[tuple[EndpointId, datetime], Hour] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    differences_count: int = 0
    repaired: int = 0

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return self.differences_count == 0

    def note(self, kind: DifferenceKind, event_id: EventId, endpoint_id: EndpointId | None) -> None:
        """Name one difference."""
        self.differences_count += 1
        if len(self.differences) < DIFFERENCES_NAMED_MAX:
            self.differences.append(
                Difference(kind=kind, event_id=event_id, endpoint_id=endpoint_id)
            )


async def reconcile(  # noqa: PLR0913 - every part is named at the call site
    control: Control,
    caller: Caller,
    merchant: Merchant,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    repair: bool = False,
    progressed: Callable[[int], None] = lambda events: None,
) -> Report:
    """Return the comparison of a span of time; with *repair* what is missing is made.

    An event and its deliveries are one transaction, so the newest events may be looked at too.
    *progressed* is told after each slice how many events were looked at.
    """
    kept = _Kept(control, merchant)
    after = None if since is None else EventId(ids.first_id_at(since))
    before = EventId(b"\xff" * 16 if until is None else ids.first_id_at(until))
    report = Report()
    while True:
        page = await control.store.event_facts(
            merchant.id,
            after=after,
            before=before,
            limit=limits.SLICE_ROWS_MAX,
            deliveries_max=limits.FACTS_DELIVERIES_MAX,
        )
        history = await kept.up_to(page.events)
        missing: list[tuple[EventFacts, EndpointId]] = []
        for event in page.events:
            missing += _compare(report, history, event)
        report.events += len(page.events)
        if repair and missing:
            report.repaired += await _repair(control, caller, merchant, missing)
        progressed(report.events)
        if page.ended:
            return report
        after = page.events[-1].id


class _Kept:
    """The history of subscriptions, read again when an event is of a later time than it is."""

    def __init__(self, control: Control, merchant: Merchant) -> None:
        self._control = control
        self._merchant = merchant
        self._history = History(())
        self._version = -1

    async def up_to(self, page: Sequence[EventFacts]) -> History:
        """Return it with all that was selected when these events were accepted.

        Read after them: an event names the routing version that it was accepted at, so what
        belongs to that version stood in the store before the event did. Read before them, it
        would judge who changed an endpoint meanwhile by what was selected earlier.
        """
        version = max((event.routing_version for event in page), default=-1)
        if version > self._version:
            self._history = History(await self._control.store.subscriptions(self._merchant.id))
            self._version = version
        return self._history


def _compare(
    report: Report, history: History, event: EventFacts
) -> list[tuple[EventFacts, EndpointId]]:
    """Count one event on both sides; return where it is missing."""
    if event.type == TEST_TYPE:
        return []  # addressed to one endpoint, whatever that selected
    expected = history.expected(event)
    if len(expected) != event.fan_out:
        report.note(DifferenceKind.FAN_OUT, event.id, None)
    actual = {ids.endpoint_number_of(one.id): one.state for one in event.deliveries}
    at = ids.made_at(event.id).replace(minute=0, second=0, microsecond=0)
    missing = []
    for entry in expected:
        if entry.listening:
            continue  # a stream is gone with its listener
        hour = report.hours.setdefault((entry.endpoint_id, at), Hour())
        hour.expected += 1
        state = actual.get(entry.number)
        if state is None:
            hour.missing += 1
            report.note(DifferenceKind.MISSING, event.id, entry.endpoint_id)
            missing.append((event, entry.endpoint_id))
        else:
            _count(hour, state)
    # A replay may have made deliveries for who was disabled then; nobody else has any.
    known = {entry.number for entry in history.selected(event)}
    for number in actual:
        if number not in known:
            report.note(DifferenceKind.UNEXPECTED, event.id, history.endpoint_id(number))
    return missing


def _count(hour: Hour, state: State) -> None:
    match state:
        case State.DELIVERED:
            hour.delivered += 1
        case State.FAILED:
            hour.failed += 1
        case State.CANCELLED:
            hour.cancelled += 1
        case _:
            assert state not in FINAL_STATES
            hour.pending += 1


async def _repair(
    control: Control,
    caller: Caller,
    merchant: Merchant,
    missing: list[tuple[EventFacts, EndpointId]],
) -> int:
    """Make what is missing; what cannot be sent any more is written down as cancelled."""
    items = [
        requeue_of_facts(control, merchant, await _endpoint(control, merchant, endpoint_id), event)
        for event, endpoint_id in missing
    ]
    entry = audit_entry(
        control,
        caller,
        merchant_id=merchant.id,
        action="deliveries.repaired",
        target=ids.to_text(ids.MERCHANT, merchant.id),
        changes={
            "deliveries": [
                None,
                [ids.to_text(ids.DELIVERY, item.delivery_id) for item in items[:100]],
            ],
            "count": [None, len(items)],
        },
    )
    return await control.store.repair(items, audit=entry)


async def _endpoint(control: Control, merchant: Merchant, endpoint_id: EndpointId) -> Endpoint:
    endpoint = await control.store.endpoint(merchant.id, endpoint_id)
    assert endpoint is not None, "an endpoint with a history has a row"
    return endpoint
