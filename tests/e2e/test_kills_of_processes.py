"""Whole processes killed, stopped, doubled and cut off, under load.

Rows F12, F17, F20, F34, F62, F63 and F78 of the fault matrix.
"""

import asyncio
import os
import pwd
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import asyncpg  # type: ignore[import-untyped] # It ships no types.
import pytest
from tests.support.journal import judge
from tests.support.postgres import URL_VARIABLE, cluster
from tests.support.publisher import Item, Publisher
from tests.support.server import (
    Api,
    Json,
    Refused,
    Server,
    ServerError,
    Tenant,
    postgres_url,
)
from tests.support.soak import OtherProcess, soak, wait_until_settled

S_MAX = 60.0


@pytest.fixture
def database(stack: ExitStack, tmp_path: Path) -> str:
    name = f"processes_{abs(hash(str(tmp_path))) % 10**12}"
    return stack.enter_context(postgres_url(stack.enter_context(cluster()), name))


def _until(ask: Callable[[], Json], is_right: Callable[[Json], bool]) -> Json:
    ends_s = time.monotonic() + S_MAX
    while not is_right(found := ask()):
        assert time.monotonic() < ends_s, found
        threading.Event().wait(0.05)
    return found


@pytest.mark.shows("F12")
@pytest.mark.parametrize(
    ("kills", "pause_s"),
    [
        pytest.param(4, (0.5, 2.0), id="a quarter of a minute"),
        pytest.param(50, (1.0, 5.0), id="three minutes", marks=pytest.mark.long),
    ],
)
def test_killed_at_random_again_and_again_every_promise_is_kept(
    on_sqlite: Server, receiver: OtherProcess, kills: int, pause_s: tuple[float, float]
) -> None:
    """F12: nothing lost, nothing invented, no duplicate without a reason, order where asked."""
    tenant = Tenant(Api(on_sqlite.port))
    tenant.endpoint(receiver.url("/ok/plain"), timeout_s=1)
    tenant.endpoint(receiver.url("/ok/ordered"), timeout_s=1, ordering="object")
    receiver.learn(tenant.secrets)
    pauses = random.Random(12)
    done = asyncio.run(
        soak(
            on_sqlite,
            tenant,
            receiver,
            events=3_000,
            kills=kills,
            in_flight_min=30,
            ordered={"/ok/ordered": "object"},
            before_kill=lambda: pauses.uniform(*pause_s),
        )
    )
    assert done.verdict.is_clean, str(done.verdict)
    assert done.verdict.acked >= 3_000
    assert min(done.in_flight_at_kills) >= 30
    # The budget of attempts counts real attempts alone: no kill may use it up.
    assert done.ended == 0


@pytest.mark.shows("F17")
def test_asked_to_stop_it_ends_what_is_under_way_and_gives_back_the_rest(
    on_sqlite: Server, receiver: OtherProcess
) -> None:
    """F17: an upgrade costs no duplicate, and nobody waits for a lease to run out."""
    tenant = Tenant(Api(on_sqlite.port))
    for number in range(20):
        tenant.endpoint(receiver.url(f"/slow/{number}?s=2"))
    receiver.learn(tenant.secrets)
    keys = [f"k{number}" for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda key: tenant.publish({"key": key}, key=key), keys))
    began_s = time.monotonic()
    assert on_sqlite.stop() == 0
    assert time.monotonic() - began_s < 10
    sent = receiver.count()
    assert 20 <= sent < 400
    on_sqlite.start()
    wait_until_settled(tenant)
    received = receiver.received()
    assert len(received) == 400, "each of 20 events once at each of 20 endpoints"
    assert len({(one.path, one.data["key"]) for one in received}) == 400


