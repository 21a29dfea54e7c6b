"""Base64 is read as far as one level goes, however its lines end."""

import base64
import json
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import pytest
from tests.support.cards import guarded_body

from payhooks.policy.card_numbers import MASK

_LINE: Final = 57  # bytes of a line of 76 characters


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.shows("S40", "I14")
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("at", range(_LINE - 24, _LINE + 1))
@pytest.mark.parametrize("text", ["6011 1111 1111 1117", "6011111111111117"])
def test_lines_of_base64_hide_nothing_where_one_ends(text: str, at: int, line_end: str) -> None:
    """Mail and many libraries break them after 76 characters."""
    coded = base64.encodebytes(
        f"{'-- ' * 20}"[:at].encode() + text.encode() + b" ,; " * 20
    ).decode()
    lines = coded.strip().replace("\n", line_end)
    for raw in (json.dumps({"a": lines}), f"a: {lines}"):
        assert guarded_body(raw.encode()) != raw.encode(), at
    masked = json.loads(guarded_body(json.dumps({"a": lines}).encode()))["a"]
    assert set(masked) == {MASK}


@pytest.mark.shows("S42", "I14")
@pytest.mark.parametrize("coded", [base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes])
@pytest.mark.parametrize(
    "said",
    [
        '{"cvv":"987"}',
        '{ "é?>": [{"Name": "CVC2", "value": 987}]}',
        '[\n  {"card": {"cid": "9871"}}]',
        '\ufeff{"pinBlock":"0412AC89ABCDEF67"}',
        "<?xml version='1.0'?>\n<a>" + "<b>?</b>" * 40 + "<cvv>987</cvv></a>",
        "<card><code>987</code></card>",
        "CVV: 987, 12/27",
        "securityCode=987&amount=1200",
        "Card[cvc]=987&amount=1200",
    ],
)
def test_what_goes_by_its_name_is_found_in_documents_in_base64(
    coded: Callable[[bytes], bytes], said: str
) -> None:
    """As tokens of wallets and what is signed carry them."""
    lines = coded(said.encode()).decode().rstrip()
    for text in (lines, lines.rstrip("="), f"Bearer {lines}", f"data:a/b;base64,{lines}"):
        documents = (json.dumps({"a": text}), json.dumps({"a": f"\n{text}"}).replace("/", "\\/"))
        for raw in (*documents, f"a={quote(text)}&b=1", f"a: {text}"):
            done = guarded_body(raw.encode()).decode()
            assert lines.split("\n", maxsplit=1)[0].rstrip("=") not in done
            assert MASK * 12 in done


@pytest.mark.parametrize("said", ['{"amount":987,"cvv":"M"}', "amount=1&a=987", '{"code":"987"}'])
def test_documents_in_base64_stay_in_which_nothing_is_a_cards(said: str) -> None:
    raw = json.dumps({"a": _coded(said), "b": "eyJhbGciOiJIUzI1NiJ9.e30.abc"}).encode()
    assert guarded_body(raw) == raw


@pytest.mark.shows("S42", "I14")
def test_a_plus_before_base64_is_the_space_that_it_is_in_a_form() -> None:
    """Without a number in it, nothing but its beginning says what it is."""
    coded = _coded('{"cvv":"987"}').rstrip("=")
    raw = f"a=Bearer+{coded}&b=1"
    assert guarded_body(raw.encode()).decode() == raw.replace(coded, MASK * len(coded))


def test_lines_that_are_not_of_base64_are_read_each_by_itself() -> None:
    """Joined, what they say were shifted."""
    raw = f"abcde\nabcdefghijklmnopq\n{_coded('6011111111111117')}\nabcdefg"
    assert guarded_body(raw.encode()).decode() == raw.replace(_coded("6011111111111117"), MASK * 24)


def test_a_number_at_the_beginning_of_a_line_is_no_part_of_the_word_before() -> None:
    """A line may be all that somebody coded; what was found in it before is found still."""
    said = "x" * _LINE + "6011111111111117 " + "y" * 90
    raw = json.dumps({"a": base64.encodebytes(said.encode()).decode()}).encode()
    assert guarded_body(raw) != raw
