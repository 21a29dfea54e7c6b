"""The overview of the console: figures, what fails, and the first steps."""

import re
from collections.abc import Sequence
from datetime import datetime
from html import unescape

import pytest
from tests.support.api_world import OWNER, finish
from tests.support.browsing import Browser, ConsoleWorld, Seen

from payhooks import ids
from payhooks.ids import EndpointId
from payhooks.model.delivery import Trigger
from payhooks.model.merchant import Merchant
from payhooks.model.user import Role
from payhooks.ports.tallying import HOUR_S, NO_RESPONSES, Tally

OVERVIEW = "/console/overview"


@pytest.fixture
async def world() -> ConsoleWorld:
    """Return an installation."""
    return ConsoleWorld()


@pytest.fixture
async def merchant(world: ConsoleWorld) -> Merchant:
    """Return a merchant of it."""
    return await world.tenant()


def printed(merchant: Merchant) -> str:
    return ids.to_text(ids.MERCHANT, merchant.id)


async def look(
    world: ConsoleWorld, merchant: Merchant, role: Role = Role.OWNER, query: str = ""
) -> Seen:
    browser = await Browser(world).sign_in(await world.person(merchant, role))
    return await browser.get(OVERVIEW + query)


def tiles(seen: Seen) -> Sequence[str]:
    """Return the figure of each tile."""
    parts = seen.text.split('<p class="figure')[1:]
    return [part.split(">", 1)[1].split("</p>")[0] for part in parts]


async def test_a_new_merchant_is_told_the_first_steps(
    world: ConsoleWorld, merchant: Merchant
) -> None:
    """An empty page says nothing about what to do."""
    seen = await look(world, merchant)
    assert seen.heading == "Overview"
    for words in ("Add a webhook", "Send a test event", "See it verified"):
        assert words in seen.text
    assert "payhooks trigger payment_succeeded" in seen.text
    assert tiles(seen)[:3] == ["0", "0", "0"]
    assert "No webhook fails" in seen.text


async def test_the_first_steps_go_when_they_are_done(
    world: ConsoleWorld, merchant: Merchant
) -> None:
    """Advice that stays when it is followed is noise."""
    await world.endpoint(printed(merchant))
    assert ">Done<" in (await look(world, merchant)).text
    await world.publish(printed(merchant))
    await finish(world, Trigger.SUCCEED)
    seen = await look(world, merchant)
    assert "First steps" not in seen.text
    assert tiles(seen)[:3] == ["1", "0", "0"]


async def test_what_failed_is_counted_and_one_click_from_being_recovered(
    world: ConsoleWorld, merchant: Merchant
) -> None:
    """After an outage this is the page that people open."""
    broken = await world.endpoint(printed(merchant), label="Ledger")
    for _ in range(3):
        await world.publish(printed(merchant))
    await finish(world, Trigger.GIVE_UP)
    seen = await look(world, merchant)
    assert tiles(seen)[2] == "3"
    assert "Recover 3 deliveries" in seen.text
    assert "/console/replays/new?include=failed" in seen.text
    assert f"webhook={broken['id']}" in seen.text
    assert "Your server answered with a 5xx error." in seen.text
    assert "reason=http_5xx" in seen.text
    reader = await look(world, merchant, Role.VIEWER)
    assert "Recover" not in reader.text
    assert "Ledger" in reader.text


async def test_what_waits_is_shown_with_the_oldest(world: ConsoleWorld, merchant: Merchant) -> None:
    """How late we are is the age of the oldest, whatever the number."""
    await world.endpoint(printed(merchant))
    await world.publish(printed(merchant), type="payment_failed")
    world.advance(7_200)
    await world.publish(printed(merchant))
    seen = await look(world, merchant)
    assert tiles(seen)[1] == "2"
    assert ">2 h ago</time>" in tiles(seen)[3]
    assert ">payment_failed</a>" in seen.text


