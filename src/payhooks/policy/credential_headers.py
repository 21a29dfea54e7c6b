"""Which headers of a request that came in open something, so that their values are not kept."""

import re
from typing import Final

_CREDENTIAL: Final = re.compile(
    r"auth|cookie|token|secret|passw|credential|session|(?:api|access|signature)[-_]?key",
    re.IGNORECASE,
)
# What is made with a secret, or says how: it proves one request and opens nothing.
_PROOF: Final = re.compile(r"(?:signature|[-_]sig|hmac|digest|algo|algorithm)\Z", re.IGNORECASE)


def opens_something(name: str) -> bool:
    """Whether a header of this name is, by its name, a credential."""
    return _CREDENTIAL.search(name) is not None and _PROOF.search(name) is None
