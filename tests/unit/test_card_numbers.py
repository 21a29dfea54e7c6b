"""Card data is found in any disguise, masked in place, and seldom seen where there is none."""

import base64
import json
import sys
import uuid
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.cards import (
    BRANDS,
    DISGUISES,
    PRINTED,
    corpus,
    grouped,
    is_carried,
    number_of,
)

from payhooks.policy import card_text
from payhooks.policy.card_numbers import MASK, Kind, Place, found, is_in, masked, masked_text

NUMBER: Final = PRINTED[0]
HIDDEN: Final = f"{NUMBER[:6]}{MASK * 6}{NUMBER[-4:]}"
_AT_MOST: Final = 10


def _found(value: object) -> list[Place]:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return found(raw, "/data", at_most=_AT_MOST)


def _masked(value: object) -> Any:  # noqa: ANN401 - JSON is anything
    return json.loads(masked(json.dumps(value).encode(), "", at_most=_AT_MOST).raw)


@pytest.mark.shows("S40")
@pytest.mark.parametrize("disguise", DISGUISES)
def test_two_hundred_numbers_of_all_brands_are_found_in_every_disguise(disguise: str) -> None:
    """Nobody writes a number in the one way that a filter was made for."""
    numbers = [number for number in corpus(200) if is_carried(disguise, number)]
    assert len(numbers) > 150
    missed = [
        number
        for number in numbers
        if _found(b'{"a":[1,{"b":%b}]}' % DISGUISES[disguise](number))
        != [Place(pointer="/data/a/1/b", kind=Kind.CARD_NUMBER)]
    ]
    assert missed == []


@pytest.mark.parametrize("brand", BRANDS)
def test_a_wrong_check_digit_is_no_card(brand: str) -> None:
    """Nine of ten references of the right length are told apart by it."""
    number = number_of(*BRANDS[brand][0], Random(1))
    assert is_in(number)
    assert not is_in(f"{number[:-1]}{(int(number[-1]) + 1) % 10}")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("4444xxxxxxxx1111", id="masked with x"),
        pytest.param("************1111", id="the last four"),
        pytest.param("411111******1111", id="the first six and the last four"),
        pytest.param(HIDDEN, id="as we mask"),
        pytest.param("4111 11xx xxxx 1111", id="masked in groups"),
        pytest.param(f"1{NUMBER}", id="in a longer run"),
        pytest.param(f"{NUMBER}0000", id="at the beginning of a longer run"),
        pytest.param(f"a{NUMBER}f", id="in a hexadecimal id"),
        pytest.param("0.4111111111111111", id="a fraction"),
        pytest.param("41111.11111111111", id="a decimal number"),
        pytest.param("00000000-4111-4111-8111-111111111111", id="in a UUID"),
        pytest.param("0000000000000000", id="zeros"),
        pytest.param("1732186800000", id="a time in milliseconds"),
        pytest.param("FR7616798000010000005663951", id="an IBAN"),
        pytest.param("DE43 6790 2182 9727 1688 71", id="an IBAN in fours"),
        pytest.param("+50 173 1459324", id="a telephone number"),
        pytest.param("2026-11-20 12:30:45.123456", id="a time"),
    ],
)
def test_what_is_no_card_number_is_not_taken_for_one(text: str) -> None:
    """A finding that is wrong teaches people not to read findings."""
    assert not is_in(text)
    assert _found({"a": text, text: 1}) == []


def test_a_number_that_is_a_fraction_or_negative_is_read_as_one() -> None:
    """Behind the point is what remains of a division; a sign hides nothing."""
    assert _found(b"[0.4111111111111111,1.4111111111111111e2,41111.11111111111]") == []
    assert [place.pointer for place in _found(b"[-4111111111111111,4111111111111111.00]")] == [
        "/data/0",
        "/data/1",
    ]


def _iban(country: str, account: str) -> str:
    letters = "".join(str(int(letter, 36)) for letter in country)
    return f"{country}{98 - int(f'{account}{letters}00') % 97:02}{account}"


