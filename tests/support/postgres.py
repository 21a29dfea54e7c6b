"""A PostgreSQL cluster of our own: made in a temporary folder, gone when we are.

Tests, proofs and benchmarks share it. Never the machine's cluster: that one has other
settings, other people's data, and may not be there.

    python -m tests.support.postgres -- COMMAND…    runs COMMAND with URL_VARIABLE set
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.ports import free_port

URL_VARIABLE: Final = "PAYHOOKS_TEST_POSTGRES_URL"
_STARTS_MAX: Final = 5
_START_S_MAX: Final = 30
_STOP_S_MAX: Final = 30

# What a small production server would have, durability included: a promise tested with
# fsync off is not tested.
SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "wal_compression": "lz4",
    "max_wal_size": "2GB",
    "fsync": "on",
    "synchronous_commit": "on",
}


class ClusterError(Exception):
    """PostgreSQL is missing or would not start; the message has what it said."""


@contextmanager
def cluster() -> Iterator[str]:
    """Yield the URL of an empty database on a running cluster; stop it afterwards.

    Where URL_VARIABLE is set somebody further up has started one: that one is used, and
    left running.
    """
    given = os.environ.get(URL_VARIABLE)
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="payhooks-postgres-"))
    try:
        if os.geteuid() == 0:
            # The server refuses to run as root.
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
        data = folder / "data"
        initialise(data)
        port = _start(data, folder)
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            _stop(data)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def initialise(data: Path) -> None:
    """Make an empty cluster in a folder that is not there yet."""
    run_program(
        "initdb",
        *("--pgdata", str(data), "--username", "postgres", "--auth", "trust"),
        *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-instructions"),
    )


def _start(data: Path, folder: Path) -> int:
    """Return the port it listens on."""
    said = ""
    for _ in range(_STARTS_MAX):
        # Free now is not free later, so another process may take it first: try again.
        port = free_port()
        settings = SETTINGS | {"port": str(port), "unix_socket_directories": str(folder)}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        log = folder / "log"
        try:
            run_program(
                *("pg_ctl", "start", "--wait", "--timeout", str(_START_S_MAX)),
                *("--pgdata", str(data), "--log", str(log), "--options", options),
            )
        except ClusterError as error:
            said = f"{error}\n{log.read_text(encoding='utf-8') if log.exists() else ''}"
        else:
            return port
    raise ClusterError(said)


def _stop(data: Path) -> None:
    # Immediate: nothing in it is wanted any more, so nothing need be written down.
    run_program(
        *("pg_ctl", "stop", "--wait", "--timeout", str(_STOP_S_MAX)),
        *("--mode", "immediate", "--pgdata", str(data)),
    )


def run_program(name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs, as an account that may; it must succeed."""
    program = [str(find_program(name)), *arguments]
    if os.geteuid() == 0:
        program = ["runuser", "--user", "postgres", "--", *program]
    done = subprocess.run(
        program,
        check=False,
        capture_output=True,
        text=True,
        cwd="/",  # The postgres user may not enter ours.
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    if done.returncode != 0:
        raise ClusterError(f"{name}: {done.stdout}{done.stderr}")


def find_program(name: str) -> Path:
    """Return the newest such program of version 15 or later."""
    # Debian keeps the server's programs out of PATH, one folder a version.
    versions = sorted(
        (path for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}")),
        key=lambda path: int(path.parts[-3]),
        reverse=True,
    )
    found = versions[0] if versions else shutil.which(name)
    if found is None:
        raise ClusterError(f"{name} not found: install PostgreSQL 15 (Debian: postgresql-15)")
    return Path(found)


def main(arguments: Sequence[str]) -> int:
    """Return the exit code of the command, run beside a cluster."""
    command = list(arguments[1:] if arguments[:1] == ["--"] else arguments)
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    # Told to end, end as on Ctrl-C: unwinding is what stops the cluster.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    try:
        with cluster() as url:
            environment = {**os.environ, URL_VARIABLE: url}
            return subprocess.run(command, check=False, env=environment).returncode
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
