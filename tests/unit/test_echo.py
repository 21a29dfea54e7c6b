"""Answers that repeat a credential: masked wherever it stands, or left as they are."""

import msgspec
import pytest

from payhooks.policy.echo import CREDENTIAL_CHARS_MIN, MASK, without_credentials
from payhooks.testing.transport import answer

TOKEN = "0123456789"


def test_a_credential_is_masked_in_headers_and_body() -> None:
    given = msgspec.structs.replace(
        answer(500, body=b"you sent 0123456789, 0123456789"), headers=(("x-debug", f"a {TOKEN}"),)
    )
    masked = without_credentials(given, ["unheard-of", TOKEN])
    assert masked.body == f"you sent {MASK}, {MASK}".encode()
    assert masked.headers == (("x-debug", f"a {MASK}"),)
    assert msgspec.structs.replace(masked, body=given.body, headers=given.headers) == given


@pytest.mark.parametrize("credentials", [[], ["another-one"], [TOKEN[: CREDENTIAL_CHARS_MIN - 1]]])
def test_an_answer_without_one_stays_as_it_is(credentials: list[str]) -> None:
    """A short credential would be found in ordinary words, and tear holes into the evidence."""
    given = answer(500, body=TOKEN.encode())
    assert without_credentials(given, credentials) is given