def _ids(random: Random) -> Iterator[str]:
    """Yield what stands in payment events beside card numbers."""
    crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    while True:
        yield str(uuid.UUID(int=random.getrandbits(128), version=4))
        yield "01J" + "".join(random.choices(crockford, k=23))
        yield f"pi_{random.getrandbits(128):032x}"
        yield base64.b64encode(random.randbytes(24)).decode()
        yield str(random.randrange(1_700_000_000_000, 1_900_000_000_000))
        yield str(random.randrange(1_700_000_000_000_000, 1_900_000_000_000_000))
        yield f"20{random.randrange(10**10):010}T{random.randrange(10**6):06}Z"
        yield f"2026-11-{random.randrange(10, 29)} 12.30.45.{random.randrange(10**6):06}"
        yield f"+{random.randrange(1, 99)} {random.randrange(100, 999)} {random.randrange(10**7)}"
        yield f"00{random.randrange(10**11, 10**12)}"
        yield f"ORD-2026-{random.randrange(10**8):08}"
        yield f"{random.randrange(10**8)}.{random.randrange(100):02}"
        yield repr(random.random() * 10_000)
        yield f"FR76{random.randrange(10**22, 10**23)}"
        yield grouped(_iban("DE", f"{random.randrange(10**17, 10**18)}"), " ")
        yield str(random.randrange(10**7, 10**11))


@pytest.mark.long
@pytest.mark.shows("S40")
def test_of_a_million_ids_times_and_telephone_numbers_few_are_taken_for_cards() -> None:
    """S40: less than one in a thousand."""
    wrong = sum(map(is_in, islice(_ids(Random(2)), 1_000_000)))
    assert wrong < 1_000


@pytest.mark.shows("S40")
@pytest.mark.parametrize("around", ["a=1&b={}&c=2", "<a><b>{}</b></a>"], ids=["a form", "XML"])
def test_of_such_ids_in_other_texts_few_are_taken_for_cards(around: str) -> None:
    """There a value does not stand by itself, and what tells it apart is what is beside it."""
    ids = islice(_ids(Random(5)), 30_000)
    texts = [around.format(quote(one)).encode() for one in ids]
    assert sum(bool(card_text.masked(text, is_form=False)[1]) for text in texts) < 30


@pytest.mark.shows("S40")
def test_of_references_of_sixteen_digits_three_in_a_hundred_look_like_cards() -> None:
    """Nothing in the number tells them apart; so nothing is changed unless it was asked for."""
    random = Random(3)
    wrong = sum(is_in(f"{random.randrange(10**15, 10**16)}") for _ in range(20_000))
    assert 0.02 < wrong / 20_000 < 0.05


@pytest.mark.shows("S42")
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param({"cvv": "123"}, Kind.SECURITY_CODE, id="cvv"),
        pytest.param({"CVC2": 1234}, Kind.SECURITY_CODE, id="CVC2 as a number"),
        pytest.param({"card_cvn": "123"}, Kind.SECURITY_CODE, id="card_cvn"),
        pytest.param({"cardCsc": " 123 "}, Kind.SECURITY_CODE, id="cardCsc"),
        pytest.param({"card[cvc]": "123"}, Kind.SECURITY_CODE, id="of a form"),
        pytest.param({"cav2": "123"}, Kind.SECURITY_CODE, id="cav2"),
        pytest.param({"card-cid": "1234"}, Kind.SECURITY_CODE, id="card-cid"),
        pytest.param({"security_code": "123"}, Kind.SECURITY_CODE, id="security_code"),
        pytest.param({"cardVerificationValue": "123"}, Kind.SECURITY_CODE, id="in full"),
        pytest.param({"c\u0076v": "12\u0663"}, Kind.SECURITY_CODE, id="other digits"),
        pytest.param({"pinBlock": "0412AC89ABCDEF67"}, Kind.PIN_BLOCK, id="PIN block"),
        pytest.param(
            {"t": "%B4111111111111111^DOE/JANE^27121010000000000000?"},
            Kind.TRACK_DATA,
            id="track 1",
        ),
        pytest.param({"t": ";4111111111111111=27121010000000000?"}, Kind.TRACK_DATA, id="track 2"),
        pytest.param({"t": "4111111111111111D271210100000F"}, Kind.TRACK_DATA, id="tag 57"),
    ],
)
def test_what_nobody_may_keep_is_found_and_goes_whole(data: dict[str, Any], kind: Kind) -> None:
    """S42: not even the last digits of a security code may stay."""
    [name] = data
    assert _found(data) == [Place(pointer=f"/data/{name}", kind=kind)]
    assert set(_masked(data)[name]) == {"X"}


