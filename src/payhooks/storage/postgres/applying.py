"""One change of the control plane, written row by row inside its transaction.

Lock order: the audit chain (already held), merchant, routing, endpoint, lane, connector, the rest.
"""

from collections.abc import Sequence
from typing import Final

from payhooks.errors import StaleVersionError, WrongStateError
from payhooks.ids import MerchantId
from payhooks.model.connector import Connector
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.event_type import EventType
from payhooks.model.key import ApiKey
from payhooks.model.merchant import Merchant
from payhooks.model.replay import Replay, ReplayState
from payhooks.model.secret import SealedSecret
from payhooks.policy import throttle
from payhooks.ports.controlling import Change
from payhooks.ports.sweeping import Announcement
from payhooks.storage import documents, statements
from payhooks.storage.postgres.auditing import NOBODY
from payhooks.storage.postgres.connections import Connection

_SQL: Final = statements.load("payhooks.storage.postgres", "controlling.sql")

# As the table spells the states of lanes; an active endpoint that listens is 4.
_LANE_STATES: Final = {
    EndpointStatus.ACTIVE: 0,
    EndpointStatus.PAUSED: 1,
    EndpointStatus.DISABLED: 2,
    EndpointStatus.DELETED: 3,
}
_LISTENING: Final = 4
_STOPPING: Final = "stopping"


async def write(connection: Connection, change: Change) -> None:
    """Write all of *change* but its audit entry.

    Raises:
        StaleVersionError, WrongStateError: See ControlStore.apply.

    """
    if change.merchant is not None:
        await _merchant(connection, change.merchant)
    version = await _raise_version(connection, change)
    # With the routing's row held: no other change of the merchant comes between look and write.
    await _check_secrets(connection, change)
    await _check_signer(connection, change)
    if change.endpoint is not None:
        await _endpoint(connection, change.endpoint, version)
        await _lane(connection, change)
    if change.connector is not None:
        await _connector(connection, change.connector)
    await _secrets(connection, change)
    if change.key is not None:
        await _key(connection, change.key)
    if change.replay is not None:
        await _replay(connection, change.replay)
    if change.event_type is not None:
        await _event_type(connection, change.event_type)
    for announcement in change.announcements:
        await announce(connection, announcement)


async def write_secret(connection: Connection, secret: SealedSecret) -> None:
    """Insert a secret, or replace it where the id exists."""
    await connection.execute(
        _SQL["secret_put"],
        *(secret.id, secret.merchant_id, secret.owner_id, secret.purpose, secret.sealed),
        *(secret.created_at, secret.expires_at),
    )


async def forget_secrets(connection: Connection, ids: Sequence[bytes]) -> None:
    """Remove secrets, those that are there."""
    await connection.execute(_SQL["secrets_forget"], list(ids))


async def announce(connection: Connection, announcement: Announcement) -> None:
    """Keep an announcement until it is published."""
    document = documents.encode(announcement).decode()
    await connection.execute(_SQL["announce"], announcement.id, document)


def shard(merchant_id: MerchantId) -> int:
    """Return the merchant's of 256 shards: the last byte of its id, which is random."""
    return merchant_id[-1]


async def _raise_version(connection: Connection, change: Change) -> int:
    """Raise the version of the routing that this change touches; 0 where there is none."""
    if change.merchant is not None:
        merchant_id: MerchantId | None = change.merchant.id
    elif change.endpoint is not None:
        merchant_id = change.endpoint.merchant_id
    elif change.connector is not None:
        merchant_id = change.connector.merchant_id
    else:
        merchant_id = change.audit.merchant_id
    if merchant_id is None:
        return 0
    row = await connection.fetchrow(_SQL["routing_raise"], merchant_id)
    assert row is not None
    return int(row["version"])


async def _check_secrets(connection: Connection, change: Change) -> None:
    if change.secrets_before is None:
        return
    [new] = change.secrets
    stored = await connection.fetch(_SQL["secrets"], new.merchant_id, new.owner_id)
    if {row["id"] for row in stored} != change.secrets_before:
        raise StaleVersionError("the owner has other secrets by now")


