"""The dialect of Treezor, writing and verifying: vectors, rotation, spellings, forgeries."""

import json
from datetime import datetime
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.dialect_events import AT, MERCHANT, endpoint_of, new_event_id
from tests.support.envelope_vectors import vectors, written

from payhooks.dialects.registry import DIALECTS
from payhooks.dialects.treezor import TREEZOR
from payhooks.dialects.treezor_signature import BODY_BYTES_MAX
from payhooks.errors import InvalidError, SignatureError
from payhooks.model.event import Event
from payhooks.policy.retry import POLICIES

pytestmark = pytest.mark.shows("V03")

GOLDEN: Final = vectors("treezor", "verify")[0]
BODY: Final[bytes] = GOLDEN["body"].encode()
SECRET: Final = TREEZOR.signing_secret(GOLDEN["secret"])
OTHER: Final = TREEZOR.signing_secret("the-key-before-the-rotation")
SIGNATURE: Final = json.loads(BODY)["object_payload_signature"]
ENDPOINT: Final = endpoint_of("treezor")

EMPTY: Final = r'{"payins":[{"payinId":"1","a":{},"b":[],"c":"{}[]","d":20,"e":"\/"}]}'
MEMBERS: Final = [
    "webhook",
    "webhook_created_at",
    "object_id",
    "object",
    "object_payload",
    "webhook_id",
    "object_payload_signature",
    "auth_key",
]
ANY: Final = st.text(st.characters(exclude_categories=["Cs"]))


def _event(
    data: bytes,
    *,
    kind: str = "payin.update",
    about: tuple[str, str] | None = None,
    at: datetime | None = AT,
) -> Event:
    return Event(
        id=new_event_id(),
        merchant_id=MERCHANT.id,
        type=kind,
        family="treezor",
        data=data,
        object_type=about[0] if about else None,
        object_id=about[1] if about else None,
        occurred_at=at,
    )


def _rendered(event: Event) -> bytes:
    assert TREEZOR.refusal(event) is None
    return TREEZOR.render(event=event, endpoint=ENDPOINT, merchant=MERCHANT).body


def _signed(payload: str, *, around: str | None = None) -> bytes:
    """Return an envelope that says *around* of a payload that was signed as it stands here."""
    body = _rendered(_event(b'{"payins":[]}')).replace(b'{"payins":[]}', payload.encode())
    signed = TREEZOR.sign(message_id="m", body=body, secrets=[SECRET], now=AT).body
    if around is None:
        return signed
    return signed.replace(payload.encode(), around.encode())


def _refused(body: bytes) -> str:
    with pytest.raises(SignatureError) as caught:
        TREEZOR.verify({}, body, [SECRET], AT)
    return caught.value.code


# --- writing ---------------------------------------------------------------------------


@pytest.mark.parametrize("case", vectors("treezor", "write"), ids=lambda case: case["name"])
def test_writes_the_vectors(case: dict[str, Any]) -> None:
    """Their bytes and signatures were made with PHP."""
    assert written(TREEZOR, case) == (case["content_type"], case["headers"], case["body"].encode())


def test_has_the_published_numbers() -> None:
    """Thirty attempts more, a minute apart; ten seconds to answer."""
    assert POLICIES[TREEZOR.retry_policy].delays_s == (60,) * 30
    assert TREEZOR.timeout_s == 10
    assert TREEZOR.signs_by_default
    assert DIALECTS["treezor"] is TREEZOR


def test_only_the_signature_changes_when_a_secret_was_replaced() -> None:
    """A retry after a rotation is signed with what the receiver holds then."""
    body = _rendered(_event(b'{"payins":[{"payinId":"1"}]}'))
    before, after = (
        json.loads(TREEZOR.sign(message_id="m", body=body, secrets=secrets, now=AT).body)
        for secrets in ([OTHER], [SECRET, OTHER])
    )
    assert before.pop("object_payload_signature") != after.pop("object_payload_signature")
    assert before == after


