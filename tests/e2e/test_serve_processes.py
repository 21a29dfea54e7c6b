"""`payhooks serve` and the commands that work on the store themselves."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.commands import run, run_json, running

from payhooks.cli import supervising
from payhooks.control.keyring import new_key_text

HEAVY = ("apsw", "asyncpg", "cryptography", "fastapi", "pycurl", "pydantic", "uvicorn")


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Return the least that a server needs, on SQLite."""
    return {
        "PAYHOOKS_DATABASE_URL": f"sqlite:///{tmp_path}/data/payhooks.db",
        "PAYHOOKS_SECRET_KEY": new_key_text(os.urandom),
        "PAYHOOKS_LISTEN": "127.0.0.1:0",
    }


def test_an_installation_from_nothing_to_a_proof(tmp_path: Path, settings: dict[str, str]) -> None:
    """Migrate, look, make the first key, rotate the secret key, prove that nothing is missing."""
    assert run_json(tmp_path, "migrate", **settings) == {"migrated": True}
    findings = {each["name"]: each for each in run_json(tmp_path, "doctor", **settings)}
    assert findings["durability"]["words"] == "fsync"
    assert findings["secrets"]["level"] == "good"
    assert findings["workers"]["level"] == "note"
    key = run_json(tmp_path, "keys", "create", "first", "--operator", **settings)
    assert key["key"].startswith("phk_operator_")
    old = settings["PAYHOOKS_SECRET_KEY"]
    rotated = {**settings, "PAYHOOKS_SECRET_KEY": f"{new_key_text(os.urandom)},{old}"}
    assert run_json(tmp_path, "keys", "rotate-secret-key", **rotated) == {"resealed": 0}
    assert run_json(tmp_path, "reconcile", **settings) == []
    [chain] = run_json(tmp_path, "audit-log", "verify", **settings)
    assert (chain["chain"], chain["broken_at"]) == ("installation", None)


def test_an_operator_key_ends_when_it_was_told_to(tmp_path: Path, settings: dict[str, str]) -> None:
    """Lent for an afternoon; a merchant in the environment is for other commands."""
    arguments = ("keys", "create", "guest", "--operator", "--expires-at")
    around = {**settings, "PAYHOOKS_API_MERCHANT": "shop"}
    key = run_json(tmp_path, *arguments, "2099-12-31T23:00:00+01:00", **around)
    assert (key["scopes"], key["expires_at"]) == (["operator"], "2099-12-31T22:00:00.000Z")
    late = run(tmp_path, *arguments, "2020-01-01T00:00:00Z", **around)
    assert (late.returncode, "in the future" in late.stderr) == (2, True)


def test_a_file_that_is_served_says_by_whom(tmp_path: Path, settings: dict[str, str]) -> None:
    """Who wants to reconcile must know which process to stop."""
    with running(tmp_path, "serve", **{**settings, "PAYHOOKS_LISTEN": "127.0.0.1:0"}) as server:
        told = server.line_with("Serving at http://127.0.0.1:")
        assert told.endswith("; Ctrl-C stops it.\n")
        where = told.split()[2].removesuffix(";")
        with urllib.request.urlopen(f"{where}/healthz", timeout=10) as answer:  # noqa: S310 - ours
            assert answer.status == 200, "a connection is not refused once it was told"
        lock = tmp_path / "data" / "payhooks.db.lock"
        assert _eventually(lambda: lock.exists() and lock.read_text() == f"{server.process.pid}\n")
        done = run(tmp_path, "reconcile", **settings)
        assert done.returncode == 5
        assert f"process {server.process.pid}" in done.stderr
        looked = run(tmp_path, "doctor", **settings).stdout
        assert "payhooks.db is in use; the server that has it is asked" in looked
        assert server.stop(signal.SIGTERM) == 0


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path, settings: dict[str, str]) -> None:
    """And nothing was opened for it."""
    with running(tmp_path, "dev", "--json", "--port", "0", "--receiver-port", "0") as lines:
        start = json.loads(lines.line_with("seconds_to_first_delivery"))
        taken = {**settings, "PAYHOOKS_LISTEN": start["url"].removeprefix("http://")}
        done = run(tmp_path, "serve", **taken)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "cannot listen" in done.stderr.lower()
        assert not (tmp_path / "data").exists()
        assert lines.stop() == 0


def test_help_imports_no_driver(tmp_path: Path) -> None:
    """Half a second is what people wait without noticing; drivers alone take that long."""
    script = (
        "import sys; from payhooks.cli import main; main(['--help']);"
        f" sys.exit(', '.join(set({HEAVY!r}) & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_child_that_dies_is_started_again_and_all_stop_together(tmp_path: Path) -> None:
    """One process that falls must not take the port with it, nor stay down."""
    child = (
        "import os, pathlib, signal, sys, time\n"
        "pathlib.Path(f'{os.getpid()}.started').touch()\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "sys.stdin.read()\n"
    )
    parent = (
        "import asyncio, sys\n"
        "from payhooks.cli import supervising\n"
        f"command = [sys.executable, '-c', {child!r}]\n"
        "sys.exit(asyncio.run(supervising.keep_running(command, count=2, grace_s=10)))\n"
    )
    with running(tmp_path, "-c", parent, command=[sys.executable]) as supervisor:
        assert _eventually(lambda: len(list(tmp_path.glob("*.started"))) == 2)
        victim = int(next(tmp_path.glob("*.started")).stem)
        os.kill(victim, signal.SIGKILL)
        supervisor.line_with("started again in 0.5 s")
        assert _eventually(lambda: len(list(tmp_path.glob("*.started"))) == 3)
        assert supervisor.stop(signal.SIGTERM) == 0
    left = [path for path in tmp_path.glob("*.started") if _is_alive(int(path.stem))]
    assert not left


async def test_wrong_settings_of_a_child_stop_everything() -> None:
    """Its sisters have the same; trying again for ever would only hide the sentence."""
    command = [sys.executable, "-c", "import sys; sys.exit(2)"]
    # Again and again: a child that ends while its sister is told to once lost its exit code.
    for _ in range(20):
        running = supervising.keep_running(command, count=3, grace_s=5)
        assert await asyncio.wait_for(running, timeout=30) == 2


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _eventually(look: Callable[[], bool], *, within_s: float = 30.0) -> bool:
    deadline_s = time.monotonic() + within_s
    while not look():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.02)
    return True
