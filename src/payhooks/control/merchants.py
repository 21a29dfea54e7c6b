"""Merchants: making, finding and editing tenants."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from payhooks import ids, limits
from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.registry import PAYHOOKS
from payhooks.control import announcements, custom_dialects, secrets
from payhooks.control.context import Caller, Control, audit_entry, differences
from payhooks.control.custom_dialects import CustomDialectDraft
from payhooks.control.faults import Faults
from payhooks.errors import NotFoundError, StaleVersionError, WrongStateError
from payhooks.ids import MerchantId
from payhooks.model.merchant import CardNumbers, Merchant, Mode, TypeCheck
from payhooks.model.secret import SealedSecret, SecretPurpose
from payhooks.ports.controlling import Change

_REFERENCE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FAMILY: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_PROVIDER_ID_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_FAMILIES_MAX: Final = 20
_PROVIDER_IDS_MAX: Final = 20
_PROVIDER_ID_CHARS_MAX: Final = 128


class MerchantDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller wants a merchant to be; what is unset keeps its value, or its default."""

    name: str | UnsetType = UNSET
    reference: str | UnsetType | None = UNSET
    families: tuple[str, ...] | UnsetType = UNSET
    provider_ids: tuple[tuple[str, str], ...] | UnsetType = UNSET
    card_numbers: CardNumbers | UnsetType = UNSET
    type_check: TypeCheck | UnsetType = UNSET
    custom_dialect: CustomDialectDraft | UnsetType | None = UNSET  # whole; None removes it
    sandbox_auto_capture: bool | UnsetType = UNSET


async def create(control: Control, caller: Caller, mode: Mode, draft: MerchantDraft) -> Merchant:
    """Return a new merchant.

    Raises:
        InvalidError: Names every member that is wrong.
        WrongStateError: The reference is taken.

    """
    await _check(control, draft)
    now = control.clock.now()
    merchant = Merchant(
        id=MerchantId(control.ids.new()),
        name="",
        mode=mode,
        reference=None,
        families=(),
        provider_ids=(),
        card_numbers=CardNumbers.REPORT,
        type_check=TypeCheck.WARN,
        account_id=None,
        version=1,
        created_at=now,
        updated_at=now,
        families_since=now,
    )
    merchant = msgspec.structs.replace(merchant, **_given(draft, merchant))
    # From the first moment, so that an endpoint that chooses it never goes out unsigned.
    signature_key = secrets.seal(
        control,
        secrets.new_text(control, "standard"),
        merchant_id=merchant.id,
        owner_id=merchant.id,
        purpose=SecretPurpose.SIGNATURE_KEY,
    )
    await _apply(control, caller, None, merchant, signature_key)
    return merchant


async def edit(
    control: Control,
    caller: Caller,
    merchant: Merchant,
    draft: MerchantDraft,
    *,
    if_version: int | None,
) -> Merchant:
    """Return the merchant as it is after the edit; one that changes nothing is none.

    Raises:
        InvalidError: Names every member that is wrong.
        StaleVersionError: It was edited meanwhile; read it again.
        WrongStateError: It has another reference already, the reference is taken, or an endpoint
            speaks the custom dialect that the edit would remove.

    """
    await _check(control, draft, has=merchant.families)
    if draft.reference is not UNSET and merchant.reference not in {None, draft.reference}:
        # URLs with the old one are out in the world, and processes remember whose it is.
        raise WrongStateError("A reference is given once and stays.")
    if if_version is not None and if_version != merchant.version:
        raise StaleVersionError("The merchant was edited since you read it.")
    if draft.custom_dialect is None:
        await custom_dialects.demand_unused(control, merchant)
    edited = msgspec.structs.replace(
        merchant, version=merchant.version + 1, updated_at=control.clock.now()
    )
    given = _given(draft, edited)
    if msgspec.structs.replace(merchant, **given) == merchant:
        return merchant
    edited = msgspec.structs.replace(edited, **given)
    if edited.families != merchant.families:
        edited = msgspec.structs.replace(edited, families_since=edited.updated_at)
    if edited.custom_dialect not in {None, merchant.custom_dialect}:
        await custom_dialects.demand_distinct(control, edited)
    await _apply(control, caller, merchant, edited)
    return edited


async def find(control: Control, caller: Caller, text: str) -> Merchant:
    """Return the merchant with this id or reference, if the caller may act for it.

    Raises:
        NotFoundError: There is none, or it is another's: the two look alike.

    """
    merchant_id = ids.from_text(ids.MERCHANT, text)
    key: MerchantId | str = text if merchant_id is None else MerchantId(merchant_id)
    if merchant_id is None and _REFERENCE.fullmatch(text) is None:
        raise NotFoundError("There is no such merchant.")
    merchant = await control.store.merchant(key)
    if merchant is None:
        raise NotFoundError("There is no such merchant.")
    caller.demand_merchant(merchant.id)
    return merchant


