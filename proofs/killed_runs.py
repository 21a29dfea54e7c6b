"""Runs whose server is killed in the middle: each listed event is one event in the record.

First from outside, whenever that is; then by itself, right behind a write: an event is stored
then, and the run that it is of has not noted it yet. That is where a careless player tells twice.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from tests.support.captured import Capture
from tests.support.failing_server import KILL_VARIABLE
from tests.support.played_scenarios import Scenario
from tests.support.receiving import until
from tests.support.server import SERVE, Api, Json, Server, Tenant
from tests.support.soak import wait_until_settled

from payhooks.sandbox.templates import span_ms
from proofs.ground import Store
from proofs.lines import Line, at_least, exactly

_AT_ONCE: Final = 20  # as many runs as a merchant may have under way
_KILLS: Final = 3  # of each round by itself, where so many runs are left
_FAILING: Final = ("tests.support.failing_server",)
_POINT: Final = "accept.after@2"  # so each time a run gets on, and another is hit
# So long does a life take that is longer: a kill finds it in the middle.
_LASTS_S: Final = 4
_PAUSE_S_MAX: Final = 1.0
_ENDED_S_MAX: Final = 120.0
_SECONDS_MAX: Final = 999_999  # that a speed is written with

Played = tuple[Scenario, Json]


def prove(
    store: Store, server: Server, capture: Capture, played: Sequence[Scenario]
) -> Iterator[Line]:
    """Yield what became of the runs, of which one round after the other was killed."""
    tenant = Tenant(Api(server.port))
    tenant.endpoint(capture.url("/"), events=["*"])
    pauses = random.Random(store.name)
    in_the_middle: list[int] = []
    over: list[Played] = []
    for start in range(0, len(played), _AT_ONCE):
        begun = [(one, _begun(tenant, one)) for one in played[start : start + _AT_ONCE]]
        _in_the_middle(tenant, begun)
        time.sleep(pauses.uniform(0.0, _PAUSE_S_MAX))
        in_the_middle.append(_in_the_middle(tenant, begun))
        server.kill()
        in_the_middle += _dies(server, min(_KILLS, in_the_middle[-1] // 2))
        server.start()
        over += [(one, _ended(tenant, run)) for one, run in begun]
    wait_until_settled(tenant)
    yield from _lines(store, tenant, over, in_the_middle)


def _dies(server: Server, times: int) -> list[int]:
    """Start the server *times*, each time to its death in the middle of at least one run."""
    server.command = _FAILING
    for _ in range(times):
        server.begin({KILL_VARIABLE: _POINT})
        if (code := server.wait()) != -signal.SIGKILL:
            raise RuntimeError(f"it ended with {code}:\n{server.said()}")
    server.command = SERVE
    return [1] * times


def _lines(
    store: Store, tenant: Tenant, over: Sequence[Played], in_the_middle: Sequence[int]
) -> Iterator[Line]:
    name = f"{store.name}: kill -9 while runs are played"
    rounds = -(-len(over) // _AT_ONCE)
    yield at_least(f"{name}: times", len(in_the_middle), rounds * (1 + _KILLS), "")
    yield at_least(f"{name}: runs in the middle, all times", sum(in_the_middle), len(over) // 2, "")
    told = [one for one, run in over if _types(run) == [event for event, _ in one.events]]
    yield exactly(f"{name}: runs told to their end as listed", len(told), len(over))
    listed = [(event["id"], event["type"]) for _, run in over for event in run["events"]]
    # What Payhooks says of itself, as that the endpoint was made, is of no run.
    record = Counter(
        (event["id"], event["type"])
        for event in tenant.api.pages(f"{tenant.path}/events")
        if event["family"] != "payhooks"
    )
    steps = sum(len(one.events) for one, _ in over)
    yield exactly(f"{name}: listed events", len(set(listed)), steps)
    yield exactly(f"{name}: listed, and not in the record", len(set(listed) - set(record)), 0)
    yield exactly(f"{name}: in the record, and not listed", len(set(record) - set(listed)), 0)
    yield exactly(f"{name}: in the record", record.total(), steps, "events")
    deliveries = [
        tenant.api.get(f"{tenant.path}/events/{id_}/deliveries")["data"] for id_, _ in listed
    ]
    once = sum([one["status"] for one in each] == ["delivered"] for each in deliveries)
    yield exactly(f"{name}: delivered, each in one delivery", once, steps, "events")


def _begun(tenant: Tenant, scenario: Scenario) -> Json:
    told_s = sum(span_ms(after) for after in scenario.after[1:]) // 1_000 + 1
    wishes: Json = {"scenario": scenario.name, "seed": scenario.seed}
    if told_s > _LASTS_S:
        told = f"{told_s}s" if told_s <= _SECONDS_MAX else f"{told_s // 60 + 1}m"
        wishes["speed"] = f"{told}={_LASTS_S}s"
    return tenant.api.post(f"{tenant.path}/sandbox/runs", wishes)


def _in_the_middle(tenant: Tenant, begun: Sequence[Played]) -> int:
    """Return how many have told some of their events, and not all; waits for the first of them."""

    def ask() -> list[Json]:
        return [_read(tenant, run) for _, run in begun]

    runs = until(
        ask, lambda all_: any(_told_some(one) for one in all_) or all(_is_over(one) for one in all_)
    )
    return sum(_told_some(run) for run in runs)


def _told_some(run: Json) -> bool:
    return bool(0 < run["published"] < run["steps"])


def _is_over(run: Json) -> bool:
    return bool(run["state"] != "playing")


def _ended(tenant: Tenant, run: Json) -> Json:
    return until(lambda: _read(tenant, run), _is_over, s=_ENDED_S_MAX)


def _read(tenant: Tenant, run: Json) -> Json:
    return tenant.api.get(f"{tenant.path}/sandbox/runs/{run['id']}")


def _types(run: Json) -> list[str] | None:
    """Return what was told, None where it was not told to its end."""
    done = run["state"] == "finished" and all(event["id"] for event in run["events"])
    return [event["type"] for event in run["events"]] if done else None
