"""Business under kills, and the judgement: what was committed beside what was told."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tests.support.journal import Verdict, judge
from tests.support.outbox import TYPE, driver, outbox_database, rows_of
from tests.support.outbox_application import BUSINESS
from tests.support.publisher import Entry
from tests.support.server import ROOT, Server, Tenant
from tests.support.soak import OtherProcess, wait_until_settled

from payhooks.publisher import OutboxTable, open_table
from payhooks.publisher.__main__ import KEY_VARIABLE

APPLICATIONS: Final = 3
FORWARDERS: Final = 2
# The server is killed least often: it takes seconds to start, and has a proof of its own.
VICTIMS: Final = ("application", "forwarder", "application", "forwarder", "server")
S_MAX: Final = 120.0
LOG: Final = "log"  # of all children
_POLL_S: Final = 0.05
_STOP_S_MAX: Final = 30.0


@dataclass(slots=True, kw_only=True)
class OutboxSoak:
    """What happened, and what the books of both sides say."""

    kills: Counter[str]
    waiting_at_kills: list[int]
    rolled_back: int
    verdict: Verdict = field(default_factory=Verdict)
    committed: int = 0
    untold: list[str] = field(default_factory=list)  # committed, and no event of it is stored
    told_twice: list[str] = field(default_factory=list)  # more than one event is stored
    never_was: list[str] = field(default_factory=list)  # an event of what was not committed
    left: int = 0  # in the outbox
    took_s: float = 0.0


class Child:
    """One process that is killed and started again."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self._arguments = arguments
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it ends by itself when its stdin does, or when it is told to."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._arguments],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """Kill it as the machine's death would."""
        self._end(signal.SIGKILL)

    def finish(self) -> int:
        """End its stdin, and return its exit code."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(_STOP_S_MAX)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, and return its exit code."""
        return self._end(number)

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to the process, by its id."""
        assert self._process is not None
        os.kill(self._process.pid, number)

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdin is not None
            self._process.stdin.close()

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        assert self._process.stdin is not None
        self.tell(number)
        code = self._process.wait(_STOP_S_MAX)
        self._process.stdin.close()
        return code


def environment_of_children(key: str) -> dict[str, str]:
    """Return what applications and forwarders are started with."""
    ours = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return {**ours, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", KEY_VARIABLE: key}


@contextmanager
def application_database(kind: str, folder: Path, cluster_url: str) -> Iterator[str]:
    """Yield the database of a business that has sold nothing yet."""
    with outbox_database(kind, folder, lambda: cluster_url) as url:
        with driver(url) as connection:
            connection.execute(BUSINESS)
            connection.commit()
        yield url


def soak_outbox(  # noqa: PLR0913 - every part is named at the call site
    server: Server,
    tenant: Tenant,
    receiver: OtherProcess,
    *,
    database: str,
    folder: Path,
    commits: int,
    kills: int,
    ordered: str,
) -> OutboxSoak:
    """Do business until at least *commits* and *kills* have happened; judge the rest.

    *ordered* is the path of the endpoint that keeps the order of each object.
    """
    begun_s = time.monotonic()
    killed: Counter[str] = Counter()
    waiting: list[int] = []
    with _children(server, tenant, database, folder) as children, _table(database) as table:
        for number in range(kills):
            due = (number + 1) * commits // (kills + 1)
            _until(partial(_has_sold, database, due), folder)
            victim = VICTIMS[number % len(VICTIMS)]
            waiting.append(table.counts().waiting)
            _kill_and_start(server, children, victim, killed[victim])
            killed[victim] += 1
        _until(partial(_has_sold, database, commits), folder)
        assert {child.finish() for child in children["application"]} == {0}
        _until(lambda: table.counts().waiting == 0, folder)
        assert {child.stop() for child in children["forwarder"]} == {0}
    wait_until_settled(tenant)
    return _judged(
        tenant,
        receiver,
        database,
        ordered,
        OutboxSoak(
            kills=killed,
            waiting_at_kills=waiting,
            rolled_back=sum(path.stat().st_size for path in folder.glob("rolled-back-*")),
            left=rows_of(database),
            took_s=time.monotonic() - begun_s,
        ),
    )


@contextmanager
def _children(
    server: Server, tenant: Tenant, database: str, folder: Path
) -> Iterator[dict[str, list[Child]]]:
    environment = environment_of_children(tenant.key)
    log = folder / LOG
    url = f"http://127.0.0.1:{server.port}"
    forward = ["-m", "payhooks.publisher", "forward", "--database", database, "--url", url]
    sell = ["-m", "tests.support.outbox_application", database, tenant.id]
    children = {
        "application": [
            Child([*sell, str(number), str(folder / f"rolled-back-{number}")], environment, log)
            for number in range(APPLICATIONS)
        ],
        "forwarder": [Child(forward, environment, log) for _ in range(FORWARDERS)],
    }
    everybody = [child for kind in children.values() for child in kind]
    try:
        for child in everybody:
            child.start()
        yield children
    finally:
        for child in everybody:
            child.close()


@contextmanager
def _table(database: str) -> Iterator[OutboxTable]:
    table = open_table(database)
    try:
        yield table
    finally:
        table.close()


def _kill_and_start(
    server: Server, children: dict[str, list[Child]], victim: str, number: int
) -> None:
    if victim == "server":
        server.kill()
        server.start()
        return
    child = children[victim][number % len(children[victim])]
    child.kill()
    child.start()


def _has_sold(database: str, commits: int) -> bool:
    return rows_of(database, "orders") >= commits


def _until(holds: Callable[[], bool], folder: Path) -> None:
    ends_s = time.monotonic() + S_MAX
    while not holds():
        if time.monotonic() > ends_s:
            said = (folder / LOG).read_text("utf-8", "replace")[-2_000:]
            raise TimeoutError(f"not within {S_MAX:.0f} s:\n{said}")
        time.sleep(_POLL_S)


def _judged(
    tenant: Tenant, receiver: OtherProcess, database: str, ordered: str, done: OutboxSoak
) -> OutboxSoak:
    with driver(database) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM orders").fetchall()]
    events = tenant.api.pages(f"{tenant.path}/events?type={TYPE}")
    stored = Counter(event["data"]["key"] for event in events)
    done.committed = len(names)
    done.untold = [name for name in names if not stored[name]]
    done.told_twice = [name for name, times in stored.items() if times > 1]
    done.never_was = sorted(stored.keys() - set(names))
    done.verdict = judge(
        {name: Entry(sent=1, ids={name}) for name in names},
        receiver.received(),
        paths=list(tenant.secrets),
        attempts=lambda message_id: len(
            tenant.api.get(f"{tenant.path}/deliveries/{message_id}")["attempts"]
        ),
        ordered={ordered: "object"},
    )
    return done
