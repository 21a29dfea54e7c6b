"""Durable acceptance: one call of accept_v2 a batch, or of what concludes receipts as well."""

from collections.abc import Sequence
from typing import Final

from payhooks.errors import InvalidError, OutcomeUnknownError, UnavailableError
from payhooks.ids import DeliveryId, EventId, MerchantId
from payhooks.model.connector import Connector
from payhooks.model.endpoint import Endpoint
from payhooks.model.key import ApiKey
from payhooks.model.merchant import Merchant
from payhooks.ports.accepting import (
    Acceptance,
    Accepted,
    Arrival,
    KeyBusy,
    Refused,
    Repeated,
    Routing,
    StaleHistory,
    StaleRouting,
)
from payhooks.storage import documents, findings, statements
from payhooks.storage.postgres.concluding import parameters_of
from payhooks.storage.postgres.connections import (
    Connections,
    KeptWaitingError,
    LostToAnotherError,
    Row,
)
from payhooks.storage.postgres.rows import secret

_SQL: Final = statements.load("payhooks.storage.postgres", "accepting.sql")
_ATTEMPTS_MAX: Final = 4  # of a batch that lost to another transaction


class PostgresAccept:
    """See AcceptStore."""

    _accepting: Connections
    _control: Connections

    async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        """See AcceptStore. One commit is on its way at a time."""
        if not arrivals:
            return []
        name, arguments = "accept", [owner, *parameters(arrivals)]
        if any(arrival.conclusion is not None for arrival in arrivals):
            name, arguments = "accept_heard", [*arguments, *parameters_of(arrivals)]
        for attempt in range(_ATTEMPTS_MAX):
            try:
                rows = await self._accepting.call(_SQL[name], *arguments)
            except KeptWaitingError:
                return await self._accept_halves(arrivals, owner=owner)
            except InvalidError as error:
                if len(arrivals) == 1:
                    return [Refused(error)]
                return await self._accept_halves(arrivals, owner=owner)
            except LostToAnotherError:
                # A deadlock is over as soon as one has lost: the same once more.
                if attempt == _ATTEMPTS_MAX - 1:
                    raise
            else:
                return _acceptances(arrivals, rows[0])
        raise AssertionError("the last attempt returns or raises")

    async def _accept_halves(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        """Accept each half alone, so that one arrival does not fail its whole batch."""
        if len(arrivals) == 1:
            if arrivals[0].idempotency is None:
                # No other request can be the reason; something holds the tables.
                raise UnavailableError("another program holds a lock on the database")
            return [KeyBusy()]
        middle = len(arrivals) // 2
        first = await self.accept(arrivals[:middle], owner=owner)
        try:
            return first + await self.accept(arrivals[middle:], owner=owner)
        except UnavailableError as error:
            raise OutcomeUnknownError("half of the batch is stored") from error

    async def routing_version(self, merchant_id: MerchantId) -> int | None:
        """See AcceptStore."""
        async with self._control.borrowed() as connection:
            rows = await connection.fetch(_SQL["routing_versions"], [merchant_id])
        return rows[0]["version"] if rows else None

    async def routing(self, merchant_ids: Sequence[MerchantId]) -> list[Routing]:
        """See AcceptStore."""
        ids = list(merchant_ids)
        async with self._control.borrowed() as connection:
            # The version first: what is read after it can only be newer, and is then found
            # out by accept; the other way round nobody would notice.
            versions = await connection.fetch(_SQL["routing_versions"], ids)
            merchants = await connection.fetch(_SQL["routing_merchants"], ids)
            endpoints = await connection.fetch(_SQL["routing_endpoints"], ids)
            secrets = await connection.fetch(_SQL["routing_secrets"], ids)
            keys = await connection.fetch(_SQL["routing_keys"], ids)
            connectors = await connection.fetch(_SQL["routing_connectors"], ids)
        version_of = {row["merchant_id"]: row["version"] for row in versions}
        merchant_of = {row["id"]: documents.decode(Merchant, row["document"]) for row in merchants}
        return [
            Routing(
                merchant=merchant_of[id_],
                version=version_of[id_],
                endpoints=tuple(
                    documents.decode(Endpoint, row["document"])
                    for row in endpoints
                    if row["merchant_id"] == id_
                ),
                secrets=tuple(secret(row) for row in secrets if row["merchant_id"] == id_),
                keys=tuple(
                    documents.decode(ApiKey, row["document"])
                    for row in keys
                    if row["merchant_id"] == id_
                ),
                connectors=tuple(
                    documents.decode(Connector, row["document"])
                    for row in connectors
                    if row["merchant_id"] == id_
                ),
            )
            for id_ in ids
            if id_ in merchant_of and id_ in version_of
        ]


def parameters(arrivals: Sequence[Arrival]) -> list[Sequence[object]]:
    """Return the parameters of accept_v2 after the owner."""
    events = [arrival.event for arrival in arrivals]
    # Sorted: the order in which the statement locks.
    merchants = sorted({event.merchant_id for event in events})
    merchant_at = {id_: at for at, id_ in enumerate(merchants, start=1)}
    planned = [
        (at, one) for at, arrival in enumerate(arrivals, start=1) for one in arrival.deliveries
    ]
    lane_at = {
        id_: at
        for at, id_ in enumerate(dict.fromkeys(one.endpoint_id for _, one in planned), start=1)
    }
    return [
        merchants,
        list(lane_at),
        [event.id for event in events],
        [merchant_at[event.merchant_id] for event in events],
        [arrival.routing_version for arrival in arrivals],
        [event.type for event in events],
        [event.family for event in events],
        [event.data for event in events],
        [event.object_type for event in events],
        [event.object_id for event in events],
        [event.occurred_at for event in events],
        [event.ordering_key for event in events],
        [event.metadata for event in events],
        [findings.encode(arrival.findings) for arrival in arrivals],
        [arrival.idempotency for arrival in arrivals],
        [arrival.content for arrival in arrivals],
        [len(arrival.deliveries) for arrival in arrivals],
        [one.id for _, one in planned],
        [at for at, _ in planned],
        [lane_at[one.endpoint_id] for _, one in planned],
        [one.order_key for _, one in planned],
        [one.dialect for _, one in planned],
        [one.dialect_version for _, one in planned],
        [one.lease_s for _, one in planned],
    ]


def _acceptances(arrivals: Sequence[Arrival], row: Row) -> list[Acceptance]:
    leased = frozenset(row["leased"] or ())
    found: list[Acceptance] = [Accepted(leased=_mine(arrival, leased)) for arrival in arrivals]
    unseen = frozenset(row.get("unseen") or ())
    for at in row["stale"] or ():
        found[at - 1] = StaleHistory() if at in unseen else StaleRouting()
    repeats = [
        row[name] or ()
        for name in ("repeated", "first_ids", "first_contents", "first_types", "first_fan_outs")
    ]
    for at, event_id, content, event_type, deliveries in zip(*repeats, strict=True):
        found[at - 1] = Repeated(
            event_id=EventId(event_id),
            event_type=event_type,
            content=content,
            deliveries=deliveries,
        )
    return found


def _mine(arrival: Arrival, leased: frozenset[bytes]) -> tuple[DeliveryId, ...]:
    return tuple(one.id for one in arrival.deliveries if one.id in leased)
