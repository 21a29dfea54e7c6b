"""Reconciling merchant after merchant, and the report as plain values."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from payhooks import ids
from payhooks.cli import local
from payhooks.control import merchants, reconcile
from payhooks.control.context import Control
from payhooks.control.reconcile import DifferenceKind, Report
from payhooks.model.merchant import Merchant
from payhooks.ports.controlling import Window

_PAGE: Final = 100


async def run(
    merchant: str | None,
    since: datetime | None,
    until: datetime | None,
    *,
    repair: bool,
    progressed: Callable[[int], None],
) -> list[dict[str, Any]]:
    """Return one report per merchant: the named one, or all."""
    reports = []
    async with local.control() as control:
        done = 0
        for each in await _chosen(control, merchant):
            report = await reconcile.reconcile(
                control,
                local.CALLER,
                each,
                since=since,
                until=until,
                repair=repair,
                progressed=lambda events, before=done: progressed(before + events),  # type: ignore[misc]  # mypy cannot infer a default argument
            )
            done += report.events
            reports.append(_plain(each, report, repaired=repair))
    return reports


async def _chosen(control: Control, name: str | None) -> list[Merchant]:
    if name is not None:
        return [await merchants.find(control, local.CALLER, name)]
    found: list[Merchant] = []
    while True:
        after = found[-1].id if found else None
        page = await control.store.merchants(Window(limit=_PAGE, after=after))
        found += page
        if len(page) < _PAGE:
            return found


def _plain(merchant: Merchant, report: Report, *, repaired: bool) -> dict[str, Any]:
    # Only what is missing can be made; what is too much stays for a person to look at.
    missing = sum(each.kind is DifferenceKind.MISSING for each in report.differences)
    return {
        "merchant": ids.to_text(ids.MERCHANT, merchant.id),
        "events": report.events,
        "equal": report.is_equal,
        "mended": repaired and missing == report.differences_count == report.repaired,
        "repaired": report.repaired,
        "differences_count": report.differences_count,
        "differences": [
            {
                "kind": each.kind,
                "event": ids.to_text(ids.EVENT, each.event_id),
                "endpoint": None
                if each.endpoint_id is None
                else ids.to_text(ids.ENDPOINT, each.endpoint_id),
            }
            for each in report.differences
        ],
        "hours": [
            {
                "endpoint": ids.to_text(ids.ENDPOINT, endpoint_id),
                "hour": hour.isoformat(),
                "expected": counts.expected,
                "delivered": counts.delivered,
                "failed": counts.failed,
                "cancelled": counts.cancelled,
                "pending": counts.pending,
                "missing": counts.missing,
            }
            for (endpoint_id, hour), counts in sorted(report.hours.items())
        ],
    }
