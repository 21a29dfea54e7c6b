"""A connector is heard under its own mode's name, however many of the two names are set."""

import pytest
from tests.support.inbound_world import InboundWorld

from payhooks.control.context import UrlPolicy
from payhooks.model.merchant import Mode

SANDBOX = "sandbox.hooks.example"
LIVE = "hooks.example"


@pytest.mark.parametrize(
    ("names", "host", "status"),
    [
        pytest.param({}, SANDBOX, 401, id="no names at all"),
        pytest.param({Mode.LIVE: LIVE}, "10.0.0.1", 401, id="no name of its own"),
        pytest.param({Mode.LIVE: LIVE}, LIVE, 404, id="only the other's name"),
        pytest.param({Mode.SANDBOX: LIVE, Mode.LIVE: LIVE}, LIVE, 401, id="one name for both"),
        pytest.param({Mode.SANDBOX: SANDBOX}, SANDBOX, 401, id="only its own name"),
        pytest.param({Mode.SANDBOX: SANDBOX}, "10.0.0.1", 404, id="another than its own"),
    ],
)
async def test_a_sandbox_is_never_heard_under_the_name_that_is_for_live_payments(
    names: dict[Mode, str], host: str, status: int
) -> None:
    """A test provider that was given the wrong URL is to find out, not to be taken for real."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay")
    urls = UrlPolicy(webhook_hosts={mode: names.get(mode) for mode in Mode})
    object.__setattr__(world.control, "urls", urls)
    answer = await world.hears(merchant, "owlpay", {"host": host}, b"{}")
    assert answer.status == status
