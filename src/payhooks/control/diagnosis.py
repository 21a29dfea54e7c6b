"""What is wrong with one quarantined receipt, found out when a person opens it.

It tries what was not tried when the receipt came, as that costs up to some hundred signatures: so
neither what takes requests nor what lists receipts asks for it.
"""

from typing import Final

from payhooks.connectors import custom, registry
from payhooks.connectors.contract import Incoming, Provider
from payhooks.connectors.diagnosis import HEADERS_MASKED, Account, Kept, diagnosed, likely
from payhooks.connectors.judging import incoming_of, unkept
from payhooks.control import connectors
from payhooks.control.context import Control
from payhooks.control.receipts import lost
from payhooks.errors import OverloadedError, UnavailableError
from payhooks.limits import CONNECTORS_PER_MERCHANT_MAX
from payhooks.model.connector import Connector, ConnectorStatus
from payhooks.model.merchant import Merchant
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.controlling import Window

_DELETED: Final = (
    "The connector that it came to was deleted, and its secrets with it: it is not verified again."
)
_NOT_OPENED: Final = (
    "The connector's secrets cannot be opened now, so nothing was tried; an operator has to act."
)
_TOO_MANY: Final = (
    "Nothing was tried now, as too many receipts are looked at: open it again in some seconds."
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
    kept = Kept(
        incoming_of(receipt),
        receipt.received_at,
        receipt.reason,
        _unseen(receipt, own.provider),
    )
    try:
        others = await _others(control, merchant, connector, kept.incoming)
        own_format = _own_format(merchant)
        return await control.diagnoses.run(lambda: diagnosed(kept, own, others, own_format))
    except OverloadedError:
        return [_TOO_MANY]


def _unseen(receipt: Receipt, provider: Provider) -> str | None:
    """Return why what stood in its headers is not known; None: it is."""
    if any(each.pointer.startswith("/headers") for each in receipt.findings):
        return HEADERS_MASKED
    return unkept(receipt, provider)


async def _others(
    control: Control, merchant: Merchant, own: Connector, incoming: Incoming
) -> list[Account]:
    """Return further connectors that may be meant, with what can be tried of them."""
    window = Window(limit=CONNECTORS_PER_MERCHANT_MAX)
    known = await control.store.connectors(merchant.id, window)
    further = [one for one in known if one.id != own.id]
    kinds = [(registry.bound(one, merchant), dict(one.options)) for one in further]
    provider = registry.bound(own, merchant)
    places = await control.diagnoses.run(lambda: likely(incoming, provider, kinds))
    accounts = [await _account(control, merchant, further[place]) for place in places]
    return [account for account in accounts if account is not None and account.keys.secrets]


def _own_format(merchant: Merchant) -> Provider | None:
    return None if merchant.custom_dialect is None else custom.bind(merchant.custom_dialect)


async def _account(control: Control, merchant: Merchant, connector: Connector) -> Account | None:
    """Return the connector with its secrets of now; None where they cannot be opened."""
    try:
        keys = await connectors.opened_keys(control, merchant, connector)
    except UnavailableError:
        return None
    provider = registry.bound(connector, merchant)
    return Account(connector.name, provider, keys, dict(connector.options))
