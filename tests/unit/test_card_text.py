"""Card data in forms, queries, XML and headers: found however it is spelt, and masked in place."""

import json
import time
from typing import Final
from urllib.parse import parse_qs, quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cards import (
    BASE64_DIGITS_MIN,
    DISGUISES,
    PRINTED,
    corpus,
    guarded_body,
    is_carried,
)

from payhooks.policy.card_numbers import MASK, Kind
from payhooks.policy.card_text import masked

NUMBER: Final = PRINTED[0]
HIDDEN: Final = f"{NUMBER[:6]}{MASK * 6}{NUMBER[-4:]}"
_HOSTILE_S_MAX: Final = 3.0  # it takes 0.2


def _masked(text: str) -> str:
    return masked(text.encode(), is_form=False)[0].decode()


def _said_in(disguise: str, number: str) -> str:
    """Return what a member says that has the number in this disguise."""
    return str(json.loads(DISGUISES[disguise](number)))


@pytest.mark.shows("S40", "I14")
@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("spelling", [quote, quote_plus], ids=["percent", "plus"])
def test_two_hundred_numbers_are_found_in_every_disguise_in_a_form(
    disguise: str, spelling: object
) -> None:
    """Half of the providers still send forms, and two libraries spell a space differently."""
    assert callable(spelling)
    missed = []
    for number in corpus(200):
        if not is_carried(disguise, number):
            continue
        raw = f"a=1&b={spelling(_said_in(disguise, number))}&c=x%22".encode()
        done, hits = masked(raw, is_form=False)
        # Of 19 digits in groups, 16 may be another number.
        found = {(hit.kind, hit.is_kept) for hit in hits}
        missed += [number] * (found != {(Kind.CARD_NUMBER, False)})
        assert number.encode() not in done
        assert (done.startswith(b"a=1&b="), done.endswith(b"&c=x%22")) == (True, True)
    assert missed == []


@pytest.mark.parametrize("lead", ["%\r", "%\n", "%\r\n", "%%\r", "%%%", "%", "%%"])
def test_a_sign_that_begins_no_escape_hides_nothing_behind_it(lead: str) -> None:
    """The quick look reads escapes by another standard, which has soft line breaks."""
    arabic = quote("".join(chr(ord("\u0660") + int(digit)) for digit in NUMBER))
    hits = masked(f"a={lead}{arabic}&b=%41".encode(), is_form=True)[1]
    assert [hit.kind for hit in hits] == [Kind.CARD_NUMBER]


@pytest.mark.shows("S40", "I14")
@pytest.mark.parametrize("disguise", DISGUISES)
def test_two_hundred_numbers_are_found_in_every_disguise_in_xml(disguise: str) -> None:
    """Banks send XML."""
    for number in corpus(200):
        if is_carried(disguise, number):
            raw = f"<a>é<pan>{_said_in(disguise, number)}</pan></a>".encode()
            done, hits = masked(raw, is_form=False)
            assert {hit.kind for hit in hits} == {Kind.CARD_NUMBER}, number
            assert number.encode() not in done


@given(
    number=st.sampled_from([one for one in corpus(100) if len(one) >= BASE64_DIGITS_MIN]),
    disguise=st.sampled_from(list(DISGUISES)),
    before=st.text(st.characters(codec="utf-8", exclude_categories=["Nd", "Cs"]), max_size=20),
    behind=st.text(st.characters(codec="utf-8", exclude_categories=["Nd", "Cs"]), max_size=20),
)
def test_what_stands_beside_a_number_in_a_form_stays(
    number: str, disguise: str, before: str, behind: str
) -> None:
    """Those bytes say which payment it was."""
    fields = {"a": before, "n": _said_in(disguise, number), "b": behind}
    raw = urlencode(fields).encode()
    done, _ = masked(raw, is_form=False)
    read = {name: said for name, [said] in parse_qs(done.decode(), keep_blank_values=True).items()}
    assert (read["a"], read["b"]) == (before, behind)
    assert number not in read["n"]
    assert MASK in read["n"]
    assert masked(done, is_form=False) == (done, [])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param(f"n=%34{NUMBER[1:]}", f"n=%34{HIDDEN[1:]}", id="digits that are escaped"),
        pytest.param(f"<p>&#52;{NUMBER[1:]}</p>", f"<p>&#52;{HIDDEN[1:]}</p>", id="entities"),
        pytest.param(
            "<p>4111&#160;1111&#xa0;1111&nbsp;1111</p>",
            "<p>4111&#160;11XX&#xa0;XXXX&nbsp;1111</p>",
            id="no-break spaces as entities",
        ),
        pytest.param(f"x\\u0034{NUMBER[1:]}", f"x\\u0034{NUMBER[1:]}", id="a word"),
        pytest.param(f"'\\u0034{NUMBER[1:]}", f"'\\u0034{HIDDEN[1:]}", id="JSON that is cut off"),
        pytest.param(f"%22{NUMBER}%22", f"%22{HIDDEN}%22", id="behind an escape with digits"),
    ],
)
def test_escapes_are_read_and_stay_where_nothing_is_hidden(text: str, left: str) -> None:
    """Whoever wrote them reads them again."""
    assert _masked(text) == left


