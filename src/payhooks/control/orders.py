"""What a merchant of family foloosi is told of its orders: each goes as its payment went.

A word is due when a payment has come to succeed or to fail and its order was told nothing, or the
opposite. What was told is read from the events themselves, which say what they follow
(docs/adr/0015).
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from payhooks.catalogue import Catalogue
from payhooks.catalogue.life_cycle import ObjectKind, at
from payhooks.catalogue.object_state import Entry, Mark, ObjectState, heard_order
from payhooks.control import objects
from payhooks.control.context import Control
from payhooks.control.objects import ObjectEvents, ObjectStory
from payhooks.ids import EventId, MerchantId
from payhooks.limits import OBJECT_ID_CHARS_MAX
from payhooks.model.currencies import digits_of
from payhooks.model.event import Event

# Of each payment that is followed, once a second if need be, by every process: its newest events
# of the largest size, or a thousand of a usual one.
FOLLOW_BYTES_MAX: Final = 1024 * 1024
FAMILY: Final = "foloosi"
OBJECT_TYPE: Final = "order"
SUCCESS: Final = "order.success"
CANCEL: Final = "order.cancel"
_FOLLOWS: Final[Mapping[str | None, str]] = {
    "payment_succeeded": SUCCESS,
    "payment_failed": CANCEL,
}
# What is said as money and cannot be is left out: 64-bit numbers have 19 digits at most.
_MINOR_MAX: Final = 10**18
_AMOUNT_CHARS_MAX: Final = 24
_CURRENCY_CHARS_MAX: Final = 8
# Where publishers say which order a payment is for; else the order is called like its payment.
_ORDER_IDS: Final = ("/order_id", "/orderid")


class OrderWord(msgspec.Struct, frozen=True, kw_only=True):
    """An event about an order that is due."""

    type: str
    order_id: str
    data: bytes
    metadata: bytes  # what it follows
    occurred_at: datetime | None
    key: str  # what makes it one, whoever publishes it


def concerns(kind: ObjectKind | None) -> bool:
    """Whether an object of this kind can come to succeed or to fail as a payment does."""
    return kind is not None and any(row.event in _FOLLOWS for row in kind.unified)


async def due(
    control: Control,
    merchant_id: MerchantId,
    object_type: str,
    object_id: str,
    *,
    book: Catalogue,
) -> list[OrderWord]:
    """Return the words that are due after what happened to the object, in their order."""
    heard = await objects.read(control, merchant_id, object_id, bytes_max=FOLLOW_BYTES_MAX)
    notes = _Notes()
    story = await objects.folded(control, object_id, object_type, heard, book=book, look=notes.look)
    ends = [] if story is None else _ends(story.state)
    if story is None or not ends:
        return []
    order_id = notes.order_id or object_id
    if order_id != object_id or not heard.complete:
        # Its words alone: an order hears much else, and a number that comes again says nothing.
        heard = await objects.read(
            control, merchant_id, order_id, bytes_max=FOLLOW_BYTES_MAX, types=(SUCCESS, CANCEL)
        )
        if not heard.complete:
            # A thousand words, not of this payment alone: rather none than one again.
            return []
    told = _told(heard, _follows(story))
    missing = _missing(ends, told, complete=story.complete)
    return [
        _word(end, story, order_id, money=notes.money[end.event.id], number=len(told) + place)
        for place, end in enumerate(missing)
    ]


class _Notes:
    """What is kept of the data of a payment's events."""

    def __init__(self) -> None:
        self.order_id: str | None = None  # the first that was said
        self.money: dict[EventId, dict[str, str]] = {}

    def look(self, entry: Entry, data: object) -> None:
        if self.order_id is None:
            self.order_id = _order_id(data)
        if entry.kind is not None and _type_of(entry) is not None:
            self.money[entry.event.id] = _money(data, entry.kind)


def _follows(story: ObjectStory) -> dict[str, object]:
    return {"follows": {"type": story.type, "id": story.id}}


