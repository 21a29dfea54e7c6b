"""The quick look does not pass over what the close look would find, however it is spelt."""

import json
from typing import Final

import pytest
from tests.support.cards import PRINTED, guarded_body

from payhooks.policy import card_numbers, card_text
from payhooks.policy.card_numbers import MASK

NUMBER: Final = PRINTED[0]
HIDDEN: Final = f"{NUMBER[:6]}{MASK * 6}{NUMBER[-4:]}"
_BLOCK: Final = "0123456789ABCDEF"


@pytest.mark.shows("S42", "I14")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(r'{"note":"Security Code:\n737"}', id="a line end"),
        pytest.param(r'{"note":"CVV:\t737"}', id="a tab"),
        pytest.param(r'{"note":"CVV:\f737"}', id="a form feed"),
        pytest.param(r'{"note":"CVV\n\n737"}', id="two line ends"),
        pytest.param(r'{"note":"cvv\r\n\r\n737"}', id="two line ends of Windows"),
        pytest.param(r'{"note":"cvv\n=737"}', id="a line end before the sign"),
        pytest.param(r'{"note":"cvv\t=\t737"}', id="tabs around the sign"),
        pytest.param(r'{"note":"cvv:\u000a737"}', id="a line end by its number"),
        pytest.param(r'{"note":"cvv:\u001f737"}', id="a separator of units"),
        pytest.param(r'{"a":"\u0041","n":"cvv\":\"737"}', id="quotes beside another escape"),
        pytest.param(r'{"a":"\u0041","n":"cvv:\n737"}', id="a line end beside another escape"),
        pytest.param('{"cvv":' + "\n" * 90 + '"737"}', id="lines between"),
        pytest.param(
            r'{"n":"{\\\"cvv\\\":\\\"737\\\"}"}', id="JSON in JSON in JSON, as logs have it"
        ),
        pytest.param(r'{"n":"<name>cvv<\/name> <value>737<\/value>"}', id="XML with such slashes"),
        pytest.param(r'{"n":"<cvv a=\"1, 2\">737"}', id="a tag with a comma"),
        pytest.param(r'{"n":"name=\"cvv\"\r\n\r\n737\r\n--b"}', id="a part"),
        pytest.param(r'{"n":"name=cvv\r\n\r\n737\r\n--b"}', id="a part whose name is bare"),
        pytest.param(
            r'{"n":"name=\"cvv\"\r\nContent-Type: text/plain\r\n\r\n737"}', id="a part with a type"
        ),
        pytest.param(
            r'{"n":"name=cvv\nX-A: text\/plain\n\n737\n--b"}', id="a part with another header"
        ),
    ],
)
def test_a_code_in_json_is_found_however_white_space_is_spelt(text: str) -> None:
    """Encoders write a line end as two characters of which none is white."""
    assert guarded_body(text.encode()) == text.replace("737", MASK * 3).encode()
    assert len(card_numbers.found(text.encode(), "", at_most=2)) == 1


@pytest.mark.shows("S42")
@pytest.mark.parametrize("text", ["cvv\t= 737 -> 1234", "cvv  737 -> 1234"])
def test_the_code_that_is_nearest_to_its_name_is_found(text: str) -> None:
    """A bracket that comes later in the line made what is behind it the code."""
    done, hits = card_text.masked(text.encode(), is_form=False)
    assert done == text.replace("737", MASK * 3).encode()
    assert len(hits) == 1


@pytest.mark.shows("S42")
@pytest.mark.parametrize("text", ['{"cvv"=>"737"}', "['cvv' => 737]", "cvv := 737"])
def test_a_code_in_what_a_program_prints_of_its_data_is_found(text: str) -> None:
    """A sentence about an error quotes it as the language spells it."""
    done, _ = card_text.masked(text.encode(), is_form=False)
    assert done == text.replace("737", MASK * 3).encode()
    raw = json.dumps({"message": text}).encode()
    assert len(card_numbers.found(raw, "", at_most=2)) == 1