@pytest.mark.shows("S42", "I14")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a=1&cvv=737", id="a form"),
        pytest.param("card%5Bcvc%5D=737&a=1", id="a form's member of a member"),
        pytest.param("card[cvc]=+737", id="a space before it"),
        pytest.param("c%76v=737", id="an escaped letter"),
        pytest.param("p=%7B%22cvv%22%3A%22737%22%7D", id="JSON in a form"),
        pytest.param("<a><CVV2>737</CVV2></a>", id="an element"),
        pytest.param("<a>&lt;cvv&gt;737&lt;/cvv&gt;</a>", id="XML within XML"),
        pytest.param(
            "<a>&lt;card no=&quot;1&quot;&gt;&lt;cid&gt;737&lt;/cid&gt;</a>",
            id="below a card there",
        ),
        pytest.param("<a b='{&quot;cvv&quot;:&quot;737&quot;}'/>", id="JSON within XML"),
        pytest.param("<n:cardSecurityCode>737</n:cardSecurityCode>", id="in full"),
        pytest.param('<cvv type="string">737</cvv>', id="an element with an attribute"),
        pytest.param('<card cvv="737"/>', id="an attribute"),
        pytest.param('<field name="cvv" value="737"/>', id="a field and its value"),
        pytest.param("<name>cvv</name><value><string>737</string></value>", id="XML-RPC"),
        pytest.param("<cvv><![CDATA[737]]></cvv>", id="CDATA"),
        pytest.param(
            '--b\r\nContent-Disposition: form-data; name="cvv"\r\n\r\n737\r\n--b', id="a part"
        ),
        pytest.param(
            '--b\r\nContent-Disposition: form-data; name="cvv"\r\n'
            "Content-Type: text/plain\r\n\r\n737\r\n--b",
            id="a part with a type",
        ),
        pytest.param("{'cvv': '737'", id="what is nearly JSON"),
        pytest.param("Card_Verification_Value: 737", id="a line"),
        pytest.param("the CVV 737 of it", id="a sentence"),
        pytest.param("cvc2  737", id="a sentence, with the number of the code"),
        pytest.param("Security code\xa0737", id="a sentence, in full"),
    ],
)
def test_a_security_code_goes_whole_whatever_carries_it(text: str) -> None:
    """S42: it may not be stored at all, not even for the time until somebody looks."""
    assert _masked(text) == text.replace("737", MASK * 3)


@pytest.mark.shows("S42", "I14")
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param("b=1&pin_block=0412AC89ABCDEF67", Kind.PIN_BLOCK, id="PIN block"),
        pytest.param(
            "t=%25B4111111111111111%5EDOE%2FJANE%5E27121010000000000000%3F",
            Kind.TRACK_DATA,
            id="track 1",
        ),
        pytest.param("t=%3B4111111111111111%3D27121010000000000%3F", Kind.TRACK_DATA, id="track 2"),
    ],
)
def test_stripes_and_pin_blocks_go_whole(text: str, kind: Kind) -> None:
    """With them somebody makes a card."""
    done, hits = masked(text.encode(), is_form=False)
    assert hits[0].kind is kind
    assert set(done.decode().rpartition("=")[2]) == {MASK}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("cvv_result=100&cvc_check=pass&avs=123", id="results of checks"),
        pytest.param("cvv=M&cvc=12345", id="too short and too long"),
        pytest.param("cvv 12, cvv 12345, cvv is 123", id="the same, in a sentence"),
        pytest.param("CSC 1234 and CAV 2024", id="words that mean other things, too"),
        pytest.param("phone=%2B50173145932412", id="a telephone number in a form"),
        pytest.param(f"n={HIDDEN}", id="what is masked"),
        pytest.param("at=1732186800000&id=pi4111111111111111", id="times and ids"),
        pytest.param("a=%34%31%31&b=%E2%82%AC+5", id="a few digits"),
        pytest.param("a=5870.530086331107&b=4111.1111111111", id="what a division left"),
        pytest.param("<a>5870.530086331107</a>", id="the same, in XML"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_is_no_card_data_stays(text: str) -> None:
    """To the byte; and nothing is said of it."""
    assert masked(text.encode(), is_form=True) == (text.encode(), [])


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        pytest.param("order_id={}&a=1", True, id="a form's id"),
        pytest.param("pspReference={}", True, id="a reference"),
        pytest.param("transaction_no={}", True, id="a number of a transaction"),
        pytest.param("order_serial={}", True, id="the merchant's order, as OwlPay calls it"),
        pytest.param("payinTag={}", True, id="the merchant's order, as Treezor calls it"),
        pytest.param("payinrefundTag={}", True, id="and its refund"),
        pytest.param("serial={}", False, id="of who knows what"),
        pytest.param('<p id="{}"/>', True, id="an attribute"),
        pytest.param("<reference>{}</reference>", True, id="an element"),
        pytest.param("x-request-id: {}", True, id="a header"),
        pytest.param("card[id]={}", False, id="of a card"),
        pytest.param("account_id={}", False, id="of an account"),
        pytest.param("paid={}", False, id="a word that ends so"),
        pytest.param("n={}", False, id="another name"),
        pytest.param("id=no {}", False, id="beside other words"),
        pytest.param("id={} 12/27", False, id="with an expiry date"),
    ],
)
def test_a_reference_that_looks_like_a_card_is_told_and_left(text: str, *, is_kept: bool) -> None:
    """Masked, two payments were one."""
    raw = text.format(NUMBER).encode()
    done, hits = masked(raw, is_form=False)
    if is_kept:
        assert [(hit.kind, hit.is_kept) for hit in hits] == [(Kind.CARD_NUMBER, True)]
        assert done == raw
    else:
        assert NUMBER.encode() not in done


