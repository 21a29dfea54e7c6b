"""The operator's own event types, and the book that has them beside those we ship."""

import re
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from payhooks import limits
from payhooks.catalogue import CATALOGUE, Catalogue, validation
from payhooks.catalogue.registry import PAYHOOKS
from payhooks.control.context import Caller, Control, audit_entry, differences
from payhooks.control.faults import Faults
from payhooks.errors import NotFoundError, StaleVersionError, WrongStateError
from payhooks.model.event_type import EventType, Provenance
from payhooks.policy.match import is_valid_event_type
from payhooks.ports.controlling import Change

WORDS_CHARS_MAX: Final = 500
# Another process may register a type; what it means to be late is one unneeded finding.
_FRESH_S: Final = 5.0
_FAMILY: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class TypeDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller wants a type to be."""

    words: str | UnsetType = UNSET
    schema: bytes | UnsetType | None = UNSET
    example: bytes | UnsetType | None = UNSET


class TypeBook:
    """The whole catalogue, read again when it is older than a few seconds. One per process."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._book = CATALOGUE
        self._read_at_s: float | None = None

    async def current(self) -> Catalogue:
        """Return every type there is."""
        book = self.known()
        if book is None:
            # Before the read, so that whoever comes meanwhile uses the old one and does not
            # ask too.
            self._read_at_s = self._control.clock.monotonic_s()
            book = CATALOGUE.with_own(await self._control.store.event_types())
            self._book = book
        return book

    def known(self) -> Catalogue | None:
        """Return every type there is, if none need be read for it."""
        if self._read_at_s is None:
            return None
        age_s = self._control.clock.monotonic_s() - self._read_at_s
        return self._book if age_s <= _FRESH_S else None

    def forget(self) -> None:
        """Read again at the next look: something was changed here."""
        self._read_at_s = None


def select(book: Catalogue, *, family: str | None, text: str | None) -> list[EventType]:
    """Return the types of *family* that have *text* in a name, in their title or in their words."""
    wanted = (text or "").casefold()
    return [
        type_
        for type_ in book.types
        if family in {None, type_.family}
        and any(
            wanted in said.casefold()
            for said in (type_.name, *type_.aliases, type_.title, type_.words, type_.note)
        )
    ]


async def create(
    control: Control, caller: Caller, family: str, name: str, draft: TypeDraft
) -> EventType:
    """Return a new type of the operator's.

    Raises:
        InvalidError: Names every member that is wrong.
        WrongStateError: There is such a type already.

    """
    faults = Faults()
    if not _FAMILY.fullmatch(family) or family == PAYHOOKS:
        faults.add("/family", "invalid", "This cannot name a family of your own.")
    if not is_valid_event_type(name):
        faults.add("/name", "invalid_event_type", "Join words with dots: payment.paid.")
    type_ = EventType(
        family=family,
        name=name,
        words="",
        provenance=Provenance.OPERATOR,
        created_at=control.clock.now(),
    )
    type_ = msgspec.structs.replace(type_, **_given(draft))
    _check(type_, draft, faults)
    faults.check()
    if CATALOGUE.find(family, name) is not None:
        raise WrongStateError("There is such an event type already.")
    known = CATALOGUE.meant_by(family, name)
    if known is not None:
        raise WrongStateError(f"This is another name of {known.name} already.")
    known = CATALOGUE.meant(name, ())
    if known is not None and CATALOGUE.family_of(name, ()) in {None, PAYHOOKS}:
        # Merchants that named no families would hear of it instead of that type.
        detail = f"This is another name of {known.name} of {known.family} already."
        raise WrongStateError(detail)
    await _apply(control, caller, None, type_)
    return type_


async def edit(  # noqa: PLR0913 - every part is named at the call site
    control: Control,
    caller: Caller,
    family: str,
    name: str,
    draft: TypeDraft,
    *,
    if_version: int | None,
) -> EventType:
    """Return the operator's type as it is after the edit; one that changes nothing is none.

    Raises:
        InvalidError: Names every member that is wrong; a kept example that the new schema
            refuses is one.
        NotFoundError: There is no such type of the operator's.
        StaleVersionError: It was edited since *if_version*.

    """
    for type_ in await control.store.event_types():
        if (type_.family, type_.name) == (family, name):
            break
    else:
        raise NotFoundError("There is no such event type of yours.")
    if if_version is not None and if_version != type_.version:
        raise StaleVersionError("The event type was edited since you read it.")
    edited = msgspec.structs.replace(type_, **_given(draft))
    if edited == type_:
        return type_
    edited = msgspec.structs.replace(edited, version=type_.version + 1)
    faults = Faults()
    _check(edited, draft, faults)
    faults.check()
    await _apply(control, caller, type_, edited)
    return edited


def _given(draft: TypeDraft) -> dict[str, object]:
    return {k: v for k, v in msgspec.structs.asdict(draft).items() if v is not UNSET}


def _check(type_: EventType, draft: TypeDraft, faults: Faults) -> None:
    if draft.words is not UNSET:
        faults.text("/words", draft.words, chars_max=WORDS_CHARS_MAX)
    if draft.schema is UNSET and draft.example is UNSET:
        return
    good = [
        _is_object("schema", type_.schema, limits.SCHEMA_BYTES_MAX, faults),
        _is_object("example", type_.example, limits.EXAMPLE_BYTES_MAX, faults),
    ]
    if type_.schema is None or not all(good):
        return
    fault = validation.fault_of_schema(type_.schema)
    if fault is not None:
        faults.add(fault.pointer, fault.code, fault.detail)
    elif type_.example is not None:
        for each in validation.faults(type_, type_.example, at_most=limits.EVENT_FINDINGS_MAX):
            faults.add(each.pointer.replace("/data", "/example", 1), each.code, each.detail)


def _is_object(member: str, value: bytes | None, bytes_max: int, faults: Faults) -> bool:
    if value is None:
        return True
    if not value.startswith(b"{"):
        faults.add(f"/{member}", "wrong_type", "This must be an object.")
    elif len(value) > bytes_max:
        faults.add(f"/{member}", "too_long", f"At most {bytes_max} bytes are allowed.")
    else:
        return True
    return False


async def _apply(
    control: Control, caller: Caller, before: EventType | None, after: EventType
) -> None:
    verb = "created" if before is None else "updated"
    changes = differences(
        None if before is None else {"words": before.words, "version": before.version},
        {"words": after.words, "version": after.version},
    )
    entry = audit_entry(
        control,
        caller,
        merchant_id=None,
        action=f"event_type.{verb}",
        target=f"{after.family}/{after.name}",
        changes=changes,
    )
    await control.store.apply(Change(audit=entry, event_type=after))
