"""Every dialect, by name."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from payhooks.dialects import custom
from payhooks.dialects.cloudevents import CLOUDEVENTS
from payhooks.dialects.contract import Dialect
from payhooks.dialects.foloosi import FOLOOSI
from payhooks.dialects.merchant_console import MERCHANT_CONSOLE
from payhooks.dialects.offered import Offer, accepted
from payhooks.dialects.owlpay import OWLPAY
from payhooks.dialects.owngateway import HYPERSWITCH, OWNGATEWAY
from payhooks.dialects.standard import STANDARD
from payhooks.dialects.stripe import STRIPE
from payhooks.dialects.treezor import TREEZOR
from payhooks.errors import DamagedError, Fault, InvalidError
from payhooks.model.merchant import Merchant

# The group in which a distribution names the dialects that it brings.
ENTRY_POINTS: Final = "payhooks.dialects"
_BUILT_IN: Final[tuple[Dialect, ...]] = (
    STANDARD,
    TREEZOR,
    OWNGATEWAY,
    HYPERSWITCH,
    MERCHANT_CONSOLE,
    FOLOOSI,
    OWLPAY,
    STRIPE,
    CLOUDEVENTS,
    custom.UNDEFINED,
)
_known: Final = {dialect.name: dialect for dialect in _BUILT_IN}
DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(_known)


def register(offers: Sequence[Offer]) -> None:
    """Add dialects that were installed beside ours: all of them, once, before anything is served.

    Raises:
        InvalidError: At ``payhooks.dialects``; names everything that is wrong. None was added.

    """
    added: dict[str, Dialect] = {}
    faults = []
    for offer in offers:
        match accepted(offer.found):
            case str(words):
                pass
            case dialect if dialect.name in _known or dialect.name in added:
                words = f"the name {dialect.name} is taken"
            case dialect:
                added[dialect.name] = dialect
                continue
        detail = f"{offer.origin} is no dialect: {words}."
        faults.append(Fault(pointer=ENTRY_POINTS, code="broken_dialect", detail=detail))
    if faults:
        raise InvalidError(faults)
    _known.update(added)


def bound(name: str, merchant: Merchant) -> Dialect:
    """Return the dialect called *name* as this merchant speaks it.

    Raises:
        DamagedError: It came with a distribution that is not installed any more.

    """
    if name == custom.NAME and merchant.custom_dialect is not None:
        return custom.bind(merchant.custom_dialect)
    try:
        return DIALECTS[name]
    except KeyError:
        # Nothing is lost: events are not accepted and deliveries wait until it is back.
        raise DamagedError(f"no dialect {name} is installed, and an endpoint speaks it") from None


def retry_policy(name: str) -> str:
    """Return the policy of endpoints that speak it and name none.

    Also for a dialect that is not installed any more: whoever looks after all endpoints must not
    stop at one of them.
    """
    return DIALECTS.get(name, STANDARD).retry_policy


def choose(name: str, merchant: Merchant) -> Dialect:
    """Return the dialect called *name*, if an endpoint of this merchant may have it.

    Raises:
        InvalidError: At ``/dialect``; there is none of that name, or the merchant has to say first
            what it is.

    """
    find(name)
    if name == custom.NAME and merchant.custom_dialect is None:
        detail = "Set the merchant's custom_dialect first."
        raise InvalidError.at("/dialect", "undefined_dialect", detail)
    return bound(name, merchant)


def find(name: str) -> Dialect:
    """Return the dialect called *name*.

    Raises:
        InvalidError: At ``/dialect``; there is none of that name.

    """
    dialect = DIALECTS.get(name)
    if dialect is None:
        # 64: difflib's time grows with the square of what it is given.
        near = get_close_matches(name[:64], DIALECTS, n=1)
        choice = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(DIALECTS)}."
        raise InvalidError.at("/dialect", "unknown_dialect", f"No such dialect. {choice}")
    return dialect
