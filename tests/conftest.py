"""What every test may count on: properties that are checked the same way each time."""

import os

from hypothesis import HealthCheck, settings
from tests.support.shown import pytest_collection_modifyitems, pytest_configure

__all__ = ["pytest_collection_modifyitems", "pytest_configure"]  # hooks that pytest finds here

# Derandomised: a change must not turn red because of a draw it has nothing to do with. The
# number is small enough for the time budget of the unit tests; rare values are pinned with
# @example where they matter.
settings.register_profile(
    "ci",
    derandomize=True,
    max_examples=100,
    deadline=None,  # two busy cores say nothing about the code's speed
    suppress_health_check=[HealthCheck.too_slow],
)
# Looks further, with new draws each time: for whoever hunts a bug.
settings.register_profile("dev", max_examples=2_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
