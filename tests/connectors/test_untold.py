"""Which of several equal words is told next, whatever others have told meanwhile."""

import msgspec
from tests.support.heard_histories import NOW

from payhooks.catalogue import CATALOGUE
from payhooks.connectors.contract import NO_OPTIONS, Incoming
from payhooks.connectors.history import Message, Word, folded, identity_of, untold
from payhooks.connectors.owlpay import OWLPAY
from payhooks.ids import MerchantId


def _parts(*seconds: int) -> tuple[Word, ...]:
    """Return the words of captures of equal parts, one at each of these seconds."""
    messages = []
    for second in seconds:
        payment = {
            "uuid": "pi_1",
            "amount": 1_000,
            "captured_amount": 400,
            "currency": "EUR",
            "updated_at": f"2026-11-20T12:00:0{second}+00:00",
        }
        body = {
            "uuid": "att_1",
            "observation": "payment_intent.partial_captured",
            "data": {"payment_intent": payment},
        }
        [heard] = OWLPAY.read(Incoming("POST", "", {}, msgspec.json.encode(body)), NO_OPTIONS)
        messages.append(Message(heard=heard, receipt_id=bytes([second])))
    history = folded(
        OWLPAY,
        messages,
        NO_OPTIONS,
        catalogue=CATALOGUE,
        merchant_id=MerchantId(bytes(16)),
        now=NOW,
    )
    return history.words


def _chosen(words: tuple[Word, ...]) -> list[tuple[int, int]]:
    return [(word.message.receipt_id[0], word.number) for word in words]


def test_a_number_that_another_message_has_is_not_asked_for_again() -> None:
    """Who told it may have died before he said so: others would ask for that number for ever."""
    words = _parts(1, 2, 3)
    first, second, third = untold(words, ())
    assert _chosen((first, second, third)) == [(1, 1), (2, 2), (3, 3)]
    other = second.said_of(identity_of(third.message.heard))
    assert _chosen(untold(words, [first.said, other])) == [(2, 3)]


def test_a_number_that_nobody_has_told_is_told_beside_a_higher_one() -> None:
    """Of two words that go together the second may come through, and the first not."""
    words = _parts(1, 2, 3)
    first, _, third = untold(words, ())
    assert _chosen(untold(words, [first.said, third.said])) == [(2, 4)]
