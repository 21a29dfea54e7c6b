"""Whether what receivers are sent is signed with what they hold, and with nothing they gave up."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from payhooks.dialects.registry import DIALECTS
from payhooks.errors import SignatureError
from payhooks.ids import EndpointId
from payhooks.model.endpoint import Endpoint, SignatureType
from payhooks.model.secret import SealedSecret, SecretPurpose
from payhooks.ports.transport import OutboundRequest

SIGNATURE: Final = "webhook-signature"
# A process whose clock is behind signs a little longer than the grace.
_SKEW_S: Final = 2.0


class Secrets:
    """Every secret that any endpoint ever had, as the store had it last."""

    def __init__(self) -> None:
        self._known: dict[EndpointId, dict[bytes, SealedSecret]] = {}
        self._opener: Callable[[SealedSecret], str] | None = None

    def open_with(self, opener: Callable[[SealedSecret], str]) -> None:
        """Take what opens them."""
        self._opener = opener

    def keep(self, secret: SealedSecret) -> None:
        """Take note of a secret, or of the end of one."""
        if secret.purpose is SecretPurpose.ENDPOINT:
            self._known.setdefault(EndpointId(secret.owner_id), {})[secret.id] = secret

    def complaint(
        self, endpoint: Endpoint, request: OutboundRequest, now: datetime, *, fresh: bool
    ) -> str | None:
        """Return what is wrong with the signatures of *request*, if anything is.

        *fresh*: it was leased moments ago, so it must carry what counts now.
        """
        headers = dict(request.headers)
        signatures = headers.get(SIGNATURE, "").split()
        if endpoint.signature.type is SignatureType.NONE:
            return "is signed, though nobody asked for it" if signatures else None
        signing = [
            secret
            for secret in self._known.get(endpoint.id, {}).values()
            if self._signs(secret, headers, request.body, now)
        ]
        if len(signing) != len(signatures):
            return f"has {len(signatures)} signatures, of which {len(signing)} verify"
        left_s = [_left_s(secret, now) for secret in signing]
        if any(each < -_SKEW_S for each in left_s):
            return "is signed with a secret that counts no more"
        if fresh and not any(each > -_SKEW_S for each in left_s):
            return "is signed with no secret that counts"
        return None

    def _signs(
        self, secret: SealedSecret, headers: dict[str, str], body: bytes, now: datetime
    ) -> bool:
        assert self._opener is not None
        dialect = DIALECTS["standard"]
        verifying = dialect.verifying_secret(self._opener(secret))
        try:
            dialect.verify(headers, body, [verifying], now)
        except SignatureError:
            return False
        return True


def _left_s(secret: SealedSecret, now: datetime) -> float:
    return float("inf") if secret.expires_at is None else (secret.expires_at - now).total_seconds()
