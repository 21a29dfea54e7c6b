"""Every provider that we hear, by name."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from payhooks.connectors import custom
from payhooks.connectors.adyen import ADYEN
from payhooks.connectors.contract import Provider
from payhooks.connectors.foloosi import FOLOOSI, FOLOOSI_SIGNED, is_signed
from payhooks.connectors.merchant_console import MERCHANT_CONSOLE
from payhooks.connectors.mollie import MOLLIE
from payhooks.connectors.owlpay import OWLPAY
from payhooks.connectors.owngateway import HYPERSWITCH, OWNGATEWAY
from payhooks.connectors.paypal import PAYPAL
from payhooks.connectors.standard import CLOUDEVENTS, STANDARD
from payhooks.connectors.stripe import STRIPE
from payhooks.connectors.treezor import TREEZOR
from payhooks.errors import InvalidError
from payhooks.model.connector import Connector
from payhooks.model.merchant import Merchant

_BUILT_IN: Final[tuple[Provider, ...]] = (
    OWLPAY,
    TREEZOR,
    MERCHANT_CONSOLE,
    FOLOOSI,
    OWNGATEWAY,
    HYPERSWITCH,
    STRIPE,
    ADYEN,
    MOLLIE,
    PAYPAL,
    STANDARD,
    CLOUDEVENTS,
    custom.CUSTOM,
)
PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType(
    {provider.name: provider for provider in _BUILT_IN}
)


def find(name: str) -> Provider:
    """Return the provider called *name*.

    Raises:
        InvalidError: At ``/dialect``; there is none of that name.

    """
    provider = PROVIDERS.get(name)
    if provider is None:
        # 64: difflib's time grows with the square of what it is given.
        near = get_close_matches(name[:64], PROVIDERS, n=1)
        choice = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(PROVIDERS)}."
        raise InvalidError.at("/dialect", "unknown_dialect", f"No such provider. {choice}")
    return provider


def bound(connector: Connector, merchant: Merchant) -> Provider:
    """Return the connector's provider, as this merchant hears it."""
    if connector.dialect == FOLOOSI.name and is_signed(dict(connector.options)):
        return FOLOOSI_SIGNED
    if connector.dialect == custom.CUSTOM.name and merchant.custom_dialect is not None:
        return custom.bind(merchant.custom_dialect)
    return PROVIDERS[connector.dialect]
