"""What a person has said is to be told is told, whoever the provider is."""

import msgspec
import pytest
from tests.connectors.folding import history_of
from tests.connectors.samples import MAKERS

from payhooks.connectors.contract import Source
from payhooks.connectors.registry import PROVIDERS
from payhooks.connectors.untold import untold
from payhooks.connectors.words import Message

# Those who tell each capture, known by its id: under another it is another capture.
_TOLD_EACH_TIME = frozenset({"paypal"})


# What has to be fetched has no ids that could conflict: the answer is all there is to know.
@pytest.mark.parametrize(
    "name", sorted(one.name for one in PROVIDERS.values() if one.source is not Source.FETCH)
)
def test_a_message_that_a_person_insists_on_is_news_beside_its_twin(name: str) -> None:
    """The same step of a life once more is a repeat for a program; a person knows better."""
    sample = MAKERS[name](0)
    [heard] = sample.provider.read(sample.incoming, sample.options)
    first = Message(heard=heard, receipt_id=bytes(16))
    other = msgspec.structs.replace(heard, event_id="rcp_1")
    alone = 2 if name in _TOLD_EACH_TIME else 1
    for insisted, count in ((False, alone), (True, 2)):
        second = Message(heard=other, receipt_id=b"2" * 16, insisted=insisted)
        history = history_of(sample, [first, second])
        words = [word.unified for word in untold(history.words, said=())]
        assert words == [sample.tells] * count
