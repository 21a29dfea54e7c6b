"""One change of the control plane, written whole, with its place in the audit chain."""

from typing import Final

import apsw
import msgspec

from payhooks.errors import StaleVersionError, WrongStateError
from payhooks.model.audit import GENESIS, AuditEntry, chain
from payhooks.model.connector import Connector, ConnectorStatus
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.event_type import EventType
from payhooks.model.key import ApiKey
from payhooks.model.merchant import Merchant
from payhooks.model.replay import Replay, ReplayState
from payhooks.model.secret import SealedSecret
from payhooks.ports.controlling import Change
from payhooks.ports.reading import Subscription
from payhooks.ports.sweeping import Announcement
from payhooks.storage import statements
from payhooks.storage.documents import decode, encode, printed
from payhooks.storage.sqlite.connection import (
    FOREVER_US,
    delay_us,
    first,
    optional_us,
    rows,
    run,
    run_many,
    to_us,
)
from payhooks.storage.sqlite.parts import LaneState

_SQL: Final = statements.load(__package__, "controlling.sql")
OPERATOR_CHAIN: Final = bytes(16)
# What waits of a job that is cancelled has to be taken back: see replaying.sql.
_RUNNING: Final = {ReplayState.DONE: 0, ReplayState.RUNNING: 1, ReplayState.CANCELLED: 2}


def write_change(db: apsw.Connection, change: Change, *, now: int) -> None:
    """Write every member of *change*, and its audit entry; the savepoint undoes a half."""
    if change.merchant is not None:
        _write_merchant(db, change.merchant)
    version = _raise_version(db, change)
    _check_secrets(db, change)
    _check_signer(db, change)
    if change.endpoint is not None:
        _write_endpoint(db, change.endpoint, version)
        _write_lane(db, change, now)
    if change.connector is not None:
        _write_connector(db, change.connector)
    _write_secrets(db, change)
    if change.key is not None:
        _write_key(db, change.key)
    if change.replay is not None:
        _write_replay(db, change.replay)
    if change.event_type is not None:
        _write_event_type(db, change.event_type)
    for announcement in change.announcements:
        announce(db, announcement)
    log(db, change.audit)


def log(db: apsw.Connection, entry: AuditEntry) -> None:
    """Chain an entry to those before it."""
    whose = entry.merchant_id or OPERATOR_CHAIN
    number, previous = first(db, _SQL["chain_head"], (whose,)) or (0, GENESIS)
    hash_ = chain(previous, number + 1, entry)
    run(db, _SQL["insert_audit"], (whose, number + 1, hash_, encode(entry)))
    run(db, _SQL["move_head"], (whose, number + 1, hash_))


def write_secret(db: apsw.Connection, secret: SealedSecret) -> None:
    """Insert a secret, or replace it where the id exists."""
    values = (
        secret.id,
        secret.merchant_id,
        secret.owner_id,
        to_us(secret.created_at),
        optional_us(secret.expires_at),
        secret.sealed,
        encode(secret),
    )
    run(db, _SQL["write_secret"], values)


def forget_secret(db: apsw.Connection, id_: bytes) -> None:
    """Remove a secret, if it is there."""
    run(db, _SQL["forget_secret"], (id_,))


def announce(db: apsw.Connection, announcement: Announcement) -> None:
    """Keep an announcement until it is published."""
    run(db, _SQL["announce"], (announcement.id, encode(announcement)))


def _check_secrets(db: apsw.Connection, change: Change) -> None:
    if change.secrets_before is None:
        return
    [new] = change.secrets
    stored = {id_ for (id_,) in rows(db, _SQL["secret_ids"], (new.merchant_id, new.owner_id))}
    if stored != change.secrets_before:
        raise StaleVersionError("the owner has other secrets by now")


def _check_signer(db: apsw.Connection, change: Change) -> None:
    if change.signer is not None and first(db, _SQL["live_key"], (change.signer,)) is None:
        raise WrongStateError("The Source Key is revoked; choose another.")
    key = change.key
    if key is None or not key.signing or key.revoked_at is None:
        return
    if first(db, _SQL["signs"], (key.merchant_id, printed(key.id))) is not None:
        raise WrongStateError("An endpoint signs with this key; choose another for it.")


def _write_secrets(db: apsw.Connection, change: Change) -> None:
    for secret in change.secrets:
        write_secret(db, secret)
    for secret in change.ending_secrets:
        _end_secret(db, secret)
    for id_ in change.forget_secrets:
        forget_secret(db, id_)


def _end_secret(db: apsw.Connection, secret: SealedSecret) -> None:
    found = first(db, _SQL["secret_to_end"], (secret.id,))
    if found is None:
        return
    stored = decode(SealedSecret, found[0])
    assert secret.expires_at is not None
    ends_at = min(stored.expires_at or secret.expires_at, secret.expires_at)
    write_secret(db, msgspec.structs.replace(stored, expires_at=ends_at))


