"""Providers send tests to live addresses too, and say so: no merchant ships goods for those."""

import json

import pytest
from tests.connectors import answered_by_mollie as mollie
from tests.connectors import signed_by_adyen as adyen
from tests.connectors import signed_by_paypal as paypal
from tests.support.inbound_world import HEARD_AT, InboundWorld, sent

from payhooks.connectors.contract import NO_OPTIONS, Keys, Options
from payhooks.model.receipt import ReceiptState
from payhooks.ports.fetching import Fetched

_INTENT = {
    "uuid": "pi_1",
    "status": "succeeded",
    "amount": 1250,
    "currency": "EUR",
    "updated_at": HEARD_AT.isoformat(),
}
_CHARGE = {"id": "pi_1", "status": "succeeded", "amount": 1250, "currency": "eur"}
_SECRETS = {"owlpay": "whs_test_secret_of_a_connector", "stripe": "whsec_c2VjcmV0LW9mLWEtdGVzdA=="}


@pytest.mark.parametrize(
    ("dialect", "event", "object_type", "data"),
    [
        ("owlpay", "payment_intent.captured", "payment_intent", _INTENT),
        ("stripe", "payment_intent.succeeded", "payment_intent", _CHARGE),
    ],
)
@pytest.mark.parametrize("hears", ["live", "sandbox"])
@pytest.mark.parametrize("sends", ["live", "sandbox"])
@pytest.mark.shows("N05")
async def test_a_live_merchant_is_not_told_of_tests(  # noqa: PLR0913, PLR0917 - all ways
    dialect: str,
    event: str,
    object_type: str,
    data: dict[str, object],
    hears: str,
    sends: str,
) -> None:
    """Stripe sends both kinds to one address of a platform, signed with one secret."""
    world = InboundWorld()
    merchant = await world.merchant(mode=hears)
    sender = await world.merchant_itself(await world.merchant(mode=sends))
    await world.connector(merchant, dialect, secrets=(_SECRETS[dialect],))
    headers, body = sent(
        dialect,
        sender,
        event,
        json.dumps(data).encode(),
        object_type=object_type,
        object_id="pi_1",
        secret=_SECRETS[dialect],
        now=world.clock.now(),
    )
    assert (await world.hears(merchant, dialect, headers, body)).status == 200
    await world.process()
    [receipt] = await world.stored(merchant)
    told = [event.type for event in await world.events(merchant)]
    if (hears, sends) == ("live", "sandbox"):
        assert told == []
        assert receipt.state is ReceiptState.IGNORED
        assert receipt.detail == "It is a test; a live merchant is told of real money alone."
    else:
        assert told == ["payment_succeeded"]


@pytest.mark.parametrize("live", ["true", "false"])
async def test_what_adyens_test_platform_sends_is_a_test(live: str) -> None:
    """Of one whose key was pasted at both, every order of a tester would be shipped."""
    world = InboundWorld()
    merchant = await world.merchant(mode="live")
    await world.connector(merchant, "adyen", secrets=(adyen.KEY,))
    body = json.loads(adyen.batch(adyen.signed(adyen.PAYMENT)).body) | {"live": live}
    assert (await world.hears(merchant, "adyen", {}, json.dumps(body).encode())).status == 200
    await world.process()
    told = [event.type for event in await world.events(merchant)]
    assert told == (["payment_succeeded"] if live == "true" else [])


@pytest.mark.parametrize(
    ("mode", "keys", "options", "told"),
    [
        pytest.param("live", mollie.LIVE, NO_OPTIONS, ["payment_succeeded"], id="live"),
        pytest.param("test", mollie.TEST, NO_OPTIONS, [], id="a test"),
        pytest.param(
            "live", mollie.TEST, {"api_url": "http://127.0.0.1:9"}, [], id="a stand-in's word"
        ),
        pytest.param(
            "live", mollie.LIVE, {"api_url": ""}, ["payment_succeeded"], id="a stand-in nowhere"
        ),
    ],
)
async def test_what_is_paid_with_a_test_key_of_mollies_is_a_test(
    mode: str, keys: Keys, options: Options, told: list[str]
) -> None:
    """Mollie says so of each payment; whoever stands in for it may say anything."""
    world = InboundWorld()
    merchant = await world.merchant(mode="live")
    await world.connector(
        merchant, "mollie", secrets=(), credential=keys.credential, options=options
    )
    answer = Fetched(status=200, body=json.dumps({**mollie.PAID, "mode": mode}).encode())
    world.fetcher.script = lambda _asked: answer
    await world.hears(merchant, "mollie", {}, f"id={mollie.ID}".encode())
    await world.process()
    assert world.fetcher.asked
    assert [event.type for event in await world.events(merchant)] == told


@pytest.mark.parametrize(
    "host",
    ["api", "api-m", "api.sandbox", "api-m.sandbox"],
)
def test_what_paypals_sandbox_signs_is_a_test(host: str) -> None:
    """Both worlds' certificates are PayPal's; money moves in one of them."""
    url = f"https://{host}.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270"
    [heard] = paypal.provider().read(paypal.signed(paypal.BODY, url=url), paypal.OPTIONS)
    assert heard.is_test is ("sandbox" in host)
