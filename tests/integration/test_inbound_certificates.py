"""Certificates that messages are verified with: had, kept, and asked for however strangers ask."""

import hashlib

import pytest
from tests.connectors import signed_by_paypal as paypal
from tests.support.inbound_world import InboundWorld

from payhooks.errors import RateLimitedError, UnavailableError
from payhooks.flow.allowances import Allowances
from payhooks.flow.materials import Materials
from payhooks.flow.receive import keep
from payhooks.ids import MERCHANT, ReceiptId, to_text
from payhooks.model.connector import Connector
from payhooks.model.receipt import Receipt, ReceiptState, Verdict
from payhooks.ports.fetching import Fetch, Fetched

_URL = paypal.CERTIFICATE_URL
_STRANGE = "https://api.paypal.com/v1/notifications/certs/CERT-"
_PROVIDER = paypal.provider()
_PEM = paypal.chain().pem
_HOUR_S = 3_601
_STRANGE_BURST = 200


def _of_paypals(asked: Fetch) -> Fetched:
    is_there = asked.url == _URL
    return Fetched(status=200 if is_there else 404, body=_PEM if is_there else b"")


async def _heard(world: InboundWorld) -> Connector:
    """Return a connector of PayPal's, whose host is up."""
    merchant = await world.merchant()
    world.fetcher.script = _of_paypals
    return await world.connector(merchant, "paypal", secrets=(), options=paypal.OPTIONS)


def _started(world: InboundWorld) -> Materials:
    """Return what a process has that has just started."""
    return Materials(
        store=world.store,
        fetcher=world.fetcher,
        clock=world.clock,
        allowances=Allowances(world.clock),
    )


async def _kept(world: InboundWorld, connector: Connector, verdict: Verdict) -> None:
    """Keep a message of PayPal's, or one that somebody else has signed."""
    sent = paypal.signed(paypal.BODY)
    is_his = verdict is Verdict.VERIFIED
    receipt = Receipt(
        id=ReceiptId(world.ids.new()),
        merchant_id=connector.merchant_id,
        connector_id=connector.id,
        method="POST",
        query="",
        headers=tuple(sent.headers.items()),
        body=sent.body,
        body_sha256=hashlib.sha256(sent.body).digest(),
        verdict=verdict,
        answered=200 if is_his else 401,
        state=ReceiptState.RECEIVED if is_his else ReceiptState.QUARANTINED,
    )
    await keep(world.store, [receipt], owner=1)


async def _strangers(materials: Materials, connector: Connector) -> None:
    """Use up what may be fetched."""
    for number in range(_STRANGE_BURST):
        assert await materials.find(f"{_STRANGE}{number}", connector, _PROVIDER) is None
    with pytest.raises(RateLimitedError):
        await materials.find(f"{_STRANGE}one-more", connector, _PROVIDER)


async def test_strangers_keep_no_certificate_away_that_messages_were_verified_with() -> None:
    """After a restart PayPal was told 429 for as long as somebody named two hundred of his own."""
    world = InboundWorld()
    connector = await _heard(world)
    await _kept(world, connector, Verdict.VERIFIED)
    restarted = _started(world)
    await _strangers(restarted, connector)
    assert await restarted.find(_URL, connector, _PROVIDER) == _PEM


async def test_what_verified_nothing_has_no_room_of_its_own() -> None:
    """A stranger's request is kept with the URL that he has made up."""
    world = InboundWorld()
    connector = await _heard(world)
    await _kept(world, connector, Verdict.UNVERIFIED)
    restarted = _started(world)
    await _strangers(restarted, connector)
    with pytest.raises(RateLimitedError):
        await restarted.find(_URL, connector, _PROVIDER)


async def test_receipts_are_looked_at_again_while_strangers_go_on() -> None:
    """Another process may have heard PayPal's first message meanwhile."""
    world = InboundWorld()
    connector = await _heard(world)
    restarted = _started(world)
    await _strangers(restarted, connector)
    await _kept(world, connector, Verdict.VERIFIED)
    with pytest.raises(RateLimitedError):
        await restarted.find(_URL, connector, _PROVIDER)
    world.advance(61)
    await _strangers(restarted, connector)
    assert await restarted.find(_URL, connector, _PROVIDER) == _PEM


