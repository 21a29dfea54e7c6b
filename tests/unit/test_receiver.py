"""The receiver SDK: accepts what is real, says why it refuses, and never raises anything else."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import standardwebhooks
from hypothesis import example, given
from hypothesis import strategies as st

from payhooks.dialects.standard import STANDARD
from payhooks.receiver import Code, Event, VerificationError, Verifier, verify

VECTORS = Path(__file__).parents[1] / "vectors" / "standard"
V1A = json.loads((VECTORS / "v1a.json").read_text())["cases"][0]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = STANDARD.new_secret(bytes(range(32)))
NOW = datetime(2030, 1, 1, tzinfo=UTC)
BODY = (
    b'{"type":"payment_intent.succeeded","timestamp":"2029-12-31T23:59:59.000001Z",'
    b'"data":{"amount":1.10}}'
)


def _headers(
    body: bytes = BODY, *secrets: str, now: datetime = NOW, message_id: str = "del_1"
) -> dict[str, str]:
    keys = [STANDARD.signing_secret(text) for text in secrets or (SECRET,)]
    return dict(STANDARD.sign(message_id=message_id, body=body, secrets=keys, now=now).headers)


HEADERS = _headers()
# As those call it who check no types.
UNTYPED_VERIFY: Callable[..., object] = verify
UNTYPED_VERIFIER: Callable[..., object] = Verifier
GOOD = HEADERS["webhook-signature"]


def _code(body: bytes, headers: Mapping[str, str], secret: str | list[str] = SECRET) -> Code:
    with pytest.raises(VerificationError) as caught:
        verify(body, headers, secret, now=NOW)
    return caught.value.code


# --- accepts ---------------------------------------------------------------------------


def test_returns_the_event() -> None:
    event = verify(BODY, {**HEADERS, "webhook-attempt": "3"}, SECRET, now=NOW)
    assert event == Event(
        id="del_1",
        type="payment_intent.succeeded",
        timestamp=datetime(2029, 12, 31, 23, 59, 59, 1, tzinfo=UTC),
        data={"amount": 1.10},
        raw=BODY,
        attempt=3,
        ordered_at=datetime(2029, 12, 31, 23, 59, 59, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize("attempt", ["", "-1", "x", "٣", "9" * 5000])
def test_a_strange_attempt_is_no_attempt(attempt: str) -> None:
    """It is not signed, so it must not decide anything."""
    assert verify(BODY, {**HEADERS, "webhook-attempt": attempt}, SECRET, now=NOW).attempt is None


def test_headers_may_be_spelled_as_the_framework_spells_them() -> None:
    """Some capitalise, some give bytes."""
    verify(BODY, {name.title(): value for name, value in HEADERS.items()}, SECRET, now=NOW)
    raw = {name.encode(): value.encode() for name, value in HEADERS.items()}
    verify(BODY, raw, SECRET, now=NOW)


@pytest.mark.parametrize("body", [bytearray(BODY), memoryview(BODY)])
def test_any_kind_of_bytes_will_do(body: bytearray | memoryview) -> None:
    event = UNTYPED_VERIFY(body, HEADERS, SECRET, now=NOW)
    assert isinstance(event, Event)
    assert event.raw == BODY


@pytest.mark.parametrize("kept", [SECRET, OLD_SECRET])
def test_either_secret_matches_during_a_rotation(kept: str) -> None:
    """On both sides: ours signs with both, theirs accepts both."""
    both = _headers(BODY, SECRET, OLD_SECRET)
    verify(BODY, both, kept, now=NOW)
    verify(BODY, _headers(BODY, kept), [SECRET, OLD_SECRET], now=NOW)


def test_a_public_key_verifies_v1a() -> None:
    """What leaks from a receiver then signs nothing."""
    headers = _headers(BODY, V1A["secret"])
    verify(BODY, headers, V1A["verifying_secret"], now=NOW)
    assert _code(BODY + b" ", headers, V1A["verifying_secret"]) is Code.NO_MATCH


def test_v1a_base64_with_loose_ends_is_refused() -> None:
    """Bits that decoding drops would give one signature several spellings."""
    headers = _headers(BODY, V1A["secret"])
    signature = headers["webhook-signature"]
    loose = signature.removesuffix(signature[-3:]) + chr(ord(signature[-3]) + 1) + "=="
    headers["webhook-signature"] = loose
    assert _code(BODY, headers, V1A["verifying_secret"]) is Code.NO_MATCH


def test_a_source_key_verifies_what_it_signed() -> None:
    """A merchant that chose a Source Key has only its text."""
    verify(BODY, _headers(BODY, "phk_sandbox_x"), "phk_sandbox_x", now=NOW)


@pytest.mark.parametrize("skew_s", [-300, 0, 300])
def test_accepts_up_to_the_very_edge_of_the_tolerance(skew_s: int) -> None:
    """Published as five minutes, so five minutes must work."""
    verify(BODY, HEADERS, SECRET, now=NOW + timedelta(seconds=skew_s))


def test_uses_the_machines_clock_when_given_none() -> None:
    """As everybody calls it."""
    with pytest.raises(VerificationError) as caught:
        verify(BODY, _headers(now=NOW - timedelta(days=10_000)), SECRET)
    assert caught.value.code is Code.TIMESTAMP_TOO_OLD


# --- refuses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"webhook-id": "other"}, Code.NO_MATCH, id="other id"),
        pytest.param({"webhook-id": ""}, Code.MALFORMED_HEADER, id="empty id"),
        pytest.param({"webhook-id": "a.1"}, Code.MALFORMED_HEADER, id="an id with a dot"),
        pytest.param({"webhook-id": "a" * 256}, Code.MALFORMED_HEADER, id="a long id"),
        pytest.param({"Webhook-Id": "b"}, Code.MALFORMED_HEADER, id="two ids"),
        pytest.param({"webhook-timestamp": "nan"}, Code.MALFORMED_HEADER, id="nan"),
        pytest.param({"webhook-timestamp": "-1"}, Code.MALFORMED_HEADER, id="minus one"),
        pytest.param({"webhook-timestamp": "١٦"}, Code.MALFORMED_HEADER, id="arabic digit"),
        pytest.param({"webhook-timestamp": "9" * 13}, Code.MALFORMED_HEADER, id="huge"),
        pytest.param({"webhook-timestamp": "9" * 12}, Code.TIMESTAMP_TOO_NEW, id="far ahead"),
        pytest.param({"webhook-timestamp": "1893455699"}, Code.TIMESTAMP_TOO_OLD, id="late"),
        pytest.param({"webhook-timestamp": "1893456301"}, Code.TIMESTAMP_TOO_NEW, id="early"),
        pytest.param({"webhook-signature": ""}, Code.MALFORMED_HEADER, id="no signature"),
        pytest.param({"webhook-signature": "garbage"}, Code.MALFORMED_HEADER, id="no version"),
        pytest.param({"webhook-signature": "v2,abc"}, Code.UNSUPPORTED_SCHEME, id="v2 alone"),
        pytest.param({"webhook-signature": "v1,"}, Code.NO_MATCH, id="empty"),
        pytest.param({"webhook-signature": "v1,a,b"}, Code.NO_MATCH, id="two commas"),
        pytest.param({"webhook-signature": GOOD[:-1]}, Code.NO_MATCH, id="one cut off"),
        pytest.param({"webhook-signature": GOOD + "="}, Code.NO_MATCH, id="one too many"),
        pytest.param({"webhook-signature": f"v1,x v1a{GOOD[2:]}"}, Code.NO_MATCH, id="as v1a"),
        pytest.param({"webhook-signature": "v1,\udcff"}, Code.NO_MATCH, id="undecodable"),
        pytest.param(
            {"webhook-signature": "v1,x " * 99 + GOOD}, Code.MALFORMED_HEADER, id="a hundred"
        ),
    ],
)
def test_refuses_with_a_code(change: dict[str, str], code: Code) -> None:
    """The code is for counters: a wave of too_old is a clock, a wave of no_match a secret."""
    assert _code(BODY, {**HEADERS, **change}) is code


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_names_the_header_that_is_missing(name: str) -> None:
    headers = {key: value for key, value in HEADERS.items() if key != name}
    with pytest.raises(VerificationError, match=name) as caught:
        verify(BODY, headers, SECRET, now=NOW)
    assert caught.value.code is Code.MISSING_HEADER


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"type":"a","timestamp":"2030-01-01T00:00:00Z"}', id="no data"),
        pytest.param(b'{"type":"","timestamp":"2030-01-01T00:00:00Z","data":1}', id="no type"),
        pytest.param(b'{"type":1,"timestamp":"2030-01-01T00:00:00Z","data":1}', id="type 1"),
        pytest.param(b'{"type":"a","timestamp":"2030-01-01","data":1}', id="no zone"),
        pytest.param(b'{"type":"a","timestamp":5,"data":1}', id="a number for a time"),
        pytest.param(b'{"type":"a","timestamp":"2030-01-01T00:00:00Z","data":NaN}', id="NaN"),
        pytest.param(
            b'{"type":"a","timestamp":"9999-12-31T23:59:59-23:00","data":1}', id="after all time"
        ),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"1" * 5_000, id="a number without end"),
        pytest.param(b"\xff", id="not UTF-8"),
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    """A sender's mistake must not become an unhandled exception of the receiver."""
    assert _code(body, _headers(body)) is Code.NOT_JSON


