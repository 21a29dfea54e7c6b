"""Inbound, step 1: know whose request it is, keep it, then say what its provider wants to hear.

Whether it is the provider's is decided once, here, on the raw bytes and from memory. What is
kept is group-committed as events are: no answer leaves before the receipt is on the disk.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from payhooks import limits
from payhooks.clock import Clock
from payhooks.connectors.contract import Answer, Incoming, Keys, Provider
from payhooks.connectors.judging import NOTHING_THERE, Judged, judged
from payhooks.errors import (
    NotFetchedError,
    OutcomeUnknownError,
    RateLimitedError,
    SignatureError,
    UnavailableError,
)
from payhooks.flow.allowances import Allowance, Allowances
from payhooks.flow.group_commit import Bounds, GroupCommit
from payhooks.flow.materials import Materials
from payhooks.flow.receipt_guard import HeardCardAlarm, guarded, kept_headers
from payhooks.flow.routing import RoutingTable
from payhooks.ids import MERCHANT, IdSource, ReceiptId, to_text
from payhooks.model.connector import Connector
from payhooks.model.receipt import Receipt, ReceiptState, Verdict
from payhooks.ports.fetching import Fetcher
from payhooks.ports.receiving import ReceivingStore
from payhooks.ports.telemetry import Telemetry

# As of an event: what it says becomes one, and is read again with each that follows it.
BODY_BYTES_MAX: Final = limits.EVENT_BODY_BYTES_MAX
# Of one connector: what is not verified costs a row each and tells nothing new after the first.
UNVERIFIED_PER_S: Final = 10.0
UNVERIFIED_BURST: Final = 100
# What has to be asked for costs the provider a request each.
FETCHED_PER_S: Final = 50.0
FETCHED_BURST: Final = 200
_UNVERIFIED: Final = Allowance("unverified", UNVERIFIED_PER_S, UNVERIFIED_BURST)
_FETCHED: Final = Allowance("fetched", FETCHED_PER_S, FETCHED_BURST)
# While a certificate's host is out of reach, anybody can have it asked for: an alarm a minute.
_ALARMED: Final = Allowance("alarmed", per_s=1 / 60, burst=1)
# Of a request that nothing verified, most of what is kept could be what stands around it. Where a
# secret that comes later may verify it, there is room for whatever that needs.
_HEADERS_BYTES_MAX: Final = MappingProxyType(
    {Verdict.FETCH: 4 * limits.KIB, Verdict.UNVERIFIED: 8 * limits.KIB}
)
_QUARANTINE_MAX: Final = 10_000
_QUARANTINE_BYTES_MAX: Final = 64 * limits.MIB
# So long nobody else claims what this process took: it is processed from memory meanwhile.
HELD_S: Final = 7.0
# A provider is told 503 well within two seconds, so that it tries again.
PATIENCE_S: Final = 1.5
RESEND_AFTER_S: Final = 0.1

BOUNDS: Final = Bounds(
    batch_weight_max=limits.ACCEPT_BATCH_EVENTS_MAX,
    batch_bytes_max=4 * limits.MIB,
    waiting_weight_max=limits.ACCEPT_WAITING_MAX,
    waiting_bytes_max=limits.ACCEPT_WAITING_BYTES_MAX,
    linger_s=limits.ACCEPT_LINGER_S,
    linger_always=False,
    patience_s=PATIENCE_S,
)


async def keep(store: ReceivingStore, receipts: Sequence[Receipt], *, owner: int) -> None:
    """Store receipts, and those that are to be processed as held by *owner* for a while.

    Raises:
        UnavailableError: Nothing was stored, or nobody knows.

    """
    await store.receive(
        receipts,
        owner=owner,
        for_s=HELD_S,
        quarantine_max=_QUARANTINE_MAX,
        quarantine_bytes_max=_QUARANTINE_BYTES_MAX,
    )


def within(
    headers: tuple[tuple[str, str], ...], bytes_max: int | None
) -> tuple[tuple[str, str], ...]:
    """Return the smallest of the headers, in their order, as far as there is room.

    Which of them verify is the provider's to know. All that do are small: a signature, a time, an
    id, a URL; whoever adds larger ones takes the room from nobody else's.
    """
    if bytes_max is None:
        return headers
    sizes = [len(name.encode()) + len(value.encode()) for name, value in headers]
    kept, left = set[int](), bytes_max
    for place in sorted(range(len(headers)), key=sizes.__getitem__):
        left -= sizes[place]
        if left < 0:
            break
        kept.add(place)
    return tuple(header for place, header in enumerate(headers) if place in kept)


class Receiver:
    """Takes what providers send. One per process."""

    def __init__(  # noqa: PLR0913 - every collaborator is named at the call site
        self,
        *,
        store: ReceivingStore,
        clock: Clock,
        ids: IdSource,
        fetcher: Fetcher,
        telemetry: Telemetry,
        owner: int,
        offer: Callable[[Receipt], None],
    ) -> None:
        """Take the collaborators; *offer* is told of what is stored and to be processed."""
        self._store = store
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._owner = owner
        self._offer = offer
        self._allowances = Allowances(clock)
        self._card_alarm = HeardCardAlarm(clock=clock, telemetry=telemetry)
        self._materials = Materials(
            store=store, fetcher=fetcher, clock=clock, allowances=self._allowances
        )
        self.refuses: str | None = None  # why nothing is taken now, in words
        self.group = GroupCommit(self._commit, bounds=BOUNDS)

    async def receive(
        self,
        table: RoutingTable,
        connector: Connector,
        provider: Provider,
        incoming: Incoming,
        *,
        patience_s: float | None = None,
    ) -> Answer:
        """Keep one request, and return what its sender is to be told.

        He waits for *patience_s* at most until it is kept.

        Raises:
            NotFetchedError: What it is verified with cannot be had now; nothing was stored.
            RateLimitedError: Too much of the connector is not verified; nothing was stored.
            UnavailableError: Nothing was stored, or nobody knows.

        """
        if self.refuses is not None:
            raise UnavailableError(self.refuses)
        options = dict(connector.options)
        keys = table.verifying_keys(connector, self._clock.now())
        challenge = provider.challenge(incoming, keys, options)
        if challenge is not None:
            return challenge
        found = await self._judge(connector, provider, incoming, keys)
        self._telemetry.receipt_judged(connector.dialect, found.verdict)
        if found.by_older_secret:
            self._telemetry.older_secret_used(connector.dialect)
        self._demand_rate(connector, found.verdict)
        answer = provider.answer(verified=found.verdict is not Verdict.UNVERIFIED)
        brought = self._receipt(connector, provider, incoming, found, answer)
        receipt = guarded(brought, own_ids=provider.own_ids)
        self._card_alarm.found(receipt)
        try:
            async with asyncio.timeout(patience_s):
                await self.group.submit(
                    receipt, turn=connector.merchant_id, bytes_=len(receipt.body)
                )
        except TimeoutError:
            # It goes on, and what comes again is the same.
            raise OutcomeUnknownError("the store does not answer") from None
        return answer

    def turned_away(self, status: int, request_id: str) -> None:
        """Take note that a request was answered with a problem, whether or not it was for anybody.

        Nothing here depends on which: a stranger could time it.
        """
        self._telemetry.request_turned_away(status, request_id)

    async def drain(self) -> None:
        """Return when everything that was taken has its answer."""
        await self.group.drain()

    async def _judge(
        self, connector: Connector, provider: Provider, incoming: Incoming, keys: Keys
    ) -> Judged:
        options = dict(connector.options)
        try:
            url = provider.needs(incoming, options)
        except SignatureError as error:
            return Judged(Verdict.UNVERIFIED, error.reason)
        if url is not None:
            material = await self._material(url, connector, provider)
            if material is None:
                return Judged(Verdict.UNVERIFIED, NOTHING_THERE)
            keys = keys._replace(materials={url: material})
        return judged(provider, incoming, keys, self._clock.now(), options)

    async def _material(self, url: str, connector: Connector, provider: Provider) -> bytes | None:
        try:
            return await self._materials.find(url, connector, provider)
        except UnavailableError as error:
            # No receipt is made of it: nothing else says that the provider was here.
            self._telemetry.receipt_unjudged(connector.dialect)
            if isinstance(error, NotFetchedError):
                self._alarm(connector, f"{urlsplit(url).hostname}: {error}")
            raise

    def _alarm(self, connector: Connector, words: str) -> None:
        try:
            self._allowances.spend(connector.id, _ALARMED)
        except RateLimitedError:
            return
        whose = to_text(MERCHANT, connector.merchant_id)
        self._telemetry.alarmed("not_fetched", f"{connector.name} of {whose}: {words}")

    def _demand_rate(self, connector: Connector, verdict: Verdict) -> None:
        match verdict:
            case Verdict.VERIFIED:
                return
            case Verdict.UNVERIFIED:
                self._allowances.spend(connector.id, _UNVERIFIED)
            case Verdict.FETCH:
                self._allowances.spend(connector.id, _FETCHED)

    def _receipt(
        self,
        connector: Connector,
        provider: Provider,
        incoming: Incoming,
        found: Judged,
        answer: Answer,
    ) -> Receipt:
        verified = found.verdict is not Verdict.UNVERIFIED
        headers = kept_headers(incoming.headers, provider.own_headers)
        return Receipt(
            id=ReceiptId(self._ids.new()),
            merchant_id=connector.merchant_id,
            connector_id=connector.id,
            method=incoming.method,
            query=incoming.query,
            headers=within(headers, _HEADERS_BYTES_MAX.get(found.verdict)),
            body=incoming.body,
            body_sha256=hashlib.sha256(incoming.body).digest(),
            verdict=found.verdict,
            answered=answer.status,
            reason=found.reason,
            state=ReceiptState.RECEIVED if verified else ReceiptState.QUARANTINED,
        )

    async def _commit(self, receipts: list[Receipt]) -> list[None]:
        now_s = self._clock.monotonic_s()
        while True:
            try:
                await keep(self._store, receipts, owner=self._owner)
                break
            except OutcomeUnknownError:
                if self._clock.monotonic_s() - now_s > limits.ACCEPT_GIVE_UP_S:
                    raise
                await asyncio.sleep(RESEND_AFTER_S)
        took_s = self._clock.monotonic_s() - now_s
        self._telemetry.batch_committed("receive", rows=len(receipts), took_s=took_s)
        for receipt in receipts:
            if receipt.state is ReceiptState.RECEIVED:
                self._offer(receipt)
        return [None] * len(receipts)
