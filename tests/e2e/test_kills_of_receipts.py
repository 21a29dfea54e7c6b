"""kill -9 at each stage of hearing: what the provider and the merchant see of it.

Rows F13 to F15 of the fault matrix. The provider behaves as providers do: it sends again what
was not answered with a 2xx.
"""

import http.client
import time

import pytest
from tests.support.failing_server import KILL_VARIABLE
from tests.support.providers import connector, events, payment, post, signature
from tests.support.receiving import until
from tests.support.server import SERVE, Api, Server, Tenant

FAILING = ("tests.support.failing_server",)
# On PostgreSQL what the dead process held has to run out first.
_STORES = pytest.mark.parametrize(
    "any_server", ["sqlite", pytest.param("postgres", marks=pytest.mark.long)], indirect=True
)


@pytest.fixture
def tenant(any_server: Server) -> Tenant:
    """Return a merchant with a connector, on a server that is stopped again."""
    any_server.start()
    tenant = Tenant(Api(any_server.port))
    connector(tenant)
    assert any_server.stop() == 0
    return tenant


def _send(server: Server, tenant: Tenant) -> int | None:
    """Send the one message there is; None where nobody answers."""
    body = payment(1)
    signed = signature(body, at_s=int(time.time()))
    try:
        return post(server.port, f"/webhooks/{tenant.id}/owlpay", body, signed).status
    except (OSError, http.client.HTTPException):
        return None


def _receipts(tenant: Tenant) -> list[str]:
    return [one["state"] for one in tenant.api.pages(f"{tenant.path}/receipts")]


def _die_at(server: Server, point: str) -> None:
    server.command = FAILING
    server.start({KILL_VARIABLE: point})


def _restart(server: Server) -> None:
    server.wait()
    server.command = SERVE
    server.start()


def _told_once(server: Server, tenant: Tenant) -> None:
    """Wait until everything is concluded, and find one event."""
    until(
        lambda: _receipts(tenant),
        lambda states: bool(states) and "received" not in states,
        s=30.0,
    )
    assert len(events(tenant.api, tenant)) == 1


@pytest.mark.shows("F13")
@_STORES
def test_killed_after_the_receipt_was_stored_the_providers_next_try_tells_nothing_new(
    any_server: Server, tenant: Tenant
) -> None:
    """F13: it was stored and the provider does not know; both messages are one piece of news."""
    _die_at(any_server, "receive.after")
    assert _send(any_server, tenant) is None
    _restart(any_server)
    assert _send(any_server, tenant) == 200
    _told_once(any_server, tenant)
    assert len(_receipts(tenant)) == 2


@pytest.mark.shows("F14")
@_STORES
def test_killed_before_the_receipt_was_stored_nothing_is_there(
    any_server: Server, tenant: Tenant
) -> None:
    """F14: no 2xx was said, so the provider sends again, and only that counts."""
    _die_at(any_server, "receive.before")
    assert _send(any_server, tenant) is None
    _restart(any_server)
    assert _receipts(tenant) == []
    assert _send(any_server, tenant) == 200
    _told_once(any_server, tenant)
    assert len(_receipts(tenant)) == 1


@pytest.mark.shows("F15")
@_STORES
@pytest.mark.parametrize(
    "point",
    [
        pytest.param("accept.before", id="stored and not told"),
        pytest.param("accept.after", id="told and nobody knows"),
    ],
)
def test_killed_while_it_was_told_it_is_told_once_after_the_restart(
    any_server: Server, tenant: Tenant, point: str
) -> None:
    """F15: the provider has its 2xx and will not come again: what was stored has to do."""
    _die_at(any_server, point)
    _send(any_server, tenant)
    _restart(any_server)
    _told_once(any_server, tenant)
    assert _receipts(tenant) == ["processed"]