def test_a_large_body_is_refused_before_it_is_hashed() -> None:
    with pytest.raises(VerificationError) as caught:
        Verifier(SECRET, max_body=10).verify(BODY, HEADERS, now=NOW)
    assert caught.value.code is Code.BODY_TOO_LARGE


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("", id="empty"),
        pytest.param([], id="none"),
        pytest.param([SECRET] * 11, id="eleven"),
        pytest.param(SECRET + "\n", id="a line feed from a file"),
        pytest.param("whsec_MfKQ9r8GKYqr", id="half of it"),
        pytest.param("whsec_!", id="not base64"),
        pytest.param("whsec_\udcff", id="undecodable"),
        pytest.param(V1A["secret"], id="the private key"),
        pytest.param("whpk_" + base64.b64encode(bytes(31)).decode(), id="a short public key"),
        pytest.param("phk_é", id="a key no API has"),
    ],
)
def test_says_so_when_the_secret_is_not_one(secret: str | list[str]) -> None:
    """Otherwise every request would look forged."""
    assert _code(BODY, HEADERS, secret) is Code.MALFORMED_SECRET


@pytest.mark.parametrize(
    ("secret", "words"), [(SECRET + "\n", "Strip"), (V1A["secret"], "private key")]
)
def test_the_hint_names_the_usual_mistakes(secret: str, words: str) -> None:
    """A file ends in a line feed; two keys look alike."""
    with pytest.raises(VerificationError) as caught:
        verify(BODY, HEADERS, secret, now=NOW)
    assert words in caught.value.hint
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "headers", "secret", "now", "words"),
    [
        pytest.param({}, HEADERS, SECRET, NOW, "not parsed JSON", id="parsed"),
        pytest.param(BODY.decode(), HEADERS, SECRET, NOW, "not text", id="decoded"),
        pytest.param(BODY, list(HEADERS.items()), SECRET, NOW, "mapping", id="headers as pairs"),
        pytest.param(BODY, {"webhook-id": 1}, SECRET, NOW, "mapping", id="a number in headers"),
        pytest.param(BODY, HEADERS, SECRET.encode(), NOW, "text", id="secret as bytes"),
        pytest.param(BODY, HEADERS, [None], NOW, "text", id="no secret"),
        pytest.param(BODY, HEADERS, SECRET, NOW.replace(tzinfo=None), "zone", id="naive"),
        pytest.param(BODY, HEADERS, SECRET, 5, "zone", id="now as a number"),
    ],
)
def test_mistakes_of_the_calling_code_are_type_errors(
    body: object, headers: object, secret: object, now: object, words: str
) -> None:
    """They belong to a developer, not into a 401."""
    with pytest.raises(TypeError, match=words):
        UNTYPED_VERIFY(body, headers, secret, now=now)


