"""The one error of those who receive."""

from enum import StrEnum

from payhooks.errors import InputError


class Code(StrEnum):
    """What was wrong with a request, for logs and counters."""

    MISSING_HEADER = "missing_header"
    MALFORMED_HEADER = "malformed_header"
    TIMESTAMP_TOO_OLD = "timestamp_too_old"
    TIMESTAMP_TOO_NEW = "timestamp_too_new"
    NO_MATCH = "no_match"
    UNSUPPORTED_SCHEME = "unsupported_scheme"
    BODY_TOO_LARGE = "body_too_large"
    NOT_JSON = "not_json"
    MALFORMED_SECRET = "malformed_secret"  # noqa: S105 - the name of a mistake, not a secret


class VerificationError(InputError):
    """Do not trust this request: answer 401 and say no more.

    ``hint`` is a sentence for your developers. Never send it to the caller: telling a forger
    which check failed helps only the forger.
    """

    def __init__(self, code: Code, hint: str) -> None:
        super().__init__(f"{code}: {hint}")
        self.code = code
        self.hint = hint
