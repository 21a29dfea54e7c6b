"""Group B: bodies, from the empty one to one that does not end."""

import contextlib
import json
import select
from typing import Final

import pytest
from tests.support.bad_input import CANARY, GOOD, Ground, case, read

from payhooks.limits import EVENT_BODY_BYTES_MAX, JSON_DEPTH_MAX

ROUTES: Final = ("events", "events/batch", "endpoints")
_STREAMED_BYTES: Final = 1_000_000_000
_HUGE: Final = "1" + "0" * 400  # an integer of JSON, and no double
_CHUNK: Final = b"10000\r\n" + b"x" * 65_536 + b"\r\n"


def _event(data: str, members: str = "") -> bytes:
    return f'{{"type":"payment_succeeded","data":{data}{members}}}'.encode()


def _nested(depth: int, *, objects: bool) -> bytes:
    """Return an event whose innermost value is *depth* deep, itself included."""
    inside = depth - 1  # the event is the first
    if objects:
        return _event('{"a":' * inside + "1" + "}" * inside)
    return _event('{"a":' + "[" * (inside - 1) + "]" * (inside - 1) + "}")


# The body, the code that it is refused with.
_MALFORMED: Final = [
    case("B1", "nothing", b"", "empty"),
    case("B1", "blanks", b" \r\n\t ", "empty"),
    case("B2", "truncated", b'{"type":"a","data":{', "invalid_json"),
    case("B2", "a string that does not end", b'{"type":"a', "invalid_json"),
    case("B2", "a comma too many", b'{"type":"a","data":{},}', "invalid_json"),
    case("B2", "a comment", b'{"type":"a",/* b */"data":{}}', "invalid_json"),
    case("B2", "single quotes", b"{'type':'a','data':{}}", "invalid_json"),
    case("B2", "two documents", b'{"type":"a","data":{}}{}', "invalid_json"),
    case("B2", "no quotes", b'{type:"a","data":{}}', "invalid_json"),
    case("B2", "a leading zero", _event('{"a":01}'), "invalid_json"),
    case("B2", "a sign", _event('{"a":+1}'), "invalid_json"),
    case("B2", "hexadecimal", _event('{"a":0x1}'), "invalid_json"),
    case("B2", "a point without digits", _event('{"a":1.}'), "invalid_json"),
    case("B2", "a line end in a string", _event('{"a":"b\nc"}'), "invalid_json"),
    case("B2", "an unknown escape", _event(r'{"a":"\x41"}'), "invalid_json"),
    case("B2", "blanks of another script", _event("\u00a0{}"), "invalid_json"),
    case("B3", "NaN", _event('{"a":NaN}'), "not_finite"),
    case("B3", "Infinity", _event('{"a":Infinity}'), "not_finite"),
    case("B3", "-Infinity", _event('{"a":[-Infinity]}'), "not_finite"),
    case("B3", "beyond a double", _event('{"a":1e999}'), "not_finite"),
    case("B3", "below", _event('{"a":[{"b":-1e400}]}'), "not_finite"),
    case("B4", "100,000 arrays", b"[" * 100_000, "too_deep"),
    case("B4", "60,000 objects", b'{"":' * 60_000, "too_deep"),
    case("B4", "objects", _nested(JSON_DEPTH_MAX + 1, objects=True), "too_deep"),
    case("B4", "arrays", _nested(JSON_DEPTH_MAX + 1, objects=False), "too_deep"),
    case("B5", "amounts", _event('{"amount":1,"amount":1000}'), "duplicate_key"),
    case("B5", "in the envelope", _event("{}", ',"type":"b"'), "duplicate_key"),
    case("B5", "spelt otherwise", _event(r'{"a":1,"\u0061":2}'), "duplicate_key"),
    case("B5", "deep inside", _event('{"a":[{"b":{"c":0,"d":1,"c":0}}]}'), "duplicate_key"),
    case("B5", "beside colons", _event('{"a":"::","b":1,"b":"::::"}'), "duplicate_key"),
    case("B7", "half a pair", _event(r'{"a":"\ud800"}'), "lone_surrogate"),
    case("B7", "the other half", _event(r'{"a":"\udc00\ud800"}'), "lone_surrogate"),
    case("B7", "half a pair in a key", _event(r'{"\ud800":1}'), "lone_surrogate"),
    case("B7", "no UTF-8", _event('{"a":"b"}').replace(b"b", b"\xff"), "invalid_utf8"),
    case("B7", "overlong", _event('{"a":"b"}').replace(b"b", b"\xc0\xaf"), "invalid_utf8"),
    case("B7", "half a pair as UTF-8", GOOD.replace(b"data", b"\xed\xa0\x80"), "invalid_utf8"),
    case("B7", "UTF-16", _event("{}").decode().encode("utf-16"), "invalid_utf8"),
    case("B7", "UTF-16 without a mark", _event("{}").decode().encode("utf-16-le"), "invalid_json"),
    case("B7", "UTF-32", _event("{}").decode().encode("utf-32"), "invalid_utf8"),
    case("B7", "a byte order mark", b"\xef\xbb\xbf" + _event("{}"), "byte_order_mark"),
    case("B7", "NUL, escaped", _event(r'{"a":"\u0000"}'), "nul"),
    case("B7", "NUL", _event('{"a":"\x00"}'), "invalid_json"),
]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("body", "code"), _MALFORMED)
def test_a_body_without_one_meaning_is_refused(
    served_ground: Ground, route: str, body: bytes, code: str
) -> None:
    """Two parsers that read it differently would tell publisher and receiver different things."""
    target = f"{served_ground.path}/{route}"
    if not body:
        # Without a body at all the routes differ: one that needs none would take it.
        reply = served_ground.refuses(lambda: served_ground.call("POST", target, b""), {400, 422})
        return
    reply = served_ground.refuses(lambda: served_ground.call("POST", target, body), {400})
    [fault] = reply.json["errors"]
    assert fault["code"] == code
    if code == "invalid_json":
        assert "at offset " in fault["detail"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "body",
    [case("B1", word, word.encode()) for word in ("null", "[]", '"x"', "0", "true", "{}")],
)
def test_json_that_is_no_object_is_refused(served_ground: Ground, route: str, body: bytes) -> None:
    """It is JSON, so the publisher is told what is missing and not that it cannot be read."""
    target = f"{served_ground.path}/{route}"
    reply = served_ground.refuses(lambda: served_ground.call("POST", target, body), {422})
    assert reply.json["errors"]


