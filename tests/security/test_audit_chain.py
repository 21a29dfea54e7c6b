"""The past cannot be rewritten unseen: not an entry, not an end, not all of it."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw
import pytest
from tests.support.api_world import World
from tests.support.commands import run, run_json
from tests.support.stores import open_store

from payhooks import ids
from payhooks.control import audit
from payhooks.control.audit import ChainReport
from payhooks.control.keyring import new_key_text
from payhooks.ids import MerchantId
from payhooks.model.audit import GENESIS, AuditEntry, Mark, chain
from payhooks.storage import documents

ENTRIES: Final = 6  # one makes the merchant, five its endpoints


class _Hand:
    """Somebody with a way to the tables: SQL, and the code of the chain."""

    def __init__(self, file: Path, merchant_id: MerchantId) -> None:
        self._connection = apsw.Connection(str(file))
        self._whose = merchant_id

    def close(self) -> None:
        self._connection.close()

    def entry(self, number: int) -> AuditEntry:
        found = self._run("SELECT document FROM audit_log WHERE chain = ? AND number = ?", number)
        return documents.decode(AuditEntry, found[0][0])

    def change(self, number: int) -> None:
        text = documents.encode(self.entry(number)).replace(b'"operator"', b'"nobody"')
        sql = "UPDATE audit_log SET document = ? WHERE chain = ? AND number = ?"
        self._connection.execute(sql, (text, self._whose, number))

    def delete(self, number: int) -> None:
        self._run("DELETE FROM audit_log WHERE chain = ? AND number = ?", number)

    def insert(self, number: int) -> None:
        """Put a forged entry in before *number*, with the hash that it would have had."""
        for each in range(ENTRIES, number - 1, -1):
            self._run(
                "UPDATE audit_log SET number = number + 1 WHERE chain = ? AND number = ?", each
            )
        forged = self.entry(number + 1)
        self._put(number, forged, chain(self._hash(number - 1), number, forged))

    def swap(self, number: int) -> None:
        """Exchange an entry and the next one, each keeping the other's place and hash."""
        first, second = self.entry(number), self.entry(number + 1)
        for place, entry in ((number, second), (number + 1, first)):
            hash_ = self._hash(place)
            self.delete(place)
            self._put(place, entry, hash_)

    def tear(self, number: int) -> None:
        """Take this entry and all behind it away."""
        for each in range(number, ENTRIES + 1):
            self.delete(each)

    def cut(self, number: int) -> None:
        """Take this entry and all behind it away, and say so where the end is kept."""
        self.tear(number)
        self._end(number - 1)

    def append(self, number: int) -> None:
        """Let the end be kept as if this entry, which is there, were none yet."""
        self._end(number - 1)

    def rewrite(self, number: int) -> None:
        """Change an entry and make everything behind it follow from that."""
        self.change(number)
        for each in range(number, ENTRIES + 1):
            entry, hash_ = self.entry(each), self._hash(each - 1)
            self.delete(each)
            self._put(each, entry, chain(hash_, each, entry))
        self._end(ENTRIES)

    def _put(self, number: int, entry: AuditEntry, hash_: bytes) -> None:
        sql = "INSERT INTO audit_log (chain, number, hash, document) VALUES (?, ?, ?, ?)"
        self._connection.execute(sql, (self._whose, number, hash_, documents.encode(entry)))

    def _hash(self, number: int) -> bytes:
        found = self._run("SELECT hash FROM audit_log WHERE chain = ? AND number = ?", number)
        return bytes(found[0][0]) if found else GENESIS

    def _end(self, number: int) -> None:
        sql = "UPDATE audit_heads SET number = ?, hash = ? WHERE chain = ?"
        self._connection.execute(sql, (number, self._hash(number), self._whose))

    def _run(self, sql: str, number: int) -> list[tuple[bytes, ...]]:
        return list(self._connection.execute(sql, (self._whose, number)))


