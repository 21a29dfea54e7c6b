"""Payments that happen, and what the orders that follow them are told."""

from typing import Any

from tests.support.api_world import World

from payhooks.flow.orders import OrderFollower
from payhooks.testing.telemetry import QuietTelemetry

MINUTE = "2026-11-20T11:{:02}:00Z"


def follower(world: World, telemetry: QuietTelemetry | None = None) -> OrderFollower:
    """Return one as a process that works has it."""
    services = world.services
    telemetry = telemetry or QuietTelemetry()
    return OrderFollower(world.control, services.acceptor, services.book, telemetry=telemetry)


async def tell(
    world: World, merchant: str, type_: str, minute: int, *, id_: str = "pay_1", **data: object
) -> None:
    """Publish what happened to a payment."""
    answer = await world.publish(
        merchant,
        type=type_,
        family="owngateway",
        data={"payment_id": id_, "amount": 1050, "currency": "EUR", **data},
        object={"type": "payment", "id": id_},
        occurred_at=MINUTE.format(minute),
    )
    assert answer.status == 202, answer.body
    world.advance(1)


async def orders(world: World, merchant: str) -> list[dict[str, Any]]:
    """Return what orders were told, oldest first."""
    found = await world.call("GET", f"/v1/merchants/{merchant}/events?type=order.*&limit=100")
    listed: list[dict[str, Any]] = found.json["data"]
    return listed[::-1]


async def types(world: World, merchant: str) -> list[str]:
    """Return the types of what orders were told, oldest first."""
    return [each["type"] for each in await orders(world, merchant)]
