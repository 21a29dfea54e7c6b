"""JSON with two meanings is refused before anything looks at it."""

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payhooks.api import strict_json
from payhooks.api.problems import ProblemError
from payhooks.limits import JSON_DEPTH_MAX

_REFUSED = [
    pytest.param(b"", "empty", id="B1 nothing"),
    pytest.param(b" \n", "empty", id="B1 whitespace"),
    pytest.param(b'{"a":1', "invalid_json", id="B2 truncated"),
    pytest.param(b'{"a":1,}', "invalid_json", id="B2 trailing comma"),
    pytest.param(b'{"a":1}//', "invalid_json", id="B2 comment"),
    pytest.param(b"{'a':1}", "invalid_json", id="B2 single quotes"),
    pytest.param(b"{}{}", "invalid_json", id="B2 two documents"),
    pytest.param(b'{"a":NaN}', "not_finite", id="B3 NaN"),
    pytest.param(b'{"a":-Infinity}', "not_finite", id="B3 -Infinity"),
    pytest.param(b'{"a":1e999}', "not_finite", id="B3 a number too large for a double"),
    pytest.param(b"[" * 100_000, "too_deep", id="B4 100,000 brackets"),
    pytest.param(b'{"a":{"b":1,"b":2}}', "duplicate_key", id="B5 twice inside"),
    pytest.param(b'{"a":1,"\\u0061":2}', "duplicate_key", id="B5 twice, once escaped"),
    pytest.param(b'{"a":"\\ud800"}', "lone_surrogate", id="B7 high alone"),
    pytest.param(b'{"a":"\\udc00\\ud800"}', "lone_surrogate", id="B7 the wrong way round"),
    pytest.param(b'{"a":"\\ud800\\n"}', "lone_surrogate", id="B7 high, then another escape"),
    pytest.param(b'{"a":"\xed\xa0\x80"}', "invalid_utf8", id="B7 an encoded surrogate"),
    pytest.param(b'{"a":"\xff"}', "invalid_utf8", id="B7 not UTF-8"),
    pytest.param(b"\xef\xbb\xbf{}", "byte_order_mark", id="B7 byte order mark"),
    pytest.param('{"a":1}'.encode("utf-16"), "invalid_utf8", id="B7 UTF-16"),
    pytest.param(b'{"a":"\\u0000"}', "nul", id="B7 NUL"),
]

_TAKEN = [
    pytest.param(b'{"a":' + b"9" * 5_000 + b"}", id="B6 an integer of 5,000 digits"),
    pytest.param(b'{"__proto__":1,"constructor":2,"":3}', id="B8 names that mean something"),
    pytest.param('{"a":"\u202e\u200b\U0001f600\\u001b[31m"}'.encode(), id="B10 odd characters"),
    pytest.param(b'{"a":"\\ud83d\\ude00"}', id="a pair of surrogates"),
    pytest.param(b'{"a":"\\\\ud800 \\\\u0000"}', id="an escaped backslash before a u"),
    pytest.param(b'{"a":"' + b"[{" * 100 + b'"}', id="brackets inside a string"),
    pytest.param(b"[" * JSON_DEPTH_MAX + b"]" * JSON_DEPTH_MAX, id="exactly as deep as is allowed"),
]


@pytest.mark.parametrize(("body", "code"), _REFUSED)
def test_a_body_with_two_meanings_or_none_is_refused_with_its_code(body: bytes, code: str) -> None:
    """A publisher must learn what to mend; a receiver must never get what two parsers read."""
    with pytest.raises(ProblemError) as caught:
        strict_json.check(body)
    assert caught.value.problem.status == 400
    assert [fault.code for fault in caught.value.problem.faults] == [code]


@pytest.mark.parametrize("body", _TAKEN)
def test_a_body_that_is_only_unusual_is_taken(body: bytes) -> None:
    """Payloads are opaque: what is odd to us may be right for a merchant."""
    strict_json.check(body)


_TEXT = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=8)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | _TEXT,
        lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
        max_leaves=20,
    ),
    st.sampled_from([True, False]),
)
def test_whatever_python_writes_is_taken(value: object, ascii_only: object) -> None:
    """The scanner must not refuse what every encoder makes."""
    strict_json.check(json.dumps(value, ensure_ascii=bool(ascii_only)).encode())


def _code(check: Callable[[bytes], None], body: bytes) -> str | None:
    try:
        check(body)
    except ProblemError as error:
        return error.problem.faults[0].code
    return None


_WORDS = b'{ } [ ] , : "a" "b:" "\\u0061" "\\/" "/" 1 1e999 NaN "\\ud800" -0 null "a":1 "a":{}'
_PIECES = st.sampled_from([*_WORDS.split(), b" ", b'"\xff"', b'{"a":1}'])


@given(st.lists(_PIECES, max_size=12).map(b"".join))
@example(b'{"a":1,"a":2}')
@example(b'{"/":1,"\\/":2}')
@example(b'{"a":"\\u003a","b":1,"b":2}')
def test_the_quick_look_says_what_the_slow_one_says(body: bytes) -> None:
    """A shortcut that lets one duplicate through is worse than none."""
    assert _code(strict_json.check, body) == _code(strict_json.check_slowly, body)
