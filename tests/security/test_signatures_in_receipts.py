"""Whoever may read receipts gets no signature that would be good for what he writes himself."""

import json
from base64 import b64decode

import pytest
from tests.connectors import signed_by_adyen as adyen
from tests.support.hearing_console import HearingConsole
from tests.support.inbound_world import sent

from payhooks import ids
from payhooks.model.user import Role

pytestmark = pytest.mark.shows("N06")


async def _shown(world: HearingConsole, merchant: str) -> list[str]:
    """Return the only receipt as the API has it, its body there, and as the console has it."""
    tenant = await world.merchant_itself(merchant)
    [receipt] = await world.stored(merchant)
    text = ids.to_text(ids.RECEIPT, receipt.id)
    reader = await world.key(merchant, "connectors:read")
    read = await world.call("GET", f"/v1/merchants/{merchant}/receipts/{text}", key=reader)
    browser = await world.signed_in(tenant, Role.VIEWER)
    page = (await browser.get(f"/console/receipts/{text}")).text
    said = read.json
    assert said["body_sha256"] == receipt.body_sha256.hex()
    return [read.body.decode(), said["body"], b64decode(said["body_base64"]).decode(), page]


async def test_an_items_signature_is_kept_and_shown_to_nobody() -> None:
    """Adyen signs no reason and no time: with it a capture that failed could be told as paid."""
    world = HearingConsole()
    merchant = await world.merchant()
    await world.connector(merchant, "adyen", secrets=(adyen.KEY,))
    other = {**adyen.PAYMENT, "pspReference": "other"}
    items = [adyen.signed(adyen.PAYMENT), adyen.signed(other)]
    body = adyen.batch(*items).body
    assert (await world.hears(merchant, "adyen", {}, body)).status == 200
    signatures = [item["additionalData"]["hmacSignature"] for item in items]
    assert all(one in body.decode() for one in signatures)

    shown = await _shown(world, merchant)

    assert not [text for text in shown for one in signatures if one in text]
    assert "hmacSignature" in shown[3], "that there was one is seen"
    told = json.loads(shown[1])["notificationItems"][0]["NotificationRequestItem"]
    assert told["additionalData"].pop("hmacSignature") == "(kept, not shown)"
    items[0]["additionalData"].pop("hmacSignature")
    assert told == items[0], "all else is as it came"
    # It is kept: what is put back is verified by it.
    [stored] = await world.stored(merchant)
    assert stored.body == body


async def test_a_payloads_signature_is_kept_and_shown_to_nobody() -> None:
    """Treezor signs the payload: with it the name of the event could be another."""
    world = HearingConsole()
    merchant = await world.merchant()
    await world.connector(merchant, "treezor")
    data = json.dumps({"payins": [{"payinId": "1", "payinStatus": "VALIDATED"}]}).encode()
    headers, body = sent(
        "treezor",
        await world.merchant_itself(merchant),
        "payin.create",
        data,
        object_type="payin",
        object_id="1",
    )
    assert (await world.hears(merchant, "treezor", headers, body)).status == 200
    signature = json.loads(body)["object_payload_signature"]
    spelled = json.dumps(signature)[1:-1].replace("/", "\\/")
    assert spelled in body.decode() or signature in body.decode()

    shown = await _shown(world, merchant)

    assert not [text for text in shown for one in (signature, spelled) if one in text]
    assert json.loads(shown[1])["object_payload_signature"] == "(kept, not shown)"
