"""Security codes and PIN blocks go by their names, wherever these stand beside them."""

import json
from typing import Any, Final
from urllib.parse import quote

import pytest
from tests.support.cards import guarded_body

from payhooks.policy import card_text
from payhooks.policy.card_numbers import MASK, Kind, found, masked

_BLOCK: Final = "0412AC89ABCDEF67"


def _hidden(text: str) -> str:
    return text.replace("987", MASK * 3).replace(_BLOCK, MASK * 16)


@pytest.mark.shows("S42", "I14")
@pytest.mark.parametrize(
    "name",
    [
        *("cvc3", "cvv_code", "cvvCode", "cvv2Code", "CVVNumber", "cvc-number", "cvnValue"),
        *("verification_value", "verificationValue", "cvv[]", "cvv[0]", "card[cvv][]"),
    ],
)
def test_a_code_goes_by_each_of_its_names(name: str) -> None:
    """Of libraries, gateways and forms."""
    for text in (
        json.dumps({name: "987"}),
        json.dumps({"note": json.dumps({name: "987"})}),
        f"a=1&{name}=987&b=2",
        f"<n {name}='987'/>",
        f"{name}: 987\n",
    ):
        assert guarded_body(text.encode()).decode() == _hidden(text)
    query = f"a=1&{name.replace('[', '%5B').replace(']', '%5D')}=987"
    assert card_text.masked(query.encode(), is_form=True)[0].decode() == _hidden(query)


@pytest.mark.shows("S42", "I14")
@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        pytest.param({"cvv": ["987"]}, "/cvv/0", id="in a list"),
        pytest.param({"cvv": [1, 987]}, "/cvv/1", id="not the first of it"),
        pytest.param({"cvv": {"value": "987"}}, "/cvv/value", id="below its name"),
        pytest.param({"cvv": {"a": "b", "value": "987"}}, "/cvv/value", id="behind another"),
        pytest.param({"cvv": {"Value": 987}}, "/cvv/Value", id="as other languages spell it"),
        pytest.param({"cvv": [{"value": ["987"]}]}, "/cvv/0/value/0", id="lists of both"),
        pytest.param({"name": "cvv", "value": "987"}, "/value", id="beside its name"),
        pytest.param({"name": "cvv", "a": [{}], "value": 987}, "/value", id="not next to it"),
        pytest.param({"value": "987", "key": "cardCvc"}, "/value", id="before its name"),
        pytest.param(
            [{"name": "a", "value": "4"}, {"value": "987", "b": {"value": 1}, "code": "CVC2"}],
            "/1/value",
            id="among others",
        ),
        pytest.param({"card": {"cid": "987"}}, "/card/cid", id="of a card"),
        pytest.param({"payCard": {"b": {}, "CID": 987}}, "/payCard/CID", id="behind an object"),
        pytest.param(
            {"card_details": [{"cid": "987"}]}, "/card_details/0/cid", id="in its details"
        ),
        pytest.param({"card": {"code": "987"}}, "/card/code", id="a card's code"),
        pytest.param({"security": {"code": ["987"]}}, "/security/code/0", id="code, of security"),
        pytest.param({"card": {"cid": {"value": 987}}}, "/card/cid/value", id="below both"),
        pytest.param({"cvv": {"code": "987"}}, "/cvv/code", id="code, of a cvv"),
        pytest.param({"Cvc2": [{"a": 1, "Code": 987}]}, "/Cvc2/0/Code", id="code, of such a list"),
        pytest.param({"Se Curity": {"code": "987"}}, "/Se Curity/code", id="a name in parts"),
        pytest.param({"card[cid]": "987"}, "/card[cid]", id="as forms name it"),
        pytest.param({"a[card][0][code]": [987]}, "/a[card][0][code]/0", id="one of a list's"),
        pytest.param({"name": "card[cid]", "value": "987"}, "/value", id="beside a form's name"),
        pytest.param({"field": "pin_block", "value": _BLOCK}, "/value", id="a PIN block"),
        pytest.param({"value": _BLOCK, "type": "pinBlock"}, "/value", id="before its name, too"),
    ],
)
def test_a_code_goes_whose_name_is_not_that_of_its_member(value: Any, pointer: str) -> None:  # noqa: ANN401 - JSON is anything
    """In what is made of lists of fields, as forms are."""
    for text in (json.dumps(value), json.dumps(value, indent=1), json.dumps({"a": value})):
        spelt = text.replace('"987"', "987").replace("987", f'"{MASK * 3}"')
        assert guarded_body(text.encode()).decode() == _hidden(spelt)
    [place] = found(json.dumps(value).encode(), "", at_most=2)
    assert place.pointer == pointer
    assert place.kind is (Kind.PIN_BLOCK if _BLOCK in str(value) else Kind.SECURITY_CODE)


@pytest.mark.shows("S42")
@pytest.mark.parametrize(
    "text",
    [
        '{"name":"cvv","value":"987"}',
        '{"cvv":{"value":987}}',
        '{"cvv": { "value" : "987" } }',
        '{"cvv":["987"]}',
        '{"key": "pin_block", "value": "0412AC89ABCDEF67"}',
        '{"card":{"a":{"b":1},"cid":"987"}}',
        '{"card":{"cid":{"value":987}}}',
        '{"cvn":{"code":"987"}}',
        "{'credit_card' => {'number' => 'X', 'code' => '987'}}",
    ],
)
def test_within_a_text_it_goes_as_well(text: str) -> None:
    """In the sentence of an error, and in JSON that is cut off."""
    for whole in (json.dumps({"a": text}), text[:-1], f"refused: {text}"):
        assert guarded_body(whole.encode()).decode() == _hidden(whole)


