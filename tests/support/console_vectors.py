"""The vectors of merchant-console and foloosi: what is published, what is sent, what is read."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from tests.support.dialect_events import MERCHANT, endpoint_of

from payhooks.dialects.contract import Dialect, Reading
from payhooks.ids import EventId
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant

_VECTORS = Path(__file__).parents[1] / "vectors"
SENT_AT = datetime.fromisoformat("2030-01-01T00:00:00+00:00")

Case = dict[str, Any]


def vectors(dialect: str, name: str, *, part: str = "cases") -> list[Case]:
    """Return the cases of one file."""
    cases: list[Case] = json.loads((_VECTORS / dialect / f"{name}.json").read_text())[part]
    assert cases
    return cases


def event_of(said: Case) -> Event:
    """Return the event that a write vector tells of."""
    about = said.get("object") or {}
    at = said.get("occurred_at")
    metadata = said.get("metadata")
    return Event(
        id=EventId(bytes.fromhex(said["id"])),
        merchant_id=MERCHANT.id,
        type=said["type"],
        family=said["family"],
        data=said["data"].encode(),
        object_type=about.get("type"),
        object_id=about.get("id"),
        occurred_at=None if at is None else datetime.fromisoformat(at),
        metadata=None if metadata is None else metadata.encode(),
    )


def sides_of(dialect: Dialect, case: Case) -> tuple[Endpoint, Merchant]:
    """Return who a write vector is sent to."""
    said = case.get("merchant", {})
    merchant = msgspec.structs.replace(
        MERCHANT,
        reference=said.get("reference"),
        provider_ids=tuple(said.get("provider_ids", {}).items()),
    )
    return endpoint_of(dialect.name, case.get("options", {})), merchant


def written(dialect: Dialect, case: Case) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a write vector as *dialect* makes them."""
    endpoint, merchant = sides_of(dialect, case)
    event = event_of(case["event"])
    assert dialect.refusal(event) is None
    rendered = dialect.render(event=event, endpoint=endpoint, merchant=merchant)
    assert rendered.content_type == "application/json"
    secrets = [] if case["secret"] is None else [dialect.signing_secret(case["secret"])]
    signed = dialect.sign(message_id="m", body=rendered.body, secrets=secrets, now=SENT_AT)
    return dict(signed.headers), signed.body


def as_case(reading: Reading) -> Case:
    """Return a reading as read vectors say it."""
    said = {
        "event_type": reading.event_type,
        "object_type": reading.object_type,
        "object_id": reading.object_id,
        "ids": dict(reading.ids),
        "payload": reading.payload.decode(),
    }
    if reading.occurred_at is not None:
        said["occurred_at"] = reading.occurred_at.isoformat()
    if reading.metadata is not None:
        said["metadata"] = reading.metadata.decode()
    return said
