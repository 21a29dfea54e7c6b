"""Whether what receivers are sent is signed with what they hold, and with nothing they gave up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from payhooks.dialects.registry import DIALECTS
from payhooks.errors import SignatureError
from payhooks.ids import EndpointId
from payhooks.model.endpoint import Endpoint, SignatureType
from payhooks.model.secret import SealedSecret, SecretPurpose
from payhooks.ports.transport import OutboundRequest

SIGNATURE: Final = "webhook-signature"
# A process whose clock is behind signs a little longer than the grace, one ahead a little less.
_SKEW_S: Final = 2.0


@dataclass(slots=True, kw_only=True)
class _Kept:
    """One secret, and what its endpoint's merchant was promised of it."""

    secret: SealedSecret
    since_s: float
    expires_at: datetime | None
    revoked_at_s: float | None = None

    def left_s(self, now: datetime) -> float:
        """Return for how long it still counts."""
        if self.expires_at is None:
            return float("inf")
        return (self.expires_at - now).total_seconds()


class Secrets:
    """Every secret that any endpoint ever had."""

    def __init__(self) -> None:
        self._known: dict[EndpointId, dict[bytes, _Kept]] = {}
        self._opener: Callable[[SealedSecret], str] | None = None

    def open_with(self, opener: Callable[[SealedSecret], str]) -> None:
        """Take what opens them."""
        self._opener = opener

    def keep(self, secret: SealedSecret, *, now_s: float) -> None:
        """Take note of a secret, or of the end of one, which never becomes later."""
        if secret.purpose is not SecretPurpose.ENDPOINT:
            return
        known = self._known.setdefault(EndpointId(secret.owner_id), {})
        kept = known.get(secret.id)
        if kept is None:
            known[secret.id] = _Kept(secret=secret, since_s=now_s, expires_at=secret.expires_at)
        elif secret.expires_at is not None:
            kept.expires_at = min(kept.expires_at or secret.expires_at, secret.expires_at)

    def revoke(self, ids: Sequence[bytes], *, now_s: float) -> None:
        """Take note of secrets that count no more from now on."""
        for known in self._known.values():
            for id_ in ids:
                if id_ in known and known[id_].revoked_at_s is None:
                    known[id_].revoked_at_s = now_s

    def complaint(
        self, endpoint: Endpoint, request: OutboundRequest, now: datetime, *, leased_at_s: float
    ) -> tuple[str | None, int]:
        """Return what is wrong with the signatures of *request*, if anything is; and how many."""
        headers = dict(request.headers)
        signatures = headers.get(SIGNATURE, "").split()
        if endpoint.signature.type is SignatureType.NONE:
            return ("is signed, though nobody asked for it" if signatures else None), 0
        known = self._known.get(endpoint.id, {}).values()
        signing = [each for each in known if self._signs(each.secret, headers, request.body, now)]
        if len(signing) != len(signatures):
            return f"has {len(signatures)} signatures, of which {len(signing)} verify", 0
        if any(each.left_s(now) < -_SKEW_S for each in signing):
            return "is signed with a secret whose grace is over", 0
        # A lease tells of every change before it, so a table that is older is not used.
        revoked = [each.revoked_at_s for each in signing if each.revoked_at_s is not None]
        if any(at_s < leased_at_s for at_s in revoked):
            return "is signed with a secret that was revoked", 0
        for each in known:
            counts = each.since_s <= leased_at_s and each.revoked_at_s is None
            if counts and each.left_s(now) > _SKEW_S and each not in signing:
                return "is not signed with a secret that counts", 0
        return None, len(signing)

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
