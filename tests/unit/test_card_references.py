"""Which ids and references stay as they came, and which numbers in them do not."""

import json
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import pytest
from tests.support.cards import PRINTED, TRACED, corpus, grouped, guarded_body

from payhooks.policy.card_numbers import MASK
from payhooks.policy.card_references import is_reference

NUMBER: Final = PRINTED[0]
HIDDEN: Final = f"{NUMBER[:6]}{MASK * 6}{NUMBER[-4:]}"
Spelt = Callable[[str, str], bytes]  # a name and a value
_N: Final = 256 * 1024
_S_MAX: Final = 3.0  # it takes 0.5

_IDS: Final = (
    "{}",
    "pay_{}",
    "pay-{}",
    "ORD/{}",
    "ORD-2026-{}",
    "evt_{}-2",
    "urn:order:{}",
    "#{}",
    "https://shop.example/orders/{}/1",
    "shop.{}.refund",
    "cardpay_{}",
    "company:{}",
    "a" * 111 + "_{}",
)
_NOT_IDS: Final = (
    "card {}",
    "{} 12/27",
    "card-{}",
    "card_no:{}",
    "PAN/{}",
    "order-cc#{}",
    "{}/12/27",
    "{}:1227:737",
    "pay_{}-0130",
    "{}D27121010000000000",
    "cvv:737-{}",
    "{}/5555555555554444",
    "https://shop.example/?q={}",
    "shop@{}",
    "pay|{}",
    "a" * 112 + "_{}",
    "{}:737",
    "{}_2712:737",
    "{}/27/12",
    "737:{}",
    "12/27/{}",
    "cvv737-{}",
    "visa:{}",
    "track2:{}:D27121010000000000",
    "cardNumber0:{}",
    "primary_account_number:{}",
)


def _document(name: str, value: str) -> bytes:
    return json.dumps({name: value}).encode()


def _form(name: str, value: str) -> bytes:
    return f"a=1&{name}={value}&b=2".encode()


def _xml(name: str, value: str) -> bytes:
    return f"<a><{name}>{value}</{name}></a>".encode()


def _attribute(name: str, value: str) -> bytes:
    return f'<a {name}="{value}"/>'.encode()


def _lines(name: str, value: str) -> bytes:
    return f"{name}: {value}\nx-a: 1\n".encode()


def _json_in_a_form(name: str, value: str) -> bytes:
    return f'p={{"{name}":"{value}"}}'.encode()


_SPELT = pytest.mark.parametrize(
    "spelt", [_document, _form, _xml, _attribute, _lines, _json_in_a_form]
)


@_SPELT
@pytest.mark.parametrize("form", _IDS)
def test_an_id_with_a_number_in_it_is_left(spelt: Spelt, form: str) -> None:
    """Masked, two payments whose ids differ in the middle became one, and one was never told."""
    for name in ("payment_id", "event-id", "reference"):
        raw = spelt(name, form.format(NUMBER))
        assert guarded_body(raw) == raw


@_SPELT
@pytest.mark.parametrize("form", _NOT_IDS)
def test_what_is_more_than_an_id_is_masked(spelt: Spelt, form: str) -> None:
    """A sentence, a stripe, an address with a query, a card by its own word: no payment's id."""
    raw = spelt("reference", form.format(NUMBER))
    assert NUMBER.encode() not in guarded_body(raw)


@pytest.mark.parametrize(
    "text",
    [
        "<card><id>pay_{}</id></card>",
        '<card id="pay_{}"/>',
        'p={{"card":{{"id":"pay_{}"}}}}',
        "card id:{}",
    ],
)
def test_in_a_text_too_an_id_right_below_a_card_is_the_cards(text: str) -> None:
    assert NUMBER.encode() not in guarded_body(text.format(NUMBER).encode())


@pytest.mark.parametrize("text", ["<card>1</card><id>{}</id>", "type=card&id={}", "card\nid: {}"])
def test_an_id_behind_a_card_is_nobody_elses(text: str) -> None:
    raw = text.format(NUMBER).encode()
    assert guarded_body(raw) == raw


