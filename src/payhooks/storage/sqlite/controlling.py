"""Configuration at rest: one kind of write, and plain reads."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import apsw
import msgspec

from payhooks.errors import NotFoundError
from payhooks.ids import EndpointId, MerchantId
from payhooks.model.audit import BEGINNING, AuditEntry, ChainedAuditEntry, Mark
from payhooks.model.endpoint import Endpoint
from payhooks.model.event_type import EventType
from payhooks.model.key import ApiKey
from payhooks.model.merchant import Merchant
from payhooks.model.secret import SealedSecret
from payhooks.ports.controlling import Change, Window
from payhooks.storage import statements
from payhooks.storage.documents import decode, encode
from payhooks.storage.sqlite.applying import OPERATOR_CHAIN, write_change
from payhooks.storage.sqlite.connection import Row, first, rows, run
from payhooks.storage.sqlite.parts import Part
from payhooks.storage.sqlite.writer import Kind

_SQL: Final = statements.load(__package__, "controlling.sql")
_Document = TypeVar("_Document", bound=msgspec.Struct)

# Above every id and every number, for the first page of a list.
NEWEST: Final = b"\xff" * 17
_NUMBER_MAX: Final = 2**63 - 1


class SqliteControl(Part):
    """See ControlStore; cancelling, sending again and replays are in replaying.py."""

    async def apply(self, change: Change) -> None:
        """See ControlStore."""
        await self._write(Kind.QUICK, lambda db: write_change(db, change, now=self._now_us()))

    async def next_number(self, merchant_id: MerchantId) -> int:
        """See ControlStore."""

        def work(db: apsw.Connection) -> int:
            found = first(db, _SQL["next_number"], (merchant_id,))
            if found is None:
                raise NotFoundError("no such merchant")
            return int(found[0])

        return await self._write(Kind.QUICK, work)

    async def merchant(self, id_or_reference: MerchantId | str) -> Merchant | None:
        """See ControlStore."""
        by_id = isinstance(id_or_reference, bytes)
        name = "merchant" if by_id else "merchant_by_reference"
        return await self._one(Merchant, name, (id_or_reference,))

    async def merchants(self, window: Window) -> list[Merchant]:
        """See ControlStore."""
        return await self._list(Merchant, "merchants", _bounds(window))

    async def endpoint(self, merchant_id: MerchantId, endpoint_id: EndpointId) -> Endpoint | None:
        """See ControlStore."""
        return await self._one(Endpoint, "endpoint", (endpoint_id, merchant_id))

    async def endpoints(self, merchant_id: MerchantId, window: Window) -> list[Endpoint]:
        """See ControlStore."""
        return await self._list(Endpoint, "endpoints", (merchant_id, *_bounds(window)))

    async def secrets(self, merchant_id: MerchantId, owner_id: bytes) -> list[SealedSecret]:
        """See ControlStore."""
        return await self._list(SealedSecret, "secrets", (merchant_id, owner_id))

    async def secrets_sealed_under_other(self, key_id: bytes, *, limit: int) -> list[SealedSecret]:
        """See ControlStore."""
        return await self._list(SealedSecret, "sealed_under_other", (key_id, limit))

    async def reseal(self, old: Sequence[SealedSecret], new: Sequence[SealedSecret]) -> int:
        """See ControlStore."""

        def work(db: apsw.Connection) -> int:
            pairs = zip(old, new, strict=True)
            return sum(_reseal(db, before, after) for before, after in pairs)

        return await self._write(Kind.SLOW, work)

    async def key_by_digest(self, digest: bytes) -> ApiKey | None:
        """See ControlStore."""
        return await self._one(ApiKey, "key_by_digest", (digest,))

    async def keys(self, merchant_id: MerchantId | None, window: Window) -> list[ApiKey]:
        """See ControlStore."""
        return await self._list(ApiKey, "keys", (merchant_id, *_bounds(window)))

    async def audit(
        self, merchant_id: MerchantId | None, *, after: int, limit: int
    ) -> list[ChainedAuditEntry]:
        """See ControlStore."""
        bindings = (merchant_id or OPERATOR_CHAIN, after, limit)
        return _chained(await self._read(lambda db: rows(db, _SQL["audit"], bindings)))

    async def audit_head(self, merchant_id: MerchantId | None) -> Mark:
        """See ControlStore."""
        whose = merchant_id or OPERATOR_CHAIN
        found = await self._read(lambda db: first(db, _SQL["chain_head"], (whose,)))
        return BEGINNING if found is None else Mark(number=found[0], hash=found[1])

    async def audit_chains(self) -> list[MerchantId | None]:
        """See ControlStore."""
        found = await self._read(lambda db: rows(db, _SQL["audit_chains"]))
        return [None if chain == OPERATOR_CHAIN else MerchantId(chain) for (chain,) in found]

    async def audit_latest(
        self, merchant_id: MerchantId | None, *, before: int | None, limit: int
    ) -> list[ChainedAuditEntry]:
        """See ControlStore."""
        below = _NUMBER_MAX if before is None else before
        bindings = (merchant_id or OPERATOR_CHAIN, below, limit)
        return _chained(await self._read(lambda db: rows(db, _SQL["audit_latest"], bindings)))

    async def event_types(self) -> list[EventType]:
        """See ControlStore."""
        return await self._list(EventType, "event_types", ())

    async def _one(
        self, type_: type[_Document], name: str, bindings: Sequence[Any]
    ) -> _Document | None:
        found = await self._read(lambda db: first(db, _SQL[name], bindings))
        return None if found is None else decode(type_, found[0])

    async def _list(
        self, type_: type[_Document], name: str, bindings: Sequence[Any]
    ) -> list[_Document]:
        found = await self._read(lambda db: rows(db, _SQL[name], bindings))
        return [decode(type_, text) for (text,) in found]


def _bounds(window: Window) -> tuple[bytes, int]:
    return (NEWEST if window.after is None else window.after, window.limit)


def _chained(found: Sequence[Row]) -> list[ChainedAuditEntry]:
    return [
        ChainedAuditEntry(number=number, entry=decode(AuditEntry, document), hash=hash_)
        for number, document, hash_ in found
    ]


def _reseal(db: apsw.Connection, before: SealedSecret, after: SealedSecret) -> int:
    found = first(db, _SQL["secret"], (before.id, before.sealed))
    if found is None:
        return 0
    stored = decode(SealedSecret, found[0])
    resealed = msgspec.structs.replace(stored, sealed=after.sealed)
    return run(db, _SQL["reseal"], (before.id, after.sealed, encode(resealed)))
