"""Checking the chains of the audit log, as plain values."""

import json
from typing import Any, Final

from payhooks import ids
from payhooks.cli import local
from payhooks.cli.inputs import read_bytes
from payhooks.control import audit, merchants
from payhooks.control.audit import ChainReport
from payhooks.errors import InvalidError
from payhooks.ids import MerchantId
from payhooks.model.audit import Mark

_INSTALLATION: Final = "installation"
_OPTION: Final = "--against"


async def verify(merchant: str | None, against: str | None) -> list[dict[str, Any]]:
    """Return what became of each chain: the named merchant's, or all.

    *against* is a file with what this returned earlier.
    """
    marks = {} if against is None else _marks(read_bytes(against, option=_OPTION))
    async with local.control() as control:
        if merchant is None:
            reports = await audit.verify_all(control, marks)
        else:
            found = await merchants.find(control, local.CALLER, merchant)
            reports = [await audit.verify(control, found.id, mark=marks.get(found.id))]
    return [_row(report) for report in reports]


def _row(report: ChainReport) -> dict[str, Any]:
    whose = report.merchant_id
    return {
        "chain": _INSTALLATION if whose is None else ids.to_text(ids.MERCHANT, whose),
        "entries": report.entries,
        "broken_at": report.broken_at,
        "head": report.head.hex(),
    }


def _marks(content: bytes) -> dict[MerchantId | None, Mark]:
    try:
        return dict(_mark(row) for row in json.loads(content))
    except (ValueError, TypeError, KeyError):
        detail = "This is not what `audit-log verify --json` printed."
        raise InvalidError.at(_OPTION, "malformed", detail) from None


def _mark(row: dict[str, Any]) -> tuple[MerchantId | None, Mark]:
    mark = Mark(number=int(row["entries"]), hash=bytes.fromhex(row["head"]))
    if row["chain"] == _INSTALLATION:
        return None, mark
    raw = ids.from_text(ids.MERCHANT, row["chain"])
    if raw is None or row["broken_at"] is not None:
        raise ValueError("no chain that held")
    return MerchantId(raw), mark
