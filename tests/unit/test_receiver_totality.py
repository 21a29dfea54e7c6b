"""The receiver SDK in every dialect: total on garbage, and able to say what is wrong."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.signed_requests import (
    SECRET,
    SENT_AT,
    request_of,
    signed_body,
)

from payhooks.dialects.treezor_signature import unsigned
from payhooks.receiver import Code, VerificationError, verify
from payhooks.receiver.__main__ import EXIT_REFUSED, EXIT_VERIFIED, main
from payhooks.receiver.dialects import DIALECTS
from payhooks.receiver.explain import Step, explain
from payhooks.receiver.ways import Request

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


NAMES = sorted({name for dialect in DIALECTS.values() for name in dialect.way.headers})


@pytest.mark.shows("V52")
@every_dialect
@given(
    headers=st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text()), st.text()),
    body=st.binary(),
)
def test_garbage_is_a_verification_error_and_nothing_else(
    dialect: str, headers: dict[str, str], body: bytes
) -> None:
    """A receiver that answers 500 to a forgery wakes somebody up."""
    with pytest.raises(VerificationError):
        verify(body, headers, SECRET, dialect=dialect, now=SENT_AT)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(
    [
        "type",
        "timestamp",
        "data",
        "id",
        "time",
        "subject",
        "specversion",
        "uuid",
        "observation",
        "created",
        "object",
        "event_id",
        "event_type",
        "event_body",
        "event_triggered",
        "content",
        "webhook",
        "webhook_id",
        "webhook_created_at",
        "object_id",
        "transfer",
        "order",
        "event",
    ]
)


@pytest.mark.shows("V52")
@every_dialect
@given(content=st.dictionaries(MEMBERS, st.dictionaries(MEMBERS, JSON) | JSON))
def test_signed_garbage_ends_in_an_event_or_the_one_error(
    dialect: str, content: dict[str, object]
) -> None:
    """What the sender signs may still be nonsense."""
    text = json.dumps(content, separators=(",", ":"))
    body = text.encode()
    if dialect == "treezor":
        body = unsigned(head=f'{{"rest":{text}', payload=text, webhook_id="1" * 36)
    code = Code.NOT_JSON
    try:
        request = signed_body(dialect, body)
        event = verify(request.body, request.headers, SECRET, dialect=dialect, now=SENT_AT)
        assert f"{event.id} {event.type}".encode()
    except VerificationError as error:
        code = error.code
    assert code is Code.NOT_JSON


def _explained(dialect: str, request: Request, *, of: str | None = None) -> dict[str, Step]:
    steps = explain(request.body, request.headers, [SECRET], now=SENT_AT, dialect=of or dialect)
    return {step.name: step for step in steps}


@pytest.mark.shows("V57")
@every_dialect
def test_every_step_passes_on_a_good_request(dialect: str) -> None:
    steps = _explained(dialect, request_of(dialect))
    assert all(step.passed for step in steps.values())
    assert steps[DIALECTS[dialect].way.place].words == "matches"
    assert "payment.done" in steps["body"].words


# Of treezor only the payload inside the body is signed.
@pytest.mark.shows("V57")
@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "treezor"])
def test_names_what_changed_the_body(dialect: str) -> None:
    """The commonest trouble of all receivers."""
    request = request_of(dialect)
    steps = _explained(dialect, Request(request.body + b"\n", request.headers))
    failed = {name: step.words for name, step in steps.items() if not step.passed}
    assert list(failed) == [DIALECTS[dialect].way.place]
    assert "without the line feed" in failed[DIALECTS[dialect].way.place]


@pytest.mark.shows("V57")
@pytest.mark.parametrize(
    ("dialect", "chosen"),
    [
        (dialect, chosen)
        for dialect in DIALECTS
        for chosen in ("standard", "owlpay", "owngateway", "treezor")
        # What is signed the same way, or with the same headers, looks the same.
        if DIALECTS[dialect].way != DIALECTS[chosen].way
        and (dialect, chosen) != ("cloudevents", "standard")
    ],
)
def test_names_the_dialect_that_it_looks_like(dialect: str, chosen: str) -> None:
    """Somebody who asks in the wrong dialect must hear the right one."""
    steps = _explained(dialect, request_of(dialect), of=chosen)
    assert dialect in steps["dialect"].words


@pytest.mark.shows("V57")
@every_dialect
@given(body=st.binary(), headers=st.dictionaries(st.sampled_from(NAMES), st.text()))
def test_explains_whatever_was_captured(dialect: str, body: bytes, headers: dict[str, str]) -> None:
    """A tool for broken requests must not break on them."""
    steps = explain(body, headers, [SECRET], now=SENT_AT, dialect=dialect)
    assert not all(step.passed for step in steps)


@pytest.mark.shows("V57")
@every_dialect
def test_the_command_verifies_a_capturedrequest_of(
    dialect: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For somebody who has no server at hand, only what was captured."""
    request = request_of(dialect)
    (tmp_path / "headers").write_text(json.dumps(request.headers))
    (tmp_path / "body").write_bytes(request.body)
    files = ["--headers", str(tmp_path / "headers"), "--body", str(tmp_path / "body")]
    arguments = ["verify", "--dialect", dialect, "--secret", SECRET, "--any-age", *files]
    assert main(arguments) == EXIT_VERIFIED
    (tmp_path / "body").write_bytes(request.body.replace(b"pay_1", b"pay_2"))
    assert main(arguments) == EXIT_REFUSED
    assert SECRET not in capsys.readouterr().out
