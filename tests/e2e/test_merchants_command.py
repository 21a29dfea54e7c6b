"""``payhooks merchants`` against a real server: what an operator changes of a tenant."""

import json
from pathlib import Path

from tests.support.commands import run, run_json
from tests.support.server import OPERATOR_KEY, Server

FORMAT = {
    "signature_header": "X-Shop-Signature",
    "envelope": '{"event":"{type}","id":"{id}","data":"{data}"}',
    "signed": "{body}",
}


def test_an_operator_edits_what_is_given_and_nothing_else(
    on_sqlite: Server, tmp_path: Path
) -> None:
    """Everything that a merchant can be told to do, without writing a request by hand."""
    settings = {
        "PAYHOOKS_API_URL": f"http://127.0.0.1:{on_sqlite.port}",
        "PAYHOOKS_API_KEY": OPERATOR_KEY,
    }
    made = run_json(tmp_path, "merchants", "create", "Shop", "--reference", "shop", **settings)
    (tmp_path / "format.json").write_text(json.dumps(FORMAT), encoding="utf-8")
    told = [
        *("--name", "Bakery", "--card-numbers", "mask", "--type-check", "strict"),
        *("--family", "owlpay", "--provider-id", "merch_key=mk_1", "--no-sandbox-auto-capture"),
        *("--custom-dialect", "@format.json"),
    ]
    edited = run_json(tmp_path, "merchants", "edit", "shop", *told, **settings)
    format_ = edited["custom_dialect"]
    assert {name: format_[name] for name in FORMAT} == FORMAT
    expected = {
        "name": "Bakery",
        "card_numbers": "mask",
        "type_check": "strict",
        "families": ["owlpay"],
        "provider_ids": {"merch_key": "mk_1"},
        "sandbox_auto_capture": False,
    }
    changing = {"custom_dialect", "version", "updated_at"}
    kept = {name: value for name, value in edited.items() if name not in changing}
    assert kept == {name: value for name, value in (made | expected).items() if name in kept}

    again = ("--custom-dialect", "null", "--sandbox-auto-capture")
    changed = run_json(tmp_path, "merchants", "edit", "shop", *again, **settings)
    assert (changed["custom_dialect"], changed["sandbox_auto_capture"]) == (None, True)
    assert changed["name"] == "Bakery"


def test_an_edit_of_nothing_is_refused(tmp_path: Path) -> None:
    """Whoever says nothing has forgotten something."""
    refused = run(tmp_path, "merchants", "edit", "shop")
    assert refused.returncode == 2
    assert "Say what to change." in refused.stderr
