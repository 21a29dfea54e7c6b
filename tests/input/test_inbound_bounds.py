"""What a request costs that nobody signed, or that nobody can keep: in one process, no sockets.

Rows I10 and I11.
"""

import asyncio
import json
import time
from random import Random
from typing import Final

import pytest
from tests.connectors import answered_by_mollie
from tests.connectors.samples import MAKERS
from tests.support.inbound_world import SECRET, InboundWorld, sent

from payhooks.connectors.contract import Source
from payhooks.connectors.judging import judged
from payhooks.flow.receipt_guard import kept_headers
from payhooks.flow.receive import within
from payhooks.flow.routing import RoutingTable
from payhooks.limits import KIB
from payhooks.model.receipt import Receipt, Verdict

ANSWER_S_MAX: Final = 2.0
# As many as a request may have around its own, and as large.
_STUFFED: Final = {f"x-{number}": "abcdefgh " * 110 for number in range(29)}
_STORED_BYTES_MAX: Final = {Verdict.FETCH: 4 * KIB, Verdict.UNVERIFIED: 8 * KIB}


def _size(receipt: Receipt) -> int:
    return sum(len(name) + len(value) for name, value in receipt.headers)


async def _signed(world: InboundWorld, merchant: str) -> tuple[dict[str, str], bytes]:
    data = b'{"payment_intent":{"uuid":"pi_1","status":"captured"}}'
    return sent(
        "owlpay",
        await world.merchant_itself(merchant),
        "payment_intent.captured",
        data,
        object_type="payment_intent",
        object_id="pi_1",
        now=world.clock.now(),
    )


# --- I10: what nobody signed


@pytest.mark.shows("I10")
async def test_of_what_is_not_verified_a_bounded_part_of_the_headers_is_kept() -> None:
    """Only the body counts against the quarantine: around one byte of it stood 29 KiB."""
    world = InboundWorld()
    merchant = await world.merchant()
    credential = answered_by_mollie.LIVE.credential
    await world.connector(merchant, "mollie", secrets=(), credential=credential)
    await world.connector(merchant, "owlpay")
    headers, body = await _signed(world, merchant)
    assert (await world.hears(merchant, "mollie", _STUFFED, b"id=tr_1")).status == 200
    assert (await world.hears(merchant, "owlpay", headers | _STUFFED, b"x")).status == 401
    assert (await world.hears(merchant, "owlpay", headers | _STUFFED, body)).status == 200
    fetched, forged, verified = await world.stored(merchant)
    for receipt in (fetched, forged):
        bound = _STORED_BYTES_MAX[receipt.verdict]
        assert bound - KIB < _size(receipt) <= bound
        names = [name for name, _ in receipt.headers]
        assert names == [name for name, _ in verified.headers if name in names], "in their order"
    assert set(headers) <= dict(forged.headers).keys(), "what may verify it later is there"
    assert _size(verified) > 25 * KIB, "the provider's own is kept as it came"


@pytest.mark.shows("I10")
async def test_what_is_not_verified_is_judged_again_by_a_later_secret() -> None:
    """Its provider signs with a secret that nobody has brought yet, behind a talkative proxy."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay", secrets=["whs_another_secret_of_somebody"])
    headers, body = await _signed(world, merchant)
    assert (await world.hears(merchant, "owlpay", headers | _STUFFED, body)).status == 401
    path = f"/v1/merchants/{merchant}/connectors/owlpay"
    rotated = await world.call("POST", f"{path}/rotate-secret", {"secret": SECRET})
    assert rotated.status == 200, rotated.body
    again = await world.call("POST", f"{path}/reprocess", {"states": ["quarantined"]})
    assert (again.json["reprocessed"], again.json["unverified"]) == (1, 0), again.body


@pytest.mark.shows("I10")
@pytest.mark.parametrize(
    "name", sorted(name for name in MAKERS if MAKERS[name](0).provider.source is not Source.FETCH)
)
def test_what_verifies_is_among_the_headers_that_are_kept(name: str) -> None:
    """Of every provider, in any order, beside as much as a request may bring."""
    sample = MAKERS[name](0)
    stuffed = list(({**sample.incoming.headers, **_STUFFED}).items())
    Random(name).shuffle(stuffed)

    def verdict(headers: tuple[tuple[str, str], ...]) -> Verdict:
        incoming = sample.incoming._replace(headers=dict(headers))
        return judged(sample.provider, incoming, sample.keys, sample.now, sample.options).verdict

    kept = kept_headers(dict(stuffed), sample.provider.own_headers)
    assert verdict(within(kept, 8 * KIB)) is verdict(kept)


@pytest.mark.shows("I10")
def test_the_smallest_headers_are_kept_whole_and_in_order() -> None:
    """Half a signature verifies nothing."""
    headers = (("b", "12345"), ("é", "1"), ("a", "123"), ("c", "12345"))
    assert within(headers, 13) == (("b", "12345"), ("é", "1"), ("a", "123"))
    assert within(headers, 12) == (("é", "1"), ("a", "123"))
    assert within(headers, 2) == ()
    assert within(headers, None) == headers


# --- I11: what nobody can keep


@pytest.mark.shows("I11")
@pytest.mark.parametrize("finding_s", [0.0, 1.2, 60.0], ids=["at once", "late", "never"])
async def test_finding_and_keeping_have_one_patience(
    finding_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is silent is silent to who asks it whom a request is for, too."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay")
    headers, body = await _signed(world, merchant)
    confirmed = world.directory.confirmed

    async def late(name: str) -> RoutingTable:
        await asyncio.sleep(finding_s)
        return await confirmed(name)

    async def never(*_arguments: object, **_bounds: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(world.directory, "confirmed", late)
    with monkeypatch.context() as patched:
        patched.setattr(world.store, "receive", never)
        began_s = time.monotonic()
        answer = await world.hears(merchant, "owlpay", headers, body)
        took_s = time.monotonic() - began_s
    assert answer.status == 503
    assert json.loads(answer.body)["retryable"] is True
    assert int(answer.headers["retry-after"]) >= 1
    assert took_s < ANSWER_S_MAX
