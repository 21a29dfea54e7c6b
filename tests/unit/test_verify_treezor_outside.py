"""The verifier of treezor that proofs use knows right from wrong, and knows nothing of us."""

import json
from typing import Final

import pytest
from tests.support.dialect_events import AT, MERCHANT, drawn_events, endpoint_of
from tests.support.envelope_vectors import vectors
from tests.support.outside import Request, judged_outside

from payhooks.dialects.treezor import TREEZOR

pytestmark = pytest.mark.shows("V15")

OUTSIDE: Final = "verify_treezor.py"
GOLDEN: Final = vectors("treezor", "verify")[0]
BODY: Final[bytes] = GOLDEN["body"].encode()
SIGNATURE: Final = json.loads(BODY)["object_payload_signature"].encode()
SECRET: Final = TREEZOR.signing_secret(GOLDEN["secret"])
ENDPOINT: Final = endpoint_of("treezor")


def _drawn_bodies(count: int) -> list[bytes]:
    bodies = []
    for event in drawn_events("treezor", count=count, seed=21):
        body = TREEZOR.render(event=event, endpoint=ENDPOINT, merchant=MERCHANT).body
        bodies.append(TREEZOR.sign(message_id="m", body=body, secrets=[SECRET], now=AT).body)
    return bodies


def test_the_verifier_outside_agrees_with_what_is_written() -> None:
    """It knows Treezor's page, and nothing of us."""
    golden = [case["body"].encode() for case in vectors("treezor", "verify")]
    bodies = [*golden, *_drawn_bodies(200)]
    requests: list[Request] = [({}, body) for body in bodies]
    expected = (0, f"verified {len(bodies)} refused 0\n")
    assert judged_outside(OUTSIDE, GOLDEN["secret"], requests) == expected


@pytest.mark.parametrize(
    ("secret", "body"),
    [
        pytest.param("another_secret", BODY, id="another secret"),
        pytest.param(GOLDEN["secret"], BODY.replace(b"707206", b"707207"), id="another payload"),
        pytest.param(GOLDEN["secret"], BODY.replace(SIGNATURE, b""), id="no signature"),
        pytest.param(GOLDEN["secret"], b"{}", id="nothing"),
        pytest.param(GOLDEN["secret"], b"\xff", id="garbage"),
    ],
)
def test_the_verifier_outside_refuses_the_rest(secret: str, body: bytes) -> None:
    """A proof that cannot fail proves nothing."""
    good: Request = ({}, BODY)
    assert judged_outside(OUTSIDE, secret, [({}, body)]) == (1, "verified 0 refused 1\n")
    assert judged_outside(OUTSIDE, GOLDEN["secret"], [good, ({}, b"[]")])[0] == 1
