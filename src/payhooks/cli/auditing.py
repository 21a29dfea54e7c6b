"""Checking the chains of the audit log, as plain values."""

from typing import Any

from payhooks import ids
from payhooks.cli import local
from payhooks.control import audit, merchants


async def verify(merchant: str | None) -> list[dict[str, Any]]:
    """Return what became of each chain: the named merchant's, or all."""
    async with local.control() as control:
        if merchant is None:
            reports = await audit.verify_all(control)
        else:
            found = await merchants.find(control, local.CALLER, merchant)
            reports = [await audit.verify(control, found.id)]
    return [
        {
            "chain": "installation"
            if report.merchant_id is None
            else ids.to_text(ids.MERCHANT, report.merchant_id),
            "entries": report.entries,
            "broken_at": report.broken_at,
        }
        for report in reports
    ]
