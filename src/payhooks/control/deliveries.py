"""One delivery or event at a person's hand: retry, cancel, expunge, and a test of an endpoint."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import msgspec

from payhooks import ids
from payhooks.catalogue.registry import PAYHOOKS, TEST_TYPE
from payhooks.control.context import Caller, Control, audit_entry
from payhooks.dialects import registry
from payhooks.errors import NotFoundError, RateLimitedError, UnavailableError, WrongStateError
from payhooks.ids import DeliveryId, EventId, delivery_id
from payhooks.model.attempt import Attempt
from payhooks.model.audit import AuditEntry
from payhooks.model.delivery import Delivery, State
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.event import Event
from payhooks.model.event_type import EventType
from payhooks.model.merchant import Merchant, Mode
from payhooks.ports.accepting import Accepted, Arrival, PlannedDelivery, StaleRouting
from payhooks.ports.controlling import Cancelled, Change, Requeue
from payhooks.ports.reading import StoredEvent

TESTS_PER_MINUTE_MAX: Final = 5  # enough for a person who tries, too few for a tool
_PACE: Final = timedelta(minutes=1)
_TESTED: Final = "endpoint.tested"
_AUDIT_PAGE: Final = 200
_AUDIT_PAGES_MAX: Final = 10  # of a minute in which a merchant changes all the time
_TEST_TRIES_MAX: Final = 10
_CONTENT_BYTES: Final = 16
# What people and programs read, in our states and whether the lane holds them.
STATUSES: Final[Mapping[str, tuple[tuple[State, ...], bool | None]]] = MappingProxyType(
    {
        "scheduled": ((State.SCHEDULED,), False),
        "blocked": ((State.BLOCKED,), False),
        "held": ((State.SCHEDULED, State.BLOCKED), True),
        "sending": ((State.LEASED,), None),
        "delivered": ((State.DELIVERED,), None),
        "failed": ((State.FAILED,), None),
        "cancelled": ((State.CANCELLED,), None),
    }
)


def status_of(delivery: Delivery) -> str:
    """Return a delivery's state as it is read: one of STATUSES."""
    if delivery.held:
        return "held"
    return "sending" if delivery.state is State.LEASED else delivery.state.value


async def find_event(control: Control, merchant: Merchant, text: str) -> StoredEvent:
    """Return the merchant's event with this printed id.

    Raises:
        NotFoundError: There is none, or it is another merchant's.

    """
    event_id = ids.from_text(ids.EVENT, text)
    if event_id is not None:
        stored = await control.store.event(merchant.id, EventId(event_id))
        if stored is not None:
            return stored
    raise NotFoundError("There is no such event.")


async def find_delivery(control: Control, merchant: Merchant, text: str) -> Delivery:
    """Return the merchant's delivery with this printed id.

    Raises:
        NotFoundError: There is none, or it is another merchant's.

    """
    delivery = ids.from_text(ids.DELIVERY, text)
    if delivery is not None:
        found = await control.store.delivery(merchant.id, DeliveryId(delivery))
        if found is not None:
            return found
    raise NotFoundError("There is no such delivery.")


async def find_with_attempts(
    control: Control, merchant: Merchant, text: str
) -> tuple[Delivery, list[Attempt]]:
    """Return the merchant's delivery with this printed id and its attempts, oldest first.

    Raises:
        NotFoundError: There is none, or it is another merchant's.

    """
    delivery = ids.from_text(ids.DELIVERY, text)
    if delivery is not None:
        found = await control.store.delivery_with_attempts(merchant.id, DeliveryId(delivery))
        if found is not None:
            return found
    raise NotFoundError("There is no such delivery.")


async def retry(
    control: Control, caller: Caller, merchant: Merchant, delivery: Delivery
) -> Delivery:
    """Return the delivery, on its way again with a fresh budget of attempts.

    Raises:
        WrongStateError: It is being sent, its endpoint is gone, or its event was expunged.

    """
    if delivery.state is State.LEASED:
        raise WrongStateError("This delivery is being sent right now.")
    endpoint = await control.store.endpoint(merchant.id, delivery.endpoint_id)
    if endpoint is None or endpoint.status is EndpointStatus.DELETED:
        raise WrongStateError("The endpoint of this delivery was deleted.")
    stored = await control.store.event(merchant.id, ids.event_id_of(delivery.id))
    if stored is None or stored.expunged:
        raise WrongStateError("The payload of this delivery is no longer kept.")
    entry = audit_entry(
        control,
        caller,
        merchant_id=merchant.id,
        action="delivery.retried",
        target=ids.to_text(ids.DELIVERY, delivery.id),
        changes={"state": [delivery.state, State.SCHEDULED]},
    )
    item = requeue_of(control, merchant, endpoint, stored.event)
    await control.store.requeue([item], audit=entry)
    return await find_delivery(control, merchant, ids.to_text(ids.DELIVERY, delivery.id))


