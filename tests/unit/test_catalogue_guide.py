"""The guide to event types, done as it says."""

import json
import re
from typing import Final

import pytest
from tests.support.api_world import World
from tests.support.source_tree import ROOT

from payhooks import limits

pytestmark = pytest.mark.shows("E07")

_GUIDE: Final = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")


async def test_the_type_of_the_guide_is_held_to_as_the_guide_says() -> None:
    """Whoever copies it must be answered what is printed."""
    type_, event, faults = map(
        json.loads, re.findall(r"^```json\n(.*?)^```$", _GUIDE, re.MULTILINE | re.DOTALL)
    )
    world = World()
    merchant = await world.merchant(reference="shop")
    strict = await world.call("PATCH", "/v1/merchants/shop", {"type_check": "strict"})
    made = await world.call("POST", "/v1/event-types", type_)
    refused = await world.call("POST", f"/v1/merchants/{merchant}/events", event)
    assert (strict.status, made.status, refused.status) == (200, 201, 422)
    assert refused.json["errors"] == faults


def test_the_numbers_of_the_guide_are_the_limits() -> None:
    """A published limit that is no longer one misleads."""
    assert "An event has ten findings at most" in _GUIDE
    assert limits.EVENT_FINDINGS_MAX == 10
    assert "at most 64 KiB, and" in _GUIDE
    assert limits.SCHEMA_BYTES_MAX == 64 * limits.KIB
