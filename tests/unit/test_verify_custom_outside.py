"""The verifier of companies' formats knows right from wrong, and knows nothing of us."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.outside import judged_outside

pytestmark = pytest.mark.shows("V15")

TESTS = Path(__file__).parents[1]
SCRIPT = "verify_custom.py"
CASES: list[dict[str, Any]] = json.loads(
    (TESTS / "vectors" / "custom" / "verify.json").read_text()
)["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_it_verifies_what_companies_print_and_nothing_else(case: dict[str, Any]) -> None:
    """A proof that cannot fail proves nothing."""
    headers, body, secret = case["headers"], case["body"].encode(), case["secret"]
    assert judged_outside(SCRIPT, secret, [(headers, body)]) == (0, "verified 1 refused 0\n")
    wrong = [(headers, body + b"\n"), ({}, body), (dict.fromkeys(headers, "x"), body)]
    requests = [(headers, body), *wrong]
    assert judged_outside(SCRIPT, secret, requests) == (1, "verified 1 refused 3\n")
    refused = (1, "verified 0 refused 1\n")
    assert judged_outside(SCRIPT, secret + "x", [(headers, body)]) == refused
