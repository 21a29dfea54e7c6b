"""The dialect custom, written: formats of companies to the byte, round trips of made ones."""

import hashlib
import hmac
import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.outside.verify_custom import is_signed_by
from tests.support.custom_formats import (
    AT,
    BARE,
    CASHFREE,
    DATA_BYTES,
    ENDPOINT,
    EVENT,
    HUB,
    KEY,
    MERCHANT,
    MESSAGE_ID,
    OLD_KEY,
    SLACK,
    made_dialect,
    made_format,
    sent,
)

from payhooks.dialects import custom, registry
from payhooks.dialects.custom_values import DATA, PRINTED
from payhooks.dialects.text_key import text_key
from payhooks.errors import DamagedError, InvalidError, SignatureError
from payhooks.model.custom_dialect import (
    CustomDialect,
    HmacAlgorithm,
    SignatureEncoding,
    TimestampUnit,
)
from payhooks.model.event import Event

pytestmark = pytest.mark.shows("V09")


def test_a_format_is_written_to_the_byte() -> None:
    """Signature, headers and body, as the company's receivers expect them today."""
    dialect = made_dialect(**HUB)
    rendered = dialect.render(event=EVENT, endpoint=ENDPOINT, merchant=MERCHANT)
    body = b'{"event":"payment_intent.succeeded","delivery":"%b","payload":%b}' % (
        MESSAGE_ID.encode(),
        DATA_BYTES,
    )
    assert (rendered.content_type, rendered.body) == ("application/json", body)
    signed = dialect.sign(message_id=MESSAGE_ID, body=body, secrets=[KEY, OLD_KEY], now=AT)
    mac = hmac.new(b"the-key-of-today", body, hashlib.sha256).hexdigest()
    assert signed.headers == (
        ("X-GitHub-Delivery", MESSAGE_ID),
        ("X-Hub-Signature-256", f"sha256={mac}"),
    )


@pytest.mark.parametrize("said", [HUB, SLACK, CASHFREE], ids=["hub", "slack", "cashfree"])
def test_another_implementation_accepts_what_is_signed(said: dict[str, str]) -> None:
    """Written from what the companies publish, without a look at ours."""
    headers, body = sent(made_dialect(**said))
    assert is_signed_by("the-key-of-today", headers, body)
    assert not is_signed_by("the-key-of-yesterday", headers, body)


def test_every_placeholder_prints_one_json_value() -> None:
    """A format may name what its merchants know, and nothing of it is quoted wrongly."""
    template = "{" + ",".join(f'"{name}":"{{{name}}}"' for name in PRINTED) + "}"
    body = made_dialect(signature_header="S", envelope=template).render(
        event=EVENT, endpoint=ENDPOINT, merchant=MERCHANT
    )
    assert json.loads(body.body) == {
        "type": "payment_intent.succeeded",
        "id": MESSAGE_ID,
        "timestamp": "2030-01-01T12:00:00.123456Z",
        "unix": 1893499200,
        DATA: {"amount": 1.0, "b": {"a": 1000.0}, "text": "é"},
        "object_type": "payment",
        "object_id": 'pay "1"',
        "merchant_id": "m/1",
        "merchant_reference": "shop-1",
        "mode": "sandbox",
    }
    assert DATA_BYTES in body.body


def test_what_an_event_does_not_have_is_null() -> None:
    """An event of any family is carried, also one without an object."""
    template = '{"d":"{data}","o":["{object_type}","{object_id}"],"r":"{merchant_reference}"}'
    dialect = made_dialect(signature_header="S", envelope=template)
    merchant = msgspec.structs.replace(MERCHANT, reference=None)
    body = dialect.render(event=BARE, endpoint=ENDPOINT, merchant=merchant).body
    assert body == b'{"d":%b,"o":[null,null],"r":null}' % DATA_BYTES
    assert dialect.carries_everything


_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="{}"), min_size=1, max_size=8)
_NAMES = st.lists(st.sampled_from(sorted(set(PRINTED) - {DATA})), unique=True)


