"""The catalogue of a real server: at its door, in its documents, on the command line."""

import json
from pathlib import Path

import pytest
from tests.support import commands
from tests.support.server import OPERATOR_KEY, Api, Refused, Server, Tenant

pytestmark = pytest.mark.shows("E07")

_SCHEMA = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string"}, "sum": {"type": "integer"}},
}
_BAD = {"sum": "4111-secret"}
_SAID_OF_BAD = [
    {"pointer": "/data/id", "code": "schema", "detail": "This member is required."},
    {"pointer": "/data/sum", "code": "schema", "detail": "This must be a whole number."},
]


def test_an_operators_type_is_held_to_its_schema_and_shown(
    on_sqlite: Server, tmp_path: Path
) -> None:
    """From its registration on, for every publisher, as strictly as each merchant wants."""
    api = Api(on_sqlite.port)
    said = {"family": "shop", "name": "basket.left", "words": "Somebody left."}
    api.post("/v1/event-types", {**said, "schema": _SCHEMA, "example": {"id": "b1"}})
    strict = Tenant(api, "Strict", type_check="strict")
    warned = Tenant(api, "Warned")

    with pytest.raises(Refused) as refused:
        strict.publish(_BAD, type="basket.left")
    taken = warned.publish(_BAD, type="basket.left")
    read = api.get(f"{warned.path}/events/{taken['id']}")
    right = strict.publish({"id": "b1"}, type="basket.left")
    other_name = warned.publish({}, type="owlpay.received_order")

    assert refused.value.status == 422
    assert json.loads(refused.value.body)["errors"] == _SAID_OF_BAD
    assert taken["findings"] == read["findings"] == _SAID_OF_BAD
    assert "findings" not in right
    assert other_name["type"] == "order.received"
    assert other_name["findings"][0]["code"] == "alias"

    settings = {
        "PAYHOOKS_API_URL": f"http://127.0.0.1:{on_sqlite.port}",
        "PAYHOOKS_API_KEY": OPERATOR_KEY,
    }
    listed = commands.run(tmp_path, "event-types", "list", "--family", "shop", **settings)
    shown = commands.run(tmp_path, "event-types", "show", "basket.left", **settings)
    found = commands.run_json(tmp_path, "event-types", "list", "--search", "basket", **settings)

    assert listed.stdout == "shop\n      basket.left  Somebody left.\n"
    assert "/id   text            required" in shown.stdout
    assert '"id": "b1"' in shown.stdout
    assert [each["name"] for each in found] == ["basket.left"]
