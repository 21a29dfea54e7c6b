"""Answers that repeat the credential they were called with.

A receiver whose error page lists the request's headers sends our password or token back to us.
Answers are kept as evidence and shown to whoever may read deliveries, so it is taken out first.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from payhooks.model.attempt import Answer

MASK: Final = "********"
# A shorter one would be found in ordinary words, and tear holes into the evidence.
CREDENTIAL_CHARS_MIN: Final = 6


def without_credentials(answer: Answer, credentials: Sequence[str]) -> Answer:
    """Return the answer with every spelling of a credential masked, in headers and body."""
    body, headers = answer.body, answer.headers
    for text in credentials:
        if len(text) < CREDENTIAL_CHARS_MIN:
            continue
        body = body.replace(text.encode(), MASK.encode())
        headers = tuple((name, value.replace(text, MASK)) for name, value in headers)
    if body == answer.body and headers == answer.headers:
        return answer
    return msgspec.structs.replace(answer, body=body, headers=headers)
