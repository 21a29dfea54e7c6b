"""What receipts say: read by their provider, each message about one object. Pure."""

import hashlib
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Final

import msgspec

from payhooks import limits
from payhooks.catalogue import Catalogue
from payhooks.connectors.contract import Heard, Keys, Options, Provider, Source
from payhooks.connectors.judging import incoming_of
from payhooks.connectors.words import Message, identity_of
from payhooks.errors import InvalidError
from payhooks.flow.conclude import FAMILY, ended
from payhooks.flow.routing import RoutingTable
from payhooks.ids import RECEIPT, ReceiptId, to_text
from payhooks.model.connector import Connector
from payhooks.model.merchant import Mode
from payhooks.model.receipt import Receipt, ReceiptState, Verdict
from payhooks.policy.match import MatchTable
from payhooks.ports.receiving import Conclusion, Subject

NOTHING_TOLD: Final = "It tells of nothing: it is a test, or a step between."
_NAMED_MAX: Final = 3
# In the ids of messages that a person has had told, between the provider's id and what is said.
_OWN: Final = "\x1f"
# Of what is asked for nothing is known but its name.
_UNKNOWN: Final = "ASKED"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt says that is to be told of."""

    groups: Sequence[Sequence[Heard]]  # by object
    detail: str | None = None  # what of it is not, in words


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A connector, with what is needed to understand what came by it."""

    table: RoutingTable
    connector: Connector
    provider: Provider
    options: Options
    keys: Keys
    # What receipts were read as, while one is brought to its end: answers are long, and about many.
    reads: dict[ReceiptId, Sequence[Heard]] = msgspec.field(default_factory=dict)


def read(account: Account, receipt: Receipt) -> Sequence[Heard]:
    """Return what a receipt says.

    Raises:
        InvalidError: It is not a message of its provider.

    """
    heards = account.reads.get(receipt.id)
    if heards is None:
        provider, options = account.provider, account.options
        if receipt.is_answer:
            heards = provider.asked(pointed_at(receipt), receipt.body, options)
        else:
            heards = provider.read(incoming_of(receipt), options)
        account.reads[receipt.id] = heards
    return heards