_ROWS = range(1, ENTRIES + 1)
# What is done to each row: what verify says alone, and what it says against a mark of before.
_DEEDS: list[tuple[str, Callable[[_Hand, int], None], range, Callable[[int], int | None]]] = [
    ("changed", _Hand.change, _ROWS, lambda number: number),
    ("deleted", _Hand.delete, range(1, ENTRIES), lambda number: number),
    # The forged one follows from what is before it; what was there does not follow from it.
    ("inserted", _Hand.insert, range(1, ENTRIES), lambda number: number + 1),
    ("torn off", _Hand.tear, _ROWS, lambda number: number),
    ("behind the end", _Hand.append, range(2, ENTRIES + 1), lambda number: number),
    ("swapped", _Hand.swap, range(1, ENTRIES), lambda number: number),
    ("cut", _Hand.cut, range(2, ENTRIES + 1), lambda _number: None),
    ("rewritten", _Hand.rewrite, _ROWS, lambda _number: None),
]
_CASES = [
    pytest.param(deed, number, says(number), id=f"{number} is {name}")
    for name, deed, rows, says in _DEEDS
    for number in rows
]


@pytest.mark.shows("S37")
@pytest.mark.parametrize(("deed", "number", "broken_at"), _CASES)
async def test_what_was_done_to_an_entry_is_named(
    deed: Callable[[_Hand, int], None], number: int, broken_at: int | None, tmp_path: Path
) -> None:
    """Whoever covers a trace leaves another: at the row, or against what was noted outside."""
    async with open_store("sqlite", tmp_path, None) as opened:
        world = World(opened)
        merchant = await world.merchant()
        for label in range(ENTRIES - 1):
            await world.endpoint(merchant, label=f"Hook {label}")
        raw = ids.from_text(ids.MERCHANT, merchant)
        assert raw is not None
        whose = MerchantId(raw)
        before = await audit.verify(world.control, whose)
        assert (before.entries, before.broken_at) == (ENTRIES, None)
        hand = _Hand(tmp_path / "payhooks.sqlite", whose)
        deed(hand, number)
        hand.close()
        alone = await audit.verify(world.control, whose)
        assert alone.broken_at == broken_at
        against = await audit.verify(world.control, whose, mark=_mark(before))
        if broken_at is not None:
            assert against.broken_at == broken_at
        else:
            # Cut: the first that is missing. Written anew: no later than where the mark is.
            assert against.broken_at == (number if deed is _Hand.cut else ENTRIES)


def _mark(report: ChainReport) -> Mark:
    return Mark(number=report.entries, hash=report.head)


@pytest.mark.shows("S37")
def test_a_chain_is_checked_against_what_was_printed_of_it(tmp_path: Path) -> None:
    """As an operator does it: print, keep elsewhere, compare later."""
    settings = {
        "PAYHOOKS_DATABASE_URL": f"sqlite:///{tmp_path / 'payhooks.db'}",
        "PAYHOOKS_SECRET_KEY": new_key_text(os.urandom),
    }
    run_json(tmp_path, "keys", "create", "first", "--operator", **settings)
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(run_json(tmp_path, "audit-log", "verify", **settings)))
    run_json(tmp_path, "keys", "create", "second", "--operator", **settings)
    against = ("audit-log", "verify", "--against", str(kept))
    [grown] = run_json(tmp_path, *against, **settings)
    assert (grown["entries"], grown["broken_at"]) == (2, None)
    connection = apsw.Connection(str(tmp_path / "payhooks.db"))
    for table in ("audit_log", "audit_heads"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - two names from above
    connection.close()
    emptied = run(tmp_path, *against, **settings)
    assert emptied.returncode == 6
    assert "installation  0 entries  BROKEN at entry 1" in emptied.stdout


@pytest.mark.shows("S37")
async def test_two_changes_at_once_are_two_links(api: World) -> None:
    """Nobody's entry may take the place of another's, on whichever store."""
    merchant = await api.merchant()
    made = [api.endpoint(merchant, label=f"Hook {number}") for number in range(8)]
    await asyncio.gather(*made)
    [report] = [each for each in await audit.verify_all(api.control) if each.merchant_id]
    assert (report.entries, report.broken_at) == (9, None)
