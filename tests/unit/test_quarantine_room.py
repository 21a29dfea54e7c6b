"""How much of the disk a connector's quarantine may take, as its page says."""

import json
import re
from pathlib import Path

from tests.support.inbound_world import InboundWorld
from tests.support.owlpay_sender import SECRET

from payhooks import limits
from payhooks.ids import MERCHANT, MerchantId, from_text
from payhooks.model.receipt import ReceiptState
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import ReceiptFilter
from payhooks.storage.receipts import encode

_PAGE = Path(__file__).parents[2] / "docs" / "connectors.md"
_ESCAPED = '"'  # two bytes in JSON
_RECEIPTS = 10_000
_BODIES_MIB = 64
_AROUND_KIB = 8 + 2


async def test_what_stands_around_a_strangers_body_takes_no_more_room_than_is_said() -> None:
    """Whoever runs Payhooks reckons with it; a stranger chooses every byte."""
    world = InboundWorld()
    merchant = await world.merchant()
    said = {"name": "owl", "dialect": "owlpay", "secrets": [SECRET]}
    made = await world.call("POST", f"/v1/merchants/{merchant}/connectors", said)
    assert made.status == 201, made.body
    name = _ESCAPED * 185  # the longest that a finding names
    body = json.dumps({name: ["4111111111111111"] * 12}).encode()
    headers = {f"x-{number:02}": _ESCAPED * 78 for number in range(97)}
    target = f"/webhooks/{merchant}/owl?{_ESCAPED * 2_048}"
    await world.call("POST", target, raw=body, key=None, headers=headers)

    whose = from_text(MERCHANT, merchant)
    assert whose is not None
    quarantined = ReceiptFilter(states=(ReceiptState.QUARANTINED,))
    [receipt] = await world.store.receipts(MerchantId(whose), quarantined, Window(limit=2))
    taken = sum(len(part) for header in receipt.headers for part in header) + len(receipt.query)
    assert 9 * limits.KIB < taken <= _AROUND_KIB * limits.KIB
    assert len(receipt.findings) == limits.EVENT_FINDINGS_MAX

    words = " ".join(_PAGE.read_text("utf-8").split())
    [stored_kib] = map(int, re.findall(r"take up to (\d+) KiB of a receipt", words))
    assert (stored_kib - 2) * limits.KIB < len(encode(receipt)) <= stored_kib * limits.KIB
    sums = [_BODIES_MIB + round(_RECEIPTS * kib / 1024) for kib in (_AROUND_KIB, stored_kib)]
    assert f"reckon with {sums[0]} MiB for each connector, and with {sums[1]} MiB" in words
