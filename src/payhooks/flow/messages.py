"""What receipts say: read by their provider, each message about one object. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from payhooks import limits
from payhooks.catalogue import Catalogue
from payhooks.connectors.contract import Heard, Keys, Options, Provider
from payhooks.connectors.history import Message
from payhooks.connectors.judging import incoming_of
from payhooks.errors import InvalidError
from payhooks.flow.conclude import FAMILY, ended
from payhooks.flow.routing import RoutingTable
from payhooks.ids import RECEIPT, ReceiptId, to_text
from payhooks.model.connector import Connector
from payhooks.model.merchant import Mode
from payhooks.model.receipt import Receipt, ReceiptState, Verdict
from payhooks.policy.match import MatchTable
from payhooks.ports.receiving import Conclusion

# The method under which the answer to a question of ours is kept as a receipt.
ASKED: Final = "ASKED"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A connector, with what is needed to understand what came by it."""

    table: RoutingTable
    connector: Connector
    provider: Provider
    options: Options
    keys: Keys


def read(account: Account, receipt: Receipt) -> Sequence[Heard]:
    """Return what a receipt says.

    Raises:
        InvalidError: It is not a message of its provider.

    """
    if receipt.method == ASKED:
        return account.provider.asked(pointed_at(receipt), receipt.body, account.options)
    return account.provider.read(incoming_of(receipt), account.options)


def wanted(
    account: Account, receipt: Receipt, heards: Sequence[Heard], book: Catalogue
) -> list[list[Heard]] | Conclusion:
    """Return what is to be told of, by object; or the receipt's end, where that is nothing.

    Raises:
        InvalidError: A message has a name that cannot be kept.

    """
    for heard in heards:
        demand_keepable(heard)
    if not heards:
        words = "It tells of nothing: it is a test, or a step between."
        return ended(receipt, ReceiptState.PROCESSED, words)
    if account.table.merchant.mode is Mode.LIVE:
        heards = [heard for heard in heards if not heard.is_test]
        if not heards:
            words = "It is a test; a live merchant is told of real money alone."
            return ended(receipt, ReceiptState.IGNORED, words)
    events = account.connector.events
    match = MatchTable([(0, events)]) if events else None
    chosen = [heard for heard in heards if match is None or match.select(heard.word)]
    if not chosen:
        words = "The connector does not hear this event."
        return ended(receipt, ReceiptState.IGNORED, words, heards[0])
    known = [heard for heard in chosen if book.find(heard.family, heard.type) is not None]
    if not known:
        words = "Nothing is known of this event; it was acknowledged and is kept."
        return ended(receipt, ReceiptState.UNMAPPED, words, chosen[0])
    by_object: dict[tuple[str, str], list[Heard]] = {}
    for heard in known:
        by_object.setdefault((heard.object_type, heard.object_id), []).append(heard)
    return list(by_object.values())


def is_fetched(receipt: Receipt) -> bool:
    """Return whether it only says what to ask the provider for."""
    return receipt.verdict is Verdict.FETCH and receipt.method != ASKED


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
        word=ASKED,
        family=FAMILY,
        type=ASKED,
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


def earlier_of(
    account: Account, own: ReceiptId | None, receipts: Iterable[Receipt], about: Heard
) -> list[Message]:
    """Return what these receipts, but for *own*, said of the object that *about* is about."""
    found = []
    for each in receipts:
        if each.id == own or is_fetched(each):
            continue  # what was fetched was all there was to know, and is again
        try:
            heards = read(account, each)
        except InvalidError:
            continue  # it could be read once; what it told is among what was said
        found += [
            message_of(each, heard)
            for heard in heards
            if (heard.object_type, heard.object_id) == (about.object_type, about.object_id)
        ]
    return found


def message_of(receipt: Receipt, heard: Heard) -> Message:
    """Return what was heard, as a message of its receipt."""
    if receipt.despite_conflict:
        # A person has said that it is a message of its own.
        heard = msgspec.structs.replace(heard, event_id=to_text(RECEIPT, receipt.id))
    if heard.occurred_at is not None and heard.occurred_at.year not in limits.OCCURRED_AT_YEARS:
        # Surely a mistake, as at publishing. At the ends of time are some that PostgreSQL gives
        # back as none: no lease with such an event in it would end well, whoever's the others are.
        heard = msgspec.structs.replace(heard, occurred_at=None)
    return Message(heard=heard, receipt_id=receipt.id, insisted=receipt.despite_conflict)
