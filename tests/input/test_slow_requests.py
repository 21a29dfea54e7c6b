"""Row A13: requests that arrive byte by byte, or not at all."""

import contextlib
import time
from typing import Final

import pytest
from tests.support.bad_input import LENGTH, RSS_GROWTH_MAX, Ground, read

from payhooks.api.protocol import BODY_WAIT_S, HEAD_WAIT_S

GOOD_P99_S_MAX: Final = 0.2


@pytest.mark.shows("A13")
def test_slow_heads_cost_nobody_else_an_answer(served_ground: Ground) -> None:
    """They wait, and cost nothing but their connection; how long is shown at full size."""
    beginnings = (b"", b"P", b"POST / HTTP/1.1\r\nhost: x\r\n", served_ground.head(LENGTH) + b"{")
    with contextlib.ExitStack() as stack, served_ground.unharmed(stores=True):
        slow = [stack.enter_context(served_ground.connect()) for _ in range(40)]
        for place, connection in enumerate(slow):
            connection.sendall(beginnings[place % len(beginnings)])
        assert served_ground.answers_a_good_request()


@pytest.mark.long
@pytest.mark.shows("A13")
@pytest.mark.parametrize(
    ("begins", "cut_after_s"), [("a head", HEAD_WAIT_S), ("a body", BODY_WAIT_S)]
)
def test_five_hundred_slow_connections_are_cut_and_cost_the_others_nothing(
    served_ground: Ground, begins: str, cut_after_s: float
) -> None:
    """A byte a second on each: the cheapest way to keep a server busy."""
    sent = (
        served_ground.head("content-length: 99999")
        if begins == "a body"
        else b"POST / HTTP/1.1\r\nx: "
    )
    # Each connection has its buffers, and each round stores a hundred events.
    unharmed = served_ground.unharmed(stores=True, rss_growth_max=2 * RSS_GROWTH_MAX)
    with contextlib.ExitStack() as stack, unharmed:
        slow = [stack.enter_context(served_ground.connect()) for _ in range(500)]
        for connection in slow:
            connection.sendall(sent)
        began_s = time.monotonic()
        waited_s: list[float] = []
        while time.monotonic() - began_s < cut_after_s - 2:
            for connection in slow:
                connection.sendall(b"{")
            for _ in range(100):
                asked_s = time.monotonic()
                assert served_ground.answers_a_good_request()
                waited_s.append(time.monotonic() - asked_s)
        for connection in slow:
            assert read(connection, to_the_end=True).status in {408, None}
    assert sorted(waited_s)[len(waited_s) * 99 // 100] < GOOD_P99_S_MAX
