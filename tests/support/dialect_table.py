"""Every dialect with every signature and every authentication, sent over real sockets.

One endpoint for each, one event for each dialect, and each request judged by code that imports
nothing of the product: ``tests/outside/verify_<dialect>.py``, and where there is one the
provider's own package, or PHP.
"""

import base64
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from tests.support.captured import Capture, Captured
from tests.support.dialect_events import CUSTOM_DIALECT, sample_publication
from tests.support.foreign import FOREIGN
from tests.support.server import Api, Json, Server, Tenant

from payhooks.dialects.registry import DIALECTS

SIGNATURES: Final = ("none", "endpoint_secret", "signature_key", "source_key")
AUTHENTICATIONS: Final[Mapping[str, Json]] = {
    "none": {"type": "none"},
    "basic": {"type": "basic", "username": "shop", "password": "open sesame"},
    "bearer": {"type": "bearer", "token": "a-token-of-the-merchant"},
    "header": {"type": "header", "name": "X-Shop-Token", "value": "a-value-of-the-merchant"},
}
_PASSED: Final[Mapping[str, tuple[str, str] | None]] = {
    "none": None,
    "basic": ("authorization", "Basic " + base64.b64encode(b"shop:open sesame").decode()),
    "bearer": ("authorization", "Bearer a-token-of-the-merchant"),
    "header": ("x-shop-token", "a-value-of-the-merchant"),
}
# What foreign code verifies a dialect that has none of its own name.
_OUTSIDE: Final = {"hyperswitch": "owngateway", "custom": "shop"}
WRONG_SECRET: Final = "whsec_" + base64.b64encode(b"a secret of somebody else").decode()


class _Outside(Protocol):
    def is_signed_by(self, secret: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Return whether *secret* signed it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the table, as it came out."""

    dialect: str
    signature: str
    authentication: str
    complaints: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the line is about."""
        return f"{self.dialect}, {self.signature}, {self.authentication}"


def send_table(server: Server, capture: Capture) -> Iterator[Entry]:
    """Yield every line of the table, sent by *server* to *capture*."""
    api = Api(server.port)
    tenant = Tenant(api, "Table", reference="table", custom_dialect=CUSTOM_DIALECT)
    signature_key = api.get(f"{tenant.path}/signature-key")["data"][0]["secret"]
    source = api.post(
        f"{tenant.path}/keys", {"label": "Source", "scopes": ["events:read"], "signing": True}
    )
    secrets: dict[str, str] = {}
    for dialect in DIALECTS:
        for signature in SIGNATURES:
            chosen: Json = {"type": signature}
            if signature == "source_key":
                chosen["key_id"] = source["id"]
            for authentication, body in AUTHENTICATIONS.items():
                path = f"/{dialect}/{signature}/{authentication}"
                tenant.endpoint(
                    capture.url(path),
                    events=[_event_type(dialect)],
                    dialect=dialect,
                    signature=chosen,
                    authentication=body,
                )
                secrets[path] = {
                    "signature_key": signature_key,
                    "source_key": source["key"],
                }.get(signature, tenant.secrets[path])
    for dialect in DIALECTS:
        said = {**sample_publication(dialect), "type": _event_type(dialect)}
        api.post(f"{tenant.path}/events", said)
    requests = {request.path: request for request in capture.until(len(secrets))}
    for path, secret in secrets.items():
        yield _judged(requests[path], secret)


def _event_type(dialect: str) -> str:
    return f"table.{dialect}"


def _judged(request: Captured, secret: str) -> Entry:
    _, dialect, signature, authentication = request.path.split("/")
    complaints = []
    passed = _PASSED[authentication]
    if passed is None:
        if "authorization" in request.named:
            complaints.append("it has an Authorization header")
    elif request.named.get(passed[0]) != passed[1]:
        complaints.append("the credential is not the one configured")
    signed = is_signed_by(dialect, secret, request)
    if signed != (signature != "none"):
        complaints.append("it is signed" if signed else "foreign code does not verify it")
    if is_signed_by(dialect, WRONG_SECRET, request):
        complaints.append("any secret verifies it")
    foreign = FOREIGN.get(dialect)
    if foreign is not None and foreign(secret, request.named, request.body) != signed:
        complaints.append("the provider's own code disagrees")
    return Entry(
        dialect=dialect,
        signature=signature,
        authentication=authentication,
        complaints=tuple(complaints),
    )


def is_signed_by(dialect: str, secret: str, request: Captured) -> bool:
    """Return whether *secret* signed *request*, as foreign code has it."""
    module = _OUTSIDE.get(dialect, dialect).replace("-", "_")
    outside = cast("_Outside", importlib.import_module(f"tests.outside.verify_{module}"))
    return outside.is_signed_by(secret, request.named, request.body)


def unverified(entries: "list[Entry]") -> dict[str, Any]:
    """Return the complaints by line; none where all is well."""
    return {entry.name: entry.complaints for entry in entries if entry.complaints}
