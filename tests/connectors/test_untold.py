"""Which of several equal words is told next, whatever others have told meanwhile."""

import msgspec
from tests.support.heard_histories import NOW

from payhooks.catalogue import CATALOGUE
from payhooks.connectors.contract import NO_OPTIONS, Incoming
from payhooks.connectors.history import folded
from payhooks.connectors.owlpay import OWLPAY
from payhooks.connectors.untold import untold
from payhooks.connectors.words import Message, Word, identity_of
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


def _states(*states: str) -> tuple[Word, ...]:
    """Return words that tell of states, one at each second from the first."""
    parts = _parts(*range(1, len(states) + 1))
    return tuple(
        msgspec.structs.replace(part, unified=f"payment_{state}")
        for part, state in zip(parts, states, strict=True)
    )


def _kept(words: tuple[Word, ...]) -> list[str]:
    return [word.said for word in untold(words, ())]


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


def test_a_message_that_was_told_long_ago_is_not_told_again() -> None:
    """Some providers tell everything with each answer, and strangers send what they kept."""
    words = _parts(1, 2, 3)
    ancient = _kept(words)
    assert untold(words, (), ancient) == ()
    assert untold(words[1:], (), ancient) == ()
    assert _chosen(untold(_parts(2, 4), (), ancient)) == [(4, 4)]


def test_an_equal_capture_is_told_above_the_numbers_of_those_told_long_ago() -> None:
    """Its number makes its key, and that of an old one may still be known."""
    ancient = _kept(_parts(1, 2))
    assert _chosen(untold(_parts(3), (), ancient)) == [(3, 3)]


def test_the_state_that_was_told_last_is_no_news() -> None:
    failed, succeeded, again = _states("failed", "succeeded", "succeeded")
    ancient = _kept((failed, succeeded))
    assert untold((again,), (), ancient) == ()
    assert untold((again,), (), ancient[1:]) == ()


def test_a_state_is_news_after_another_one_was_told() -> None:
    """However long ago: a payment may fail, succeed and fail."""
    failed, succeeded, again = _states("failed", "succeeded", "failed")
    ancient = _kept((failed, succeeded))
    assert _chosen(untold((again,), (), ancient)) == [(3, 2)]
    [lately] = _kept((succeeded,))
    assert _chosen(untold((succeeded, again), [lately], ancient[:1])) == [(3, 2)]


def test_what_repeats_the_old_state_stays_no_news_when_another_one_follows() -> None:
    succeeded, again, failed, last = _states("succeeded", "succeeded", "failed", "succeeded")
    ancient = _kept((succeeded,))
    words = (again, failed, last)
    first, second = untold(words, (), ancient)
    assert _chosen((first, second)) == [(3, 1), (4, 2)]
    assert _chosen(untold(words, [first.said], ancient)) == [(4, 2)]
    assert untold(words, [first.said, second.said], ancient) == ()


def test_the_state_that_was_told_last_is_no_news_behind_messages_that_come_again() -> None:
    """Of a whole answer one part may be spelled anew."""
    authorized, succeeded, anew = _states("authorized", "succeeded", "succeeded")
    ancient = _kept((authorized, succeeded))
    assert untold((authorized, anew), (), ancient) == ()
    assert _chosen(untold((authorized, succeeded, anew), (), ancient)) == [(3, 2)]


def test_what_was_told_lately_of_its_own_message_repeats_nothing_old() -> None:
    """Both were told when there were receipts of both; a third is the third."""
    words = _states("succeeded", "succeeded", "succeeded")
    first, second = _kept(words[:2])
    assert _chosen(untold(words[1:], [second], [first])) == [(3, 3)]


def test_the_old_news_of_another_object_or_amount_is_none_of_this_one() -> None:
    old, new = _states("succeeded", "succeeded")
    for other in ({"object_id": "pi_2"}, {"amount": old.told.amount * 2 if old.told.amount else 1}):
        told = msgspec.structs.replace(old.told, **other)
        ancient = _kept((msgspec.structs.replace(old, told=told),))
        assert _chosen(untold((new,), (), ancient)) == [(2, 1)]


def test_what_takes_back_the_end_that_was_told_long_ago_says_so() -> None:
    """Nobody has the first message any more, and the merchant has long shipped."""
    succeeded, failed, authorized, again = _states("succeeded", "failed", "authorized", "succeeded")
    [word] = untold((failed,), (), _kept((succeeded,)))
    assert word.correction
    words = untold((failed, again), (), _kept((succeeded,)))
    assert [word.correction for word in words] == [True, False]  # the fold knows of the second
    [word] = untold((failed,), (), _kept((authorized,)))
    assert not word.correction
    [word] = untold((failed,), (), ())
    assert not word.correction
