"""What a provider sent is stored without card data, whatever carried it and whoever sent it."""

import hashlib
import json
from typing import Final

import msgspec
import pytest
from tests.support.cards import DISGUISES, PRINTED, corpus, is_carried

from payhooks.flow.receipt_guard import guarded, kept_headers
from payhooks.ids import ConnectorId, MerchantId, ReceiptId
from payhooks.model.receipt import Receipt, Verdict
from payhooks.policy.card_numbers import MASK

NUMBER: Final = PRINTED[0]
HIDDEN: Final = f"{NUMBER[:6]}{MASK * 6}{NUMBER[-4:]}"
_FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"


def _receipt(
    body: bytes = b"{}",
    *,
    query: str = "",
    headers: tuple[tuple[str, str], ...] = (),
    verdict: Verdict = Verdict.VERIFIED,
    reason: str | None = None,
) -> Receipt:
    return Receipt(
        id=ReceiptId(bytes([0] * 15 + [1])),
        merchant_id=MerchantId(bytes([0] * 15 + [2])),
        connector_id=ConnectorId(bytes([0] * 15 + [3])),
        method="POST",
        query=query,
        headers=headers,
        body=body,
        body_sha256=hashlib.sha256(body).digest(),
        verdict=verdict,
        answered=200,
        reason=reason,
    )


def _said(receipt: Receipt) -> list[tuple[str, str]]:
    return [(finding.pointer, finding.code) for finding in receipt.findings]


def _spelt(receipt: Receipt) -> bytes:
    """Return all that is stored of it."""
    return msgspec.msgpack.encode(receipt)


@pytest.mark.parametrize(
    ("body", "type_"),
    [
        pytest.param(b'{"a": [1.50, {"id": "pi_1"}]}', "application/json", id="JSON"),
        pytest.param(b"a=1&b=x+y%20z%3A&card=4444xxxxxxxx1111", _FORM, id="a form"),
        pytest.param("<a b='1'>é</a>".encode(), "application/xml", id="XML"),
        pytest.param(b"\xff\x00\xfe", "application/octet-stream", id="bytes"),
        pytest.param(b"", "text/plain", id="nothing"),
    ],
)
def test_what_has_no_card_data_is_the_very_same_receipt(body: bytes, type_: str) -> None:
    """Nearly every request is such a one, and pays for a glance only."""
    headers = (("content-type", type_), ("x-signature", "0a1b" * 16))
    receipt = _receipt(body, query="a=1&b=%5Bx%5D", headers=headers)
    assert guarded(receipt) is receipt


@pytest.mark.shows("S40", "S41", "I14")
@pytest.mark.parametrize("disguise", DISGUISES)
def test_two_hundred_numbers_in_every_disguise_are_not_stored(disguise: str) -> None:
    """S41: no merchant's choice is asked, as what a provider sends is nobody's choice."""
    for number in corpus(200):
        if not is_carried(disguise, number):
            continue
        value = DISGUISES[disguise](number)
        done = guarded(_receipt(b'{"a":[1.50,{"b":%b}],"c":"\\u00e9"}' % value))
        assert _said(done) == [("/body/a/1/b", "card_number_masked")], number
        assert number.encode() not in done.body
        assert value not in done.body
        # No other byte is changed, and the hash is still that of what came.
        assert done.body.startswith(b'{"a":[1.50,{"b":')
        assert done.body.endswith(b'}],"c":"\\u00e9"}')
        assert (
            done.body_sha256
            == hashlib.sha256(b'{"a":[1.50,{"b":%b}],"c":"\\u00e9"}' % value).digest()
        )


def test_a_form_is_masked_by_its_members() -> None:
    """The rest of it is what the payment is read from."""
    raw = f"order=7&card[number]=4111+1111+1111+1111&cvv=737&n={NUMBER}".encode()
    done = guarded(_receipt(raw, headers=(("content-type", _FORM),)))
    assert done.body == f"order=7&card[number]=4111+11XX+XXXX+1111&cvv=XXX&n={HIDDEN}".encode()
    assert sorted(_said(done)) == [
        ("/body/card[number]", "card_number_masked"),
        ("/body/cvv", "security_code_masked"),
        ("/body/n", "card_number_masked"),
    ]


