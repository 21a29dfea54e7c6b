"""What is in the outbox is told: at least once, in order, and nothing holds up the others."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.outbox import (
    TYPE,
    Hooks,
    commit,
    driver,
    outbox_database,
    postgres_cluster,
    rows_of,
)

from payhooks.errors import InvalidError
from payhooks.publisher import Answer, Forwarder, Outbox, open_table
from payhooks.publisher.table import ROWS_PER_KEY_MAX, OutboxTable

S_MAX = 20.0


@pytest.fixture(scope="module")
def cluster_url() -> Iterator[str]:
    with postgres_cluster() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, stack: ExitStack, tmp_path: Path) -> str:
    """Return a database of either kind, with an outbox."""
    kind: str = request.param
    return stack.enter_context(
        outbox_database(kind, tmp_path, lambda: request.getfixturevalue("cluster_url"))
    )


@pytest.fixture
def table(database: str) -> Iterator[OutboxTable]:
    """Yield the outbox as its keeper sees it."""
    found = open_table(database)
    yield found
    found.close()


@pytest.fixture
def make(database: str, stack: ExitStack) -> Callable[[Hooks], Forwarder]:
    """Return what makes forwarders of the database; all of them hang up in the end."""

    def forwarder(hooks: Hooks) -> Forwarder:
        found = Forwarder(database, "https://hooks.example.com", "k", send=hooks.send, poll_s=0.01)
        # A forwarder that is told to stop before it runs does no more than hang up.
        stack.callback(found.run)
        stack.callback(found.stop)
        return found

    return forwarder


def test_what_is_committed_is_forwarded_once_and_gone(
    database: str, make: Callable[[Hooks], Forwarder]
) -> None:
    """Byte for byte, with the key that was stored beside it."""
    hooks = Hooks()
    with driver(database) as connection:
        write = Outbox("shop").write
        key = write(connection, TYPE, b'{"n":1.10}', object_type="order", object_id="o")
        connection.commit()
    forwarder = make(hooks)

    assert forwarder.forward() == 0.0, "more may be there"
    assert forwarder.forward() > 0.0

    event = {
        "type": TYPE,
        "object": {"type": "order", "id": "o"},
        "data": {"n": 1.10},
        "idempotency_key": key,
    }
    assert hooks.stored == [("shop", key, event)]
    assert rows_of(database) == 0
    assert forwarder.progress.forwarded == 1
    assert forwarder.progress.trouble is None


def test_what_is_not_committed_yet_is_not_forwarded(
    database: str, make: Callable[[Hooks], Forwarder]
) -> None:
    """The business may still decide otherwise."""
    hooks = Hooks()
    forwarder = make(hooks)
    with driver(database) as connection:
        Outbox("shop").write(connection, TYPE, {})
        forwarder.forward()
        connection.rollback()
    forwarder.forward()
    assert hooks.requests == []


def test_an_answer_that_was_lost_makes_no_second_event(
    database: str, make: Callable[[Hooks], Forwarder]
) -> None:
    """The row stays until its answer was read, and its key stays with it."""
    hooks = Hooks()
    commit(database, "a", "b")
    first = make(hooks)

    def cut(_keys: list[str]) -> Answer | Exception | None:
        hooks.before_answer = lambda _: None
        hooks.send("https://x/v1/merchants/shop/events/batch", {}, _body("a"))
        return ConnectionResetError("reset")

    hooks.before_answer = cut
    assert first.forward() >= 0.5, "it lets the server rest"
    assert rows_of(database) == 2
    first.forward()

    assert sorted(hooks.keys) == ["a", "b"]
    assert rows_of(database) == 0
    assert first.progress.replayed == 1


def _body(key: str) -> bytes:
    return (
        b'{"events":[{"type":"payment_succeeded","data":{},"idempotency_key":"%b"}]}' % key.encode()
    )


def test_a_server_that_is_away_costs_nothing_but_time(
    database: str, make: Callable[[Hooks], Forwarder]
) -> None:
    """And who looks at the table sees why, and since when."""
    hooks = Hooks()
    commit(database, "a")
    forwarder = make(hooks)
    hooks.before_answer = lambda _: ConnectionRefusedError("refused")
    rests = [forwarder.forward() for _ in range(12)]
    assert rests[0] < rests[3] < 10.0 + 1e-9
    assert max(rests) <= 10.0
    assert "refused" in str(forwarder.progress.trouble)
    with driver(database) as connection:
        rows = connection.execute("SELECT attempts, last_error, failed FROM payhooks_outbox")
        [(attempts, last_error, failed)] = rows.fetchall()
    assert (attempts, failed) == (12, None)
    assert "refused" in last_error

    hooks.before_answer = lambda _: None
    forwarder.forward()
    assert hooks.keys == ["a"]
    assert forwarder.progress.trouble is None


def test_it_comes_back_when_the_server_asked_it_to(
    database: str, make: Callable[[Hooks], Forwarder]
) -> None:
    """Coming early makes the trouble longer."""
    hooks = Hooks()
    commit(database, "a")
    hooks.before_answer = lambda _: Answer(status=503, headers={"retry-after": "77"}, body=b"")
    assert make(hooks).forward() == 77.0


def test_a_refused_event_is_set_aside_and_holds_up_nobody(
    database: str, make: Callable[[Hooks], Forwarder], table: OutboxTable
) -> None:
    """Not even those of its own object: what was refused never was an event."""
    hooks = Hooks()
    hooks.refused = {"b": 422}
    commit(database, "a", "b", "c", object_type="order", object_id="o")
    forwarder = make(hooks)

    forwarder.forward()

    assert hooks.keys == ["a", "c"]
    assert forwarder.progress.refused == 1
    assert table.counts().failed == 1
    assert table.counts().waiting == 0
    [failed] = table.failed()
    assert (failed.idempotency_key, failed.attempts, failed.merchant) == ("b", 1, "shop")
    assert failed.event["data"] == {"name": "b"}
    assert failed.last_error == "422: No"
    assert table.failed(after=failed.id) == []
    forwarder.forward()
    assert len(hooks.requests) == 3, "it is not asked for again by itself"

    hooks.refused = {}
    assert table.resend(failed.id + 1) == 0
    assert table.resend(failed.id) == 1
    forwarder.forward()
    assert hooks.keys == ["a", "c", "b"]
    assert table.resend() == 0


def test_an_event_that_spoils_the_whole_request_is_found_and_set_aside(
    database: str, make: Callable[[Hooks], Forwarder], table: OutboxTable
) -> None:
    """A server whose parser is stricter than ours refuses the batch, and says not for whom."""
    hooks = Hooks()
    hooks.bodies_refused = {"k3"}
    commit(database, *[f"k{number}" for number in range(9)])
    make(hooks).forward()
    assert sorted(hooks.keys) == sorted(f"k{number}" for number in range(9) if number != 3)
    assert [failed.idempotency_key for failed in table.failed()] == ["k3"]


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_a_wrong_key_or_merchant_sets_nothing_aside(
    database: str, make: Callable[[Hooks], Forwarder], table: OutboxTable, status: int
) -> None:
    """An expired key is mended in an hour, and no event may be missing then. Others go on."""
    hooks = Hooks()
    hooks.merchants_refused = {"gone": status}
    commit(database, "a", "b", merchant="gone")
    commit(database, "c")
    forwarder = make(hooks)
    forwarder.forward()
    forwarder.forward()
    assert hooks.keys == ["c"]
    assert len(hooks.requests) == 2, "it is left alone for a while"
    assert table.counts().failed == 0
    assert table.counts().waiting == 2
    assert "merchant gone" in str(forwarder.progress.trouble)
    assert forwarder.progress.troubles == 1


def test_an_event_that_is_put_off_is_not_overtaken_by_its_own(
    database: str, make: Callable[[Hooks], Forwarder]
) -> None:
    """Captured before authorised: receivers would be told a story from its end."""
    hooks = Hooks()
    hooks.refused = {"a1": 503}
    commit(database, "a1", "a2", object_type="order", object_id="a")
    commit(database, "b1")
    forwarder = make(hooks)
    forwarder.forward()
    assert hooks.keys == ["b1"]
    hooks.refused = {}
    forwarder.forward()
    assert hooks.keys == ["b1", "a1", "a2"]


def test_an_object_with_a_long_backlog_does_not_hold_up_the_others(
    database: str, make: Callable[[Hooks], Forwarder]
) -> None:
    """A busy order is one row of many, not the whole outbox."""
    hooks = Hooks()
    busy = [f"busy{number:04}" for number in range(4_100)]
    with driver(database) as connection:
        for name in busy:
            Outbox("shop").write(connection, TYPE, {}, idempotency_key=name, ordering_key="busy")
        connection.commit()
    commit(database, "late")
    forwarder = make(hooks)
    forwarder.forward()
    assert hooks.keys[:2] == ["busy0000", "late"]
    assert len(hooks.keys) == ROWS_PER_KEY_MAX + 1
    for _ in range(4):
        assert forwarder.forward() == 0.0
    assert [key for key in hooks.keys if key != "late"] == busy[: 5 * ROWS_PER_KEY_MAX]


def test_several_forwarders_share_the_work_and_keep_the_order(
    database: str, make: Callable[[Hooks], Forwarder]
) -> None:
    """Two of one object at once, in different hands, could arrive the wrong way round."""
    hooks = Hooks()
    names = [f"{step:03}-{order}" for step in range(60) for order in range(10)]
    done = threading.Event()

    def slowly(_keys: list[str]) -> None:
        if len(hooks.keys) >= len(names):
            done.set()

    hooks.before_answer = slowly
    forwarders = [make(hooks) for _ in range(4)]
    for forwarder in forwarders:
        forwarder.start()
    for name in names:
        commit(database, name, object_type="order", object_id=name[-1])
    commit(database, "end")
    ends = threading.Event()
    for _ in range(int(S_MAX / 0.05)):
        if rows_of(database) == 0:
            break
        ends.wait(0.05)
    for forwarder in forwarders:
        forwarder.stop()

    assert rows_of(database) == 0
    for order in range(10):
        of_order = [key for key in hooks.keys if key.endswith(f"-{order}")]
        assert of_order == sorted(of_order)
        assert len(of_order) == 60
    sent = sum(len(keys) for keys in hooks.requests)
    assert sent == len(names) + 1, "nobody took what another had"


def test_a_row_in_other_hands_holds_back_its_followers_alone(
    database: str, make: Callable[[Hooks], Forwarder], table: OutboxTable
) -> None:
    """Asked after the locks are held: what the first look did not see is seen then."""
    hooks = Hooks()
    commit(database, "a1", object_type="order", object_id="a")
    other = make(hooks)
    with table.taken(10, []) as (rows, settlement):
        assert [row.idempotency_key for row in rows] == ["a1"]
        commit(database, "a2", object_type="order", object_id="a")
        commit(database, "b1", object_type="order", object_id="b")
        other.forward()
        # On SQLite one forwarder works at a time; on PostgreSQL the others' rows are free.
        assert hooks.keys == ([] if database.startswith("sqlite") else ["b1"])
        settlement.troubled.append((rows[0].id, "put off"))
    other.forward()
    assert [key for key in hooks.keys if key.startswith("a")] == ["a1", "a2"]


def test_an_application_writes_while_the_server_is_asked(
    database: str, make: Callable[[Hooks], Forwarder]
) -> None:
    """The outbox must not be why a shop cannot sell."""
    hooks = Hooks()
    commit(database, "a")

    def write_meanwhile(_keys: list[str]) -> None:
        hooks.before_answer = lambda _: None
        commit(database, "b")

    hooks.before_answer = write_meanwhile
    forwarder = make(hooks)
    forwarder.forward()
    forwarder.forward()
    assert hooks.keys == ["a", "b"]


def test_the_thread_ends_after_the_request_under_way(
    database: str, make: Callable[[Hooks], Forwarder]
) -> None:
    """What was asked for has its answer written down, so that nothing is asked for twice."""
    hooks = Hooks()
    commit(database, "a1", "a2", object_type="order", object_id="a")
    asked = threading.Event()
    go_on = threading.Event()

    def wait(_keys: list[str]) -> None:
        asked.set()
        assert go_on.wait(S_MAX)

    hooks.before_answer = wait
    forwarder = make(hooks)
    forwarder.start()
    assert asked.wait(S_MAX)
    assert forwarder.runs(0.0)
    stopping = threading.Thread(target=forwarder.stop)
    stopping.start()
    while not forwarder.stopping:
        asked.wait(0.01)
    go_on.set()
    stopping.join(S_MAX)
    assert not forwarder.runs(0.0)
    assert hooks.keys == ["a1"]
    assert rows_of(database) == 1


def test_a_database_that_fails_is_asked_again(
    database: str, make: Callable[[Hooks], Forwarder]
) -> None:
    """It comes back by itself after a restart, as everything else does."""
    hooks = Hooks()
    forwarder = make(hooks)
    with driver(database) as connection:
        connection.execute("ALTER TABLE payhooks_outbox RENAME TO away")
        connection.commit()
        assert forwarder.forward() >= 0.5
        assert "the database" in str(forwarder.progress.trouble)
        connection.execute("ALTER TABLE away RENAME TO payhooks_outbox")
        connection.commit()
    commit(database, "a")
    forwarder.forward()
    assert hooks.keys == ["a"]


def test_a_sqlite_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """An empty outbox beside the real one would be forwarded for ever."""
    forwarder = Forwarder(f"sqlite:///{tmp_path / 'typo.db'}", "https://x", "k")
    assert forwarder.forward() >= 0.5
    assert "unable to open" in str(forwarder.progress.trouble)
    assert not (tmp_path / "typo.db").exists()


@pytest.mark.parametrize(
    ("database", "base_url", "key", "poll_s"),
    [
        ("mysql://x", "https://x", "k", 1.0),
        ("sqlite:///", "https://x", "k", 1.0),
        ("sqlite:///x", "x", "k", 1.0),
        ("sqlite:///x", "https://x", "", 1.0),
        ("sqlite:///x", "https://x", "k", 0.0),
    ],
)
def test_a_forwarder_is_complete_or_refused(
    database: str, base_url: str, key: str, poll_s: float
) -> None:
    """At start, not when events have piled up."""
    with pytest.raises(InvalidError):
        Forwarder(database, base_url, key, poll_s=poll_s)