def test_bytes_that_are_no_text_stay_beside_what_is_hidden() -> None:
    """A body may be in any encoding, or in none."""
    assert masked(b"\xff\xfe%b\xe9\xff" % NUMBER.encode(), is_form=False)[0] == (
        b"\xff\xfe%b\xe9\xff" % HIDDEN.encode()
    )


def test_a_name_is_told_without_the_number_in_it() -> None:
    """It is shown to people."""
    [_, hit] = masked(f"{NUMBER}: {NUMBER}".encode(), is_form=False)[1]
    assert hit.name == HIDDEN


_N: Final = 256 * 1024
_HOSTILE: Final = {
    "codes": b"cvv=737&" * (_N // 8),
    "names of codes": b"cvv " * (_N // 4),
    "names and tags": b"cvv a" * (_N // 5) + b">",
    "references": b"id=4111111111111111&" * (_N // 20),
    "escaped digits": b"%34" * (_N // 3),
    "entities": b"&#52;" * (_N // 5),
    "parts": b'cvv"\r\na:b\r\na:b\r\n' * (_N // 16),
    "headers without an end": b"cvv\ncvv" * (_N // 7),
    "backslashes": b"cvv\\" * (_N // 4),
    "few backslashes": (b"cvv" * 20 + b"\\") * (_N // 61),
    "signs that begin no escape": b"%e9cav" * (_N // 6),
    "escapes of letters": b"%C3%A9%" * (_N // 7),
    "signs before codes": b"5%cav=737&" * (_N // 10),
}


@pytest.mark.parametrize("kind", _HOSTILE)
def test_a_hostile_text_is_looked_at_in_bounded_time(kind: str) -> None:
    """Others wait meanwhile; what goes wrong here takes minutes."""
    began_s = time.process_time()
    masked(_HOSTILE[kind], is_form=False)
    assert time.process_time() - began_s < _HOSTILE_S_MAX


@pytest.mark.shows("S40", "I14")
@pytest.mark.parametrize(
    ("raw", "left"),
    [
        pytest.param(
            b"card=4111\xa01111\xa01111\xa01111&a=\xe9",
            b"card=4111\xa011XX\xa0XXXX\xa01111&a=\xe9",
            id="a form",
        ),
        pytest.param(
            b"card=4111%A01111%a01111%A01111&a=%E9",
            b"card=4111%A011XX%a0XXXX%A01111&a=%E9",
            id="a form with escapes",
        ),
        pytest.param(
            b'{"a":"4111\xa01111\xa01111\xa01111"}',
            b'{"a":"4111\xa011XX\xa0XXXX\xa01111"}',
            id="JSON",
        ),
        pytest.param(
            b"<c>4111\xad1111\xad1111\xad1111</c>",
            b"<c>4111\xad11XX\xadXXXX\xad1111</c>",
            id="soft hyphens",
        ),
    ],
)
def test_separators_in_latin_1_are_read(raw: bytes, left: bytes) -> None:
    """Half of Europe's older systems write it, and a no-break space is one byte there."""
    assert guarded_body(raw) == left


@pytest.mark.shows("S40")
@pytest.mark.parametrize("separator", ["\uff0d", "\ufe63", "\uff0e", "\u3000"])
@pytest.mark.parametrize("zero", ["0", "\uff10"])
def test_separators_of_east_asian_keyboards_are_read(separator: str, zero: str) -> None:
    """They are typed with the same keys as the digits beside them."""
    number = separator.join(
        "".join(chr(ord(zero) + int(digit)) for digit in NUMBER[at : at + 4])
        for at in range(0, 16, 4)
    )
    for raw in (f'{{"a":"{number}"}}', json.dumps({"a": number}), f"a={quote(number)}"):
        assert b"XX" in guarded_body(raw.encode()), raw
