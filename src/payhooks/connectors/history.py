"""What follows from all that was heard of one provider's object: the words that are to be told.

Pure: the messages are folded by the provider's time, so that their order of arrival changes
nothing (docs/adr/0017). A word is a unified event about an object with an amount; of equal words
each has its number, so that a second capture of the same amount is another word.
"""

import hashlib
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Final

import msgspec

from payhooks.catalogue import CATALOGUE, Catalogue
from payhooks.catalogue.life_cycle import START
from payhooks.catalogue.object_state import Entry, Mark, ObjectState, fold
from payhooks.connectors.captures import Captures, Standing, brings_money
from payhooks.connectors.contract import Heard, Options, Provider, Told
from payhooks.connectors.owed import Owed
from payhooks.connectors.unified import FAMILY
from payhooks.errors import InvalidError
from payhooks.ids import EventId, MerchantId
from payhooks.model.event import Event

_SEPARATOR: Final = "\x1f"
_KEY_BYTES: Final = 16
# Equal ones are not the same news, however far apart.
_MONEY_EACH_TIME: Final = frozenset({"payment_captured"})
# They take back what stands; what else is heard beside it does not.
_ENDS: Final = frozenset(
    {
        "payment_failed",
        "payment_cancelled",
        "payment_cancelled_post_capture",
        "payment_expired",
    }
)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One thing heard, and the id of the receipt that brought it."""

    heard: Heard
    receipt_id: bytes
    # A person has said that it is news, whatever the provider had said before.
    insisted: bool = False


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """A unified event that is to be told of an object, once."""

    message: Message
    unified: str
    told: Told
    superseded: bool  # the object is further already
    correction: bool  # it takes back what was final
    beside: bool = False  # other captures stand, and it leaves them as they are
    number: int = 0  # among equal ones, from 1, once it is chosen to be told

    @property
    def meaning(self) -> str:
        """What equal words have in common: event with its news, object, amount and currency."""
        amount = "" if self.told.amount is None else str(self.told.amount.normalize())
        news = self.message.heard.news
        event = f"{self.unified}:{news}" if news else self.unified
        said = (event, self.told.object_type, self.told.object_id, amount)
        return _SEPARATOR.join([*said, self.told.currency or ""])

    @property
    def each_time(self) -> bool:
        """Whether it is news each time, as a capture is, and not a state that was reached."""
        heard = self.message.heard
        is_capture = heard.each_time or self.unified in _MONEY_EACH_TIME
        return is_capture or (self.beside and heard.capture != "")

    @property
    def text(self) -> str:
        """What makes it the same word for everybody: its meaning, and which of equal ones it is."""
        assert self.number, "nobody has chosen it"
        return f"{self.meaning}{_SEPARATOR}{self.number}"

    @property
    def said(self) -> str:
        """What is kept of it once it is told: its text, and which message it told."""
        return self.said_of(identity_of(self.message.heard))

    def said_of(self, identity: bytes) -> str:
        """Return what is kept of it where it was told of the message with this identity."""
        return f"{self.text}{_SEPARATOR}{identity.hex()}"


class History(msgspec.Struct, frozen=True, kw_only=True):
    """An object as its provider's messages tell of it."""

    state: ObjectState
    words: tuple[Word, ...]  # in the provider's time


def identity_of(heard: Heard) -> bytes:
    """Return what a redelivery repeats, in 16 bytes: the provider's id of it, else all of it."""
    said = heard.event_id
    if said is None:
        framed = msgspec.msgpack.encode(
            (heard.word, heard.object_type, heard.object_id, heard.data)
        )
    else:
        framed = msgspec.msgpack.encode((heard.object_type, heard.object_id, said))
    return hashlib.sha256(framed).digest()[:_KEY_BYTES]


def object_of(said: str) -> tuple[str, str]:
    """Return type and id of the object that a word was about; *said* is what was kept of it."""
    _unified, object_type, rest = said.split(_SEPARATOR, 2)
    return object_type, rest.rsplit(_SEPARATOR, 4)[0]


