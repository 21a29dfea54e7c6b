"""The guide to the next provider: the file that it shows is whole, and is heard."""

import hmac
import json
import re
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest
from tests.support.heard_histories import words_of
from tests.support.source_tree import ROOT

from payhooks.connectors.contract import Incoming, Keys, Provider
from payhooks.connectors.judging import judged
from payhooks.errors import InvalidError
from payhooks.model.receipt import Verdict

PAGE: Path = ROOT / "docs" / "connectors" / "next-provider.md"
NOW = datetime(2030, 1, 10, tzinfo=UTC)
KEYS = Keys(("the-newest", "the-one-before"))
BODY = json.dumps(
    {
        "id": "evt_1",
        "type": "charge.paid",
        "at": "2030-01-09T12:00:00Z",
        "charge": {"id": "ch_1", "amount": "11.30", "currency": "EUR", "order": "A-7"},
    }
).encode()


@pytest.fixture(scope="module")
def acme() -> Provider:
    text = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    module = ModuleType("acme_of_the_guide")
    sys.modules[module.__name__] = module
    try:
        exec(compile(code, str(PAGE), "exec"), module.__dict__)  # noqa: S102 - our own page
    finally:
        del sys.modules[module.__name__]
    provider: Provider = module.ACME
    return provider


def _signed(body: bytes, secret: str) -> Incoming:
    made = hmac.digest(secret.encode(), body, "sha256").hex()
    return Incoming("POST", "", {"acme-signature": made}, body)


def test_the_guides_provider_is_heard(acme: Provider) -> None:
    """Whoever copies it must not begin with somebody else's mistake."""
    acme.check({}, KEYS.secrets, None)
    with pytest.raises(InvalidError):
        acme.check({}, [], None)
    for secret in KEYS.secrets:
        assert judged(acme, _signed(BODY, secret), KEYS, NOW, {}).verdict is Verdict.VERIFIED
    for forged in (
        _signed(BODY, "another"),
        _signed(BODY, KEYS.secrets[0])._replace(body=BODY + b" "),
        Incoming("POST", "", {}, BODY),
    ):
        assert judged(acme, forged, KEYS, NOW, {}).verdict is Verdict.UNVERIFIED
    heards = acme.read(_signed(BODY, KEYS.secrets[0]), {})
    told = ("payment_succeeded", "payment ch_1", Decimal("11.30"), "EUR")
    assert words_of(acme, {}, heards) == [told]
    assert "A-7" in acme.tell(heards[0], "payment_succeeded", {}).references


def test_the_guides_provider_guesses_at_nothing(acme: Provider) -> None:
    """What he adds tomorrow is kept, and no JSON is no bug."""
    (found,) = acme.read(_signed(BODY.replace(b"paid", b"new"), "x"), {})
    assert (found.family, found.type) == ("acme", "charge.new")
    for body in (b"", b"[]", b"\xff", b'{"type":"charge.paid"}'):
        with pytest.raises(InvalidError):
            acme.read(_signed(body, "x"), {})
