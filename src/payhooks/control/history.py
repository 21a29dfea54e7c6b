"""What each endpoint had selected when: the kept history of subscriptions, asked per event.

Every change to a merchant's endpoints has a routing version, and every event remembers the
version it was accepted at; so who should have heard it can be told from two tables that the
fan-out did not write.
"""

from bisect import bisect_right
from collections.abc import Sequence

from payhooks.catalogue.registry import TEST_TYPE
from payhooks.ids import EndpointId
from payhooks.model.endpoint import EndpointStatus
from payhooks.policy.match import matches
from payhooks.ports.reading import EventFacts, Subscription

_RECEIVES = frozenset({EndpointStatus.ACTIVE, EndpointStatus.PAUSED})


class History:
    """One merchant's subscriptions over time."""

    def __init__(self, subscriptions: Sequence[Subscription]) -> None:
        self._entries: dict[int, list[Subscription]] = {}
        for entry in subscriptions:
            self._entries.setdefault(entry.number, []).append(entry)
        for entries in self._entries.values():
            entries.sort(key=lambda entry: entry.version)
        self._versions = {
            number: [entry.version for entry in entries]
            for number, entries in self._entries.items()
        }

    def endpoint_id(self, number: int) -> EndpointId | None:
        """Return whose number this is."""
        entries = self._entries.get(number)
        return entries[0].endpoint_id if entries else None

    def selected(self, event: EventFacts) -> list[Subscription]:
        """Return what selected the event when it was accepted, whatever its status, by number.

        A test is addressed to one endpoint and selected by none.
        """
        if event.type == TEST_TYPE:
            return []
        found = []
        for number, entries in self._entries.items():
            place = bisect_right(self._versions[number], event.routing_version)
            if place and any(matches(pattern, event.type) for pattern in entries[place - 1].events):
                found.append(entries[place - 1])
        return found

    def expected(self, event: EventFacts) -> list[Subscription]:
        """Return who got a delivery when the event was accepted, streams included."""
        return [entry for entry in self.selected(event) if entry.status in _RECEIVES]

    def missed(self, event: EventFacts) -> list[Subscription]:
        """Return who had selected the event and was disabled when it was accepted."""
        return [
            entry
            for entry in self.selected(event)
            if entry.status == EndpointStatus.DISABLED and not entry.listening
        ]
