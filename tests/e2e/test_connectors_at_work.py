"""Connectors by the command line, against a server that really hears a provider."""

import contextlib
import hashlib
import hmac
import http.client
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apsw
import msgspec
import pytest
from tests.support.owlpay_sender import OTHER_SECRET, SECRET, message, signed
from tests.support.receiving import until
from tests.support.server import OPERATOR_KEY, Api, Server, Tenant

from payhooks.catalogue import CATALOGUE
from payhooks.cli import main
from payhooks.cli.exits import ExitCode

pytestmark = pytest.mark.shows("N02")


def _captured() -> bytes:
    type_ = CATALOGUE.find("owlpay", "payment_intent.captured")
    assert type_ is not None
    assert type_.example is not None
    return message(type_.name, msgspec.json.decode(type_.example))


def _post(url: str, body: bytes, secret: str) -> int:
    """Send one message as OwlPay does; return what it is answered."""
    return _send(url, body, signed(body, datetime.now(UTC), secret))


def _send(url: str, body: bytes, headers: dict[str, str]) -> int:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    try:
        connection.request("POST", parts.path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


class _Shell:
    """The commands of one merchant, in this process: a dozen of their own would take seconds."""

    def __init__(
        self, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._capsys = capsys
        monkeypatch.setenv("PAYHOOKS_API_URL", f"http://127.0.0.1:{tenant.api.port}")
        monkeypatch.setenv("PAYHOOKS_API_KEY", OPERATOR_KEY)
        monkeypatch.setenv("PAYHOOKS_API_MERCHANT", tenant.id)

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON is anything
        code, out, err = self.ended(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    def said(self, *arguments: str) -> str:
        """Return both outputs of a command that must succeed."""
        code, out, err = self.ended(*arguments)
        assert code == 0, err
        return out + err

    def ended(self, *arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err


def test_a_connector_is_set_up_mended_and_taken_down_on_the_command_line(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With a wrong secret at first, as it happens: nothing that the provider said is lost."""
    tenant = Tenant(Api(server.start().port), reference="cafe")
    shell = _Shell(tenant, monkeypatch, capsys)
    secret_file = tmp_path / "secret"
    secret_file.write_text(f"{OTHER_SECRET}\n", encoding="utf-8")
    assert "owlpay" in shell.said("connectors", "providers")

    code, out, err = shell.ended(
        "connectors", "create", "owl", "owlpay", "--secret", f"@{secret_file}", "--json"
    )
    assert code == 0, err
    assert "No provider reaches 127.0.0.1" in err
    made = json.loads(out)
    assert made["url"] == f"http://127.0.0.1:{server.port}/webhooks/cafe/owl"
    shown = shell.said("connectors", "show", "owl")
    assert made["url"] in shown
    assert made["guide"]["where"] in shown
    assert _post(made["url"], _captured(), SECRET) == 401

    [listed] = shell.json("connectors", "list")
    assert (listed["health"]["unverified"], listed["health"]["quarantined"]) == (1, 1)
    filtered = ("receipts", "list", "--connector", "owl", "--state", "quarantined")
    [receipt] = shell.json(*filtered)
    shown = shell.said("receipts", "show", receipt["id"])
    assert receipt["reason"] in shown
    assert "\nDiagnosis\nNothing fits that was tried: the connector's secret, " in shown
    assert shell.ended("receipts", "reprocess", receipt["id"])[0] == ExitCode.CONFLICT
    secret_file.write_text(SECRET, encoding="utf-8")
    rotated = shell.said("connectors", "rotate-secret", "owl", "--secret", f"@{secret_file}")
    assert "verifies with the new secret" in rotated
    assert "have it read again" in shell.said("receipts", "show", receipt["id"])
    assert "is read again" in shell.said("receipts", "reprocess", receipt["id"])

    events = until(lambda: list(tenant.api.pages(f"{tenant.path}/events")), bool)
    assert [event["type"] for event in events] == ["payment_succeeded"]
    processed = f"{tenant.path}/receipts?state=processed"
    until(lambda: [one["id"] for one in tenant.api.pages(processed)], [receipt["id"]].__eq__)
    payment = events[0]["object"]["id"]
    shown = shell.said("objects", "show", "payment", payment)
    assert all(
        word in shown for word in (receipt["id"], events[0]["id"], "payment_intent.captured")
    )
    many = ("receipts", "reprocess", "--connector", "owl", "--state", "quarantined")
    assert "0 are read again" in shell.said(*many)

    edited = shell.json("connectors", "edit", "owl", "--event", "payment_intent.*")
    assert (edited["events"], edited["url"]) == (["payment_intent.*"], made["url"])
    assert shell.json("connectors", "edit", "owl", "--event", "*")["events"] == ["*"]
    assert shell.ended("connectors", "edit", "owl")[0] == ExitCode.USAGE
    assert "disabled" in shell.said("connectors", "disable", "owl")
    assert _post(made["url"], _captured(), SECRET) == 404
    assert "active" in shell.said("connectors", "enable", "owl")
    assert _post(made["url"], _captured(), SECRET) == 200
    assert "deleted" in shell.said("connectors", "delete", "owl", "--yes")
    assert list(tenant.api.pages(f"{tenant.path}/connectors")) == []
    log = server.said()
    assert SECRET not in log
    assert OTHER_SECRET not in log


@pytest.mark.shows("N07")
def test_what_waits_for_too_long_is_listed_on_the_command_line(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever runs the platform asks for it in the morning, before the merchants ask him."""
    tenant = Tenant(Api(server.start().port), reference="cafe")
    shell = _Shell(tenant, monkeypatch, capsys)
    made = shell.json("connectors", "create", "cards", "stripe", "--secret", SECRET)
    now = datetime.now(UTC)
    since = (now - timedelta(days=30)).replace(microsecond=0)
    about = {"id": "pi_1", "amount": 1250, "currency": "eur"}
    said = {"id": "evt_1", "type": "payment_intent.processing", "created": int(since.timestamp())}
    body = json.dumps({**said, "data": {"object": about}}).encode()
    assert _send(made["url"], body, _signed_by_stripe(body, now)) == 200
    processed = f"{tenant.path}/receipts?state=processed"
    until(lambda: list(tenant.api.pages(processed)), bool)
    assert shell.json("objects", "overdue") == [], "not before it was looked at"

    server.stop()
    # It would be looked at in a minute.
    with contextlib.closing(apsw.Connection(str(server.sqlite_path))) as db:
        db.execute("UPDATE expectations SET due_at = 0")
        assert db.changes() == 1
    server.start()

    [overdue] = until(lambda: shell.json("objects", "overdue", "--connector", "cards"), bool)
    assert overdue["object"] == {"type": "payment", "id": "pi_1"}
    assert datetime.fromisoformat(overdue["since"]) == since
    shown = shell.said("objects", "overdue")
    assert all(word in shown for word in ("payment", "pi_1", overdue["since"]))
    assert shell.ended("objects", "overdue", "--connector", "none")[0] == ExitCode.NOT_FOUND


def _signed_by_stripe(body: bytes, at: datetime) -> dict[str, str]:
    seconds = int(at.timestamp())
    signature = hmac.digest(SECRET.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hex()
    return {"stripe-signature": f"t={seconds},v1={signature}"}