@pytest.mark.shows("F20")
def test_a_restart_of_the_database_under_load_loses_nothing(
    stack: ExitStack, receiver: OtherProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F20: callers are told 503 while it is away, and everything acknowledged is delivered."""
    # A cluster of its own: others use the shared one.
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    url = stack.enter_context(postgres_url(stack.enter_context(cluster()), "restarted"))
    server = Server(tmp_path / "server", url)
    stack.callback(server.close)
    server.start()
    tenant = Tenant(Api(server.port))
    tenant.endpoint(receiver.url("/ok"), timeout_s=1)
    receiver.learn(tenant.secrets)
    publisher = Publisher(server.port, tenant.path, tenant.key)
    restarted = threading.Event()

    def items(connection: int) -> Iterator[Item]:
        number = 0
        while not restarted.is_set() or number < 20:
            key = f"{connection}-{number}"
            yield Item(key=key, data={"key": key})
            number += 1

    async def publish_and_restart() -> None:
        publishing = asyncio.create_task(publisher.run([items(each) for each in range(32)]))
        await publisher.until(lambda: publisher.acked > 500)
        await asyncio.to_thread(_restart_postgres, url)
        restarted.set()
        await publishing

    asyncio.run(publish_and_restart())
    wait_until_settled(tenant)
    verdict = judge(
        publisher.journal,
        receiver.received(),
        paths=["/ok"],
        attempts=lambda message_id: len(
            tenant.api.get(f"{tenant.path}/deliveries/{message_id}")["attempts"]
        ),
    )
    assert verdict.is_clean, str(verdict)
    assert verdict.acked == verdict.sent > 500
    assert {status for entry in publisher.journal.values() for status in entry.refused} <= {503}


@pytest.mark.shows("F34")
def test_a_second_server_on_the_same_file_refuses_to_start(
    on_sqlite: Server, tmp_path: Path
) -> None:
    """F34: two writers on one file is how SQLite files are lost."""
    second = Server(tmp_path / "second", on_sqlite.database_url)
    with pytest.raises(ServerError, match=r"only one may at a time"):
        second.start()
    assert Api(on_sqlite.port).get("/healthz")


@pytest.mark.shows("F62")
def test_the_same_key_with_other_content_is_a_conflict_and_another_merchant_is_free(
    on_sqlite: Server,
) -> None:
    """F62: a key names one publication, of one merchant."""
    first, second = (Tenant(Api(on_sqlite.port), name) for name in ("One", "Two"))
    first.publish({"amount": "1.00"}, key="k")
    with pytest.raises(Refused, match="idempotency-conflict") as refused:
        first.publish({"amount": "2.00"}, key="k")
    assert refused.value.status == 409
    assert second.publish({"amount": "2.00"}, key="k")["id"]


@pytest.mark.shows("F60", "F63")
@pytest.mark.shows("F60", "F63", "F31")
def test_three_processes_asked_at_once_with_one_key_store_one_event(
    stack: ExitStack, database: str, receiver: OtherProcess, tmp_path: Path
) -> None:
    """F60, F63: whichever is asked, the answer is the same, or a short 409 that says to wait."""
    servers = [Server(tmp_path / str(number), database) for number in range(3)]
    for server in servers:
        stack.callback(server.close)
        server.start()
    tenant = Tenant(Api(servers[0].port))
    tenant.endpoint(receiver.url("/ok"))
    receiver.learn(tenant.secrets)

    def publish(number: int) -> str:
        api = Api(servers[number % 3].port)
        body = {"type": "payment_succeeded", "data": {"key": "one"}}
        while True:
            try:
                found: str = api.post(f"{tenant.path}/events", body, idempotency_key="one")["id"]
            except Refused as refused:
                if "in-progress" not in refused.body:
                    raise
            else:
                return found

    with ThreadPoolExecutor(50) as pool:
        answers = set(pool.map(publish, range(50)))
    assert len(answers) == 1
    wait_until_settled(tenant)
    assert receiver.count() == 1


@pytest.mark.shows("F78")
@pytest.mark.long
def test_a_worker_that_slept_past_its_lease_changes_nothing(
    stack: ExitStack, database: str, receiver: OtherProcess, tmp_path: Path
) -> None:
    """F78: a stopped machine wakes up believing in leases that others have long ended."""
    sleeper, other = (Server(tmp_path / name, database) for name in ("sleeper", "other"))
    for server in (sleeper, other):
        stack.callback(server.close)
    sleeper.start()
    tenant = Tenant(Api(sleeper.port))
    # It answers a second after it was asked; by then the sleeper sleeps.
    tenant.endpoint(receiver.url("/slow?s=0.9"), timeout_s=1)
    receiver.learn(tenant.secrets)
    tenant.publish({"key": "a"}, key="a")
    ends_s = time.monotonic() + S_MAX
    while not receiver.count():
        assert time.monotonic() < ends_s
    sleeper.signal(signal.SIGSTOP)
    try:
        other.start()
        tenant.api = Api(other.port)
        [listed] = tenant.api.get(f"{tenant.path}/deliveries?event_type=payment_succeeded")["data"]
        path = f"{tenant.path}/deliveries/{listed['id']}"
        _until(lambda: tenant.api.get(path), lambda found: found["status"] == "delivered")
    finally:
        sleeper.signal(signal.SIGCONT)
    found = _until(
        lambda: tenant.api.get(path), lambda found: any(one["late"] for one in found["attempts"])
    )
    assert found["status"] == "delivered"
    assert sleeper.stop() == 0
    assert receiver.count() == 2, "at most one more than without the sleep"


def _restart_postgres(url: str) -> None:
    """Restart the cluster that has this database, as an operator would."""

    async def where() -> str:
        connection = await asyncpg.connect(url)
        found: str = await connection.fetchval("SHOW data_directory")
        await connection.close()
        return found

    folder = asyncio.run(where())
    options = Path(folder, "postmaster.opts").read_text("utf-8").strip()
    program, _, words = options.partition(" ")
    command = [str(Path(program).with_name("pg_ctl")), "restart", "--wait", "--mode", "fast"]
    command += ["--pgdata", folder, "--log", f"{folder}/../log", "--options", words]
    if os.geteuid() == 0:
        account = pwd.getpwuid(Path(folder).stat().st_uid).pw_name
        command = ["runuser", "--user", account, "--", *command]
    subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL)
