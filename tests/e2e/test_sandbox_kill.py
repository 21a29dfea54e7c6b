"""A run whose server is killed in the middle: the next one tells the rest, and nothing twice."""

from itertools import pairwise

import pytest
from tests.support.receiving import Receiving, until
from tests.support.server import Api, Json, Server, Tenant

SCENARIO = "auto-capture"
# A day of life in a second: time enough to be killed in the middle of it.
SPEED = "1d=1s"


def _events(tenant: Tenant) -> list[Json]:
    found = list(tenant.api.pages(f"{tenant.path}/events?type=payment_intent.*"))
    return found[::-1]


@pytest.mark.shows("E18")
def test_a_run_that_is_killed_in_the_middle_is_told_to_its_end(
    server: Server, receiving: Receiving
) -> None:
    """Exactly the listed events, once each and in order, at the API and at the receiver."""
    tenant = Tenant(Api(server.start().port))
    tenant.endpoint(receiving.url("/ok"), events=["payment_intent.*"], ordering="object")
    receiving.receiver.secrets.update(tenant.secrets)
    body = {"scenario": SCENARIO, "speed": SPEED}
    run = tenant.api.post(f"{tenant.path}/sandbox/runs", body)
    path = f"{tenant.path}/sandbox/runs/{run['id']}"
    half = until(lambda: tenant.api.get(path), lambda found: found["published"] > 0)
    server.kill()
    assert half["published"] < half["steps"]
    server.start()
    told = until(lambda: tenant.api.get(path), lambda found: found["state"] != "playing")
    assert (told["state"], told["published"]) == ("finished", told["steps"])
    events = _events(tenant)
    assert [each["id"] for each in events] == [each["id"] for each in told["events"]]
    assert [each["type"] for each in events] == [each["type"] for each in run["events"]]
    for before, after in pairwise(told["events"]):
        assert before["occurred_at"] < after["occurred_at"]
    until(
        lambda: {one.message_id for one in receiving.received}, lambda ids: len(ids) == len(events)
    )
    assert all(one.verified for one in receiving.received)
    # At least once is what is promised: by message id, each is one and they come in order.
    firsts = list(dict.fromkeys(one.message_id for one in receiving.received))
    deliveries = [
        tenant.api.get(f"{tenant.path}/events/{each['id']}/deliveries") for each in events
    ]
    assert firsts == [one["id"] for each in deliveries for one in each["data"]]