def _told(heard: ObjectEvents, follows: Mapping[str, object]) -> list[str]:
    """Return the words that the order was told after the object, oldest first."""
    events = [stored.event for stored in reversed(heard.events)]
    return [event.type for event in events if _is_told(event, follows)]


def _ends(state: ObjectState) -> list[Entry]:
    """Return the events by which the object came to succeed or to fail, each unlike the last."""
    found: list[Entry] = []
    for entry in heard_order(state):
        type_ = _type_of(entry)
        late = Mark.SUPERSEDED in entry.marks
        if type_ is not None and not late and (not found or _type_of(found[-1]) != type_):
            found.append(entry)
    return found


def _type_of(entry: Entry) -> str | None:
    return None if entry.unified is None else _FOLLOWS.get(entry.unified.event)


def _missing(ends: Sequence[Entry], told: Sequence[str], *, complete: bool) -> Sequence[Entry]:
    if not told:
        return ends if complete else ends[-1:]
    if complete and told[0] == _type_of(ends[0]) and len(ends) > len(told):
        return ends[len(told) :]
    # Somebody saw the events in another order, before all of them were there. What counts in
    # the end is what is said last.
    return ends[-1:] if told[-1] != _type_of(ends[-1]) else []


def _is_told(event: Event, follows: Mapping[str, object]) -> bool:
    if event.object_type != OBJECT_TYPE or event.metadata is None:
        return False
    if event.family != FAMILY or event.type not in {SUCCESS, CANCEL}:
        return False
    try:
        return bool(msgspec.json.decode(event.metadata) == follows)
    except msgspec.DecodeError:
        return False  # a publisher's own, with a number that no decoder takes


def _order_id(data: object) -> str | None:
    for pointer in _ORDER_IDS:
        said = at(data, pointer)
        if isinstance(said, str) and said and len(said) <= OBJECT_ID_CHARS_MAX:
            return said
    return None


def _word(
    end: Entry,
    story: ObjectStory,
    order_id: str,
    *,
    money: Mapping[str, str],
    number: int,
) -> OrderWord:
    type_ = _type_of(end)
    assert type_ is not None
    succeeded = type_ == SUCCESS
    transfer: dict[str, Any] = {
        "transaction_status": "success" if succeeded else "failed",
        "transaction_no": story.id,
        **{f"transaction_{name}": value for name, value in money.items()},
    }
    data: dict[str, Any] = {"id": order_id, "status": "paid" if succeeded else "cancel"}
    if "currency" in money:
        data |= money
    # Framed, so that no two pairs run together; hashed, because ids are as long as keys may be.
    subject = msgspec.json.encode([story.type, story.id])
    return OrderWord(
        type=type_,
        order_id=order_id,
        data=msgspec.json.encode({**data, "transfer": transfer}),
        metadata=msgspec.json.encode(_follows(story)),
        occurred_at=end.event.occurred_at,
        key=f"order:{hashlib.sha256(subject).hexdigest()}:{number}",
    )


def _money(data: object, kind: ObjectKind) -> dict[str, str]:
    """Return amount and currency, where the kind's file says where they stand in its data."""
    places = {template: pointer for pointer, template in reversed([*kind.bind.items()])}
    currency = at(data, places.get("{currency}", "/currency"))
    found: dict[str, str] = {}
    if not isinstance(currency, str) or len(currency) > _CURRENCY_CHARS_MAX:
        currency = None
    major, minor = places.get("{amount}"), places.get("{amount|minor}")
    said = None if major is None else at(data, major)
    if isinstance(said, str) and len(said) <= _AMOUNT_CHARS_MAX:
        found["amount"] = said
    elif minor is not None and currency is not None:
        amount = at(data, minor)
        if type(amount) is int and abs(amount) < _MINOR_MAX:
            digits = digits_of(currency)
            found["amount"] = str(
                Decimal(amount).scaleb(-digits).quantize(Decimal(1).scaleb(-digits))
            )
    if currency is not None:
        found["currency"] = currency
    return found
