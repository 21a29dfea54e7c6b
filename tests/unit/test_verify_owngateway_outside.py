"""The verifier that proofs use for OwnGateway knows right from wrong, and knows nothing of us."""

import hashlib
import json
from pathlib import Path

import pytest
from tests.support.dialect_events import AT, MERCHANT, drawn_events, endpoint_of
from tests.support.outside import Request, judged_outside

from payhooks.dialects.owngateway import OWNGATEWAY, SIGNATURE

pytestmark = pytest.mark.shows("V15")

TESTS = Path(__file__).parents[1]
SCRIPT = "verify_owngateway.py"
VECTORS = TESTS / "vectors" / "owngateway" / "verify.json"
CASE = json.loads(VECTORS.read_text())["cases"][0]
BODY = CASE["body"].encode()
GOOD = CASE["headers"][SIGNATURE]


def test_foreign_code_verifies_what_we_sign() -> None:
    """Merchants verify with their own few lines, not with ours."""
    requests: list[Request] = []
    secret = OWNGATEWAY.signing_secret(CASE["secret"])
    endpoint = endpoint_of("owngateway")
    for event in drawn_events("owngateway", count=50, seed=3):
        rendered = OWNGATEWAY.render(event=event, endpoint=endpoint, merchant=MERCHANT)
        signed = OWNGATEWAY.sign(message_id="m", body=rendered.body, secrets=[secret], now=AT)
        requests.append((dict(signed.headers), signed.body))
    assert judged_outside(SCRIPT, CASE["secret"], requests) == (0, "verified 50 refused 0\n")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param({SIGNATURE: GOOD}, BODY + b"\n", id="other body"),
        pytest.param({SIGNATURE: hashlib.sha512(BODY).hexdigest()}, BODY, id="no key"),
        pytest.param({}, BODY, id="no header"),
    ],
)
def test_foreign_code_refuses_the_rest(headers: dict[str, str], body: bytes) -> None:
    """A proof that cannot fail proves nothing."""
    requests = [({SIGNATURE: GOOD}, BODY), (headers, body)]
    assert judged_outside(SCRIPT, CASE["secret"], requests) == (1, "verified 1 refused 1\n")
