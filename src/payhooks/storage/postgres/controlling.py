"""Configuration at rest: one kind of write, and plain reads."""

from collections.abc import Sequence
from typing import Final, TypeVar

import asyncpg  # type: ignore[import-untyped] # See connections.py.
import msgspec

from payhooks.errors import StaleVersionError, WrongStateError
from payhooks.ids import EndpointId, MerchantId
from payhooks.model.audit import BEGINNING, ChainedAuditEntry, Mark
from payhooks.model.endpoint import Endpoint
from payhooks.model.event_type import EventType
from payhooks.model.key import ApiKey
from payhooks.model.merchant import Merchant
from payhooks.model.secret import SealedSecret
from payhooks.ports.controlling import Change, Window
from payhooks.storage import documents, statements
from payhooks.storage.postgres.applying import write
from payhooks.storage.postgres.auditing import NOBODY, Chain, chained
from payhooks.storage.postgres.connections import Connections
from payhooks.storage.postgres.rows import secret

_SQL: Final = statements.load("payhooks.storage.postgres", "controlling.sql")
_Document = TypeVar("_Document", bound=msgspec.Struct)


class PostgresControl:
    """See ControlStore; cancelling, sending again and replays are in replaying.py."""

    _control: Connections

    async def apply(self, change: Change) -> None:
        """See ControlStore."""

        async def once() -> None:
            async with self._control.transaction() as connection:
                chain = await Chain.lock(connection, change.audit)
                try:
                    await write(connection, change)
                except asyncpg.UniqueViolationError as error:
                    if error.constraint_name == "merchants_reference_key":
                        raise WrongStateError(
                            "the reference is taken by another merchant"
                        ) from error
                    if error.constraint_name == "connectors_name":
                        raise WrongStateError(
                            "the name is taken by another connector of the merchant"
                        ) from error
                    raise StaleVersionError(f"{error.constraint_name} is taken") from error
                await chain.add()

        await self._control.persist(once)

    async def next_number(self, merchant_id: MerchantId) -> int:
        """See ControlStore."""
        rows = await self._control.call(_SQL["next_number"], merchant_id)
        assert rows, "no such merchant"
        return int(rows[0]["numbers"])

    async def merchant(self, id_or_reference: MerchantId | str) -> Merchant | None:
        """See ControlStore."""
        by = "merchant_by_reference" if isinstance(id_or_reference, str) else "merchant"
        return _one(Merchant, await self._documents(by, id_or_reference))

    async def merchants(self, window: Window) -> list[Merchant]:
        """See ControlStore."""
        found = await self._documents("merchants", window.after, window.limit)
        return [documents.decode(Merchant, one) for one in found]

    async def endpoint(self, merchant_id: MerchantId, endpoint_id: EndpointId) -> Endpoint | None:
        """See ControlStore."""
        return _one(Endpoint, await self._documents("endpoint", merchant_id, endpoint_id))

    async def endpoints(self, merchant_id: MerchantId, window: Window) -> list[Endpoint]:
        """See ControlStore."""
        found = await self._documents("endpoints", merchant_id, window.after, window.limit)
        return [documents.decode(Endpoint, one) for one in found]

    async def secrets(self, merchant_id: MerchantId, owner_id: bytes) -> list[SealedSecret]:
        """See ControlStore."""
        rows = await self._control.call(_SQL["secrets"], merchant_id, owner_id)
        return [secret(row) for row in rows]

    async def secrets_sealed_under_other(self, key_id: bytes, *, limit: int) -> list[SealedSecret]:
        """See ControlStore."""
        rows = await self._control.call(_SQL["secrets_other"], key_id, limit)
        return [secret(row) for row in rows]

    async def reseal(self, old: Sequence[SealedSecret], new: Sequence[SealedSecret]) -> int:
        """See ControlStore."""
        arguments = (
            [before.id for before in old],
            [before.sealed for before in old],
            [after.sealed for after in new],
        )
        return len(await self._control.call(_SQL["reseal"], *arguments))

    async def key_by_digest(self, digest: bytes) -> ApiKey | None:
        """See ControlStore."""
        return _one(ApiKey, await self._documents("key_by_digest", digest))

    async def keys(self, merchant_id: MerchantId | None, window: Window) -> list[ApiKey]:
        """See ControlStore."""
        owner = merchant_id or NOBODY
        found = await self._documents("keys", owner, window.after, window.limit)
        return [documents.decode(ApiKey, one) for one in found]

    async def audit(
        self, merchant_id: MerchantId | None, *, after: int, limit: int
    ) -> list[ChainedAuditEntry]:
        """See ControlStore."""
        rows = await self._control.call(_SQL["audit"], merchant_id or NOBODY, after, limit)
        return [chained(row) for row in rows]

    async def audit_head(self, merchant_id: MerchantId | None) -> Mark:
        """See ControlStore."""
        rows = await self._control.call(_SQL["audit_head"], merchant_id or NOBODY)
        return Mark(number=rows[0]["number"], hash=rows[0]["hash"]) if rows else BEGINNING

    async def audit_chains(self) -> list[MerchantId | None]:
        """See ControlStore."""
        rows = await self._control.call(_SQL["audit_chains"])
        owners = [MerchantId(row["merchant_id"]) for row in rows]
        return [None if owner == NOBODY else owner for owner in owners]

    async def audit_latest(
        self, merchant_id: MerchantId | None, *, before: int | None, limit: int
    ) -> list[ChainedAuditEntry]:
        """See ControlStore."""
        owner = merchant_id or NOBODY
        rows = await self._control.call(_SQL["audit_latest"], owner, before, limit)
        return [chained(row) for row in rows]

    async def event_types(self) -> list[EventType]:
        """See ControlStore."""
        return [documents.decode(EventType, one) for one in await self._documents("event_types")]

    async def _documents(self, name: str, *arguments: object) -> list[str]:
        return [row["document"] for row in await self._control.call(_SQL[name], *arguments)]


def _one(type_: type[_Document], found: list[str]) -> _Document | None:
    return documents.decode(type_, found[0]) if found else None
