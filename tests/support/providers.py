"""What a provider sends, over a socket, to the connector of a served process."""

import hashlib
import hmac
import http.client
from dataclasses import dataclass

from tests.support.owlpay_sender import SECRET, message
from tests.support.server import Api, Json, Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What our answer was."""

    status: int
    body: bytes
    headers: dict[str, str]


def connector(tenant: Tenant, dialect: str = "owlpay", **members: object) -> Json:
    """Make a connector of the tenant, and return it as the API has it."""
    said = {"name": dialect, "dialect": dialect, "secrets": [SECRET], **members}
    return tenant.api.post(f"{tenant.path}/connectors", said)


def payment(number: int | str, event: str = "payment_intent.captured", **members: object) -> bytes:
    """Return a message of OwlPay's about one payment."""
    data = {
        "uuid": f"pi_{number}",
        "object": "payment_intent",
        "status": "captured",
        "amount": 1250,
        "captured_amount": 1250,
        "currency": "EUR",
        "order_serial": f"ORD-{number}",
        "updated_at": "2026-11-20T12:00:00+00:00",
        **members,
    }
    said = repr((number, event, members)).encode()
    return message(event, data, uuid=f"att_{hashlib.sha256(said).hexdigest()[:40]}")


def signature(body: bytes, *, at_s: int, secret: str = SECRET) -> dict[str, str]:
    """Return the header that OwlPay signs with, by its documentation alone."""
    made = hmac.new(secret.encode(), f"{at_s}.".encode() + body, "sha256").hexdigest()
    return {"owlpay-signature": f"t={at_s},v1={made}"}


def post(
    port: int,
    path: str,
    body: bytes,
    headers: dict[str, str] | None = None,
    *,
    method: str = "POST",
) -> Told:
    """Send one request, and return the answer.

    Raises:
        OSError, http.client.HTTPException: There is none.

    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request(
            method, path, body, {"content-type": "application/json", **(headers or {})}
        )
        answer = connection.getresponse()
        return Told(
            status=answer.status,
            body=answer.read(),
            headers={name.lower(): value for name, value in answer.getheaders()},
        )
    finally:
        connection.close()


def events(api: Api, tenant: Tenant, event_type: str = "payment_succeeded") -> list[Json]:
    """Return the tenant's events of a type."""
    return list(api.pages(f"{tenant.path}/events?type={event_type}"))