async def cancel(
    control: Control, caller: Caller, merchant: Merchant, delivery: Delivery
) -> Delivery:
    """Return the delivery, called off; one that held its object up lets the next go.

    Raises:
        WrongStateError: It is being sent right now, or over already.

    """
    printed = ids.to_text(ids.DELIVERY, delivery.id)
    entry = audit_entry(
        control,
        caller,
        merchant_id=merchant.id,
        action="delivery.cancelled",
        target=printed,
        changes={"state": [delivery.state, State.CANCELLED]},
    )
    match await control.store.cancel(merchant.id, delivery.id, entry):
        case Cancelled.CANCELLED | Cancelled.UNBLOCKED:
            return await find_delivery(control, merchant, printed)
        case Cancelled.IN_FLIGHT:
            raise WrongStateError("This delivery is being sent right now.")
        case Cancelled.FINAL:
            raise WrongStateError("This delivery is over already.")
        case Cancelled.UNKNOWN:
            raise NotFoundError("There is no such delivery.")


async def resend(
    control: Control,
    caller: Caller,
    merchant: Merchant,
    stored: StoredEvent,
    endpoints: Sequence[Endpoint],
) -> int:
    """Send the event to these endpoints, again or for the first time; return to how many.

    Whatever they selected: a person chose them. Those to which it is being sent, or is blocked,
    are left alone.

    Raises:
        WrongStateError: The payload was removed, or one of them is deleted.

    """
    if stored.expunged:
        raise WrongStateError("The payload of this event is no longer kept.")
    if any(endpoint.status is EndpointStatus.DELETED for endpoint in endpoints):
        raise WrongStateError("One of these endpoints was deleted.")
    printed = [ids.to_text(ids.ENDPOINT, endpoint.id) for endpoint in endpoints]
    entry = audit_entry(
        control,
        caller,
        merchant_id=merchant.id,
        action="event.resent",
        target=ids.to_text(ids.EVENT, stored.event.id),
        changes={"endpoints": [None, printed]},
    )
    items = [requeue_of(control, merchant, endpoint, stored.event) for endpoint in endpoints]
    return await control.store.requeue(items, audit=entry)


async def expunge(
    control: Control, caller: Caller, merchant: Merchant, event: StoredEvent
) -> StoredEvent:
    """Return the event without its payload, which is gone for good; a repeat changes nothing."""
    if event.expunged:
        return event
    printed = ids.to_text(ids.EVENT, event.event.id)
    entry = audit_entry(
        control, caller, merchant_id=merchant.id, action="event.expunged", target=printed
    )
    await control.store.expunge(merchant.id, event.event.id, entry)
    return await find_event(control, merchant, printed)


def requeue_of(control: Control, merchant: Merchant, endpoint: Endpoint, event: Event) -> Requeue:
    """Return what the store needs to send *event* to *endpoint* again, or for the first time."""
    dialect = registry.bound(endpoint.dialect, merchant)
    return Requeue(
        delivery_id=delivery_id(event.id, endpoint.number),
        merchant_id=event.merchant_id,
        endpoint_id=endpoint.id,
        event_type=event.type,
        order_key=control.order_key(endpoint.ordering, event.order_of),
        dialect=dialect.name,
        dialect_version=dialect.version,
    )


async def send_test(  # noqa: PLR0913 - every part is named at the call site
    control: Control,
    caller: Caller,
    merchant: Merchant,
    endpoint: Endpoint,
    *,
    owner: int,
    example: EventType | None = None,
) -> DeliveryId:
    """Return the delivery of a test event, sent to this endpoint alone, whatever it selected.

    With *example* it is that type's example, of sandbox merchants alone.

    Raises:
        WrongStateError: The endpoint is disabled, or is not to get this example.
        RateLimitedError: It had TESTS_PER_MINUTE_MAX in the last minute.
        UnavailableError: The merchant's configuration changes all the time.

    """
    if endpoint.status is EndpointStatus.DISABLED:
        raise WrongStateError("A disabled endpoint hears nothing; enable it first.")
    printed = ids.to_text(ids.ENDPOINT, endpoint.id)
    if example is None:
        event = _test_event(control, merchant, endpoint)
    else:
        event = _example_event(control, merchant, endpoint, example)
    await _demand_pace(control, endpoint, None)
    entry = audit_entry(
        control,
        caller,
        merchant_id=merchant.id,
        action=_TESTED,
        target=printed,
        changes={"event": [None, ids.to_text(ids.EVENT, event.id)]},
    )
    # Before it is sent, and then counted again: many may ask at once, in many processes.
    await control.store.apply(Change(audit=entry))
    await _demand_pace(control, endpoint, entry)
    await _accept_alone(control, merchant, endpoint, event, owner=owner)
    return requeue_of(control, merchant, endpoint, event).delivery_id