def wanted(
    account: Account, receipt: Receipt, heards: Sequence[Heard], book: Catalogue
) -> Wanted | Conclusion:
    """Return what is to be told of; or the receipt's end, where that is nothing.

    Raises:
        InvalidError: A message has a name that cannot be kept.

    """
    for heard in heards:
        demand_keepable(heard)
    if not heards:
        return ended(receipt, ReceiptState.PROCESSED, NOTHING_TOLD)
    is_heard = _choosing(account)
    meant = _meant(account, heards)
    if not meant:
        words = "It is a test; a live merchant is told of real money alone."
        return ended(receipt, ReceiptState.IGNORED, words)
    chosen = [heard for heard in meant if is_heard(heard)]
    if not chosen:
        words = "The connector does not hear this event."
        return ended(receipt, ReceiptState.IGNORED, words, meant[0])
    known = [heard for heard in chosen if book.find(heard.family, heard.type) is not None]
    if not known:
        words = "Nothing is known of this event; it was acknowledged and is kept."
        return ended(receipt, ReceiptState.UNMAPPED, words, chosen[0])
    by_object: dict[tuple[str, str], list[Heard]] = {}
    for heard in known:
        by_object.setdefault((heard.object_type, heard.object_id), []).append(heard)
    strange = dict.fromkeys(
        heard.word for heard in chosen if book.find(heard.family, heard.type) is None
    )
    detail = None
    if strange:
        more = len(strange) - _NAMED_MAX
        words = ", ".join(list(strange)[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
        detail = f"Nothing is known of {words}; what else it says was told."
    return Wanted(groups=list(by_object.values()), detail=detail)


def is_asked_for(receipt: Receipt) -> bool:
    """Return whether the provider is to be asked: for what a call is about, or once more.

    That is of an answer whose process died before it was told: things may have changed since.
    """
    return receipt.verdict is Verdict.FETCH or receipt.is_answer


def pointer(object_type: str, object_id: str) -> str:
    """Return what the receipt of an answer has as its query: which object was asked for."""
    return msgspec.json.encode((object_type, object_id)).decode()


def pointed_at(receipt: Receipt) -> Heard:
    """Return what was asked for, of the receipt of an answer."""
    object_type, object_id = msgspec.json.decode(receipt.query, type=tuple[str, str])
    return asked_for(object_type, object_id)


def asked_for(object_type: str, object_id: str) -> Heard:
    """Return an object as ``ask`` takes it, of which nothing but its name is known."""
    return Heard(
        word=_UNKNOWN,
        family=FAMILY,
        type=_UNKNOWN,
        object_type=object_type,
        object_id=object_id,
        data=b"{}",
    )


def demand_keepable(heard: Heard) -> None:
    """Return if the message's names are such as any store can keep.

    Raises:
        InvalidError: One is too long, or has a character that is none of a name.

    """
    for name in (heard.word, heard.object_type, heard.object_id):
        if not 0 < len(name) <= limits.OBJECT_ID_CHARS_MAX or not name.isprintable():
            detail = "The name of the event or of its object is none that can be kept."
            raise InvalidError.at("", "malformed", detail)


def said_of(
    account: Account, receipts: Iterable[Receipt], about: Heard, told: Container[str]
) -> list[tuple[Receipt, Sequence[Heard]]]:
    """Return what these receipts said of the object that *about* is about.

    That is what the connector hears. Of a batch, what it does not hear is none; unless it heard
    that when it came: what was *told*, by which message, stays part of the history.
    """
    is_heard = _choosing(account)
    found: list[tuple[Receipt, Sequence[Heard]]] = []
    for each in receipts:
        if account.provider.source is Source.FETCH and not each.is_answer:
            continue  # it was signed, when that was what the connector asked for
        try:
            heards = read(account, each)
        except InvalidError:
            continue  # it could be read once; what it told is among what was said
        mine: Sequence[Heard] = [heard for heard in heards if _is_of(heard, about)]
        if each.is_answer:  # of which much may be what nobody wanted to hear of
            mine = [heard for heard in _meant(account, mine) if is_heard(heard)]
        else:
            mine = under_own_ids(mine, told)
            mine = [one for one in mine if is_heard(one) or identity_of(one).hex() in told]
        found.append((each, mine))
    return found


def messages_of(said: Iterable[tuple[Receipt, Sequence[Heard]]]) -> list[Message]:
    """Return what receipts said of one object as messages, in the order in which they came.

    An answer says how things are when it is asked for, which is the time of what it gives none. It
    is the same message for as long as answers say so one after the other with no other news, and
    another one when things are so again.
    """
    messages = []
    news = {""}
    since: dict[tuple[str, str], str] = {}  # what the answer before said, and which said so first
    for receipt, heards in said:
        if not receipt.is_answer:
            messages += [message_of(receipt, heard) for heard in heards]
            continue
        now: dict[tuple[str, str], str] = {}
        for heard in heards:
            if heard.occurred_at is not None:
                messages.append(message_of(receipt, heard))
                continue
            state = (heard.word, heard.version)
            first = f"{to_text(RECEIPT, receipt.id)}:{heard.word}"
            now[state] = since.get(state, first) if heard.news in news else first
            news.add(heard.news)
            as_of = msgspec.structs.replace(
                heard, event_id=now[state], occurred_at=receipt.received_at
            )
            messages.append(message_of(receipt, as_of))
        since = now
    return messages


def subject_of(account: Account, about: Heard) -> Subject:
    """Return whose history a message of the account's belongs to."""
    return Subject(
        merchant_id=account.connector.merchant_id,
        connector_id=account.connector.id,
        object_type=about.object_type,
        object_id=about.object_id,
    )


def _meant(account: Account, heards: Sequence[Heard]) -> Sequence[Heard]:
    """Return what of it is of real money, if the merchant is live."""
    if account.table.merchant.mode is not Mode.LIVE:
        return heards
    return [heard for heard in heards if not heard.is_test]


def _choosing(account: Account) -> Callable[[Heard], bool]:
    """Return what says whether the connector hears a message."""
    events = account.connector.events
    match = MatchTable([(0, events)])
    return lambda heard: not events or bool(match.select(heard.word))


def _is_of(heard: Heard, about: Heard) -> bool:
    return (heard.object_type, heard.object_id) == (about.object_type, about.object_id)


def message_of(receipt: Receipt, heard: Heard) -> Message:
    """Return what was heard, as a message of its receipt."""
    if heard.occurred_at is not None and heard.occurred_at.year not in limits.OCCURRED_AT_YEARS:
        # Surely a mistake, as at publishing. At the ends of time are some that PostgreSQL gives
        # back as none: no lease with such an event in it would end well, whoever's the others are.
        heard = msgspec.structs.replace(heard, occurred_at=None)
    return Message(heard=heard, receipt_id=receipt.id, insisted=_has_own_id(heard))


def under_own_id(heard: Heard) -> Heard:
    """Return what a person has said is news, though its provider used the id before.

    Whichever receipt brings the same under that id again brings the same message.
    """
    return msgspec.structs.replace(heard, event_id=f"{heard.event_id}{_OWN}{_digest(heard)}")


def _has_own_id(heard: Heard) -> bool:
    # A provider's own may have that character as well.
    _id, mark, said = (heard.event_id or "").rpartition(_OWN)
    return mark != "" and said == _digest(heard)


def _digest(heard: Heard) -> str:
    return hashlib.sha256(heard.stated or heard.data).hexdigest()


def under_own_ids(heards: Sequence[Heard], told: Container[str]) -> Sequence[Heard]:
    """Return what was told under an id of its own under that, and the rest as it is."""
    found = []
    for heard in heards:
        # One that has no id is what it says, and contradicts nothing.
        own = heard if heard.event_id is None else under_own_id(heard)
        found.append(own if identity_of(own).hex() in told else heard)
    return found


def by_identity(messages: Sequence[Message]) -> dict[bytes, Message]:
    """Return the first of each."""
    return {identity_of(message.heard): message for message in reversed(messages)}