def facts(merchant: Merchant) -> dict[str, object]:
    """Return what the audit log keeps of a merchant."""
    return {
        "name": merchant.name,
        "mode": merchant.mode,
        "reference": merchant.reference,
        "families": merchant.families,
        "provider_ids": dict(merchant.provider_ids),
        "card_numbers": merchant.card_numbers,
        "type_check": merchant.type_check,
        "custom_dialect": msgspec.to_builtins(merchant.custom_dialect),
        "sandbox_auto_capture": merchant.sandbox_auto_capture,
    }


def _given(draft: MerchantDraft, merchant: Merchant) -> dict[str, object]:
    given = {
        name: value for name, value in msgspec.structs.asdict(draft).items() if value is not UNSET
    }
    if draft.custom_dialect is not UNSET and draft.custom_dialect is not None:
        given["custom_dialect"] = custom_dialects.defined(draft.custom_dialect, merchant)
    return given


async def _check(control: Control, draft: MerchantDraft, *, has: Sequence[str] = ()) -> None:
    faults = Faults()
    if draft.name is not UNSET:
        faults.text("/name", draft.name, chars_max=limits.LABEL_CHARS_MAX)
    if isinstance(draft.reference, str):
        _check_reference(draft.reference, faults)
    if draft.families is not UNSET:
        if len(draft.families) > _FAMILIES_MAX:
            faults.add("/families", "too_many", f"At most {_FAMILIES_MAX} families are allowed.")
        await _check_families(control, draft.families[:_FAMILIES_MAX], has, faults)
    if draft.provider_ids is not UNSET:
        _check_provider_ids(draft.provider_ids, faults)
    if draft.custom_dialect is not UNSET and draft.custom_dialect is not None:
        custom_dialects.check(draft.custom_dialect, faults)
    faults.check()


async def _check_families(
    control: Control, families: Sequence[str], has: Sequence[str], faults: Faults
) -> None:
    known = {*CATALOGUE.families, *has}
    if not known.issuperset(families):
        known |= {type_.family for type_ in await control.store.event_types()}
    for place, family in enumerate(families):
        pointer = f"/families/{place}"
        if not _FAMILY.fullmatch(family):
            faults.add(pointer, "invalid", "This cannot name a family.")
        elif family in families[:place]:
            faults.add(pointer, "duplicate", "This family is given twice.")
        elif family == PAYHOOKS and family not in has:
            # Types that nobody has described are taken for the first family's.
            faults.add(pointer, "not_allowed", "Events of this family are ours to publish.")
        elif family not in known:
            faults.add(pointer, "unknown_family", _unknown_family(family, sorted(known)))


def _unknown_family(family: str, known: Sequence[str]) -> str:
    near = get_close_matches(family, known, n=1)
    if near and near[0] != PAYHOOKS:
        return f"No such family is known. Did you mean {near[0]}?"
    return "No such family is known. One of your own is known by its first event type."


def _check_reference(reference: str, faults: Faults) -> None:
    if not _REFERENCE.fullmatch(reference):
        faults.add("/reference", "invalid", "Use 1 to 64 letters, digits, _ or -.")
    elif ids.from_text(ids.MERCHANT, reference) is not None:
        # It would read as an id wherever {m} stands.
        faults.add("/reference", "invalid", "A reference must not look like one of our ids.")


def _check_provider_ids(provider_ids: tuple[tuple[str, str], ...], faults: Faults) -> None:
    if len(provider_ids) > _PROVIDER_IDS_MAX:
        faults.add("/provider_ids", "too_many", f"At most {_PROVIDER_IDS_MAX} are allowed.")
    for name, value in provider_ids[:_PROVIDER_IDS_MAX]:
        if not _PROVIDER_ID_NAME.fullmatch(name):
            faults.add("/provider_ids", "invalid", "A name has lower-case letters, digits and _.")
        else:
            faults.text(f"/provider_ids/{name}", value, chars_max=_PROVIDER_ID_CHARS_MAX)


async def _apply(
    control: Control,
    caller: Caller,
    before: Merchant | None,
    after: Merchant,
    *new_secrets: SealedSecret,
) -> None:
    verb = "created" if before is None else "updated"
    entry = audit_entry(
        control,
        caller,
        merchant_id=after.id,
        action=f"merchant.{verb}",
        target=ids.to_text(ids.MERCHANT, after.id),
        changes=differences(None if before is None else facts(before), facts(after)),
    )
    announced = () if before is None else (announcements.of_merchant(control, after),)
    await control.store.apply(
        Change(audit=entry, merchant=after, secrets=new_secrets, announcements=announced)
    )
