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
from payhooks.control.objects import ObjectStory
from payhooks.ids import MerchantId
from payhooks.limits import OBJECT_ID_CHARS_MAX
from payhooks.model.currencies import digits_of
from payhooks.model.event import Event

FAMILY: Final = "foloosi"
OBJECT_TYPE: Final = "order"
SUCCESS: Final = "order.success"
CANCEL: Final = "order.cancel"
_FOLLOWS: Final[Mapping[str | None, str]] = {
    "payment_succeeded": SUCCESS,
    "payment_failed": CANCEL,
}
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
    found = await objects.find(control, merchant_id, object_id, book=book)
    story = next((one for one in found if one.type == object_type), None)
    ends = [] if story is None else _ends(story.state)
    if story is None or not ends:
        return []
    order_id = _order_id(story)
    if order_id != object_id:
        found = await objects.find(control, merchant_id, order_id, book=book)
    follows = {"follows": {"type": object_type, "id": object_id}}
    told = [
        entry.event.type
        for one in found
        if one.type == OBJECT_TYPE
        for entry in heard_order(one.state)
        if _is_told(entry.event, follows)
    ]
    missing = _missing(ends, told, complete=story.complete)
    return [
        _word(end, story, order_id, follows, number=len(told) + place)
        for place, end in enumerate(missing)
    ]


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
    if event.family != FAMILY or event.type not in {SUCCESS, CANCEL} or event.metadata is None:
        return False
    return bool(msgspec.json.decode(event.metadata) == follows)


def _order_id(story: ObjectStory) -> str:
    for entry in story.state.entries:
        for pointer in _ORDER_IDS:
            said = at(_read(entry.event.data), pointer)
            if isinstance(said, str) and said and len(said) <= OBJECT_ID_CHARS_MAX:
                return said
    return story.id


def _word(
    end: Entry,
    story: ObjectStory,
    order_id: str,
    follows: Mapping[str, object],
    *,
    number: int,
) -> OrderWord:
    type_ = _type_of(end)
    assert type_ is not None
    assert end.kind is not None
    succeeded = type_ == SUCCESS
    money = _money(_read(end.event.data), end.kind)
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
        metadata=msgspec.json.encode(follows),
        occurred_at=end.event.occurred_at,
        key=f"order:{hashlib.sha256(subject).hexdigest()}:{number}",
    )


def _money(data: object, kind: ObjectKind) -> dict[str, str]:
    """Return amount and currency, where the kind's file says where they stand in its data."""
    places = {template: pointer for pointer, template in reversed([*kind.bind.items()])}
    currency = at(data, places.get("{currency}", "/currency"))
    found: dict[str, str] = {}
    major, minor = places.get("{amount}"), places.get("{amount|minor}")
    if major is not None and isinstance(at(data, major), str):
        found["amount"] = str(at(data, major))
    elif minor is not None and isinstance(currency, str):
        amount = at(data, minor)
        if isinstance(amount, int) and not isinstance(amount, bool):
            digits = digits_of(currency)
            found["amount"] = str(
                Decimal(amount).scaleb(-digits).quantize(Decimal(1).scaleb(-digits))
            )
    if isinstance(currency, str):
        found["currency"] = currency
    return found


def _read(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        return None  # it was removed for good