@pytest.mark.shows("S40", "I14")
def test_the_query_and_the_headers_are_looked_at_too() -> None:
    """They are kept with the body, and shown."""
    headers = (
        ("content-type", "application/json"),
        ("x-note", f"card {NUMBER}"),
        ("x-cvv", "737"),
        (NUMBER, "1"),
    )
    done = guarded(_receipt(query=f"pan={NUMBER}&cvc=737&a=%20", headers=headers))
    assert done.query == f"pan={HIDDEN}&cvc=XXX&a=%20"
    assert done.headers == (
        headers[0],
        ("x-note", f"card {HIDDEN}"),
        ("x-cvv", "XXX"),
        (HIDDEN, "1"),
    )
    assert done.body == b"{}"
    assert NUMBER.encode() not in _spelt(done)
    assert ("/query/pan", "card_number_masked") in _said(done)
    assert ("/headers/x-cvv", "security_code_masked") in _said(done)


def test_why_a_request_was_not_verified_quotes_no_number() -> None:
    """A sentence for a person may say what was sent instead of a time."""
    receipt = _receipt(verdict=Verdict.UNVERIFIED, reason=f"{NUMBER} is no time.")
    assert guarded(receipt).reason == f"{HIDDEN} is no time."


@pytest.mark.shows("S42", "I14")
def test_security_codes_stripes_and_pin_blocks_are_gone() -> None:
    """S42: not sealed, not cut: gone. Also where a member holds a document of its own."""
    inner = json.dumps({"cvv": "737", "cvc": 737, "note": "CVV2: 737"})
    said = {
        "cvv": "737",
        "cvc2": 7371,
        "pin_block": "0412AC89ABCDEF67",
        "track": ";4111111111111111=27121010000000000?",
        "inner": inner,
        "form": "a=1&cvv=737",
        "n": "no7371",
    }
    done = guarded(_receipt(json.dumps(said).encode()))
    read = json.loads(done.body)
    assert read["n"] == "no7371"
    for gone in ("737", "0412AC", "2712101", NUMBER):
        assert gone not in done.body.replace(b"no7371", b"").decode()
    assert json.loads(read["inner"].replace(":XXX", ':"XXX"').replace(": XXX,", ': "XXX",'))
    assert len(done.findings) == 6


