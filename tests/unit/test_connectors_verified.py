"""Whose request it is: the vectors of the providers' formats, and whatever else arrives."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.heard_histories import KEYS, NOW, event_of, provider_of, request_of, words_of

from payhooks.connectors import custom, registry
from payhooks.connectors.contract import Incoming, Keys, Options, Provider, Source
from payhooks.connectors.judging import judged
from payhooks.connectors.words import identity_of
from payhooks.errors import InvalidError, SignatureError
from payhooks.model.custom_dialect import CustomDialect
from payhooks.model.receipt import Verdict

_OWLPAY = (
    b'{"uuid":"att_c0d3d7cda1e2175faa701dfd4a9b85355a3c9630","api_version":"1.0.0","is_test":1,'
    b'"observation":"payment_intent.captured","data":{"payment_intent":{"uuid":"pi_test",'
    b'"status":"captured"}}}'
)
_CONSOLE = (
    b'{"type":"event","event_triggered":"2021-04-07 15:14:26","event_type":'
    b'"transaction.sale.success","event_body":{"merchant":{"merch_key":"7qwnw4j2kmqvrb3"},'
    b'"object":{"type":"transaction","key":"1nftvzx7xtcggm3","amount_detail":{"amount":"5.00"},'
    b'"authcode":"538228"}},"event_id":'
    b'"c088bc2884a2c3b4043991b04d96ceda7c65043778233dedb26bfd5853705dfd"}'
)
_OWNGATEWAY = (
    b'{"merchant_id":"merchant_1710609960","event_id":"evt_018e31720d1b7a2b82677d3032cab959",'
    b'"event_type":"payment_succeeded","content":{"type":"payment_details","object":{"payment_id":'
    b'"pay_6AMmb6rtlPDarBLlotAH","status":"succeeded","amount":6540,"currency":"USD"}},'
    b'"timestamp":"2024-03-22T09:41:43.342Z"}'
)
_TREEZOR_PAYLOAD = (
    rb'{"payins":[{"payinId":"707206","payinStatus":"PENDING","amount":"11.26","refundAmount":null,'
    rb'"walletEventName":"Caf\u00e9 \u201cheld\u201d","additionalData":"{\"card\":'
    rb'{\"externalProvider\":{\"transactionReference\":\"800098404275\"}}}","forwardUrl":'
    rb'"https:\/\/example.com\/a\/b"}]}'
)
_TREEZOR = (
    b'{"webhook":"payin.create","webhook_id":"20830333","object":"payin","object_id":"707206",'
    b'"object_payload":'
    + _TREEZOR_PAYLOAD
    + rb',"object_payload_signature":"7x4ntXd9BQ287ZQjSY7pmYMfBnaWopBA18KQMFIIhbY="}'
)
_VECTORS = [
    pytest.param(
        "owlpay",
        "whs_test",
        {
            "owlpay-signature": "t=1689066169,v1="
            "67f55e41ab9fda55bc73028d0ebc229638ff499b75a99c5e639bfceb8b1e47cd"
        },
        _OWLPAY,
        ("payment_intent.captured", "pi_test"),
        id="owlpay",
    ),
    pytest.param(
        "treezor",
        "test_webhook_secret",
        {},
        _TREEZOR,
        ("payin.create", "707206"),
        id="treezor",
    ),
    pytest.param(
        "merchant-console",
        "test_signature_key",
        {"x-signature": "411c77b86779f5f9287a7673a848c85f0ce84293841bf8ad1e07334ac898a8f5"},
        _CONSOLE,
        ("transaction.sale.success", "1nftvzx7xtcggm3"),
        id="merchant-console",
    ),
    pytest.param(
        "owngateway",
        "test_payment_response_hash_key",
        {
            "x-webhook-signature-512": "2220eaed656cdd95c1a8c61a8cf6b3d7eb2b6b4e52d040873ff0455ba52"
            "48939e713dc1605bcf4c7b8fb4d2a559ffbcb4d5a722f3a521ae5bf0d3ac4d745756a"
        },
        _OWNGATEWAY,
        ("payment_succeeded", "pay_6AMmb6rtlPDarBLlotAH"),
        id="owngateway",
    ),
]
_AT = datetime.fromtimestamp(1689066169, UTC)
_FAMILIES = ("owlpay", "treezor", "merchant-console", "owngateway", "foloosi")
_TYPES = {
    "owlpay": "payment_intent.captured",
    "treezor": "payin.update",
    "merchant-console": "transaction.sale.success",
    "owngateway": "payment_succeeded",
    "foloosi": "order.success",
}


@pytest.mark.parametrize(("name", "secret", "headers", "body", "said"), _VECTORS)
def test_a_vector_of_the_format_is_verified_and_read(
    name: str, secret: str, headers: dict[str, str], body: bytes, said: tuple[str, str]
) -> None:
    """Bytes that were signed by other code are the proof that both mean the same."""
    provider = registry.find(name)
    incoming = Incoming("POST", "", headers, body)
    assert judged(provider, incoming, Keys((secret,)), _AT, {}).verdict is Verdict.VERIFIED
    [heard] = provider.read(incoming, {})
    assert (heard.type, heard.object_id) == said


@pytest.mark.shows("I16")
@pytest.mark.parametrize(("name", "secret", "headers", "body", "said"), _VECTORS)
def test_which_secret_verified_is_told_where_there_are_several(
    name: str, secret: str, headers: dict[str, str], body: bytes, said: tuple[str, str]
) -> None:
    """A provider that has not changed over is refused once the older secret ends."""
    provider, incoming = registry.find(name), Incoming("POST", "", headers, body)
    found = {
        texts: judged(provider, incoming, Keys(texts), _AT, {})
        for texts in (
            (secret,),
            (secret, "older-secret"),
            ("newer-secret", secret),
            ("newer-secret", "older-secret"),
        )
    }
    assert {texts: one.by_older_secret for texts, one in found.items()} == {
        (secret,): False,
        (secret, "older-secret"): False,
        ("newer-secret", secret): True,
        ("newer-secret", "older-secret"): False,
    }, said
    assert found["newer-secret", secret].verdict is Verdict.VERIFIED


@pytest.mark.parametrize(("name", "secret", "headers", "body", "said"), _VECTORS)
def test_another_secret_or_a_byte_less_is_not_verified(
    name: str, secret: str, headers: dict[str, str], body: bytes, said: tuple[str, str]
) -> None:
    """A forger has everything but the secret."""
    provider = registry.find(name)
    incoming = Incoming("POST", "", headers, body)
    other = judged(provider, incoming, Keys(("another-secret",)), _AT, {})
    assert other.verdict is Verdict.UNVERIFIED, said
    cut = incoming._replace(body=body.replace(b"26", b"27").replace(b"captured", b"captureD"))
    cut = cut._replace(body=cut.body.replace(b"5.00", b"9.00").replace(b"6540", b"1"))
    assert judged(provider, cut, Keys((secret,)), _AT, {}).verdict is Verdict.UNVERIFIED
    without = incoming._replace(
        headers={}, body=body.replace(b"object_payload_signature", b"something")
    )
    answer = judged(provider, without, Keys((secret,)), _AT, {})
    assert answer.verdict is Verdict.UNVERIFIED
    assert answer.reason is not None
    assert "no " in answer.reason, "a merchant has to learn that the header is missing"


def test_a_connector_without_a_secret_verifies_nothing() -> None:
    """An empty list of secrets must not mean that anybody may sign."""
    provider = registry.find("standard")
    headers = {"webhook-id": "a", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
    incoming = Incoming("POST", "", headers, b"{}")
    assert judged(provider, incoming, Keys(()), NOW, {}).verdict is Verdict.UNVERIFIED


def test_an_old_request_of_owlpay_is_not_taken_again() -> None:
    """Its signed time is what a replay cannot change."""
    provider, _ = provider_of("owlpay")
    request = request_of("owlpay", event_of("owlpay", "payment_intent.captured"))
    provider.verify(request, KEYS, NOW, {})
    with pytest.raises(SignatureError):
        provider.verify(request, KEYS, NOW + timedelta(minutes=6), {})


def test_what_stands_beside_treezors_payload_does_not_make_it_another_event() -> None:
    """Who has seen one request may send it again under another webhook_id, and at another time."""
    provider, _ = provider_of("treezor")
    first = request_of("treezor", event_of("treezor", "card.acquiring.chargeback.create"))
    again = json.loads(first.body) | {"webhook_id": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}
    body = json.dumps(again, separators=(",", ":")).encode()
    second = first._replace(body=body)
    assert judged(provider, second, KEYS, NOW, {}).verdict is Verdict.VERIFIED
    heards = [*provider.read(first, {}), *provider.read(second, {})]
    assert identity_of(heards[0]) == identity_of(heards[1])
    assert len(words_of(provider, {}, heards)) == 1


def test_a_refund_that_is_under_way_cannot_be_renamed_to_a_failed_one() -> None:
    """The name of Treezor's event is not signed; the status in the payload is."""
    provider, _ = provider_of("treezor")
    request = request_of("treezor", event_of("treezor", "payinrefund.create"))
    renamed = request._replace(body=request.body.replace(b"refund.create", b"refund.cancel"))
    assert judged(provider, renamed, KEYS, NOW, {}).verdict is Verdict.VERIFIED
    assert words_of(provider, {}, provider.read(renamed, {})) == []


