"""A merchant's connectors over the API, and OwlPay as who sends to them."""

from typing import Any, Final

from tests.support.api_world import World
from tests.support.owlpay_sender import SECRET, message, signed

PAID: Final = message(
    "payment_intent.succeeded", {"uuid": "pi_1", "status": "succeeded", "amount": 1}
)


def wanted(**members: object) -> dict[str, object]:
    """Return what is said of a new connector."""
    return {"name": "owlpay-main", "dialect": "owlpay", "secrets": [SECRET], **members}


async def connected(world: World, merchant: str, **members: object) -> dict[str, Any]:
    """Return a new connector."""
    answer = await world.call("POST", f"/v1/merchants/{merchant}/connectors", wanted(**members))
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.json
    return made


async def sent(world: World, url: str, secret: str = SECRET) -> int:
    """Send PAID to this path; return what it is answered."""
    headers = signed(PAID, world.clock.now(), secret)
    answer = await world.call("POST", url, raw=PAID, key=None, headers=headers)
    return answer.status


def path_of(made: dict[str, Any]) -> str:
    """Return the path of the URL that is pasted at the provider."""
    url: str = made["url"]
    return "/" + url.split("/", 3)[3]
