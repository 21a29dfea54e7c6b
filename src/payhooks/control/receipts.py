"""Receipts at a person's hand: found, and read again once the secret or the decoder is mended.

Whose request it is was decided on the raw bytes as it came. A quarantined one is judged once
more, with the secrets as they are now and as of the time at which it came; nobody can say of a
receipt that it is the provider's, only show it with the right secret.
"""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from payhooks import ids
from payhooks.connectors import registry
from payhooks.connectors.contract import Keys, Provider, Source
from payhooks.connectors.judging import (
    NOTHING_THERE,
    Judged,
    incoming_of,
    judged,
    material_in,
    unkept,
)
from payhooks.control import connectors
from payhooks.control.context import Caller, Control, audit_entry
from payhooks.errors import (
    InvalidError,
    NotFoundError,
    SignatureError,
    UnavailableError,
    WrongStateError,
)
from payhooks.ids import ReceiptId
from payhooks.limits import MIB, SLICE_ROWS_MAX
from payhooks.model.audit import AuditEntry
from payhooks.model.connector import Connector, ConnectorStatus
from payhooks.model.merchant import Merchant
from payhooks.model.receipt import REPROCESSABLE, Receipt, ReceiptState, Verdict
from payhooks.ports.controlling import Window
from payhooks.ports.fetching import Fetch
from payhooks.ports.receiving import ReceiptFilter

LOOKED_AT_MAX: Final = 10_000  # as many as a quarantine holds
# Put back in one transaction: whoever has more asks again.
REPROCESSED_MAX: Final = SLICE_ROWS_MAX
_HELD_BYTES_MAX: Final = 16 * MIB
_AT_ONCE: Final = 20  # of the largest size, 20 MiB
# Whoever forges names what is to be fetched; more of it is not asked for in one go, and with the
# first that names more a walk ends.
_MATERIALS_MAX: Final = 10
# Whether one that conflicts is news a person decides, of each by itself.
_WITHOUT_ASKING: Final = REPROCESSABLE - {ReceiptState.CONFLICTING}
# With it, and PayPal's way to sign, whoever reads could have what he wrote taken for PayPal's.
_NOT_SHOWN: Final = frozenset({"paypal-transmission-sig"})
_HIDDEN: Final = "(kept, not shown)"
# Adyen's and Treezor's stand in the body and are of a part of it alone: with one, whoever reads
# could have the rest, a capture's reason and its time, be what he wrote.
_SIGNATURES_IN_BODIES: Final = re.compile(
    rb'("(?:hmacSignature|object_payload_signature)"\s*:\s*)"(?:[^"\\]|\\.)*"'
)


