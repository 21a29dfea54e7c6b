"""PostgreSQL is down or says nothing: providers are told so in time, and send again.

Row I11 of the bad input. What was not stored was not answered with a 2xx, so that nothing is lost;
and what was stored is told once, however often it came.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from tests.support.faulted import OnPostgres, ask
from tests.support.inbound_load import signed
from tests.support.providers import Told, connector, post
from tests.support.receiving import until
from tests.support.server import Tenant

from payhooks.flow.routing import CONFIRMED_S

Suffering = Callable[[OnPostgres], AbstractContextManager[None]]
ANSWER_S_MAX = 2.0
BACK_S_MAX = 20.0


@pytest.fixture(scope="module")
def tenant(on_postgres: OnPostgres) -> Tenant:
    """Return a merchant who is heard: what verifies is known to the process."""
    tenant = on_postgres.ground.tenant
    connector(tenant)
    _demand_told_once(tenant, "first")
    return tenant


def _say(tenant: Tenant, name: str) -> Told:
    body, headers = signed(name)
    return post(tenant.api.port, f"/webhooks/{tenant.id}/owlpay", body, headers)


@contextmanager
def _down(on: OnPostgres) -> Iterator[None]:
    on.postgres.stop()
    try:
        yield
    finally:
        on.postgres.start()


@contextmanager
def _silent(on: OnPostgres) -> Iterator[None]:
    on.line.black_hole()
    try:
        yield
    finally:
        on.line.cut()
        on.line.heal()


@pytest.mark.shows("I11")
@pytest.mark.parametrize("known_for_s", [0.0, CONFIRMED_S], ids=["known", "looked up"])
@pytest.mark.parametrize(
    ("suffering", "word"),
    [pytest.param(_down, "down", id="down"), pytest.param(_silent, "silent", id="silent")],
)
def test_a_provider_is_told_to_come_again_while_the_store_is_away(
    on_postgres: OnPostgres, tenant: Tenant, suffering: Suffering, word: str, known_for_s: float
) -> None:
    """A 2xx for what is nowhere is money that nobody hears of; one who waits may give up on us.

    The store is silent to who keeps it, or already to who asks it whom the request is for.
    """
    name = f"{word}{known_for_s:.0f}"
    stranger = Tenant(tenant.api, "Never heard")
    connector(stranger)
    took_s = []
    with suffering(on_postgres):
        threading.Event().wait(known_for_s)
        for whose in (tenant, stranger, tenant):
            began_s = time.monotonic()
            told = _say(whose, name)
            took_s.append(time.monotonic() - began_s)
            assert (told.status, told.headers["content-type"]) == (503, "application/problem+json")
            assert int(told.headers["retry-after"]) >= 1
    assert max(took_s) < ANSWER_S_MAX
    port = tenant.api.port
    until(lambda: ask(port, "GET", "/readyz").status, lambda status: status == 200, s=BACK_S_MAX)
    for whose in (tenant, stranger):
        _demand_told_once(whose, name)


def _demand_told_once(tenant: Tenant, name: str) -> None:
    """Send it again as providers do, until it is heard, and find one event."""
    until(lambda: _say(tenant, name).status, lambda status: status == 200, s=BACK_S_MAX)
    found = f"{tenant.path}/receipts"
    until(
        lambda: [one["state"] for one in tenant.api.pages(found)],
        lambda states: "received" not in states,
        s=BACK_S_MAX,
    )
    events = f"{tenant.path}/events?object_id=pi_{name}"
    assert [event["type"] for event in tenant.api.pages(events)] == ["payment_succeeded"]
