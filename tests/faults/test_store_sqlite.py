"""The disk under SQLite is full, fails, or another program has the file.

Rows F25, F26, F33 and F34 of the fault matrix. One server on a disk of its own serves all of
it: each test also shows that the one before has left nothing behind.
"""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import apsw
import pytest
from tests.support.commands import run
from tests.support.faulted import Ground, Load, Told, ask, ground, publish
from tests.support.receiving import until
from tests.support.server import SECRET_KEY, Server
from tests.support.small_disk import SmallDisk, small_disk

from payhooks import ids

ANSWER_S_MAX = 4.0  # two seconds of patience, the rest is what a busy machine takes
BACK_S_MAX = 10.0
REFUSED_WITHIN = 500  # the log is at most 16 MB long
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with small_disk(tmp_path_factory.mktemp("disk"), megabytes=64) as disk:
        yield disk


@pytest.fixture(scope="module")
def on_sqlite(disk: SmallDisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    server = Server(tmp_path_factory.mktemp("server"), f"sqlite:///{disk.folder}/payhooks.db")
    with ExitStack() as stack:
        yield stack.enter_context(ground(server))


def _until_told(on: Ground, status: int, name: str) -> Told:
    """Publish until that is the answer."""
    return until(
        lambda: publish(on.tenant, name, idempotency_key=name),
        lambda told: told.status == status,
        s=BACK_S_MAX,
    )


def _refused_in_a_row(on: Ground, number: int) -> list[Told]:
    """Publish until so many answers one after the other are no 202, and return those.

    A full disk has room in the log's last pages: a small write fits where a larger one did not.
    """
    refused: list[Told] = []
    for attempt in range(REFUSED_WITHIN):
        told = publish(on.tenant, f"full {attempt}")
        refused = [] if told.status == 202 else [*refused, told]
        if len(refused) == number:
            return refused
    raise AssertionError("a full disk goes on taking")


def _stored(on: Ground) -> set[str]:
    """Return the ids of the events in the file."""
    connection = apsw.Connection(str(on.server.sqlite_path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found = connection.execute("SELECT id FROM events")
        return {ids.to_text(ids.EVENT, id_) for (id_,) in found}
    finally:
        connection.close()


def _metric(on: Ground, start: str) -> float:
    """Return the sum of the metrics that begin so."""
    text = ask(on.server.port, "GET", "/metrics").body
    return sum(
        float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(start)
    )


def _check(on: Ground) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(on.server.sqlite_path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return list(connection.execute("PRAGMA integrity_check"))
    finally:
        connection.close()


@pytest.mark.shows("F25")
def test_a_full_disk_refuses_publishers_and_loses_nothing(
    on_sqlite: Ground, disk: SmallDisk
) -> None:
    """503 with a time, reads go on, the file stays whole, and with space it goes on by itself."""
    on = on_sqlite
    load = Load(on.tenant).start()
    load.more(40)
    with disk.full():
        for told in _refused_in_a_row(on, 5):
            assert told.is_late_not_lost
        acked = {id_ for entry in list(load.publisher.journal.values()) for id_ in entry.ids}
        assert acked <= _stored(on), "nothing is accepted into memory"
        assert ask(on.server.port, "GET", f"{on.tenant.path}/events", on.tenant.key).status == 200
        assert _metric(on, "payhooks_alarms_total") > 0
    assert load.more(40) < BACK_S_MAX
    verdict = on.judge(load)
    assert verdict.is_clean, str(verdict)
    assert load.refusals == {503}
    assert _check(on) == [("ok",)]


@pytest.mark.shows("F33")
def test_a_file_that_another_program_has_locked_is_late_not_lost(on_sqlite: Ground) -> None:
    """A backup tool takes the write lock: publishers are told, and nothing is half written."""
    on = on_sqlite
    load = Load(on.tenant).start()
    load.more(40)
    with _locked(on.server.sqlite_path):
        told = _until_told(on, 503, "locked")
        assert told.is_late_not_lost
        assert told.took_s < ANSWER_S_MAX
        assert ask(on.server.port, "GET", f"{on.tenant.path}/events", on.tenant.key).status == 200
    assert load.more(40) < BACK_S_MAX
    verdict = on.judge(load)
    assert verdict.is_clean, str(verdict)
    assert load.refusals == {503}


@pytest.mark.shows("F33")
def test_a_backup_that_only_reads_is_not_noticed(on_sqlite: Ground, tmp_path: Path) -> None:
    """SQLite's own backup runs beside us, and what it copies can be opened."""
    on = on_sqlite
    load = Load(on.tenant).start()
    load.more(40)
    source = apsw.Connection(str(on.server.sqlite_path), flags=apsw.SQLITE_OPEN_READONLY)
    target = apsw.Connection(str(tmp_path / "backup.db"))
    with target.backup("main", source, "main") as backup:
        # In one go: in pieces it would begin anew whenever something was written.
        backup.step()
    source.close()
    assert target.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    target.close()
    verdict = on.judge(load)
    assert verdict.is_clean, str(verdict)
    assert load.refusals == set()


@pytest.mark.shows("F34")
def test_a_command_that_would_write_refuses_while_the_server_has_the_file(
    on_sqlite: Ground, tmp_path: Path
) -> None:
    """It says who has it, in one sentence, and ends with an error."""
    done = run(
        tmp_path,
        "migrate",
        PAYHOOKS_DATABASE_URL=on_sqlite.server.database_url,
        PAYHOOKS_SECRET_KEY=SECRET_KEY,
    )
    assert done.returncode != 0
    assert f"is served by process {on_sqlite.server.pid}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.shows("F26")
def test_after_a_failed_fsync_nothing_is_accepted_until_a_restart(on_sqlite: Ground) -> None:
    """A second fsync would report success for pages that the first one dropped."""
    on = on_sqlite
    load = Load(on.tenant).start()
    load.more(40)
    with _failing_fsync(on.server.pid):
        assert _until_told(on, 503, "failed").is_late_not_lost
    # The disk is well again, as far as anybody can tell. It stays shut all the same.
    before = load.acked
    for number in range(5):
        assert publish(on.tenant, f"failed {number}").is_late_not_lost
    assert load.acked == before
    ready = ask(on.server.port, "GET", "/readyz")
    assert ready.status == 503, "a balancer must find out"
    assert "restart" in ready.body["checks"]["durability"]
    assert ask(on.server.port, "GET", f"{on.tenant.path}/events", on.tenant.key).status == 200
    assert on.server.stop() == 0
    assert _check(on) == [("ok",)]
    on.server.start()
    assert load.more(40) < BACK_S_MAX
    verdict = on.judge(load)
    assert verdict.is_clean, str(verdict)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(10_000)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


@contextmanager
def _failing_fsync(pid: int) -> Iterator[None]:
    """Let the next fsync of every thread of a process fail."""
    calls = "fsync,fdatasync"
    command = [
        "strace",
        "--follow-forks",
        "--quiet=all",
        "--output=/dev/null",
        "--attach",
        str(pid),
    ]
    command += [f"--trace={calls}", f"--inject={calls}:error=EIO:when=1"]
    with subprocess.Popen(command) as process:  # noqa: S603 - our own words
        try:
            _until_traced(pid)
            yield
        finally:
            process.terminate()


def _until_traced(pid: int) -> None:
    def tracers() -> list[str]:
        threads = Path(f"/proc/{pid}/task").iterdir()
        texts = [(thread / "status").read_text("utf-8") for thread in threads]
        return [text.partition("TracerPid:\t")[2].partition("\n")[0] for text in texts]

    until(tracers, lambda found: "0" not in found)
    # Attached is not yet running again.
    threading.Event().wait(0.2)
