"""The audit log's chains: one row per chain is locked first by whoever adds to it."""

from typing import Final

from payhooks.ids import MerchantId
from payhooks.model.audit import GENESIS, AuditEntry, ChainedAuditEntry, chain
from payhooks.storage import documents, statements
from payhooks.storage.postgres.connections import Connection, Row

_SQL: Final = statements.load("payhooks.storage.postgres", "controlling.sql")
NOBODY: Final = MerchantId(bytes(16))  # whose the installation's own chain and keys are


class Chain:
    """The end of a chain, held until the transaction ends."""

    def __init__(self, connection: Connection, entry: AuditEntry, head: Row) -> None:
        self._connection = connection
        self._entry = entry
        self._head = head

    @classmethod
    async def lock(cls, connection: Connection, entry: AuditEntry) -> "Chain":
        """Return the end of the entry's chain. First thing in a transaction, by lock order."""
        owner = entry.merchant_id or NOBODY
        head = await connection.fetchrow(_SQL["head_lock"], owner, GENESIS)
        assert head is not None
        return cls(connection, entry, head)

    async def add(self) -> None:
        """Chain the entry. Once."""
        owner = self._entry.merchant_id or NOBODY
        number = self._head["number"] + 1
        hash_ = chain(self._head["hash"], number, self._entry)
        document = documents.encode(self._entry).decode()
        await self._connection.execute(_SQL["log"], owner, number, hash_, document)
        await self._connection.execute(_SQL["head_move"], owner, number, hash_)


def chained(row: Row) -> ChainedAuditEntry:
    """Return the entry whose columns the row has."""
    entry = documents.decode(AuditEntry, row["document"])
    return ChainedAuditEntry(number=row["number"], entry=entry, hash=row["hash"])
