"""What OwnGateway and Hyperswitch sent over the years, and what is no message of theirs."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from payhooks.dialects.owngateway import HYPERSWITCH, OWNGATEWAY, OwnGateway
from payhooks.errors import InvalidError

VECTORS = Path(__file__).parents[1] / "vectors" / "owngateway"
CASES: list[dict[str, Any]] = json.loads((VECTORS / "read.json").read_text())["cases"]
BODY = CASES[0]["body"].encode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
@pytest.mark.parametrize("dialect", [OWNGATEWAY, HYPERSWITCH], ids=lambda each: each.name)
def test_reads_the_vectors(dialect: OwnGateway, case: dict[str, Any]) -> None:
    """Bodies of several years: what is new is behind, and what is missing was not there yet."""
    reading = dialect.read({}, case["body"].encode())
    expected = case["reading"]
    assert reading.event_type == expected["event_type"]
    assert (reading.object_type, reading.object_id) == (
        expected["object_type"],
        expected["object_id"],
    )
    assert [list(pair) for pair in reading.ids] == expected["ids"]
    assert reading.occurred_at == datetime.fromisoformat(expected["occurred_at"])
    ordered_at = expected["ordered_at"]
    assert reading.ordered_at == (
        None if ordered_at is None else datetime.fromisoformat(ordered_at)
    )
    assert reading.payload.decode() == expected["payload"]
    assert reading.is_test is None


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        pytest.param({"event_id": None}, "/event_id", id="event_id"),
        pytest.param({"event_id": ""}, "/event_id", id="an empty event_id"),
        pytest.param({"event_id": {}}, "/event_id", id="an object as event_id"),
        pytest.param({"event_type": None}, "/event_type", id="event_type"),
        pytest.param({"content": None}, "/content/type", id="content"),
        pytest.param({"content": {"object": {}}}, "/content/type", id="type"),
        pytest.param({"content": {"type": "a"}}, "/content/object", id="object"),
        pytest.param({"timestamp": None}, "/timestamp", id="timestamp"),
        pytest.param({"timestamp": "yesterday"}, "/timestamp", id="no time"),
        pytest.param({"timestamp": "9999-12-31T23:59:59-23:00"}, "/timestamp", id="after all time"),
    ],
)
def test_says_what_is_missing(members: dict[str, Any], pointer: str) -> None:
    """Whoever wrote the sender reads it in the receipt."""
    said = json.loads(BODY) | members
    body = json.dumps({name: value for name, value in said.items() if value is not None}).encode()
    with pytest.raises(InvalidError) as caught:
        OWNGATEWAY.read({}, body)
    assert [fault.pointer for fault in caught.value.faults] == [pointer]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="not an object"),
        pytest.param(
            BODY.replace(b'"object":{', b'"object":[{').replace(b"}},", b"}]},"), id="list"
        ),
        pytest.param(BODY.replace(b"6540", b"NaN"), id="NaN"),
        pytest.param(BODY.replace(b"succeeded", b"\xff"), id="not UTF-8"),
        pytest.param(BODY.replace(b"pay_6", b"\\ud800"), id="half a surrogate pair"),
        pytest.param(BODY.replace(b"6540", b"[" * 100_000), id="deep"),
    ],
)
def test_what_cannot_be_read_is_invalid(body: bytes) -> None:
    """A verified sender may still send nonsense, and that must not stop a worker."""
    with pytest.raises(InvalidError):
        OWNGATEWAY.read({}, body)
