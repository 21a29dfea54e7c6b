"""Merchants with everything that one can have, to ask whether each sees its own alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from tests.support.api_world import World, finish
from tests.support.owlpay_sender import SECRET, message, signed

from payhooks import ids
from payhooks.control.keys import GRANTABLE
from payhooks.ids import ConnectorId, MerchantId, ReceiptId
from payhooks.model.delivery import Trigger
from payhooks.model.expectation import Expectation
from payhooks.model.receipt import ReceiptState
from payhooks.ports.receiving import Conclusion, Link, Reference, Wait

_SCOPES = sorted(str(scope) for scope in GRANTABLE)
_EVENT = {"type": "payment_succeeded", "data": {}}


@dataclass(frozen=True)
class Tenant:
    """What a merchant has, by the name that paths give it, and a key with every permission."""

    ids: Mapping[str, str]
    key: str

    @property
    def merchant_id(self) -> MerchantId:
        """The merchant's own."""
        return MerchantId(self.raw("m"))

    def raw(self, name: str) -> bytes:
        """Return one of the ids as stores have it."""
        text = self.ids[name]
        found = ids.from_text(text.partition("_")[0], text)
        assert found is not None
        return found


async def furnished(api: World) -> Tenant:
    """Return a merchant that has one of each."""
    merchant = await api.merchant()
    at = f"/v1/merchants/{merchant}"
    key = await api.key(merchant, *_SCOPES)
    [listed] = (await api.call("GET", f"{at}/keys")).json["data"]
    await api.key(merchant, "events:read", signing=True)
    endpoint = await api.endpoint(merchant)
    await api.publish(merchant)
    await finish(api, Trigger.GIVE_UP)
    user = await _user(api, at)
    said = {"email": "new@shop.example", "role": "viewer"}
    invited = await api.call("POST", f"{at}/invitations", said)
    about = {"type": f"payment-of-{merchant}", "id": f"object-of-{merchant}"}
    event = (await api.publish(merchant, object=about)).json["id"]
    replay = await api.call("POST", f"{at}/replays", {"include": ["failed"]})
    run = await api.call("POST", f"{at}/sandbox/runs", {"scenario": "refund"})
    inbox = await api.call("POST", f"{at}/sandbox/inboxes")
    await api.call("POST", f"/in/{inbox.json['url'].rpartition('/')[2]}", _EVENT, key=None)
    requests = await api.call("GET", f"{at}/sandbox/inboxes/{inbox.json['id']}/requests")
    [delivery] = (await api.call("GET", f"{at}/events/{event}/deliveries")).json["data"]
    tenant = Tenant(
        ids={
            "m": merchant,
            "key_id": listed["id"],
            "endpoint_id": endpoint["id"],
            "event_id": event,
            "delivery_id": delivery["id"],
            "replay_id": replay.json["id"],
            "run_id": run.json["id"],
            "inbox_id": inbox.json["id"],
            "heard_id": requests.json["data"][0]["id"],
            "invitation_id": invited.json["id"],
            "user_id": user,
            "object_type": about["type"],
            "object_id": about["id"],
            **await _heard(api, merchant),
        },
        key=key,
    )
    await _conclude(api, tenant)
    return tenant


async def _heard(api: World, merchant: str) -> dict[str, str]:
    """Have a connector, and let its provider tell of a payment."""
    said = {"name": f"owl-{merchant[-6:].lower()}", "dialect": "owlpay", "secrets": [SECRET]}
    made = await api.call("POST", f"/v1/merchants/{merchant}/connectors", said)
    assert made.status == 201, made.body
    body = message("payment_intent.captured", {"uuid": "pi_1"})
    headers = signed(body, api.control.clock.now())
    target = f"/webhooks/{merchant}/{made.json['name']}"
    assert (await api.call("POST", target, raw=body, key=None, headers=headers)).status == 200
    [receipt] = (await api.call("GET", f"/v1/merchants/{merchant}/receipts")).json["data"]
    return {"connector_id": made.json["id"], "receipt_id": receipt["id"]}


async def _conclude(api: World, tenant: Tenant) -> None:
    """End the receipt: it is about the object, names it, and leaves it waiting for too long."""
    type_, id_ = tenant.ids["object_type"], tenant.ids["object_id"]
    now = api.control.clock.now()
    waiting = Expectation(
        id=api.ids.new(),
        merchant_id=tenant.merchant_id,
        connector_id=ConnectorId(tenant.raw("connector_id")),
        heard_type="payment_intent",
        heard_id="pi_1",
        since=now,
        due_at=now,
        object_type=type_,
        object_id=id_,
    )
    name = f"order-of-{tenant.ids['m']}"
    conclusion = Conclusion(
        merchant_id=tenant.merchant_id,
        receipt_id=ReceiptId(tenant.raw("receipt_id")),
        connector_id=waiting.connector_id,
        state=ReceiptState.PROCESSED,
        links=(Link(object_type=type_, object_id=id_),),
        references=(Reference(reference=name, object_type=type_, object_id=id_),),
        waits=(Wait(expectation=waiting, due_in_s=0.0),),
    )
    await api.store.conclude([conclusion])
    late = msgspec.structs.replace(waiting, overdue=True)
    await api.store.write_expectation(late, due_in_s=3_600)


async def _user(api: World, at: str) -> str:
    """Return somebody in the team; names are the whole installation's, so each has another."""
    name = f"user{at[-6:]}"
    said = {
        "username": name,
        "email": f"{name}@x.example",
        "password": "six green bicycles",
        "role": "owner",
    }
    made = await api.call("POST", f"{at}/users", said)
    assert made.status == 201, made.body
    user: str = made.json["id"]
    return user


async def state_of(api: World, tenant: Tenant) -> list[bytes]:
    """Return all that can be read of a merchant, as its operator sees it."""
    at = f"/v1/merchants/{tenant.ids['m']}"
    places = ["", "/events", "/endpoints", "/deliveries", "/keys", "/replays", "/audit-log"]
    places += ["/connectors", "/receipts", "/overdue"]
    places += ["/users", "/invitations", "/sandbox/runs", "/sandbox/inboxes"]
    return [(await api.call("GET", f"{at}{place}")).body for place in places]
