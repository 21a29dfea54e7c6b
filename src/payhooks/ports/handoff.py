"""Where accept gives deliveries that are leased to this process as they are stored."""

from typing import Protocol

from payhooks.ids import EndpointId
from payhooks.ports.leasing import Leased


class Handoff(Protocol):
    """Where deliveries go that are leased as they are accepted."""

    def has_room(self, endpoint_id: EndpointId) -> bool:
        """Return whether one more for this lane would be attempted soon."""
        ...

    def offer(self, leased: Leased, *, taken_at_s: float) -> None:
        """Take a delivery whose lease began at *taken_at_s* by the monotonic clock."""
        ...

    def hint(self) -> None:
        """Say that something was left in the store that may be due now."""
        ...


class NoHandoff:
    """For a process that serves but does not send."""

    def has_room(self, endpoint_id: EndpointId) -> bool:
        """See Handoff."""
        return False

    def offer(self, leased: Leased, *, taken_at_s: float) -> None:
        """See Handoff."""
        raise AssertionError("nothing was asked for")

    def hint(self) -> None:
        """See Handoff."""
