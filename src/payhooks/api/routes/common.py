"""What routes share: grants, versions, filters."""

import re
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Annotated, Any, Final, ParamSpec

from fastapi import Depends, Header, Path, Response

from payhooks.api.auth import Granted, InstallationAccess, TenantAccess
from payhooks.api.schemas.responses import ProblemView
from payhooks.control.context import upon_what_is_there
from payhooks.errors import InvalidError, StaleVersionError
from payhooks.model.key import Scope


def _refusals(*statuses: str) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": "A problem.", "model": ProblemView} for status in statuses}


# Every route can be refused; which problem it is, its type says.
PROBLEMS: Final = _refusals("4XX", "5XX")

_ETAG: Final = re.compile(r'(?:W/)?"?([0-9]{1,9})"?')

_Parts = ParamSpec("_Parts")

IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="The ETag that the change is based on.", max_length=64),
]
TextId = Annotated[str, Path(max_length=64)]


def if_version(if_match: str | None) -> int | None:
    """Return the version that an If-Match names; None where the caller does not mind.

    Raises:
        StaleVersionError: It names none that we ever gave.

    """
    if if_match is None or if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match.strip())
    if found is None:
        raise StaleVersionError("The If-Match is none of our ETags.")
    return int(found[1])


def unconditional(
    route: Callable[_Parts, Awaitable[Response]],
) -> Callable[_Parts, Awaitable[Response]]:
    """Return the route of an edit, which without an If-Match is made upon whatever is there.

    Else who sent none, and was met by another edit, would be told to read again what they may
    never have read. The route must read what it edits: what it was granted is read once.
    """

    @wraps(route)
    async def repeated(*args: _Parts.args, **kwargs: _Parts.kwargs) -> Response:
        if kwargs.get("if_match") in {None, "*"}:
            return await upon_what_is_there(partial(route, *args, **kwargs))
        return await route(*args, **kwargs)

    return repeated


def demand_order(gte: object, lt: object, *, pointer: str = "?created[lt]") -> None:
    """Refuse a span of time that ends before it begins."""
    if gte is not None and lt is not None and not gte < lt:  # type: ignore[operator]  # two datetimes
        raise InvalidError.at(pointer, "out_of_range", "The span ends before it begins.")


def tenant(*scopes: Scope) -> Any:  # noqa: ANN401 - FastAPI's Depends has no type of its own
    """Return the dependency of a route of one merchant that needs all of *scopes*."""
    return Depends(TenantAccess(*scopes))


def installation(scope: Scope) -> Any:  # noqa: ANN401 - as above
    """Return the dependency of a route of the whole installation that needs *scope*."""
    return Depends(InstallationAccess(scope))


EventsRead = Annotated[Granted, tenant(Scope.EVENTS_READ)]
EventsWrite = Annotated[Granted, tenant(Scope.EVENTS_WRITE)]
EndpointsRead = Annotated[Granted, tenant(Scope.ENDPOINTS_READ)]
EndpointsWrite = Annotated[Granted, tenant(Scope.ENDPOINTS_WRITE)]
SecretsRead = Annotated[Granted, tenant(Scope.SECRETS_READ)]
DeliveriesRead = Annotated[Granted, tenant(Scope.DELIVERIES_READ)]
FeedRead = Annotated[Granted, tenant(Scope.DELIVERIES_READ, Scope.EVENTS_READ)]
DeliveriesWrite = Annotated[Granted, tenant(Scope.DELIVERIES_WRITE)]
ConnectorsRead = Annotated[Granted, tenant(Scope.CONNECTORS_READ)]
ConnectorsWrite = Annotated[Granted, tenant(Scope.CONNECTORS_WRITE)]
KeysRead = Annotated[Granted, tenant(Scope.KEYS_READ)]
KeysWrite = Annotated[Granted, tenant(Scope.KEYS_WRITE)]
AuditRead = Annotated[Granted, tenant(Scope.AUDIT_READ)]
TeamRead = Annotated[Granted, tenant(Scope.TEAM_READ)]
TeamWrite = Annotated[Granted, tenant(Scope.TEAM_WRITE)]
MerchantRead = Annotated[Granted, tenant(Scope.MERCHANT_READ)]
MerchantWrite = Annotated[Granted, tenant(Scope.MERCHANT_WRITE)]
Operator = Annotated[Granted, installation(Scope.OPERATOR)]
OperatorOfMerchant = Annotated[Granted, tenant(Scope.OPERATOR)]
CatalogueRead = Annotated[Granted, installation(Scope.EVENTS_READ)]
