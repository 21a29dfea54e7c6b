"""Settings: complete or refused, and never a silent typo."""

import base64
from pathlib import Path

import pytest

from payhooks.errors import InvalidError
from payhooks.publisher.__main__ import DATABASE_VARIABLE, KEY_VARIABLE
from payhooks.settings import Settings, load

KEY = base64.b64encode(bytes(range(32))).decode()
LEAST = {"PAYHOOKS_DATABASE_URL": "sqlite:///data/payhooks.db", "PAYHOOKS_SECRET_KEY": KEY}


def test_the_least_that_starts() -> None:
    settings = load(LEAST)
    assert settings.sqlite_path == Path("data/payhooks.db")
    assert settings.host_and_port == ("127.0.0.1", 8420)


def test_four_slashes_make_the_path_absolute() -> None:
    settings = load({**LEAST, "PAYHOOKS_DATABASE_URL": "sqlite:////var/payhooks.db"})
    assert settings.sqlite_path == Path("/var/payhooks.db")


@pytest.mark.shows("S50")
@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        pytest.param({"PAYHOOKS_DATABASE_URL": None}, "DATABASE_URL", "is required", id="no store"),
        pytest.param({"PAYHOOKS_SECRET_KEY": None}, "SECRET_KEY", "is required", id="no key"),
        pytest.param({"PAYHOOKS_SECRET_KEY": "abc"}, "SECRET_KEY", "32", id="short key"),
        pytest.param(
            {"PAYHOOKS_SECRET_KEY": base64.b64encode(bytes(32)).decode()},
            "SECRET_KEY", "", id="a key of zeros",
        ),
        pytest.param({"PAYHOOKS_DATABASE_URL": "mysql://x"}, "DATABASE_URL", "sqlite", id="mysql"),
        pytest.param({"PAYHOOKS_DATABASE_URL": "sqlite://"}, "DATABASE_URL", "a file", id="none"),
        pytest.param({"PAYHOOKS_WORKERS": "many"}, "WORKERS", "whole number", id="no number"),
        pytest.param({"PAYHOOKS_WORKERS": "0"}, "WORKERS", "at least 1", id="no workers"),
        pytest.param({"PAYHOOKS_LISTEN": "8420"}, "LISTEN", "address:port", id="no address"),
        pytest.param({"PAYHOOKS_LISTEN": "::1:99999"}, "LISTEN", "port", id="no such port"),
        pytest.param({"PAYHOOKS_EGRESS_ALLOW": "0x7f.1"}, "EGRESS_ALLOW", "network", id="0x7f"),
        pytest.param({"PAYHOOKS_TRUSTED_PROXIES": "proxy"}, "TRUSTED_PROXIES", "", id="no proxy"),
        pytest.param({"PAYHOOKS_PUBLIC_URL_LIVE": "hooks"}, "PUBLIC_URL_LIVE", "URL", id="no URL"),
        pytest.param({"PAYHOOKS_EGRESS_PROXY": "nonsense"}, "EGRESS_PROXY", "URL", id="no URL of"),
        pytest.param(
            {"PAYHOOKS_EGRESS_PROXY": "http://[x"}, "EGRESS_PROXY", "URL", id="half a proxy URL"
        ),
        pytest.param({"PAYHOOKS_SMTP_URL": "http://mail"}, "SMTP_URL", "smtps://", id="no mail"),
        pytest.param({"PAYHOOKS_SMTP_URL": "smtp://[x"}, "SMTP_URL", "URL", id="half a mail URL"),
        pytest.param({"PAYHOOKS_CONSOLE_FACTOR_S": "59"}, "CONSOLE_FACTOR_S", "60", id="too short"),
        pytest.param(
            {"PAYHOOKS_CONSOLE_FACTOR_S": "3601"}, "CONSOLE_FACTOR_S", "3600", id="too long"
        ),
        pytest.param(
            {"PAYHOOKS_EGRESS_CA_BUNDLE": "/none"}, "EGRESS_CA_BUNDLE", "no file", id="no bundle"
        ),
        pytest.param({"PAYHOOKS_WORKERS": "2"}, "WORKERS", "SQLite has one", id="SQLite has one"),
        pytest.param({"PAYHOOKS_OPERATOR_KEY": "short"}, "OPERATOR_KEY", "32", id="weak operator"),
        pytest.param({"PAYHOOKS_LOG_LEVEL": "loud"}, "LOG_LEVEL", "debug", id="no such level"),
        pytest.param(
            {"PAYHOOKS_WORKER": "2"}, "WORKER", "did you mean PAYHOOKS_WORKERS?", id="a typo"
        ),
        pytest.param({"PAYHOOKS_XYZZY": "2"}, "XYZZY", "is not a setting", id="far from any"),
        pytest.param(
            {"PAYHOOKS_SECRET_KEY_FILE": "/x"}, "SECRET_KEY_FILE", "choose one", id="both"
        ),
        pytest.param(
            {"PAYHOOKS_LISTEN_FILE": "/x"}, "LISTEN_FILE", "is not a setting", id="no secret"
        ),
    ],
)  # fmt: skip
def test_refuses(change: dict[str, str | None], name: str, words: str) -> None:
    environment = {k: v for k, v in {**LEAST, **change}.items() if v is not None}
    with pytest.raises(InvalidError) as caught:
        load(environment)
    [fault] = caught.value.faults
    assert fault.pointer == f"PAYHOOKS_{name}"
    assert words in fault.detail


def test_sqlite_has_one_process() -> None:
    with pytest.raises(InvalidError, match="SQLite has one process"):
        load({**LEAST, "PAYHOOKS_WORKERS": "2"})


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Starting, failing and mending one name at a time is how evenings are lost."""
    with pytest.raises(InvalidError) as caught:
        load({"PAYHOOKS_WORKERS": "x", "PAYHOOKS_LISTN": "y"})
    assert {fault.pointer for fault in caught.value.faults} == {
        "PAYHOOKS_WORKERS",
        "PAYHOOKS_LISTN",
        "PAYHOOKS_DATABASE_URL",
        "PAYHOOKS_SECRET_KEY",
    }


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    """So that it stands in no process list and no unit file."""
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    settings = load(
        {
            "PAYHOOKS_DATABASE_URL": LEAST["PAYHOOKS_DATABASE_URL"],
            "PAYHOOKS_SECRET_KEY_FILE": str(file),
        }
    )
    assert settings.secret_key.get_secret_value() == KEY


def test_a_secret_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="cannot be read"):
        load(
            {
                "PAYHOOKS_DATABASE_URL": LEAST["PAYHOOKS_DATABASE_URL"],
                "PAYHOOKS_SECRET_KEY_FILE": str(tmp_path / "none"),
            }
        )


@pytest.mark.shows("S13")
def test_no_refusal_repeats_a_value() -> None:
    """What is refused is often a secret in the wrong place."""
    canary = "canary-7f3a"
    names = [f"PAYHOOKS_{field.upper()}" for field in Settings.model_fields]
    with pytest.raises(InvalidError) as caught:
        load(dict.fromkeys(names, canary))
    assert canary not in str(caught.value)


def test_what_is_not_ours_is_left_alone() -> None:
    assert load({**LEAST, "PATH": "/bin", "PAYHOOKS_TEST_POSTGRES_URL": "x"}).workers == 1


@pytest.mark.parametrize("name", ["PAYHOOKS_API_URL", KEY_VARIABLE, DATABASE_VARIABLE])
def test_what_clients_read_does_not_keep_a_server_from_starting(name: str) -> None:
    """A shop on one machine with its server has one file with the variables of both."""
    assert load({**LEAST, name: "x"}).workers == 1
