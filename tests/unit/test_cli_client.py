"""Which server a command talks to, and what of its environment it refuses."""

import json
from pathlib import Path

import pytest

from payhooks.cli import client
from payhooks.cli.client import connect
from payhooks.errors import InvalidError, UnauthenticatedError

DEV = {
    "url": "http://127.0.0.1:9000",
    "api_key": "merchant-key",
    "operator_key": "operator-key",
    "merchant_id": "mer_dev",
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start in an empty folder, with no settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("PAYHOOKS_API_KEY", "PAYHOOKS_API_URL"):
        monkeypatch.delenv(name, raising=False)


def _keep_dev_file() -> None:
    client.DEV_FILE.parent.mkdir()
    client.DEV_FILE.write_text(json.dumps(DEV), encoding="utf-8")


def test_beside_payhooks_dev_nothing_must_be_set() -> None:
    """The second command of the quickstart works as it is written."""
    _keep_dev_file()
    api = connect()
    assert (api.url, api.key, api.merchant) == ("http://127.0.0.1:9000", "merchant-key", "mer_dev")
    assert connect(operator=True).key == "operator-key"


def test_a_key_that_is_set_never_goes_to_the_server_of_dev(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever sets a live key means its server, not the trial in this folder."""
    _keep_dev_file()
    monkeypatch.setenv("PAYHOOKS_API_KEY", "live-key")
    api = connect()
    assert (api.url, api.key, api.merchant) == (client.URL_DEFAULT, "live-key", None)


@pytest.mark.parametrize("content", ["", "[]", '"x"', '{"api_key": 1}', "{"])
def test_a_broken_dev_file_is_none(content: str) -> None:
    """It may be half written; the command says that there is no key."""
    client.DEV_FILE.parent.mkdir()
    client.DEV_FILE.write_text(content, encoding="utf-8")
    with pytest.raises(UnauthenticatedError):
        connect()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host",
        "127.0.0.1:8420",
        "http://",
        "http://[::1",
        "http://ex ample",
        "http://a..b",
        "http://host/a b",
        "http://host/\x7f",
        "http://host/ä",
        "",
    ],
)
def test_a_url_that_is_none_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one means the default; the rest would fail later and less clearly."""
    monkeypatch.setenv("PAYHOOKS_API_KEY", "key")
    monkeypatch.setenv("PAYHOOKS_API_URL", url)
    if url:
        with pytest.raises(InvalidError, match="PAYHOOKS_API_URL"):
            connect()
    else:
        assert connect().url == client.URL_DEFAULT


def test_a_key_with_a_line_feed_cannot_add_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied from a file it often ends in one."""
    monkeypatch.setenv("PAYHOOKS_API_KEY", "key\r\nx-other: 1")
    with pytest.raises(InvalidError, match="PAYHOOKS_API_KEY"):
        connect()


def test_the_key_is_not_in_what_is_printed_of_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reprs end up in failing tests and logs."""
    monkeypatch.setenv("PAYHOOKS_API_KEY", "very-secret")
    assert "very-secret" not in repr(connect())


def test_a_merchant_is_one_part_of_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference from elsewhere must not choose another route."""
    monkeypatch.setenv("PAYHOOKS_API_KEY", "key")
    path = connect("../merchants").of_merchant("/events")
    assert path == "/v1/merchants/..%2Fmerchants/events"


def test_a_command_about_a_merchant_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the option and the variable."""
    monkeypatch.setenv("PAYHOOKS_API_KEY", "key")
    with pytest.raises(InvalidError, match="PAYHOOKS_API_MERCHANT"):
        connect().of_merchant("/events")
