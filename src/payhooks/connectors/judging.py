"""Whether a request is its provider's: one word, and why not, for whoever asks."""

from datetime import datetime
from typing import Final, NamedTuple

from payhooks.connectors.contract import Incoming, Keys, Options, Provider, Source
from payhooks.errors import SignatureError, UnavailableError
from payhooks.limits import KIB
from payhooks.model.receipt import Receipt, Verdict
from payhooks.policy.credential_headers import opens_something

# Of what nobody signed: an id, and what stands around it. A stranger may send as many as are
# asked for, and a megabyte of each would be looked through for card data, and kept.
POINTER_BYTES_MAX: Final = 8 * KIB
_LARGE_BYTES: Final = 64 * KIB
_OK: Final = range(200, 300)
# Whoever is asked has nothing of that name. All else may be otherwise in a minute.
_NOTHING_THERE: Final = frozenset({400, 404, 410})
NOTHING_THERE: Final = "there is nothing at the certificate's URL"


class Judged(NamedTuple):
    """A verdict, and the reason of one that is not good, in words."""

    verdict: Verdict
    reason: str | None = None
    by_older_secret: bool = False  # not by the newest: the provider has not changed over yet


def incoming_of(receipt: Receipt) -> Incoming:
    """Return the request that a receipt was, but for what was not kept of it."""
    headers: dict[str, str] = {}
    for name, value in receipt.headers:
        headers.setdefault(name, value)
    return Incoming(receipt.method, receipt.query, headers, receipt.body)


def unkept(receipt: Receipt, provider: Provider) -> str | None:
    """Return in words which header the provider reads that may have come, and was dropped.

    None where each was kept, or had not come. What a merchant's own format did not name as the
    request came was dropped where it is called like a credential.
    """
    there = {name for name, _ in receipt.headers} | set((receipt.reason or "").lower().split())
    for name in sorted(provider.own_headers - there):
        if opens_something(name):
            return (
                f"Whether it had a header {name} is not known: the format did not name it when it"
                " came, and what is called like a credential is not kept then. Have it sent again."
            )
    return None


def material_in(status: int, body: bytes) -> bytes | None:
    """Return what requests are verified with, of its owner's answer; None where he has no such.

    Raises:
        UnavailableError: He does not say now, as he is busy.

    """
    if status in _NOTHING_THERE:
        return None
    if status not in _OK:
        raise UnavailableError(f"the certificate's owner answers {status}")
    return body


def judged(
    provider: Provider, incoming: Incoming, keys: Keys, now: datetime, options: Options
) -> Judged:
    """Return whose request it is. Total, whatever arrives."""
    if provider.source is Source.FETCH:
        if len(incoming.body) > POINTER_BYTES_MAX:
            return Judged(Verdict.UNVERIFIED, "It is too large to be a pointer to something.")
        return Judged(Verdict.FETCH)
    lacking = provider.missing(incoming, options)
    if lacking is not None:
        return Judged(Verdict.UNVERIFIED, lacking)
    try:
        provider.verify(incoming, keys, now, options)
    except SignatureError as error:
        return Judged(Verdict.UNVERIFIED, error.reason)
    return Judged(
        Verdict.VERIFIED, by_older_secret=_by_older_secret(provider, incoming, keys, now, options)
    )


def _by_older_secret(
    provider: Provider, incoming: Incoming, keys: Keys, now: datetime, options: Options
) -> bool:
    """Whether the newest secret alone does not verify what all of them do.

    Asked of what is verified: each comparison goes on as before, whichever secret matches, and
    nobody who has none of them can time a difference. Not of what is large: the event loop would
    have to read it twice.
    """
    if len(keys.secrets) <= 1 or len(incoming.body) > _LARGE_BYTES:
        return False
    try:
        provider.verify(incoming, keys._replace(secrets=keys.secrets[:1]), now, options)
    except SignatureError:
        return True
    return False
