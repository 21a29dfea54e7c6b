"""How a command ends: the exit code for scripts, the sentence for people."""

import errno

import pytest

from payhooks.cli.exits import ExitCode, TimedOutError, code_of, end, sentence_of
from payhooks.errors import (
    ForbiddenError,
    InvalidError,
    NotFoundError,
    SignatureError,
    StaleVersionError,
    UnauthenticatedError,
    UnavailableError,
    WrongStateError,
)
from payhooks.publisher.answers import RefusedError
from payhooks.receiver.errors import Code, VerificationError

INVALID = InvalidError.at("/url", "malformed", "It is not a URL.")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(INVALID, 2, id="what was typed is wrong"),
        pytest.param(NotFoundError("no"), 3, id="there is none"),
        pytest.param(UnauthenticatedError("no"), 4, id="no key"),
        pytest.param(ForbiddenError("no"), 4, id="not with this key"),
        pytest.param(StaleVersionError("no"), 5, id="changed meanwhile"),
        pytest.param(WrongStateError("no"), 5, id="in another state"),
        pytest.param(SignatureError("no"), 6, id="not signed"),
        pytest.param(VerificationError(Code.NO_MATCH, "no"), 6, id="does not verify"),
        pytest.param(TimedOutError("no"), 7, id="too slow"),
        pytest.param(UnavailableError("no"), 1, id="not there"),
        pytest.param(RefusedError(422, {}), 2, id="refused as invalid"),
        pytest.param(RefusedError(401, {}), 4, id="refused without key"),
        pytest.param(RefusedError(404, {}), 3, id="refused as unknown"),
        pytest.param(RefusedError(412, {}), 5, id="refused as stale"),
        pytest.param(RefusedError(504, {}), 7, id="refused as late"),
        pytest.param(RefusedError(500, {}), 1, id="the server failed"),
        pytest.param(KeyboardInterrupt(), 130, id="interrupted"),
        pytest.param(ZeroDivisionError(), 1, id="a bug"),
    ],
)
def test_scripts_can_tell_how_a_command_ended(error: BaseException, code: int) -> None:
    """The list is in docs/cli.md; people's scripts branch on it."""
    assert code_of(error) == code


def test_a_refusal_is_told_with_its_faults_and_the_id_to_ask_with() -> None:
    """Without the request id nobody finds the request in the server's log."""
    problem = {
        "title": "The request is not valid",
        "detail": "1 value is not valid.",
        "request_id": "req_1",
        "errors": [{"pointer": "/url", "code": "malformed", "detail": "It is not a URL."}],
    }
    words = sentence_of(RefusedError(422, problem))
    assert words.splitlines() == [
        "The request is not valid. 1 value is not valid.",
        "  /url: It is not a URL.",
        "  request req_1",
    ]


def test_what_is_not_there_is_told_once() -> None:
    """The title says it too, in other words."""
    problem = {"title": "There is no such thing", "detail": "There is no such thing for this key."}
    assert sentence_of(RefusedError(404, problem)) == "There is no such thing for this key."
    assert sentence_of(RefusedError(404, {"title": "Not here"})) == "Not here."


def test_an_answer_that_is_no_problem_still_makes_a_sentence() -> None:
    """Proxies answer too, in HTML."""
    assert sentence_of(RefusedError(502, {})) == "The server answered 502."


def test_a_bug_is_told_without_its_message_and_without_locals() -> None:
    """Either may hold a secret; the place is enough to find it."""
    secret = "whsec_never_shown"
    with pytest.raises(ValueError, match=secret) as caught:
        raise ValueError(secret)
    words = sentence_of(caught.value)
    assert secret not in words
    assert "ValueError" in words
    assert "test_a_bug_is_told" in words


def test_a_path_at_the_beginning_keeps_its_spelling() -> None:
    """It will be copied."""
    assert sentence_of(WrongStateError("srv/p.db is served")) == "srv/p.db is served"
    assert sentence_of(WrongStateError("nobody is there")) == "Nobody is there"


def test_a_closed_pipe_ends_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    """`payhooks events list | head -1` is no failure worth words."""
    assert end(BrokenPipeError(errno.EPIPE, "closed")) == ExitCode.FAILED
    assert not capsys.readouterr().err
