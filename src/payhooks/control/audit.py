"""The audit log, read and checked.

The chain shows an entry that was changed, taken out or put in, and an end that was cut off without
the record of where the end is. That this was moved too, or all of it written anew by somebody who
can compute hashes, shows against a mark of where it was: a report kept outside of the database.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from payhooks.control.context import Control
from payhooks.ids import MerchantId
from payhooks.model.audit import BEGINNING, ChainedAuditEntry, Mark, chain

_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What became of checking one chain."""

    merchant_id: MerchantId | None
    entries: int  # that hold
    broken_at: int | None  # the number of the first that does not
    head: bytes  # hash of the last entry that holds: with ``entries`` the next mark
    left: int  # how many were not looked at yet


async def verify(
    control: Control,
    merchant_id: MerchantId | None,
    *,
    mark: Mark | None = None,
    since: Mark = BEGINNING,
    entries_max: int | None = None,
) -> ChainReport:
    """Return whether every entry follows from the one before, and the *mark* lies on the way.

    *since* is how far an earlier look came, and *entries_max* how many this one takes.
    """
    end = await control.store.audit_head(merchant_id)
    on_the_way = [one for one in (since, mark, end) if one is not None and one.number]
    at, broken_at = since, None
    if since.number and not await _is_there(control, merchant_id, since):
        # How much of it holds is for another look, from the beginning.
        at, broken_at = BEGINNING, min(since.number, end.number + 1)
    looked = 0
    more = broken_at is None
    while more and (entries_max is None or looked < entries_max):
        limit = _PAGE if entries_max is None else min(_PAGE, entries_max - looked)
        page = await control.store.audit(merchant_id, after=at.number, limit=limit)
        at, broken_at = _follow(at, page, on_the_way)
        looked += len(page)
        more = broken_at is None and len(page) == limit
    # A step may end where the chain does.
    more = more and at.number < end.number
    if broken_at is None and not more:
        broken_at = await _wrong_end(control, merchant_id, at, on_the_way)
    return ChainReport(
        merchant_id=merchant_id,
        entries=at.number,
        broken_at=broken_at,
        head=at.hash,
        left=max(end.number - at.number, 0) if more else 0,
    )


async def verify_all(
    control: Control, marks: Mapping[MerchantId | None, Mark] | None = None
) -> list[ChainReport]:
    """Return one report per chain there is, or was when its mark was made."""
    marks = marks or {}
    there = await control.store.audit_chains()
    gone = [whose for whose in marks if whose not in there]
    return [await verify(control, whose, mark=marks.get(whose)) for whose in (*there, *gone)]


def _follow(
    at: Mark, page: Iterable[ChainedAuditEntry], on_the_way: Sequence[Mark]
) -> tuple[Mark, int | None]:
    """Return the last entry that holds, and the number of the first that does not."""
    for chained in page:
        number = at.number + 1
        expected = chain(at.hash, number, chained.entry)
        if chained.number != number or chained.hash != expected:
            return at, number
        if any(one.number == number and one.hash != expected for one in on_the_way):
            return at, number
        at = Mark(number=number, hash=expected)
    return at, None


async def _is_there(control: Control, merchant_id: MerchantId | None, mark: Mark) -> bool:
    found = await control.store.audit(merchant_id, after=mark.number - 1, limit=1)
    return [(one.number, one.hash) for one in found] == [(mark.number, mark.hash)]


async def _wrong_end(
    control: Control, merchant_id: MerchantId | None, at: Mark, on_the_way: Iterable[Mark]
) -> int | None:
    """Return the number of the first entry that is missing behind the last, or is too many."""
    if any(at.number < one.number for one in on_the_way):
        # What was seen and is there no more, was cut off.
        return at.number + 1
    end = await control.store.audit_head(merchant_id)
    return end.number + 1 if end.number < at.number else None
