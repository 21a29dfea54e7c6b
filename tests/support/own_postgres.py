"""A PostgreSQL server that a test may harm: restarted, killed, stopped, copied to a standby."""

import asyncio
import os
import pwd
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped] # It ships no types.
from tests.support.ports import free_port
from tests.support.postgres import SETTINGS, initialise, run_program

from payhooks.storage.postgres.migrations import migrate

_WAIT_S: Final = 60


class OwnPostgres:
    """One server on a port of its own, kept over restarts."""

    def __init__(self, folder: Path, **settings: str) -> None:
        """Take a folder that the server's account may write to; nothing runs yet."""
        self.data = folder / "data"
        self.port = free_port()
        # Small: several of them run at once.
        self.settings = {**SETTINGS, "shared_buffers": "32MB", "max_wal_size": "256MB", **settings}
        self._folder = folder

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int:
        """The process that is the parent of all the others."""
        return int((self.data / "postmaster.pid").read_text("utf-8").splitlines()[0])

    def start(self) -> "OwnPostgres":
        """Start it, made first where there is nothing yet, and return when it answers."""
        if not self.data.exists():
            initialise(self.data)
        self._control("start", "--options", self._options(), "--log", str(self._folder / "log"))
        return self

    def restart(self) -> None:
        """Restart it as an operator would: connections are ended, then everything is kept."""
        words = ("--mode", "fast", "--options", self._options())
        self._control("restart", *words, "--log", str(self._folder / "log"))

    def stop(self) -> None:
        """Stop it without ceremony, if it runs; what was committed is kept."""
        if (self.data / "postmaster.pid").exists():
            self._control("stop", "--mode", "immediate")

    def kill(self) -> None:
        """Kill all of it at once, as the death of its machine does."""
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        # The next start would take a number used again for a server that still runs.
        (self.data / "postmaster.pid").unlink()

    def pids(self) -> list[int]:
        """Return the parent and all its children."""
        parent = self.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text("ascii").split()
        return [parent, *map(int, children)]

    def standby(self, folder: Path, name: str) -> "OwnPostgres":
        """Return a copy that follows this server under *name*; nothing of it runs yet."""
        copy = OwnPostgres(folder)
        run_program(
            *("pg_basebackup", "--pgdata", str(copy.data), "--write-recovery-conf"),
            *("--checkpoint", "fast", "--dbname"),
            f"host=127.0.0.1 port={self.port} user=postgres application_name={name}",
        )
        return copy

    def promote(self) -> None:
        """Make a standby the server that writes."""
        self._control("promote")

    def make_database(self, name: str) -> str:
        """Return the URL of a migrated database; its owner, of the same name, is nobody special."""
        self.run(f"CREATE ROLE {name} LOGIN", f"CREATE DATABASE {name} OWNER {name}")
        url = f"postgresql://{name}@127.0.0.1:{self.port}/{name}"
        asyncio.run(migrate(url))
        return url

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser, each by itself."""
        for statement in statements:
            self.ask(statement, database=database)

    def ask(self, statement: str, *, database: str = "postgres") -> Any:  # noqa: ANN401 - whatever was asked
        """Return the first value of one statement, asked by the superuser."""

        async def ask() -> object:
            connection = await asyncpg.connect(f"{self.url.rpartition('/')[0]}/{database}")
            try:
                return await connection.fetchval(statement)
            finally:
                await connection.close()

        return asyncio.run(ask())

    def _control(self, verb: str, *words: str) -> None:
        waiting = ("--wait", "--timeout", str(_WAIT_S))
        run_program("pg_ctl", verb, *waiting, "--pgdata", str(self.data), *words)

    def _options(self) -> str:
        settings = {
            **self.settings,
            "port": str(self.port),
            "unix_socket_directories": str(self._folder),
        }
        return " ".join(f"-c {name}='{value}'" for name, value in settings.items())


@contextmanager
def postgres_folder() -> Iterator[Path]:
    """Yield an empty folder that PostgreSQL's account owns."""
    folder = Path(tempfile.mkdtemp(prefix="payhooks-own-postgres-"))
    try:
        give_away(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def give_away(folder: Path) -> None:
    """Let the account have it under which PostgreSQL runs."""
    if os.geteuid() == 0:  # The server refuses to run as root.
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)


@contextmanager
def own_postgres(**settings: str) -> Iterator[OwnPostgres]:
    """Yield a running server; it is gone afterwards."""
    with postgres_folder() as folder:
        server = OwnPostgres(folder, **settings)
        try:
            yield server.start()
        finally:
            server.stop()
