"""Deliveries that kill and kills that deliveries have nothing to do with, on a real process."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing

import pytest
from tests.support.failing_server import KILL_VARIABLE, POISON
from tests.support.server import EVENT_TYPE, SERVE, Api, Json, Server, Tenant
from tests.support.soak import OtherProcess, wait_until_settled

from payhooks.model.delivery import ABANDONED_IN_A_ROW_MAX

FAILING = ("tests.support.failing_server",)
KILLS_ITSELF = {KILL_VARIABLE: "send.poisoned"}
INNOCENT = 50
DEATHS_MAX = ABANDONED_IN_A_ROW_MAX + 2
S_MAX = 120.0
KILLS = 8
LEASED = 64
LANES = 16


def _until(is_so: Callable[[], bool], what: str) -> None:
    ends_s = time.monotonic() + S_MAX
    while not is_so():
        assert time.monotonic() < ends_s, what
        threading.Event().wait(0.05)


def _counted(server: Server, sql: str) -> int:
    """Return a count from the file, which may be read while nobody serves it."""
    with closing(sqlite3.connect(f"file:{server.sqlite_path}?mode=ro", uri=True)) as file:
        [(count,)] = file.execute(sql).fetchall()
    return int(count)


def _undone(server: Server) -> int:
    return _counted(server, "SELECT count(*) FROM queue")


def _leased(server: Server) -> int:
    return _counted(server, "SELECT count(*) FROM queue WHERE state = 1")


def _deliveries(tenant: Tenant, status: str) -> list[Json]:
    path = f"{tenant.path}/deliveries?status={status}&event_type={EVENT_TYPE}"
    return list(tenant.api.pages(path))


def _publish(tenant: Tenant, *keys: str) -> None:
    events = [{"type": EVENT_TYPE, "data": {"key": key}} for key in keys]
    tenant.api.post(f"{tenant.path}/events/batch", {"events": events})


def _served_until_done(server: Server) -> int:
    """Start the server whenever it has died, until nothing is undone; return how often it died."""
    deaths = 0

    def is_done() -> bool:
        nonlocal deaths
        assert server.process is not None
        if server.process.poll() is not None:
            server.wait()
            deaths += 1
            assert deaths <= DEATHS_MAX, "it goes on dying"
            server.begin(KILLS_ITSELF)
        return _undone(server) == 0

    _until(is_done, "something is left undone")
    return deaths


@pytest.mark.long
@pytest.mark.shows("F70")
def test_a_delivery_that_kills_is_set_aside_and_all_beside_it_arrive(
    server: Server, receiver: OtherProcess
) -> None:
    """Whoever restarts the process must not have to know which delivery it is."""
    server.command = FAILING
    server.start(KILLS_ITSELF)
    tenant = Tenant(Api(server.port))
    endpoint = f"{tenant.path}/endpoints/{tenant.endpoint(receiver.url('/ok'))}"
    tenant.api.post(f"{endpoint}/pause")
    data = [f"k{number}" for number in range(INNOCENT)]
    _publish(tenant, *data[:10], POISON.decode(), *data[10:])
    tenant.api.post(f"{endpoint}/resume")
    deaths = _served_until_done(server)
    server.close()
    server.command = SERVE
    server.start()
    assert deaths == ABANDONED_IN_A_ROW_MAX
    assert len(_deliveries(tenant, "delivered")) == INNOCENT
    [poison] = _deliveries(tenant, "failed")
    assert (poison["reason"], poison["attempts_made"]) == ("poison", 0)
    assert {one.data["key"] for one in receiver.received() if one.data} == set(data)


@pytest.mark.long
@pytest.mark.shows("F70")
def test_kills_a_moment_apart_set_nothing_aside(server: Server, receiver: OtherProcess) -> None:
    """A supervisor, a full memory, a person: what was held then has done nothing."""
    server.start()
    tenant = Tenant(Api(server.port))
    endpoints = [tenant.endpoint(receiver.url(f"/hang/{number}")) for number in range(LANES)]
    _publish(tenant, *[f"k{number}" for number in range(LEASED // LANES)])
    leased_at_kills = []
    for _ in range(KILLS):
        # Once they are on probation, nothing of them is out so soon after a start.
        ends_s = time.monotonic() + 1.0
        while (leased := _leased(server)) < LEASED and time.monotonic() < ends_s:
            threading.Event().wait(0.02)
        leased_at_kills.append(leased)
        server.kill()
        server.start()
    for number, endpoint in enumerate(endpoints):
        body = {"url": receiver.url(f"/ok/{number}")}
        tenant.api.call("PATCH", f"{tenant.path}/endpoints/{endpoint}", body)
    wait_until_settled(tenant)
    assert leased_at_kills == [LEASED] * 2 + [0] * (KILLS - 2)
    assert len(_deliveries(tenant, "delivered")) == LEASED
    assert _deliveries(tenant, "failed") == []
