"""What a page leaves in the memory of the process that served it: nothing."""

import gc

import pytest
from tests.support.browsing import Browser, ConsoleWorld
from tests.support.console_tenants import furnished, with_session

from payhooks.console.app import pages
from payhooks.console.page import ROOT

_LOADS = 10


@pytest.mark.shows("K14")
async def test_no_page_waits_for_a_collection_to_be_forgotten() -> None:
    """A serving process collects seldom; circles of macros and pages had cost it 12 MB."""
    world = ConsoleWorld()
    tenant = await furnished(world, "heron")
    tenant = await with_session(world, tenant, tenant.owner)
    browser = await Browser(world).sign_in(tenant.owner)
    left = {}
    # What there was before is not looked through each time.
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for page in pages():
            path = ROOT + page.path.format_map(tenant.ids)
            if page.method == "GET" and "{text}" not in page.path:
                await browser.get(path)
                gc.collect()
                for _ in range(_LOADS):
                    await browser.get(path)
                left[page.path] = gc.collect()
    finally:
        gc.enable()
        gc.unfreeze()
    # One circle has a hundred objects, and each load would leave one.
    assert {path: count for path, count in left.items() if count > _LOADS} == {}