def test_the_newest_secret_signs_during_a_rotation() -> None:
    """There is room for one signature; whoever fetched the new secret configures it now."""
    body = _rendered(_event(b'{"payins":[{"payinId":"1"}]}'))
    signed = TREEZOR.sign(message_id="m", body=body, secrets=[SECRET, OTHER], now=AT)
    assert signed.headers == ()
    TREEZOR.verify({}, signed.body, [SECRET], AT)
    TREEZOR.verify({}, signed.body, [OTHER, SECRET], AT)
    with pytest.raises(SignatureError):
        TREEZOR.verify({}, signed.body, [OTHER], AT)


def test_without_secrets_the_signature_is_empty() -> None:
    """The member stays, so that a parser finds what it expects; nobody can take it for one."""
    body = _rendered(_event(b'{"payins":[{"payinId":"1"}]}'))
    assert TREEZOR.sign(message_id="m", body=body, secrets=[], now=AT) == ((), body)
    assert json.loads(body)["object_payload_signature"] == ""
    assert _refused(body) == "missing_header"


@given(kind=ANY, name=ANY, number=ANY, text=ANY)
@example(
    kind=',"object_payload":{}', name='","object_payload":', number='"', text=',"webhook_id":"'
)
def test_no_text_breaks_out_of_its_place(kind: str, name: str, number: str, text: str) -> None:
    """Names and ids come from publishers, and the signature is cut out by what stands around it."""
    data = json.dumps({"payouts": [{"x": text, "object_payload_signature": text}]}).encode()
    # x: none of the names that a payload has to agree with.
    event = _event(data, kind=f"x{kind}"[:128], about=(f"x{name}", number))
    body = TREEZOR.sign(message_id="m", body=_rendered(event), secrets=[SECRET], now=AT).body
    TREEZOR.verify({}, body, [SECRET], AT)
    assert list(json.loads(body)) == MEMBERS
    read = TREEZOR.read({}, body)
    assert (read.event_type, read.object_type) == (event.type, event.object_type)
    assert read.object_id == (event.object_id or None)
    assert json.loads(read.payload) == json.loads(data)


@pytest.mark.parametrize(
    ("data", "about"),
    [
        pytest.param('{"topupCards":[{"topupCardId":"7"}]}', ("topupCard", "7"), id="a card"),
        pytest.param(
            '{"authorizations":[{"authorizationId":"7"}]}', ("authorization", "7"), id="authorized"
        ),
        pytest.param('{"payins":[{"payinId":7,"id":8}]}', ("payin", "7"), id="a number"),
        pytest.param('{"payins":[{},{"payinId":"8"}]}', ("payin", "8"), id="the second has one"),
        pytest.param(
            '{"payinrefunds":[{"payinId":"6","payinrefundId":"7"}]}',
            ("payinrefund", "7"),
            id="back",
        ),
        pytest.param(
            '{"chargebacks":[{"payinId":"6","payinrefundId":"7"}]}',
            ("card.acquiring", "7"),
            id="a chargeback is known by its refund",
        ),
        pytest.param('{"payouts":[{"payoutId":"7"}]}', ("payout", "7"), id="what we do not know"),
        pytest.param('{"payins":[]}', ("payin", ""), id="nothing"),
        pytest.param('{"payins":["7",null]}', ("payin", ""), id="no objects"),
        pytest.param('{"payins":[{"payinId":null}]}', ("payin", ""), id="no id"),
    ],
)
def test_an_event_without_object_is_about_what_its_data_says(
    data: str, about: tuple[str, str]
) -> None:
    """Receivers look the object up by what stands outside."""
    said = json.loads(_rendered(_event(data.encode())))
    assert (said["object"], said["object_id"]) == about


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("{}", id="nothing"),
        pytest.param('{"payin":{"payinId":"1"}}', id="no list"),
        pytest.param('{"payins":null}', id="null"),
        pytest.param('{"payins":"[]"}', id="a text that looks like a list"),
        pytest.param('{"payins":[],"refunds":[]}', id="two lists"),
        pytest.param('{"payins":[],"totalRows":1}', id="more than the list"),
    ],
)
def test_refuses_data_that_is_no_payload(data: str) -> None:
    """Heard when it is published, where it can still be mended."""
    refusal = TREEZOR.refusal(_event(data.encode()))
    assert refusal is not None
    assert "exactly one member" in refusal