@st.composite
def _trees(draw: st.DrawFn) -> str:
    """Return an envelope with the type and the data, wherever chance puts them."""
    names = draw(st.permutations([*draw(_NAMES), "type", DATA]))
    values: list[object] = [f"{{{name}}}" for name in dict.fromkeys(names)]
    while len(values) > 1:
        size = draw(st.integers(2, min(4, len(values))))
        inner, values = values[:size], values[size:]
        if draw(st.booleans()):
            keys = draw(st.lists(_TEXTS, min_size=size, max_size=size, unique=True))
            values.append(dict(zip(keys, inner, strict=True)))
        else:
            values.append([*inner, 1.5, None])
    spacing = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    return json.dumps({"root": values[0]}, separators=spacing, ensure_ascii=draw(st.booleans()))


_FORMATS = st.builds(
    CustomDialect,
    version=st.just(1),
    signature_header=st.just("X-Signature"),
    signature_prefix=st.sampled_from(["", "v1=", "HMAC "]),
    algorithm=st.sampled_from(HmacAlgorithm),
    encoding=st.sampled_from(SignatureEncoding),
    timestamp_unit=st.sampled_from(TimestampUnit),
    timestamp_header=st.just("X-Time"),
    id_header=st.just("X-Id"),
    signed=st.sampled_from(
        [
            "{body}", "{timestamp}{body}", "{id}.{timestamp}.{body}", "v0:{timestamp}:{body}",
            "{id}\n{timestamp}\n{body}\n", "{body}|{timestamp}", "{timestamp}.x.{id}{body}",
        ]
    ),
    envelope=_trees(),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(definition=_FORMATS, event=st.sampled_from([EVENT, BARE]), bit=st.integers(0, 10_000))
def test_whatever_the_format_what_is_written_verifies_and_reads_back(
    definition: CustomDialect, event: Event, bit: int
) -> None:
    """One bit changed in the body, and it does not."""
    dialect = custom.bind(definition)
    headers, body = sent(dialect, event)
    dialect.verify(headers, body, [OLD_KEY, KEY], AT)
    reading = dialect.read(headers, body)
    assert (reading.event_type, reading.payload) == (event.type, DATA_BYTES)
    assert reading.ids[0][1] == MESSAGE_ID
    for name, value in (("object_type", event.object_type), ("object_id", event.object_id)):
        assert getattr(reading, name) == (value if f'"{{{name}}}"' in definition.envelope else None)
    if '"{timestamp}"' in definition.envelope and event is EVENT:
        assert reading.occurred_at == AT
    assert reading.is_test == (True if '"{mode}"' in definition.envelope else None)
    changed = bytearray(body)
    changed[bit // 8 % len(body)] ^= 1 << bit % 8
    with pytest.raises(SignatureError):
        dialect.verify(headers, bytes(changed), [OLD_KEY, KEY], AT)


def test_a_merchant_without_a_format_has_every_event_refused() -> None:
    """What is left if the format goes in the moment in which an endpoint chooses it: no crash."""
    dialect = registry.bound("custom", MERCHANT)
    assert not dialect.carries_everything
    assert dialect.refusal(EVENT) == "The merchant's custom_dialect is not set."
    with pytest.raises(SignatureError):
        dialect.verify({}, b"", [KEY], AT)
    with pytest.raises(InvalidError):
        dialect.read({}, b"{}")


def test_the_registry_binds_a_format_once() -> None:
    """Every attempt asks for it, and parsing costs more than sending."""
    with_format = msgspec.structs.replace(MERCHANT, custom_dialect=made_format(**HUB))
    again = msgspec.structs.replace(MERCHANT, custom_dialect=made_format(**HUB))
    dialect = registry.bound("custom", with_format)
    assert dialect is registry.bound("custom", again)
    assert (dialect.name, dialect.version, dialect.retry_policy) == ("custom", 1, "standard")


def test_a_dialect_that_is_not_installed_any_more_is_an_operators_matter() -> None:
    """Events are told to come back and deliveries wait; nothing is lost or crashes."""
    with pytest.raises(DamagedError, match="acme"):
        registry.bound("acme", MERCHANT)
    assert registry.retry_policy("acme") == "standard"


def test_secrets_are_their_text() -> None:
    """A company brings the keys that its merchants have."""
    dialect = made_dialect(**HUB)
    text = dialect.new_secret(bytes(32))
    assert text == "00" * 32
    assert dialect.signing_secret(text) == dialect.verifying_secret(text) == text_key(text)
    with pytest.raises(InvalidError):
        dialect.signing_secret("whpk_" + "A" * 44)
    with pytest.raises(InvalidError, match="no options"):
        dialect.check_options({"zone": "UTC"})