async def test_a_missing_worker_is_said_aloud(world: ConsoleWorld, merchant: Merchant) -> None:
    """Without one everything looks well and nothing is sent."""
    words = "Deliveries are not being sent: no worker has reported for 30 s."
    assert words in (await look(world, merchant)).text
    await world.store.heartbeat(owner=OWNER, version="1")
    assert words not in (await look(world, merchant)).text
    world.advance(60)
    assert words in (await look(world, merchant)).text


@pytest.mark.parametrize(
    ("query", "status", "bars"),
    [
        pytest.param("", 200, "Deliveries per minute", id="an hour"),
        pytest.param("?range=24h", 200, "Deliveries per half hour", id="a day"),
        pytest.param("?range=7d", 200, "Deliveries per three hours", id="a week"),
        pytest.param("?range=%3Cscript%3E", 422, "Deliveries per minute", id="no span"),
    ],
)
async def test_the_span_is_in_the_address(
    world: ConsoleWorld, merchant: Merchant, query: str, status: int, bars: str
) -> None:
    """What a colleague is sent has to show the same."""
    seen = await look(world, merchant, query=query)
    assert (seen.status, bars in seen.text) == (status, True)
    assert "<script>" not in seen.text


async def test_another_merchants_deliveries_are_not_counted(
    world: ConsoleWorld, merchant: Merchant
) -> None:
    """What others sell is nobody's business here."""
    other = await world.tenant("Other")
    await world.endpoint(printed(other), label="Theirs alone")
    await world.publish(printed(other))
    await finish(world, Trigger.GIVE_UP)
    seen = await look(world, merchant)
    assert tiles(seen)[:3] == ["0", "0", "0"]
    assert "Theirs alone" not in seen.text


def tally(
    merchant: Merchant, endpoint: dict[str, str], at: datetime, counts: dict[int, int]
) -> Tally:
    id_ = ids.from_text(ids.ENDPOINT, endpoint["id"])
    assert id_ is not None
    responses = tuple(counts.get(place, 0) for place in range(len(NO_RESPONSES)))
    return Tally(
        merchant_id=merchant.id,
        endpoint_id=EndpointId(id_),
        step_s=HOUR_S,
        at=at.replace(minute=0, second=0, microsecond=0),
        attempts=sum(responses),
        responses=responses,
    )


async def test_how_long_answers_take_is_told_as_a_bound(
    world: ConsoleWorld, merchant: Merchant
) -> None:
    """Counted under bounds, a figure to the millisecond would be a lie."""
    assert "no answers in 1 h" in (await look(world, merchant)).text
    await world.endpoint(printed(merchant))
    await world.publish(printed(merchant))
    await finish(world, Trigger.SUCCEED)
    seen = await look(world, merchant)
    assert tiles(seen)[4] == "≤ 50 ms"
    assert "19 of 20 answers of your servers in 1 h" in seen.text


async def test_the_slowest_webhooks_are_named_slowest_first(
    world: ConsoleWorld, merchant: Merchant
) -> None:
    """Whose server takes long loses deliveries to time-outs next."""
    assert "Slowest webhooks" not in (await look(world, merchant)).text
    labels = ("Quick", "Slow", "Hangs", "Gone")
    made = {label: await world.endpoint(printed(merchant), label=label) for label in labels}
    times = {"Quick": {0: 8}, "Slow": {0: 18, 5: 2}, "Hangs": {8: 3}, "Gone": {8: 9}}
    now = world.control.clock.now()
    await world.store.add_tallies(
        [tally(merchant, made[label], now, counts) for label, counts in times.items()]
    )
    gone = f"/v1/merchants/{printed(merchant)}/endpoints/{made['Gone']['id']}"
    assert (await world.call("DELETE", gone)).status == 204
    text = (await look(world, merchant)).text.partition("Slowest webhooks</h2>")[2]
    figures = re.findall(r">(≤ [^<]+|&gt; [^<]+)</td>", text)
    assert [unescape(figure) for figure in figures] == ["> 15 s", "≤ 2 s", "≤ 50 ms"]
    assert re.findall(r">(Quick|Slow|Hangs|Gone)</a>", text) == ["Hangs", "Slow", "Quick"]
