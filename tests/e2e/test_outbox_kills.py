"""Processes of an outbox killed at the worst moments: nothing lost, nothing told twice."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from proofs.outbox import TIMEOUT_S
from tests.support.outbox import (
    TYPE,
    Hooks,
    commit,
    driver,
    outbox_database,
    rows_of,
)
from tests.support.outbox_soak import (
    Child,
    application_database,
    environment_of_children,
    soak_outbox,
)
from tests.support.server import Api, Server, Tenant
from tests.support.soak import OtherProcess

from payhooks.publisher import Outbox
from payhooks.publisher.__main__ import KEY_VARIABLE, main

pytest_plugins = ("tests.support.outbox_fixtures",)
S_MAX = 20.0

# Writes one event and says so, before or after the commit; then it waits to be killed.
APPLICATION = """
import sys
from payhooks.publisher import Outbox
from tests.support.outbox import TYPE, driver
with driver(sys.argv[1]) as connection:
    Outbox("shop").write(connection, TYPE, {}, idempotency_key="a")
    if sys.argv[2] == "committed":
        connection.commit()
    print("now", flush=True)
    sys.stdin.read()
"""


@contextmanager
def serving(hooks: Hooks) -> Iterator[str]:
    """Yield the URL at which *hooks* take batches."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Answer as the hooks do."""
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = hooks.send(f"http://x{self.path}", {}, body)
            hooks.asked.set()
            hooks.go_on.wait(S_MAX)
            self.send_response(answer.status)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

        def handle(self) -> None:
            """Let who hangs up do so: it was killed."""
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            hooks.go_on.set()
            server.shutdown()
            thread.join()


def _forwarder(outbox_url: str, url: str, folder: Path) -> Child:
    arguments = ["-m", "payhooks.publisher", "forward", "--database", outbox_url, "--url", url]
    return Child(arguments, environment_of_children("k"), folder / "log")


def _until(holds: Callable[[], bool], *, s: float = S_MAX) -> None:
    ticks = threading.Event()
    for _ in range(int(s / 0.02)):
        if holds():
            return
        ticks.wait(0.02)
    raise AssertionError("it did not come about")


@pytest.mark.shows("V62")
def test_a_forwarder_killed_between_the_answer_and_the_delete_tells_nothing_twice(
    outbox_url: str, stack: ExitStack, tmp_path: Path
) -> None:
    """The server has the event, the table too: the next one asks with the same key."""
    hooks = Hooks()
    commit(outbox_url, "a")
    url = stack.enter_context(serving(hooks))
    first = _forwarder(outbox_url, url, tmp_path)
    stack.callback(first.close)
    first.start()
    assert hooks.asked.wait(S_MAX)
    assert hooks.keys == ["a"]
    first.kill()
    assert rows_of(outbox_url) == 1
    hooks.go_on.set()

    second = _forwarder(outbox_url, url, tmp_path)
    stack.callback(second.close)
    second.start()
    _until(lambda: rows_of(outbox_url) == 0)

    assert second.stop() == 0
    assert hooks.keys == ["a"]
    assert hooks.requests == [["a"], ["a"]]
    last = (tmp_path / "log").read_text("utf-8").splitlines()[-1]
    assert '"forwarded": 1, "replayed": 1' in last


@pytest.mark.long
def test_a_forwarder_that_hangs_keeps_its_rows_for_a_minute_at_most(
    outbox_cluster: str, stack: ExitStack, tmp_path: Path
) -> None:
    """A process that was stopped, or whose machine has gone, is not killed: its locks stay."""
    outbox_url = stack.enter_context(outbox_database("postgres", tmp_path, lambda: outbox_cluster))
    hooks = Hooks()
    commit(outbox_url, "a")
    url = stack.enter_context(serving(hooks))
    first = _forwarder(outbox_url, url, tmp_path)
    stack.callback(first.close)
    first.start()
    assert hooks.asked.wait(S_MAX)
    first.tell(signal.SIGSTOP)
    hooks.go_on.set()

    second = _forwarder(outbox_url, url, tmp_path)
    stack.callback(second.close)
    second.start()
    _until(lambda: rows_of(outbox_url) == 0, s=80.0)
    assert second.stop() == 0
    first.tell(signal.SIGCONT)
    assert first.stop() == 0
    assert hooks.keys == ["a"]


