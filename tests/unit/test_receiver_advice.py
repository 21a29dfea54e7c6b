"""What the command line advises is what docs/verification.md says, for every error."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from payhooks.dialects.standard import STANDARD
from payhooks.receiver import Code
from payhooks.receiver.__main__ import EXIT_REFUSED, main
from payhooks.receiver.advice import DECISIONS, advice_on
from payhooks.receiver.explain import explain

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "QUJD" * 8
NOW = datetime(2030, 1, 1, tzinfo=UTC)
BODY = b'{"type":"a.b","timestamp":"2030-01-01T00:00:00Z","data":{}}'


def _headers() -> dict[str, str]:
    secrets = [STANDARD.signing_secret(SECRET)]
    return dict(STANDARD.sign(message_id="del_1", body=BODY, secrets=secrets, now=NOW).headers)


@pytest.mark.parametrize("code", Code)
def test_there_is_advice_on_every_error(code: Code) -> None:
    """Whoever is told no and nothing else turns the check off."""
    assert advice_on(code)


@pytest.mark.shows("V57")
def test_a_failed_step_says_what_to_ask_and_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The words of the docs stand where the trouble is."""
    (tmp_path / "headers").write_text("\n".join(f"{n}: {v}" for n, v in _headers().items()))
    (tmp_path / "body").write_bytes(BODY)
    files = ["--headers", str(tmp_path / "headers"), "--body", str(tmp_path / "body")]
    assert main(["verify", "--any-age", "--secret", OTHER, *files]) == EXIT_REFUSED
    printed = capsys.readouterr().out
    asked = [decision for decision in DECISIONS if Code.NO_MATCH in decision.codes]
    assert len(asked) == 3
    for decision in asked:
        assert f"        {decision.question} If not: {decision.advice}\n" in printed


def test_nothing_is_asked_where_the_cause_is_known() -> None:
    """The body got a line end: to ask after the secret would lead astray."""
    steps = explain(BODY + b"\n", _headers(), [SECRET], now=NOW)
    [failed] = [step for step in steps if not step.passed]
    assert "without the line feed" in failed.words
    assert failed.advice == ()


def test_advice_is_said_once() -> None:
    """Without any headers three steps fail for one reason; a wall of words is not read."""
    steps = explain(BODY, {}, [SECRET], now=NOW)
    assert len([step for step in steps if not step.passed]) >= 2
    said = [advice for step in steps for advice in step.advice]
    assert said == list(advice_on(Code.MISSING_HEADER))


def test_nothing_is_asked_where_it_is_the_dialect() -> None:
    """The one line that says which dialect it is must not drown."""
    steps = explain(BODY, _headers(), ["whs_0123456789"], now=NOW, dialect="owlpay")
    assert steps[-1].name == "dialect"
    assert [step.advice for step in steps] == [()] * len(steps)


def test_what_passes_gets_no_advice() -> None:
    assert [step.advice for step in explain(BODY, _headers(), [SECRET], now=NOW)] == [()] * 4
