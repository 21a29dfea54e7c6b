"""Batches: several messages in one receipt, of which a connector may not hear each."""

from collections.abc import Mapping
from typing import Any

import msgspec
from tests.connectors.signed_by_adyen import KEY, PAYMENT, batch, signed
from tests.support.inbound_world import InboundWorld

from payhooks.control import connectors
from payhooks.control.connector_draft import ConnectorDraft
from payhooks.model.connector import Connector

_PAYMENT = PAYMENT["pspReference"]


def _authorised(value: int = 9000) -> dict[str, Any]:
    return {**PAYMENT, "amount": {"value": value, "currency": "EUR"}}


def _captured(reference: str) -> dict[str, Any]:
    said = {"pspReference": reference, "originalReference": _PAYMENT, "eventCode": "CAPTURE"}
    amount = {"value": 5000, "currency": "EUR"}
    return {**PAYMENT, **said, "eventDate": "2019-07-01T12:00:00+01:00", "amount": amount}


async def _world(
    *events: str, capture: str = "manual_multiple"
) -> tuple[InboundWorld, str, Connector]:
    """Return a connector that hears these."""
    world = InboundWorld()
    merchant = await world.merchant()
    connector = await world.connector(
        merchant, "adyen", secrets=(KEY,), options={"capture": capture}, events=events
    )
    return world, merchant, connector


async def _says(world: InboundWorld, merchant: str, *items: Mapping[str, Any]) -> None:
    sent = batch(*[signed(item) for item in items])
    assert (await world.hears(merchant, "adyen", {}, sent.body)).status == 200
    await world.process()


async def _hears(world: InboundWorld, merchant: str, connector: Connector, *events: str) -> None:
    """Edit which events the connector hears."""
    whose = await world.merchant_itself(merchant)
    draft = ConnectorDraft(events=events)
    await connectors.edit(world.control, world.caller, whose, connector, draft, if_version=None)
    world.directory.outdate(whose.id)


async def _told(world: InboundWorld, merchant: str) -> list[tuple[str, int]]:
    said = await world.events(merchant)
    return [(event.type, msgspec.json.decode(event.data)["amount"]) for event in said]


async def test_what_a_connector_does_not_hear_of_a_batch_is_not_told_later() -> None:
    """The next message of the payment told it, as something that nobody had told yet."""
    world, merchant, _connector = await _world("CAPTURE")
    await _says(world, merchant, _authorised(), _captured("A"))
    assert await _told(world, merchant) == [("payment_captured", 5000)]
    await _says(world, merchant, _captured("B"))
    assert await _told(world, merchant) == [("payment_captured", 5000)] * 2


async def test_what_was_told_stays_part_of_the_history_when_a_connector_hears_less() -> None:
    """Money that was captured again would be taken for that which was told before it failed."""
    world, merchant, connector = await _world(capture="automatic")
    await _says(world, merchant, _authorised(5000))
    await _hears(world, merchant, connector, "CAPTURE*")
    failed = {**_captured("A"), "eventCode": "CAPTURE_FAILED"}
    again = {"eventDate": "2019-07-02T12:00:00+01:00", "reason": "Transaction Recaptured"}
    await _says(world, merchant, failed)
    await _says(world, merchant, {**_captured("A"), **again})
    assert await _told(world, merchant) == [
        ("payment_succeeded", 5000),
        ("payment_failed", 5000),
        ("payment_succeeded", 5000),
    ]


async def test_what_a_connector_hears_later_of_a_batch_is_told_with_what_comes_next() -> None:
    """Whoever asks for more events gets what there is, marked as older than what he knows."""
    world, merchant, connector = await _world("CAPTURE")
    await _says(world, merchant, _authorised(), _captured("A"))
    await _hears(world, merchant, connector)
    await _says(world, merchant, _captured("B"))
    assert sorted(await _told(world, merchant)) == [
        ("payment_authorized", 9000),
        ("payment_captured", 5000),
        ("payment_captured", 5000),
    ]
