"""The dialect custom, coming in: what companies print, forgeries, every drift, garbage."""

import base64
import contextlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.outside.verify_custom import is_signed_by
from tests.support.custom_formats import (
    AT,
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
    sent,
)

from payhooks.dialects.contract import HmacSecret
from payhooks.errors import InvalidError, SignatureError

pytestmark = pytest.mark.shows("V09")

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "custom" / "verify.json").read_text()
)["cases"]


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_what_companies_print_for_their_receivers_verifies(case: dict[str, Any]) -> None:
    """Their examples are not ours: a mistake that we made twice would show."""
    dialect, body = made_dialect(**case["definition"]), case["body"].encode()
    at = datetime.fromtimestamp(case["at"], UTC)
    secrets = [HmacSecret(key=case["secret"].encode())]
    dialect.verify(case["headers"], body, secrets, at)
    assert is_signed_by(case["secret"], case["headers"], body)
    with pytest.raises(SignatureError):
        dialect.verify(case["headers"], body + b"\n", secrets, at)


def test_while_secrets_rotate_the_newest_signs_and_either_verifies() -> None:
    """One header has room for one signature."""
    dialect = made_dialect(**SLACK)
    headers, body = sent(dialect)
    dialect.verify(headers, body, [KEY], AT)
    with pytest.raises(SignatureError):
        dialect.verify(headers, body, [OLD_KEY], AT)


def test_without_secrets_no_signature_is_sent() -> None:
    """An empty one would teach receivers to accept that."""
    dialect = made_dialect(**CASHFREE)
    signed = dialect.sign(message_id=MESSAGE_ID, body=b"{}", secrets=[], now=AT)
    assert signed.headers == (("x-webhook-timestamp", "1893499200123"),)


@pytest.mark.parametrize(
    ("off", "code"),
    [
        pytest.param(timedelta(minutes=5), None, id="five minutes later"),
        pytest.param(timedelta(minutes=6), "timestamp_too_old", id="six minutes later"),
        pytest.param(timedelta(minutes=-6), "timestamp_too_new", id="six minutes before"),
    ],
)
@pytest.mark.parametrize("said", [SLACK, CASHFREE], ids=["seconds", "milliseconds"])
def test_a_signed_time_is_judged(said: dict[str, str], off: timedelta, code: str | None) -> None:
    """A request that somebody kept must not be good for ever."""
    dialect = made_dialect(**said)
    headers, body = sent(dialect)
    now = AT.replace(microsecond=0) + off
    if code is None:
        dialect.verify(headers, body, [KEY], now)
        return
    with pytest.raises(SignatureError) as caught:
        dialect.verify(headers, body, [KEY], now)
    assert caught.value.code == code


def test_a_time_that_nobody_signed_is_not_judged() -> None:
    """It proves nothing, so it must not refuse anything either."""
    dialect = made_dialect(**HUB, timestamp_header="X-Time")
    headers, body = sent(dialect)
    dialect.verify({**headers, "x-time": "yesterday"}, body, [KEY], AT + timedelta(days=9))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"x-webhook-timestamp": "1893499200"}, id="seconds for milliseconds"),
        pytest.param({"x-webhook-timestamp": "18934992001²³"}, id="digits of another script"),
        pytest.param({"x-webhook-timestamp": ""}, id="no time"),
        pytest.param({"x-webhook-timestamp": "1893499200124"}, id="another time"),
        pytest.param({"x-webhook-signature": ""}, id="empty signature"),
        pytest.param({"x-webhook-signature": "é\udcff" * 9}, id="no ASCII"),
        pytest.param({"x-webhook-signature": "A" * 5_000}, id="long signature"),
    ],
)
def test_a_header_that_was_changed_is_refused(changed: dict[str, str]) -> None:
    """With the one error that there is."""
    dialect = made_dialect(**CASHFREE)
    headers, body = sent(dialect)
    with pytest.raises(SignatureError):
        dialect.verify({**headers, **changed}, body, [KEY], AT)


def test_a_body_cannot_lend_its_beginning_to_the_time_before_it() -> None:
    """The same signed bytes, cut in another place, would move the time."""
    dialect = made_dialect(**{**CASHFREE, "timestamp_unit": "seconds"})
    time = str(int(AT.timestamp()))
    mac = base64.b64encode(hmac.digest(b"the-key-of-today", time.encode() + b"1{}", "sha256"))
    headers = {"x-webhook-timestamp": time, "x-webhook-signature": mac.decode()}
    with pytest.raises(SignatureError):
        dialect.verify(headers, b"1{}", [KEY], AT)


@pytest.mark.parametrize("missing", ["x-slack-signature", "x-slack-request-timestamp"])
def test_a_header_that_is_missing_is_named_to_us(missing: str) -> None:
    """Whoever configures a connector sees in the log what did not come."""
    dialect = made_dialect(**SLACK)
    headers, body = sent(dialect)
    del headers[missing]
    with pytest.raises(SignatureError) as caught:
        dialect.verify(headers, body, [KEY], AT)
    assert caught.value.code == "missing_header"


