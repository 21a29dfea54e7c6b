"""For those who publish: tell Payhooks what happened, once, whatever the network does.

    from payhooks.publisher import Client

    client = Client("https://hooks.example.com", key, merchant="shop-17")
    client.publish(
        "payment_intent.succeeded",
        {"id": "pi_1", "amount": "12.50"},
        idempotency_key="payment-8813-succeeded",
    )

Only the standard library is needed. A 202 means stored on disk; until then the client asks
again with the same idempotency key, so an event is never stored twice.
"""

from payhooks.publisher.client import Answer, Client, Published, RefusedError, UnansweredError

__all__ = ["Answer", "Client", "Published", "RefusedError", "UnansweredError"]