def test_a_stripe_behind_digits_of_another_script_is_found() -> None:
    """They are no part of its number, and the digits together are none."""
    raw = "\u0661\u0662 \u06636200000000000005=27121010000000000".encode()
    done, [hit] = card_text.masked(raw, is_form=False)
    assert (hit.kind, done) == (card_numbers.Kind.TRACK_DATA, raw[:7] + b"X" * 34)


def test_every_separator_is_read_in_escapes_too() -> None:
    """The quick look knows by their numbers which escapes are worth being read."""
    codes = (0x20, 0xA0, 0xAD, 0x1680, 0x180E, *range(0x2000, 0x2016), 0x202F, 0x205F, 0x2060)
    for code in (*codes, 0x2212, 0x3000, 0xFEFF):
        number = f"\\u{code:04x}".join((NUMBER[:4], NUMBER[4:8], NUMBER[8:12], NUMBER[12:]))
        for text in (f'{{"a":"{number}"}}', f"a={number}"):
            assert guarded_body(text.encode()) != text.encode(), hex(code)


def test_a_pin_block_behind_tabs_is_found() -> None:
    """With it, and the card, somebody has the money."""
    raw = rf'{{"note":"pin block\t=\t{_BLOCK}"}}'
    assert guarded_body(raw.encode()) == raw.replace(_BLOCK, MASK * 16).encode()


@pytest.mark.shows("S42", "I14")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            'name="card[cvc]"\r\nContent-Type: text/plain\r\n\r\n737\r\n', id="of a member"
        ),
        pytest.param('name="cvc"\r\nX-A: 1\r\n\r\n737\r\n', id="another header"),
        pytest.param('name="cvc"\r\nX-A: 1\r\nX-B: 100%\r\n\r\n737\r\n', id="two, and a sign"),
        pytest.param("name=cvc\nX-A: 1\n\n737\n", id="a bare name"),
        pytest.param("cvv:\x0c737", id="a form feed"),
        pytest.param("cvv:\x1c737", id="a separator of files"),
        pytest.param("cvv:" + "\n" * 8 + "737", id="lines between"),
        pytest.param("rebate=5%cav=737", id="a sign before cav"),
        pytest.param("x=100%card_code=737", id="a sign before card"),
        pytest.param("x=%8cvv=737", id="a sign and a digit before cvv"),
        pytest.param("x=%%card_code=737", id="two signs"),
        pytest.param("x=%C3%A9&y=5%cav=737", id="beside an escape that is one"),
        pytest.param("x=é&y=5%cav=737", id="beside a letter"),
        pytest.param("x=%E9&y=5%cav%3D737", id="beside an escape of another encoding"),
    ],
)
def test_a_code_in_a_text_is_found_whatever_is_before_and_behind_its_name(text: str) -> None:
    """A sign that begins no escape must not take the first letters of a name with it."""
    for is_form in (False, True):
        done, hits = card_text.masked(text.encode(), is_form=is_form)
        assert done == text.replace("737", MASK * 3).encode()
        assert len(hits) == 1


@pytest.mark.shows("S40", "I14")
@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param(rf"pan=\{NUMBER}", rf"pan=\{HIDDEN}", id="a form"),
        pytest.param(rf"C:\{NUMBER}", rf"C:\{HIDDEN}", id="a path"),
        pytest.param(rf'{{"n":"a"}} \{NUMBER}', rf'{{"n":"a"}} \{HIDDEN}', id="behind JSON"),
        pytest.param(rf'{{"n":"\{NUMBER}"', rf'{{"n":"\{HIDDEN}"', id="JSON that is cut off"),
        pytest.param(
            rf'{{"n":"%34{NUMBER[1:]}"', rf'{{"n":"%34{HIDDEN[1:]}"', id="such JSON, escaped"
        ),
        pytest.param(
            rf"a=\\u0034{NUMBER[1:]}", rf"a=\\u0034{HIDDEN[1:]}", id="an escape behind a backslash"
        ),
        pytest.param(
            "x=5%8171999927660000", f"x=5%817199{MASK * 6}0000", id="digits that are no escape"
        ),
    ],
)
def test_no_digit_is_taken_for_a_part_of_an_escape(text: str, left: str) -> None:
    """One digit less, and it is no card number."""
    assert guarded_body(text.encode()) == left.encode()
