"""Changes of endpoints as the control plane makes them: with all that follows from an edit."""

from payhooks.dialects.deadlines import lease_s
from payhooks.model.audit import AuditEntry
from payhooks.model.endpoint import Endpoint
from payhooks.ports.controlling import Change


def written(endpoint: Endpoint, audit: AuditEntry, *, before: Endpoint | None = None) -> Change:
    """Return the change that writes *endpoint* as it is here."""
    return Change(
        audit=audit,
        endpoint=endpoint,
        lease_s=lease_s(endpoint),
        moved=before is not None and before.url != endpoint.url,
        unblocked=before is not None and before.blocks and not endpoint.blocks,
    )