def message_in(said: str) -> str:
    """Return which message a word told, in hexadecimal; *said* is what was kept of it."""
    return said.rsplit(_SEPARATOR, 1)[1]


def meaning_in(said: str) -> str:
    """Return what a word that was told has in common with its equals; *said* was kept of it."""
    return said.rsplit(_SEPARATOR, 2)[0]


def told_of_others(said: Iterable[str], identities: Container[bytes]) -> list[str]:
    """Return what was told of messages that have none of these identities, in order."""
    return [kept for kept in said if bytes.fromhex(message_in(kept)) not in identities]


def money_in(meaning: str) -> str:
    """Return amount and currency of what words have in common."""
    return _SEPARATOR.join(meaning.rsplit(_SEPARATOR, 2)[1:])


def event_in(said: str) -> str:
    """Return which event a word that was told was; *said* is what was kept of it."""
    return said.split(_SEPARATOR, 1)[0].partition(":")[0]


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
        meaning, number, _message = kept.rsplit(_SEPARATOR, 2)
        numbers.setdefault(meaning, set()).add(int(number))
    highest: dict[str, int] = {}
    for kept in (*recent, *ancient):
        meaning, number, _message = kept.rsplit(_SEPARATOR, 2)
        highest[meaning] = max(highest.get(meaning, 0), int(number))
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
    for word, kept in _first_after(words, ancient):
        if id(word) in chosen and _takes_back(word, kept):
            chosen[id(word)] = msgspec.structs.replace(chosen[id(word)], correction=True)
    return tuple(chosen[id(word)] for word in words if id(word) in chosen)


def _first_after(words: Sequence[Word], ancient: Sequence[str]) -> Iterator[tuple[Word, str]]:
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
    for word, kept in _first_after(now, ancient):
        own = (word.meaning, _message_of(word))
        if kept in same or own in lately or word.each_time:
            continue
        meaning, number, _message = kept.rsplit(_SEPARATOR, 2)
        if meaning == word.meaning:
            again.add(_SEPARATOR.join((meaning, number, own[1])))
    return again


def _what_and_whose(said: str) -> tuple[str, str]:
    meaning, _number, message = said.rsplit(_SEPARATOR, 2)
    return meaning, message


def _message_of(word: Word) -> str:
    return _in_hexadecimal(word.message.heard)


def _in_hexadecimal(heard: Heard) -> str:
    return identity_of(heard).hex()


def distinct(messages: Iterable[Message]) -> list[Message]:
    """Return the first of each, in order."""
    found: dict[bytes, Message] = {}
    for message in messages:
        found.setdefault(identity_of(message.heard), message)
    return list(found.values())


