"""The verifier that proofs use knows right from wrong, and knows nothing of us."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.outside import judged_outside

from payhooks.dialects.standard import STANDARD

pytestmark = pytest.mark.shows("V15")

TESTS = Path(__file__).parents[1]
SCRIPT = "verify_standard.py"
CASE = json.loads((TESTS / "vectors" / "standard" / "v1.json").read_text())["cases"][0]
BODY = CASE["body"].encode()
VECTOR = {
    "webhook-id": CASE["id"],
    "webhook-timestamp": str(CASE["timestamp"]),
    "webhook-signature": CASE["signature"],
}


def test_it_verifies_the_public_vector() -> None:
    expected = (0, "verified 1 refused 0\n")
    assert judged_outside(SCRIPT, CASE["secret"], [(VECTOR, BODY)]) == expected


def test_it_verifies_what_we_sign_with_a_source_key() -> None:
    """Whose text is the key as it stands."""
    text = "phk_sandbox_x"
    secrets = [STANDARD.signing_secret(CASE["secret"]), STANDARD.signing_secret(text)]
    now = datetime(2030, 1, 1, tzinfo=UTC)
    headers = dict(STANDARD.sign(message_id="m", body=BODY, secrets=secrets, now=now).headers)
    assert judged_outside(SCRIPT, text, [(headers, BODY)])[0] == 0


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param({**VECTOR, "webhook-id": "other"}, BODY, id="other id"),
        pytest.param({**VECTOR, "webhook-timestamp": "1614265331"}, BODY, id="other time"),
        pytest.param({**VECTOR, "webhook-signature": "v1,AAAA v1,= x"}, BODY, id="no signature"),
        pytest.param({}, BODY, id="no headers"),
        pytest.param(VECTOR, BODY + b"\n", id="other body"),
    ],
)
def test_it_refuses_the_rest_and_says_how_many(headers: dict[str, str], body: bytes) -> None:
    """A proof that cannot fail proves nothing."""
    expected = (1, "verified 1 refused 1\n")
    requests = [(VECTOR, BODY), (headers, body)]
    assert judged_outside(SCRIPT, CASE["secret"], requests) == expected