def test_the_verifier_checks_its_arguments_too() -> None:
    with pytest.raises(TypeError, match="timedelta"):
        UNTYPED_VERIFIER(SECRET, tolerance=300)
    with pytest.raises(TypeError, match="bytes"):
        UNTYPED_VERIFIER(SECRET, max_body="1")


# --- total, and the same as others -----------------------------------------------------


@given(
    headers=st.dictionaries(st.one_of(st.sampled_from(sorted(HEADERS)), st.text()), st.text()),
    body=st.binary(),
)
def test_garbage_is_a_verification_error_and_nothing_else(
    headers: dict[str, str], body: bytes
) -> None:
    """A receiver that answers 500 to a forgery wakes somebody up."""
    with pytest.raises(VerificationError):
        verify(body, headers, [SECRET, V1A["verifying_secret"]], now=NOW)


@given(signature=st.text(), message_id=st.text(), version=st.sampled_from(["v1,", "v1a,", ""]))
@example(signature="\udcff", message_id="\ud800", version="v1a,")
def test_garbage_behind_a_good_timestamp_too(signature: str, message_id: str, version: str) -> None:
    """The garbage above rarely gets past the timestamp; this does."""
    headers = {**HEADERS, "webhook-signature": version + signature, "webhook-id": message_id}
    with pytest.raises(VerificationError):
        verify(BODY, headers, [SECRET, V1A["verifying_secret"]], now=NOW)


