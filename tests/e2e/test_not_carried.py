"""An event that one endpoint's dialect cannot carry, and another's can."""

from pathlib import Path

import pytest
from tests.support.captured import capturing
from tests.support.receiving import until
from tests.support.server import Api, Server, Tenant


@pytest.mark.shows("V33")
def test_a_delivery_that_cannot_be_written_fails_in_plain_sight(
    on_sqlite: Server, tmp_path: Path
) -> None:
    """Nothing is sent that the receiver could not read, and nobody waits for a retry of it."""
    api = Api(on_sqlite.port)
    tenant = Tenant(api, "Two dialects")
    with capturing() as capture:
        picky = tenant.endpoint(capture.url("/treezor"), dialect="treezor")
        plain = tenant.endpoint(capture.url("/standard"))
        event = tenant.publish({"amount": 1, "currency": "EUR"})
        [sent] = capture.until(1)
        deliveries = until(
            lambda: api.get(f"{tenant.path}/events/{event['id']}/deliveries")["data"],
            lambda found: all(each["status"] in {"delivered", "failed"} for each in found),
        )
        # Given data that treezor knows, the same endpoint hears again.
        tenant.publish({"payins": [{"payinId": "1"}]})
        capture.until(3)
    assert sent.path == "/standard"
    status = {each["endpoint_id"]: (each["status"], each["reason"]) for each in deliveries}
    assert status == {picky: ("failed", "not_carried"), plain: ("delivered", None)}
    [failed] = [each for each in deliveries if each["endpoint_id"] == picky]
    [attempt] = api.get(f"{tenant.path}/deliveries/{failed['id']}")["attempts"]
    assert attempt["detail"].startswith("The dialect of this endpoint cannot carry")
