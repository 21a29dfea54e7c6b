"""Two processes on one database: what one is told of a connector, the other goes by."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.owlpay_sender import SECRET
from tests.support.postgres import cluster
from tests.support.providers import connector, payment, post, signature
from tests.support.receiving import until
from tests.support.server import Api, Server, Tenant, postgres_url

pytestmark = pytest.mark.shows("N02")

OTHER_SECRET = "whs_another_secret_9876543210"
_SOON_S = 10.0  # a second, on a machine that has other things to do


def _status(server: Server, tenant: Tenant, secret: str = SECRET) -> int:
    body = payment(1)
    signed = signature(body, at_s=int(time.time()), secret=secret)
    return post(server.port, f"/webhooks/{tenant.id}/owlpay", body, signed).status


def test_what_one_process_changes_of_a_connector_holds_in_the_other(
    stack: ExitStack, tmp_path: Path
) -> None:
    """A rotated secret, or a connector that was disabled, would else be heard for ever."""
    url = stack.enter_context(
        postgres_url(stack.enter_context(cluster()), f"heard_{abs(hash(tmp_path)) % 10**12}")
    )
    here, there = Server(tmp_path / "here", url), Server(tmp_path / "there", url)
    for server in (here, there):
        stack.callback(server.close)
        server.start()
    tenant = Tenant(Api(here.port))
    assert _status(there, tenant) == 404
    connector(tenant)
    until(lambda: _status(there, tenant), lambda status: status == 200, s=_SOON_S)
    path = f"{tenant.path}/connectors/owlpay"
    tenant.api.post(f"{path}/rotate-secret", {"secret": OTHER_SECRET, "grace_s": 0})
    until(lambda: _status(there, tenant, OTHER_SECRET), lambda status: status == 200, s=_SOON_S)
    assert _status(there, tenant) == 401
    tenant.api.post(f"{path}/disable")
    until(lambda: _status(there, tenant, OTHER_SECRET), lambda status: status == 404, s=_SOON_S)
