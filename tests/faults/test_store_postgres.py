"""PostgreSQL suffers: it hangs, is full, deadlocks, loses connections. Publishers are told so.

Rows F20, F21, F27, F28 and F29 of the fault matrix. One server serves all of it, as one does in
life: each test also shows that the one before has left nothing behind.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import asyncpg  # type: ignore[import-untyped] # It ships no types.
import pytest
from tests.support.faulted import Load, OnPostgres, Told, ask, publish
from tests.support.receiving import until
from tests.support.server import Tenant
from tests.support.soak import wait_until_settled

ANSWER_S_MAX = 4.0  # two seconds of patience, the rest is what a busy machine takes
LIST_S_MAX = 5.0
BACK_S_MAX = 10.0
DRAIN_S_MAX = 25.0  # the grace that a process has as a rule
DATABASE = "payhooks"
END_CONNECTIONS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'payhooks'"
)


def _count(on: OnPostgres, name: str) -> int:
    """Return how many events with that name are stored."""
    statement = (
        f"SELECT count(*) FROM events WHERE data::text LIKE '%' || encode('{name}', 'hex') || '%'"  # noqa: S608 - our own
    )
    found: int = on.postgres.ask(statement, database=DATABASE)
    return found


@pytest.mark.shows("F21")
def test_connections_that_are_killed_under_load_cost_nothing(on_postgres: OnPostgres) -> None:
    """What was committed and not heard of is asked for again, as it was."""
    load = Load(on_postgres.ground.tenant).start()
    for _ in range(5):
        load.more(20)
        assert on_postgres.postgres.ask(END_CONNECTIONS) > 0
    assert load.more(40) < BACK_S_MAX
    verdict = on_postgres.ground.judge(load)
    assert verdict.is_clean, str(verdict)
    assert load.refusals <= {503}


@pytest.mark.shows("F27")
def test_a_database_that_says_nothing_makes_no_publisher_wait(on_postgres: OnPostgres) -> None:
    """Each is told 503 within two seconds, not one behind the other, and it ends by itself."""
    on, tenant = on_postgres, on_postgres.ground.tenant
    port = tenant.api.port
    on.line.black_hole()
    try:
        with ThreadPoolExecutor(2) as pool:
            listing = pool.submit(ask, port, "GET", f"{tenant.path}/events", tenant.key)
            readiness = pool.submit(ask, port, "GET", "/readyz")
            # Later ones come while the first still wait, and find out with them.
            told = _all_at_once(on, 40) + _all_at_once(on, 40)
            listed, ready = listing.result(), readiness.result()
        assert all(one.is_late_not_lost for one in told), {one.status for one in told}
        assert max(one.took_s for one in told) < ANSWER_S_MAX
        assert listed.is_late_not_lost
        assert listed.took_s < LIST_S_MAX
        assert ready.status == 503
        assert ask(port, "GET", "/healthz").status == 200, "the process lives, whatever the store"
    finally:
        on.line.cut()
        on.line.heal()
    until(
        lambda: publish(tenant, "after the hole", idempotency_key="hole").status,
        lambda s: s == 202,
        s=BACK_S_MAX,
    )
    until(lambda: ask(port, "GET", "/readyz").status, lambda status: status == 200, s=BACK_S_MAX)
    assert _count(on, "after the hole") == 1


@pytest.mark.shows("F27")
@pytest.mark.long
def test_a_black_hole_under_load_loses_nothing(on_postgres: OnPostgres) -> None:
    """Replies that were on the line when it went dead are the hard ones."""
    load = Load(on_postgres.ground.tenant).start()
    for _ in range(3):
        load.more(40)
        on_postgres.line.black_hole()
        threading.Event().wait(4)
        on_postgres.line.heal()
        assert load.more(1) < BACK_S_MAX
    verdict = on_postgres.ground.judge(load)
    assert verdict.is_clean, str(verdict)
    assert load.refusals == {503}


@pytest.mark.shows("F18", "F27")
@pytest.mark.long
def test_asked_to_stop_while_the_database_says_nothing_it_ends(on_postgres: OnPostgres) -> None:
    """What cannot be written down is sent again; a process that never ends blocks an upgrade."""
    on, tenant = on_postgres, Tenant(on_postgres.ground.tenant.api, "Slow")
    before = len(on.ground.receiving.received)
    # The outcome comes when there is nowhere to write it any more.
    tenant.endpoint(on.ground.receiving.url("/slow?s=0.5"), timeout_s=1)
    try:
        assert publish(tenant, "told in vain").status == 202
        on.ground.receiving.until(before + 1)
        on.line.black_hole()
        began_s = time.monotonic()
        threading.Event().wait(1)
        assert on.ground.server.stop() == 0
        assert time.monotonic() - began_s < DRAIN_S_MAX
    finally:
        on.line.cut()
        on.line.heal()
        on.ground.server.start()
    wait_until_settled(tenant)


@pytest.mark.shows("F28")
def test_without_a_free_connection_publishers_come_back_later(on_postgres: OnPostgres) -> None:
    """Another program took them all: 503 with a time, never a crash, and it ends by itself."""
    on, tenant = on_postgres, on_postgres.ground.tenant
    with _all_connections_taken(on):
        told = [publish(tenant, "crowded", idempotency_key="crowded") for _ in range(10)]
        assert all(one.is_late_not_lost for one in told)
        assert max(one.took_s for one in told) < ANSWER_S_MAX
        assert ask(tenant.api.port, "GET", f"{tenant.path}/events", tenant.key).status == 503
    until(
        lambda: publish(tenant, "crowded", idempotency_key="crowded").status,
        lambda status: status == 202,
        s=BACK_S_MAX,
    )
    assert _count(on, "crowded") == 1


@pytest.mark.shows("F28")
def test_who_lists_takes_no_connection_from_who_publishes(on_postgres: OnPostgres) -> None:
    """Reports that wait for a lock must not hold up money."""
    on, tenant = on_postgres, on_postgres.ground.tenant
    with _held(on, "LOCK TABLE replays IN ACCESS EXCLUSIVE MODE"):
        stop = threading.Event()
        reports = [threading.Thread(target=_report, args=(on, stop)) for _ in range(12)]
        for report in reports:
            report.start()
        load = Load(tenant).start()
        took_s = load.more(100)
        stop.set()
        for report in reports:
            report.join(20)
    verdict = on.ground.judge(load)
    assert took_s < 5
    assert verdict.is_clean, str(verdict)


@pytest.mark.shows("F29")
@pytest.mark.parametrize(
    ("code", "key"),
    [
        pytest.param("40P01", None, id="a deadlock, without a key"),
        pytest.param("40P01", "once", id="a deadlock, with a key"),
        pytest.param("40001", None, id="a serialization failure"),
    ],
)
def test_what_loses_to_another_transaction_is_tried_again(
    on_postgres: OnPostgres, code: str, key: str | None
) -> None:
    """PostgreSQL asks for a retry; publishers must not notice, least of all as a conflict."""
    on, name = on_postgres, f"lost {code} {key}"
    with _failing_inserts(on, code, times=3):
        told = publish(on.ground.tenant, name, **({"idempotency_key": key} if key else {}))
    assert told.status == 202, told
    assert _count(on, name) == 1


@pytest.mark.shows("F29")
def test_what_goes_on_losing_is_told_to_come_back(on_postgres: OnPostgres) -> None:
    """Bounded: a retry that never ends would be a queue in memory."""
    on = on_postgres
    with _failing_inserts(on, "40P01", times=1_000_000):
        told = publish(on.ground.tenant, "for ever")
    assert told.is_late_not_lost, told
    assert told.took_s < ANSWER_S_MAX
    assert _count(on, "for ever") == 0


@pytest.mark.shows("F29")
def test_a_table_that_another_program_has_locked_is_no_conflict_of_keys(
    on_postgres: OnPostgres,
) -> None:
    """409 would send a publisher without a key in search of one."""
    on, tenant = on_postgres, on_postgres.ground.tenant
    with _held(on, "LOCK TABLE events IN ACCESS EXCLUSIVE MODE"):
        told = publish(tenant, "locked out")
        assert told.is_late_not_lost, told
        assert told.took_s < ANSWER_S_MAX
    until(lambda: publish(tenant, "locked out").status, lambda status: status == 202)


def _all_at_once(on: OnPostgres, count: int) -> list[Told]:
    """Return what so many publishers are told who come together."""
    tenant = on.ground.tenant
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda number: publish(tenant, f"hole {number}"), range(count)))


@contextmanager
def _held(on: OnPostgres, *statements: str) -> Iterator[None]:
    """Have done this in a transaction that stays open for as long as the block lasts."""
    loop = asyncio.new_event_loop()
    url = f"{on.postgres.url.rpartition('/')[0]}/{DATABASE}"
    connection = loop.run_until_complete(asyncpg.connect(url))
    try:
        for statement in ("BEGIN", *statements):
            loop.run_until_complete(connection.execute(statement))
        yield
    finally:
        loop.run_until_complete(connection.close())
        loop.close()


@contextmanager
def _all_connections_taken(on: OnPostgres) -> Iterator[None]:
    """Take every connection there is, those of the server too."""
    loop = asyncio.new_event_loop()
    url = f"postgresql://{DATABASE}@127.0.0.1:{on.postgres.port}/postgres"
    taken = []
    try:
        for _ in range(4):  # The server may be quicker than we at taking one back.
            on.postgres.ask(END_CONNECTIONS + " AND datname = 'payhooks'")
            try:
                for _ in range(40):
                    taken.append(loop.run_until_complete(asyncpg.connect(url)))  # noqa: PERF401 - kept when it fails
            except asyncpg.TooManyConnectionsError:
                pass
        yield
    finally:
        for connection in taken:
            loop.run_until_complete(connection.close())
        loop.close()


@contextmanager
def _failing_inserts(on: OnPostgres, code: str, *, times: int) -> Iterator[None]:
    """Let the next *times* transactions that store an event fail with this SQLSTATE."""
    on.postgres.run(
        f"CREATE SEQUENCE failed MAXVALUE {times + 1_000_000}",
        "GRANT ALL ON SEQUENCE failed TO payhooks",
        f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF nextval('failed') <= {times} THEN
            RAISE EXCEPTION 'lost to another' USING ERRCODE = '{code}';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER fail BEFORE INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION fail()",
        database=DATABASE,
    )
    try:
        yield
    finally:
        on.postgres.run(
            "DROP TRIGGER fail ON events",
            "DROP FUNCTION fail()",
            "DROP SEQUENCE failed",
            database=DATABASE,
        )


def _report(on: OnPostgres, stop: threading.Event) -> None:
    tenant = on.ground.tenant
    while not stop.is_set():
        ask(tenant.api.port, "GET", f"{tenant.path}/replays", tenant.api.key)
