"""Commands that need no server, through the one way in that scripts use."""

import json
from pathlib import Path

import pytest

from payhooks import __version__
from payhooks.cli import main
from payhooks.cli.keys import SCOPES
from payhooks.control.keyring import parse_keys
from payhooks.control.keys import GRANTABLE

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every command in an empty folder, with no settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("PAYHOOKS_API_KEY", "PAYHOOKS_API_URL", "PAYHOOKS_API_MERCHANT"):
        monkeypatch.delenv(name, raising=False)


def _sign(capsys: pytest.CaptureFixture[str], body: Path) -> Path:
    assert main(["sign", "--secret", SECRET, "--body", str(body)]) == 0
    headers = body.with_name("headers")
    headers.write_text(capsys.readouterr().out, encoding="utf-8")
    return headers


def test_what_sign_signs_verify_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two halves of one trial: a developer signs a body and checks what her server would see."""
    body = tmp_path / "body"
    body.write_bytes(b'{"type":"a.b","timestamp":"2026-11-20T12:00:00Z","data":{}}')
    headers = _sign(capsys, body)
    arguments = ["verify", "--secret", SECRET, "--headers", str(headers), "--body", str(body)]
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("✓") == 4


def test_a_changed_body_ends_with_6_and_the_culprit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An editor that adds a line feed is the commonest reason of all."""
    body = tmp_path / "body"
    body.write_bytes(b'{"type":"a.b","timestamp":"2026-11-20T12:00:00Z","data":{}}')
    headers = _sign(capsys, body)
    body.write_bytes(body.read_bytes() + b"\n")
    arguments = ["verify", "--secret", SECRET, "--headers", str(headers), "--body", str(body)]
    assert main(arguments) == 6
    assert "line feed" in capsys.readouterr().out


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="empty, as of a variable that is not set"),
        pytest.param("sale-1\n", id="with the end of the line that it was read from"),
        pytest.param("zürich", id="not ASCII"),
        pytest.param("k" * 256, id="longer than a server takes"),
    ],
)
def test_what_is_no_idempotency_key_publishes_nothing(
    key: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Publishing under another one would store the same event anew each time."""
    monkeypatch.setenv("PAYHOOKS_API_KEY", "phk_sandbox_1")
    monkeypatch.setenv("PAYHOOKS_API_URL", "http://127.0.0.1:1")
    command = ["events", "publish", "a.b", "--merchant", "shop", "--idempotency-key", key]
    assert main(command) == 2
    assert capsys.readouterr().err.startswith("payhooks: --idempotency-key: A key has 1 to 255")


def test_a_message_id_that_blurs_what_is_signed_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dot would separate what belongs together."""
    (tmp_path / "body").write_bytes(b"{}")
    assert main(["sign", "--secret", SECRET, "--body", "body", "--id", "a.b"]) == 2
    assert "--id" in capsys.readouterr().err


def test_a_secret_that_is_none_is_refused_with_its_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With what it is to begin with, and without the member of a body that nobody wrote."""
    assert main(["sign", "--secret", "hunter2", "--body", "-"]) == 2
    said = capsys.readouterr().err
    assert said == ("payhooks: --secret: A secret begins with whsec_ (or whsk_, an Ed25519 key).\n")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        pytest.param(["sign", "--secret", SECRET, "--body", "nowhere"], "--body", id="sign"),
        pytest.param(
            ["verify", "--secret", SECRET, "--headers", "nowhere", "--body", "nowhere"],
            "--headers",
            id="verify",
        ),
        pytest.param(["events", "publish", "a.b", "--data", "@nowhere"], "--data", id="publish"),
        pytest.param(
            ["connectors", "create", "owl", "owlpay", "--secret", "@nowhere"],
            "--secret",
            id="connectors",
        ),
        pytest.param(["audit-log", "verify", "--against", "nowhere"], "--against", id="audit log"),
    ],
)
def test_a_missing_file_is_a_sentence_about_the_option(
    arguments: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 2, as docs/cli.md says: a path is an input, and the person can mend it."""
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said == f"payhooks: {option}: nowhere cannot be read: No such file or directory.\n"


def test_a_generated_secret_key_is_one_that_settings_take(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Data alone on standard output, so that it can be piped into a file."""
    assert main(["keys", "generate-secret"]) == 0
    assert len(parse_keys(capsys.readouterr().out.strip())) == 1


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        pytest.param(["--scope", "events:read"], "--scope", id="scope"),
        pytest.param(["--signing"], "--signing", id="signing"),
        pytest.param(["-m", "shop"], "--merchant", id="merchant"),
    ],
)
def test_what_would_narrow_an_operator_key_is_refused(
    arguments: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dropped without a word, it would leave a key that opens everything to whoever has it."""
    assert main(["keys", "create", "shop", "--operator", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"payhooks: {option}: An operator's key may do everything")


def test_a_key_without_permissions_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever names none has not decided; a Source Key, say, needs hardly any."""
    assert main(["keys", "create", "shop", "-m", "shop", "--signing"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("payhooks: --scope: Name what the key may do")
    assert all(scope in said for scope in GRANTABLE)


def test_every_permission_that_may_be_granted_is_named_in_the_help() -> None:
    """The list is written twice, for help to be quick."""
    assert sorted(SCOPES) == sorted(GRANTABLE)


def test_config_check_shows_where_a_value_is_from_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its output ends up in tickets and chats."""
    assert main(["keys", "generate-secret"]) == 0
    secret_key = capsys.readouterr().out.strip()
    (tmp_path / "key").write_text(secret_key, encoding="utf-8")
    monkeypatch.setenv("PAYHOOKS_SECRET_KEY_FILE", str(tmp_path / "key"))
    url = "postgresql://shop:hunter2@db.internal/payhooks?sslpassword=hunter2"
    monkeypatch.setenv("PAYHOOKS_DATABASE_URL", url)
    assert main(["config", "check", "--json"]) == 0
    printed = capsys.readouterr().out
    assert "hunter2" not in printed
    assert secret_key not in printed
    rows = {row["setting"]: row for row in json.loads(printed)}
    assert rows["PAYHOOKS_SECRET_KEY"]["source"] == f"file {tmp_path / 'key'}"
    assert rows["PAYHOOKS_DATABASE_URL"]["source"] == "environment"
    assert "db.internal/payhooks" in rows["PAYHOOKS_DATABASE_URL"]["value"]
    assert rows["PAYHOOKS_LISTEN"] == {
        "setting": "PAYHOOKS_LISTEN",
        "value": "127.0.0.1:8420",
        "source": "default",
    }


def test_a_misspelt_setting_is_refused_with_the_right_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Silently not read, it would be found in an outage."""
    monkeypatch.setenv("PAYHOOKS_DATABSE_URL", "sqlite:///x.db")
    assert main(["config", "check"]) == 2
    assert "did you mean PAYHOOKS_DATABASE_URL?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["sing"], id="no such command"),
        pytest.param(["endpoints", "list", "--limit", "0"], id="out of range"),
        pytest.param(["verify"], id="an option is missing"),
        pytest.param(["receipts", "reprocess"], id="neither one nor many"),
        pytest.param(["receipts", "reprocess", "rcp_1", "--connector", "owl"], id="one and many"),
        pytest.param(["receipts", "reprocess", "--connector", "owl"], id="many of no state"),
    ],
)
def test_a_mistyped_command_ends_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """And says so on standard error, where nobody parses it."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert captured.err


@pytest.mark.parametrize(
    ("command", "option"),
    [
        pytest.param(["deliveries", "list"], "--since", id="deliveries"),
        pytest.param(["events", "list"], "--until", id="events"),
        pytest.param(["events", "publish", "a.b"], "--occurred-at", id="publish"),
        pytest.param(["replay", "create"], "--since", id="replay"),
        pytest.param(["keys", "create", "shop"], "--expires-at", id="keys"),
        pytest.param(["reconcile"], "--until", id="reconcile"),
    ],
)
@pytest.mark.parametrize("text", ["yesterday", "2026-01-31T12:00:00", ""])
def test_a_time_is_refused_with_the_option_and_how_to_write_it(
    command: list[str], option: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The member of the API that it would become is nothing that the person has typed."""
    assert main([*command, option, text]) == 2
    said = capsys.readouterr().err
    assert said == f"payhooks: {option}: Write it as 2026-01-31T12:00:00Z.\n"


def test_advice_stands_in_a_sentence_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Also where what is wrong was said without a stop."""
    assert main(["endpoints", "list", "--limit", "0"]) == 2
    said = capsys.readouterr().err
    assert ". Try: payhooks endpoints list --help\n" in said


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        pytest.param(["set-password", "maria", "--yes"], "--password-stdin", id="password"),
        pytest.param(["set-role", "maria", "owner"], "--merchant", id="team"),
        pytest.param(["reset-factor", "maria"], "--yes", id="yes"),
    ],
)
def test_what_nobody_can_be_asked_is_an_option_to_give(
    arguments: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the form of every other refusal of an option."""
    assert main(["users", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"payhooks: {option}: N")


def test_without_a_key_the_way_to_one_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The first thing a newcomer meets who starts in the wrong folder."""
    assert main(["events", "list"]) == 4
    assert "PAYHOOKS_API_KEY" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_told_with_its_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Port 1 of this machine: nothing listens there."""
    monkeypatch.setenv("PAYHOOKS_API_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("PAYHOOKS_API_KEY", "key")
    assert main(["events", "list", "-m", "shop"]) == 1
    assert "http://127.0.0.1:1" in capsys.readouterr().err


def test_the_version_is_printed_where_people_look_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both spellings, as a bug report asks for it."""
    assert main(["version"]) == 0
    said = capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == said == f"payhooks {__version__}\n"


def test_no_command_at_all_is_told_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    """Who types only the name wants to know what there is."""
    assert main([]) == 2
    assert "dev" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        pytest.param(["LIVE"], "! public URLs: without PAYHOOKS_PUBLIC_URL_LIVE, URLs", id="one"),
        pytest.param(
            ["SANDBOX", "LIVE"],
            "! public URLs: without PAYHOOKS_PUBLIC_URL_SANDBOX and PAYHOOKS_PUBLIC_URL_LIVE, URLs",
            id="both",
        ),
        pytest.param([], "✓ public URLs: set", id="none"),
    ],
)
def test_doctor_tells_of_urls_that_no_provider_reaches(
    missing: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Pasted at a provider, such a URL is an account that is never heard."""
    assert main(["keys", "generate-secret"]) == 0
    monkeypatch.setenv("PAYHOOKS_SECRET_KEY", capsys.readouterr().out.strip())
    monkeypatch.setenv("PAYHOOKS_DATABASE_URL", f"sqlite:///{tmp_path}/payhooks.db")
    for mode in {"SANDBOX", "LIVE"}.difference(missing):
        monkeypatch.setenv(f"PAYHOOKS_PUBLIC_URL_{mode}", "https://hooks.example.com")
    assert main(["doctor"]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if "public URLs" in line]
    assert line.startswith(words)
    assert line.endswith("begin with http://127.0.0.1:8420") == bool(missing)


def test_doctor_makes_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A look that changes something is no look; with a typing error it would hide it."""
    assert main(["keys", "generate-secret"]) == 0
    monkeypatch.setenv("PAYHOOKS_SECRET_KEY", capsys.readouterr().out.strip())
    monkeypatch.setenv("PAYHOOKS_DATABASE_URL", f"sqlite:///{tmp_path}/payhooks.db")
    assert main(["doctor"]) == 0
    assert "is not there yet" in capsys.readouterr().out
    assert not (tmp_path / "payhooks.db").exists()
