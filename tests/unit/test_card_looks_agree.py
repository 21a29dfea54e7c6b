"""Whatever the close look finds, the quick look lets it see: drawn at random, from one seed.

The quick look knows names, separators and digits by rules of its own, as it has only microseconds.
Where one of them is narrower than the close look's, a number passes that everybody thinks is seen.
"""

import base64
import json
from random import Random
from typing import Final

import pytest

from payhooks.policy import card_numbers, card_text
from payhooks.policy.card_numbers import found
from payhooks.policy.card_suspicion import suspicion

_ROUNDS: Final = 2_000  # half a second
_NUMBERS: Final = (
    "4111111111111111", "5500005555555559", "340000000000009", "6011000000000004", "500000000009",
    "30000000000004", "2221000000000009", "6304000000000000", "4222222222222", "6200000000000005",
    "8171999927660000",
)  # fmt: skip
_ZEROS: Final = (
    0x30, 0x660, 0x6F0, 0x966, 0xFF10, 0x7C0, 0x1040, 0x104A0, 0x1D7CE, 0xA620, 0xE50, 0x1E950,
    0x11066, 0x1FBF0, 0x10D30, 0x19D0, 0xAA50, 0x11730,
)  # fmt: skip
_BETWEEN: Final = (
    "", "", " ", "-", ".", "  ", "   ", " - ", "_", "+", "\r\n", "\t", "\u00a0", "\u00ad", "\u1680",
    "\u180e", "\u2000", "\u2007", "\u2009", "\u200b", "\u2015", "\u2028", "\u202f", "\u205f",
    "\u2060", "\u2212", "\u3000", "\ufeff", "\ufe63", "\uff0d", "\uff0e", "%A0",
    "%ad", "%20", "%2D", "%C2%A0", "\\u0020", "&#32;", "&nbsp;",
)  # fmt: skip
_NAMES: Final = (
    "cvv", "CVV2", "cvc", "cvn", "cvd", "csc", "cav", "securityCode", "security_code",
    "Security Code", "card-code", "card_cid", "cardVerificationValue", "card verification number",
    "SECURITYCODE", "CARD_CID", "CardCode", "CARDVERIFICATIONVALUE", "CardVerificationNUMBER",
    "CVN", "cvv_2", "SECURITY_CODE 2", "card-cid.2", "pin_block", "PINBLOCK", "pin-block",
    "card[cvc]", "card.cvv2", "cvc3", "cvvCode", "CVV2_NUMBER", "verification value", "cvv[]",
    "cvv[0]", "value", "card[cid]", "a[card][0][code]", "cvv[code]", "card.cid", 'cvn":{"code',
    'Card": {"Cid', 'Se Curity":[{"code', "<a:card>\n<a:cid", "<card a='1'><n/><code",
    "<card n='1' cid",
)  # fmt: skip
_TO_VALUE: Final = (
    "=", ":", '":"', '": ', '\\":\\"', ">", ' value="', "\n\n", "\r\n\r\n", " ", "  ", "=>", "'=>'",
    "</name><value>", "</n> <v>", "<\\/n> <v>", "%3D", "=%22", "%3A+", " :  ", "\xa0", "\t=\t",
    ":\n", ":\x0c", ":\x1c", "\\u003d", "><![CDATA[", ' a="1,2">',
    '"\nContent-Type: text/plain\n\n', '"\r\nX-A: 1\r\n\r\n', "\nX-A: 1\n\n", '": null, "',
    '": [\n"', '": [1, ', '":{"value":"', '":{"a":"}","value":"', '","value":"',
    '": { "a": "b", "value": ', "&gt;", "&quot;:&quot;",
    "', 'value' => ", '\\",\\"value\\":\\"',
)  # fmt: skip
_VALUES: Final = (
    "123", "987", "1234", "12345", "\u0661\u0662\u0663", "\uff11\uff12\uff13", "0123456789abcdef",
    "0123456789ABCDEF", '123"', "%31%32%33", "\\u0031\\u0032\\u0033", "&#49;&#50;&#51;",
)  # fmt: skip
_BESIDE: Final = (
    "a", "T", "&", "{", "}", '"', "\\", "\\\\", "%", "%%", "5%", "%8", "=", "1", "12", "000",
    "\n", "\t", "%25", '\\"', ";", "&#", "<a>", "%C2", "%E2%80", "%c3%a9", "%E9", "\u00e9",
    "\u20ac", "\u2460", "\u0301", "\U0001f600", "0" * 70, "1 " * 30, "+", "x1", "/",
    "\\n", "\\u0041", ",",
)  # fmt: skip


