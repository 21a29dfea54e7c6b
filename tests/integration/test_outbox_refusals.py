"""What the server refuses of an outbox: set aside, shown, sent again, and in nobody's way."""

from collections.abc import Callable

import pytest
from tests.support.outbox import (
    Hooks,
    commit,
)

from payhooks.publisher import Forwarder
from payhooks.publisher.table import OutboxTable

pytest_plugins = ("tests.support.outbox_fixtures",)


@pytest.mark.shows("V64")
def test_a_refused_event_is_set_aside_and_holds_up_nobody(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder], outbox_table: OutboxTable
) -> None:
    """Not even those of its own object: what was refused never was an event."""
    hooks = Hooks()
    hooks.refused = {"b": 422}
    commit(outbox_url, "a", "b", "c", object_type="order", object_id="o")
    forwarder = forwarder_to(hooks)

    forwarder.forward()

    assert hooks.keys == ["a", "c"]
    assert forwarder.progress.refused == 1
    assert outbox_table.counts().failed == 1
    assert outbox_table.counts().waiting == 0
    [failed] = outbox_table.failed()
    assert (failed.idempotency_key, failed.attempts, failed.merchant) == ("b", 1, "shop")
    assert failed.event["data"] == {"name": "b"}
    assert failed.last_error == "422: No"
    assert outbox_table.failed(after=failed.id) == []
    forwarder.forward()
    assert len(hooks.requests) == 3, "it is not asked for again by itself"

    hooks.refused = {}
    assert outbox_table.resend(failed.id + 1) == 0
    assert outbox_table.resend(failed.id) == 1
    forwarder.forward()
    assert hooks.keys == ["a", "c", "b"]
    assert outbox_table.resend() == 0


@pytest.mark.shows("V64")
def test_an_event_that_spoils_the_whole_request_is_found_and_set_aside(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder], outbox_table: OutboxTable
) -> None:
    """A server whose parser is stricter than ours refuses the batch, and says not for whom."""
    hooks = Hooks()
    hooks.bodies_refused = {"k3"}
    commit(outbox_url, *[f"k{number}" for number in range(9)])
    forwarder_to(hooks).forward()
    assert sorted(hooks.keys) == sorted(f"k{number}" for number in range(9) if number != 3)
    assert [failed.idempotency_key for failed in outbox_table.failed()] == ["k3"]


@pytest.mark.shows("V64")
@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_a_wrong_key_or_merchant_sets_nothing_aside(
    outbox_url: str,
    forwarder_to: Callable[[Hooks], Forwarder],
    outbox_table: OutboxTable,
    status: int,
) -> None:
    """An expired key is mended in an hour, and no event may be missing then. Others go on."""
    hooks = Hooks()
    hooks.merchants_refused = {"gone": status}
    commit(outbox_url, "a", "b", merchant="gone")
    commit(outbox_url, "c")
    forwarder = forwarder_to(hooks)
    forwarder.forward()
    forwarder.forward()
    assert hooks.keys == ["c"]
    assert len(hooks.requests) == 2, "it is left alone for a while"
    assert outbox_table.counts().failed == 0
    assert outbox_table.counts().waiting == 2
    assert "merchant gone" in str(forwarder.progress.trouble)
    assert forwarder.progress.troubles == 1