@pytest.mark.parametrize(
    ("signed", "envelope", "event_id"),
    [
        pytest.param("{body}", '{"type":"{type}","data":"{data}"}', None, id="not signed"),
        pytest.param("{id}.{body}", '{"type":"{type}","data":"{data}"}', "msg_1", id="signed"),
        pytest.param(
            "{body}", '{"type":"{type}","id":"{id}","data":"{data}"}', "evt_1", id="in the body"
        ),
    ],
)
def test_an_own_formats_id_counts_only_where_nobody_else_can_change_it(
    signed: str, envelope: str, event_id: str | None
) -> None:
    """Else the same request under other ids would be told as often as it is sent."""
    definition = CustomDialect(
        version=1,
        signature_header="X-Shop-Signature",
        id_header="X-Shop-Id",
        signed=signed,
        envelope=envelope,
    )
    said = {"type": "payment_succeeded", "id": "evt_1", "data": {"payment_id": "pay_1"}}
    headers = {"x-shop-id": "msg_1"}
    incoming = Incoming("POST", "", headers, json.dumps(said).encode())
    [heard] = custom.bind(definition).read(incoming, {})
    assert heard.event_id == event_id


@pytest.mark.parametrize("family", _FAMILIES)
@settings(max_examples=120)
@given(data=st.data())
def test_a_mutated_body_raises_nothing_but_what_is_promised(
    family: str, data: st.DataObject
) -> None:
    """What is sent from outside must end as a receipt, not as a bug that stops the process."""
    provider, options = provider_of(family)
    request = request_of(provider.name, event_of(family, _TYPES[family]))
    body = bytearray(request.body)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        match data.draw(st.sampled_from(["byte", "cut", "twice", "token"])):
            case "byte":
                body[at] = data.draw(st.integers(0, 255))
            case "cut":
                del body[at : at + data.draw(st.integers(1, 20))]
            case "twice":
                body[at:at] = body[at : at + 30]
            case _:
                body[at:at] = data.draw(
                    st.sampled_from([b"null", b"[]", b"{}", b"1e400", b'""', b"-1", b"[" * 600])
                )
        if not body:
            break
    _survives(provider, options, request._replace(body=bytes(body)))


@pytest.mark.parametrize("name", sorted(registry.PROVIDERS))
@settings(max_examples=60)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "data", "object", "id", "event_type", "payins", "transfer"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_raises_nothing_but_what_is_promised(name: str, value: object) -> None:
    """Another provider's webhook pasted to the wrong URL is such a body."""
    provider = registry.PROVIDERS[name]
    headers = {"webhook-id": "msg_1", "content-type": "application/json"}
    _survives(provider, {}, Incoming("POST", "", headers, json.dumps(value).encode()))


def _survives(provider: Provider, options: Options, request: Incoming) -> None:
    if provider.source is Source.SIGNATURE:
        assert judged(provider, request, KEYS, NOW, options).verdict in Verdict
    try:
        heards = provider.read(request, options)
        words_of(provider, options, heards)
        for heard in heards:
            provider.tell(heard, "payment_succeeded", options)
    except InvalidError:
        pass


def test_the_registry_names_what_is_spelled_most_alike() -> None:
    """A typing error should not cost a look into the documentation."""
    with pytest.raises(InvalidError, match="Did you mean owlpay"):
        registry.find("owlpai")
