"""The audit log, read and checked."""

from dataclasses import dataclass
from typing import Final

from payhooks.control.context import Control
from payhooks.ids import MerchantId
from payhooks.model.audit import GENESIS, chain

_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What became of checking one chain."""

    merchant_id: MerchantId | None
    entries: int  # read, up to and with the first that does not hold
    broken_at: int | None  # its number; None: the chain holds


async def verify(control: Control, merchant_id: MerchantId | None) -> ChainReport:
    """Return whether every entry of the chain follows from the one before."""
    previous, number = GENESIS, 0
    while True:
        page = await control.store.audit(merchant_id, after=number, limit=_PAGE)
        for chained in page:
            number += 1
            expected = chain(previous, number, chained.entry)
            if chained.number != number or chained.hash != expected:
                return ChainReport(merchant_id=merchant_id, entries=number, broken_at=number)
            previous = chained.hash
        if len(page) < _PAGE:
            return ChainReport(merchant_id=merchant_id, entries=number, broken_at=None)


async def verify_all(control: Control) -> list[ChainReport]:
    """Return one report per chain there is."""
    return [await verify(control, whose) for whose in await control.store.audit_chains()]
