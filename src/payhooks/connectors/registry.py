"""Every provider that we hear, by name."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from payhooks.connectors.contract import Provider
from payhooks.errors import InvalidError
from payhooks.model.connector import Connector
from payhooks.model.merchant import Merchant

_BUILT_IN: Final[tuple[Provider, ...]] = ()
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
    return PROVIDERS[connector.dialect]
