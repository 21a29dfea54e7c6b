"""Two merchants with everything, and the ids of one asked of each row of the other."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.api_world import OWNER, World
from tests.support.tenants import Tenant, furnished, state_of

from payhooks.control.context import SYSTEM, audit_entry
from payhooks.ids import (
    ConnectorId,
    DeliveryId,
    EndpointId,
    EventId,
    InboxId,
    MerchantId,
    ReceiptId,
    ReplayId,
    RunId,
    UserId,
)
from payhooks.model.audit import AuditEntry
from payhooks.model.receipt import ReceiptState
from payhooks.ports.controlling import Cancelled, Window
from payhooks.ports.reading import DeliveryFilter, EventFacts, EventFilter
from payhooks.ports.receiving import ReceiptFilter
from payhooks.ports.store import Store
from payhooks.ports.tallying import HOUR_S

_ALL = Window(limit=100)
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_LATER = datetime(2100, 1, 1, tzinfo=UTC)

_Ask = Callable[[World, Tenant, Tenant], Any]


def _entry(api: World, tenant: Tenant) -> AuditEntry:
    return audit_entry(api.control, SYSTEM, merchant_id=tenant.merchant_id, action="x", target="x")


async def _facts(api: World, merchant_id: MerchantId) -> Sequence[EventFacts]:
    last = EventId(b"\xff" * 16)
    page = await api.store.event_facts(
        merchant_id, after=None, before=last, limit=100, deliveries_max=100
    )
    return page.events


async def _received(api: World, mine: Tenant, other: Tenant) -> int:
    of = [ConnectorId(other.raw("connector_id"))]
    [health] = await api.store.connector_health(mine.merchant_id, of)
    return health.received


# Each method of the store that takes a merchant, asked with this one's id and the other's things,
# and what it says where there is nothing.
_METHODS: Mapping[str, tuple[_Ask, object]] = {
    "endpoint": (
        lambda a, m, o: a.store.endpoint(m.merchant_id, EndpointId(o.raw("endpoint_id"))),
        None,
    ),
    "secrets": (lambda a, m, o: a.store.secrets(m.merchant_id, o.raw("endpoint_id")), []),
    "event": (lambda a, m, o: a.store.event(m.merchant_id, EventId(o.raw("event_id"))), None),
    "deliveries": (
        lambda a, m, o: a.store.deliveries(
            m.merchant_id, DeliveryFilter(endpoint_id=EndpointId(o.raw("endpoint_id"))), _ALL
        ),
        [],
    ),
    "count_deliveries": (
        lambda a, m, o: a.store.count_deliveries(
            m.merchant_id,
            DeliveryFilter(endpoint_id=EndpointId(o.raw("endpoint_id"))),
            at_most=10,
        ),
        0,
    ),
    "deliveries_of": (
        lambda a, m, o: a.store.deliveries_of(m.merchant_id, EventId(o.raw("event_id")), _ALL),
        [],
    ),
    "delivery": (
        lambda a, m, o: a.store.delivery(m.merchant_id, DeliveryId(o.raw("delivery_id"))),
        None,
    ),
    "delivery_with_attempts": (
        lambda a, m, o: a.store.delivery_with_attempts(
            m.merchant_id, DeliveryId(o.raw("delivery_id"))
        ),
        None,
    ),
    "last_statuses": (
        lambda a, m, o: a.store.last_statuses(m.merchant_id, [DeliveryId(o.raw("delivery_id"))]),
        {},
    ),
    "feed": (
        lambda a, m, o: a.store.feed(
            m.merchant_id, EndpointId(o.raw("endpoint_id")), after=0, limit=10
        ),
        [],
    ),
    "endpoint_tallies": (
        lambda a, m, o: a.store.endpoint_tallies(
            m.merchant_id, [EndpointId(o.raw("endpoint_id"))], since=_LONG_AGO
        ),
        [],
    ),
    "replay": (lambda a, m, o: a.store.replay(m.merchant_id, ReplayId(o.raw("replay_id"))), None),
    "run": (lambda a, m, o: a.store.run(m.merchant_id, RunId(o.raw("run_id"))), None),
    "inbox": (lambda a, m, o: a.store.inbox(m.merchant_id, InboxId(o.raw("inbox_id"))), None),
    "heard": (
        lambda a, m, o: a.store.heard(m.merchant_id, InboxId(o.raw("inbox_id")), _ALL),
        [],
    ),
    "connector": (
        lambda a, m, o: a.store.connector(m.merchant_id, ConnectorId(o.raw("connector_id"))),
        None,
    ),
    "connector_health": (_received, 0),
    "receipt": (
        lambda a, m, o: a.store.receipt(m.merchant_id, ReceiptId(o.raw("receipt_id"))),
        None,
    ),
    "reprocessable": (
        lambda a, m, o: a.store.reprocessable(
            m.merchant_id,
            ConnectorId(o.raw("connector_id")),
            tuple(ReceiptState),
            after=None,
            limit=10,
        ),
        [],
    ),
    "receipts_about": (
        lambda a, m, o: a.store.receipts_about(
            m.merchant_id, o.ids["object_type"], o.ids["object_id"], _ALL
        ),
        [],
    ),
    "linked_receipts": (
        lambda a, m, o: a.store.linked_receipts(
            m.merchant_id,
            o.ids["object_type"],
            o.ids["object_id"],
            [ReceiptId(o.raw("receipt_id"))],
        ),
        [],
    ),
    "objects_called": (
        lambda a, m, o: a.store.objects_called(m.merchant_id, f"order-of-{o.ids['m']}", limit=10),
        [],
    ),
    "references_of": (
        lambda a, m, o: a.store.references_of(
            m.merchant_id, o.ids["object_type"], o.ids["object_id"], limit=10
        ),
        [],
    ),
    "overdue": (
        lambda a, m, o: a.store.overdue(m.merchant_id, ConnectorId(o.raw("connector_id")), _ALL),
        [],
    ),
    "member": (lambda a, m, o: a.store.member(m.merchant_id, UserId(o.raw("user_id"))), None),
    "expunge": (
        lambda a, m, o: a.store.expunge(m.merchant_id, o.raw("event_id"), _entry(a, m)),
        False,
    ),
    "cancel": (
        lambda a, m, o: a.store.cancel(
            m.merchant_id, DeliveryId(o.raw("delivery_id")), _entry(a, m)
        ),
        Cancelled.UNKNOWN,
    ),
}
# Lists of everything that a merchant has: no other id is asked for, so the ids of what comes back
# are looked at.
_LISTS: Mapping[str, Callable[[World, Tenant], Any]] = {
    "events": lambda a, m: a.store.events(m.merchant_id, EventFilter(), _ALL),
    "endpoints": lambda a, m: a.store.endpoints(m.merchant_id, _ALL),
    "keys": lambda a, m: a.store.keys(m.merchant_id, _ALL),
    "replays": lambda a, m: a.store.replays(m.merchant_id, _ALL),
    "runs": lambda a, m: a.store.runs(m.merchant_id, _ALL),
    "inboxes": lambda a, m: a.store.inboxes(m.merchant_id, _ALL),
    "connectors": lambda a, m: a.store.connectors(m.merchant_id, _ALL),
    "receipts": lambda a, m: a.store.receipts(m.merchant_id, ReceiptFilter(), _ALL),
    "members": lambda a, m: a.store.members(m.merchant_id, _ALL),
    "invitations": lambda a, m: a.store.invitations(m.merchant_id, _ALL),
    "subscriptions": lambda a, m: a.store.subscriptions(m.merchant_id),
    "event_facts": lambda a, m: _facts(a, m.merchant_id),
    "subjects": lambda a, m: a.store.subjects(m.merchant_id, after=EventId(bytes(16)), limit=100),
    "audit": lambda a, m: a.store.audit(m.merchant_id, after=0, limit=100),
    "audit_head": lambda a, m: a.store.audit_head(m.merchant_id),
    "audit_latest": lambda a, m: a.store.audit_latest(m.merchant_id, before=None, limit=100),
    "merchant_tallies": lambda a, m: a.store.merchant_tallies(
        m.merchant_id, step_s=HOUR_S, since=_LONG_AGO, until=_LATER
    ),
    "endpoint_totals": lambda a, m: a.store.endpoint_totals(
        m.merchant_id, since=_LONG_AGO, limit=100
    ),
}
# What publishers name, and no ids of ours.
_WORDS = {"object_type", "object_id"}
# Take the next number of a counter, or note which merchant a session looks at, and tell nothing:
# what a session may see is read from its user's memberships.
_TELLS_NOTHING = {"next_number", "look_at", "routing_version"}
# Asked the same in tests/contract: in test_replay_job_store.py, where something waits of a job, and
# in test_receiving_receipts.py, where a stranger has as many.
_ASKED_THERE = {"cancel_replay_backlog", "count_receipts"}


@pytest.mark.shows("S26")
async def test_every_method_of_the_store_looks_at_whose_it_is(api: World) -> None:
    """The routes ask for the merchant's own things only; the rows must insist on it too."""
    mine, other = await furnished(api), await furnished(api)
    before = await state_of(api, other)
    for name, (ask, nothing) in _METHODS.items():
        # That delivery waits for its first attempt.
        assert await ask(api, other, other) != nothing or name == "last_statuses", name
        if name in {"expunge", "cancel"}:
            before = await state_of(api, other)  # their own word counts
        assert await ask(api, mine, other) == nothing, name
    for name, list_ in _LISTS.items():
        found = await list_(api, mine)
        assert found, name
        text = repr(found)
        for theirs in other.ids.keys() - {"delivery_id", "invitation_id", *_WORDS}:
            assert repr(other.raw(theirs))[2:-1] not in text, (name, theirs)
            assert other.ids[theirs] not in text, (name, theirs)
    assert await state_of(api, other) == before


@pytest.mark.shows("S26")
def test_no_method_of_the_store_that_takes_a_merchant_is_missing_here() -> None:
    """A new one must be asked the same question before it goes out."""
    taking = {
        name
        for name, method in inspect.getmembers(Store, inspect.isfunction)
        if "merchant_id" in inspect.signature(method).parameters
    }
    assert taking == {*_METHODS, *_LISTS, *_TELLS_NOTHING, *_ASKED_THERE}


@pytest.mark.shows("S26")
async def test_an_outcome_is_not_written_under_another_merchants_name(api: World) -> None:
    """A lease's own ids decide; one delivery's answer must not become another merchant's news."""
    mine, other = await furnished(api), await furnished(api)
    lease = await api.store.lease(owner=OWNER, lanes_max=50, per_lane_max=50, skip=())
    assert {leased.merchant_id for leased in lease.leased} <= {
        mine.merchant_id,
        other.merchant_id,
    }
    for leased in lease.leased:
        endpoint = await api.store.endpoint(leased.merchant_id, leased.endpoint_id)
        assert endpoint is not None
        assert leased.event.merchant_id == leased.merchant_id == endpoint.merchant_id
