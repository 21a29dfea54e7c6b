"""How a process ends that is asked twice, has no time left, or gets no memory.

Rows F18 and F19 of the fault matrix; the other deaths are in tests/e2e/test_kills_*.py.
"""

import http.client
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.faulted import Ground, ask, ground, publish
from tests.support.receiving import until
from tests.support.server import EVENT_TYPE, Server
from tests.support.soak import wait_until_settled

from payhooks.clock import SystemClock

AT_ONCE_S_MAX = 3.0
ENDPOINTS = 60
EVENTS = 4
BIG = "x" * 200_000
# Longer than the grace, and than ending takes; what was broken off is not sent again before.
TIMEOUT_S = 5
SPARE_BYTES = 8 * 2**20  # what one event's bodies want together, and less than two do
NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Ground]:
    server = Server(
        tmp_path / "server",
        f"sqlite:///{tmp_path}/payhooks.db",
        environment={"PAYHOOKS_DRAIN_GRACE_S": "1"},
    )
    with ground(server) as on:
        yield on


def _hang(on: Ground) -> str:
    """Make an endpoint that answers too late, and send it something; return its message id."""
    on.tenant.endpoint(on.receiving.url("/slow?s=30"), timeout_s=TIMEOUT_S)
    on.receiving.receiver.secrets.update(on.tenant.secrets)
    assert publish(on.tenant, "slow").status == 202
    return next(each.message_id for each in on.receiving.until(2) if each.path.startswith("/slow"))


def _is_sent_again(on: Ground, message_id: str) -> list[dict[str, Any]]:
    """Start the server and see the same message come again, with the reason on record."""
    on.server.start()
    until(
        lambda: [each.message_id for each in on.receiving.received if "slow" in each.path],
        lambda ids: ids == [message_id] * 2,
    )
    found = on.tenant.api.get(f"{on.tenant.path}/deliveries/{message_id}")
    attempts: list[dict[str, Any]] = found["attempts"]
    assert [attempt["reason"] for attempt in attempts] == ["abandoned"]
    return attempts


@pytest.mark.shows("F18")
def test_asked_twice_it_ends_at_once_and_what_was_under_way_goes_out_again(on: Ground) -> None:
    """Who asks twice means it; it costs what a kill costs, and no more."""
    message_id = _hang(on)
    on.server.signal(signal.SIGTERM)
    on.server.signal(signal.SIGTERM)
    began_s = time.monotonic()
    assert on.server.wait() in {-signal.SIGTERM, 0}
    assert time.monotonic() - began_s < AT_ONCE_S_MAX
    _is_sent_again(on, message_id)


@pytest.mark.shows("F18")
def test_after_its_grace_it_breaks_off_what_has_not_ended(on: Ground) -> None:
    """A supervisor would kill it next; ending by itself it writes down what it knows."""
    message_id = _hang(on)
    began_s = time.monotonic()
    assert on.server.stop() == 0
    assert 0.9 < time.monotonic() - began_s < 1 + AT_ONCE_S_MAX
    ended_at = SystemClock().now()
    attempts = _is_sent_again(on, message_id)
    # Not when its lease ran out, a minute later: it was given back.
    assert datetime.fromisoformat(attempts[0]["at"]) < ended_at


@pytest.mark.shows("F18")
def test_killed_in_the_middle_of_its_grace_nothing_is_lost(on: Ground) -> None:
    """As a supervisor does whose patience is shorter than ours."""
    message_id = _hang(on)
    on.server.signal(signal.SIGTERM)
    on.server.kill()
    _is_sent_again(on, message_id)


@pytest.mark.shows("F19")
@pytest.mark.long
def test_a_fan_out_larger_than_memory_is_late_not_lost(on: Ground) -> None:
    """A container's limit is reached: some attempts fail or the process dies; nobody loops."""
    for number in range(ENDPOINTS):
        on.tenant.endpoint(on.receiving.url(f"/ok/{number}"), timeout_s=2, retry_policy=[1] * 20)
    wait_until_settled(on.tenant)
    _limit_memory(on.server.pid, spare_bytes=SPARE_BYTES)
    stored = [number for number in range(EVENTS) if _publish_big(on, number) == 202]
    assert stored, "the limit is meant for the fan-out, not for the door"
    if _is_alive(on.server):
        resource.prlimit(on.server.pid, resource.RLIMIT_AS, NO_LIMIT)
    else:
        assert on.server.wait() != 0
        on.server.start()
    wait_until_settled(on.tenant)
    failed = on.tenant.api.get(f"{on.tenant.path}/deliveries?status=failed")["data"]
    assert failed == [], "a kill spends no attempt, nor does memory that we lack"
    got = {
        (each.path, each.data["number"])
        for each in on.receiving.received
        if each.data["key"] == BIG
    }
    paths = [path for path in on.tenant.secrets if path.startswith("/ok/")]
    assert got >= {(path, number) for path in paths for number in stored}


def _publish_big(on: Ground, number: int) -> int:
    """Return the status, or 0 where there was no answer."""
    body = {"type": EVENT_TYPE, "data": {"key": BIG, "number": number}}
    path = f"{on.tenant.path}/events"
    try:
        return ask(
            on.server.port, "POST", path, on.tenant.key, body, idempotency_key=str(number)
        ).status
    except (OSError, http.client.HTTPException):
        return 0


def _is_alive(server: Server) -> bool:
    """Return whether the process still runs, once it had time to die."""
    assert server.process is not None
    try:
        server.process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return True
    return False


def _limit_memory(pid: int, *, spare_bytes: int) -> None:
    """Let a process have so much more address space than it has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[0])
    has = pages * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (has + spare_bytes, resource.RLIM_INFINITY))