async def test_a_certificate_that_is_gone_is_fetched_within_a_rate() -> None:
    """Whoever has seen its URL could have PayPal asked as often as he likes."""
    world = InboundWorld()
    connector = await _heard(world)
    await _kept(world, connector, Verdict.VERIFIED)
    materials = _started(world)
    assert await materials.find(_URL, connector, _PROVIDER) == _PEM
    world.fetcher.script = lambda _asked: Fetched(status=404, body=b"")
    world.advance(_HOUR_S)
    world.fetcher.asked.clear()
    for _ in range(2 * _STRANGE_BURST + 1):
        assert await materials.find(_URL, connector, _PROVIDER) is None
    with pytest.raises(RateLimitedError):
        await materials.find(_URL, connector, _PROVIDER)
    assert len(world.fetcher.asked) == 2 * _STRANGE_BURST + 1


@pytest.mark.parametrize("status", [None, 301, 403, 429, 500, 503])
async def test_a_certificate_that_was_had_verifies_while_its_host_is_busy(
    status: int | None,
) -> None:
    """What PayPal sends would wait for PayPal's other host, though all is here to judge it."""
    world = InboundWorld()
    connector = await _heard(world)
    materials = _started(world)
    assert await materials.find(_URL, connector, _PROVIDER) == _PEM
    answer = None if status is None else Fetched(status=status, body=b"")
    world.fetcher.script = lambda _asked: answer
    world.fetcher.asked.clear()
    world.advance(_HOUR_S)
    for _ in range(3):
        assert await materials.find(_URL, connector, _PROVIDER) == _PEM
    assert len(world.fetcher.asked) == 1, "each keeps a message of PayPal's waiting"
    world.advance(61)
    assert await materials.find(_URL, connector, _PROVIDER) == _PEM
    assert len(world.fetcher.asked) == 2
    with pytest.raises(UnavailableError):
        await _started(world).find(_URL, connector, _PROVIDER)


async def test_a_certificate_that_was_replaced_is_had_within_the_hour() -> None:
    """One URL may get another certificate, as its old one ends."""
    world = InboundWorld()
    connector = await _heard(world)
    materials = _started(world)
    await materials.find(_URL, connector, _PROVIDER)
    world.fetcher.script = lambda _asked: Fetched(status=200, body=b"another")
    assert await materials.find(_URL, connector, _PROVIDER) == _PEM
    world.advance(_HOUR_S)
    assert await materials.find(_URL, connector, _PROVIDER) == b"another"


async def test_requests_that_cannot_be_judged_as_a_host_is_out_of_reach_leave_a_trace() -> None:
    """No receipt is kept of them: PayPal seemed to send nothing, and the URL was looked at."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "paypal", secrets=(), options=paypal.OPTIONS)
    sent = paypal.signed(paypal.BODY)
    for _ in range(3):
        answer = await world.hears(merchant, "paypal", sent.headers, sent.body)
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.json["type"] == "/problems/not-fetched"
        assert answer.json["retryable"] is True
        assert "store" not in answer.body.decode()
        assert "Idempotency-Key" not in answer.body.decode()
    assert world.telemetry.unjudged == ["paypal"] * 3
    alarm = ("not_fetched", f"paypal of {merchant}: api.paypal.com: there is no answer")
    assert world.telemetry.alarms == [alarm]
    world.advance(61)
    await world.hears(merchant, "paypal", sent.headers, sent.body)
    assert world.telemetry.alarms == [alarm] * 2
    assert await world.stored(merchant) == []


async def test_each_connector_that_hears_nothing_is_alarmed_of() -> None:
    """Whose requests are refused is what the operator has to tell his merchants."""
    world = InboundWorld()
    merchant = await world.merchant()
    sent = paypal.signed(paypal.BODY)
    for name in ("eu", "us"):
        await world.connector(merchant, "paypal", name=name, secrets=(), options=paypal.OPTIONS)
        await world.hears(merchant, name, sent.headers, sent.body)
    whose = [words.split(" ")[0] for _, words in world.telemetry.alarms]
    assert whose == ["eu", "us"]


async def test_strangers_who_name_too_many_alarm_nobody_and_are_counted() -> None:
    """PayPal's host answers them all; what may not be asked for is refused, and seen."""
    world = InboundWorld()
    connector = await _heard(world)
    merchant = to_text(MERCHANT, connector.merchant_id)
    for number in range(_STRANGE_BURST + 1):
        sent = paypal.signed(paypal.BODY, url=f"{_STRANGE}{number}")
        answer = await world.hears(merchant, connector.name, sent.headers, sent.body)
    assert answer.status == 429
    assert world.telemetry.unjudged == ["paypal"]
    assert world.telemetry.alarms == []
