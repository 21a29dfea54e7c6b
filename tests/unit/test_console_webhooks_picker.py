"""The events of a webhook's form: what is selected stands out, and each box stands once."""

import re
from collections import Counter

import pytest
from tests.support.browsing import ConsoleWorld
from tests.support.webhook_shop import GOOD, LIST, Shop, at, shop_of

CHIPS = 'aria-label="Selected events"'


@pytest.fixture
async def shop() -> Shop:
    """Return a shop whose owner has just given a second factor."""
    return await shop_of(ConsoleWorld())


def chips(page: str) -> list[str]:
    """Return what stands above the dropdown as selected."""
    if CHIPS not in page:
        return []
    part = page.split(CHIPS, 1)[1].split("<details", 1)[0]
    return re.findall(r'value="([^"]+)" checked><code>\1</code>', part)


async def test_what_is_selected_is_seen_without_opening_the_dropdown(shop: Shop) -> None:
    """Of twenty-three boxes behind a scroll bar nobody finds the three that are ticked."""
    assert chips((await shop.browser.get(f"{LIST}/new")).text) == []
    selected = ["refund.success", "cau.*", "somebody.elses", "ach.settled"]
    fields = [pair for pair in GOOD.items() if pair[0] not in {"events", "url"}]
    said = [*fields, ("url", "ftp://no"), *(("events", name) for name in selected)]
    refused = await shop.browser.post(LIST, said)
    assert refused.status == 422
    assert chips(refused.text) == sorted(selected)
    assert "4 selected" in refused.text
    endpoint = await shop.added()
    assert chips((await shop.browser.get(at(endpoint, "/edit"))).text) == ["ach.settled"]


@pytest.mark.parametrize("selected", [["*"], ["cau.*", "cau.submitted"], ["ach.settled"] * 2])
async def test_each_event_has_one_box(shop: Shop, selected: list[str]) -> None:
    """A second box would go on saying yes after the first was unticked, and yes would be saved."""
    fields = [pair for pair in GOOD.items() if pair[0] not in {"events", "url"}]
    said = [*fields, ("url", "ftp://no"), *(("events", name) for name in selected)]
    page = (await shop.browser.post(LIST, said)).text
    boxes = Counter(re.findall(r'name="events" value="([^"]+)"', page))
    assert set(boxes.values()) == {1}
    fresh = (await shop.browser.get(f"{LIST}/new")).text
    assert set(boxes) == set(re.findall(r'name="events" value="([^"]+)"', fresh))