@pytest.mark.parametrize("text", ["short", "a" * 257, "with a space", "sécret-sécret", "whsk_AAAA"])
def test_refuses_what_is_no_secret(text: str) -> None:
    """Treezor's are texts whose form is not published: anything that can be typed."""
    with pytest.raises(InvalidError):
        TREEZOR.signing_secret(text)
    with pytest.raises(InvalidError):
        TREEZOR.verifying_secret(text)


# --- verifying -------------------------------------------------------------------------


@pytest.mark.parametrize("case", vectors("treezor", "verify"), ids=lambda case: case["name"])
def test_verifies_the_vectors(case: dict[str, Any]) -> None:
    TREEZOR.verify({}, case["body"].encode(), [TREEZOR.verifying_secret(case["secret"])], AT)


@pytest.mark.parametrize(
    "around",
    [
        pytest.param(EMPTY, id="as it was signed"),
        pytest.param(json.dumps(json.loads(EMPTY), indent=4), id="with indentation"),
        pytest.param(EMPTY.replace("20", "20.0"), id="a number with a fraction of nothing"),
        pytest.param(EMPTY.replace("20", "2e1"), id="a number with an exponent"),
        pytest.param(EMPTY.replace("payinId", "p\\u0061yinId"), id="a letter by number"),
    ],
)
def test_verifies_what_was_spelled_anew_on_its_way(around: str) -> None:
    """A proxy that parses and prints has changed bytes, and nothing that they say."""
    TREEZOR.verify({}, _signed(EMPTY, around=around), [SECRET], AT)


@pytest.mark.parametrize(
    "payload", ['{ "payins":[]}', '{"a":[20.0]}', '{"a":"/"}', '{"a":"\\u00E9é"}']
)
def test_verifies_what_stands_in_the_body_whoever_spelled_it(payload: str) -> None:
    """Another encoder, or PHP with other flags, signed the bytes that it sent."""
    TREEZOR.verify({}, _signed(payload), [SECRET], AT)


@pytest.mark.parametrize("signed", ["[]", "{}"])
@pytest.mark.parametrize("around", ["[]", "{}"])
def test_verifies_what_lost_the_kind_of_its_emptiness(signed: str, around: str) -> None:
    """PHP has one kind of array, so what decodes into it and prints again has one too."""
    payload = '{"payins":[{"a":%s,"b":[%s],"c":"{}[]"}]}'
    body = _signed(payload % (signed, signed), around=payload % (around, around))
    TREEZOR.verify({}, body, [SECRET], AT)
    mixed = _signed(payload % (signed, signed), around=payload % (around, signed))
    TREEZOR.verify({}, mixed, [SECRET], AT)


@pytest.mark.parametrize(
    "around",
    [
        pytest.param(EMPTY.replace('"1"', '"2"'), id="another id"),
        pytest.param(EMPTY.replace('"1"', "1"), id="a number instead of text"),
        pytest.param(EMPTY.replace("20", "21"), id="another number"),
        pytest.param(EMPTY.replace("{}[]", "[][]"), id="another text that looks empty"),
        pytest.param(EMPTY.replace('"a":{},"b":[]', '"b":[],"a":{}'), id="another order"),
        pytest.param(EMPTY.replace('"a":{},', ""), id="less"),
        pytest.param(EMPTY.replace('"a":{}', '"a":null'), id="null is not empty"),
    ],
)
def test_refuses_what_says_something_else(around: str) -> None:
    """Forgiving spellings must not forgive meanings."""
    assert _refused(_signed(EMPTY, around=around)) == "no_match"