def _spelt(random: Random, text: str) -> str:
    """Return the text as it may be escaped."""
    match random.randrange(8):
        case 0:
            return "".join(f"%{byte:02x}" for byte in text.encode())
        case 1:
            return json.dumps(text)[1:-1]
        case 2:
            return "".join(f"&#{ord(each)};" for each in text)
        case 3:
            return "".join(random.choice((each, f"\\u{ord(each) % 65536:04x}")) for each in text)
        case _:
            return text


def _piece(random: Random) -> str:
    if random.random() < 0.15:
        # Not of what is base64 itself: of that one level is read.
        inner = "".join(_plain_piece(random) for _ in range(random.randint(1, 3)))
        before = ("", "aa", "x " * 24, "{", '{"', "[\n {", "<a>", "<?xml?>", "\ufeff{")
        said = (random.choice(before) + inner).encode()
        coded = random.choice((base64.b64encode, base64.encodebytes, base64.urlsafe_b64encode))
        return random.choice(("", ",", "\n", '"')) + coded(said).decode()
    return _plain_piece(random)


def _plain_piece(random: Random) -> str:
    draw = random.random()
    if draw < 0.35:
        number, size = random.choice(_NUMBERS), random.choice((1, 3, 4, 4, 6, 20))
        zero, between = random.choice((0x30, random.choice(_ZEROS))), random.choice(_BETWEEN)
        digits = "".join(chr(zero + int(digit)) for digit in number)
        groups = [digits[at : at + size] for at in range(0, len(digits), size)]
        return _spelt(random, between.join(groups))
    if draw < 0.7:
        name = _spelt(random, random.choice(_NAMES))
        return name + random.choice(_TO_VALUE) + random.choice(_VALUES)
    return random.choice(_BESIDE)


def _texts(seed: int) -> list[tuple[Random, str]]:
    random = Random(seed)
    return [
        (random, "".join(_piece(random) for _ in range(random.randint(1, 4))))
        for _ in range(_ROUNDS)
    ]


def test_of_a_text_nothing_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is a form or not."""
    cases = [
        (text.encode(encoding, "replace"), is_form)
        for random, text in _texts(1)
        for encoding in (random.choice(("utf-8", "utf-8", "latin-1")),)
        for is_form in (False, True)
    ]
    looked = [card_text.masked(raw, is_form=is_form) for raw, is_form in cases]
    monkeypatch.setattr(card_text, "is_suspect", lambda _raw: True)
    closely = [card_text.masked(raw, is_form=is_form) for raw, is_form in cases]
    assert sum(bool(hits) for _, hits in closely) > _ROUNDS // 2
    passed = [
        case for case, *both in zip(cases, looked, closely, strict=True) if both[0] != both[1]
    ]
    assert passed == []


def test_of_a_document_nothing_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its encoder escapes."""
    documents = []
    for random, text in _texts(2):
        value = random.choice((text, random.choice(_VALUES)))
        below = random.choice((value, value, [1, value], {"a": 1, "value": value}))
        member = random.choice((below, below, {random.choice(("a", "cid", "Code")): below}))
        said = {random.choice((*_NAMES, "a")): member, text[:20]: 1, "b": [text]}
        if random.random() < 0.2:
            named = random.choice(("name", "key")), random.choice((*_NAMES, text))
            said = dict(random.sample([*said.items(), named, ("value", value)], len(said) + 2))
        raw = json.dumps(said, ensure_ascii=random.random() < 0.5, indent=random.choice((None, 1)))
        documents.append(random.choice((raw, raw.replace("/", "\\/"))).encode())
    looked = [found(raw, "", at_most=9) for raw in documents]
    monkeypatch.setattr(card_numbers, "is_suspect", lambda _raw: True)
    closely = [found(raw, "", at_most=9) for raw in documents]
    assert sum(map(bool, closely)) > _ROUNDS // 3
    passed = [
        raw for raw, *both in zip(documents, looked, closely, strict=True) if both[0] != both[1]
    ]
    assert passed == []


