"""The vectors of owlpay, stripe and cloudevents: what is published, what is sent, what is read."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from tests.support.dialect_events import MERCHANT, endpoint_of

from payhooks.dialects.contract import Dialect, Reading
from payhooks.ids import EventId, MerchantId
from payhooks.model.event import Event
from payhooks.model.merchant import Mode

_TESTS = Path(__file__).parents[1]

Case = dict[str, Any]


def vectors(dialect: str, name: str) -> list[Case]:
    """Return the cases of one file."""
    cases: list[Case] = json.loads((_TESTS / "vectors" / dialect / f"{name}.json").read_text())[
        "cases"
    ]
    assert cases
    return cases


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers named as ASGI names them."""
    return {name.lower(): value for name, value in headers.items()}


def signed_at(case: Case) -> datetime:
    """Return when a vector was signed."""
    return datetime.fromtimestamp(case["timestamp"], UTC)


def written(dialect: Dialect, case: Case) -> tuple[str, dict[str, str], bytes]:
    """Return content type, headers and body of a write vector as *dialect* makes them."""
    said = case["event"]
    about = said.get("object") or {}
    at = said.get("occurred_at")
    event = Event(
        id=EventId(bytes.fromhex(said["id"])),
        merchant_id=MERCHANT.id,
        type=said["type"],
        family=said["family"],
        data=said["data"].encode(),
        object_type=about.get("type"),
        object_id=about.get("id"),
        occurred_at=None if at is None else datetime.fromisoformat(at),
    )
    of = case["merchant"]
    merchant = msgspec.structs.replace(
        MERCHANT,
        id=MerchantId(bytes.fromhex(of["id"])) if "id" in of else MERCHANT.id,
        mode=Mode(of.get("mode", "sandbox")),
    )
    endpoint = msgspec.structs.replace(endpoint_of(dialect.name), **case.get("endpoint", {}))
    assert dialect.refusal(event) is None
    rendered = dialect.render(event=event, endpoint=endpoint, merchant=merchant)
    signed = dialect.sign(
        message_id=case.get("message_id", "m"),
        body=rendered.body,
        secrets=[dialect.signing_secret(text) for text in case["secrets"]],
        now=signed_at(case),
    )
    return rendered.content_type, dict(signed.headers), signed.body


def as_case(reading: Reading) -> Case:
    """Return a reading as read vectors say it."""
    return {
        "event_type": reading.event_type,
        "object_type": reading.object_type,
        "object_id": reading.object_id,
        "ids": [list(pair) for pair in reading.ids],
        "occurred_at": _printed(reading.occurred_at),
        "ordered_at": _printed(reading.ordered_at),
        "is_test": reading.is_test,
        "payload": reading.payload.decode(),
    }


def _printed(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
