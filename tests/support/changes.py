"""Changes of endpoints as the control plane makes them: each with its lease."""

from payhooks.dialects.deadlines import lease_s
from payhooks.model.audit import AuditEntry
from payhooks.model.endpoint import Endpoint
from payhooks.ports.controlling import Change


def written(endpoint: Endpoint, audit: AuditEntry, *, moved: bool = False) -> Change:
    """Return the change that writes *endpoint* as it is here."""
    return Change(audit=audit, endpoint=endpoint, lease_s=lease_s(endpoint), moved=moved)
