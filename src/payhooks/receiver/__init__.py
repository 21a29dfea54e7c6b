"""For those who receive webhooks: whether a request is real, and what it says.

    from payhooks.receiver import VerificationError, verify

    try:
        event = verify(body, headers, secret)   # the raw bytes, before any parsing
    except VerificationError as error:
        log.warning("webhook refused", extra={"code": error.code, "hint": error.hint})
        return 401

Only the standard library is needed; ``whpk_`` keys also want ``cryptography``. The same
event may arrive more than once, also at the same time: do its work once (``once`` puts the
mark into your own transaction), and answer 2xx when it is done. For frameworks there are
``payhooks.receiver.{asgi,fastapi,flask,django,wsgi}``. From the command line:

    python -m payhooks.receiver verify --secret whsec_… --headers FILE --body FILE
"""

from payhooks.receiver.errors import Code, VerificationError
from payhooks.receiver.event import Event
from payhooks.receiver.once import forget, once, table_sql
from payhooks.receiver.verifier import Headers, Verifier, verify

__all__ = [
    "Code",
    "Event",
    "Headers",
    "VerificationError",
    "Verifier",
    "forget",
    "once",
    "table_sql",
    "verify",
]
