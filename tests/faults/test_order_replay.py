"""A bulk replay beside live traffic, killed and cancelled. Row F67."""

import threading
import time
from collections import Counter
from dataclasses import dataclass

import pytest
from tests.support.receiving import until
from tests.support.server import EVENT_TYPE, Api, Json, Server, Tenant
from tests.support.soak import OtherProcess, wait_until_settled

BATCH = 1_000
RATE_PER_S = 1_000
LIVE_EVERY_S = 0.2
LIVE_S_MAX = 5.0
# A job whose process died is held up for a minute at most; then any process goes on with it.
RESUMED_S_MAX = 90.0


@dataclass(frozen=True, slots=True)
class Job:
    """A replay of everything that was delivered."""

    tenant: Tenant
    path: str

    @classmethod
    def begin(cls, tenant: Tenant) -> "Job":
        wish = {"filter": {}, "include": ["delivered"], "rate_per_s": RATE_PER_S}
        made = tenant.api.post(f"{tenant.path}/replays", wish)
        return cls(tenant, f"{tenant.path}/replays/{made['id']}")

    @property
    def queued(self) -> int:
        return int(self.tenant.api.get(self.path)["queued"])

    def until_queued(self, count: int, *, s: float = 60.0) -> None:
        until(lambda: self.queued, lambda queued: queued >= count, s=s)

    def cancel(self) -> Json:
        return self.tenant.api.post(f"{self.path}/cancel")


class Live:
    """Publishes an event now and then from a thread, and remembers when each was taken."""

    def __init__(self, tenant: Tenant) -> None:
        self.taken_s: dict[str, float] = {}
        self._tenant = tenant
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        number = 0
        while not self._ended.wait(LIVE_EVERY_S):
            key = f"live{number}"
            self._tenant.publish({"key": key}, key=key)
            self.taken_s[key] = time.monotonic()
            number += 1


@pytest.mark.shows("F67")
@pytest.mark.parametrize(
    ("count", "killed"), [(2_000, False), pytest.param(100_000, True, marks=pytest.mark.long)]
)
def test_a_replay_is_paced_lets_live_events_by_and_stops_when_it_is_told(
    on_sqlite: Server, receiver: OtherProcess, *, count: int, killed: bool
) -> None:
    """Whoever replays a day by mistake must be able to stop it, and nobody else may notice it."""
    tenant = Tenant(Api(on_sqlite.port))
    tenant.endpoint(receiver.url("/ok"))
    for start in range(0, count, BATCH):
        keys = [f"k{number}" for number in range(start, start + BATCH)]
        events = [{"type": EVENT_TYPE, "data": {"key": key}} for key in keys]
        tenant.api.post(f"{tenant.path}/events/batch", {"events": events})
    wait_until_settled(tenant)
    assert receiver.count() == count
    began_s = time.monotonic()
    job = Job.begin(tenant)
    if killed:
        job.until_queued(count // 4)
        on_sqlite.kill()
        on_sqlite.start()
        job.until_queued(count // 4 + BATCH, s=RESUMED_S_MAX)
    live = Live(tenant)
    job.until_queued(count // 2)
    took_s = time.monotonic() - began_s
    live.end()
    cancelled = job.cancel()
    wait_until_settled(tenant)
    after = receiver.count()
    assert cancelled["state"] == "cancelled"
    # A second's worth may go at once.
    assert cancelled["queued"] <= RATE_PER_S * (took_s + 2)
    assert cancelled["queued"] < count
    arrived = Counter(each.data["key"] for each in receiver.received())
    assert len(arrived) == count + len(live.taken_s)
    again = sum(arrived.values()) - len(arrived)
    assert 0 < again <= cancelled["queued"] + (100 if killed else 0)
    assert max(arrived.values()) == 2 or killed
    first_s = {each.data["key"]: each.at_s for each in reversed(receiver.received())}
    assert max(first_s[key] - taken for key, taken in live.taken_s.items()) < LIVE_S_MAX
    threading.Event().wait(1)
    assert receiver.count() == after
    statuses = {each["status"] for each in tenant.api.pages(f"{tenant.path}/deliveries")}
    assert statuses == {"delivered"}