@pytest.mark.parametrize("beside", [{"cvv": {"code": "737"}}, {"cvv": "737,738"}, {"expiry": "1"}])
def test_in_a_json_text_beside_what_a_card_has_no_number_is_a_reference(
    beside: dict[str, object],
) -> None:
    text = json.dumps({"id": NUMBER, **beside})
    assert NUMBER.encode() not in guarded_body(json.dumps({"additionalData": text}).encode())


@_SPELT
@pytest.mark.parametrize("separator", [" ", "-", ".", "  ", "\u00a0"])
def test_a_number_in_groups_is_masked_in_an_id_too(spelt: Spelt, separator: str) -> None:
    """So cards are printed, and ids are not."""
    for number in corpus(100):
        for form in ("{}", "pay_{}"):
            value = form.format(grouped(number, separator))
            assert value.encode() not in guarded_body(spelt("payment_id", value)), value


@_SPELT
@pytest.mark.parametrize(
    "name", ["card_id", "cardReference", "pan_reference", "account_id", "card_payment_id", "paid"]
)
def test_a_name_that_speaks_of_a_card_makes_no_reference(spelt: Spelt, name: str) -> None:
    """Somebody's `card_id` is the number."""
    for form in ("{}", "pay_{}"):
        assert NUMBER.encode() not in guarded_body(spelt(name, form.format(NUMBER)))


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("order/number", True),
        ("orders/0/number", True),
        ("metadata/order", True),
        ("metadata[order]", True),
        ("order[number]", True),
        ("txnid", True),
        ("arn", True),
        ("receipt_number", True),
        ("invoice", True),
        ("tracking_code", True),
        ("refnum", True),
        ("api/optional1", True),
        ("uuid", True),
        ("order_transfer_uuids/0", True),
        ("data/accounting/uuid", True),
        ("subject", True),
        ("key", True),
        ("card/externalProvider/transactionReference", True),
        ("payment_account/order_id", True),
        ("card/id", False),
        ("card/reference", False),
        ("card/uuid", False),
        ("card/order/number", False),
        ("card/transaction_number", False),
        ("account/key", False),
        ("message/subject", False),
        ("payment/number", False),
        ("number", False),
        ("monkey", False),
        ("public_key", False),
        ("pan/transaction_card_id", False),
        ("0", False),
    ],
)
def test_the_last_name_says_whose_it_is_or_those_above_it(path: str, *, is_one: bool) -> None:
    """`number` is of its order; `id` below a card is the card's, `order_id` is not."""
    steps = [int(step) if step.isdecimal() else step for step in path.split("/")]
    assert is_reference(steps, NUMBER) is is_one
    assert is_reference(steps, f"a_{NUMBER}") is is_one


@pytest.mark.parametrize(
    "behind",
    ["%2C12%2F27%2C737", "%3B12%2F27", "%26737", "%22%2C%22a%22%3A1", "%0D%0A12/27", "%3Cb%3E"],
)
def test_what_is_escaped_behind_a_number_in_a_form_is_of_its_value(behind: str) -> None:
    """Whoever reads the form has a card's number, its date and its code."""
    for raw in (f"reference={NUMBER}{behind}&a=1", f"a=1&reference={NUMBER}{behind}"):
        assert guarded_body(raw.encode()) == raw.replace(NUMBER, HIDDEN).encode()


@pytest.mark.parametrize(
    "behind",
    [
        ",12/27,737",
        ";12/27;737",
        ";737",
        "&12/27",
        ", 12/27",
        ";1=2",
        "&737",
        "&737=a",
        "&12 a=1",
        "&737&a=1",
    ],
)
def test_what_stands_behind_a_number_and_begins_no_member_is_of_its_value(behind: str) -> None:
    """A comma parts members, and also what stands on a card."""
    for raw in (f"reference={NUMBER}{behind}", f"reference: {NUMBER}{behind}"):
        assert guarded_body(raw.encode()) == raw.replace(NUMBER, HIDDEN).encode()


def test_another_member_behind_a_number_ends_its_value() -> None:
    """However members are parted, and where the whole is a form's value, in escapes too."""
    member = '{{"reference":{},"amount":1}}'
    for form in ("t=1;reference={};v1=ab", "reference={}&a[b]=c", "reference={}, a=b", member):
        raw = form.format(NUMBER)
        assert guarded_body(f"x {raw}".encode()) == f"x {raw}".encode()
        coded = f"payload={quote(f'x {raw}', safe='')}".encode()
        assert guarded_body(coded) == coded