def folded(  # noqa: PLR0913 - whose words, which, and what they are folded over
    provider: Provider,
    messages: Sequence[Message],
    options: Options,
    *,
    catalogue: Catalogue,
    merchant_id: MerchantId,
    now: datetime,
    said: Collection[str] = (),
    ancient: Sequence[str] = (),
    newest: bytes | None = None,
) -> History:
    """Return what follows from distinct messages about one object, in the order they were heard.

    *said* and *ancient* are as in ``untold``. What cannot be told is passed over, but for what the
    receipt *newest* brought and nobody told yet; without it each has to be told.

    Raises:
        InvalidError: A message lacks what the event that it means has to say.

    """
    events = [_as_event(message.heard, at, merchant_id) for at, message in enumerate(messages)]
    of_event = {event.id: message for event, message in zip(events, messages, strict=True)}
    state = fold(events, catalogue, now=now)
    captures = Captures(
        [message_in(kept) for kept in ancient],
        standing=provider.standing([event_in(kept) for kept in ancient], options),
        identify=_in_hexadecimal,
    )
    places = list(_places(state, of_event, captures))
    last_move = max((at for at, place in enumerate(places) if place.entry.moved), default=-1)
    last_whole = max((at for at, place in enumerate(places) if place.moves_whole), default=-1)
    kept = [*said, *ancient]
    owed = Owed(told=[message_in(one) for one in kept], events=[event_in(one) for one in kept])
    words = []

    def means_alone(place: _Place, *, captured: bool) -> str | None:
        [alone] = fold([place.entry.event], catalogue, now=now).entries
        return provider.means(alone, options, captured=captured)

    for at, place in enumerate(places):
        message, identity = place.message, _in_hexadecimal(place.message.heard)
        if message.insisted:
            # By itself, as it was judged to conflict: among the others it may look like a repeat.
            unified = means_alone(place, captured=False)
        else:
            unified = _meaning(provider, place, options)
        if unified is None and owed and at >= last_move:
            once_more = means_alone(place, captured=place.standing.after)
            unified = once_more if owed.settle(once_more, identity) else None
        if unified is None:
            continue
        must = newest in {None, message.receipt_id} and not owed.was_told(identity)
        told = _told(provider, message.heard, unified, options, must=must)
        if told is None:
            continue
        beside = place.standing.before and unified not in _ENDS
        word = Word(
            message=message,
            unified=unified,
            told=told,
            superseded=at < (last_whole if brings_money(message.heard) else last_move),
            correction=Mark.CORRECTION in place.entry.marks and not beside,
            beside=beside,
        )
        if not word.each_time:
            owed.note(unified, identity)
        words.append(word)
    return History(state=state, words=tuple(words))


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """A message among the others, in the provider's time."""

    message: Message
    entry: Entry
    standing: Standing
    is_news: bool  # whatever state it leaves
    is_same: bool  # all that it says was said before, under another id

    @property
    def moves_whole(self) -> bool:
        """Whether it moves the object, and not a part of it beside money that stands."""
        is_part = self.standing.before if brings_money(self.message.heard) else self.standing.after
        return self.entry.moved and not is_part


def _places(
    state: ObjectState, of_event: Mapping[EventId, Message], captures: Captures
) -> Iterator[_Place]:
    known, version = {""}, ""  # of news, and the last
    said: set[tuple[str, bytes]] = set()
    for entry in state.entries:
        message = of_event[entry.event.id]
        heard = message.heard
        is_other = version != "" and heard.version not in {"", version}
        yield _Place(
            message=message,
            entry=entry,
            standing=captures.hear(heard),
            is_news=is_other or heard.news not in known,
            is_same=(heard.type, heard.data) in said,
        )
        said.add((heard.type, heard.data))
        known, version = known | {heard.news}, heard.version or version


def _meaning(provider: Provider, place: _Place, options: Options) -> str | None:
    """Return what a message means among the others; None: none."""
    # The same once more, in the same state, is none.
    is_repeat = Mark.REPEATED in place.entry.marks and not place.is_news
    if is_repeat or place.standing.again:
        return None
    unified = provider.means(place.entry, options, captured=place.standing.after)
    # Parts that were captured may be equal, where nothing says what was captured so far.
    is_part = place.message.heard.each_time or unified == "payment_captured"
    is_again = place.is_same and not place.entry.moved and not place.is_news
    return None if is_again and not is_part else unified


def _told(
    provider: Provider, heard: Heard, unified: str, options: Options, *, must: bool
) -> Told | None:
    """Return what an event says; None where it cannot be said, and need not be."""
    try:
        return provider.tell(heard, unified, options)
    except InvalidError:
        if must:
            raise
        return None


def _as_event(heard: Heard, at: int, merchant_id: MerchantId) -> Event:
    return Event(
        id=EventId(at.to_bytes(_KEY_BYTES, "big")),
        merchant_id=merchant_id,
        type=heard.type,
        family=heard.family,
        data=heard.data,
        object_type=heard.object_type,
        object_id=heard.object_id,
        occurred_at=heard.occurred_at,
    )