@pytest.mark.shows("V62")
@pytest.mark.parametrize(("when", "told"), [("committed", ["a"]), ("open", [])])
def test_an_application_killed_around_its_commit_tells_what_it_committed(
    outbox_url: str, stack: ExitStack, tmp_path: Path, when: str, told: list[str]
) -> None:
    """After the commit the event is not the application's to lose; before it, it never was."""
    program = tmp_path / "application.py"
    program.write_text(APPLICATION, "utf-8")
    said = tmp_path / "said"
    application = Child([str(program), outbox_url, when], environment_of_children(""), said)
    stack.callback(application.close)
    application.start()
    _until(lambda: said.read_text("utf-8") == "now\n")
    application.kill()

    hooks = Hooks()
    hooks.go_on.set()
    commit(outbox_url, "later")
    forwarder = _forwarder(outbox_url, stack.enter_context(serving(hooks)), tmp_path)
    stack.callback(forwarder.close)
    forwarder.start()
    _until(lambda: "later" in hooks.keys)
    assert forwarder.stop() == 0
    assert hooks.keys == [*told, "later"]
    assert rows_of(outbox_url) == 0


@pytest.mark.long
@pytest.mark.shows("V62")
def test_business_under_kills_is_told_and_nothing_else(
    on_sqlite: Server, receiver: OtherProcess, tmp_path: Path
) -> None:
    """With the real server, which is killed too; scripts/prove does it for longer."""
    tenant = Tenant(Api(on_sqlite.port))
    tenant.endpoint(receiver.url("/ok/ordered"), timeout_s=TIMEOUT_S, ordering="object")
    receiver.learn(tenant.secrets)
    folder = tmp_path / "business"
    folder.mkdir()
    with application_database("sqlite", folder, "") as outbox_url:
        done = soak_outbox(
            on_sqlite,
            tenant,
            receiver,
            database=outbox_url,
            folder=folder,
            commits=150,
            kills=5,
            ordered="/ok/ordered",
        )
    assert done.kills == {"application": 2, "forwarder": 2, "server": 1}
    assert done.committed >= 150
    assert done.rolled_back >= 15
    assert (done.untold, done.told_twice, done.never_was, done.left) == ([], [], [], 0)
    assert done.verdict.is_clean, str(done.verdict)


def test_the_commands_show_what_was_refused_and_send_it_again(
    outbox_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, stack: ExitStack
) -> None:
    """Who is called at night has a shell, and not this library's documentation in his head."""
    hooks = Hooks()
    hooks.go_on.set()
    hooks.refused = {"a": 422}
    commit(outbox_url, "a", "b")
    forwarder = _forwarder(outbox_url, stack.enter_context(serving(hooks)), tmp_path)
    stack.callback(forwarder.close)
    forwarder.start()
    _until(lambda: rows_of(outbox_url) == 1 and hooks.keys == ["b"])

    assert main(["status", "--database", outbox_url]) == 0
    assert capsys.readouterr().out == '{"waiting": 0, "failed": 1, "oldest": null}\n'
    assert main(["failed", "--database", outbox_url]) == 0
    said = capsys.readouterr().out
    assert '"idempotency_key": "a"' in said
    assert '"last_error": "422: No"' in said
    hooks.refused = {}
    assert main(["resend", "--all", "--database", outbox_url]) == 0
    assert capsys.readouterr().out == '{"resent": 1}\n'
    _until(lambda: rows_of(outbox_url) == 0)
    assert forwarder.stop() == 0
    assert hooks.keys == ["b", "a"]


def test_a_forwarder_that_is_told_to_stop_ends_well_without_a_database(
    stack: ExitStack, tmp_path: Path
) -> None:
    """An orchestrator starts it before the database, and must be able to take it away again."""
    forwarder = _forwarder("postgresql://127.0.0.1:1/x", "http://127.0.0.1:1", tmp_path)
    stack.callback(forwarder.close)
    forwarder.start()
    log = tmp_path / "log"
    _until(lambda: '"trouble": "the database' in log.read_text("utf-8"))
    assert forwarder.stop(signal.SIGINT) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["status", "--database", "mysql://x"], 2, "postgresql://"),
        (["forward", "--database", "sqlite:///x", "--url", "x"], 2, "/base_url"),
        (["status", "--database", "sqlite:////nowhere/x.db"], 1, "unable to open"),
        (["failed", "--database", "sqlite:////nowhere/x.db"], 1, "unable to open"),
        (["resend", "--id", "7", "--database", "sqlite:////nowhere/x.db"], 1, "unable to open"),
    ],
)
def test_a_command_that_cannot_work_says_why(
    arguments: list[str],
    code: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line, and no traceback."""
    monkeypatch.setenv(KEY_VARIABLE, "phk_sandbox_x")
    assert main(arguments) == code
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


def test_the_table_is_printed_for_those_who_migrate_by_hand(
    capsys: pytest.CaptureFixture[str], outbox_cluster: str, tmp_path: Path
) -> None:
    assert main(["table", "postgresql"]) == 0
    statements = capsys.readouterr().out.split(";\n")
    with outbox_database("postgres", tmp_path, lambda: outbox_cluster) as url:
        with driver(url) as connection:
            connection.execute("DROP TABLE payhooks_outbox")
            for statement in statements[:-1]:
                connection.execute(statement)
            Outbox("shop").write(connection, TYPE, {})
            connection.commit()
        assert rows_of(url) == 1