# What stands in data, and is neither read nor changed.
_KEPT: Final = [
    case("B4", "as deep as allowed", '{"a":' * 31 + "1" + "}" * 31),
    case("B4", "brackets in a string", '{"a":"' + "[{" * 5_000 + '"}'),
    case("B6", "beyond 53 bits", '{"a":9007199254740993}'),
    case("B6", "4,400 digits", '{"a":' + "1" * 4_400 + "}"),
    case("B6", "a whole number with a point", '{"a":1.0}'),
    case("B6", "an exponent", '{"a":1e2,"b":1E+2,"c":1e-400}'),
    case("B6", "minus zero", '{"a":-0,"b":-0.0}'),
    case("B8", "names that mean something", '{"__proto__":{},"constructor":0,"":1,"a~/b":2}'),
    case("B8", "a name of 10 KB", '{"' + "k" * 10_000 + '":1}'),
    case("B8", "10,000 names", "{" + ",".join(f'"k{n}":0' for n in range(10_000)) + "}"),
    case("B10", "right to left", '{"a":"\u202e\u2066evil\u2069"}'),
    case("B10", "no width", '{"a":"\u200b\u200d\ufeff","b":"\U0001f468\u200d\U0001f469"}'),
    case("B10", "terminal", r'{"a":"\u001b[31m\u0007\r\n"}'),
    case("B10", "spacing and escapes", '{ "a" :\t"\\u00e9\\/" ,\r\n "b":"\u00e9" }'),
    case("B11", "members nobody knows", '{"anything":{"type":1,"data":2}}'),
    case("B15", "money as a float", '{"amount":12.30,"currency":"usd"}'),
    case("B15", "money as text", '{"amount":"12.30","currency":"ZZZ"}'),
    case("B15", "no money of this world", '{"amount":-10000000000000000000,"currency":"XTS"}'),
]


