"""Which words of an object are still to be told, after all that was told of it. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, takewhile

import msgspec

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.life_cycle import START
from payhooks.connectors.unified import FAMILY
from payhooks.connectors.words import (
    Word,
    event_in,
    identity_of,
    meaning_in,
    message_in,
    number_in,
    object_of,
    retold,
)


def untold(
    words: Sequence[Word], said: Iterable[str], ancient: Sequence[str] = ()
) -> tuple[Word, ...]:
    """Return which words are still to be told, numbered; *said* is what was kept of those told.

    Of equal ones as many as there are more of them now, and none whose own message was told:
    whichever of two came first, both are told in the end. That holds whatever the message meant
    then: read with another option it may mean something else, and is the same money. *ancient* is
    what was told, oldest first, of messages that nobody has any more: it counts where it is said
    again.
    """
    recent = set(said)
    counted = recent | _said_again(words, recent, ancient)
    told = {message_in(kept) for kept in (*counted, *ancient)}
    numbers: dict[str, set[int]] = {}
    for kept in counted:
        numbers.setdefault(meaning_in(kept), set()).add(number_in(kept))
    highest: dict[str, int] = {}
    for kept in (*recent, *ancient):
        meaning = meaning_in(kept)
        highest[meaning] = max(highest.get(meaning, 0), number_in(kept))
    alike: dict[str, list[Word]] = {}
    for word in words:
        alike.setdefault(word.meaning, []).append(word)
    chosen: dict[int, Word] = {}
    for meaning, equal in alike.items():
        lacking = max(len(equal) - len(numbers.get(meaning, ())), 0)
        # Above all that are known: what was told so long ago that nobody reads of it any more has
        # the lower ones.
        free = count(highest.get(meaning, 0) + 1)
        fresh_ones = [word for word in equal if _message_of(word) not in told]
        for word, fresh in zip(fresh_ones[:lacking], free, strict=False):
            chosen[id(word)] = msgspec.structs.replace(word, number=fresh)
    for word, kept in first_after(words, ancient):
        if id(word) in chosen and _takes_back(word, kept):
            chosen[id(word)] = msgspec.structs.replace(chosen[id(word)], correction=True)
    return tuple(chosen[id(word)] for word in words if id(word) in chosen)


def first_after(words: Sequence[Word], ancient: Sequence[str]) -> Iterator[tuple[Word, str]]:
    """Yield the first word of each object with what was told last of it before."""
    last = {object_of(kept): kept for kept in ancient}
    for word in words:
        kept = last.pop((word.told.object_type, word.told.object_id), None)
        if kept is not None:
            yield word, kept


def _takes_back(word: Word, kept: str) -> bool:
    """Whether a word ends otherwise what had ended with one of which this was *kept*."""
    type_ = None if word.each_time or word.beside else CATALOGUE.find(FAMILY, word.unified)
    kind = None if type_ is None else CATALOGUE.kind_of(type_)
    if kind is None:
        return False
    events = (event_in(kept), word.unified)
    before, after = (kind.life_cycle.row(each, {}, START) for each in events)
    if before is None or after is None or after.to is None:
        return False
    return before.to in kind.life_cycle.final and after.to != before.to


def _said_again(words: Sequence[Word], said: set[str], ancient: Sequence[str]) -> set[str]:
    """Return what of *ancient* the words of now say once more, as it was kept.

    The same message does. So does another one that tells the last of an object's old news as the
    first of its new: a state that was reached is no news again, while money is each time. That
    one is returned as if it had been told of the message of now: of equal ones it is not the next.
    """
    if not ancient:
        return set()
    messages = {_message_of(word) for word in words}
    same = {kept for kept in ancient if message_in(kept) in messages}
    again = set(same)
    in_its_time = {_what_and_whose(kept) for kept in same}
    lately = {_what_and_whose(kept) for kept in said}
    now = [word for word in words if (word.meaning, _message_of(word)) not in in_its_time]
    for word, kept in first_after(now, ancient):
        own = (word.meaning, _message_of(word))
        if kept in same or own in lately or word.each_time:
            continue
        again.update(retold(one, own[1]) for one in _last(ancient, kept, word.meaning))
    return again


def _last(ancient: Sequence[str], kept: str, meaning: str) -> Iterator[str]:
    """Yield what was told last of an object, *kept*, if it means that.

    Said of several amounts one after the other, it is each of them.
    """
    of_object = (one for one in reversed(ancient) if object_of(one) == object_of(kept))
    for one in takewhile(lambda one: event_in(one) == event_in(kept), of_object):
        if meaning_in(one) == meaning:
            yield one
            return


def _what_and_whose(said: str) -> tuple[str, str]:
    return meaning_in(said), message_in(said)


def _message_of(word: Word) -> str:
    return identity_of(word.message.heard).hex()
