"""The part Metrics of a webhook's page: counts over time, response times, why what failed did."""

import re
from html import unescape

import pytest
from tests.support.api_world import finish
from tests.support.browsing import Browser, ConsoleWorld
from tests.support.webhook_shop import LIST, Shop, at, shop_of

from payhooks import ids
from payhooks.console.pages.webhooks_metrics import FAILED_MAX
from payhooks.model.attempt import Reason
from payhooks.model.delivery import Trigger
from payhooks.model.endpoint import Endpoint
from payhooks.model.user import Role
from payhooks.ports.tallying import HOUR_S, Tally


@pytest.fixture
async def shop() -> Shop:
    """Return a shop whose owner has just given a second factor."""
    return await shop_of(ConsoleWorld())


async def failed(shop: Shop, count: int, why: Reason) -> None:
    """Publish so many events, and let all that waits fail with one reason."""
    events = [{"type": "ach.settled", "data": {}}] * count
    merchant = ids.to_text(ids.MERCHANT, shop.merchant.id)
    said = await shop.world.call(
        "POST", f"/v1/merchants/{merchant}/events/batch", {"events": events}
    )
    assert said.status == 202
    assert await finish(shop.world, Trigger.GIVE_UP, why) >= count


def cells(page: str, caption: str) -> list[list[str]]:
    """Return the texts of a table's rows."""
    table = page.split(f">{caption}</caption>", 1)[1].split("</table>", 1)[0]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in table.split("<tr>")]
    return [[unescape(re.sub(r"<[^>]+>", "", one)).strip() for one in row] for row in rows if row]


async def metrics(shop: Shop, endpoint: Endpoint, query: str = "") -> str:
    return (await shop.browser.get(at(endpoint, f"?tab=metrics{query}"))).text


async def test_failures_are_told_by_reason_and_by_status(shop: Shop) -> None:
    """Nine of ten with one reason is one cause to mend, and one click to send again."""
    endpoint = await shop.added(authentication="none")
    await shop.added(label="Other", authentication="none", events="ach.returned")
    assert "Nothing failed" in await metrics(shop, endpoint)
    await failed(shop, 2, Reason.HTTP_5XX)
    await failed(shop, 1, Reason.TLS)
    shop.world.advance(60)
    page = await metrics(shop, endpoint)
    reasons = [(row[0].split()[0], row[1]) for row in cells(page, "Failed by reason")]
    assert reasons == [("http_5xx", "2"), ("tls", "1")]
    assert cells(page, "Failed by status code") == [["503", "3"]]
    assert "All 3 that failed and are kept" in page
    link = re.search(r'href="([^"]+reason=tls[^"]*count[^"]*|[^"]+count=1[^"]*reason=tls)"', page)
    assert link is not None
    assert "1 delivery matches" in (await shop.browser.get(unescape(link[1]))).text


async def test_only_the_newest_failures_are_judged_and_the_page_says_so(shop: Shop) -> None:
    """A million that failed are not read for each look at a page."""
    endpoint = await shop.added(authentication="none")
    await failed(shop, 1, Reason.TLS)
    await failed(shop, FAILED_MAX, Reason.TIMEOUT)
    page = await metrics(shop, endpoint)
    assert f"Of the newest {FAILED_MAX} that failed" in page
    assert [row[1] for row in cells(page, "Failed by reason")] == [str(FAILED_MAX)]


@pytest.mark.parametrize(
    ("span", "steps"), [("24h", "hour"), ("7d", "six hours"), ("30d", "day"), ("1000d", "hour")]
)
async def test_volume_and_response_times_are_counted_over_a_span(
    shop: Shop, span: str, steps: str
) -> None:
    """Half of the answers quick and one in twenty past the deadline is not an average."""
    endpoint = await shop.added()
    now = shop.world.control.clock.now()
    tally = Tally(
        merchant_id=shop.merchant.id,
        endpoint_id=endpoint.id,
        step_s=HOUR_S,
        at=now.replace(minute=0, second=0, microsecond=0),
        delivered=90,
        failed=4,
        attempts=100,
        attempts_failed=10,
        responses=(60, 0, 0, 34, 0, 0, 0, 5, 1),
    )
    await shop.world.store.add_tallies([tally])
    page = await metrics(shop, endpoint, f"&range={span}")
    figures = re.findall(r'<p>([^<]+)</p><p class="figure[^"]*">([^<]+)<', page)
    assert dict(figures) == {
        "Delivered": "90",
        "Failed": "4",
        "Requests": "100",
        "Half of the answers": "≤ 50 ms",
        "19 of 20 of the answers": "≤ 15 s",
        "99 of 100 of the answers": "≤ 15 s",
    }
    assert "90.0 % answered with 2xx" in page
    [row] = cells(page, f"Deliveries per {steps}")
    assert row[1:] == ["90", "6", "4"]
    assert ["≤ 500 ms", "34"] in cells(page, "Response times")
    assert ["> 15 s", "1"] in cells(page, "Response times")


async def test_another_merchants_metrics_do_not_exist(shop: Shop) -> None:
    """An id from a shared screenshot must not tell how a competitor's sales go."""
    endpoint = await shop.added()
    stranger = await shop_of(shop.world)
    assert (await stranger.browser.get(at(endpoint, "?tab=metrics"))).status == 404
    viewer = await Browser(shop.world).sign_in(await shop.world.person(shop.merchant, Role.VIEWER))
    await viewer.get(LIST)
    seen = await viewer.get(at(endpoint, "?tab=metrics"))
    assert (seen.status, "Recover" in seen.text) == (200, False)
