"""From connectors and the providers behind them to what callers read. Never a secret."""

import msgspec

from payhooks import ids
from payhooks.api.views import View, time
from payhooks.connectors import registry
from payhooks.connectors.contract import Provider
from payhooks.control import connectors
from payhooks.control.context import Control
from payhooks.model.connector import Connector
from payhooks.model.merchant import Merchant
from payhooks.ports.receiving import ConnectorHealth


def provider(value: Provider) -> View:
    """Return a provider as the catalogue of those heard has it."""
    return {
        "name": value.name,
        "title": value.title,
        **_guidance(value),
        "choices": [msgspec.structs.asdict(choice) for choice in value.choices],
        "methods": sorted(value.methods),
        "waits_s": {event: usual.total_seconds() for event, usual in value.waits.items()},
    }


def connector(
    value: Connector, health: ConnectorHealth, *, control: Control, merchant: Merchant
) -> View:
    """Return a connector, where to post to, and what its provider has to be told."""
    return {
        "id": ids.to_text(ids.CONNECTOR, value.id),
        "name": value.name,
        "url": connectors.url_of(control, merchant, value),
        "dialect": value.dialect,
        **_guidance(registry.bound(value, merchant)),
        "options": dict(value.options),
        "events": value.events,
        "status": value.status,
        "health": _health(health),
        "version": value.version,
        "created_at": time(value.created_at),
        "updated_at": time(value.updated_at),
    }


def _guidance(value: Provider) -> View:
    secret, credential = value.secret, value.credential
    return {
        "source": value.source,
        "guide": msgspec.structs.asdict(value.guide),
        "secret_words": None if secret is None else msgspec.structs.asdict(secret),
        "credential_words": None if credential is None else msgspec.structs.asdict(credential),
    }


def _health(value: ConnectorHealth) -> View:
    return {
        "received": value.received,
        "unverified": value.unverified,
        "last_received_at": time(value.last_received_at),
        "last_unverified_at": time(value.last_unverified_at),
        "quarantined": value.quarantined,
        "quarantined_bytes": value.quarantined_bytes,
        "dropped": value.dropped,
    }