@pytest.mark.shows("S42")
def test_names_that_are_spelt_in_escapes_are_read() -> None:
    """The parser of whoever receives it reads them too."""
    assert _found(rb'{"\u0063\u0076\u0076":"123"}') == _found({"cvv": "123"})


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"cvc": {"result_code": "M", "result": "Match"}}, id="a result"),
        pytest.param({"cvv_result": "100"}, id="a result's code"),
        pytest.param({"cavv": "AAABBBCCC"}, id="3-D Secure"),
        pytest.param({"currency_code": "978"}, id="currency"),
        pytest.param({"cid": "1234"}, id="somebody's id"),
        pytest.param({"verification_code": "1234"}, id="a code by text message"),
        pytest.param({"pin": "123456"}, id="an Indian address"),
        pytest.param({"refund": "B411^X^1"}, id="carets"),
    ],
)
def test_names_that_only_look_secret_are_left_alone(data: dict[str, Any]) -> None:
    """These are in the providers' own samples."""
    assert _found(data) == []


_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False, width=16)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Nd", "Cs"]), max_size=20)
)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(codec="utf-8", exclude_categories=["Nd", "Cs"]), max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_PLANTED: Final = "\U0001f3f4planted"


def _with_planted(value: object, place: int) -> object:
    """Return the value with a list around one of its parts, that ends with the mark."""
    if isinstance(value, dict) and value and place:
        names = list(value)
        name = names[place % len(names)]
        return {**value, name: _with_planted(value[name], place // len(names))}
    if isinstance(value, list) and value and place:
        at = place % len(value)
        return [*value[:at], _with_planted(value[at], place // len(value)), *value[at + 1 :]]
    return [value, _PLANTED]


def _pointer_to_planted(value: object) -> str | None:
    if value == _PLANTED:
        return ""
    steps: list[tuple[str, object]] = []
    if isinstance(value, dict):
        steps = [(name.replace("~", "~0").replace("/", "~1"), part) for name, part in value.items()]
    elif isinstance(value, list):
        steps = [(str(place), part) for place, part in enumerate(value)]
    for step, part in steps:
        rest = _pointer_to_planted(part)
        if rest is not None:
            return f"/{step}{rest}"
    return None


@given(
    value=_JSON,
    place=st.integers(0, 2**16),
    number=st.sampled_from(corpus(100)),
    disguise=st.sampled_from(list(DISGUISES)),
    spelling=st.sampled_from([{"ensure_ascii": True}, {"ensure_ascii": False, "indent": 2}]),
)
@example(value={}, place=0, number=NUMBER, disguise="escapes", spelling={})
def test_wherever_a_number_is_planted_it_is_found_and_masking_changes_it_alone(
    *,
    value: object,
    place: int,
    number: str,
    disguise: str,
    spelling: dict[str, Any],
) -> None:
    """Bytes beside it are the publisher's: not one of them may change."""
    if not is_carried(disguise, number):
        return
    whole = _with_planted(value, place)
    mark = json.dumps(_PLANTED, **spelling).encode()
    before, behind = json.dumps(whole, **spelling).encode().split(mark)
    planted = DISGUISES[disguise](number)
    pointer = f"/data{_pointer_to_planted(whole)}"
    raw = before + planted + behind
    assert found(raw, "/data", at_most=_AT_MOST) == [Place(pointer=pointer, kind=Kind.CARD_NUMBER)]
    done = masked(raw, "/data", at_most=_AT_MOST)
    assert done.places == found(raw, "/data", at_most=_AT_MOST)
    assert done.raw.startswith(before)
    assert done.raw.endswith(behind)
    hidden = json.loads(done.raw[len(before) : len(done.raw) - len(behind)])
    said = str(json.loads(planted))
    assert len(hidden) == len(said)
    assert "X" in hidden
    assert masked(done.raw, "/data", at_most=_AT_MOST) == type(done)(
        raw=done.raw, places=[], is_ambiguous=False
    )


@given(value=_JSON)
@example(value={"\\": '"', "a/b~": ["\u2028", {}]})
def test_what_has_no_card_data_is_left_as_it_is(value: object) -> None:
    """To the byte, in every mode."""
    raw = json.dumps(value).encode()
    assert masked(raw, "", at_most=_AT_MOST).raw == raw
    assert found(raw, "", at_most=_AT_MOST) == []


def test_the_first_six_and_the_last_four_stay_where_they_were() -> None:
    """As much as PCI DSS lets people see, in the groups in which it was written."""
    arabic = "".join(chr(0x660 + int(digit)) for digit in "378282246310005")
    said = {"a": "Card 4111-1111-1111-1111.", "b": 4111111111111111, "c": arabic}
    assert _masked(said) == {
        "a": f"Card 4111-11{MASK * 2}-{MASK * 4}-1111.",
        "b": HIDDEN,
        "c": f"{arabic[:6]}{MASK * 5}{arabic[-4:]}",
    }


def test_escapes_beside_the_hidden_digits_stay_as_they_were_spelt() -> None:
    """Only what is hidden is written anew."""
    raw = rb'{"a":"\/ \u00e9 4\u0031111111111\u00311111 \ud83d\ude00\\"}'
    assert masked(raw, "", at_most=1).raw == (
        rb'{"a":"\/ \u00e9 4\u00311111%b1111 \ud83d\ude00\\"}' % (MASK * 6).encode()
    )


def test_a_name_that_is_a_number_is_masked_in_the_document_and_in_the_pointer() -> None:
    """A finding with the number in its pointer would be the leak itself."""
    raw = json.dumps({NUMBER: {"a": NUMBER}}).encode()
    done = masked(raw, "/data", at_most=_AT_MOST)
    assert NUMBER not in str(done)
    assert [place.pointer for place in done.places] == [
        f"/data/{HIDDEN}",
        f"/data/{HIDDEN}/a",
    ]


def test_names_that_masking_makes_equal_are_told() -> None:
    """Of two equal names every parser drops one, with what it says."""
    other = next(f"411111{n:06}1111" for n in range(100) if is_in(f"411111{n:06}1111"))
    assert masked(json.dumps({NUMBER: 1, other: 2}).encode(), "", at_most=1).is_ambiguous
    assert not masked(json.dumps({NUMBER: {other: 2}}).encode(), "", at_most=1).is_ambiguous
    raw = json.dumps({NUMBER: 1, HIDDEN: 2}).encode()
    assert masked(raw, "", at_most=1).is_ambiguous


def test_a_pointer_spells_slashes_and_tildes_as_pointers_do() -> None:
    """Or it would lead somewhere else."""
    assert [place.pointer for place in _found({"a/b~c": {"": NUMBER}})] == ["/data/a~1b~0c/"]


def test_places_are_bounded_and_all_is_masked() -> None:
    """Who publishes a hundred is told ten, and none is stored."""
    done = masked(json.dumps([NUMBER] * 100).encode(), "", at_most=_AT_MOST)
    assert len(done.places) == _AT_MOST
    assert NUMBER.encode() not in done.raw


def test_text_beside_documents_is_masked_alike() -> None:
    """What a dialect says of an event may quote it."""
    assert masked_text(f"amount {NUMBER} is no number") == f"amount {HIDDEN} is no number"
    for text in ("amount 12 is no number", "00000000000\ud800"):
        assert masked_text(text) == text


def test_every_digit_of_every_script_is_suspicious() -> None:
    """The quick look knows digits by their first byte; one that it did not know would pass."""
    digits = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isdecimal()]
    assert len(digits) > 600
    missed = []
    for zero in digits[::10]:
        number = "".join(chr(ord(zero) + int(digit)) for digit in NUMBER)
        missed += [zero] * (len(_found({"a": number})) != 1)
    assert missed == []
