"""Whether a process can do its work, from the health of its store."""

from typing import Final

from payhooks.api.services import Readiness
from payhooks.clock import Clock
from payhooks.errors import UnavailableError
from payhooks.limits import WORKER_SILENT_S
from payhooks.ports.store import Store
from payhooks.ports.sweeping import Health

# With the store's own time limit after it, a process that was cut off says so within 4 s.
HEALTH_FOR_S: Final = 1.0


class ReadinessCheck:
    """Readiness from the store's health, asked at most every HEALTH_FOR_S."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: tuple[float, Readiness] | None = None

    async def check(self) -> Readiness:
        """Return whether this process can do its work."""
        now_s = self._clock.monotonic_s()
        if self._known is None or now_s - self._known[0] > HEALTH_FOR_S:
            self._known = (now_s, await self._look())
        return self._known[1]

    async def _look(self) -> Readiness:
        try:
            health = await self._store.health()
        except UnavailableError:
            return Readiness(ready=False, checks={"store": "does not answer"})
        alive = [worker for worker in health.workers if worker.seen_s_ago < WORKER_SILENT_S]
        checks = {
            "store": "ok",
            "durability": health.durability,
            "worker": "ok" if alive else "no worker has reported lately",
            "clock": _clock_words(health),
        }
        # Without a worker events are accepted and wait: late, not lost, so still ready.
        return Readiness(ready=health.writable and not health.clock_differs, checks=checks)


def _clock_words(health: Health) -> str:
    return f"{health.clock_skew_s:+.3f} s from the store's"
