"""From the bytes of one event to a Publication, or to every fault that they have."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from payhooks import limits
from payhooks.api import asgi
from payhooks.api.faults import of_event
from payhooks.catalogue import Catalogue
from payhooks.catalogue.registry import PAYHOOKS, TEST_TYPE
from payhooks.errors import Fault, InvalidError, TooLargeError
from payhooks.flow.examine import examined
from payhooks.flow.publication import Publication
from payhooks.flow.routing import RoutingTable
from payhooks.model.event import Finding
from payhooks.model.event_type import EventType
from payhooks.model.merchant import Merchant, TypeCheck
from payhooks.policy.match import is_valid_event_type

CUSTOM_FAMILY: Final = "custom"  # of a type that nobody has described
_KEY_HEADER: Final = "Idempotency-Key"
_FAMILY_CHARS_MAX: Final = 40
_OBJECT_TYPE_CHARS_MAX: Final = 64
_ABSENT: Final = msgspec.Raw()  # an empty Raw is not JSON, so nobody can send it


class _ObjectBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=_OBJECT_TYPE_CHARS_MAX)]
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=limits.OBJECT_ID_CHARS_MAX)]


class _EventBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    data: msgspec.Raw
    family: Annotated[str, msgspec.Meta(max_length=_FAMILY_CHARS_MAX)] | None = None
    object: _ObjectBody | None = None
    occurred_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    ordering_key: (
        Annotated[str, msgspec.Meta(min_length=1, max_length=limits.OBJECT_ID_CHARS_MAX)] | None
    ) = None
    metadata: msgspec.Raw = _ABSENT


class _KeyedEventBody(_EventBody, frozen=True, forbid_unknown_fields=True):
    idempotency_key: str | None = None


class BatchBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A batch, its items not looked at yet: a bad one must not refuse the others."""

    events: list[msgspec.Raw]


_decode_event: Final = msgspec.json.Decoder(_EventBody).decode
_decode_keyed_event: Final = msgspec.json.Decoder(_KeyedEventBody).decode
_decode_batch: Final = msgspec.json.Decoder(BatchBody).decode


def decode_event(
    body: bytes,
    table: RoutingTable,
    book: Catalogue,
    idempotency_key: str | None,
    *,
    keyed: bool = False,
) -> Publication:
    """Return what the publisher says; *body* is known to be JSON with one meaning.

    Raises:
        InvalidError: Names what is wrong.

    """
    said: _EventBody
    try:
        if keyed:
            said = keyed_said = _decode_keyed_event(body)
            if keyed_said.idempotency_key is not None:
                idempotency_key = _checked_key(keyed_said.idempotency_key, "/idempotency_key")
        else:
            said = _decode_event(body)
    except msgspec.ValidationError as error:
        raise of_event(error) from None
    faults = list(_faults(said))
    if faults:
        raise InvalidError(faults)
    family, type_, findings = _meant(said, table.merchant, book)
    metadata = bytes(said.metadata)
    publication = Publication(
        type=said.type if type_ is None else type_.name,
        family=family,
        data=bytes(said.data),
        object_type=None if said.object is None else said.object.type,
        object_id=None if said.object is None else said.object.id,
        occurred_at=None if said.occurred_at is None else said.occurred_at.astimezone(UTC),
        ordering_key=said.ordering_key,
        metadata=None if metadata in {b"", b"null"} else metadata,
        idempotency_key=idempotency_key,
        findings=findings,
    )
    return examined(publication, type_, table)


def decode_batch(body: bytes) -> BatchBody:
    """Return the batch.

    Raises:
        InvalidError: It is not one, or empty.
        TooLargeError: It has too many events.

    """
    try:
        batch = _decode_batch(body)
    except msgspec.ValidationError as error:
        raise of_event(error) from None
    if not batch.events:
        raise InvalidError.at("/events", "too_few", "Send at least one event.")
    if len(batch.events) > limits.BATCH_EVENTS_MAX:
        raise TooLargeError(f"A batch has at most {limits.BATCH_EVENTS_MAX} events.")
    return batch


def read_idempotency_key(scope: asgi.Scope) -> str | None:
    """Return the key of the request's header, with or without the quotes of the IETF draft.

    Raises:
        InvalidError: It is empty, too long, not printable ASCII, or sent twice.

    """
    raws = [value for name, value in scope["headers"] if name == b"idempotency-key"]
    if not raws:
        return None
    if len(raws) > 1:
        raise _bad_key(_KEY_HEADER)
    return idempotency_key_of(raws[0])


