"""Configuration at rest: one kind of write, and plain reads."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Protocol, TypeVar

import msgspec

from payhooks.errors import StaleVersionError, WrongStateError
from payhooks.ids import EndpointId, MerchantId
from payhooks.model.audit import BEGINNING, ChainedAuditEntry, Mark
from payhooks.model.connector import Connector, ConnectorStatus
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.event_type import EventType
from payhooks.model.key import ApiKey
from payhooks.model.merchant import Merchant
from payhooks.model.replay import Replay, ReplayState
from payhooks.model.secret import SealedSecret
from payhooks.ports.controlling import Change, Window
from payhooks.ports.reading import Subscription
from payhooks.storage.memory.rows import LaneRow, LaneState, span_us
from payhooks.storage.memory.tables import Tables


class _Identified(Protocol):
    @property
    def id(self) -> bytes: ...


_Row = TypeVar("_Row", bound=_Identified)


class MemoryControl:
    """See ControlStore; cancelling, sending again and replays are in replaying.py."""

    _tables: Tables

    async def apply(self, change: Change) -> None:
        """See ControlStore."""
        self._check_merchant(change.merchant)
        self._check_endpoint(change.endpoint)
        self._check_connector(change.connector)
        self._check_event_type(change.event_type)
        self._check_replay(change)
        self._check_secrets(change)
        self._check_signer(change)
        self._raise_versions(change)
        if change.merchant is not None:
            self._tables.merchants[change.merchant.id] = change.merchant
        if change.endpoint is not None:
            assert change.lease_s is not None
            lease_us = span_us(change.lease_s)
            self._write_endpoint(change.endpoint, lease_us=lease_us, moved=change.moved)
            if change.unblocked or change.endpoint.status is EndpointStatus.DELETED:
                self._tables.unblock_lane(change.endpoint.id)
        self._write_plain(change)
        for secret in change.secrets:
            self._tables.secrets[secret.id] = secret
        for secret in change.ending_secrets:
            self._end_secret(secret)
        for id_ in change.forget_secrets:
            self._tables.secrets.pop(id_, None)
        if change.replay is not None:
            self._put_replay(change.replay)
        for announcement in change.announcements:
            self._tables.announcements[announcement.id] = announcement
        self._tables.log(change.audit)
        self._tables.publish()

    async def next_number(self, merchant_id: MerchantId) -> int:
        """See ControlStore."""
        number = self._tables.numbers.get(merchant_id, 0) + 1
        self._tables.numbers[merchant_id] = number
        return number

    async def merchant(self, id_or_reference: MerchantId | str) -> Merchant | None:
        """See ControlStore."""
        if isinstance(id_or_reference, bytes):
            return self._tables.merchants.get(id_or_reference)
        for merchant in self._tables.merchants.values():
            if merchant.reference == id_or_reference:
                return merchant
        return None

    async def merchants(self, window: Window) -> list[Merchant]:
        """See ControlStore."""
        return page(self._tables.merchants.values(), window)

    async def endpoint(self, merchant_id: MerchantId, endpoint_id: EndpointId) -> Endpoint | None:
        """See ControlStore."""
        endpoint = self._tables.endpoints.get(endpoint_id)
        return endpoint if endpoint is not None and endpoint.merchant_id == merchant_id else None

    async def endpoints(self, merchant_id: MerchantId, window: Window) -> list[Endpoint]:
        """See ControlStore."""
        mine = (
            endpoint
            for endpoint in self._tables.endpoints.values()
            if endpoint.merchant_id == merchant_id and endpoint.status is not EndpointStatus.DELETED
        )
        return page(mine, window)

    async def secrets(self, merchant_id: MerchantId, owner_id: bytes) -> list[SealedSecret]:
        """See ControlStore."""
        mine = [
            secret
            for secret in self._tables.secrets.values()
            if secret.merchant_id == merchant_id and secret.owner_id == owner_id
        ]
        return sorted(mine, key=lambda secret: (secret.created_at, secret.id), reverse=True)

    async def secrets_sealed_under_other(self, key_id: bytes, *, limit: int) -> list[SealedSecret]:
        """See ControlStore."""
        other = (
            secret
            for secret in self._tables.secrets.values()
            if not secret.sealed.startswith(key_id)
        )
        return list(islice(other, limit))

    async def reseal(self, old: Sequence[SealedSecret], new: Sequence[SealedSecret]) -> int:
        """See ControlStore."""
        count = 0
        for before, after in zip(old, new, strict=True):
            stored = self._tables.secrets.get(before.id)
            if stored is not None and stored.sealed == before.sealed:
                self._tables.secrets[stored.id] = msgspec.structs.replace(
                    stored, sealed=after.sealed
                )
                count += 1
        return count

    async def key_by_digest(self, digest: bytes) -> ApiKey | None:
        """See ControlStore."""
        keys = self._tables.api_keys.values()
        return next((key for key in keys if key.digest == digest), None)

    async def keys(self, merchant_id: MerchantId | None, window: Window) -> list[ApiKey]:
        """See ControlStore."""
        mine = (key for key in self._tables.api_keys.values() if key.merchant_id == merchant_id)
        return page(mine, window)

    async def audit(
        self, merchant_id: MerchantId | None, *, after: int, limit: int
    ) -> list[ChainedAuditEntry]:
        """See ControlStore."""
        return self._tables.audit_log.get(merchant_id, [])[after : after + limit]

    async def audit_head(self, merchant_id: MerchantId | None) -> Mark:
        """See ControlStore."""
        return self._tables.audit_heads.get(merchant_id, BEGINNING)

    async def audit_chains(self) -> list[MerchantId | None]:
        """See ControlStore."""
        return list(self._tables.audit_log)

    async def audit_latest(
        self, merchant_id: MerchantId | None, *, before: int | None, limit: int
    ) -> list[ChainedAuditEntry]:
        """See ControlStore."""
        entries = self._tables.audit_log.get(merchant_id, [])
        below = entries if before is None else entries[: max(before - 1, 0)]
        return below[::-1][:limit]

    async def event_types(self) -> list[EventType]:
        """See ControlStore."""
        return [type_ for _, type_ in sorted(self._tables.event_types.items())]

    def _write_plain(self, change: Change) -> None:
        """Write what simply takes the place of what was there."""
        if (connector := change.connector) is not None:
            self._tables.connectors[connector.id] = connector
        if (key := change.key) is not None:
            self._tables.api_keys[key.id] = key
        if (type_ := change.event_type) is not None:
            self._tables.event_types[type_.family, type_.name] = type_

    def _end_secret(self, secret: SealedSecret) -> None:
        stored = self._tables.secrets.get(secret.id)
        assert secret.expires_at is not None
        if stored is not None:
            ends_at = min(stored.expires_at or secret.expires_at, secret.expires_at)
            ended = msgspec.structs.replace(stored, expires_at=ends_at)
            self._tables.secrets[secret.id] = ended

    def _check_merchant(self, merchant: Merchant | None) -> None:
        if merchant is None:
            return
        stored = self._tables.merchants.get(merchant.id)
        _check_version("merchant", merchant.version, None if stored is None else stored.version)
        if merchant.reference is not None and any(
            other.reference == merchant.reference and other.id != merchant.id
            for other in self._tables.merchants.values()
        ):
            raise WrongStateError("the reference is taken by another merchant")

    def _check_endpoint(self, endpoint: Endpoint | None) -> None:
        if endpoint is not None:
            stored = self._tables.endpoints.get(endpoint.id)
            _check_version("endpoint", endpoint.version, None if stored is None else stored.version)

    def _check_connector(self, connector: Connector | None) -> None:
        if connector is None:
            return
        stored = self._tables.connectors.get(connector.id)
        _check_version("connector", connector.version, None if stored is None else stored.version)
        if connector.status is not ConnectorStatus.DELETED and any(
            other.name == connector.name and other.id != connector.id
            for other in self._tables.connectors.values()
            if other.merchant_id == connector.merchant_id
            and other.status is not ConnectorStatus.DELETED
        ):
            raise WrongStateError("the name is taken by another connector of the merchant")

    def _check_event_type(self, type_: EventType | None) -> None:
        if type_ is None:
            return
        stored = self._tables.event_types.get((type_.family, type_.name))
        if stored is not None and type_.version == 1:
            raise WrongStateError("the event type exists already")
        _check_version("event type", type_.version, None if stored is None else stored.version)

    def _check_replay(self, change: Change) -> None:
        if change.replay is None:
            return
        stored = self._tables.replays.get(change.replay.id)
        if stored is not None and stored.state is not ReplayState.RUNNING:
            raise WrongStateError("the replay is over")

    def _check_secrets(self, change: Change) -> None:
        if change.secrets_before is None:
            return
        [new] = change.secrets
        stored = self._tables.secrets.values()
        if {one.id for one in stored if one.owner_id == new.owner_id} != change.secrets_before:
            raise StaleVersionError("the owner has other secrets by now")

    def _check_signer(self, change: Change) -> None:
        if change.signer is not None:
            signer = self._tables.api_keys.get(change.signer)
            if signer is None or signer.revoked_at is not None:
                raise WrongStateError("The Source Key is revoked; choose another.")
        if (key := change.key) is not None and key.signing and key.revoked_at:
            for endpoint in self._tables.endpoints.values():
                signs = endpoint.signature.key_id == key.id
                if signs and endpoint.status is not EndpointStatus.DELETED:
                    raise WrongStateError("An endpoint signs with this key; choose another for it.")

    def _put_replay(self, replay: Replay) -> None:
        stored = self._tables.replays.get(replay.id, replay)
        # How far it is stays: a slice may have been put on its way since it was read.
        self._tables.replays[replay.id] = msgspec.structs.replace(
            replay, queued=stored.queued, cursor=stored.cursor, behind=stored.behind
        )
        if replay.state is ReplayState.CANCELLED:
            self._tables.replays_stopping.add(replay.id)

    def _raise_versions(self, change: Change) -> None:
        """Raise the routing version of the merchant whose routing this change touches."""
        if change.merchant is not None:
            merchant_id: MerchantId | None = change.merchant.id
        elif change.endpoint is not None:
            merchant_id = change.endpoint.merchant_id
        elif change.connector is not None:
            merchant_id = change.connector.merchant_id
        else:
            merchant_id = change.audit.merchant_id
        if merchant_id is not None:
            self._tables.routing[merchant_id] = self._tables.routing.get(merchant_id, 0) + 1

    def _write_endpoint(self, endpoint: Endpoint, *, lease_us: int, moved: bool) -> None:
        self._tables.endpoints[endpoint.id] = endpoint
        subscription = Subscription(
            endpoint_id=endpoint.id,
            number=endpoint.number,
            version=self._tables.routing[endpoint.merchant_id],
            events=endpoint.events,
            status=endpoint.status,
            listening=endpoint.listening,
        )
        self._tables.endpoint_history.setdefault(endpoint.merchant_id, []).append(subscription)
        self._write_lane(endpoint, lease_us=lease_us, moved=moved)

    def _write_lane(self, endpoint: Endpoint, *, lease_us: int, moved: bool) -> None:
        now = self._tables.now()
        state = _lane_state(endpoint)
        lane = self._tables.lanes.get(endpoint.id)
        if lane is None:
            lane = LaneRow(
                endpoint_id=endpoint.id,
                merchant_id=endpoint.merchant_id,
                state=state,
                lease_us=lease_us,
                rate_per_s=None,
                listened_at=now,
            )
            self._tables.lanes[endpoint.id] = lane
        elif state is LaneState.OPEN:
            if moved or lane.state is not LaneState.OPEN:
                # By a person who believes it works now: nothing of before counts.
                lane.circuit_open, lane.rest_until, lane.probe_until = False, now, 0
                lane.failing_since, lane.warned = None, 0
            lane.look_at = max(min(lane.look_at, now), lane.still_until)
        lane.state = state
        lane.rate_per_s = endpoint.rate_limit_per_s
        lane.lease_us = lease_us


def page(rows: Iterable[_Row], window: Window) -> list[_Row]:
    """Return the part of *rows* that the window shows, newest first."""
    shown = [row for row in rows if window.after is None or row.id < window.after]
    return sorted(shown, key=lambda row: row.id, reverse=True)[: window.limit]


def _check_version(noun: str, version: int, stored: int | None) -> None:
    if version - 1 != (stored or 0):
        raise StaleVersionError(f"{noun} version {version} does not follow {stored or 0}")


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
