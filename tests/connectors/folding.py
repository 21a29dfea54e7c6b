"""What messages of a sample's provider tell together, for tests that change one thing of them."""

from collections.abc import Sequence

from tests.connectors.samples import Sample
from tests.support.dialect_events import MERCHANT

from payhooks.catalogue import CATALOGUE
from payhooks.connectors.history import History, folded
from payhooks.connectors.words import Message


def history_of(sample: Sample, messages: Sequence[Message]) -> History:
    """Return what follows from these, heard by a connector of the sample's, at its time."""
    return folded(
        sample.provider,
        messages,
        sample.options,
        catalogue=CATALOGUE,
        merchant_id=MERCHANT.id,
        now=sample.now,
    )
