"""The descriptions of the API: OpenAPI 3.1 with ``webhooks``, and AsyncAPI 3."""

import re
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from payhooks import __version__
from payhooks.catalogue import CATALOGUE
from payhooks.model.event_type import EventType

_DESCRIPTION: Final = (
    "Publish payment events; Payhooks tells the endpoints that want to know, signed and at least"
    " once. Errors are problem documents (RFC 9457). Lists are read on with `after`."
)
_SECURITY: Final = {"key": {"type": "http", "scheme": "bearer"}}
_PROBLEM: Final = {
    "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemView"}}
}
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
    document["webhooks"] = {_name(type_): {"post": _webhook(type_)} for type_ in CATALOGUE.types}
    return document


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI document: one channel, one message per event type."""
    messages = {
        _name(type_): {
            "name": type_.name,
            "summary": type_.words,
            "contentType": "application/json",
            "payload": _envelope(type_),
        }
        for type_ in CATALOGUE.types
    }
    references = [{"$ref": f"#/channels/endpoint/messages/{_escaped(name)}"} for name in messages]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Payhooks", "version": __version__, "description": _DESCRIPTION},
        "channels": {
            "endpoint": {
                "address": None,
                "description": "The URL of an endpoint.",
                "messages": messages,
            }
        },
        "operations": {
            "deliver": {
                "action": "send",
                "channel": {"$ref": "#/channels/endpoint"},
                "messages": references,
                "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
            }
        },
    }


def _operation_id(summary: str) -> str:
    """Return what generated clients call it: what the summary says, and not the path."""
    return re.sub(r"[^a-z]+", "_", summary.lower())


def _name(type_: EventType) -> str:
    return f"{type_.family}/{type_.name}"


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _envelope(type_: EventType) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": type_.name},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": {"type": "object"},
        },
    }


def _webhook(type_: EventType) -> dict[str, Any]:
    return {
        "summary": type_.words or type_.name,
        "description": f"Provenance: {type_.provenance}.",
        "tags": [type_.family],
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
            for name in _HEADERS
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _envelope(type_)}},
        },
        "responses": {
            "2XX": {"description": "Received."},
            "410": {"description": "Stop sending: the endpoint is disabled."},
            "429": {"description": "Wait, for as long as Retry-After says."},
        },
    }
