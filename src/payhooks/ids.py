"""Ids: 128 bits, sortable by time, text only at the edge.

Layout: 48 bits of milliseconds since 1970, then random bits. An *event* id ends in 20 zero
bits, and the id of its delivery to an endpoint is the same number with the endpoint's
per-merchant number in those bits. So one (event, endpoint) pair can only ever have one
delivery id, whoever makes it and however often, and all deliveries of an event are one
range of the primary key. Text is a prefix and 26 characters of Crockford's base 32; the
last four are exactly those 20 bits.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Final, NewType, Protocol

from payhooks.clock import Clock

MerchantId = NewType("MerchantId", bytes)
EventId = NewType("EventId", bytes)
EndpointId = NewType("EndpointId", bytes)
DeliveryId = NewType("DeliveryId", bytes)
KeyId = NewType("KeyId", bytes)
ReplayId = NewType("ReplayId", bytes)
RunId = NewType("RunId", bytes)
InboxId = NewType("InboxId", bytes)
ConnectorId = NewType("ConnectorId", bytes)
ReceiptId = NewType("ReceiptId", bytes)
UserId = NewType("UserId", bytes)
InvitationId = NewType("InvitationId", bytes)
SessionId = NewType("SessionId", bytes)

MERCHANT: Final = "mer"
EVENT: Final = "evt"
ENDPOINT: Final = "ep"
DELIVERY: Final = "del"
ATTEMPT: Final = "att"
REPLAY: Final = "rpl"
RUN: Final = "run"
INBOX: Final = "inb"
HEARD: Final = "hrd"
CONNECTOR: Final = "con"
RECEIPT: Final = "rcp"
KEY: Final = "key"
REQUEST: Final = "req"
USER: Final = "usr"
INVITATION: Final = "inv"
SESSION: Final = "ses"
_LASTING: Final = frozenset({MERCHANT, ENDPOINT})

NUMBER_BITS: Final = 20
NUMBER_MAX: Final = (1 << NUMBER_BITS) - 1
_RANDOM_BITS: Final = 80
_ID_BYTES: Final = 16
_TEXT_LENGTH: Final = 26

# Crockford's alphabet: no I, L, O, U, so that an id survives being read out on the phone.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
# Two characters at a time: thirteen look-ups an id instead of twenty-six.
_PAIRS: Final = [high + low for high in _ALPHABET for low in _ALPHABET]
_HEAD_SHIFTS: Final = tuple(range(100, -1, -10))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class IdSource(Protocol):
    """Where new ids come from."""

    def new(self) -> bytes:
        """Return an id nobody has; later calls return greater ones."""
        ...

    def new_event(self) -> EventId:
        """Return an id for an event: as ``new``, with room for its deliveries' numbers."""
        ...


