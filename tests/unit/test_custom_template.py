"""Every mistake that somebody can make in a format of their own: a place and a sentence each."""

import pytest
from tests.support.custom_formats import HUB, made_dialect

from payhooks.errors import InvalidError

pytestmark = pytest.mark.shows("V09")

SIGNED, ENVELOPE = "/custom_dialect/signed", "/custom_dialect/envelope"
TIMED = {"timestamp_header": "X-Time", "id_header": "X-Id"}
GOOD = {**HUB, **TIMED}


def _faults(**members: object) -> list[tuple[str, str]]:
    with pytest.raises(InvalidError) as caught:
        made_dialect(**{**GOOD, **members})
    assert all(fault.detail.endswith(".") for fault in caught.value.faults)
    return [(fault.pointer, fault.code) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("signed", "code"),
    [
        pytest.param("", "body_once", id="empty"),
        pytest.param("{timestamp}.", "body_once", id="no body"),
        pytest.param("{body}.{body}", "body_once", id="two bodies"),
        pytest.param("{id}.{id}.{body}", "duplicate", id="two ids"),
        pytest.param("{nonce}.{body}", "unknown_placeholder", id="unknown"),
        pytest.param("{}.{body}", "unknown_placeholder", id="nameless"),
        pytest.param("{Body}", "malformed", id="upper case"),
        pytest.param("{{body}}", "malformed", id="doubled braces"),
        pytest.param("v0:{body", "malformed", id="open brace"),
        pytest.param("body}", "malformed", id="closing brace"),
        pytest.param("é{body}", "invalid_character", id="not ASCII"),
        pytest.param("\r\n{body}", "invalid_character", id="carriage return"),
        pytest.param("x" * 251 + "{body}", "too_long", id="long"),
        pytest.param("{id}{timestamp}{body}", "not_apart", id="id and time as one"),
        pytest.param("{body}{timestamp}", "not_apart", id="time behind the body"),
        pytest.param("{timestamp}0.{body}", "not_apart", id="digit behind the time"),
        pytest.param("{body}.0{timestamp}", "not_apart", id="digit before the time"),
        pytest.param("{id}-{timestamp}.{body}", "not_apart", id="hyphen, which ids have"),
    ],
)
def test_what_is_signed_cannot_be_this(signed: str, code: str) -> None:
    """Two ways to cut what was signed would let somebody choose."""
    assert _faults(signed=signed) == [(SIGNED, code)]


@pytest.mark.parametrize(
    "signed", ["{body}", "{timestamp}{body}", "v0:{timestamp}:{body}", "{id}.{timestamp}.{body}\n"]
)
def test_what_companies_sign_can_be_said(signed: str) -> None:
    """These four are the common ones."""
    made_dialect(**{**GOOD, "signed": signed})


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        pytest.param("", "malformed", id="empty"),
        pytest.param("{", "malformed", id="broken"),
        pytest.param('{"a":{type},"b":"{data}"}', "malformed", id="without quotes"),
        pytest.param('{"a":NaN,"b":"{data}"}', "malformed", id="not a number"),
        pytest.param('{"a":-1e999,"b":"{data}"}', "malformed", id="no number has room for it"),
        pytest.param('{"a":"\\ud800","b":"{data}"}', "malformed", id="half a character"),
        pytest.param('{"a":"\ud800","b":"{data}"}', "malformed", id="half a character as it is"),
        pytest.param('{"a":"\\u007btype}","b":"{data}"}', "malformed", id="escaped placeholder"),
        pytest.param("[" * 8_000, "malformed", id="deep and open"),
        pytest.param('{"b":"{data}","x":' + "9" * 5_000 + "}", "malformed", id="endless number"),
        pytest.param('{"a":1,"a":2,"b":"{data}"}', "duplicate", id="a member twice"),
        pytest.param('["{data}"]', "not_an_object", id="array"),
        pytest.param('"{type}"', "not_an_object", id="the type alone"),
        pytest.param(' {"b":"{data}"}', "not_an_object", id="space before it"),
        pytest.param('{"a":"{type}"}', "data_once", id="no data"),
        pytest.param('{"a":"{data}","b":"{data}"}', "data_once", id="data twice"),
        pytest.param('{"a":"type: {type}","b":"{data}"}', "misplaced", id="inside a text"),
        pytest.param('{"{type}":"{data}"}', "misplaced", id="as a name"),
        pytest.param('{"a":"{kind}","b":"{data}"}', "unknown_placeholder", id="unknown"),
        pytest.param('{"a":"{}","b":"{data}"}', "unknown_placeholder", id="nameless"),
        pytest.param('{"a":' * 9 + '"{data}"' + "}" * 9, "too_deep", id="nine levels"),
        pytest.param('{"b":"{data}","c":"' + "x" * 8_200 + '"}', "too_long", id="long"),
    ],
)
def test_an_envelope_cannot_be_this(envelope: str, code: str) -> None:
    """What passes can be rendered for every event, so nothing is left to fail at send time."""
    assert _faults(envelope=envelope) == [(ENVELOPE, code)]


@pytest.mark.parametrize(
    ("members", "found"),
    [
        pytest.param({"signature_prefix": " x"}, ("signature_prefix", "malformed"), id="space"),
        pytest.param({"signature_prefix": "x" * 65}, ("signature_prefix", "malformed"), id="long"),
        pytest.param({"signature_prefix": "a\nb"}, ("signature_prefix", "malformed"), id="break"),
        pytest.param({"content_type": "json"}, ("content_type", "malformed"), id="no type"),
        pytest.param({"content_type": "a/b\r\nc: d"}, ("content_type", "malformed"), id="header"),
        pytest.param(
            {"signed": "{timestamp}.{body}", "timestamp_header": None},
            ("timestamp_header", "required"),
            id="time that nobody can find",
        ),
        pytest.param(
            {"signed": "{id}.{body}", "id_header": None}, ("id_header", "required"), id="so the id"
        ),
        pytest.param(
            {"id_header": "x-hub-signature-256"}, ("id_header", "duplicate"), id="one header"
        ),
        pytest.param(
            {"id_header": "A", "timestamp_header": "a"}, ("id_header", "duplicate"), id="case"
        ),
    ],
)
def test_the_rest_cannot_be_this(members: dict[str, object], found: tuple[str, str]) -> None:
    """A header that breaks a line would let a merchant write requests of its own."""
    member, code = found
    assert _faults(**members) == [(f"/custom_dialect/{member}", code)]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """So that one answer is enough to mend a format."""
    wrong = {"signed": "{body", "envelope": "{", "content_type": "", "signature_prefix": "\x00"}
    assert {pointer.rpartition("/")[2] for pointer, _ in _faults(**wrong)} == set(wrong)
