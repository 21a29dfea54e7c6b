"""How long one attempt may take, and how long the right to make it lasts. Pure.

Both follow from the endpoint and its dialect, and from nothing else: hand-off and lanes lease for
the same time, so no request outlives its lease whichever way its delivery came.
"""

from payhooks import limits
from payhooks.dialects.registry import DIALECTS
from payhooks.model.endpoint import Endpoint


def timeout_s(endpoint: Endpoint) -> float:
    """Return the deadline of one attempt."""
    if endpoint.timeout_s is not None:
        return endpoint.timeout_s
    dialect = DIALECTS.get(endpoint.dialect)
    # One that is not installed here: nothing is sent until it is, and then for so long at most.
    return limits.TIMEOUT_S_MAX if dialect is None else dialect.timeout_s


def lease_s(endpoint: Endpoint) -> float:
    """Return how long a lease lasts: it outlives the wait and the attempt by a margin."""
    return limits.WAIT_IN_MEMORY_S_MAX + timeout_s(endpoint) + limits.LEASE_MARGIN_S
