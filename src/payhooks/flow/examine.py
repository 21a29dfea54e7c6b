"""What there is to say of an event before it is accepted: card data, its schema, its dialects.

A merchant that checks strictly has it refused; else it is accepted, and the findings stay with it.
"""

from collections.abc import Mapping

import msgspec

from payhooks import limits
from payhooks.catalogue import validation
from payhooks.errors import Fault, InvalidError
from payhooks.flow import card_guard
from payhooks.flow.publication import Publication
from payhooks.flow.routing import RoutingTable
from payhooks.model.event import Finding
from payhooks.model.event_type import EventType
from payhooks.model.merchant import Merchant, TypeCheck
from payhooks.policy.card_numbers import masked_text


def examined(said: Publication, type_: EventType | None, table: RoutingTable) -> Publication:
    """Return the publication with what was found of it, as it may be stored.

    Raises:
        InvalidError: Something was, and the merchant checks strictly or takes no card data.

    """
    guarded = card_guard.guarded(said, type_, table.merchant)
    # Held to its schema is what came: to be masked is not the publisher's fault.
    amiss = () if type_ is None else _not_satisfied(type_, said.data, table.merchant)
    refusals = table.refusals(guarded)
    if guarded is said and not refusals and not amiss:
        return said
    findings = (*guarded.findings, *_not_carried(refusals, table.merchant), *amiss)
    return msgspec.structs.replace(guarded, findings=findings[: limits.EVENT_FINDINGS_MAX])


def _not_satisfied(type_: EventType, data: bytes, merchant: Merchant) -> tuple[Finding, ...]:
    """Return what is not as the type's schema says."""
    if merchant.type_check is TypeCheck.OFF:
        return ()
    # A name of a member may be a card number.
    found = tuple(
        msgspec.structs.replace(each, pointer=masked_text(each.pointer))
        for each in validation.faults(type_, data, at_most=limits.EVENT_FINDINGS_MAX)
    )
    if found and merchant.type_check is TypeCheck.STRICT:
        raise InvalidError(
            [Fault(pointer=each.pointer, code=each.code, detail=each.detail) for each in found]
        )
    return found


def _not_carried(refusals: Mapping[str, str], merchant: Merchant) -> list[Finding]:
    """Return what to say of dialects that cannot carry the event; its deliveries will fail."""
    said = [_cut(f"{name} cannot carry this event: {why}") for name, why in refusals.items()]
    if said and merchant.type_check is TypeCheck.STRICT:
        faults = [Fault(pointer="/data", code="not_carried", detail=detail) for detail in said]
        raise InvalidError(faults)
    return [Finding(pointer="/data", code="not_carried", detail=detail) for detail in said]


def _cut(detail: str) -> str:
    # A dialect may quote the payload, which is longer than anybody wants to read or keep.
    detail = masked_text(detail)
    chars_max = limits.FINDING_CHARS_MAX
    return detail if len(detail) <= chars_max else f"{detail[: chars_max - 1]}…"
