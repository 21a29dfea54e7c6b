"""What is in the outbox is told: at least once, in order, and nothing holds up the others."""

import threading
from collections.abc import Callable

import pytest
from tests.support.outbox import TYPE, Hooks, commit, driver, rows_of

from payhooks.publisher import Answer, Forwarder, Outbox
from payhooks.publisher.table import ROWS_PER_KEY_MAX, OutboxTable

pytest_plugins = ("tests.support.outbox_fixtures",)
S_MAX = 20.0


@pytest.mark.shows("V61")
def test_what_is_committed_is_forwarded_once_and_gone(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder]
) -> None:
    """Byte for byte, with the key that was stored beside it."""
    hooks = Hooks()
    with driver(outbox_url) as connection:
        write = Outbox("shop").write
        key = write(connection, TYPE, b'{"n":1.10}', object_type="order", object_id="o")
        connection.commit()
    forwarder = forwarder_to(hooks)

    assert forwarder.forward() == 0.0, "more may be there"
    assert forwarder.forward() > 0.0

    event = {
        "type": TYPE,
        "object": {"type": "order", "id": "o"},
        "data": {"n": 1.10},
        "idempotency_key": key,
    }
    assert hooks.stored == [("shop", key, event)]
    assert rows_of(outbox_url) == 0
    assert forwarder.progress.forwarded == 1
    assert forwarder.progress.trouble is None


@pytest.mark.shows("V61")
def test_what_is_not_committed_yet_is_not_forwarded(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder]
) -> None:
    """The business may still decide otherwise."""
    hooks = Hooks()
    forwarder = forwarder_to(hooks)
    with driver(outbox_url) as connection:
        Outbox("shop").write(connection, TYPE, {})
        forwarder.forward()
        connection.rollback()
    forwarder.forward()
    assert hooks.requests == []


def test_an_answer_that_was_lost_makes_no_second_event(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder]
) -> None:
    """The row stays until its answer was read, and its key stays with it."""
    hooks = Hooks()
    commit(outbox_url, "a", "b")
    first = forwarder_to(hooks)

    def cut(_keys: list[str]) -> Answer | Exception | None:
        hooks.before_answer = lambda _: None
        hooks.send("https://x/v1/merchants/shop/events/batch", {}, _body("a"))
        return ConnectionResetError("reset")

    hooks.before_answer = cut
    assert first.forward() >= 0.5, "it lets the server rest"
    assert rows_of(outbox_url) == 2
    first.forward()

    assert sorted(hooks.keys) == ["a", "b"]
    assert rows_of(outbox_url) == 0
    assert first.progress.replayed == 1


def _body(key: str) -> bytes:
    return (
        b'{"events":[{"type":"payment_succeeded","data":{},"idempotency_key":"%b"}]}' % key.encode()
    )


@pytest.mark.shows("V64")
def test_a_server_that_is_away_costs_nothing_but_time(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder]
) -> None:
    """And who looks at the table sees why, and since when."""
    hooks = Hooks()
    commit(outbox_url, "a")
    forwarder = forwarder_to(hooks)
    hooks.before_answer = lambda _: ConnectionRefusedError("refused")
    rests = [forwarder.forward() for _ in range(12)]
    assert rests[0] < rests[3] < 10.0 + 1e-9
    assert max(rests) <= 10.0
    assert "refused" in str(forwarder.progress.trouble)
    with driver(outbox_url) as connection:
        rows = connection.execute("SELECT attempts, last_error, failed FROM payhooks_outbox")
        [(attempts, last_error, failed)] = rows.fetchall()
    assert (attempts, failed) == (12, None)
    assert "refused" in last_error

    hooks.before_answer = lambda _: None
    forwarder.forward()
    assert hooks.keys == ["a"]
    assert forwarder.progress.trouble is None


@pytest.mark.shows("V64")
def test_a_merchant_in_trouble_holds_up_no_other(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder]
) -> None:
    """A server may be unable to take one merchant's events, long, and take everybody else's."""
    hooks = Hooks()
    hooks.merchants_refused = {"sick": 503}
    with driver(outbox_url) as connection:
        for number in range(600):  # more than a pass takes
            Outbox("sick").write(connection, TYPE, {}, idempotency_key=f"sick{number}")
        connection.commit()
    commit(outbox_url, "a", "b")
    forwarder = forwarder_to(hooks)
    assert forwarder.forward() >= 0.5
    assert "503" in str(forwarder.progress.trouble)
    forwarder.forward()
    assert hooks.keys == ["a", "b"]
    hooks.merchants_refused = {}
    forwarder.forward()
    assert "sick0" in hooks.keys


@pytest.mark.shows("V64")
def test_it_comes_back_when_the_server_asked_it_to(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder]
) -> None:
    """Coming early makes the trouble longer."""
    hooks = Hooks()
    commit(outbox_url, "a")
    hooks.before_answer = lambda _: Answer(status=503, headers={"retry-after": "77"}, body=b"")
    assert forwarder_to(hooks).forward() == 77.0


@pytest.mark.shows("V63")
def test_an_event_that_is_put_off_is_not_overtaken_by_its_own(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder]
) -> None:
    """Captured before authorised: receivers would be told a story from its end."""
    hooks = Hooks()
    hooks.refused = {"a1": 503}
    commit(outbox_url, "a1", "a2", object_type="order", object_id="a")
    commit(outbox_url, "b1")
    forwarder = forwarder_to(hooks)
    forwarder.forward()
    assert hooks.keys == ["b1"]
    hooks.refused = {}
    forwarder.forward()
    assert hooks.keys == ["b1", "a1", "a2"]


