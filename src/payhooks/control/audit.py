"""The audit log, read and checked.

The chain shows an entry that was changed, taken out or put in. That its end was cut off, or all
of it written anew by somebody who can compute hashes too, shows against a mark of where it was:
a report kept outside of the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from payhooks.control.context import Control
from payhooks.ids import MerchantId
from payhooks.model.audit import GENESIS, chain

_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where a chain was when somebody last looked."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What became of checking one chain."""

    merchant_id: MerchantId | None
    entries: int  # read, up to and with the first that does not hold
    broken_at: int | None  # its number; None: the chain holds
    head: bytes  # hash of the last entry that holds: with ``entries`` the next mark


async def verify(
    control: Control, merchant_id: MerchantId | None, *, mark: Mark | None = None
) -> ChainReport:
    """Return whether every entry follows from the one before, and the *mark* lies on the way."""
    previous, number = GENESIS, 0

    def report(broken_at: int | None) -> ChainReport:
        return ChainReport(
            merchant_id=merchant_id, entries=number, broken_at=broken_at, head=previous
        )

    while True:
        page = await control.store.audit(merchant_id, after=number, limit=_PAGE)
        for chained in page:
            number += 1
            expected = chain(previous, number, chained.entry)
            if chained.number != number or chained.hash != expected:
                return report(number)
            if mark is not None and number == mark.number and chained.hash != mark.hash:
                return report(number)
            previous = chained.hash
        if len(page) < _PAGE:
            # What the mark has seen and is there no more, was cut off.
            cut = mark is not None and number < mark.number
            return report(number + 1 if cut else None)


async def verify_all(
    control: Control, marks: Mapping[MerchantId | None, Mark] | None = None
) -> list[ChainReport]:
    """Return one report per chain there is, or was when its mark was made."""
    marks = marks or {}
    there = await control.store.audit_chains()
    gone = [whose for whose in marks if whose not in there]
    return [await verify(control, whose, mark=marks.get(whose)) for whose in (*there, *gone)]
