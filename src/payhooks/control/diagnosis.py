"""What is wrong with one quarantined receipt, found out when a person opens it.

It tries what was not tried when the receipt came, as that costs up to some hundred signatures: so
neither what takes requests nor what lists receipts asks for it.
"""

import asyncio
from itertools import chain
from typing import Final

from payhooks.connectors import registry
from payhooks.connectors.contract import Incoming
from payhooks.connectors.diagnosis import Account, diagnosed
from payhooks.connectors.judging import incoming_of
from payhooks.control import connectors
from payhooks.control.context import Control
from payhooks.control.receipts import lost
from payhooks.errors import UnavailableError
from payhooks.limits import CONNECTORS_PER_MERCHANT_MAX
from payhooks.model.connector import Connector, ConnectorStatus
from payhooks.model.merchant import Merchant
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.controlling import Window

# Each has up to five secrets, and each of these a signature to be made.
_OTHERS_MAX: Final = 20
_DELETED: Final = (
    "The connector that it came to was deleted, and its secrets with it: it is not verified again."
)
_NOT_OPENED: Final = (
    "The connector's secrets cannot be opened now, so nothing was tried; an operator has to act."
)


async def diagnosis(control: Control, merchant: Merchant, receipt: Receipt) -> list[str]:
    """Return what is known of why the merchant's receipt is not verified, in sentences.

    The most certain first; empty where it is not in quarantine, or its reason says all. Nothing
    is fetched.
    """
    if receipt.state is not ReceiptState.QUARANTINED:
        return []
    connector = await control.store.connector(merchant.id, receipt.connector_id)
    if connector is None or connector.status is ConnectorStatus.DELETED:
        return [_DELETED]
    lacking = lost(receipt, registry.bound(connector, merchant))
    if lacking is not None:
        return [lacking]
    own = await _account(control, merchant, connector)
    if own is None:
        return [_NOT_OPENED]
    incoming = incoming_of(receipt)
    others = await _others(control, merchant, connector, incoming)
    # A body may be 256 KiB, and is hashed for each: others come to work meanwhile.
    return await asyncio.to_thread(
        diagnosed,
        incoming,
        receipt.received_at,
        own,
        others,
        headers_masked=any(each.pointer.startswith("/headers") for each in receipt.findings),
    )


async def _others(
    control: Control, merchant: Merchant, own: Connector, incoming: Incoming
) -> list[Account]:
    """Return further connectors that may be meant: those of the same provider first."""
    window = Window(limit=CONNECTORS_PER_MERCHANT_MAX)
    known = await control.store.connectors(merchant.id, window)
    further = [one for one in known if one.id != own.id and _may_fit(merchant, one, incoming)]
    alike = (one for one in further if one.dialect == own.dialect)
    unlike = (one for one in further if one.dialect != own.dialect)
    likely = list(chain(alike, unlike))[:_OTHERS_MAX]
    accounts = [await _account(control, merchant, one) for one in likely]
    return [account for account in accounts if account is not None]


def _may_fit(merchant: Merchant, connector: Connector, incoming: Incoming) -> bool:
    provider = registry.bound(connector, merchant)
    return provider.missing(incoming, dict(connector.options)) is None


async def _account(control: Control, merchant: Merchant, connector: Connector) -> Account | None:
    """Return the connector with its secrets of now; None where they cannot be opened."""
    try:
        keys = await connectors.opened_keys(control, merchant, connector)
    except UnavailableError:
        return None
    provider = registry.bound(connector, merchant)
    return Account(connector.name, provider, keys, dict(connector.options))
