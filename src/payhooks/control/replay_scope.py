"""What a replay is about: the deliveries of an event that it sends, as the store needs them."""

from collections.abc import Sequence
from typing import Final

from payhooks import ids
from payhooks.control.context import Control
from payhooks.control.history import History
from payhooks.dialects import registry
from payhooks.ids import EventId, MerchantId
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint
from payhooks.model.merchant import Merchant
from payhooks.model.replay import Include, ReplayFilter
from payhooks.policy.match import matches
from payhooks.ports.accepting import Routing
from payhooks.ports.controlling import Requeue
from payhooks.ports.reading import DeliveryFacts, EventFacts

_STATES: Final = {
    Include.FAILED: State.FAILED,
    Include.CANCELLED: State.CANCELLED,
    Include.DELIVERED: State.DELIVERED,
}


class Scope:
    """Which deliveries of an event a replay is about."""

    def __init__(
        self,
        control: Control,
        routing: Routing,
        filter_: ReplayFilter,
        include: Sequence[Include],
        history: History,
    ) -> None:
        self.version = routing.version  # what was selected when is at least as new
        self._control = control
        self._merchant = routing.merchant
        self._filter = filter_
        self._states = {_STATES[each] for each in include if each in _STATES}
        self._missed = Include.MISSED in include
        self._endpoints = {
            endpoint.number: endpoint
            for endpoint in routing.endpoints
            if not endpoint.listening and filter_.endpoint_id in {None, endpoint.id}
        }
        self.rate_limits = {
            endpoint.id: endpoint.rate_limit_per_s
            for endpoint in self._endpoints.values()
            if endpoint.rate_limit_per_s is not None
        }
        self._history = history

    @classmethod
    async def load(
        cls,
        control: Control,
        merchant_id: MerchantId,
        filter_: ReplayFilter,
        include: Sequence[Include],
    ) -> "Scope":
        """Return the scope as the merchant's endpoints are now; deleted ones get nothing."""
        [routing] = await control.store.routing([merchant_id])
        history = History(await control.store.subscriptions(merchant_id))
        return cls(control, routing, filter_, include, history)

    async def items(self, event: EventFacts) -> list[Requeue]:
        """Return what is to be sent of this event, by endpoint number."""
        patterns = self._filter.event_types
        if patterns and not any(matches(pattern, event.type) for pattern in patterns):
            return []
        known = {ids.endpoint_number_of(one.id): one for one in event.deliveries}
        numbers = {number for number, one in known.items() if self._wants(one)}
        if self._missed:
            missed = (entry.number for entry in self._history.missed(event))
            numbers |= {number for number in missed if number not in known}
        endpoints = [
            self._endpoints[number] for number in sorted(numbers) if number in self._endpoints
        ]
        if endpoints and not await self._is_of_object(endpoints[0].merchant_id, event.id):
            return []
        return [
            requeue_of_facts(self._control, self._merchant, endpoint, event)
            for endpoint in endpoints
        ]

    def _wants(self, delivery: DeliveryFacts) -> bool:
        reason = self._filter.reason
        return delivery.state in self._states and (reason is None or reason is delivery.reason)

    async def _is_of_object(self, merchant_id: MerchantId, event_id: EventId) -> bool:
        if self._filter.object_id is None:
            return True
        stored = await self._control.store.event(merchant_id, event_id)
        return stored is not None and stored.event.object_id == self._filter.object_id


def requeue_of_facts(
    control: Control, merchant: Merchant, endpoint: Endpoint, event: EventFacts
) -> Requeue:
    """Return what the store needs to send the event to *endpoint*."""
    dialect = registry.bound(endpoint.dialect, merchant)
    return Requeue(
        delivery_id=ids.delivery_id(event.id, endpoint.number),
        merchant_id=endpoint.merchant_id,
        endpoint_id=endpoint.id,
        event_type=event.type,
        order_key=control.order_key(endpoint.ordering, event.order_of),
        dialect=dialect.name,
        dialect_version=dialect.version,
    )
