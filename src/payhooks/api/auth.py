"""Who calls, and what each route demands of them.

A route without a declared permission does not start: ``demand_declared`` looks at every one.
The operator's key opens everything; a merchant's key opens its merchant, within its scopes.
"""

import hmac
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, FastAPI, Path, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from payhooks.api import asgi, unasked
from payhooks.api.problems import Kind, Problem, ProblemError
from payhooks.api.services import Services
from payhooks.clock import Clock
from payhooks.control import key_text, keys, merchants
from payhooks.control.context import Caller, Control
from payhooks.errors import UnauthenticatedError
from payhooks.model.key import Scope
from payhooks.model.merchant import Merchant

OPERATOR_ACTOR: Final = "operator"
# Far above any key we make; longer texts are not even hashed.
CREDENTIAL_CHARS_MAX: Final = 256
FAILURES_FREE: Final = 20
_BACK_OFF_S_MAX: Final = 300.0
_ADDRESSES_MAX: Final = 10_000
_MERCHANT_CHARS_MAX: Final = 64


class FailedLogins:
    """How often each address came with a key that is none; after twenty it is told to wait.

    A valid key passes all the same: keys have 256 random bits, so guessing is hopeless and
    the wait only spares us work. Several merchants behind one address do not block each other.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def failed(self, address: str) -> Exception:
        """Count one, and return what the request ends with: 401 at first, then 429."""
        now_s = self._clock.monotonic_s()
        count, until_s = self._failures.pop(address, (0, now_s))
        # A quiet spell as long as the longest wait starts the count anew.
        count = 1 if now_s > until_s + _BACK_OFF_S_MAX else count + 1
        wait_s = 0.0
        if count > FAILURES_FREE:
            wait_s = min(2.0 ** min(count - FAILURES_FREE, 16), _BACK_OFF_S_MAX)
        self._failures[address] = (count, now_s + wait_s)
        while len(self._failures) > _ADDRESSES_MAX:
            self._failures.popitem(last=False)
        if not wait_s:
            return UnauthenticatedError("not a live key")
        detail = f"Too many invalid keys from this address; wait {wait_s:.0f} seconds."
        limit = f'"failed-logins";r=0;t={wait_s:.0f}'
        policy = f'"failed-logins";q={FAILURES_FREE};w={_BACK_OFF_S_MAX:.0f}'
        return ProblemError(
            Problem(
                kind=Kind.RATE_LIMITED,
                detail=detail,
                retry_after_s=wait_s,
                headers=(("ratelimit-policy", policy), ("ratelimit", limit)),
            )
        )


class Authenticator:
    """From a request's Authorization header to a Caller. One per process."""

    def __init__(self, services: Services) -> None:
        self._control = services.control
        self._operator_digest = services.operator_digest
        self._failed_logins = FailedLogins(services.control.clock)
        self.address_of = services.peers.address_of

    def credential(self, scope: asgi.Scope) -> str:
        """Return the key that the request shows, whatever it is.

        Raises:
            UnauthenticatedError, ProblemError: It shows none, or more than one.

        """
        raws = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(raws) != 1:
            raise self.refusal(scope)
        raw: bytes = raws[0]
        scheme, _, text = raw.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not 0 < len(text) <= CREDENTIAL_CHARS_MAX:
            raise self.refusal(scope)
        return text

    def operator(self, scope: asgi.Scope, digest: bytes) -> Caller | None:
        """Return the caller if *digest* is that of the operator key of the settings."""
        if self._operator_digest is None:
            return None
        if not hmac.compare_digest(digest, self._operator_digest):
            return None
        return Caller(
            actor=OPERATOR_ACTOR,
            scopes=frozenset({Scope.OPERATOR}),
            request_id=scope["state"]["request_id"],
            ip=self.address_of(scope),
        )

    async def caller(self, scope: asgi.Scope) -> Caller:
        """Return who calls.

        Raises:
            UnauthenticatedError, ProblemError: Nobody we know.

        """
        text = self.credential(scope)
        operator = self.operator(scope, key_text.digest(text))
        if operator is not None:
            return operator
        try:
            key = await keys.authenticate(self._control, text)
        except UnauthenticatedError:
            raise self.refusal(scope) from None
        return keys.caller_of(
            key, request_id=scope["state"]["request_id"], ip=self.address_of(scope)
        )

    def refusal(self, scope: asgi.Scope) -> Exception:
        """Count a failure, and return what ends the request."""
        return self._failed_logins.failed(self.address_of(scope) or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A request that was let in: who asks, and for which merchant where the path names one."""

    services: Services
    caller: Caller
    tenant: Merchant | None = None

    @property
    def control(self) -> Control:
        """What the control plane works with."""
        return self.services.control

    @property
    def merchant(self) -> Merchant:
        """The merchant of the path."""
        assert self.tenant is not None
        return self.tenant


class TenantAccess:
    """Lets in keys with all of some permissions, for the merchant in the path."""

    def __init__(self, *scopes: Scope) -> None:
        self.scopes = scopes

    async def __call__(
        self,
        request: Request,
        m: Annotated[
            str,
            Path(max_length=_MERCHANT_CHARS_MAX, description="The merchant's id or its reference."),
        ],
    ) -> Granted:
        """Return the grant; refuses parameters and bodies that the route does not have."""
        services, caller = _caller(request)
        for scope in self.scopes:
            caller.demand(scope)
        merchant = await merchants.find(services.control, caller, m)
        unasked.refuse_parameters(request)
        await unasked.refuse_body(request)
        return Granted(services=services, caller=caller, tenant=merchant)


class InstallationAccess:
    """Lets in keys with one permission, for what belongs to no merchant."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Granted:
        """Return the grant; refuses parameters and bodies that the route does not have."""
        services, caller = _caller(request)
        caller.demand(self.scope)
        unasked.refuse_parameters(request)
        await unasked.refuse_body(request)
        return Granted(services=services, caller=caller)


class PublicAccess:
    """Lets in everybody. Said aloud, so that no route is open by omission."""

    async def __call__(self) -> None:
        """Return."""


# The dependencies that routes declare, one per permission.
PUBLIC: Final = Depends(PublicAccess())


def _caller(request: Request) -> tuple[Services, Caller]:
    return request.app.state.services, request.scope["state"]["caller"]


def demand_declared(app: FastAPI) -> None:
    """Return if every route declares whom it lets in; else the process does not start."""
    for route in app.routes:
        assert isinstance(route, APIRoute), f"{route} is not a route whose access can be checked"
        found = [
            call
            for call in _calls(route.dependant)
            if isinstance(call, TenantAccess | InstallationAccess | PublicAccess)
        ]
        assert len(found) == 1, f"{route.path} must declare its access exactly once"
        has_tenant = "{m}" in route.path
        assert has_tenant == isinstance(found[0], TenantAccess), f"{route.path}: wrong tenant scope"


def _calls(dependant: Dependant) -> list[object]:
    found: list[object] = [] if dependant.call is None else [dependant.call]
    for child in dependant.dependencies:
        found += _calls(child)
    return found
