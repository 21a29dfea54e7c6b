"""``python -m payhooks.receiver verify``: says which step failed and what to do about it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhooks.dialects.standard import STANDARD
from payhooks.receiver.__main__ import EXIT_REFUSED, EXIT_USAGE, EXIT_VERIFIED, main, parse_headers
from payhooks.receiver.explain import Step, explain, suspects

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
BODY = '{"type":"a.b","timestamp":"2030-01-01T00:00:00Z","data":{"n":"é"}}'.encode()


def _headers(body: bytes = BODY) -> dict[str, str]:
    secrets = [STANDARD.signing_secret(SECRET)]
    return dict(STANDARD.sign(message_id="del_1", body=body, secrets=secrets, now=NOW).headers)


HEADERS = _headers()


def _failed(steps: list[Step]) -> dict[str, str]:
    return {step.name: step.words for step in steps if not step.passed}


def test_every_step_passes_on_a_good_request() -> None:
    steps = explain(BODY, HEADERS, [SECRET], now=NOW + timedelta(seconds=12))
    assert [step.name for step in steps if step.passed] == [
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "body",
    ]
    assert steps[1].words == "2030-01-01 00:00:00 UTC (12 s ago)"


SPOILERS: list[tuple[Callable[[bytes], bytes], str]] = [
    (lambda body: body + b"\n", "without the line feed"),
    (lambda body: body + b"\r\n", "without the CR LF"),
    (lambda body: b"\xef\xbb\xbf" + body, "without the byte order mark"),
    (lambda body: b" " + body + b" ", "without white space"),
    (lambda body: json.dumps(json.loads(body)).encode(), "writing the JSON again"),
    (lambda body: json.dumps(json.loads(body), indent=2).encode(), "writing the JSON again"),
]


@pytest.mark.parametrize(("spoil", "words"), SPOILERS)
def test_names_what_changed_the_body(spoil: Callable[[bytes], bytes], words: str) -> None:
    """The commonest trouble of all receivers: not the bytes that were signed."""
    failed = _failed(explain(spoil(BODY), HEADERS, [SECRET], now=NOW))
    assert list(failed) == ["webhook-signature"]
    assert words in failed["webhook-signature"]


@pytest.mark.parametrize(
    ("sent", "captured", "words"),
    [
        (b"{}\n", b"{}", "with a line feed at the end"),
        (b"{\n}", b"{\r\n}", "with LF instead of CR LF"),
        (b"{\r\n}", b"{\n}", "with CR LF instead of LF"),
    ],
)
def test_names_changed_line_ends(sent: bytes, captured: bytes, words: str) -> None:
    """Editors and version control do this to captured files."""
    failed = _failed(explain(captured, _headers(sent), [SECRET], now=NOW))
    assert words in failed["webhook-signature"]


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ('{"a":"\\/\\u00e9"}', "without spaces and with slashes escaped"),
        ('{"a": "/\\u00e9"}', "with spaces after commas and colons"),
        ('{\n  "a": "/é"\n}', "indented by 2"),
        ('{\n    "a": "/é"\n}', "indented by 4"),
    ],
)
def test_names_json_that_was_compacted(sent: str, words: str) -> None:
    """PHP escapes slashes, Python puts spaces, Stripe indents; a framework undoes all of that."""
    headers = _headers(sent.encode())
    failed = _failed(explain('{"a":"/é"}'.encode(), headers, [SECRET], now=NOW))
    assert f"after writing the JSON again {words}: " in failed["webhook-signature"]


_TEXTS = st.text(st.sampled_from('a é"\\/{}[],:\n\u2028'), max_size=5)
_CONTENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXTS,
    lambda some: st.lists(some, max_size=3) | st.dictionaries(_TEXTS, some, max_size=3),
    max_leaves=8,
)


@given(_CONTENTS)
def test_what_is_indented_is_as_everybody_indents(content: object) -> None:
    """Whatever stands in its texts; json.dumps would leave circles in a server's memory."""
    found = {candidate for _, candidate in suspects(json.dumps(content).encode() + b" ")}
    for indent in (2, 4):
        written = json.dumps(content, ensure_ascii=False, indent=indent)
        assert written.encode() in found


def test_what_nests_deeply_is_not_indented_without_end() -> None:
    """Of 32 KiB it would make 60 MiB: each of its thousands of lines begins with its depth."""
    body = b"[" * 900 + b"1," * 15_000 + b"1" + b"]" * 900
    assert max(len(candidate) for _, candidate in suspects(body)) < 2 * len(body)


def test_each_suspect_is_another_body() -> None:
    """Each costs a signature for each secret."""
    body = b'{ "a" : [ ] }\r\n'
    candidates = [candidate for _, candidate in suspects(body)]
    assert len({body, *candidates}) == 1 + len(candidates)
    few = [candidate for _, candidate in suspects(body, rewritten=False)]
    assert few == candidates[: len(few)] != candidates


def test_a_wrong_secret_gets_no_false_lead() -> None:
    other = STANDARD.new_secret(bytes(32))
    failed = _failed(explain(BODY, HEADERS, [other], now=NOW))
    assert "Is this the secret of this endpoint" in failed["webhook-signature"]