async def _accept_alone(
    control: Control, merchant: Merchant, endpoint: Endpoint, event: Event, *, owner: int
) -> None:
    """Accept the event with one delivery, to this endpoint."""
    requeue = requeue_of(control, merchant, endpoint, event)
    planned = PlannedDelivery(
        id=requeue.delivery_id,
        endpoint_id=endpoint.id,
        order_key=requeue.order_key,
        dialect=requeue.dialect,
        dialect_version=requeue.dialect_version,
        lease_s=None,
    )
    for _ in range(_TEST_TRIES_MAX):
        [routing] = await control.store.routing([merchant.id])
        arrival = Arrival(
            event=event,
            routing_version=routing.version,
            idempotency=None,
            content=bytes(_CONTENT_BYTES),
            deliveries=(planned,),
        )
        [acceptance] = await control.store.accept([arrival], owner=owner)
        if isinstance(acceptance, Accepted):
            return
        assert isinstance(acceptance, StaleRouting)
    raise UnavailableError("the merchant's configuration is changing all the time")


def _test_event(control: Control, merchant: Merchant, endpoint: Endpoint) -> Event:
    printed = ids.to_text(ids.ENDPOINT, endpoint.id)
    data = {"message": "This is a test. No money moved.", "endpoint_id": printed}
    event = Event(
        id=control.ids.new_event(),
        merchant_id=merchant.id,
        type=TEST_TYPE,
        family=PAYHOOKS,
        data=msgspec.json.encode(data),
    )
    if registry.bound(endpoint.dialect, merchant).refusal(event) is None:
        return event
    # Dialects that carry lists alone have to be tried out too.
    return msgspec.structs.replace(event, data=msgspec.json.encode({"tests": [data]}))


def _example_event(
    control: Control, merchant: Merchant, endpoint: Endpoint, example: EventType
) -> Event:
    if merchant.mode is not Mode.SANDBOX:
        raise WrongStateError("This merchant is live: its server would take an example for money.")
    if example.example is None or example.family == PAYHOOKS:
        raise WrongStateError("There is no example of this that could be sent.")
    event = Event(
        id=control.ids.new_event(),
        merchant_id=merchant.id,
        type=example.name,
        family=example.family,
        data=example.example,
    )
    refusal = registry.bound(endpoint.dialect, merchant).refusal(event)
    if refusal is not None:
        raise WrongStateError(refusal)
    return event


async def _demand_pace(control: Control, endpoint: Endpoint, own: AuditEntry | None) -> None:
    """Return if the endpoint may be tested; *own* is what was written of this test, if it was.

    Counted in the audit log, whatever the tests were of, so it holds across processes: a test
    goes to a URL that somebody just typed, and must not make a tool for hitting it of us.
    """
    earlier = await _tests_lately(control, endpoint)
    if own is not None and own.changes in earlier:
        # What came behind it minds this one, not the other way round.
        earlier = earlier[earlier.index(own.changes) + 1 :]
    if len(earlier) >= TESTS_PER_MINUTE_MAX:
        detail = f"An endpoint is tested at most {TESTS_PER_MINUTE_MAX} times a minute."
        raise RateLimitedError(detail, retry_after_s=60.0)


async def _tests_lately(control: Control, endpoint: Endpoint) -> list[bytes]:
    """Return what was written of the endpoint's tests of the last minute, newest first."""
    printed = ids.to_text(ids.ENDPOINT, endpoint.id)
    since = control.clock.now() - _PACE
    found: list[bytes] = []
    before = None
    for _ in range(_AUDIT_PAGES_MAX):
        page = await control.store.audit_latest(
            endpoint.merchant_id, before=before, limit=_AUDIT_PAGE
        )
        recent = [one for one in page if one.entry.at > since]
        found += [
            one.entry.changes
            for one in recent
            if (one.entry.action, one.entry.target) == (_TESTED, printed)
        ]
        if len(recent) < _AUDIT_PAGE:
            return found
        before = recent[-1].number
    raise RateLimitedError("Too much was changed in this minute.", retry_after_s=60.0)
