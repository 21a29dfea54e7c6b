"""Many receipts of a connector, read again over the API once the secret is mended."""

import pytest
from tests.connectors import signed_by_paypal as paypal
from tests.support.api_world import World
from tests.support.owlpay_sender import OTHER_SECRET
from tests.support.receipts_shop import PAID, Shop

from payhooks.control import receipts
from payhooks.ids import RECEIPT, to_text
from payhooks.model.receipt import ReceiptState, Verdict
from payhooks.ports.fetching import Fetched

pytestmark = pytest.mark.shows("N06")


@pytest.fixture
async def shop() -> Shop:
    """Return a shop that was told nothing yet."""
    return await Shop.open(World())


async def test_all_of_a_quarantine_are_read_again_but_what_was_forged(shop: Shop) -> None:
    """Among what a wrong secret turned away is what nobody should believe."""
    real = [await shop.hear(secret=OTHER_SECRET) for _ in range(25)]
    forged = await shop.hear(secret="whs_0000000000")
    unmapped = await shop.hear()
    await shop.end(unmapped, ReceiptState.UNMAPPED)
    await shop.mend()
    at = "/connectors/owlpay/reprocess"

    first = await shop.post(at, {"states": ["quarantined"]})
    assert first.status == 202
    said = {"reprocessed": len(real), "unverified": 1, "has_more": False, "next": None}
    assert first.json == said
    assert (await shop.stored(real[0])).verdict is Verdict.VERIFIED
    assert (await shop.stored(forged)).state is ReceiptState.QUARANTINED
    assert (await shop.stored(unmapped)).state is ReceiptState.UNMAPPED
    again = await shop.post(at, {"states": ["quarantined", "unmapped"]})
    assert again.json == {**said, "reprocessed": 1}
    actions = await shop.world.audit_actions(shop.merchant)
    assert actions.count("receipt.reprocessed") == 2


@pytest.mark.parametrize(
    ("count", "body", "done"),
    [
        pytest.param(receipts.REPROCESSED_MAX + 10, PAID, receipts.REPROCESSED_MAX, id="many"),
        pytest.param(170, PAID + b" " * 250_000, 80, id="large"),
    ],
)
async def test_what_is_read_again_at_once_is_bounded(
    shop: Shop, count: int, body: bytes, done: int
) -> None:
    """A quarantine is up to 64 MiB; one call must not hold all of it, and says that it did not."""
    stored = await shop.stored(await shop.hear(body, secret=OTHER_SECRET))
    await shop.keep(*[stored] * (count - 1))
    await shop.mend()
    at, said = "/connectors/owlpay/reprocess", {"states": ["quarantined"]}

    first = (await shop.post(at, said)).json
    assert (first["reprocessed"], first["unverified"], first["has_more"]) == (done, 0, True)
    left, following = count - done, first["next"]
    while left:
        again = (await shop.post(at, {**said, "after": following})).json
        assert (again["reprocessed"], again["has_more"]) == (min(left, done), left > done)
        left, following = left - again["reprocessed"], again["next"]


async def test_many_are_read_again_from_the_oldest_on_and_each_is_met_once(shop: Shop) -> None:
    """Those that end as they had would be handed back for ever, and never an older one."""
    stored = await shop.stored(await shop.hear())
    kept = [await shop.keep(stored) for _ in range(receipts.REPROCESSED_MAX + 10)]
    for one in kept:
        await shop.end(one, ReceiptState.IGNORED)
    at, said = "/connectors/owlpay/reprocess", {"states": ["ignored"]}

    first = (await shop.post(at, said)).json
    again = [
        to_text(RECEIPT, one.id)
        for one in await shop.world.store.claim_receipts(owner=2, limit=len(kept), for_s=1)
    ]
    assert again == kept[: receipts.REPROCESSED_MAX]
    for one in again:
        await shop.end(one, ReceiptState.IGNORED)
    second = (await shop.post(at, {**said, "after": first["next"]})).json
    assert (second["reprocessed"], second["next"]) == (10, None)
    for states, after in ((["unmapped"], first["next"]), (["ignored"], "nonsense")):
        refused = await shop.post(at, {"states": states, "after": after})
        assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/after")


async def test_who_forges_does_not_have_us_ask_for_whatever_he_names(shop: Shop) -> None:
    """Each forged request names a certificate; all of them together are a flood of requests."""
    said = {"name": "paypal", "dialect": "paypal", "options": paypal.OPTIONS}
    made = await shop.post("/connectors", said)
    world, url = shop.world, "/" + made.json["url"].split("/", 3)[3]
    world.fetcher.script = lambda _request: Fetched(status=200, body=b"none")
    for number in range(15):
        named = f"https://api.paypal.com/v1/notifications/certs/CERT-{number:08x}-0-0"
        made_up = paypal.signed(b"{}", url=named)
        sent = await world.call("POST", url, raw=b"{}", key=None, headers=made_up.headers)
        assert sent.status == 401, sent.body
    asked = len(world.fetcher.asked)
    assert asked == 15
    at, states = "/connectors/paypal/reprocess", {"states": ["quarantined"]}
    again = (await shop.post(at, states)).json
    assert (again["reprocessed"], again["unverified"], again["has_more"]) == (0, 10, True)
    assert len(world.fetcher.asked) - asked == 10
    # What PayPal has sent may be behind them, and is reached by who goes on.
    again = (await shop.post(at, {**states, "after": again["next"]})).json
    assert (again["reprocessed"], again["unverified"], again["has_more"]) == (0, 5, False)
    assert len(world.fetcher.asked) - asked == 15
    assert len(set(world.fetcher.asked[-15:])) == 15, "each was looked at"
    [one] = (await shop.get("/receipts?connector_id=paypal&limit=1")).json["data"]
    world.fetcher.script = lambda _request: None
    assert (await shop.post(f"/receipts/{one['id']}/reprocess")).status == 503
    world.fetcher.script = lambda _request: Fetched(status=503, body=b"")
    assert (await shop.post(f"/receipts/{one['id']}/reprocess")).status == 503
    world.fetcher.script = lambda _request: Fetched(status=404, body=b"")
    refused = await shop.post(f"/receipts/{one['id']}/reprocess")
    assert (refused.status, "nothing at the certificate" in refused.json["detail"]) == (409, True)
    # What it is signed with is nobody's to see: the body is signed as a checksum alone.
    headers = dict((await shop.get(f"/receipts/{one['id']}")).json["headers"])
    assert headers["paypal-transmission-sig"] == "(kept, not shown)"
