"""What messages of one provider tell together, for tests that change one thing of them."""

from collections.abc import Sequence

from tests.connectors.samples import Sample
from tests.connectors.signed_by_paypal import NOW, OPTIONS
from tests.support.dialect_events import MERCHANT

from payhooks.catalogue import CATALOGUE
from payhooks.connectors.contract import Heard
from payhooks.connectors.history import History, folded
from payhooks.connectors.paypal import PAYPAL
from payhooks.connectors.untold import untold
from payhooks.connectors.words import Message, Word, distinct


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


def told_of_paypals(arrivals: Sequence[Heard], ancient: Sequence[str] = ()) -> list[Word]:
    """Return what is told of PayPal's messages, as one after the other is processed.

    *ancient* is as in ``untold``.
    """
    messages: list[Message] = []
    words: list[Word] = []
    for place, arrival in enumerate(arrivals):
        messages = distinct([*messages, Message(heard=arrival, receipt_id=bytes([place] * 16))])
        history = folded(
            PAYPAL,
            messages,
            OPTIONS,
            catalogue=CATALOGUE,
            merchant_id=MERCHANT.id,
            now=NOW,
            ancient=ancient,
        )
        words += untold(history.words, [word.said for word in words], ancient)
    return words