class TimeOrderedIds:
    """Ids from the clock and a source of randomness. One per process."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._last = 0

    def new(self) -> bytes:
        """See IdSource."""
        return self._after_last(step_bits=0).to_bytes(_ID_BYTES, "big")

    def new_event(self) -> EventId:
        """See IdSource."""
        return EventId(self._after_last(step_bits=NUMBER_BITS).to_bytes(_ID_BYTES, "big"))

    def _after_last(self, *, step_bits: int) -> int:
        elapsed = self._clock.now() - _EPOCH
        milliseconds = elapsed // _MILLISECOND
        drawn = milliseconds << _RANDOM_BITS | self._random.getrandbits(_RANDOM_BITS)
        if drawn <= self._last:
            # The clock stood still or went back: go on upwards by a random step, so that
            # order holds inside this process and two processes still do not collide.
            drawn = self._last + (1 + self._random.getrandbits(32) << NUMBER_BITS)
        self._last = drawn
        return drawn >> step_bits << step_bits


def to_text(prefix: str, value: bytes) -> str:
    """Return the form people and programs outside see: ``evt_01J…``."""
    # An id is printed in an answer, a header and a log line; remembering is a tenth of the cost
    # of spelling. What comes and goes must not push out what is printed over and over.
    return _lasting_text(prefix, value) if prefix in _LASTING else _passing_text(prefix, value)


def _spelt(prefix: str, value: bytes) -> str:
    assert len(value) == _ID_BYTES
    number = int.from_bytes(value, "big")
    head = _head_text(number >> NUMBER_BITS)
    return f"{prefix}_{head}{_PAIRS[number >> 10 & 1023]}{_PAIRS[number & 1023]}"


_lasting_text: Final = lru_cache(maxsize=131_072)(_spelt)
_passing_text: Final = lru_cache(maxsize=4_096)(_spelt)


# An event and all of its deliveries have this in common, and are printed soon after each other.
@lru_cache(maxsize=4_096)
def _head_text(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in _HEAD_SHIFTS])


def from_text(prefix: str, text: str) -> bytes | None:
    """Return the id that *text* spells, or None if it spells none with this prefix."""
    head, separator, body = text.partition("_")
    if head != prefix or not separator or len(body) != _TEXT_LENGTH:
        return None
    number = 0
    for character in body:
        value = _VALUES.get(character)
        if value is None:
            return None
        number = number << 5 | value
    if number >> (8 * _ID_BYTES):
        return None  # 26 characters hold 130 bits; no id has the upper two.
    return number.to_bytes(_ID_BYTES, "big")


def delivery_id(event_id: EventId, endpoint_number: int) -> DeliveryId:
    """Return the one id that the delivery of this event to this endpoint can have."""
    assert 1 <= endpoint_number <= NUMBER_MAX
    number = int.from_bytes(event_id, "big")
    assert number & NUMBER_MAX == 0
    return DeliveryId((number | endpoint_number).to_bytes(_ID_BYTES, "big"))


def event_id_of(delivery: DeliveryId) -> EventId:
    """Return the id of the event that this delivery carries."""
    number = int.from_bytes(delivery, "big")
    return EventId((number >> NUMBER_BITS << NUMBER_BITS).to_bytes(_ID_BYTES, "big"))


def endpoint_number_of(delivery: DeliveryId) -> int:
    """Return the per-merchant number of the endpoint that this delivery goes to."""
    return int.from_bytes(delivery, "big") & NUMBER_MAX


def last_delivery_id_of(event_id: EventId) -> DeliveryId:
    """Return the greatest id a delivery of this event can have, for range scans."""
    return delivery_id(event_id, NUMBER_MAX)


def attempt_text(delivery: DeliveryId, fence: int, *, late: bool) -> str:
    """Return the printed id of an attempt: derived, so that it needs no column."""
    digest = hashlib.sha256(delivery + fence.to_bytes(4, "big") + bytes([late])).digest()
    return to_text(ATTEMPT, delivery[:6] + digest[:10])


def made_at(value: bytes) -> datetime:
    """Return when the id was made, to the millisecond."""
    # In two steps, because a float of the whole is not exact; half the cost of a timedelta.
    seconds, milliseconds = divmod(int.from_bytes(value[:6], "big"), 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=milliseconds * 1000)


def made_at_text(value: bytes) -> str:
    """Return when the id was made, in RFC 3339 with milliseconds and without the final Z."""
    return _moment_text(value[:6])


def age_s(value: bytes, now: datetime) -> float:
    """Return the seconds from when the id was made to *now*."""
    return now.timestamp() - int.from_bytes(value[:6], "big") / 1000


# Asked for twice at least, in the answer and in the body; under load many ids share it.
@lru_cache(maxsize=1_024)
def _moment_text(moment: bytes) -> str:
    milliseconds = int.from_bytes(moment, "big")
    at = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{at.isoformat().removesuffix('+00:00')}.{milliseconds % 1000:03d}"


def moved_behind(value: bytes, other: bytes) -> bytes:
    """Return *value* as if it had been made a millisecond after *other*."""
    moment = int.from_bytes(other[:6], "big") + 1
    return moment.to_bytes(6, "big") + value[6:]


def first_id_at(at: datetime) -> bytes:
    """Return the least id that can have been made at or after *at*; for range scans."""
    milliseconds = -((_EPOCH - at) // timedelta(milliseconds=1))
    return (max(milliseconds, 0) << _RANDOM_BITS).to_bytes(_ID_BYTES, "big")
