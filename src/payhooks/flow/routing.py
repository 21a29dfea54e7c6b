"""The routing table of a merchant: what fan-out and send know of it, at one version.

Tables are cached and never edited. The store compares the version at every accept and tells
it with every lease, so a table that is out of date is found out before anything follows from
it: an endpoint change, a rotated secret and a revoked key hold for the next request, whichever
process takes it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final, Protocol

from payhooks.clock import Clock
from payhooks.connectors.contract import Keys
from payhooks.control.secrets import signer_of
from payhooks.dialects import registry
from payhooks.dialects.contract import Carried, Dialect, SigningSecret
from payhooks.errors import DamagedError, InvalidError, NotFoundError
from payhooks.ids import MERCHANT, ConnectorId, EndpointId, MerchantId, from_text, to_text
from payhooks.model.connector import Connector, ConnectorStatus
from payhooks.model.endpoint import Endpoint, EndpointStatus, SignatureType
from payhooks.model.key import ApiKey
from payhooks.model.secret import SealedSecret, SecretPurpose
from payhooks.policy.match import MatchTable
from payhooks.ports.accepting import AcceptStore, Routing
from payhooks.ports.controlling import ControlStore

# A table is a few KiB plus 1 KiB per endpoint; this many fit beside everything else.
TABLES_MAX: Final = 10_000
ENDPOINTS_CACHED_MAX: Final = 100_000
# So long may a connector that another process has changed be heard, and read, as it was.
CONFIRMED_S: Final = 1.0

_RECEIVES: Final = frozenset({EndpointStatus.ACTIVE, EndpointStatus.PAUSED})


# Opens a sealed secret; raises UnavailableError where no key of ours does.
Opener = Callable[[SealedSecret], str]


_Signer = tuple[SigningSecret, datetime | None]  # and when it stops to sign


class _Store(AcceptStore, ControlStore, Protocol):
    pass


class RoutingTable:
    """One merchant at one version. Secrets are opened when first needed, then kept."""

    def __init__(self, routing: Routing, opener: Opener) -> None:
        self.merchant = routing.merchant
        self.version: int = routing.version
        self.endpoints: tuple[Endpoint, ...] = routing.endpoints
        self._by_id = {endpoint.id: endpoint for endpoint in routing.endpoints}
        self._keys = {key.digest: key for key in routing.keys}
        self._match = MatchTable(
            (index, endpoint.events)
            for index, endpoint in enumerate(routing.endpoints)
            if endpoint.status in _RECEIVES
        )
        self._secrets: dict[bytes, list[SealedSecret]] = {}
        for secret in routing.secrets:
            self._secrets.setdefault(secret.owner_id, []).append(secret)
        self._open = opener
        spoken = {endpoint.dialect for endpoint in routing.endpoints}
        self._may_refuse = any(not self.dialect(name).carries_everything for name in spoken)
        self._signing: dict[tuple[EndpointId, str], list[_Signer]] = {}
        self._authentication: dict[EndpointId, str] = {}
        self._heard = {
            connector.name: connector
            for connector in routing.connectors
            if connector.status is ConnectorStatus.ACTIVE
        }
        self._connectors = {connector.id: connector for connector in routing.connectors}
        self._verifying: dict[
            ConnectorId, tuple[list[tuple[str, datetime | None]], str | None]
        ] = {}

    def key(self, digest: bytes) -> ApiKey | None:
        """Return the merchant's live key with this SHA-256."""
        return self._keys.get(digest)

    def endpoint(self, endpoint_id: EndpointId) -> Endpoint | None:
        """Return the endpoint, unless it is deleted."""
        return self._by_id.get(endpoint_id)

    def heard(self, name: str) -> Connector | None:
        """Return the connector that is heard under this name."""
        return self._heard.get(name)

    def connector(self, connector_id: ConnectorId) -> Connector | None:
        """Return the connector, unless it is deleted."""
        return self._connectors.get(connector_id)

    def verifying_keys(self, connector: Connector, now: datetime) -> Keys:
        """Return what a request to the connector is verified with at this time."""
        opened = self._verifying.get(connector.id)
        if opened is None:
            opened = self._verifying[connector.id] = self._open_verifying(connector)
        secrets, credential = opened
        live = [text for text, expires_at in secrets if expires_at is None or now < expires_at]
        return Keys(secrets=live, credential=credential)

    def subscribed(self, event_type: str) -> list[Endpoint]:
        """Return the endpoints, active or paused, that selected this type; by number."""
        return [self.endpoints[index] for index in self._match.select(event_type)]

    def dialect(self, name: str) -> Dialect:
        """Return a dialect as this merchant speaks it."""
        return registry.bound(name, self.merchant)

    def refusals(self, said: Carried) -> dict[str, str]:
        """Return the dialects of subscribed endpoints that cannot carry the event, and why."""
        if not self._may_refuse:
            return {}
        spoken = {endpoint.dialect for endpoint in self.subscribed(said.type)}
        asked = {name: self.dialect(name).refusal(said) for name in sorted(spoken)}
        return {name: refusal for name, refusal in asked.items() if refusal is not None}

    def signing_secrets(
        self, endpoint: Endpoint, dialect: str, now: datetime
    ) -> list[SigningSecret]:
        """Return every secret that signs for the endpoint at this time, newest first.

        As *dialect* reads their texts: deliveries may be pinned to another than the endpoint's.

        Raises:
            InvalidError: None of them is a secret of this dialect.

        """
        if endpoint.signature.type is SignatureType.NONE:
            return []
        opened = self._signing.get((endpoint.id, dialect))
        if opened is None:
            opened = self._signing[endpoint.id, dialect] = self._open_signing(endpoint, dialect)
        live = [secret for secret, expires_at in opened if expires_at is None or now < expires_at]
        if not live:
            # One that ends now need not be the last of the endpoint, but was of this dialect.
            detail = f"No secret of the endpoint is one of {dialect}, to which this is pinned."
            raise InvalidError.at("/dialect", "secret_does_not_fit", detail)
        return live

    def authentication_secret(self, endpoint: Endpoint) -> str:
        """Return the password, token or header value that the endpoint wants to see."""
        text = self._authentication.get(endpoint.id)
        if text is None:
            sealed = [
                secret
                for secret in self._secrets.get(endpoint.id, [])
                if secret.purpose is SecretPurpose.AUTHENTICATION
            ]
            if len(sealed) != 1:
                raise DamagedError("the secret that authenticates for an endpoint is not there")
            text = self._authentication[endpoint.id] = self._open(sealed[0])
        return text

    def _open_verifying(
        self, connector: Connector
    ) -> tuple[list[tuple[str, datetime | None]], str | None]:
        sealed = sorted(
            self._secrets.get(connector.id, []),
            key=lambda secret: (secret.created_at, secret.id),
            reverse=True,
        )
        secrets: list[tuple[str, datetime | None]] = []
        credential = None
        for secret in sealed:
            if secret.purpose is SecretPurpose.CONNECTOR:
                secrets.append((self._open(secret), secret.expires_at))
            elif secret.purpose is SecretPurpose.CONNECTOR_CREDENTIAL and credential is None:
                credential = self._open(secret)
        return secrets, credential

    def _open_signing(self, endpoint: Endpoint, name: str) -> list[_Signer]:
        owner, purpose = signer_of(endpoint.signature, endpoint.id, self.merchant.id)
        sealed = [held for held in self._secrets.get(owner, []) if held.purpose is purpose]
        if not sealed:
            # Sent without a signature it would teach receivers to accept that.
            raise DamagedError("the secret that signs for an endpoint is not there")
        sealed.sort(key=lambda secret: (secret.created_at, secret.id), reverse=True)
        dialect = self.dialect(name)
        signers: list[_Signer] = []
        for secret in sealed:
            text = self._open(secret)
            # One that came after a change of dialects need not fit the one before.
            with suppress(InvalidError):
                signers.append((dialect.signing_secret(text), secret.expires_at))
        return signers


