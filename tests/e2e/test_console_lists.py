"""The tool that times the console's lists, in small: it must look at lists, not at refusals."""

from contextlib import ExitStack

import pytest
from proofs.console_lists import measure
from proofs.ground import open_store

# Of 10,000 deliveries so many events are of the type that is seldom, and so many rows fit a page.
_SELDOM_DELIVERIES = 4
_PAGE = 50


@pytest.mark.parametrize(
    "name", ["sqlite", pytest.param("postgres", marks=pytest.mark.long, id="postgres")]
)
def test_every_list_is_shown_with_what_it_was_narrowed_to(name: str) -> None:
    """A page that is empty by mistake is always quick."""
    with ExitStack() as stack:
        found = list(measure(open_store(stack, name), deliveries=10_000, looks=1))

    rows = {timed.name: timed.rows for timed in found}
    assert len(rows) == len(found) > 60
    assert rows["deliveries: all"] == rows["deliveries: second page"] == _PAGE
    assert rows["deliveries: webhook"] == rows["events: status unsubscribed"] == _PAGE
    assert rows["deliveries: type payout.failed"] == _SELDOM_DELIVERIES
    assert rows["events: type payout.failed"] == _SELDOM_DELIVERIES // 2
    assert rows["deliveries: status failed"] > 0
    assert rows["deliveries: reason timeout"] > 0
    assert rows["deliveries: type customer.updated"] == 0
    assert rows["events: type customer.updated"] == _PAGE
    assert all(rows[f"{listed}: all"] for listed in ("webhooks", "keys", "team", "audit log"))