def test_an_old_request_still_shows_whether_it_was_signed() -> None:
    """People debug yesterday's request; its age must not hide the rest."""
    later = NOW + timedelta(days=1)
    steps = explain(BODY, HEADERS, [SECRET], now=later)
    assert list(_failed(steps)) == ["webhook-timestamp"]
    assert not _failed(explain(BODY, HEADERS, [SECRET], now=later, any_age=True))


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_a_missing_header_is_named(name: str) -> None:
    headers = {key: value for key, value in HEADERS.items() if key != name}
    assert name in _failed(explain(BODY, headers, [SECRET], now=NOW))


def test_a_secret_of_another_kind_does_not_hide_the_wrong_dialect() -> None:
    """Who names no dialect has another's secret too; copying that again does not help."""
    owlpay = {"OwlPay-Signature": "t=1,v1=" + "0" * 64}
    steps = explain(BODY, owlpay, ["whs_0001020304050607"], now=NOW)
    assert list(_failed(steps)) == ["secret", "dialect"]
    assert steps[-1].words == "This is signed as owlpay signs, not standard."
    assert steps[0].advice == ()


def test_what_is_wrong_with_everything_is_said() -> None:
    """One bad thing at a time, each in its own step."""
    assert list(_failed(explain(BODY, HEADERS, ["nonsense!"], now=NOW))) == ["secret"]
    twice = {**HEADERS, "Webhook-Id": "other"}
    assert list(_failed(explain(BODY, twice, [SECRET], now=NOW))) == ["headers"]
    assert list(_failed(explain(b"[]", _headers(b"[]"), [SECRET], now=NOW))) == ["body"]
    far = {**HEADERS, "webhook-timestamp": "9" * 12}
    assert "years ahead" in _failed(explain(BODY, far, [SECRET], now=NOW))["webhook-timestamp"]
    unknown = {**HEADERS, "webhook-signature": "v9,x"}
    assert "v1" in _failed(explain(BODY, unknown, [SECRET], now=NOW))["webhook-signature"]


@given(body=st.binary(), headers=st.dictionaries(st.sampled_from(sorted(HEADERS)), st.text()))
def test_explains_whatever_was_captured(body: bytes, headers: dict[str, str]) -> None:
    """A tool for broken requests must not break on them."""
    assert _failed(explain(body, headers, [SECRET], now=NOW))
    assert _failed(explain(body, {**HEADERS, "webhook-id": "x"}, [SECRET], now=NOW))


# --- the command -----------------------------------------------------------------------


def _run(tmp_path: Path, headers: str, body: bytes, *more: str) -> int:
    (tmp_path / "headers").write_text(headers)
    (tmp_path / "body").write_bytes(body)
    files = ["--headers", str(tmp_path / "headers"), "--body", str(tmp_path / "body")]
    return main(["verify", "--secret", SECRET, *files, *more])


LINES = "POST /hooks HTTP/1.1\n" + "".join(f"{n.title()}: {v}\n" for n, v in HEADERS.items())


@pytest.mark.parametrize("headers", [LINES, json.dumps(HEADERS)], ids=["lines", "JSON"])
def test_the_command_verifies_a_captured_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], headers: str
) -> None:
    assert _run(tmp_path, headers, BODY, "--any-age") == EXIT_VERIFIED
    assert "ok    webhook-signature: matches\n" in capsys.readouterr().out


def test_the_command_exits_with_6_and_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scripts ask the code, people read the line."""
    assert _run(tmp_path, LINES, BODY + b"\n", "--any-age") == EXIT_REFUSED
    printed = capsys.readouterr().out
    assert "FAIL  webhook-signature: No signature matches, but one does without" in printed
    assert SECRET not in printed


@pytest.mark.parametrize(
    "headers", ["first\nsecond", '{"a":1}', "{", "{" + '"a":{' * 100_000], ids=range(4)
)
def test_the_command_says_when_a_file_is_not_what_it_should_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], headers: str
) -> None:
    """Exit 2 and a line, no traceback."""
    assert _run(tmp_path, headers, BODY) == EXIT_USAGE
    assert capsys.readouterr().err


def test_the_command_says_when_a_file_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "nothing")
    arguments = ["verify", "--secret", SECRET, "--headers", missing, "--body", missing]
    assert main(arguments) == EXIT_USAGE
    assert "nothing" in capsys.readouterr().err


def test_header_lines_may_be_copied_from_anywhere() -> None:
    """CR LF, spaces, blank lines, a colon in a value."""
    assert parse_headers("a:1\r\n\r\n b : x:y \r\n") == [("a", "1"), ("b", "x:y")]


@pytest.mark.parametrize("kind", ["lines", "JSON"])
def test_the_command_finds_a_header_that_is_there_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """A proxy that writes it again is refused in production, and must be here."""
    twin = "Webhook-Id: del_1\n" if kind == "lines" else ',"webhook-id":"del_1"}'
    first = LINES if kind == "lines" else json.dumps(HEADERS).removesuffix("}")
    assert _run(tmp_path, first + twin, BODY, "--any-age") == EXIT_REFUSED
    assert "FAIL  headers: There are two webhook-id headers" in capsys.readouterr().out
