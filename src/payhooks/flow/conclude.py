"""What is written when a receipt has been read: the events that it tells, and its own end. Pure."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from payhooks.connectors import unified
from payhooks.connectors.contract import Heard, Provider
from payhooks.connectors.history import History
from payhooks.connectors.words import Word, identity_of, object_of
from payhooks.flow.publication import Publication
from payhooks.ids import CONNECTOR, RECEIPT, ReceiptId, to_text
from payhooks.model.connector import Connector
from payhooks.model.expectation import Expectation
from payhooks.model.merchant import Merchant
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.receiving import Conclusion, Link, Moved, Reference, Remembered, Seen, Wait

FAMILY: Final = "owngateway"  # whose words the unified events are
HISTORY_MAX: Final = 200  # receipts of one object
NO_NEWS: Final = "Nothing follows from it: it is no news of what it is about."
EXPECTED_AFTER: Final = timedelta(minutes=1)


class TakenError(Exception):
    """As this word another message was told."""

    def __init__(self, word: Word, identity: bytes) -> None:
        super().__init__(word.text)
        self.heard = word.message.heard
        self.said, self.identity = word.said_of(identity), identity


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """One object of a receipt: all that was heard of it, and what is to be told now."""

    heard: Heard  # the receipt's own, the first of it
    seen: Seen  # what was heard of it before
    past: History
    words: tuple[Word, ...]
    # What was told of it as another message than is meant now. That may have been by a receipt that
    # does not end with it: this one, before more was heard, or one that ended without it.
    taken: tuple[str, ...]
    repeated: bool  # nothing of it is new


def publication_of(
    word: Word, receipt: Receipt, connector: Connector, merchant: Merchant
) -> Publication:
    """Return the event that tells *word*.

    Raises:
        InvalidError: It cannot be said: an amount is not whole in its currency.

    """
    heard, told = word.message.heard, word.told
    metadata: dict[str, object] = {
        "connector": connector.name,
        "receipt": to_text(RECEIPT, word.message.receipt_id),
        "word": heard.word,
    }
    marks = {
        "superseded": word.superseded,
        "correction": word.correction,
        "conflicting": word.conflicting != "",
    }
    metadata |= {name: True for name, is_so in marks.items() if is_so}
    return Publication(
        type=word.unified,
        family=FAMILY,
        data=unified.written(
            told,
            word.unified,
            connector_name=connector.name,
            connector_id_text=to_text(CONNECTOR, connector.id),
            merchant=merchant,
            at=heard.occurred_at or receipt.received_at,
        ),
        object_type=told.object_type,
        object_id=told.object_id,
        occurred_at=heard.occurred_at,
        metadata=msgspec.json.encode(metadata),
        idempotency_key=_key(word, connector),
        content=identity_of(heard),
    )


def _key(word: Word, connector: Connector) -> str:
    heard = word.message.heard
    place = f"{heard.object_type}\x1f{heard.object_id}\x1f{word.text}"
    digest = hashlib.sha256(place.encode()).hexdigest()
    # No publisher can send this character in a key, so none comes before us with one of ours.
    return f"\x1f{to_text(CONNECTOR, connector.id)}:{digest}"


def conclusion_of(  # noqa: PLR0913 - what goes into one transaction
    receipt: Receipt,
    dues: Sequence[Due],
    *,
    provider: Provider,
    detail: str | None,
    new_id: Callable[[], bytes],
    now: datetime,
) -> Conclusion:
    """Return the end of a receipt that was read.

    *detail* is what is to be said of it, *new_id* gives an expectation its id.
    """
    links: dict[tuple[str, str], Link] = {}
    references: set[tuple[str, str, str]] = set()
    for due in dues:
        heard = due.heard
        own = Link(
            object_type=heard.object_type,
            object_id=heard.object_id,
            said=(*due.taken, *(word.said for word in due.words)),
        )
        links[heard.object_type, heard.object_id] = own
    for due in dues:
        for word in due.words:
            place = (word.told.object_type, word.told.object_id)
            links.setdefault(place, Link(object_type=place[0], object_id=place[1]))
        for word in due.past.words:
            told = word.told
            place = (told.object_type, told.object_id)
            names = (*told.references, *([told.payment_id] if told.payment_id else []))
            references |= {(name, *place) for name in names if name.isprintable()}
            # What only repeats another is about the same: it stands on the object's page as well.
            mine = identity_of(word.message.heard) == identity_of(due.heard)
            if mine or word.message.receipt_id == receipt.id:
                links.setdefault(place, Link(object_type=place[0], object_id=place[1]))
    repeated = all(due.repeated and not due.words for due in dues)
    first = dues[0].heard
    if any(due.words for due in dues):
        detail = " ".join(filter(None, (detail, _doubt(dues)))) or None
    elif not repeated:
        detail = detail or NO_NEWS
    waits = [_wait(receipt, due, provider, new_id=new_id, now=now) for due in dues]
    return Conclusion(
        merchant_id=receipt.merchant_id,
        receipt_id=receipt.id,
        connector_id=receipt.connector_id,
        state=ReceiptState.DUPLICATE if repeated else ReceiptState.PROCESSED,
        detail=detail,
        word=first.word,
        object_type=first.object_type,
        object_id=first.object_id,
        links=tuple(links.values()),
        references=tuple(
            Reference(reference=name, object_type=type_, object_id=id_)
            for name, type_, id_ in sorted(references)
        ),
        seen=tuple(due.seen for due in dues),
        waits=tuple(wait for wait in waits if wait is not None),
        moved=_moved(dues, provider),
    )


def _doubt(dues: Sequence[Due]) -> str | None:
    """Return what somebody has to ask the provider about what is told; None: nothing."""
    doubted = (word for due in dues for word in due.words if word.conflicting)
    word = next(doubted, None)
    if word is None:
        return None
    other = f"{word.unified} was said of {word.conflicting} as well"
    return f"{other}. Both were told: ask the provider which is right."


def seen_of(about: Heard, before: Remembered) -> Seen:
    """Return how much was heard before of the object that *about* is about."""
    whole = len(before.heard) < HISTORY_MAX
    return Seen(
        object_type=about.object_type,
        object_id=about.object_id,
        count=len(before.heard),
        since=None if whole else before.heard[0].receipt.id,
    )


def drawn_from(end: Conclusion, asked: Seen) -> Conclusion:
    """Return the end of an answer, if no other was told since the question: *asked* says so."""
    place = (asked.object_type, asked.object_id)
    seen = [one for one in end.seen if (one.object_type, one.object_id) != place]
    links = list(end.links)
    # To what was asked for it is linked whatever it says: the next one is judged by that.
    if place not in [(link.object_type, link.object_id) for link in links]:
        links.append(Link(object_type=asked.object_type, object_id=asked.object_id))
    return msgspec.structs.replace(end, seen=(*seen, asked), links=tuple(links))


def unless_heard(expectation: Expectation, seen: Sequence[Seen]) -> Conclusion:
    """Return what keeps news from being told where more was heard of its object than was *seen*.

    It ends nothing: no receipt has the id of an expectation.
    """
    return Conclusion(
        merchant_id=expectation.merchant_id,
        receipt_id=ReceiptId(expectation.id),
        connector_id=expectation.connector_id,
        state=ReceiptState.PROCESSED,
        seen=tuple(seen),
    )


def ended(
    receipt: Receipt, state: ReceiptState, words: str | None, heard: Heard | None = None
) -> Conclusion:
    """Return the end of a receipt that tells nothing; *words* say why."""
    about = receipt if heard is None else heard
    links = (
        [] if heard is None else [Link(object_type=heard.object_type, object_id=heard.object_id)]
    )
    return Conclusion(
        merchant_id=receipt.merchant_id,
        receipt_id=receipt.id,
        connector_id=receipt.connector_id,
        state=state,
        detail=words,
        word=about.word,
        object_type=about.object_type,
        object_id=about.object_id,
        links=tuple(links),
    )


def _moved(dues: Sequence[Due], provider: Provider) -> tuple[Moved, ...]:
    """Return the objects of which something is told that may end what was waited for."""
    if not provider.waits:
        return ()
    found: set[tuple[str, str]] = set()
    for due in dues:
        news = {identity_of(word.message.heard) for word in due.words}
        said_before: dict[tuple[str, str], str] = {}
        for word in due.past.words:
            place = (word.told.object_type, word.told.object_id)
            before = said_before.get(place)
            if word.unified in provider.waits:
                said_before[place] = word.unified
            # Who judges asks the provider. What says once more that an object waits for the same
            # must not have it judged, or he would be asked whenever he says so.
            ends = word.unified not in provider.waits
            is_other = before is not None and before != word.unified
            # Also what is superseded: that may be by what is told of another object.
            if identity_of(word.message.heard) in news and (ends or is_other):
                found.add(place)
        # What another receipt told that may not have ended with that: nobody else says it moved.
        found |= {object_of(said) for said in due.taken}
    return tuple(Moved(object_type=type_, object_id=id_) for type_, id_ in sorted(found))


def _wait(
    receipt: Receipt, due: Due, provider: Provider, *, new_id: Callable[[], bytes], now: datetime
) -> Wait | None:
    last = next((word for word in reversed(due.past.words) if not word.superseded), None)
    usual = None if last is None else provider.waits.get(last.unified)
    if last is None or usual is None:
        return None
    since = min(last.message.heard.occurred_at or now, now)
    # What is old already when it is heard may be followed at once by what came of it.
    due_at = max(since + usual, now + EXPECTED_AFTER)
    expectation = Expectation(
        id=new_id(),
        merchant_id=receipt.merchant_id,
        connector_id=receipt.connector_id,
        object_type=last.told.object_type,
        object_id=last.told.object_id,
        heard_type=due.heard.object_type,
        heard_id=due.heard.object_id,
        since=since,
        due_at=due_at,
    )
    return Wait(expectation=expectation, due_in_s=(due_at - now).total_seconds())
