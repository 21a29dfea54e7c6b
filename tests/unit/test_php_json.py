"""PHP's spelling of JSON, case by case; tests/integration compares with PHP itself."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payhooks.dialects import php_json

# Without lone surrogates, which are no Unicode text.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
# Characters that a spelling could trip over, far more often than by chance.
ODD = st.text(st.sampled_from('\\"/u007f\x00\x01\n\x7fé😀 {}[],:1.5e'))
SCALARS = st.none() | st.booleans() | st.integers() | TEXTS | ODD
FINITE = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | FINITE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | ODD, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        pytest.param('"a/b"', r'"a\/b"', id="a slash"),
        pytest.param(r'"a\/b"', r'"a\/b"', id="a slash that was escaped"),
        pytest.param(r'"a\\/b"', r'"a\\\/b"', id="a slash after a backslash"),
        pytest.param(r'"\\\\/"', r'"\\\\\/"', id="a slash after two"),
        pytest.param(r'"\u002F\u0022\u005c"', r'"\/\"\\"', id="escapes that need not be numbers"),
        pytest.param(r'"\\u00e9"', r'"\\u00e9"', id="a backslash and letters"),
        pytest.param(r'"\\\u00E9"', r'"\\\u00e9"', id="a backslash and an escape"),
        pytest.param('"é"', r'"\u00e9"', id="a letter beyond ASCII"),
        pytest.param(r'"\u00C9"', r'"\u00c9"', id="lowercase hex"),
        pytest.param(r'"\u0041\u007e"', '"A~"', id="ASCII by number"),
        pytest.param('"😀"', r'"\ud83d\ude00"', id="beyond the sixteenth bit: a pair"),
        pytest.param(r'"\uD83D\uDE00"', r'"\ud83d\ude00"', id="a pair that was one"),
        pytest.param('"\u2028"', r'"\u2028"', id="a line separator"),
        pytest.param('"\x7f"', '"\x7f"', id="DEL stands as it is"),
        pytest.param(r'"\u007F"', '"\x7f"', id="DEL by number too"),
        pytest.param(r'"\u0000\u001F"', r'"\u0000\u001f"', id="control characters"),
        pytest.param(r'"\u0008\u000c\u000A\u000D\u0009"', r'"\b\f\n\r\t"', id="those with names"),
        pytest.param(r'"\b\f\n\r\t\""', r'"\b\f\n\r\t\""', id="names stay"),
        pytest.param('" 1.50 , {} "', '" 1.50 , {} "', id="what looks like more than text"),
        pytest.param('{ "é/" : 1 }', r'{"\u00e9\/":1}', id="names of members"),
        pytest.param('\t[ 1 ,\r\n "a b" ]\n', '[1,"a b"]', id="spaces outside"),
        pytest.param('{"a":{},"b":[],"c":""}', '{"a":{},"b":[],"c":""}', id="what is empty"),
        pytest.param('{"b":1,"a":2,"0":3}', '{"b":1,"a":2,"0":3}', id="order of members"),
        pytest.param("[true,false,null]", "[true,false,null]", id="words"),
        pytest.param("11.26", "11.26", id="a fraction"),
        pytest.param("1.10", "1.1", id="a last zero goes"),
        pytest.param("20.0", "20", id="a whole fraction"),
        pytest.param("-0.5", "-0.5", id="below zero"),
        pytest.param("1e2", "100", id="an exponent"),
        pytest.param("1E25", "1.0e+25", id="a great one"),
        pytest.param("1.5e300", "1.5e+300", id="a very great one"),
        pytest.param("0.0001", "0.0001", id="four places"),
        pytest.param("0.00001", "1.0e-5", id="five places"),
        pytest.param("-1.5E-10", "-1.5e-10", id="small and below zero"),
        pytest.param("5e-324", "5.0e-324", id="the smallest of all"),
        pytest.param("1e15", "1000000000000000", id="where Python writes it out too"),
        pytest.param("1e16", "10000000000000000", id="where Python does not any more"),
        pytest.param("-1.2345678901234568e16", "-12345678901234568", id="seventeen digits"),
        pytest.param("1e17", "1.0e+17", id="eighteen"),
        pytest.param("0.30000000000000004", "0.30000000000000004", id="no digit less"),
        pytest.param("0.1000000000000000055511151231257827", "0.1", id="and none more"),
        pytest.param("123456789012345678", "123456789012345678", id="an integer is no fraction"),
        pytest.param("9223372036854775807", "9223372036854775807", id="the greatest integer"),
        pytest.param("9223372036854775808", "9.223372036854776e+18", id="one more"),
        pytest.param("-9223372036854775808", "-9223372036854775808", id="the least integer"),
        pytest.param("-9223372036854775809", "-9.223372036854776e+18", id="one less"),
        pytest.param("12345678901234567890123", "1.2345678901234568e+22", id="23 digits"),
        pytest.param("[-0,-0.0,-0e1,0,0.0]", "[0,0,0,0,0]", id="nothing, also below zero"),
        pytest.param("[-0.1,-10]", "[-0.1,-10]", id="what only begins like nothing"),
        pytest.param("[1e400]", "[1e400]", id="what no double holds stays"),
    ],
)
def test_spells_as_php_does(text: str, printed: str) -> None:
    """One byte that differs is a signature that does not verify."""
    assert php_json.encode(text) == printed


@given(value=VALUES, ascii_only=st.booleans(), spaced=st.booleans())
@example(value={'"\\': ["\\/", "\\u0041", "\x00\x01", "\n"]}, ascii_only=False, spaced=True)
def test_says_the_same_in_ascii(value: object, *, ascii_only: bool, spaced: bool) -> None:
    """Whoever reads it reads what was published, but for digits that a double does not hold."""
    text = json.dumps(value, ensure_ascii=ascii_only, indent=1 if spaced else None)
    printed = php_json.encode(text)
    assert printed.isascii()
    assert json.loads(printed, parse_int=float) == json.loads(text, parse_int=float)
    assert php_json.encode(printed) == printed


@given(text=TEXTS | ODD)
def test_a_string_alone_is_spelled_as_in_a_document(text: str) -> None:
    """The envelope around a payload comes from the same encoder."""
    assert php_json.string(text) == php_json.encode(json.dumps(text))


@pytest.mark.parametrize(
    ("container", "printed"),
    [
        ("[]", r'{"a":[],"b":[[]],"c":"{}[]\"","d":{"e":1}}'),
        ("{}", r'{"a":{},"b":[{}],"c":"{}[]\"","d":{"e":1}}'),
    ],
)
def test_what_is_empty_can_be_spelled_as_one(container: str, printed: str) -> None:
    """A PHP array has no name for its emptiness; a text that looks empty is left alone."""
    assert php_json.with_empty(r'{"a":{},"b":[[]],"c":"{}[]\"","d":{"e":1}}', container) == printed