def _replaced(old: str, new: str) -> bytes:
    changed: bytes = BODY.replace(old.encode(), new.encode())
    assert changed != BODY
    return changed


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"", "not_json", id="nothing"),
        pytest.param(b"[]", "not_json", id="no object"),
        pytest.param(b"{}", "not_json", id="an empty object"),
        pytest.param(b'{"a":1}', "not_json", id="no payload"),
        pytest.param(b'{"object_payload":{}}', "missing_header", id="no signature"),
        pytest.param(_replaced(SIGNATURE, ""), "missing_header", id="an empty signature"),
        pytest.param(_replaced(f'"{SIGNATURE}"', "null"), "malformed_header", id="null"),
        pytest.param(_replaced(f'"{SIGNATURE}"', "[]"), "malformed_header", id="a list"),
        pytest.param(_replaced(SIGNATURE, SIGNATURE[:-1]), "no_match", id="one cut off"),
        pytest.param(_replaced(SIGNATURE, SIGNATURE.lower()), "no_match", id="lower case"),
        pytest.param(_replaced(SIGNATURE, SIGNATURE + "\\n"), "no_match", id="one more"),
        # Y and Z differ in bits that decoding drops.
        pytest.param(_replaced("Y=", "Z="), "no_match", id="loose base64"),
        pytest.param(_replaced(SIGNATURE, "\\ud800"), "no_match", id="half a character"),
        pytest.param(BODY + b"{}", "not_json", id="more behind it"),
        pytest.param(BODY[:-1], "not_json", id="cut off"),
        pytest.param(BODY[:-1] + b',"x":NaN}', "not_json", id="a number that is none"),
        pytest.param(BODY[:-1] + b',"x":"\xff"}', "not_json", id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbf" + BODY, "not_json", id="a byte order mark"),
        pytest.param(BODY[:-1] + b',"object_payload":{}}', "not_json", id="two payloads"),
        pytest.param(
            b'{"object_p\\u0061yload":{},' + BODY[1:], "not_json", id="two, spelled differently"
        ),
        pytest.param(BODY[:-1] + b',"webhook":"a"}', "not_json", id="any member twice"),
        pytest.param(b'{"x":' + b"[" * 200_000, "not_json", id="nested without end"),
        pytest.param(BODY + b" " * BODY_BYTES_MAX, "body_too_large", id="too long"),
    ],
)
def test_refuses(body: bytes, code: str) -> None:
    """Each line is a way in, or a way to stop a worker."""
    assert _refused(body) == code


def test_a_payload_inside_of_another_member_is_not_the_one_that_counts() -> None:
    """A look for the first such name would find what somebody put before it."""
    [payload] = [json.dumps(json.loads(BODY)["object_payload"])]
    decoy = b'{"x":{"object_payload":{"payins":[{"payinId":"1"}]}},' + BODY[1:]
    TREEZOR.verify({}, decoy, [SECRET], AT)
    forged = _replaced("707206", "707207")
    assert (
        _refused(b'{"x":{"object_payload":' + payload.encode() + b"}," + forged[1:]) == "no_match"
    )


@given(body=st.binary() | ANY.map(str.encode))
@example(body=b'{},"object_payload_signature":"x"')
@example(body=b'{},"object_payload_signature":"\\ud800"')
def test_garbage_is_refused_and_never_anything_else(body: bytes) -> None:
    """The contract of every dialect."""
    for said in (body, BODY[:-1] + body, b'{"object_payload":' + body + b"}"):
        if said.rstrip() != BODY:
            with pytest.raises(SignatureError):
                TREEZOR.verify({}, said, [SECRET, OTHER], AT)
