"""Every page of a served console that can be opened by its address, with something on it.

The pages are those that the application serves; what their paths leave open is filled in with
what ``furnish`` has put into the merchant.
"""

import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from tests.support import owlpay_sender, providers
from tests.support.chromium import Installation
from tests.support.ports import free_port
from tests.support.server import Api

from payhooks.console.app import pages
from payhooks.console.page import ROOT, PublicPage

_FAILED_S_MAX: Final = 20.0
# What a page shows besides by its query; those that it serves by its path alone come by themselves.
_VIEWS: Final = {
    "/deliveries": ("?status=failed", "?q=nothing", "?from=soon"),
    "/deliveries/{delivery_id}": ("?view=response", "?view=timing", "?view=signature"),
    "/events": ("?type=ach.*",),
    "/payments": ("?id=trx_1", "?id=nothing", "?id=pi_1&type=payment&view=time"),
    "/settings/connectors/new": ("?provider=adyen",),
    "/event-types": ("?q=refund", "?q=zebra"),
    "/replays/new": ("?include=failed&count=1",),
    "/settings/webhooks/{endpoint_id}": ("?tab=settings", "?tab=activity"),
    "/sandbox": ("?scenario=preauthorisation-partial-captures", "?q=nothing+of+it"),
    "/settings/audit-log": ("?action=nothing",),
}
# Of one's own once: whoever has joined cannot be asked to join again.
_LEFT_OUT: Final = {"/", "/factor", "/invitations/{text}/join"}


def templates() -> dict[str, bool]:
    """Return each address to open, with its gaps, and whether it is for everybody."""
    found: dict[str, bool] = {}
    for page in pages():
        if page.method == "GET" and page.path not in _LEFT_OUT:
            for query in ("", *_VIEWS.get(page.path, ())):
                found[ROOT + page.path + query] = isinstance(page, PublicPage)
    return found


def furnish(
    installation: Installation, *, label: str = "Finance ledger", note: str = "two flat whites"
) -> Mapping[str, str]:
    """Put something of everything into the demo merchant; return what fills the gaps of paths."""
    api = Api(installation.server.port)
    at = installation.merchant_path
    said = {
        "label": label,
        "url": f"http://127.0.0.1:{free_port()}/hooks",
        "events": ["transaction.*"],
        "retry_policy": [],
        "signature": {"type": "signature_key"},
        "headers": {"X-Note": "plain"},
    }
    endpoint = api.post(f"{at}/endpoints", said)["id"]
    event = _publish(api, at, note)
    failed = _failed(api, at, event)
    replay = api.post(f"{at}/replays", {"include": ["failed"]})["id"]
    run = api.post(f"{at}/sandbox/runs", {"scenario": "sale-queued"})["id"]
    inbox = api.post(f"{at}/sandbox/inboxes")
    api.post(urlsplit(inbox["url"]).path, {"note": note})
    connector, receipt = _heard(api, at, note)
    key = {"label": label, "scopes": ["events:write"], "signing": True}
    api.post(f"{at}/keys", key)
    invited = api.post(f"{at}/invitations", {"email": "guest@example.com", "role": "viewer"})
    return {
        "endpoint_id": endpoint,
        "event_id": event,
        "delivery_id": failed,
        "replay_id": replay,
        "run_id": run,
        "inbox_id": inbox["id"],
        "connector_id": connector,
        "receipt_id": receipt,
        "text": invited["url"].rpartition("/")[2],
        "family": "treezor",
        "type_name": "payin.update",
    }


def _heard(api: Api, at: str, note: str) -> tuple[str, str]:
    """Return a connector to which something and something forged came, and the forged receipt."""
    said = {"name": "owlpay", "dialect": "owlpay", "secrets": [owlpay_sender.SECRET]}
    made = api.post(f"{at}/connectors", said)
    path = urlsplit(made["url"]).path
    for number, secret in ((1, owlpay_sender.SECRET), (2, "whs_of_somebody_else")):
        body = providers.payment(number, note=note)
        signed = providers.signature(body, at_s=int(time.time()), secret=secret)
        providers.post(api.port, path, body, signed)
    [forged] = api.get(f"{at}/receipts?state=quarantined")["data"]
    deadline_s = time.monotonic() + _FAILED_S_MAX
    while time.monotonic() < deadline_s:
        if api.get(f"{at}/events?object_id=pi_1")["data"]:
            return made["id"], forged["id"]
        time.sleep(0.05)
    raise AssertionError("nothing was told")


def _publish(api: Api, at: str, note: str) -> str:
    said = {
        "type": "transaction.sale.success",
        "data": {"amount": 5.10, "note": note},
        "object": {"type": "transaction", "id": "trx_1"},
        "metadata": {"till": note},
    }
    text: str = api.post(f"{at}/events", said)["id"]
    return text


def _failed(api: Api, at: str, event: str) -> str:
    """Return the delivery of an event that nobody takes, once it has failed."""
    deadline_s = time.monotonic() + _FAILED_S_MAX
    while time.monotonic() < deadline_s:
        [found] = api.get(f"{at}/events/{event}/deliveries")["data"]
        if found["status"] == "failed":
            text: str = found["id"]
            return text
        time.sleep(0.05)
    raise AssertionError("nothing has failed")
