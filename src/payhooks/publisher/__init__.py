"""For those who publish: tell Payhooks what happened, once, whatever the network does.

    from payhooks.publisher import Client

    client = Client("https://hooks.example.com", key, merchant="shop-17")
    client.publish(
        "payment_intent.succeeded",
        {"id": "pi_1", "amount": "12.50"},
        idempotency_key="payment-8813-succeeded",
    )

Only the standard library is needed. A 202 means stored on disk; until then the client asks
again with the same idempotency key, so an event is never stored twice. Where the event must be
told exactly if a database transaction is committed, `Outbox` writes it in that transaction and
`Forwarder` tells it.
"""

from payhooks.publisher.answers import Answer, Outcome, Published, RefusedError, UnansweredError
from payhooks.publisher.client import Client
from payhooks.publisher.event import NewEvent
from payhooks.publisher.forwarder import Forwarder, Progress
from payhooks.publisher.opening import open_table
from payhooks.publisher.outbox import Outbox, create_table, table_sql
from payhooks.publisher.table import Counts, Failed, OutboxTable

__all__ = [
    "Answer",
    "Client",
    "Counts",
    "Failed",
    "Forwarder",
    "NewEvent",
    "Outbox",
    "OutboxTable",
    "Outcome",
    "Progress",
    "Published",
    "RefusedError",
    "UnansweredError",
    "create_table",
    "open_table",
    "table_sql",
]
