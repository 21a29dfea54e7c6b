"""What a diagnosis says of a sample's request, for tests that change one thing of it."""

from collections.abc import Sequence
from datetime import datetime

from tests.connectors.samples import Sample

from payhooks.connectors.contract import Incoming, Keys, Provider
from payhooks.connectors.diagnosis import HEADERS_MASKED, Account, Kept, diagnosed


def account(sample: Sample, keys: Keys | None = None, name: str = "own") -> Account:
    """Return a connector for whom the sample is, with its keys or with others."""
    return Account(name, sample.provider, sample.keys if keys is None else keys, sample.options)


def words_on(  # noqa: PLR0913 - a look has many parts
    sample: Sample,
    incoming: Incoming | None = None,
    *,
    own: Account | None = None,
    others: Sequence[Account] = (),
    at: datetime | None = None,
    reason: str | None = None,
    headers_masked: bool = False,
    own_format: Provider | None = None,
) -> list[str]:
    """Return what is said of the sample's request, or of another, where it does not verify."""
    kept = Kept(
        sample.incoming if incoming is None else incoming,
        sample.now if at is None else at,
        reason,
        HEADERS_MASKED if headers_masked else None,
    )
    own = account(sample, sample.strangers) if own is None else own
    return diagnosed(kept, own, others, own_format)