def test_an_object_with_a_long_backlog_does_not_hold_up_the_others(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder]
) -> None:
    """A busy order is one row of many, not the whole outbox."""
    hooks = Hooks()
    busy = [f"busy{number:04}" for number in range(4_100)]
    with driver(outbox_url) as connection:
        for name in busy:
            Outbox("shop").write(connection, TYPE, {}, idempotency_key=name, ordering_key="busy")
        connection.commit()
    commit(outbox_url, "late")
    forwarder = forwarder_to(hooks)
    forwarder.forward()
    assert hooks.keys[:2] == ["busy0000", "late"]
    assert len(hooks.keys) == ROWS_PER_KEY_MAX + 1
    for _ in range(4):
        assert forwarder.forward() == 0.0
    assert [key for key in hooks.keys if key != "late"] == busy[: 5 * ROWS_PER_KEY_MAX]


@pytest.mark.shows("V63")
def test_several_forwarders_share_the_work_and_keep_the_order(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder]
) -> None:
    """Two of one object at once, in different hands, could arrive the wrong way round."""
    hooks = Hooks()
    names = [f"{step:03}-{order}" for step in range(60) for order in range(10)]
    forwarders = [forwarder_to(hooks) for _ in range(4)]
    for forwarder in forwarders:
        forwarder.start()
    for name in names:
        commit(outbox_url, name, object_type="order", object_id=name[-1])
    commit(outbox_url, "end")
    ends = threading.Event()
    for _ in range(int(S_MAX / 0.05)):
        if rows_of(outbox_url) == 0:
            break
        ends.wait(0.05)
    for forwarder in forwarders:
        forwarder.stop()

    assert rows_of(outbox_url) == 0
    for order in range(10):
        of_order = [key for key in hooks.keys if key.endswith(f"-{order}")]
        assert of_order == sorted(of_order)
        assert len(of_order) == 60
    sent = sum(len(keys) for keys in hooks.requests)
    assert sent == len(names) + 1, "nobody took what another had"


@pytest.mark.shows("V63")
def test_a_row_in_other_hands_holds_back_its_followers_alone(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder], outbox_table: OutboxTable
) -> None:
    """Asked after the locks are held: what the first look did not see is seen then."""
    hooks = Hooks()
    commit(outbox_url, "a1", object_type="order", object_id="a")
    other = forwarder_to(hooks)
    with outbox_table.taken(10, []) as (rows, settlement):
        assert [row.idempotency_key for row in rows] == ["a1"]
        commit(outbox_url, "a2", object_type="order", object_id="a")
        commit(outbox_url, "b1", object_type="order", object_id="b")
        other.forward()
        # On SQLite one forwarder works at a time; on PostgreSQL the others' rows are free.
        assert hooks.keys == ([] if outbox_url.startswith("sqlite") else ["b1"])
        settlement.troubled.append((rows[0].id, "put off"))
    other.forward()
    assert [key for key in hooks.keys if key.startswith("a")] == ["a1", "a2"]


def test_an_application_writes_while_the_server_is_asked(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder]
) -> None:
    """The outbox must not be why a shop cannot sell."""
    hooks = Hooks()
    commit(outbox_url, "a")

    def write_meanwhile(_keys: list[str]) -> None:
        hooks.before_answer = lambda _: None
        commit(outbox_url, "b")

    hooks.before_answer = write_meanwhile
    forwarder = forwarder_to(hooks)
    forwarder.forward()
    forwarder.forward()
    assert hooks.keys == ["a", "b"]


def test_the_thread_ends_after_the_request_under_way(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder]
) -> None:
    """What was asked for has its answer written down, so that nothing is asked for twice."""
    hooks = Hooks()
    commit(outbox_url, "a1", "a2", object_type="order", object_id="a")
    asked = threading.Event()
    go_on = threading.Event()

    def wait(_keys: list[str]) -> None:
        asked.set()
        assert go_on.wait(S_MAX)

    hooks.before_answer = wait
    forwarder = forwarder_to(hooks)
    forwarder.start()
    assert asked.wait(S_MAX)
    assert forwarder.runs(0.0)
    stopping = threading.Thread(target=forwarder.stop)
    stopping.start()
    ticks = threading.Event()
    for _ in range(int(S_MAX / 0.01)):
        if forwarder.stopping:
            break
        ticks.wait(0.01)
    go_on.set()
    stopping.join(S_MAX)
    assert not forwarder.runs(0.0)
    assert hooks.keys == ["a1"]
    assert rows_of(outbox_url) == 1


def test_a_pass_ends_after_the_request_under_way(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder]
) -> None:
    """Rows stay locked as long as it lasts, and what is too much for one request needs several."""
    hooks = Hooks()
    with driver(outbox_url) as connection:
        for _ in range(30):
            Outbox("shop").write(connection, TYPE, {"x": "y" * 200_000})
        connection.commit()
    forwarder = forwarder_to(hooks)

    def stop(_keys: list[str]) -> None:
        forwarder.stop()

    hooks.before_answer = stop
    forwarder.forward()
    assert len(hooks.requests) == 1
    assert rows_of(outbox_url) == 30 - len(hooks.keys)
    hooks.before_answer = lambda _: None
    forwarder_to(hooks).forward()
    assert len(hooks.requests) == 2
    assert len(hooks.keys) == 30
