"""What is done about card data in an event before it is stored, as its merchant has chosen.

Nothing that is said of it has a number in it: findings, faults, alarms and logs name places.
"""

from collections.abc import Iterable, Iterator
from typing import Final, assert_never

import msgspec

from payhooks import limits
from payhooks.clock import Clock
from payhooks.errors import Fault, InvalidError
from payhooks.flow.publication import Publication
from payhooks.ids import EVENT, MERCHANT, to_text
from payhooks.model.event import Event, Finding
from payhooks.model.event_type import EventType
from payhooks.model.merchant import CardNumbers, Merchant
from payhooks.policy import card_numbers
from payhooks.policy.card_numbers import Kind, Place
from payhooks.ports.telemetry import Telemetry

_WORDS: Final = {
    Kind.CARD_NUMBER: "a card number",
    Kind.SECURITY_CODE: "a card's security code",
    Kind.TRACK_DATA: "what a card's magnetic stripe says",
    Kind.PIN_BLOCK: "a PIN block",
}
REPORTED: Final = frozenset(kind.value for kind in Kind)
CARD_DATA: Final = REPORTED.union(f"{kind.value}_masked" for kind in Kind)
_AT_MOST: Final = limits.EVENT_FINDINGS_MAX
ALARM_EVERY_S: Final = 60.0


class CardAlarm:
    """Counts what was found in stored events, and wakes an operator now and then."""

    def __init__(self, *, clock: Clock, telemetry: Telemetry) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._again_at_s = 0.0

    def found(self, event: Event, findings: Iterable[Finding]) -> None:
        """Take note of what was stored with an event."""
        codes = [found.code for found in findings if found.code in CARD_DATA]
        for code in codes:
            self._telemetry.card_data_found(code)
        now_s = self._clock.monotonic_s()
        if not REPORTED.isdisjoint(codes) and now_s >= self._again_at_s:
            # Whoever publishes one publishes many. Each event has its findings; this wakes.
            self._again_at_s = now_s + ALARM_EVERY_S
            event_id = to_text(EVENT, event.id)
            merchant_id = to_text(MERCHANT, event.merchant_id)
            self._telemetry.alarmed("card_data", f"{event_id} of {merchant_id} has it")


def guarded(said: Publication, type_: EventType | None, merchant: Merchant) -> Publication:
    """Return the publication as it may be stored, with what was found.

    Raises:
        InvalidError: There is card data where none can be masked, or the merchant takes none.

    """
    if type_ is None:
        _demand_words(said)
    match merchant.card_numbers:
        case CardNumbers.REPORT:
            places = [*_found(said), *_in_ids(said)]
            findings = [_finding(place) for place in places]
            return _with(said, findings) if findings else said
        case CardNumbers.MASK:
            return _masked(said)
        case CardNumbers.REJECT:
            places = [*_found(said), *_in_ids(said)]
            if places:
                raise InvalidError([_fault(place) for place in places[:_AT_MOST]])
            return said
        case _:
            assert_never(merchant.card_numbers)


def _demand_words(said: Publication) -> None:
    # Whatever the merchant has chosen: a type is logged, counted and shown with every delivery.
    for pointer, word in (("/type", said.type), ("/family", said.family)):
        if card_numbers.is_in(word):
            raise InvalidError([_fault(Place(pointer=pointer, kind=Kind.CARD_NUMBER))])


def _found(said: Publication) -> Iterator[Place]:
    yield from card_numbers.found(said.data, "/data", at_most=_AT_MOST)
    if said.metadata is not None:
        yield from card_numbers.found(said.metadata, "/metadata", at_most=_AT_MOST)


def _in_ids(said: Publication) -> Iterator[Place]:
    for pointer, word in (
        ("/object/type", said.object_type),
        ("/object/id", said.object_id),
        ("/ordering_key", said.ordering_key),
    ):
        if word is not None and card_numbers.is_in(word):
            yield Place(pointer=pointer, kind=Kind.CARD_NUMBER)


def _masked(said: Publication) -> Publication:
    # Masked, the ids of two objects could be one, and the events of both would be one object's.
    faults = [_fault(place) for place in _in_ids(said)]
    data = card_numbers.masked(said.data, "/data", at_most=_AT_MOST)
    places, metadata = data.places, said.metadata
    if data.is_ambiguous:
        faults.append(_fault(Place(pointer="/data", kind=Kind.CARD_NUMBER)))
    if metadata is not None:
        more = card_numbers.masked(metadata, "/metadata", at_most=_AT_MOST)
        places, metadata = [*places, *more.places], more.raw
        if more.is_ambiguous:
            faults.append(_fault(Place(pointer="/metadata", kind=Kind.CARD_NUMBER)))
    if faults:
        raise InvalidError(faults)
    if not places:
        return said
    findings = [_finding_of_masked(place) for place in places]
    return msgspec.structs.replace(_with(said, findings), data=data.raw, metadata=metadata)


def _with(said: Publication, findings: list[Finding]) -> Publication:
    return msgspec.structs.replace(said, findings=(*said.findings, *findings))


def _finding(place: Place) -> Finding:
    detail = f"There is {_WORDS[place.kind]} here; it was stored and is delivered as it came."
    return Finding(pointer=place.pointer, code=place.kind.value, detail=detail)


def _finding_of_masked(place: Place) -> Finding:
    detail = f"There was {_WORDS[place.kind]} here; it was masked before it was stored."
    return Finding(pointer=place.pointer, code=f"{place.kind.value}_masked", detail=detail)


def _fault(place: Place) -> Fault:
    detail = f"There is {_WORDS[place.kind]} here; leave it out or mask it."
    return Fault(pointer=place.pointer, code=place.kind.value, detail=detail)