@pytest.mark.parametrize("number", _NUMBERS)
def test_wherever_a_number_is_parted_it_is_seen(number: str) -> None:
    """However many of its digits stand before, and whatever stands before these."""
    for at in range(1, len(number)):
        for before in ("", "/", "\u00a0"):
            said = [f"{before}{number[:at]} {number[at:]}"]
            assert found(json.dumps(said, ensure_ascii=False).encode(), "", at_most=1), said


@pytest.mark.parametrize("before", ["\u00e9", "\u2460", "\u0301", "\U0001f600", "\\", "\n"])
def test_whatever_stands_before_a_number_it_is_seen(before: str) -> None:
    """However it is spelt, too: an escape may end in a digit."""
    for ensure_ascii in (False, True):
        raw = json.dumps([f"{before}4111111111111111"], ensure_ascii=ensure_ascii).encode()
        assert found(raw, "", at_most=1), raw


@pytest.mark.parametrize("before", ["%20", "%C3%A9", "&#32;", "\\u00e9", "\\u0039\\u00e9"])
def test_whatever_spells_what_stands_before_a_number_it_is_seen(before: str) -> None:
    """Escapes of forms, XML and JSON in what is no JSON."""
    for is_form in (False, True):
        raw = f"a={before}4111111111111111".encode()
        assert card_text.masked(raw, is_form=is_form)[1], raw


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("<note>\u043a\u0430\u0440\u0442\u0430{}</note>", "cp1251"),
        ("Ma\u00df{}", "cp1252"),
        ("\u5361\u53f7{}", "gbk"),
        ("{}\u043a", "koi8_r"),
    ],
)
@pytest.mark.parametrize("number", ["4111111111111111", "4111 1111 1111 1111"])
def test_in_encodings_of_old_it_is_seen(text: str, encoding: str, number: str) -> None:
    """Their letters are bytes with which digits of other scripts begin in UTF-8."""
    assert card_text.masked(text.format(number).encode(encoding), is_form=False)[1]


@pytest.mark.parametrize("at", range(16))
def test_one_digit_of_another_script_hides_nothing(at: int) -> None:
    """Wherever it stands, the last place too."""
    number = "4111111111111111"
    said = [f"{number[:at]}{chr(0x660 + int(number[at]))}{number[at + 1 :]}"]
    assert found(json.dumps(said, ensure_ascii=False).encode(), "", at_most=1)


@pytest.mark.parametrize("name", ["P\u0130N_BLOCK", "p\u0131n_block", "PINBLOC\u212a"])
def test_names_in_letters_that_case_makes_equal_are_seen(name: str) -> None:
    """As whoever speaks Turkish writes PIN in capitals."""
    for ensure_ascii in (False, True):
        raw = json.dumps([f"{name}=0123456789abcdef"], ensure_ascii=ensure_ascii).encode()
        assert found(raw, "", at_most=1), raw


@pytest.mark.parametrize(
    "text",
    [
        "1732186800.123456",
        "0049 30 1234-5678",
        "2026-11-22 18.00.29",
        "0.9234567890123",
        "\u0662" * 3,
    ],
)
def test_what_begins_as_no_number_is_no_reason_to_read_a_document_in_earnest(text: str) -> None:
    """Though it has as many digits: that would take ten times as long."""
    assert suspicion(json.dumps([text], ensure_ascii=False).encode()) is None


def test_a_stripe_behind_other_digits_is_seen() -> None:
    """Its number may have as many digits as a number has, and is no run by itself."""
    for separator in "=D":
        text = f"00006200000000000000000{separator}27121010000000000"
        assert found(json.dumps([text]).encode(), "", at_most=1), text
        assert card_text.masked(f"{text}&a=%20".encode(), is_form=False)[1], text


def test_escapes_of_escapes_are_no_reason_to_read_a_document_in_earnest() -> None:
    """JSON within JSON has them wherever a text within has one."""
    assert not card_numbers.is_suspect(
        json.dumps({"a": json.dumps("R&D").replace("&", "\\u0026")}).encode()
    )
