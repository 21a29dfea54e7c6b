"""Whether a request is its provider's: one word, and why not, for whoever asks."""

from datetime import datetime
from typing import NamedTuple

from payhooks.connectors.contract import Incoming, Keys, Options, Provider, Source
from payhooks.errors import SignatureError
from payhooks.model.receipt import Verdict


class Judged(NamedTuple):
    """A verdict, and the reason of one that is not good, in words."""

    verdict: Verdict
    reason: str | None = None


def judged(
    provider: Provider, incoming: Incoming, keys: Keys, now: datetime, options: Options
) -> Judged:
    """Return whose request it is. Total, whatever arrives."""
    if provider.source is Source.FETCH:
        return Judged(Verdict.FETCH)
    lacking = provider.missing(incoming, options)
    if lacking is not None:
        return Judged(Verdict.UNVERIFIED, lacking)
    try:
        provider.verify(incoming, keys, now, options)
    except SignatureError as error:
        return Judged(Verdict.UNVERIFIED, error.reason)
    return Judged(Verdict.VERIFIED)
