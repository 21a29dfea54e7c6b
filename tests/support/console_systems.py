"""The merchant's own systems, as the console's document sees them: they publish, and receive."""

import hashlib
import hmac

from tests.support.captured import Capture, Captured
from tests.support.chromium import Installation
from tests.support.server import Api


class Systems:
    """What the merchant's own systems do: publish, and receive."""

    def __init__(self, installation: Installation, capture: Capture) -> None:
        self.api = Api(installation.server.port)
        self.path = installation.merchant_path
        self.capture = capture

    def source_key(self, label: str) -> str:
        """Make an API key that may sign, and return its text."""
        said = {"label": label, "scopes": ["events:read"], "signing": True}
        text: str = self.api.post(f"{self.path}/keys", said)["key"]
        return text

    def signature_key(self, merchant_path: str | None = None) -> str:
        """Return the key that is unique to a merchant."""
        found = self.api.get(f"{merchant_path or self.path}/signature-key")
        text: str = found["data"][0]["secret"]
        return text

    def publish(self, type_: str) -> str:
        """Let an event happen and return its id."""
        said = {
            "type": type_,
            "data": {
                "type": "transaction",
                "key": "1nftvzx7xtcggm3",
                "amount_detail": {"amount": "5.00"},
                "authcode": "538228",
            },
        }
        text: str = self.api.post(f"{self.path}/events", said)["id"]
        return text

    def sent_to(self, event_id: str) -> int:
        """Return to how many webhooks an event is sent."""
        return len(self.api.get(f"{self.path}/events/{event_id}/deliveries")["data"])

    def got(self, path: str, count: int = 1) -> list[Captured]:
        """Return what came to one path, once so much has come there."""
        for total in range(1, 200):
            found = [one for one in self.capture.until(total) if one.path == path]
            if len(found) >= count:
                return found
        raise AssertionError(f"nothing came to {path}")


def signs(key: str, sent: Captured) -> bool:
    """Whether the X-Signature is the HMAC of the body with the key, by the standard library."""
    made = hmac.new(key.encode(), sent.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(made, sent.named["x-signature"])