def idempotency_key_of(raw: bytes) -> str:
    """Return the key that the header's value is.

    Raises:
        InvalidError: It is empty, too long, or not printable ASCII.

    """
    text = raw.decode("latin-1")
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        text = text[1:-1]
    return _checked_key(text, _KEY_HEADER)


def _checked_key(text: str, pointer: str) -> str:
    if not 0 < len(text) <= limits.IDEMPOTENCY_KEY_CHARS_MAX or not (
        text.isascii() and text.isprintable()
    ):
        raise _bad_key(pointer)
    return text


def _bad_key(pointer: str) -> InvalidError:
    detail = f"A key has 1 to {limits.IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters."
    return InvalidError.at(pointer, "invalid_idempotency_key", detail)


def _faults(said: _EventBody) -> Sequence[Fault]:
    found: list[Fault] = []
    if not is_valid_event_type(said.type):
        detail = "Join words of letters, digits, _ and - with dots: payment.paid."
        found.append(Fault(pointer="/type", code="invalid_event_type", detail=detail))
    if not bytes(said.data).startswith(b"{"):
        found.append(Fault(pointer="/data", code="wrong_type", detail="This must be an object."))
    metadata = bytes(said.metadata)
    if metadata not in {b"", b"null"} and not metadata.startswith(b"{"):
        detail = "This must be an object."
        found.append(Fault(pointer="/metadata", code="wrong_type", detail=detail))
    elif len(metadata) > limits.METADATA_BYTES_MAX:
        detail = f"At most {limits.METADATA_BYTES_MAX} bytes are allowed."
        found.append(Fault(pointer="/metadata", code="too_long", detail=detail))
    if said.occurred_at is not None and said.occurred_at.year not in limits.OCCURRED_AT_YEARS:
        years = limits.OCCURRED_AT_YEARS
        detail = f"This is between the years {years.start} and {years.stop - 1}."
        found.append(Fault(pointer="/occurred_at", code="out_of_range", detail=detail))
    return found


def _meant(
    said: _EventBody, merchant: Merchant, book: Catalogue
) -> tuple[str, EventType | None, tuple[Finding, ...]]:
    """Return whose word the type is, the type if it is known, and what there is to say of it."""
    if said.family == PAYHOOKS or said.type == TEST_TYPE:
        detail = "Events of this family are ours to publish."
        raise InvalidError.at("/family", "not_allowed", detail)
    families = merchant.families if said.family is None else (said.family,)
    family = book.family_of(said.type, families)
    if family is not None and family != PAYHOOKS:
        return family, book.find(family, said.type), ()
    type_ = book.meant(said.type, families)
    if type_ is not None and type_.family != PAYHOOKS:
        return type_.family, type_, _other_name(said.type, type_, merchant)
    family = families[0] if families else CUSTOM_FAMILY
    return family, None, _not_known(said, merchant, book)


def _other_name(name: str, type_: EventType, merchant: Merchant) -> tuple[Finding, ...]:
    if merchant.type_check is TypeCheck.OFF:
        return ()
    return (Finding(pointer="/type", code="alias", detail=f"{name} is taken as {type_.name}."),)


def _not_known(said: _EventBody, merchant: Merchant, book: Catalogue) -> tuple[Finding, ...]:
    if merchant.type_check is TypeCheck.OFF:
        return ()
    have = book.families_with(said.type)
    if have:
        # The word is right; to propose it again would send its publisher in a circle.
        whose = "None of the merchant's families" if said.family is None else "This family"
        verb = "has" if said.family is None else "does not have"
        detail = f"{whose} {verb} this event type; these have it: {', '.join(have)}."
        finding = Finding(pointer="/family", code="unknown_event_type", detail=detail)
    else:
        detail = f"No such event type is known.{_proposed(said, merchant, book)}"
        finding = Finding(pointer="/type", code="unknown_event_type", detail=detail)
    if merchant.type_check is TypeCheck.STRICT:
        raise InvalidError.at(finding.pointer, finding.code, finding.detail)
    return (finding,)


def _proposed(said: _EventBody, merchant: Merchant, book: Catalogue) -> str:
    nearest = book.nearest(said.type)
    have = () if nearest is None else book.families_with(nearest)
    if not have:
        return ""  # or it is one that only we publish
    families = merchant.families if said.family is None else (said.family,)
    elsewhere = families and not set(families) & set(have)
    of = f" of family {' or '.join(have)}" if elsewhere else ""
    return f" Did you mean {nearest}{of}?"
