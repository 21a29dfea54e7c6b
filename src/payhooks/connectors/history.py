"""What follows from all that was heard of one provider's object: the words that are to be told.

Pure: the messages are folded by the provider's time, so that their order of arrival changes
nothing (docs/adr/0017).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from payhooks.catalogue import Catalogue
from payhooks.catalogue.object_state import Entry, Mark, ObjectState, fold
from payhooks.connectors.agreement import Amounts
from payhooks.connectors.captures import Captures, Standing, brings_money
from payhooks.connectors.contract import Heard, Options, Provider, Told
from payhooks.connectors.owed import Owed
from payhooks.connectors.words import KEY_BYTES, Message, Word, event_in, identity_of, message_in
from payhooks.errors import InvalidError
from payhooks.ids import EventId, MerchantId
from payhooks.model.event import Event

# They take back what stands; what else is heard beside it does not.
_ENDS: Final = frozenset(
    {
        "payment_failed",
        "payment_cancelled",
        "payment_cancelled_post_capture",
        "payment_expired",
    }
)


class History(msgspec.Struct, frozen=True, kw_only=True):
    """An object as its provider's messages tell of it."""

    state: ObjectState
    words: tuple[Word, ...]  # in the provider's time


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
    standing = provider.standing([event_in(kept) for kept in ancient], options)
    captures = Captures(map(message_in, ancient), standing=standing, identify=_in_hexadecimal)
    places = list(_places(state, of_event, captures))
    last_move = _last(place.entry.moved for place in places)
    last_whole = _last(place.moves_whole for place in places)
    owed = Owed([*said, *ancient])
    amounts, words = Amounts(ancient), []

    def means_alone(place: _Place, *, captured: bool) -> str | None:
        [alone] = fold([place.entry.event], catalogue, now=now).entries
        return provider.means(alone, options, captured=captured)

    def with_another_amount(place: _Place) -> tuple[str | None, Told | None]:
        heard, unified = place.message.heard, means_alone(place, captured=False)
        told = _told(provider, heard, unified, options, must=False)
        return (unified, told) if amounts.differ(heard, unified, told) else (None, None)

    for at, place in enumerate(places):
        message = place.message
        if message.insisted:
            # By itself, as it was judged to conflict: among the others it may look like a repeat.
            unified = means_alone(place, captured=False)
        else:
            unified = _meaning(provider, place, options)
        if unified is None and owed and at >= last_move:
            once_more = means_alone(place, captured=place.standing.after)
            unified = once_more if owed.settle(once_more, message) else None
        must = newest in {None, message.receipt_id} and not owed.was_told(message)
        told = _told(provider, message.heard, unified, options, must=must)
        if unified is None and amounts:
            unified, told = with_another_amount(place)
        if unified is None or told is None:
            continue
        amounts.note(message.heard, unified, told)
        last = last_whole if brings_money(message.heard) else last_move
        word = _word(place, unified, told, superseded=at < last)
        owed.note(word)
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


def _last(holds: Iterable[bool]) -> int:
    """Return the place of the last that holds; -1: none does."""
    return max((at for at, it in enumerate(holds) if it), default=-1)


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
    provider: Provider, heard: Heard, unified: str | None, options: Options, *, must: bool
) -> Told | None:
    """Return what an event says; None where there is none, or it cannot and need not be said."""
    if unified is None:
        return None
    try:
        return provider.tell(heard, unified, options)
    except InvalidError:
        if must:
            raise
        return None


def _word(place: _Place, unified: str, told: Told, *, superseded: bool) -> Word:
    beside = place.standing.before and unified not in _ENDS
    return Word(
        message=place.message,
        unified=unified,
        told=told,
        superseded=superseded,
        correction=Mark.CORRECTION in place.entry.marks and not beside,
        beside=beside,
    )


def _in_hexadecimal(heard: Heard) -> str:
    return identity_of(heard).hex()


def _as_event(heard: Heard, at: int, merchant_id: MerchantId) -> Event:
    return Event(
        id=EventId(at.to_bytes(KEY_BYTES, "big")),
        merchant_id=merchant_id,
        type=heard.type,
        family=heard.family,
        data=heard.data,
        object_type=heard.object_type,
        object_id=heard.object_id,
        occurred_at=heard.occurred_at,
    )