@pytest.mark.shows("S42", "I14")
@pytest.mark.parametrize(
    "text",
    [
        "a=1&card[cid]=987&b=2",
        "payment.card.cid=987",
        "cards[0][cid]=987&card[1][code]=987",
        "<card><cid>987</cid></card>",
        '<p:card type="visa" id="1">\n <number>X</number>\n <cid>987</cid></p:card>',
        "<security><code a='1'>987</code></security>",
        '<p:card xmlns:p="urn:a"><p:number>X</p:number><p:cid>987</p:cid></p:card>',
        f'<card a="{"x" * 150}"><code>987</code></card>',
        "<card><number/><!-- of it -->\n <cid>987</cid></card>",
        '<p:card number="X" p:cid="987"/>',
        "<card><cid><value>987</value></cid></card>",
        "cvv[code]=987&a=1",
        '{"card":{"cid":"987"',
        '{"card":\n [ {"x":1,"code":987',
    ],
)
def test_what_stands_below_a_card_is_found_in_forms_xml_and_texts(text: str) -> None:
    """Each has its own way to say what a member belongs to."""
    assert guarded_body(text.encode()).decode() == _hidden(text)
    coded = quote(text, safe="=&")
    assert card_text.masked(coded.encode(), is_form=True)[0].decode() == _hidden(coded)
    inside = json.dumps({"a": text, "b": 1})
    assert guarded_body(inside.encode()).decode() == _hidden(inside)


@pytest.mark.shows("S42", "I14")
@pytest.mark.parametrize("more", ["", "Content-Type: text/plain\r\n"])
def test_what_stands_below_a_card_is_found_in_what_has_several_parts(more: str) -> None:
    """As browsers send forms with files in them."""
    text = f'--b\r\nA: form-data; name="card[cid]"\r\n{more}\r\n987\r\n--b--'
    assert guarded_body(text.encode()).decode() == _hidden(text)
    inside = json.dumps({"a": text})
    assert guarded_body(inside.encode()).decode() == _hidden(inside)


@pytest.mark.parametrize(
    "text",
    [
        "card=1&cid=987",
        "<card/><a code='987'/>",
        "<card><number/></card><cid>987</cid>",
        "<card a='1'>b code=987",
        '{"card":{"number":{"cid":{"value":987}}}',
        "customer[cid]=987&card[brand]=a",
        "<card>1</card><cid>987</cid>",
        "<card><owner><cid>987</cid></owner></card>",
        '{"card":{"x":1},"cid":"987"',
        '{"card":{"x":{"code":987}',
        "card code is 9876543",
        '{"card":{"postal_code":"987"',
        "card[error-code]=987",
    ],
)
def test_what_stands_beside_a_card_stays(text: str) -> None:
    """It is a customer's, or an error's."""
    assert guarded_body(text.encode()).decode() == text


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"cid": "987", "card": {"brand": "amex"}}, id="cid, a customer's id"),
        pytest.param({"cardholder": {"cid": "987"}, "card": 1}, id="a cardholder's cid"),
        pytest.param({"card": {"owner": {"cid": "987"}}}, id="cid of what a card has"),
        pytest.param({"card": 1, "error": {"code": 987}}, id="an error's code"),
        pytest.param({"gift_card": {"code": {"value": 1000}}}, id="below a voucher of two names"),
        pytest.param({"checks": ["cvv", 100], "value": "987"}, id="a list of checks"),
        pytest.param({"name": "cvv", "amount": "987"}, id="a member of another name"),
        pytest.param({"name": "cvv", "value": "M"}, id="the result of a check"),
        pytest.param({"name": "cvv", "b": {"value": "987"}}, id="the value of another"),
        pytest.param({"value": "987", "b": {"name": "cvv"}}, id="the name of another"),
        pytest.param([{"name": "cvv"}, {"value": "987"}], id="another of a list"),
        pytest.param({"cvv": {"result": "100", "amount": {"value": 987}}}, id="what is beside"),
        pytest.param({"cvv": {"a": {"b": 1}, "value": 987}}, id="what stands behind an object"),
        pytest.param({"cvv_result_code": 100, "cvvResponseCode": "200"}, id="codes of results"),
        pytest.param({"cvv": [{"a": 1}, 5], "b": [987]}, id="a list behind it"),
        pytest.param({"type": "gift_card_code", "value": 1000}, id="beside a voucher"),
        pytest.param({"value": "1000", "type": "Gift card code"}, id="before a voucher"),
        pytest.param({"gift_card_code": {"value": 1000}}, id="below a voucher"),
    ],
)
def test_what_is_beside_such_a_name_and_is_none_stays(value: Any) -> None:  # noqa: ANN401 - JSON is anything
    """Amounts and results are what a message is about."""
    raw = json.dumps(value).encode()
    assert guarded_body(raw) == raw


def test_a_value_before_its_name_is_hidden_in_its_place() -> None:
    """It is known last, and stands first."""
    raw = b'{"value":"987","b":"4111111111111111","name":"cvv","c":"4111111111111111"}'
    done = masked(raw, "", at_most=9)
    assert json.loads(done.raw) == {
        "value": "XXX",
        "b": "411111XXXXXX1111",
        "name": "cvv",
        "c": "411111XXXXXX1111",
    }
    assert {place.pointer for place in done.places} == {"/value", "/b", "/c"}
