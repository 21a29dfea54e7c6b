"""The receiver SDK in every dialect: accepts what the sender signed, refuses all else."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

import pytest
from tests.support.signed_requests import (
    OTHER_SECRET,
    SECRET,
    SENT_AT,
    request_of,
    signed_body,
)

from payhooks.dialects.treezor_signature import unsigned
from payhooks.receiver import Code, VerificationError, Verifier, verify
from payhooks.receiver.dialects import DIALECTS
from payhooks.receiver.ways import Request

TIMELESS = [name for name, dialect in DIALECTS.items() if not dialect.way.signs_time]
UNTYPED_VERIFIER: Callable[..., object] = Verifier
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def _code(dialect: str, request: Request, *, now: datetime = SENT_AT) -> Code:
    with pytest.raises(VerificationError) as caught:
        verify(request.body, request.headers, SECRET, dialect=dialect, now=now)
    return caught.value.code


@every_dialect
def test_refuses_another_secrets_signature(dialect: str) -> None:
    request = request_of(dialect)
    with pytest.raises(VerificationError) as caught:
        verify(request.body, request.headers, [OTHER_SECRET], dialect=dialect, now=SENT_AT)
    assert caught.value.code is Code.NO_MATCH


@every_dialect
def test_either_secret_will_do_while_one_replaces_the_other(dialect: str) -> None:
    request = request_of(dialect)
    verify(request.body, request.headers, [OTHER_SECRET, SECRET], dialect=dialect, now=SENT_AT)


@every_dialect
def test_refuses_a_signature_that_is_missing(dialect: str) -> None:
    """An unsigned request is not "unsigned mode": whoever wants none does not verify."""
    request = request_of(dialect)
    body = request.body.replace(b'"object_payload_signature":', b'"object_payload_signed":')
    assert _code(dialect, Request(body, {})) is Code.MISSING_HEADER


@every_dialect
def test_one_changed_bit_of_what_is_signed_is_refused(dialect: str) -> None:
    """Every one of them: a flip that is accepted is a payment of another amount."""
    request = request_of(dialect)
    signed_part = (0, len(request.body))
    if dialect == "treezor":
        start = request.body.index(b'"object_payload":') + len(b'"object_payload":')
        signed_part = (start, request.body.index(b',"webhook_id"'))
    random = Random(1)
    for _ in range(200):
        body = bytearray(request.body)
        body[random.randrange(*signed_part)] ^= 1 << random.randrange(8)
        with pytest.raises(VerificationError):
            verify(bytes(body), request.headers, SECRET, dialect=dialect, now=SENT_AT)


@every_dialect
def test_an_old_request_is_refused_where_a_time_is_signed(dialect: str) -> None:
    """Where none is, a captured request can be shown again: dedupe by its id."""
    later = SENT_AT + timedelta(minutes=5, seconds=1)
    if dialect not in TIMELESS:
        assert _code(dialect, request_of(dialect), now=later) is Code.TIMESTAMP_TOO_OLD
        return
    request = request_of(dialect)
    verify(request.body, request.headers, SECRET, dialect=dialect, now=later)


@pytest.mark.parametrize("dialect", TIMELESS)
def test_a_tolerance_that_nothing_could_be_held_against_is_a_mistake(dialect: str) -> None:
    """It would promise a protection that is not there."""
    with pytest.raises(TypeError, match="signs no time"):
        Verifier(SECRET, dialect=dialect, tolerance=timedelta(minutes=1))


@pytest.mark.parametrize(
    ("dialect", "words"),
    [("stadnard", "Did you mean standard"), ("xyz", "There are: standard"), (5, "a name")],
)
def test_an_unknown_dialect_is_a_mistake_of_the_calling_code(dialect: object, words: str) -> None:
    """Not of the request: a 401 for each would hide it for days."""
    with pytest.raises(TypeError, match=words):
        UNTYPED_VERIFIER(SECRET, dialect=dialect)


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "standard"])
@pytest.mark.parametrize(
    "secret", ["short", "x" * 257, "with space", "ümlaut-key", "whpk_12345678"]
)
def test_says_so_when_the_secret_is_not_one(dialect: str, secret: str) -> None:
    """Otherwise every request would look forged."""
    with pytest.raises(VerificationError) as caught:
        Verifier(secret, dialect=dialect)
    assert caught.value.code is Code.MALFORMED_SECRET
    assert secret not in str(caught.value)


@every_dialect
@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{}", b"[" * 100_000],
    ids=["empty", "array", "null", "nothing in it", "deep"],
)
def test_a_signed_body_that_is_no_event_is_refused(dialect: str, body: bytes) -> None:
    """A sender's mistake must not become an unhandled exception of the receiver."""
    if dialect == "treezor":
        # Only what has a place for a signature can be signed.
        payload = body.decode() or "{}"
        body = unsigned(head='{"webhook":"a"', payload=payload, webhook_id="1" * 36)
    request = signed_body(dialect, body)
    assert _code(dialect, request) is Code.NOT_JSON


def test_treezors_object_must_be_the_one_that_was_signed() -> None:
    """What stands beside the payload is not signed: a forger may write another id there."""
    request = request_of("treezor")
    assert b'"object_id":"pay_1"' in request.body
    forged = request.body.replace(b'"object_id":"pay_1"', b'"object_id":"pay_2"')
    assert _code("treezor", Request(forged, {})) is Code.NOT_JSON


@pytest.mark.parametrize("name", ["webhook", "object"])
def test_treezors_kind_must_be_the_one_that_was_signed(name: str) -> None:
    """A signed refund that is called a payin would be money of another direction."""
    body = unsigned(
        head='{"webhook":"payin.update","object":"payin"',
        payload='{"payins":[{"payinId":"1"}]}',
        webhook_id="1" * 36,
    )
    request = signed_body("treezor", body)
    verify(request.body, {}, SECRET, dialect="treezor")
    forged = re.sub(f'"{name}":"payin'.encode(), f'"{name}":"payinrefund'.encode(), request.body)
    assert _code("treezor", Request(forged, {})) is Code.NOT_JSON


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "x" * 513, ""])
def test_an_id_that_no_table_could_hold_is_refused(text: str) -> None:
    """Otherwise the mark of ``once`` fails, with each delivery anew."""
    body = f'{{"id":"{text}","type":"a","created":1,"data":{{"object":{{}}}}}}'.encode()
    assert _code("stripe", signed_body("stripe", body)) is Code.NOT_JSON


def test_treezors_payload_must_be_there_once() -> None:
    """Of two, one could be checked and the other read."""
    body = request_of("treezor").body[:-1] + b',"object_payload":{"payments":[]}}'
    assert _code("treezor", Request(body, {})) is Code.NOT_JSON


def test_treezors_signature_survives_reformatting() -> None:
    """Frameworks hand over JSON that they wrote again; what PHP signed can be found in it."""
    request = request_of("treezor")
    pretty = json.dumps(json.loads(request.body), indent=2, ensure_ascii=False).encode()
    verify(pretty, {}, SECRET, dialect="treezor", now=SENT_AT)