class Reprocessed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of many receipts that were to be read again."""

    done: int
    unverified: int  # still; they stay in the quarantine
    # The last that was looked at, where there are more: to go on after it. Who begins anew instead
    # meets first those again that stayed, and those that are in the same state once more.
    following: ReceiptId | None


async def find(control: Control, merchant: Merchant, text: str) -> Receipt:
    """Return the merchant's receipt with this printed id.

    Raises:
        NotFoundError: There is none, or it is another merchant's.

    """
    receipt_id = ids.from_text(ids.RECEIPT, text)
    if receipt_id is not None:
        receipt = await control.store.receipt(merchant.id, ReceiptId(receipt_id))
        if receipt is not None:
            return receipt
    raise NotFoundError("There is no such receipt.")


async def listed(
    control: Control, merchant: Merchant, which: ReceiptFilter, window: Window
) -> list[Receipt]:
    """Return receipts, newest first."""
    return await control.store.receipts(merchant.id, which, window)


def is_masked(receipt: Receipt) -> bool:
    """Whether card data was masked in it: what is kept is not what came."""
    return not hmac.compare_digest(hashlib.sha256(receipt.body).digest(), receipt.body_sha256)


def lost(receipt: Receipt, provider: Provider) -> str | None:
    """Return in words what a second look lacks; None: it sees what the first one saw."""
    if is_masked(receipt):
        return (
            "Card data in it was masked before it was kept, and the signature is of what came;"
            " have the provider send it again."
        )
    if provider.source is Source.CREDENTIALS:
        return "The credentials that came with it are not kept; have the provider send it again."
    return None


def shown_headers(receipt: Receipt) -> tuple[tuple[str, str], ...]:
    """Return the headers as anybody may see them who may see the receipt."""
    return tuple(
        (name, _HIDDEN if name in _NOT_SHOWN else value) for name, value in receipt.headers
    )


def shown_body(receipt: Receipt) -> bytes:
    """Return the body as anybody may see it who may see the receipt."""
    return _SIGNATURES_IN_BODIES.sub(rb'\1"%b"' % _HIDDEN.encode(), receipt.body)


async def reprocess(
    control: Control,
    caller: Caller,
    merchant: Merchant,
    receipts: Sequence[Receipt],
    *,
    despite_conflict: bool = False,
) -> int:
    """Have receipts read again; return how many. Either all can be, or none is touched.

    Raises:
        WrongStateError: One was read, is still not verified (this says why), conflicts, or does
            not although it is to be told despite that.
        UnavailableError: What it is verified with cannot be had now.

    """
    judges: dict[bytes, _Judge] = {}
    anew = []
    now = control.clock.now()
    for receipt in receipts:
        _demand_state(receipt, despite_conflict=despite_conflict)
        if receipt.connector_id not in judges:
            judges[receipt.connector_id] = await _Judge.of(control, merchant, receipt)
        found = await judges[receipt.connector_id].look(receipt)
        if found.verdict is Verdict.UNVERIFIED:
            raise WrongStateError(f"It is still not verified. {found.reason or ''}".strip())
        anew.append(_anew(receipt, found.verdict, now, despite_conflict=despite_conflict))
    if not anew:
        return 0
    target = (
        ids.to_text(ids.RECEIPT, anew[0].id)
        if len(anew) == 1
        else ids.to_text(ids.CONNECTOR, anew[0].connector_id)
    )
    entry = _entry(control, caller, merchant, receipts, target=target)
    return await control.store.reprocess(anew, audit=entry)


async def reprocess_all(  # noqa: PLR0913 - every part is named at the call site
    control: Control,
    caller: Caller,
    merchant: Merchant,
    connector: Connector,
    *,
    states: Sequence[ReceiptState],
    after: ReceiptId | None = None,
    limit: int = LOOKED_AT_MAX,
) -> Reprocessed:
    """Have the connector's receipts in these states read again, *limit* at most, oldest first.

    Those that are still not verified stay where they are.

    Raises:
        InvalidError: Receipts in one of these states are not read again.

    """
    if not states or not set(states) <= _WITHOUT_ASKING:
        detail = f"There are: {', '.join(sorted(_WITHOUT_ASKING))}."
        raise InvalidError.at("/states", "not_reprocessable", detail)
    judge = await _Judge.with_keys(control, merchant, connector)
    walk = _Walk(judge, control.clock.now(), after=after, limit=limit)
    more = True
    while more and (room := walk.room):
        # News of money in the order in which it came: what it means depends on what was before.
        page = await control.store.reprocessable(
            merchant.id, connector.id, states, after=walk.last, limit=room
        )
        more = len(page) == room
        try:
            for receipt in page:
                # Each may be a megabyte that is hashed; others come to work in between.
                await asyncio.sleep(0)
                await walk.look(receipt)
        except _SpentError:
            # It was not looked at: to call it unverified would hide what comes behind forgeries.
            more = True
            break
    done = 0
    if walk.anew:
        target = ids.to_text(ids.CONNECTOR, connector.id)
        entry = _entry(control, caller, merchant, walk.anew, target=target)
        done = await control.store.reprocess(walk.anew, audit=entry)
    following = walk.last if more else None
    return Reprocessed(done=done, unverified=walk.unverified, following=following)


def _demand_state(receipt: Receipt, *, despite_conflict: bool) -> None:
    if receipt.state not in REPROCESSABLE:
        raise WrongStateError(f"A receipt that is {receipt.state} is not read again.")
    conflicts = receipt.state is ReceiptState.CONFLICTING
    if despite_conflict and not conflicts:
        raise WrongStateError("This receipt does not conflict with another.")
    if conflicts and not despite_conflict:
        detail = "Read again it still would; despite_conflict has it told all the same."
        raise WrongStateError(f"This receipt conflicts with what the provider said. {detail}")


def _anew(receipt: Receipt, verdict: Verdict, now: datetime, *, despite_conflict: bool) -> Receipt:
    return msgspec.structs.replace(
        receipt,
        state=ReceiptState.RECEIVED,
        verdict=verdict,
        reason=None,
        detail=None,
        despite_conflict=receipt.despite_conflict or despite_conflict,
        put_back_at=now,
    )


def _entry(
    control: Control,
    caller: Caller,
    merchant: Merchant,
    receipts: Sequence[Receipt],
    *,
    target: str,
) -> AuditEntry:
    return audit_entry(
        control,
        caller,
        merchant_id=merchant.id,
        action="receipt.reprocessed",
        target=target,
        changes={"receipts": [None, len(receipts)]},
    )


class _SpentError(UnavailableError):
    """What a receipt is verified with is one more than are asked for in one go."""


class _Walk:
    """Goes through receipts as far as one call may, and remembers how far that was."""

    def __init__(
        self, judge: "_Judge", now: datetime, *, after: ReceiptId | None, limit: int
    ) -> None:
        self.anew: list[Receipt] = []
        self.unverified = 0
        self.last = after
        self._judge = judge
        self._now = now
        self._left = limit
        self._held_bytes = 0

    @property
    def room(self) -> int:
        """How many more it takes now; 0: no more."""
        if self._held_bytes >= _HELD_BYTES_MAX:
            return 0
        return min(_AT_ONCE, self._left, REPROCESSED_MAX - len(self.anew))

    async def look(self, receipt: Receipt) -> None:
        """Look at the next one.

        Raises:
            _SpentError: Not in this call.

        """
        found = await self._judge.look_or_leave(receipt)
        self.last = receipt.id
        self._left -= 1
        if found.verdict is Verdict.UNVERIFIED:
            self.unverified += 1
            return
        self.anew.append(_anew(receipt, found.verdict, self._now, despite_conflict=False))
        self._held_bytes += len(receipt.body)


class _Judge:
    """Says of one connector's kept requests whose they are, with the secrets of now."""

    def __init__(
        self, control: Control, provider: Provider, connector: Connector, keys: Keys
    ) -> None:
        self._control = control
        self._provider = provider
        self._options = dict(connector.options)
        self._keys = keys
        self._materials: dict[str, bytes | UnavailableError | None] = {}

    @classmethod
    async def of(cls, control: Control, merchant: Merchant, receipt: Receipt) -> "_Judge":
        """Return the judge of the connector that brought the receipt."""
        connector = await control.store.connector(merchant.id, receipt.connector_id)
        if connector is None or connector.status is ConnectorStatus.DELETED:
            raise WrongStateError("The connector of this receipt was deleted.")
        return await cls.with_keys(control, merchant, connector)

    @classmethod
    async def with_keys(
        cls, control: Control, merchant: Merchant, connector: Connector
    ) -> "_Judge":
        """Return the judge of a connector."""
        keys = await connectors.opened_keys(control, merchant, connector)
        # What came with a request to show who sends it was not kept: the signature has to do.
        keys = keys._replace(credential=None)
        return cls(control, registry.bound(connector, merchant), connector, keys)

    async def look(self, receipt: Receipt) -> Judged:
        """Return the verdict; what was verified once, stays so.

        Raises:
            UnavailableError: What it is verified with cannot be had now.

        """
        if receipt.state is not ReceiptState.QUARANTINED:
            return Judged(receipt.verdict)
        lacking = lost(receipt, self._provider)
        if lacking is not None:
            return Judged(Verdict.UNVERIFIED, lacking)
        incoming = incoming_of(receipt)
        try:
            url = self._provider.needs(incoming, self._options)
        except SignatureError as error:
            return Judged(Verdict.UNVERIFIED, error.reason)
        keys = self._keys
        if url is not None:
            material = await self._material(url)
            if material is None:
                return Judged(Verdict.UNVERIFIED, NOTHING_THERE)
            keys = keys._replace(materials={url: material})
        found = judged(self._provider, incoming, keys, receipt.received_at, self._options)
        if found.verdict is not Verdict.UNVERIFIED:
            return found
        return found._replace(reason=unkept(receipt, self._provider) or found.reason)

    async def look_or_leave(self, receipt: Receipt) -> Judged:
        """Return the verdict; where it cannot be had now, it is not verified.

        Raises:
            _SpentError: It was not looked for.

        """
        try:
            return await self.look(receipt)
        except _SpentError:
            raise
        except UnavailableError as error:
            return Judged(Verdict.UNVERIFIED, str(error))

    async def _material(self, url: str) -> bytes | None:
        """Return what is at a URL; None: nothing. Each is asked for once.

        Raises:
            UnavailableError: Nobody says.

        """
        if url not in self._materials:
            if self._control.fetcher is None:
                raise UnavailableError("nothing can be fetched from here")
            if len(self._materials) >= _MATERIALS_MAX:
                raise _SpentError("too many certificates are named; try again later")
            try:
                answer = await self._control.fetcher.fetch(Fetch(url=url))
                self._materials[url] = material_in(answer.status, answer.body)
            except UnavailableError as error:
                self._materials[url] = error
        material = self._materials[url]
        if isinstance(material, UnavailableError):
            raise material
        return material