@pytest.mark.parametrize("data", _KEPT)
def test_what_is_in_data_is_kept_as_it_came(served_ground: Ground, data: str) -> None:
    """The publisher's data is the publisher's: every value, spelling and order of it."""
    target = f"{served_ground.path}/events"
    with served_ground.unharmed(stores=True):
        reply = served_ground.call("POST", target, _event(data))
        assert reply.status == 202, reply.body
        read_back = served_ground.call("GET", f"{target}/{reply.json['id']}")
        assert b'"data":' + data.encode() + b"," in read_back.body


# Member by member: what is read must be what it says it is.
_TYPED: Final = [
    case("B6", "a float for an integer", "rotate-secret", '{"grace_s":1.0}'),
    case("B6", "an exponent for an integer", "rotate-secret", '{"grace_s":1e2}'),
    case("B6", "an integer beyond every bound", "rotate-secret", '{"grace_s":' + "9" * 30 + "}"),
    case("B6", "more digits than are read", "rotate-secret", '{"grace_s":' + "9" * 4_400 + "}"),
    case("B6", "text for an integer", "rotate-secret", '{"grace_s":"1"}'),
    case("B6", "true for an integer", "rotate-secret", '{"grace_s":true}'),
    case("B6", "a timeout beyond doubles", "", f'{{"timeout_s":{_HUGE}}}'),
    case("B6", "a limit beyond doubles", "", f'{{"rate_limit":{_HUGE}}}'),
    case("B6", "waits beyond doubles", "", f'{{"retry_policy":[{_HUGE}]}}'),
    case("B6", "pace beyond doubles", "replays", f'{{"include":["failed"],"rate_per_s":{_HUGE}}}'),
    case("B8", "a name nobody knows", "", '{"__proto__":{"label":"x"}}'),
    case("B8", "an empty name", "", '{"":1}'),
    case("B8", "a name of 10 KB", "", '{"' + CANARY * 500 + '":1}'),
    case("B11", "a slip of the pen", "", '{"lable":"x"}'),
    case("B11", "inside", "", '{"authentication":{"type":"bearer","token":"t","user":"u"}}'),
]  # fmt: skip


@pytest.mark.parametrize(("action", "body"), _TYPED)
def test_a_member_that_is_not_what_it_should_be_is_refused(
    served_ground: Ground, endpoint_id: str, action: str, body: str
) -> None:
    """Guessing what somebody meant is how amounts change."""
    target = f"{served_ground.path}/endpoints/{endpoint_id}"
    method = "PATCH"
    if action:
        method, target = "POST", f"{target}/{action}"
    if action == "replays":
        target = f"{served_ground.path}/replays"
    reply = served_ground.refuses(
        lambda: served_ground.call(method, target, body.encode()), {400, 422}
    )
    assert len(reply.body) < 1_000


@pytest.mark.shows("B11")
@pytest.mark.parametrize("route", ["events", "replays", "keys", "endpoints", "events/batch"])
def test_an_unknown_member_is_named_as_such(served_ground: Ground, route: str) -> None:
    """A typo that is ignored is a setting that does not hold."""
    body = json.dumps({"lable": CANARY, CANARY: 1}).encode()
    target = f"{served_ground.path}/{route}"
    reply = served_ground.refuses(lambda: served_ground.call("POST", target, body), {422})
    told = {(fault["pointer"], fault["code"]) for fault in reply.json["errors"]}
    assert ("/lable", "unknown_field") in told