@pytest.mark.parametrize(
    "behind",
    ["first+name=a", "%5Bx%5D=1", "flag&a=1", "flag", "3ds=Y", "&a=1", "amp;a=1", "%C3%BCb=1"],
)
def test_another_member_of_a_form_ends_it_whatever_it_is_called(behind: str) -> None:
    """Masked, two payments became one for what stands beside their references."""
    raw = f"reference={NUMBER}&{behind}".encode()
    assert guarded_body(raw) == raw


def test_what_only_a_merchant_has_named_is_left_where_it_stands() -> None:
    """In a format of his own the object's id may have any name, but none that speaks of a card."""
    own = {("event", "about"), ("card", "about")}
    assert is_reference(["event", "about"], f"a_{NUMBER}", also=own)
    assert not is_reference(["about"], NUMBER, also=own)
    assert not is_reference(["card", "about"], NUMBER, also=own)


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        pytest.param(f'{{"payment_id":"pay_{NUMBER}"}}', True, id="an id"),
        pytest.param(f'[{{"id":{NUMBER}}},{{"n":1}}]', True, id="of a list"),
        pytest.param(f'{{"id":"{NUMBER}","pan":"{NUMBER}"}}', False, id="and a card"),
        pytest.param(f'{{"id":"{NUMBER}","cvv":"737"}}', False, id="and a security code"),
        pytest.param(f'{{"card":{{"id":"{NUMBER}"}}}}', False, id="of a card"),
        pytest.param(f'{{"{NUMBER}":1}}', False, id="a name"),
        pytest.param(f'{{"id":"{NUMBER}"', False, id="cut off"),
        pytest.param("[" * 100_000 + NUMBER, False, id="deep"),
        pytest.param(f'{{"a":"{{\\"id\\":\\"{NUMBER}\\"}}"}}', False, id="two levels"),
    ],
)
def test_a_text_that_is_json_is_left_if_all_in_it_are_references(
    text: str, *, is_kept: bool
) -> None:
    """Some send a part of a message so: it is one text, and stays whole or is masked."""
    raw = _document("data", text)
    assert (guarded_body(raw) == raw) is is_kept
    if not is_kept:
        assert NUMBER.encode() not in guarded_body(raw)
    below_a_card = json.dumps({"card": text}).encode()
    assert (guarded_body(below_a_card) == below_a_card) is ("payment_id" in text)


def test_what_is_coded_in_an_id_is_masked() -> None:
    """Base64 is no separator, and no reference either."""
    coded = "NDExMTExMTExMTExMTExMQ"
    for before in ("pay:", f"pay{NUMBER}."):  # the second has a word in front of it, and is none
        done = guarded_body(_document("payment_id", before + coded))
        assert json.loads(done) == {"payment_id": before + MASK * len(coded)}


def test_in_a_text_a_colon_is_of_the_value_or_before_it() -> None:
    """Some write no space behind it."""
    for raw in (f"x-id:pay_{NUMBER}", f"a:id:{NUMBER}", f"{{id:{NUMBER}}}", f"id: a:{NUMBER}"):
        assert guarded_body(raw.encode()) == raw.encode()
    for raw in (f"note: a:{NUMBER}", f"card:pay_{NUMBER}", f"a_{NUMBER}"):
        assert guarded_body(raw.encode()) == raw.replace(NUMBER, HIDDEN).encode()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(f"a_{NUMBER}", id="short"),
        pytest.param(f"a:{NUMBER}" + "_b" * 50, id="long"),
        pytest.param(f"a_{NUMBER}/" * 6, id="full"),
        pytest.param(f"a_{NUMBER}/" * (_N // 19), id="one"),
    ],
)
def test_ids_without_end_are_looked_at_in_bounded_time(value: str) -> None:
    """Others wait meanwhile."""
    values = [value] * (_N // len(value))
    for body in (
        "&".join([f"id={each}" for each in values]).encode(),
        json.dumps([{"id": each} for each in values]).encode(),
    ):
        began_s = time.process_time()
        guarded_body(body)
        assert (time.process_time() - began_s) / TRACED < _S_MAX
