"""kill -9 at each stage of the way: what the publisher and the receiver see of it.

Rows F01 to F10 of the fault matrix. Every test starts a real server, lets it die at one exact
point, starts it again on the same data, and asks both ends what came of it.
"""

import contextlib
import http.client
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.failing_server import ARMED_VARIABLE, KILL_VARIABLE
from tests.support.receiver import Reception
from tests.support.receiving import Receiving, until
from tests.support.server import (
    EVENT_TYPE,
    SERVE,
    Api,
    Json,
    Server,
    Tenant,
)

FAILING = ("tests.support.failing_server",)
# A lease outlives wait, deadline and margin: 5 + 1 + 10 s for these endpoints.
TIMEOUT_S = 1.0


def _tenant(
    server: Server,
    receiving: Receiving,
    path: str = "/ok",
    *,
    dies_at: str | None = None,
    **fields: object,
) -> Tenant:
    """Start the server with a merchant and an endpoint; then arm it, where it is to die."""
    if dies_at is None:
        server.start()
    else:
        server.command = FAILING
        server.start({KILL_VARIABLE: dies_at, ARMED_VARIABLE: str(_armed(server))})
    tenant = Tenant(Api(server.port))
    tenant.endpoint(receiving.url(path), timeout_s=TIMEOUT_S, **fields)
    receiving.receiver.secrets.update(tenant.secrets)
    # The announcement of the endpoint is an event too: not the one that the test waits for.
    until(lambda: tenant.api.get(f"{tenant.path}/events"), lambda page: len(page["data"]) == 1)
    if dies_at is not None:
        _armed(server).touch()
    return tenant


def _armed(server: Server) -> Path:
    return server.folder / "armed"


def _restart(server: Server) -> None:
    """Start it without its flaw, when it is dead."""
    server.wait()
    server.command = SERVE
    server.start()


def _publish_into_death(tenant: Tenant) -> None:
    """Publish, and hear nothing."""
    with pytest.raises((OSError, http.client.HTTPException)):
        tenant.publish({"key": "a"}, key="a")


