"""The descriptions of the API: OpenAPI 3.1 with ``webhooks``, and AsyncAPI 3."""

import re
from functools import cache
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from payhooks import __version__
from payhooks.api import event_schemas
from payhooks.catalogue import CATALOGUE
from payhooks.dialects.registry import DIALECTS
from payhooks.dialects.standard import STANDARD
from payhooks.model.event_type import PROVENANCE_SENTENCES, EventType

_DESCRIPTION: Final = (
    "Publish payment events; Payhooks tells the endpoints that want to know, signed and at least"
    " once. Errors are problem documents (RFC 9457). Lists are read on with `after`."
)
_SECURITY: Final = {"key": {"type": "http", "scheme": "bearer"}}
_PROBLEM: Final = {
    "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemView"}}
}
_DELIVERIES: Final = (
    "What the receivers of events are sent: a channel for each dialect that an endpoint can speak."
    " What else a body has, the headers and the signature are described with the dialect."
    " The messages of a provider's dialect are those of its own family. The dialect treezor carries"
    " objects of Treezor alone: one member whose value is a list. Every other one described here"
    " carries any event. An event that a dialect cannot carry is published with a finding"
    " not_carried, and its delivery fails; a merchant whose type_check is strict is refused it."
    " A merchant's own format is not described here."
)
_EXAMPLE_AT: Final = "2026-11-21T09:30:00.000000Z"
_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document: every route, the hot ones included, and what we send."""
    document = get_openapi(
        title="Payhooks",
        version=__version__,
        openapi_version="3.1.0",
        description=_DESCRIPTION,
        routes=app.routes,
    )
    document["components"]["securitySchemes"] = _SECURITY
    for path, item in document["paths"].items():
        for operation in item.values():
            operation["operationId"] = _operation_id(operation["summary"])
            if path.startswith("/v1"):
                operation["security"] = [{"key": []}]
            # Ours is the 4XX problem; FastAPI describes one of its own that nobody gets.
            operation["responses"].pop("422", None)
            for status in ("4XX", "5XX"):
                if status in operation["responses"]:
                    operation["responses"][status]["content"] = _PROBLEM
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas.update(event_schemas.components())
    document["webhooks"] = {
        f"{type_.family}/{type_.name}": {"post": _webhook(type_)} for type_ in CATALOGUE.types
    }
    return document


@cache
def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI document: a channel for each dialect, a message for each event type."""
    dialects = [name for name in DIALECTS if name in event_schemas.ENVELOPES]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Payhooks", "version": __version__, "description": _DELIVERIES},
        "defaultContentType": "application/json",
        "channels": {
            name: {
                "address": None,
                "title": name,
                "description": f"The URL of an endpoint with the dialect {name}.",
                "messages": _messages(name),
            }
            for name in dialects
        },
        "operations": {
            f"deliver.{name}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{name}"},
                "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
            }
            for name in dialects
        },
        "components": {"schemas": event_schemas.components()},
    }


def _messages(dialect: str) -> dict[str, Any]:
    family = event_schemas.ENVELOPES[dialect].family
    if family is None and dialect != STANDARD.name:
        summary = "Any event of the channel standard, in this envelope."
        payload = event_schemas.body_of_any(dialect)
        return {"any": {"name": "any", "summary": summary, "payload": payload}}
    return {
        f"{type_.family}.{type_.name}": {
            "name": type_.name,
            "summary": type_.words or type_.note or type_.name,
            "payload": event_schemas.body_of(type_, dialect),
        }
        for type_ in CATALOGUE.types
        if family in {None, type_.family}
    }


def _operation_id(summary: str) -> str:
    """Return what generated clients call it: what the summary says, and not the path."""
    return re.sub(r"[^a-z]+", "_", summary.lower())


def _webhook(type_: EventType) -> dict[str, Any]:
    body = event_schemas.body_of(type_, STANDARD.name)
    body["required"].append("timestamp")
    body["properties"]["timestamp"] = {"type": "string", "format": "date-time"}
    content: dict[str, Any] = {"schema": body}
    if type_.example is not None:
        data = msgspec.json.decode(type_.example)
        content["example"] = {"type": type_.name, "timestamp": _EXAMPLE_AT, "data": data}
    said = (type_.note, PROVENANCE_SENTENCES[type_.provenance], "In the dialect standard.")
    return {
        "summary": type_.words or type_.name,
        "description": " ".join(filter(None, said)),
        "tags": [type_.family],
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
            for name in _HEADERS
        ],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "2XX": {"description": "Received."},
            "410": {"description": "Stop sending: the endpoint is disabled."},
            "429": {"description": "Wait, for as long as Retry-After says."},
        },
    }
