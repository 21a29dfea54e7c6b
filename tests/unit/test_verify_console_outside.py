"""The verifiers of merchant-console and foloosi that proofs use know right from wrong."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.console_vectors import vectors

pytestmark = pytest.mark.shows("V15")

TESTS = Path(__file__).parents[1]
SCRIPTS = {"merchant-console": "verify_merchant_console.py", "foloosi": "verify_foloosi.py"}
Request = tuple[dict[str, str], bytes]


def _run(dialect: str, secret: str, *requests: Request) -> tuple[int, str]:
    lines = [
        json.dumps({"headers": headers, "body_base64": base64.b64encode(body).decode()})
        for headers, body in requests
    ]
    # -S and -I: neither our packages nor our folders can be found from there.
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-S", "-I", str(TESTS / "outside" / SCRIPTS[dialect]), "--secret", secret],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout


def _golden(dialect: str) -> tuple[str, Request]:
    case = vectors(dialect, "verify")[0]
    return case["secret"], (case["headers"], case["body"].encode())


@pytest.mark.parametrize("dialect", SCRIPTS)
def test_it_verifies_what_we_wrote_and_signed(dialect: str) -> None:
    """The vectors are what the dialect writes: see its own tests."""
    for case in vectors(dialect, "write") + vectors(dialect, "verify"):
        if case["secret"] is None:
            continue
        request = (case["headers"], case["body"].encode())
        assert _run(dialect, case["secret"], request) == (0, "verified 1 refused 0\n")


@pytest.mark.parametrize("dialect", SCRIPTS)
@pytest.mark.parametrize("wrong", ["secret", "body", "signature", "two signatures", "no headers"])
def test_it_refuses_the_rest_and_says_how_many(dialect: str, wrong: str) -> None:
    """A proof that cannot fail proves nothing."""
    secret, (headers, body) = _golden(dialect)
    [(name, value)] = headers.items()
    request = {
        "secret": (headers, body),
        "body": (headers, body + b"\n"),
        "signature": ({name: value.upper()}, body),
        "two signatures": ({name: value, name.upper(): value}, body),
        "no headers": ({}, body),
    }[wrong]
    if wrong == "secret":
        assert _run(dialect, f"{secret}.", request) == (1, "verified 0 refused 1\n")
    else:
        expected = (1, "verified 1 refused 1\n")
        assert _run(dialect, secret, (headers, body), request) == expected


@pytest.mark.parametrize("dialect", SCRIPTS)
def test_an_empty_capture_is_not_a_success(dialect: str) -> None:
    """It means that the capture is broken."""
    assert _run(dialect, "a-secret") == (1, "verified 0 refused 0\n")
