"""How each webhook fares, in the list: requests by hour, success, and the state."""

import re

import pytest
from tests.support.browsing import ConsoleWorld
from tests.support.webhook_shop import LIST, Shop, shop_of

from payhooks import ids
from payhooks.model.endpoint import Endpoint
from payhooks.ports.tallying import HOUR_S, Tally


@pytest.fixture
async def shop() -> Shop:
    """Return a shop whose owner has just given a second factor."""
    return await shop_of(ConsoleWorld())


async def requested(shop: Shop, endpoint: Endpoint, attempts: int, failed: int) -> None:
    """Count requests of this hour."""
    now = shop.world.control.clock.now()
    tally = Tally(
        merchant_id=shop.merchant.id,
        endpoint_id=endpoint.id,
        step_s=HOUR_S,
        at=now.replace(minute=0, second=0, microsecond=0),
        attempts=attempts,
        attempts_failed=failed,
    )
    await shop.world.store.add_tallies([tally])


async def row(shop: Shop, label: str) -> str:
    """Return the row of a webhook."""
    text = (await shop.browser.get(LIST)).text
    [found] = [one for one in text.split("<tr>") if f">{label}</a>" in one]
    return found


def cell(row: str, head: str) -> str:
    found = re.search(f'data-label="{head}"[^>]*>(.*?)</td>', row, re.DOTALL)
    assert found is not None
    return found[1]


async def test_an_idle_webhook_is_flat_and_has_no_success(shop: Shop) -> None:
    """0 % of nothing would look like an outage."""
    await shop.added(label="Idle")
    shown = await row(shop, "Idle")
    assert cell(shown, "Success") == "\N{EN DASH}"
    bars = re.search('class="none"[^>]*', cell(shown, "Last 24 h"))
    assert bars is not None
    assert bars[0].count("V19") == 24
    assert ">Active</span>" in cell(shown, "State")


async def test_success_is_of_all_requests_not_of_the_newest(shop: Shop) -> None:
    """Fifty deliveries are a second of a busy webhook."""
    busy = await shop.added(label="Busy")
    await requested(shop, busy, attempts=40_000, failed=200)
    shown = await row(shop, "Busy")
    assert cell(shown, "Success") == "99.5 %"
    assert "40000 in all" in cell(shown, "Last 24 h")
    assert ">Active</span>" in cell(shown, "State")


async def test_a_webhook_that_fails_often_reads_degraded_while_it_is_active(shop: Shop) -> None:
    """Active and green beside 60 % success sends people looking in the wrong place."""
    failing = await shop.added(label="Failing")
    await requested(shop, failing, attempts=50, failed=20)
    assert ">Degraded</span>" in cell(await row(shop, "Failing"), "State")
    place = f"/console/settings/webhooks/{ids.to_text(ids.ENDPOINT, failing.id)}"
    assert "at least one in five failed" in (await shop.browser.get(place)).text
    pause = f"/v1/merchants/{ids.to_text(ids.MERCHANT, shop.merchant.id)}/endpoints"
    paused = await shop.world.call("POST", f"{pause}/{ids.to_text(ids.ENDPOINT, failing.id)}/pause")
    assert paused.status == 200
    assert ">Paused</span>" in cell(await row(shop, "Failing"), "State")
    assert "at least one in five failed" not in (await shop.browser.get(place)).text
