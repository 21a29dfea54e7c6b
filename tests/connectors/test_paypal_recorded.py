"""What PayPal itself has signed is verified here: its requests, as its own SDKs recorded them."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.connectors.signed_by_paypal import CERTIFICATE_URL, NOW, certified, provider

from payhooks.connectors.contract import Incoming, Keys
from payhooks.errors import SignatureError

pytestmark = pytest.mark.shows("N01")

_RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "paypal" / "verify.json").read_text()
)
_CASES = [pytest.param(case, id=case["name"]) for case in _RECORDED["cases"]]
# The text is PayPal's, and so is the key; who vouches for the key is ours.
_KEY = rsa.RSAPublicNumbers(65_537, int(_RECORDED["modulus"], 16)).public_key()
_CERTIFICATE = certified(_KEY)


def _verify(case: dict[str, Any], **other: str) -> None:
    said = {**case, **other}
    headers = {
        "paypal-transmission-id": said["transmission_id"],
        "paypal-transmission-time": said["transmission_time"],
        "paypal-transmission-sig": said["signature"],
        "paypal-cert-url": CERTIFICATE_URL,
        "paypal-auth-algo": "SHA256withRSA",
    }
    incoming = Incoming("POST", "", headers, said["body"].encode())
    keys = Keys((), None, {CERTIFICATE_URL: _CERTIFICATE})
    provider().verify(incoming, keys, NOW, {"webhook_id": said["webhook_id"]})


@pytest.mark.parametrize("case", _CASES)
def test_it_is_paypals(case: dict[str, Any]) -> None:
    _verify(case)


@pytest.mark.parametrize("case", _CASES)
@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("body", '{"id":"WH-0"}'),
        ("webhook_id", "3RN13029J36659324"),
        ("transmission_id", "b2384410-f8d2-11e4-8bf3-77339302725c"),
        ("transmission_time", "2030-01-10T12:29:58Z"),
    ],
)
def test_with_anything_else_in_its_place_it_is_not(
    case: dict[str, Any], member: str, text: str
) -> None:
    with pytest.raises(SignatureError):
        _verify(case, **{member: text})