def _publish_somehow(tenant: Tenant) -> None:
    """Publish; the server may die before or after its answer."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        tenant.publish({"key": "a"}, key="a")


def _events(tenant: Tenant) -> list[Json]:
    found: list[Json] = tenant.api.get(f"{tenant.path}/events?type={EVENT_TYPE}")["data"]
    return found


def _delivery(tenant: Tenant, status: str = "delivered") -> Json:
    """Return the only delivery with its attempts, when it has that status."""
    [listed] = tenant.api.get(f"{tenant.path}/deliveries")["data"]
    path = f"{tenant.path}/deliveries/{listed['id']}"
    return until(lambda: tenant.api.get(path), lambda found: found["status"] == status)


@pytest.mark.shows("F01")
def test_killed_before_the_commit_nothing_is_stored_and_the_retry_stores_once(
    any_server: Server, receiving: Receiving
) -> None:
    """F01: the publisher heard nothing, so nothing may have happened twice."""
    tenant = _tenant(any_server, receiving, dies_at="accept.before")
    _publish_into_death(tenant)
    _restart(any_server)
    assert _events(tenant) == []
    tenant.publish({"key": "a"}, key="a")
    receiving.until(1)
    assert _delivery(tenant)["attempts_made"] == 1


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("accept.after", id="F02 before the answer"),
        pytest.param("answer.half", id="F03 after half of it"),
    ],
)
@pytest.mark.shows("F02", "F03")
def test_killed_after_the_commit_the_retry_is_told_the_same_id(
    any_server: Server, receiving: Receiving, point: str
) -> None:
    """The event was stored; asking again must find it, not make another."""
    tenant = _tenant(any_server, receiving, dies_at=point)
    _publish_into_death(tenant)
    _restart(any_server)
    [stored] = _events(tenant)
    assert tenant.publish({"key": "a"}, key="a")["id"] == stored["id"]
    assert len(_events(tenant)) == 1


@pytest.mark.shows("F04")
def test_killed_after_the_commit_a_retry_without_a_key_makes_a_second_event(
    server: Server, receiving: Receiving
) -> None:
    """F04: nobody can tell the two apart, so both go out: no dead end, and no silent guess."""
    tenant = _tenant(server, receiving, dies_at="accept.after")
    with pytest.raises((OSError, http.client.HTTPException)):
        tenant.publish({"key": "a"})
    _restart(server)
    [first] = _events(tenant)
    assert tenant.publish({"key": "a"})["id"] != first["id"]
    assert len({reception.message_id for reception in receiving.until(2)}) == 2
    assert len(_events(tenant)) == 2


@pytest.mark.shows("F05")
def test_killed_after_the_commit_the_event_is_sent_without_anybody_asking_again(
    server: Server, receiving: Receiving
) -> None:
    """F05: event and deliveries are one transaction; a publisher may die with us."""
    tenant = _tenant(server, receiving, dies_at="accept.after")
    _publish_into_death(tenant)
    _restart(server)
    [reception] = receiving.until(1)
    assert reception.verified
    assert reception.data == {"key": "a"}


@pytest.mark.shows("F06")
def test_killed_before_the_request_left_it_is_sent_once_after_all(
    server: Server, receiving: Receiving
) -> None:
    """F06: leased and not sent; the record says that a lease was abandoned."""
    tenant = _tenant(server, receiving, dies_at="send.before")
    _publish_somehow(tenant)
    _restart(server)
    receiving.until(1)
    delivery = _delivery(tenant)
    assert [attempt["reason"] for attempt in delivery["attempts"]] == ["abandoned", None]
    assert len(receiving.received) == 1


@pytest.mark.shows("F07")
def test_killed_while_the_receiver_thinks_it_is_told_again_under_the_same_id(
    server: Server, receiving: Receiving
) -> None:
    """F07: the receiver may have acted on it; the same id is how it knows."""
    tenant = _tenant(server, receiving)
    killed = threading.Event()

    def kill_once(_: Reception) -> None:
        if not killed.is_set():
            killed.set()
            server.signal(signal.SIGKILL)

    receiving.before_answer = kill_once
    _publish_somehow(tenant)
    _restart(server)
    first, second = receiving.until(2)
    assert first.message_id == second.message_id
    assert first.verified
    assert second.verified
    _delivery(tenant)


# On PostgreSQL the lease has to run out first, for sixteen seconds.
@pytest.mark.parametrize(
    "any_server", ["sqlite", pytest.param("postgres", marks=pytest.mark.long)], indirect=True
)
@pytest.mark.shows("F08")
def test_killed_before_the_outcome_is_written_one_duplicate_is_explained(
    any_server: Server, receiving: Receiving
) -> None:
    """F08: at least once, and the record of attempts says why it was twice."""
    tenant = _tenant(any_server, receiving, dies_at="settle.before")
    _publish_somehow(tenant)
    receiving.until(1)
    _restart(any_server)
    first, second = receiving.until(2)
    assert first.message_id == second.message_id
    delivery = _delivery(tenant)
    assert [attempt["reason"] for attempt in delivery["attempts"]] == ["abandoned", None]


@pytest.mark.shows("F09")
def test_killed_after_the_outcome_is_written_nothing_is_sent_again(
    server: Server, receiving: Receiving
) -> None:
    """F09: what is written down is done, whoever did not hear of it."""
    tenant = _tenant(server, receiving, dies_at="settle.after")
    _publish_somehow(tenant)
    _restart(server)
    # A second event is the clock: when it has come, the first had every chance.
    tenant.publish({"key": "b"}, key="b")
    until(
        lambda: tenant.api.get(f"{tenant.path}/deliveries"),
        lambda page: [one["status"] for one in page["data"]] == ["delivered"] * 2,
    )
    assert [reception.data["key"] for reception in receiving.received] == ["a", "b"]


@pytest.mark.parametrize("point", ["settle.before", "settle.after"])
@pytest.mark.shows("F10")
def test_killed_while_a_retry_is_scheduled_the_retry_is_not_forgotten(
    server: Server, receiving: Receiving, point: str
) -> None:
    """F10: the due time is the old one or the new one, never none."""
    tenant = _tenant(server, receiving, "/503", dies_at=point, retry_policy=[1, 3600])
    _publish_somehow(tenant)
    _restart(server)
    receiving.until(2)
    delivery = _delivery(tenant, "scheduled")
    assert delivery["due_at"] is not None


@pytest.mark.shows("F60")
@pytest.mark.shows("F31", "F60")
def test_a_hundred_pairs_of_the_same_key_at_once_make_a_hundred_events(
    any_server: Server, receiving: Receiving
) -> None:
    """F31, F60: whoever comes second is told what the first was."""
    tenant = _tenant(any_server, receiving)
    with ThreadPoolExecutor(50) as pool:
        keys = [f"k{number}" for number in range(100)] * 2
        answers = list(pool.map(lambda key: tenant.publish({"key": key}, key=key), keys))
    assert [one["id"] for one in answers[:100]] == [one["id"] for one in answers[100:]]
    assert len({one["id"] for one in answers}) == 100
    assert len(list(tenant.api.pages(f"{tenant.path}/events?type={EVENT_TYPE}"))) == 100
