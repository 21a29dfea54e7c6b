"""What there is to say of an event before it is accepted: its schema, and the dialects it goes in.

A merchant that checks strictly has it refused; else it is accepted, and the findings stay with it.
"""

from collections.abc import Mapping

import msgspec

from payhooks import limits
from payhooks.catalogue import validation
from payhooks.errors import Fault, InvalidError
from payhooks.flow.publication import Publication
from payhooks.flow.routing import RoutingTable
from payhooks.model.event import Finding
from payhooks.model.event_type import EventType
from payhooks.model.merchant import Merchant, TypeCheck


def examined(said: Publication, type_: EventType | None, table: RoutingTable) -> Publication:
    """Return the publication with what was found of it.

    Raises:
        InvalidError: Something was, and the merchant checks strictly.

    """
    amiss = () if type_ is None else _not_satisfied(type_, said.data, table.merchant)
    refusals = table.refusals(said)
    if not refusals and not amiss:
        return said
    findings = (*said.findings, *_not_carried(refusals, table.merchant), *amiss)
    return msgspec.structs.replace(said, findings=findings[: limits.EVENT_FINDINGS_MAX])


def _not_satisfied(type_: EventType, data: bytes, merchant: Merchant) -> tuple[Finding, ...]:
    """Return what is not as the type's schema says."""
    if merchant.type_check is TypeCheck.OFF:
        return ()
    found = validation.faults(type_, data, at_most=limits.EVENT_FINDINGS_MAX)
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
    chars_max = limits.FINDING_CHARS_MAX
    return detail if len(detail) <= chars_max else f"{detail[: chars_max - 1]}…"
