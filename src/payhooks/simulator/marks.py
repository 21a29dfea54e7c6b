"""States that a long run must reach: what never happens is not tested, whatever the seeds say."""

from typing import Final

MUST_BE_REACHED: Final = frozenset(
    {
        # The store
        "commit refused",
        "commit unknown that was committed",
        "commit unknown that was not",
        "commit unknown that came late",
        "batch sent again that was stored",
        "plan was stale",
        "key was known",
        "conflict told",
        # Leases
        "broken off by a stop and given back",
        "handed-off delivery given back",
        "lease expired and taken over",
        "seen again",
        "stopped in order",
        "zombie outcome refused",
        "zombie release refused",
        # Lanes
        "circuit opened",
        "half-open circuit closed",
        "probe failed",
        "lane rests as its receiver asked",
        "missed while disabled",
        "opened with a backlog",
        "moved to another URL",
        # People
        "cancelled with its endpoint",
        "endpoint edited",
        "endpoint made",
        "event expunged",
        "object let go by a person",
        "object waits for a person",
        "object's head sent again",
        "operator was refused",
        "secret revoked",
        "secret rotated",
        "sent again by hand",
        "two secrets signing",
        # Jobs
        "job called off half-way",
        "job taken over",
        "missed event made up for by a job",
        "sent again by a job",
        # Providers
        "forgery refused",
        "receipt taken over",
        "receipt ended after another that it had not seen",
        "receipt was a duplicate",
        "receipts sent again that were stored",
        "word told of another message",
        # Telemetry
        "alarm disable_failed",
        "alarm our_fault",
        "alarm report_waits",
        "alarm settle_waits",
        "alarm store_unavailable",
        "reconciled",
    }
)
