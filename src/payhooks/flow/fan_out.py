"""Step 2: from an event and a routing table to its deliveries. Pure.

The version of the table goes along with the plan; a plan made from a table that has changed
since is made again, so "subscribed at accept time" holds across processes.
"""

import hashlib
from collections.abc import Callable
from typing import Final

from payhooks import limits
from payhooks.dialects.deadlines import lease_s
from payhooks.errors import TooLargeError
from payhooks.flow.routing import RoutingTable
from payhooks.ids import EndpointId, delivery_id
from payhooks.model.endpoint import Endpoint, EndpointStatus, Ordering
from payhooks.model.event import Event
from payhooks.ports.accepting import Arrival, PlannedDelivery
from payhooks.ports.leasing import Leased

ORDER_KEY_BYTES: Final = 16
_STRICT: Final = bytes(ORDER_KEY_BYTES)  # strict order is one object for the whole lane


def plan(
    event: Event, table: RoutingTable, *, has_room: Callable[[EndpointId], bool]
) -> tuple[PlannedDelivery, ...]:
    """Return the deliveries that *event* gets now, each with what hand-off wants.

    Raises:
        TooLargeError: More endpoints want it than one transaction may write.

    """
    subscribed = table.subscribed(event.type)
    if len(subscribed) > limits.ENDPOINTS_PER_EVENT_MAX:
        raise TooLargeError(
            f"an event goes to at most {limits.ENDPOINTS_PER_EVENT_MAX:,} endpoints"
        )
    return tuple([_plan_one(event, endpoint, table, has_room) for endpoint in subscribed])


def _plan_one(
    event: Event,
    endpoint: Endpoint,
    table: RoutingTable,
    has_room: Callable[[EndpointId], bool],
) -> PlannedDelivery:
    dialect = table.dialect(endpoint.dialect)
    ordering = endpoint.ordering
    ordered = None if ordering is Ordering.NONE else order_key(ordering, event.order_of)
    # The store decides in the end; these are the reasons known here for not even asking.
    may_hand_off = (
        endpoint.status is EndpointStatus.ACTIVE
        and ordered is None
        and endpoint.rate_limit_per_s is None
        and not endpoint.listening
        and has_room(endpoint.id)
    )
    return PlannedDelivery(
        id=delivery_id(event.id, endpoint.number),
        endpoint_id=endpoint.id,
        order_key=ordered,
        dialect=dialect.name,
        dialect_version=dialect.version,
        lease_s=lease_s(endpoint) if may_hand_off else None,
    )


def handed_off(planned: PlannedDelivery, arrival: Arrival) -> Leased:
    """Return the delivery as the store leased it to this process when it was accepted."""
    assert planned.lease_s is not None
    return Leased(
        id=planned.id,
        endpoint_id=planned.endpoint_id,
        merchant_id=arrival.event.merchant_id,
        event=arrival.event,
        fence=1,
        attempts_made=0,
        lease_s=planned.lease_s,
        order_key=None,
        dialect=planned.dialect,
        dialect_version=planned.dialect_version,
        replay_id=None,
        replay_bulk=None,
        rendered=None,
        routing_version=arrival.routing_version,
        lane_failing=False,
        lane_probe=False,
    )


def order_key(ordering: Ordering, order_of: str | None) -> bytes | None:
    """Return the key whose deliveries go one after the other, or None where none must."""
    match ordering:
        case Ordering.NONE:
            return None
        case Ordering.STRICT:
            return _STRICT
        case Ordering.OBJECT:
            if order_of is None:
                return None
            return hashlib.blake2b(order_of.encode(), digest_size=ORDER_KEY_BYTES).digest()
