"""What a proof stands on: a fresh store, a served process, a receiver of its own process."""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped] # It ships no types.
from tests.support.postgres import cluster
from tests.support.server import ROOT, Api, Server, Tenant, postgres_url, sqlite_url
from tests.support.soak import OtherProcess, receiver_process


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much each proof does. What may be claimed is what `FULL` shows."""

    events: int = 50_000
    acked: int = 20_000
    kills: int = 30
    waiting: int = 100_000
    hanging: int = 200
    healthy: int = 50
    healthy_s: int = 20
    bench_s: int = 10
    lone_events: int = 300
    endpoints: int = 50_000
    scheduled: int = 1_000_000
    history: int = 10_000_000


FULL = Size()
# For the test that these programs work: every line is printed, none may be quoted.
QUICK = Size(
    events=500,
    acked=600,
    kills=2,
    waiting=500,
    hanging=20,
    healthy=5,
    healthy_s=3,
    bench_s=2,
    lone_events=30,
    endpoints=200,
    scheduled=20_000,
    history=20_000,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One kind of store; ``cluster_url`` for PostgreSQL."""

    name: str
    cluster_url: str | None = None
    postmaster: int | None = None  # the database's parent process


def open_store(stack: ExitStack, name: str) -> Store:
    """Return a kind of store; for PostgreSQL with a cluster that runs as long as *stack*."""
    if name == "sqlite":
        return Store(name=name)
    url = stack.enter_context(cluster())
    try:
        # The database's parent process, where it is one of this machine.
        said = Path(asyncio.run(_data_folder(url)), "postmaster.pid").read_text("utf-8")
    except OSError:
        return Store(name=name, cluster_url=url)
    return Store(name=name, cluster_url=url, postmaster=int(said.splitlines()[0]))


async def _data_folder(url: str) -> str:
    connection = await asyncpg.connect(url)
    folder: str = await connection.fetchval("SHOW data_directory")
    await connection.close()
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A running server on a store with nothing in it, and who receives."""

    store: Store
    database_url: str
    folder: Path
    server: Server
    receiver: OtherProcess
    tenant: Tenant

    def reconcile(self, *, repair: bool = False) -> dict[str, Any]:
        """Return what `payhooks reconcile` says of the merchant; the server must not run."""
        command = [sys.executable, "-m", "payhooks", "reconcile", self.tenant.id, "--json"]
        done = subprocess.run(
            command + ["--repair"] * repair,
            cwd=ROOT,
            env=self.server.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in {0, 1}:
            raise RuntimeError(f"reconcile said {done.stderr}")
        [found] = json.loads(done.stdout)
        report: dict[str, Any] = found
        return report


@contextmanager
def database(store: Store, folder: Path) -> Iterator[str]:
    """Yield the URL of a database with nothing in it."""
    if store.cluster_url is None:
        with sqlite_url(folder) as url:
            yield url
    else:
        name = folder.name.replace("-", "_").lower()
        with postgres_url(store.cluster_url, name) as url:
            yield url


@contextmanager
def ground(store: Store, **environment: str) -> Iterator[Ground]:
    """Yield everything running; all of it is gone afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="payhooks-proof-")))
        url = stack.enter_context(database(store, folder))
        receiver = stack.enter_context(receiver_process(folder / "journal"))
        server = Server(folder / "server", url, environment=environment)
        stack.callback(server.close)
        server.start()
        # Events that are counted carry a number and nothing of a payment.
        tenant = Tenant(Api(server.port), type_check="off")
        yield Ground(
            store=store,
            database_url=url,
            folder=folder,
            server=server,
            receiver=receiver,
            tenant=tenant,
        )
