"""What requests are verified with and only name: certificates, fetched from their owner and kept.

Anybody may name one that is not there, and each costs its owner a request: so they are fetched
within a rate. That must keep the provider out no more than his host being busy: what was had
before is used, and what his own messages were verified with is fetched beside what strangers name.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from payhooks.clock import Clock
from payhooks.connectors.contract import Options, Provider
from payhooks.connectors.judging import incoming_of, material_in
from payhooks.errors import (
    NotFetchedError,
    RateLimitedError,
    SignatureError,
    UnavailableError,
)
from payhooks.flow.allowances import Allowance, Allowances
from payhooks.ids import ConnectorId
from payhooks.model.connector import Connector
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.controlling import Window
from payhooks.ports.fetching import Fetch, Fetcher
from payhooks.ports.receiving import ReceiptFilter, ReceivingStore

# Apart from all else that is counted: what strangers send must not use up what the provider needs.
_STRANGE: Final = Allowance("strange material", per_s=50.0, burst=200)
_FAMILIAR: Final = Allowance("familiar material", per_s=50.0, burst=200)
_HELD_MAX: Final = 100
_HELD_S: Final = 3_600.0
# While its owner is busy, each fetch keeps one request waiting for as long as it takes.
_FETCHED_AGAIN_S: Final = 60.0
_FAMILIAR_MAX: Final = 10_000  # connectors
_FAMILIAR_S: Final = 60.0
# Receipts may be large. A provider signs with one certificate at a time.
_LOOKED_AT_MAX: Final = 5
_VERIFIED: Final = tuple(state for state in ReceiptState if state is not ReceiptState.QUARANTINED)


class _Held(NamedTuple):
    """What was at a URL, and until when nobody asks again."""

    material: bytes
    until_s: float


class _Familiar(NamedTuple):
    """What a connector's messages were verified with, and when its receipts were looked at."""

    urls: frozenset[str]
    at_s: float


class Materials:
    """What was fetched, by URL. One per process."""

    def __init__(
        self, *, store: ReceivingStore, fetcher: Fetcher, clock: Clock, allowances: Allowances
    ) -> None:
        self._store = store
        self._fetcher = fetcher
        self._clock = clock
        self._allowances = allowances
        self._held = OrderedDict[str, _Held]()
        self._familiar = OrderedDict[ConnectorId, _Familiar]()

    async def find(self, url: str, connector: Connector, provider: Provider) -> bytes | None:
        """Return what is at the URL; None where its owner says that nothing is.

        Raises:
            NotFetchedError: There is no answer now, and there was none before.
            RateLimitedError: Too many were asked for that nobody had asked for before.
            UnavailableError: The store does not say what the provider's own messages name.

        """
        now_s = self._clock.monotonic_s()
        held = self._held.get(url)
        if held is not None and now_s <= held.until_s:
            return held.material
        if held is None:
            await self._spend(url, connector, provider)
        else:
            # Whoever comes until there is an answer, or while there is none, goes by what was had:
            # for how long that is good, it says itself.
            self._held[url] = held._replace(until_s=now_s + _FETCHED_AGAIN_S)
        try:
            answer = await self._fetcher.fetch(Fetch(url=url))
            material = material_in(answer.status, answer.body)
        except UnavailableError as error:
            if held is None:
                raise NotFetchedError(str(error)) from error
            return held.material
        if material is None:
            self._held.pop(url, None)
            return None
        # What came is judged by who asked for it: a wrong one verifies nothing.
        self._held[url] = _Held(material, now_s + _HELD_S)
        while len(self._held) > _HELD_MAX:
            self._held.popitem(last=False)
        return material

    async def _spend(self, url: str, connector: Connector, provider: Provider) -> None:
        try:
            self._allowances.spend(connector.id, _STRANGE)
        except RateLimitedError:
            # After a start nothing is held, and a stranger may have named two hundred by then.
            if url not in await self._familiar_to(connector, provider):
                raise
            self._allowances.spend(connector.id, _FAMILIAR)

    async def _familiar_to(self, connector: Connector, provider: Provider) -> frozenset[str]:
        """Return where what the connector's newest messages were verified with is."""
        now_s = self._clock.monotonic_s()
        before = self._familiar.get(connector.id)
        if before is not None and now_s - before.at_s <= _FAMILIAR_S:
            return before.urls
        known = frozenset[str]() if before is None else before.urls
        # At once, so that of a flood one looks.
        self._familiar[connector.id] = _Familiar(known, now_s)
        while len(self._familiar) > _FAMILIAR_MAX:
            self._familiar.popitem(last=False)
        which = ReceiptFilter(connector_id=connector.id, states=_VERIFIED)
        newest = await self._store.receipts(
            connector.merchant_id, which, Window(limit=_LOOKED_AT_MAX)
        )
        options = dict(connector.options)
        named = {_needed(provider, receipt, options) for receipt in newest}
        urls = frozenset(url for url in named if url is not None)
        self._familiar[connector.id] = _Familiar(urls, now_s)
        return urls


def _needed(provider: Provider, receipt: Receipt, options: Options) -> str | None:
    try:
        return provider.needs(incoming_of(receipt), options)
    except SignatureError:
        return None  # something of it was masked before it was kept