@pytest.mark.parametrize("message_id", ["", "a.b", "a" * 256, "é"])
def test_an_id_that_could_be_cut_in_two_ways_is_refused(message_id: str) -> None:
    """What is signed is one text; only plain ids can be told apart in it."""
    dialect = made_dialect(**HUB, signed="{id}.{body}")
    body = b"{}"
    mac = hmac.digest(b"the-key-of-today", message_id.encode() + b".{}", "sha256").hex()
    headers = {"x-github-delivery": message_id, "x-hub-signature-256": f"sha256={mac}"}
    with pytest.raises(SignatureError):
        dialect.verify(headers, body, [KEY], AT)


ENVELOPE = (
    '{"e":["{type}",{"at":"{timestamp}","u":"{unix}"}],"id":"{id}","m":"{mode}",'
    '"o":"{object_id}","d":"{data}"}'
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param('{"e":["a"],"d":{}}', ("a", None, None, None), id="the least"),
        pytest.param('{"x":1,"e":["a",{},2],"d":{},"y":[]}', ("a", None, None, None), id="more"),
        pytest.param('{"e":["a"],"d":{},"o":17}', ("a", "17", None, None), id="number for text"),
        pytest.param('{"e":["a"],"d":{},"m":"live"}', ("a", None, None, False), id="live"),
        pytest.param('{"e":["a"],"d":{},"m":"test"}', ("a", None, None, None), id="other mode"),
        pytest.param(
            '{"e":["a",{"u":"1893499200"}],"d":{}}',
            ("a", None, datetime(2030, 1, 1, 12, tzinfo=UTC), None),
            id="seconds as text",
        ),
        pytest.param(
            '{"e":["a",{"at":"2030-01-01T13:00:00+01:00","u":1}],"d":{}}',
            ("a", None, datetime(2030, 1, 1, 12, tzinfo=UTC), None),
            id="another zone",
        ),
        pytest.param('{"e":["a",{"at":null}],"d":{}}', ("a", None, None, None), id="null"),
        pytest.param('{"e":["a",null],"o":{},"d":{}}', ("a", None, None, None), id="drift"),
    ],
)
def test_what_a_body_says_is_read_by_its_places(body: str, expected: tuple[object, ...]) -> None:
    """Members that the template does not have are allowed; what is missing is unknown."""
    reading = made_dialect(signature_header="S", envelope=ENVELOPE).read({}, body.encode())
    found = (reading.event_type, reading.object_id, reading.occurred_at, reading.is_test)
    assert found == expected
    assert reading.ordered_at == reading.occurred_at


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param('{"d":{}}', "/e/0", id="no type"),
        pytest.param('{"e":[7],"d":{}}', "/e/0", id="type is a number"),
        pytest.param('{"e":[""],"d":{}}', "/e/0", id="type is empty"),
        pytest.param('{"e":["%s"],"d":{}}' % ("a" * 129), "/e/0", id="type is long"),
        pytest.param('{"e":{"0":"a"},"d":{}}', "/e/0", id="object for array"),
        pytest.param('{"e":["a"]}', "/d", id="no data"),
        pytest.param('{"e":["a"],"d":[]}', "/d", id="data is no object"),
        pytest.param('{"e":["a",{"at":"soon"}],"d":{}}', "/e/1/at", id="no time"),
        pytest.param('{"e":["a",{"at":"2030-01-01T12:00:00"}],"d":{}}', "/e/1/at", id="naive"),
        pytest.param('{"e":["a",{"u":1.5}],"d":{}}', "/e/1/u", id="fraction"),
        pytest.param('{"e":["a",{"u":999999999999}],"d":{}}', "/e/1/u", id="year 33658"),
        pytest.param("[]", "", id="array"),
        pytest.param("{", "", id="broken"),
        pytest.param('{"e":["\\ud800"],"d":{}}', "", id="half a character"),
        pytest.param("[" * 100_000, "", id="deep"),
    ],
)
def test_what_cannot_be_read_is_named(body: str, pointer: str) -> None:
    """Whoever mends a format sees which place of it did not hold."""
    with pytest.raises(InvalidError) as caught:
        made_dialect(signature_header="S", envelope=ENVELOPE).read({}, body.encode())
    assert [fault.pointer for fault in caught.value.faults] == [pointer]


def test_a_format_that_does_not_say_what_happened_can_be_written_only() -> None:
    """A company whose data says it all sends the data alone; a type is never guessed."""
    dialect = made_dialect(signature_header="S", envelope='"{data}"')
    assert dialect.render(event=EVENT, endpoint=ENDPOINT, merchant=MERCHANT).body == DATA_BYTES
    with pytest.raises(InvalidError, match="does not say what happened"):
        dialect.read({}, DATA_BYTES)


@settings(max_examples=300, deadline=None)
@given(
    body=st.binary(max_size=80) | st.text(max_size=60).map(lambda text: text.encode("utf-8")),
    headers=st.dictionaries(
        st.sampled_from(["x-webhook-timestamp", "x-webhook-signature", "s"]),
        st.text(st.characters(), max_size=30),
    ),
)
def test_whatever_arrives_ends_in_a_result_or_the_one_error(
    body: bytes, headers: dict[str, str]
) -> None:
    """Bytes from outside meet total functions."""
    for said in (CASHFREE, {"signature_header": "S", "envelope": ENVELOPE}):
        dialect = made_dialect(**said)
        with pytest.raises(SignatureError):
            dialect.verify(headers, body, [KEY], AT)
        with contextlib.suppress(InvalidError):
            dialect.read(headers, body)
