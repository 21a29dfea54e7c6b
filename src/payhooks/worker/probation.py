"""Probation: when this process may try deliveries that others died with, and which of them.

A death is held against a delivery only while nothing else that it might be held against was out
(ADR 0009). So what is on probation is taken a trial at a time, the next when every outcome of the
last is on the disk, and by no process that has only just begun: one that dies as it starts, again
and again, says nothing about what it holds.
"""

from collections.abc import Iterable
from typing import Final

from payhooks.clock import Clock
from payhooks.ids import DeliveryId
from payhooks.ports.leasing import Leased, Trial

# Longer than a process takes that cannot live at all; short beside a retry.
PROBATION_FROM_S: Final = 5.0
_OTHER: Final = {Trial.TOGETHER: Trial.ALONE, Trial.ALONE: Trial.TOGETHER}


class Probation:
    """What one process holds of deliveries on probation."""

    _held: dict[tuple[DeliveryId, int], float]  # until when, if nobody says more

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s: float | None = None
        self._next = Trial.TOGETHER
        self._held = {}

    def begin(self) -> None:
        """Take note that the process works from now on."""
        self._began_s = self._clock.monotonic_s()

    def trial(self) -> Trial:
        """Return what the next look may bring."""
        now_s = self._clock.monotonic_s()
        if self._began_s is None or now_s - self._began_s < PROBATION_FROM_S:
            return Trial.NONE
        if self._held:
            # A lease that ran out is somebody else's; what broke it never told.
            self._held = {key: until_s for key, until_s in self._held.items() if until_s > now_s}
        return Trial.NONE if self._held else self._next

    def looked(self, trial: Trial, leased: Iterable[Leased], *, taken_at_s: float) -> None:
        """Take note of what a look brought."""
        tried = [one for one in leased if one.probation]
        self._held.update({(one.id, one.fence): taken_at_s + one.lease_s for one in tried})
        if trial is not Trial.NONE and not tried:
            self._next = _OTHER[trial]

    def written(self, leased: Leased) -> bool:
        """Take note that an outcome is on the disk; return whether that ends a trial."""
        return self._held.pop((leased.id, leased.fence), None) is not None and not self._held