def _write_merchant(db: apsw.Connection, merchant: Merchant) -> None:
    if merchant.reference is not None:
        taken = first(db, _SQL["reference_owner"], (merchant.reference,))
        if taken is not None and taken[0] != merchant.id:
            raise WrongStateError("the reference is taken by another merchant")
    values = (merchant.id, merchant.reference, merchant.version, encode(merchant))
    if merchant.version > 1:
        _expect_one(run(db, _SQL["update_merchant"], values), "merchant", merchant.version)
    elif first(db, _SQL["merchant"], (merchant.id,)) is not None:
        _expect_one(0, "merchant", merchant.version)
    else:
        run(db, _SQL["insert_merchant"], values)


def _raise_version(db: apsw.Connection, change: Change) -> int:
    """Raise the routing version of the merchant whose routing this change touches."""
    merchant_id = change.audit.merchant_id
    if change.merchant is not None:
        merchant_id = change.merchant.id
    elif change.endpoint is not None:
        merchant_id = change.endpoint.merchant_id
    elif change.connector is not None:
        merchant_id = change.connector.merchant_id
    if merchant_id is None:
        return 0
    found = first(db, _SQL["raise_version"], (merchant_id,))
    assert found is not None
    return int(found[0])


def _write_endpoint(db: apsw.Connection, endpoint: Endpoint, version: int) -> None:
    statement = "insert_endpoint" if endpoint.version == 1 else "update_endpoint"
    values = (
        endpoint.id,
        endpoint.merchant_id,
        endpoint.number,
        endpoint.version,
        int(endpoint.status is EndpointStatus.DELETED),
        encode(endpoint),
    )
    _expect_one(run(db, _SQL[statement], values), "endpoint", endpoint.version)
    subscription = Subscription(
        endpoint_id=endpoint.id,
        number=endpoint.number,
        version=version,
        events=endpoint.events,
        status=endpoint.status,
        listening=endpoint.listening,
    )
    place = (endpoint.merchant_id, endpoint.number, version, endpoint.id)
    run(db, _SQL["insert_history"], (*place, encode(subscription)))


def _write_lane(db: apsw.Connection, change: Change, now: int) -> None:
    endpoint = change.endpoint
    assert endpoint is not None
    assert change.lease_s is not None
    lane = (
        endpoint.id,
        endpoint.merchant_id,
        _lane_state(endpoint),
        FOREVER_US,
        endpoint.rate_limit_per_s,
        delay_us(change.lease_s),
        now,
        change.moved,
    )
    run(db, _SQL["write_lane"], lane)
    if change.unblocked or endpoint.status is EndpointStatus.DELETED:
        freed = rows(db, _SQL["unblock_lane"], (endpoint.id,))
        run_many(db, _SQL["insert_wakes"], [(*wake, now) for wake in freed])


def _lane_state(endpoint: Endpoint) -> LaneState:
    match endpoint.status:
        case EndpointStatus.ACTIVE:
            return LaneState.LISTENING if endpoint.listening else LaneState.OPEN
        case EndpointStatus.PAUSED:
            return LaneState.PAUSED
        case EndpointStatus.DISABLED:
            return LaneState.DISABLED
        case EndpointStatus.DELETED:
            return LaneState.DELETED


def _write_connector(db: apsw.Connection, connector: Connector) -> None:
    deleted = connector.status is ConnectorStatus.DELETED
    if not deleted:
        taken = first(db, _SQL["name_owner"], (connector.merchant_id, connector.name))
        if taken is not None and taken[0] != connector.id:
            raise WrongStateError("the name is taken by another connector of the merchant")
    statement = "insert_connector" if connector.version == 1 else "update_connector"
    values = (
        connector.merchant_id,
        connector.id,
        connector.name,
        connector.dialect,
        connector.version,
        int(deleted),
        encode(connector),
    )
    _expect_one(run(db, _SQL[statement], values), "connector", connector.version)


def _write_key(db: apsw.Connection, key: ApiKey) -> None:
    values = (
        key.id,
        key.merchant_id,
        key.digest,
        optional_us(key.expires_at),
        int(key.revoked_at is not None),
        encode(key),
    )
    run(db, _SQL["write_key"], values)


def _write_replay(db: apsw.Connection, replay: Replay) -> None:
    values = (replay.id, replay.merchant_id, _RUNNING[replay.state], encode(replay))
    if run(db, _SQL["write_replay"], values) == 0:
        raise WrongStateError("the replay is over")


def _write_event_type(db: apsw.Connection, type_: EventType) -> None:
    values = (type_.family, type_.name, type_.version, encode(type_))
    if type_.version == 1:
        if run(db, _SQL["insert_event_type"], values) == 0:
            raise WrongStateError("the event type exists already")
    else:
        _expect_one(run(db, _SQL["update_event_type"], values), "event type", type_.version)


def _expect_one(changed: int, noun: str, version: int) -> None:
    if changed != 1:
        raise StaleVersionError(f"{noun} version {version} does not follow the stored one")
