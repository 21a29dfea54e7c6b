"""The verifiers of merchant-console and foloosi that proofs use know right from wrong."""

import pytest
from tests.support.console_vectors import vectors
from tests.support.outside import Request, judged_outside

pytestmark = pytest.mark.shows("V15")

SCRIPTS = {"merchant-console": "verify_merchant_console.py", "foloosi": "verify_foloosi.py"}


def _golden(dialect: str) -> tuple[str, Request]:
    case = vectors(dialect, "verify")[0]
    return case["secret"], (case["headers"], case["body"].encode())


@pytest.mark.parametrize("dialect", SCRIPTS)
def test_it_verifies_what_we_wrote_and_signed(dialect: str) -> None:
    """The vectors are what the dialect writes: see its own tests."""
    script, verified = SCRIPTS[dialect], (0, "verified 1 refused 0\n")
    for case in vectors(dialect, "write") + vectors(dialect, "verify"):
        if case["secret"] is None:
            continue
        request = (case["headers"], case["body"].encode())
        assert judged_outside(script, case["secret"], [request]) == verified


@pytest.mark.parametrize("dialect", SCRIPTS)
@pytest.mark.parametrize("wrong", ["secret", "body", "signature", "two signatures", "no headers"])
def test_it_refuses_the_rest_and_says_how_many(dialect: str, wrong: str) -> None:
    """A proof that cannot fail proves nothing."""
    script = SCRIPTS[dialect]
    secret, (headers, body) = _golden(dialect)
    [(name, value)] = headers.items()
    request: Request = {
        "secret": (headers, body),
        "body": (headers, body + b"\n"),
        "signature": ({name: value.upper()}, body),
        "two signatures": ({name: value, name.upper(): value}, body),
        "no headers": ({}, body),
    }[wrong]
    if wrong == "secret":
        assert judged_outside(script, f"{secret}.", [request]) == (1, "verified 0 refused 1\n")
    else:
        expected = (1, "verified 1 refused 1\n")
        assert judged_outside(script, secret, [(headers, body), request]) == expected