class Directory:
    """The routing tables of this process: bounded, loaded once however many ask."""

    def __init__(self, store: _Store, opener: Opener, clock: Clock) -> None:
        self._store = store
        self._opener = opener
        self._clock = clock
        self._tables: OrderedDict[MerchantId, RoutingTable] = OrderedDict()
        self._endpoints_cached = 0
        self._ids_by_reference: dict[str, MerchantId] = {}
        self._confirmed_at_s: dict[MerchantId, float] = {}
        self._confirming: dict[MerchantId, asyncio.Task[RoutingTable]] = {}
        self._loading: dict[MerchantId, asyncio.Task[RoutingTable]] = {}

    async def find(self, id_or_reference: str) -> RoutingTable:
        """Return the table of the merchant with this printed id or reference.

        Raises:
            NotFoundError: There is none.

        """
        merchant_id = self._ids_by_reference.get(id_or_reference)
        if merchant_id is None:
            merchant_id = await self._resolve(id_or_reference)
        table = self._tables.get(merchant_id)
        return table if table is not None else await self.reload(merchant_id)

    async def confirmed(self, id_or_reference: str) -> RoutingTable:
        """Return the table as it was at most CONFIRMED_S ago, whichever process has changed it.

        For what is decided by the table alone, without a statement that would find it out of date.

        Raises:
            NotFoundError: No such merchant.

        """
        table = await self.find(id_or_reference)
        merchant_id, now_s = table.merchant.id, self._clock.monotonic_s()
        if now_s - self._confirmed_at_s.get(merchant_id, -CONFIRMED_S) >= CONFIRMED_S:
            self._confirmed_at_s[merchant_id] = now_s
            self._confirming[merchant_id] = asyncio.create_task(self._confirm(merchant_id))
        # Who comes meanwhile waits for the same answer: of many receipts at once, all but the
        # first would be read by a table that may be hours old.
        confirming = self._confirming.get(merchant_id)
        return table if confirming is None else await asyncio.shield(confirming)

    async def current(self, id_or_reference: str) -> RoutingTable:
        """Return the table as it is now, whichever process has changed it: a statement each time.

        Raises:
            NotFoundError: No such merchant.

        """
        merchant_id = (await self.find(id_or_reference)).merchant.id
        version = await self._store.routing_version(merchant_id)
        if version is None:
            return await self.reload(merchant_id)  # which finds none either
        return await self.at_least(merchant_id, version)

    def known(self, id_or_reference: str) -> RoutingTable | None:
        """Return the table as ``find`` would, if nothing need be loaded for it."""
        merchant_id = self._ids_by_reference.get(id_or_reference)
        return None if merchant_id is None else self._tables.get(merchant_id)

    async def at_least(self, merchant_id: MerchantId, version: int) -> RoutingTable:
        """Return a table that is no older than *version*."""
        table = self._tables.get(merchant_id)
        if table is None or table.version < version:
            table = await self.reload(merchant_id)
        if table.version < version:
            # That load had begun before the change; the next one begins now.
            table = await self.reload(merchant_id)
        return table

    def cached(self, merchant_id: MerchantId) -> RoutingTable | None:
        """Return the table as last loaded; it may be out of date."""
        return self._tables.get(merchant_id)

    async def reload(self, merchant_id: MerchantId) -> RoutingTable:
        """Return the table as it is now; whoever asks meanwhile waits for the same load."""
        # A load that began before the caller found its table stale may miss the change it
        # ran into; the store would then call the plan stale once more, and we come again.
        loading = self._loading.get(merchant_id)
        if loading is None:
            loading = asyncio.create_task(self._load(merchant_id))
            self._loading[merchant_id] = loading
        return await asyncio.shield(loading)

    def outdate(self, merchant_id: MerchantId) -> None:
        """Forget the table, because it was changed: the next to ask loads it as it is now."""
        self._forget(merchant_id)
        # A load under way may have read what was before.
        self._loading.pop(merchant_id, None)

    async def _confirm(self, merchant_id: MerchantId) -> RoutingTable:
        try:
            return await self.current(to_text(MERCHANT, merchant_id))
        except BaseException:
            self._confirmed_at_s.pop(merchant_id, None)
            raise
        finally:
            if self._confirming.get(merchant_id) is asyncio.current_task():
                del self._confirming[merchant_id]

    async def _load(self, merchant_id: MerchantId) -> RoutingTable:
        try:
            found = await self._store.routing([merchant_id])
        finally:
            newest = self._loading.get(merchant_id) is asyncio.current_task()
            if newest:
                del self._loading[merchant_id]
        if not found:
            self._forget(merchant_id)
            raise NotFoundError("no such merchant")
        table = RoutingTable(found[0], self._opener)
        if not newest:
            return table  # for who waited for it; it was outdated meanwhile
        held = self._tables.get(merchant_id)
        if held is not None and held.version > table.version:
            return held
        self._forget(merchant_id)
        self._tables[merchant_id] = table
        self._endpoints_cached += len(table.endpoints)
        while len(self._tables) > 1 and (
            len(self._tables) > TABLES_MAX or self._endpoints_cached > ENDPOINTS_CACHED_MAX
        ):
            self._forget(next(iter(self._tables)))
        return table

    def _forget(self, merchant_id: MerchantId) -> None:
        self._confirmed_at_s.pop(merchant_id, None)
        table = self._tables.pop(merchant_id, None)
        if table is not None:
            self._endpoints_cached -= len(table.endpoints)

    async def _resolve(self, id_or_reference: str) -> MerchantId:
        raw = from_text(MERCHANT, id_or_reference)
        merchant = await self._store.merchant(id_or_reference if raw is None else MerchantId(raw))
        if merchant is None:
            raise NotFoundError("no such merchant")
        # A reference is given once and never changed, so this needs no version.
        if len(self._ids_by_reference) >= TABLES_MAX:
            self._ids_by_reference.clear()
        self._ids_by_reference[id_or_reference] = merchant.id
        return merchant.id