# The size of the whole body, the status.
_SIZES: Final = [
    case("B9", "one byte less", EVENT_BODY_BYTES_MAX - 1, 202),
    case("B9", "the limit", EVENT_BODY_BYTES_MAX, 202),
    case("B9", "one byte more", EVENT_BODY_BYTES_MAX + 1, 413),
    case("B9", "5 MB", 5_000_000, 413),
]


@pytest.mark.parametrize(("size", "status"), _SIZES)
@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "in chunks"])
def test_the_size_of_a_body_has_one_limit(
    served_ground: Ground, size: int, status: int, *, chunked: bool
) -> None:
    """The limit in the docs is the limit, to the byte, however the body comes."""
    frame = b'{"type":"payment_succeeded","data":{"a":""}}'
    body = frame.replace(b'""', b'"' + b"x" * (size - len(frame)) + b'"')
    assert len(body) == size
    line = "transfer-encoding: chunked" if chunked else f"content-length: {size}"
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (size, body) if chunked else body
    served_ground.refuses(
        lambda: served_ground.raw(served_ground.head(line), sent), {status}, stores=status == 202
    )


@pytest.mark.shows("B9")
def test_a_body_that_does_not_end_is_told_so_and_cut(served_ground: Ground) -> None:
    """A gigabyte, streamed, costs the limit, and then some reading for the sake of the answer."""
    sent = 0
    with served_ground.unharmed(), served_ground.connect() as connection:
        connection.sendall(served_ground.head("transfer-encoding: chunked"))
        while sent < _STREAMED_BYTES and not select.select([connection], [], [], 0)[0]:
            sent += connection.send(_CHUNK)
        assert sent < EVENT_BODY_BYTES_MAX * 20
        served_ground.judge(read(connection), {413})
        with contextlib.suppress(ConnectionError):
            while sent < _STREAMED_BYTES:
                sent += connection.send(_CHUNK)
        assert sent < _STREAMED_BYTES


# What the body claims to be, the status.
_CLAIMS: Final = [
    case("B13", "nothing", None, 415),
    case("B13", "plain text", "text/plain", 415),
    case("B13", "UTF-16", "application/json; charset=utf-16", 415),
    case("B13", "UTF-8", 'application/json;charset="UTF-8"', 202),
    case("B13", "a kind of JSON", "application/vnd.x+json", 202),
    case("B13", "text/json", "text/json", 415),
    case("B13", "only looks like it", "application/jsonp", 415),
    case("B14", "a form", "application/x-www-form-urlencoded", 415),
    case("B14", "a form with files", "multipart/form-data; boundary=x", 415),
    case("B14", "in capitals", "TEXT/PLAIN", 415),
]


@pytest.mark.parametrize(("claim", "status"), _CLAIMS)
@pytest.mark.parametrize("route", ROUTES)
def test_a_body_must_claim_to_be_json(
    served_ground: Ground, route: str, claim: str | None, status: int
) -> None:
    """What a page of another site can make a browser send is none of these claims."""
    said = b"content-type: application/json\r\n"
    wanted = b"" if claim is None else f"content-type: {claim}\r\n".encode()
    head = served_ground.head(
        f"content-length: {len(GOOD)}", target=f"{served_ground.path}/{route}"
    ).replace(said, wanted)
    # The body is a good event, so that other routes refuse it for what it is.
    allowed = {status} if route == "events" or status == 415 else {422}
    served_ground.refuses(lambda: served_ground.raw(head, GOOD), allowed, stores=status == 202)


@pytest.fixture(scope="module")
def endpoint_id(served_ground: Ground) -> str:
    """Return an endpoint that is paused, so that nothing is sent anywhere."""
    target = f"{served_ground.path}/endpoints"
    body = {"label": "A", "url": "https://example.com/a", "events": ["nothing.else"]}
    made: str = served_ground.api.post(target, body)["id"]
    served_ground.api.post(f"{target}/{made}/pause")
    return made
