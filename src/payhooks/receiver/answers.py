"""What every adapter answers when a request is refused: the same, whatever was wrong with it."""

import logging
from typing import Final

from payhooks.receiver.errors import Code, VerificationError

PROBLEM: Final = "application/problem+json"
REFUSED: Final = b'{"title":"Webhook not verified"}'

_logger: Final = logging.getLogger("payhooks.receiver")


def status_of(error: VerificationError) -> int:
    """Return the status to answer: 413 for what is too large, 401 for everything else.

    The code and the hint go to the log of the one who receives, never into the answer.
    """
    _logger.warning("webhook refused: %s", error)
    return 413 if error.code is Code.BODY_TOO_LARGE else 401
