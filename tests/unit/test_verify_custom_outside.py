"""The verifier of companies' formats knows right from wrong, and knows nothing of us."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.shows("V15")

TESTS = Path(__file__).parents[1]
SCRIPT = TESTS / "outside" / "verify_custom.py"
CASES: list[dict[str, Any]] = json.loads(
    (TESTS / "vectors" / "custom" / "verify.json").read_text()
)["cases"]


def _run(secret: str, *requests: tuple[dict[str, str], bytes]) -> tuple[int, str]:
    lines = [
        json.dumps({"headers": headers, "body_base64": base64.b64encode(body).decode()})
        for headers, body in requests
    ]
    # -S and -I: neither our packages nor our folders can be found from there.
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-S", "-I", str(SCRIPT), "--secret", secret],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_it_verifies_what_companies_print_and_nothing_else(case: dict[str, Any]) -> None:
    """A proof that cannot fail proves nothing."""
    headers, body, secret = case["headers"], case["body"].encode(), case["secret"]
    assert _run(secret, (headers, body)) == (0, "verified 1 refused 0\n")
    wrong = [(headers, body + b"\n"), ({}, body), (dict.fromkeys(headers, "x"), body)]
    assert _run(secret, (headers, body), *wrong) == (1, "verified 1 refused 3\n")
    assert _run(secret + "x", (headers, body)) == (1, "verified 0 refused 1\n")


def test_nothing_at_all_is_not_a_success() -> None:
    """An empty capture means that the capture is broken."""
    assert _run("a-secret") == (1, "verified 0 refused 0\n")