@given(body=st.one_of(st.binary(), st.text().map(str.encode)))
def test_signed_garbage_too(body: bytes) -> None:
    """What the sender signs may still be nonsense."""
    with pytest.raises(VerificationError):
        verify(body, _headers(body), SECRET, now=NOW)


@given(secret=st.text())
@example(secret="whsec_\ud800")
@example(secret="whpk_=")
def test_any_text_as_secret_too(secret: str) -> None:
    """It comes from an environment somebody typed."""
    with pytest.raises(VerificationError):
        verify(BODY, HEADERS, secret, now=NOW)


@given(
    position=st.integers(0, len(BODY) - 1),
    bit=st.sampled_from([0, 1, 2, 4, 8, 16, 32, 64]),
    wrong_secret=st.booleans(),
)
def test_agrees_with_another_implementation(position: int, bit: int, *, wrong_secret: bool) -> None:
    """On the valid (bit 0) and the invalid; theirs takes only the machine's clock."""
    now = datetime.now(UTC)  # noqa: TID251 - see above
    headers = _headers(now=now)
    body = bytearray(BODY)
    body[position] ^= bit
    secret = OLD_SECRET if wrong_secret else SECRET
    try:
        standardwebhooks.Webhook(secret).verify(bytes(body), headers, json_parse=False)
        theirs = True
    except standardwebhooks.WebhookVerificationError:
        theirs = False
    try:
        verify(bytes(body), headers, secret, now=now)
        ours = True
    except VerificationError:
        ours = False
    assert ours == theirs == (bit == 0 and not wrong_secret)


def test_accepts_what_another_implementation_signed() -> None:
    """Our verifier serves receivers of other senders too."""
    signature = standardwebhooks.Webhook(SECRET).sign("m", NOW, BODY.decode())
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": signature,
    }
    verify(BODY, headers, SECRET, now=NOW)


def _bare_python(code: str) -> str:
    source = Path(__file__).parents[2] / "src"
    # -S: without site-packages, so that anything else would not even be found.
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own words
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(source)!r}); {code}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_needs_nothing_but_the_standard_library() -> None:
    """It goes into merchants' applications, beside whatever versions they have."""
    code = (
        "import payhooks.receiver, payhooks.receiver.__main__, payhooks.publisher;"
        # _sysconfigdata… is Python's own; its name has the platform in it.
        "names = {n.split('.')[0] for n in sys.modules if not n.startswith('_sysconfigdata')};"
        "foreign = names - sys.stdlib_module_names;"
        "print(sorted(foreign - {'payhooks', '__main__'}))"
    )
    assert _bare_python(code) == "[]"


def test_says_what_a_public_key_needs() -> None:
    """Ed25519 is not in the standard library; an ImportError would not say what to do."""
    code = (
        "from payhooks.receiver import Verifier, VerificationError\n"
        f"try: Verifier({V1A['verifying_secret']!r})\n"
        "except VerificationError as error: print(error)"
    )
    printed = _bare_python(code)
    assert printed.startswith("unsupported_scheme: ")
    assert "pip install cryptography" in printed
