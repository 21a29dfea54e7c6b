"""`payhooks dev` as a newcomer meets it, and the other commands beside it."""

import json
import re
import shlex
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.commands import Running, run, run_json, running

FREE = ("--port", "0", "--receiver-port", "0")


class Dev:
    """A running `payhooks dev`: its folder, what it printed at the start, and its lines."""

    def __init__(self, folder: Path, lines: Running) -> None:
        self.folder = folder
        self.lines = lines
        self.start: dict[str, Any] = json.loads(lines.line_with("seconds_to_first_delivery"))

    def saw(self, text: str) -> dict[str, Any]:
        """Return what the receiver said of the first request whose line holds *text*."""
        sight: dict[str, Any] = json.loads(self.lines.line_with(text))
        return sight


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One start for every test that only looks."""
    folder = tmp_path_factory.mktemp("dev")
    with running(folder, "dev", "--json", *FREE) as lines:
        yield Dev(folder, lines)
        assert lines.stop() == 0


def _deliveries(run_: dict[str, Any]) -> list[dict[str, Any]]:
    [event] = run_["events"]
    found: list[dict[str, Any]] = event["deliveries"]
    return found


def test_the_first_event_arrives_signed_within_a_minute(dev: Dev) -> None:
    """The promise of the README, with its own time."""
    first = dev.saw("transaction.sale.success")
    assert first["verified"]
    assert first["words"] == "signature right"
    assert dev.start["seconds_to_first_delivery"] < 60


def test_the_next_command_works_as_it_is_printed(dev: Dev) -> None:
    """It is the first thing a newcomer copies."""
    done = subprocess.run(  # noqa: S602 - the shell's words are what is tested
        dev.start["next"], shell=True, capture_output=True, text=True, timeout=30, check=True
    )
    accepted = json.loads(done.stdout)
    assert accepted["deliveries"] == 1
    assert not accepted.get("findings")
    ordinal_free = accepted["id"].removeprefix("evt_")[:-4]
    assert dev.saw(f"del_{ordinal_free}")["verified"]


def test_secrets_are_for_their_owner_alone(dev: Dev) -> None:
    """The folder holds the key to everything in it."""
    kept = dev.folder / ".payhooks"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert stat.S_IMODE((kept / "dev.json").stat().st_mode) == 0o600
    assert (kept / ".gitignore").read_text(encoding="utf-8") == "*\n"
    log = (kept / "server.log").read_text(encoding="utf-8")
    assert dev.start["api_key"] not in log
    assert dev.start["password"] not in log
    assert dev.start["totp_seed"] not in log


def test_trigger_needs_nothing_set_and_shows_the_answer(dev: Dev) -> None:
    """The second command of the quickstart."""
    done = run(dev.folder, "trigger", "transaction.refund.success", "--set", "amount=3.50")
    assert done.returncode == 0, done.stderr
    assert "✓  Test receiver  delivered  200" in done.stdout
    assert dev.saw("transaction.refund.success")["verified"]


def test_an_endpoint_of_ones_own_is_checked_with_its_own_secret(dev: Dev) -> None:
    """The receiver finds secrets that were made after it started; 503 is tried again later."""
    url = f"{dev.start['receiver']}/503"
    made = run_json(dev.folder, "endpoints", "create", url, "-e", "payment_failed")
    triggered = run_json(dev.folder, "trigger", "payment_failed")
    [delivery] = [each for each in _deliveries(triggered) if each["endpoint_id"] == made["id"]]
    assert (delivery["status"], delivery["reason"]) == ("scheduled", "http_5xx")
    assert dev.saw('"/503"')["verified"]
    why = run(dev.folder, "deliveries", "show", delivery["id"], "--why")
    assert "Your server answered with a 5xx error." in why.stdout


def test_published_bytes_and_idempotency_keys_are_kept(dev: Dev) -> None:
    """1.0 stays 1.0, and the same key gets the first answer."""
    arguments = ("events", "publish", "order.success", "-d", '{"amount":1.0}')
    first = run_json(dev.folder, *arguments, "--idempotency-key", "order-1")
    again = run_json(dev.folder, *arguments, "--idempotency-key", "order-1")
    assert again["id"] == first["id"]
    shown = run(dev.folder, "events", "show", first["id"], "--json")
    assert '"amount":1.0' in shown.stdout
    other = run(
        dev.folder, "events", "publish", "order.success", "-d", "{}",
        "--idempotency-key", "order-1",
    )  # fmt: skip
    assert other.returncode == 5, other.stderr


def test_what_was_found_of_an_event_is_shown_with_it(dev: Dev) -> None:
    """A type that is spelled wrong; who published it may not have read the answer."""
    published = run(dev.folder, "events", "publish", "payment_succeded", "--json")
    shown = run(dev.folder, "events", "show", json.loads(published.stdout)["id"])
    found = "finding at /type: No such event type is known. Did you mean payment_succeeded?"
    assert found in shown.stdout.splitlines()


def test_listen_forwards_signed_requests_and_tells_the_answer(dev: Dev) -> None:
    """Developers try their own server without making it reachable."""
    target = f"{dev.start['receiver']}/ok"
    with running(
        dev.folder, "listen", "--forward-to", target, "-e", "dispute_opened", "--json"
    ) as listening:
        listening.line_with("Signing secret: whsec_")
        accepted = run_json(dev.folder, "trigger", "dispute_opened")
        line = json.loads(listening.line_with("dispute_opened"))
        assert (line["event_id"], line["status"]) == (accepted["events"][0]["id"], 200)
        assert dev.saw("dispute_opened")["verified"]
        assert listening.stop() == 130
    heard = {each["status"] for each in _deliveries(accepted)}
    assert heard == {"delivered"}


def test_a_replay_is_counted_before_it_is_sent(dev: Dev) -> None:
    """A dry run first, then a job that ends."""
    run_json(dev.folder, "trigger", "payout_success")
    options = ("replay", "create", "--include", "delivered", "--event-type", "payout_*")
    assert run_json(dev.folder, *options, "--dry-run")["matched"] == 1
    job = run_json(dev.folder, *options, "--yes")
    assert (job["state"], job["queued"]) == ("done", 1)
    assert run_json(dev.folder, "replay", "resume", job["id"])["state"] == "done"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["events", "show", "evt_00000000000000000000000000"], 3, id="not found"),
        pytest.param(["endpoints", "create", "http://10.0.0.1/"], 2, id="refused input"),
        pytest.param(["endpoints", "delete", "ep_x"], 2, id="nobody to ask"),
    ],
)
def test_refusals_end_with_their_codes(dev: Dev, arguments: list[str], code: int) -> None:
    """Scripts branch on them."""
    done = run(dev.folder, *arguments)
    assert done.returncode == code
    assert not done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["event-types", "show", "order.succes"], "mean order.success?", id="near"),
        pytest.param(["event-types", "show", "zzz"], "they can be listed.", id="nothing near"),
        pytest.param(["objects", "show", "payment", "nope"], "objects find asks", id="object"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(
    dev: Dev, arguments: list[str], words: str
) -> None:
    """And what to try instead."""
    refused = run(dev.folder, *arguments)
    assert refused.returncode == 3
    first = refused.stderr.splitlines()[0]
    assert words in first
    assert "There is no such thing" not in first


def test_a_second_dev_in_the_same_folder_is_told_so(dev: Dev) -> None:
    """Two servers on one SQLite file would lose events; the lock says who has it."""
    done = run(dev.folder, "dev", *FREE)
    assert done.returncode == 5
    assert f"process {dev.lines.process.pid}" in done.stderr


def test_a_second_start_keeps_data_and_moves_with_its_ports(tmp_path: Path) -> None:
    """Ports may be taken by then; key, merchant, endpoint and events are the same."""
    starts = []
    for _ in range(2):
        with running(tmp_path, "dev", "--json", *FREE) as lines:
            starts.append(json.loads(lines.line_with("seconds_to_first_delivery")))
            if len(starts) == 2:
                events = run_json(tmp_path, "events", "list", "--type", "transaction.*")
                assert len(events) == 2
                [endpoint] = run_json(tmp_path, "endpoints", "list")
                assert endpoint["url"] == f"{starts[1]['receiver']}/ok"
            assert lines.stop() == 0
    assert starts[0]["api_key"] == starts[1]["api_key"]
    assert starts[0]["merchant_id"] == starts[1]["merchant_id"]
    for secret in ("username", "password", "totp_seed"):
        assert starts[0][secret] == starts[1][secret]
    assert re.fullmatch("[0-9]{6}", starts[1]["code"])


def test_a_port_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    """Somebody's own server is often on 8000-something."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with running(tmp_path, "dev", "--json", "--port", port, "--receiver-port", "0") as lines:
            assert f"Port {port} is taken" in lines.line_with("is taken")
            start = json.loads(lines.line_with("seconds_to_first_delivery"))
            assert not start["url"].endswith(f":{port}")
            assert lines.stop() == 0


def test_data_whose_key_is_gone_is_not_touched(tmp_path: Path) -> None:
    """A new key would make every secret in it unreadable, one by one, at send time."""
    (tmp_path / ".payhooks").mkdir()
    (tmp_path / ".payhooks" / "payhooks.db").write_bytes(b"")
    done = run(tmp_path, "dev", *FREE)
    assert done.returncode == 5
    assert "delete .payhooks" in done.stderr


def test_settings_that_dev_does_not_read_are_named(tmp_path: Path) -> None:
    """A setting that is silently not read is worse than none."""
    settings = {"PAYHOOKS_DATABASE_URL": "postgresql://nowhere/x"}
    with running(tmp_path, "dev", "--json", *FREE, **settings) as lines:
        assert "PAYHOOKS_DATABASE_URL" in lines.line_with("does not read")
        lines.line_with("seconds_to_first_delivery")
        assert lines.stop() == 0


def test_the_printed_command_is_safe_to_paste(dev: Dev) -> None:
    """One command, and nothing in it that a shell would take for another."""
    words = shlex.split(dev.start["next"].replace("\\\n", " "))
    assert words[0] == "curl"
    assert ";" not in words