@pytest.mark.shows("S40", "I14")
def test_a_reference_that_looks_like_a_card_number_is_told_and_left() -> None:
    """Three in a hundred references of sixteen digits do; masked, two payments were one."""
    said = {
        "pspReference": NUMBER,
        "id": int(NUMBER),
        "related": {"order_ids": [NUMBER]},
    }
    raw = json.dumps(said).encode()
    done = guarded(_receipt(raw))
    assert done.body == raw
    assert _said(done) == [
        ("/body/pspReference", "card_number"),
        ("/body/id", "card_number"),
        ("/body/related/order_ids/0", "card_number"),
    ]
    assert NUMBER not in str(done.findings)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"card": {"id": NUMBER}}, id="of a card"),
        pytest.param({"payment_account": {"reference": NUMBER}}, id="of an account"),
        pytest.param({"pan_ref": NUMBER}, id="of a card, in three letters"),
        pytest.param({"reference": f"{NUMBER[:4]} {NUMBER[4:]}"}, id="in groups"),
        pytest.param({"reference": f"card {NUMBER}"}, id="beside a word"),
        pytest.param({"paid": NUMBER}, id="a name that only ends so"),
        pytest.param({NUMBER: {"a": 1}}, id="a name"),
        pytest.param([NUMBER], id="no name"),
    ],
)
def test_what_is_not_named_as_a_reference_is_masked(said: object) -> None:
    """Or a number would be found wherever somebody was careless with a name."""
    done = guarded(_receipt(json.dumps(said).encode()))
    assert NUMBER.encode() not in done.body
    assert b"4111 1111" not in done.body
    assert {code for _, code in _said(done)} == {"card_number_masked"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f'{{"a":"{NUMBER}","a":"x"}}'.encode(), id="two equal names"),
        pytest.param(
            f'{{"{NUMBER}":1,"{HIDDEN}":2}}'.encode(), id="names that masking makes equal"
        ),
        pytest.param(f'{{"a":"{NUMBER}","cvv":"737"'.encode(), id="cut off"),
        pytest.param(f'{{"a":"{NUMBER}"}} {{"cvv":737}}'.encode(), id="two documents"),
        pytest.param(f'\ufeff{{"a":"{NUMBER}","cvv":"737"}}'.encode(), id="a mark of the encoding"),
        pytest.param(b'{"a":"\xff%b"}' % NUMBER.encode(), id="bytes that are no text"),
        pytest.param(b'{"a":"\xff\\u0034%b"}' % NUMBER[1:].encode(), id="the same, and escapes"),
        pytest.param(b"[" * 100_000 + NUMBER.encode(), id="deep"),
        pytest.param(f'"{NUMBER}"'.encode(), id="a text"),
        pytest.param(NUMBER.encode(), id="a number"),
        pytest.param(f"a: {NUMBER}\ncvv: 737\n".encode(), id="lines"),
    ],
)
def test_what_nobody_can_read_is_masked_all_the_same(body: bytes) -> None:
    """A clear number is never stored, if the message means nothing afterwards."""
    done = guarded(_receipt(body))
    for gone in (NUMBER.encode(), NUMBER[1:].encode(), b"737"):
        assert gone not in done.body
    assert done.findings


def test_findings_are_bounded_and_all_is_masked() -> None:
    """Who sends a hundred is told ten."""
    for body in (json.dumps([NUMBER] * 100).encode(), f"{NUMBER}&".encode() * 100):
        done = guarded(_receipt(body, query=f"n={NUMBER}"))
        assert len(done.findings) == 10
        assert NUMBER.encode() not in _spelt(done)


def test_a_strangers_large_body_is_not_kept_if_it_may_have_card_data() -> None:
    """Whoever knows a URL could otherwise keep the server busy, half a second each time."""
    large = b"a" * 20_000
    stranger = _receipt(large + f" cvv=737 {NUMBER}".encode(), verdict=Verdict.UNVERIFIED)
    assert guarded(stranger).body == b""
    assert _said(guarded(stranger)) == [("/body", "card_number_masked")]
    known = msgspec.structs.replace(stranger, verdict=Verdict.VERIFIED)
    assert guarded(known).body == large + f" cvv=XXX {HIDDEN}".encode()
    harmless = _receipt(large, verdict=Verdict.UNVERIFIED)
    assert guarded(harmless) is harmless


def test_headers_that_open_something_are_not_kept() -> None:
    """What proves one request stays: it is looked at again once a secret is mended."""
    kept = {
        "content-type": "application/json",
        "webhook-signature": "v1,x",
        "paypal-auth-algo": "SHA256withRSA",
        "x-auth-signature": "00",
        "x-auth-digest": "00",
        "x-request-id": "1",
    }
    credentials = {
        "authorization": "Basic x",
        "proxy-authorization": "Basic x",
        "cookie": "a=1",
        "x-api-key": "1",
        "x-auth-token": "1",
        "x-shop-secret": "1",
        "x-signature-key": "1",
    }
    assert kept_headers(kept | credentials, frozenset()) == tuple(kept.items())
    own = {"x-auth-token", "x-signature-key", "webhook-signature"}
    named = kept | {name: credentials[name] for name in credentials if name in own}
    assert kept_headers(named | credentials, own) == tuple(named.items()), "what a format reads"