async def _check_signer(connection: Connection, change: Change) -> None:
    signer, key = change.signer, change.key
    if signer is not None and await connection.fetchrow(_SQL["live_key"], signer) is None:
        raise WrongStateError("The Source Key is revoked; choose another.")
    if key is None or not key.signing or key.revoked_at is None:
        return
    sought = (key.merchant_id, documents.printed(key.id))
    if await connection.fetchrow(_SQL["signs"], *sought) is not None:
        raise WrongStateError("An endpoint signs with this key; choose another for it.")


async def _secrets(connection: Connection, change: Change) -> None:
    for secret in change.secrets:
        await write_secret(connection, secret)
    for secret in change.ending_secrets:
        await connection.execute(_SQL["secret_end"], secret.id, secret.expires_at)
    if change.forget_secrets:
        await forget_secrets(connection, change.forget_secrets)


async def _merchant(connection: Connection, merchant: Merchant) -> None:
    document = documents.encode(merchant).decode()
    id_, version = merchant.id, merchant.version
    if version == 1:
        found = await connection.fetchrow(
            _SQL["merchant_insert"], id_, shard(id_), version, merchant.reference, document
        )
    else:
        found = await connection.fetchrow(
            _SQL["merchant_update"], id_, version, merchant.reference, document
        )
    if found is None:
        raise StaleVersionError(f"merchant version {version} does not follow the stored one")


async def _endpoint(connection: Connection, endpoint: Endpoint, version: int) -> None:
    id_, merchant_id, number = endpoint.id, endpoint.merchant_id, endpoint.number
    document = documents.encode(endpoint).decode()
    name = "endpoint_insert" if endpoint.version == 1 else "endpoint_update"
    found = await connection.fetchrow(
        _SQL[name], merchant_id, id_, endpoint.version, number, endpoint.status, document
    )
    if found is None:
        raise StaleVersionError(
            f"endpoint version {endpoint.version} does not follow the stored one"
        )
    await connection.execute(
        _SQL["history"],
        *(merchant_id, version, id_, number, endpoint.status, endpoint.listening),
        list(endpoint.events),
    )


async def _lane(connection: Connection, change: Change) -> None:
    endpoint = change.endpoint
    assert endpoint is not None
    assert change.lease_s is not None
    state = _LANE_STATES[endpoint.status]
    if endpoint.listening and endpoint.status is EndpointStatus.ACTIVE:
        state = _LISTENING
    rate = endpoint.rate_limit_per_s
    interval_us = None if rate is None else throttle.interval_us(rate)
    burst = None if rate is None else throttle.burst_of(rate)
    await connection.execute(
        _SQL["lane"],
        *(endpoint.id, endpoint.merchant_id, shard(endpoint.merchant_id), state),
        *(change.lease_s, interval_us, burst, change.moved),
    )
    if change.unblocked or endpoint.status is EndpointStatus.DELETED:
        await connection.execute(_SQL["unblock_lane"], endpoint.id)


async def _connector(connection: Connection, connector: Connector) -> None:
    version = connector.version
    name = "connector_insert" if version == 1 else "connector_update"
    found = await connection.fetchrow(
        _SQL[name],
        *(connector.merchant_id, connector.id, version, connector.name, connector.dialect),
        *(connector.status, documents.encode(connector).decode()),
    )
    if found is None:
        raise StaleVersionError(f"connector version {version} does not follow the stored one")


async def _key(connection: Connection, key: ApiKey) -> None:
    await connection.execute(
        _SQL["key_put"],
        *(key.id, key.merchant_id or NOBODY, key.digest, key.expires_at, key.revoked_at),
        documents.encode(key).decode(),
    )


async def _replay(connection: Connection, replay: Replay) -> None:
    document = documents.encode(replay).decode()
    # What waits of it has to be taken back: see replaying.sql.
    state = _STOPPING if replay.state is ReplayState.CANCELLED else replay.state
    found = await connection.fetchrow(
        _SQL["replay_put"], replay.merchant_id, replay.id, state, document
    )
    if found is None:
        raise WrongStateError("the replay is over")


async def _event_type(connection: Connection, type_: EventType) -> None:
    name = "type_insert" if type_.version == 1 else "type_update"
    found = await connection.fetchrow(
        _SQL[name],
        *(type_.family, type_.name, type_.version, documents.encode(type_).decode()),
    )
    if found is None and type_.version == 1:
        raise WrongStateError("the event type exists already")
    if found is None:
        raise StaleVersionError(f"event type version {type_.version} does not follow the stored")
