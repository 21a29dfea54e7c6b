"""Batches: several messages in one receipt, of which a connector may not hear each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from tests.connectors.signed_by_adyen import KEY, PAYMENT, batch, signed
from tests.support.inbound_world import InboundWorld

from payhooks.control import connectors
from payhooks.control.connector_draft import ConnectorDraft
from payhooks.errors import UnavailableError
from payhooks.model.connector import Connector
from payhooks.ports.accepting import Acceptance, Arrival

_PAYMENT = PAYMENT["pspReference"]


def _authorised(value: int = 9000) -> dict[str, Any]:
    return {**PAYMENT, "amount": {"value": value, "currency": "EUR"}}


def _captured(reference: str, value: int = 5000) -> dict[str, Any]:
    said = {"pspReference": reference, "originalReference": _PAYMENT, "eventCode": "CAPTURE"}
    amount = {"value": value, "currency": "EUR"}
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


@pytest.mark.shows("N07")
async def test_what_half_a_batch_has_told_before_its_process_died_is_overdue_no_more() -> None:
    """The same capture under another id waits for the batch, and ends when that does not come."""
    world, merchant, _connector = await _world(capture="manual")
    await _says(world, merchant, _authorised(5000))
    world.advance(120)
    await world.expecter.step()
    assert await world.store.overdue_counts() == [("adyen", 1)]
    accept = world.store.accept

    async def dies(arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        if any(arrival.conclusion is not None for arrival in arrivals):
            raise UnavailableError("the process dies")
        return await accept(arrivals, owner=owner)

    world.break_store("accept", dies)
    await _says(world, merchant, _captured("A"), {**_captured("C"), "originalReference": "another"})
    world.break_store("accept", accept)
    batched = world.receipts.pop()
    await _says(world, merchant, _captured("B"))
    world.advance(timedelta(minutes=11).total_seconds())
    await world.process()
    assert await world.expecter.step() == 1
    assert await world.store.overdue_counts() == []

    world.receipts.append(batched)
    await world.process()
    assert Counter(type_ for type_, _amount in await _told(world, merchant)) == {
        "payment_authorized": 1,
        "payment_succeeded": 2,
    }


@pytest.mark.parametrize("are_retired", [False, True])
async def test_of_a_batch_that_is_told_despite_a_conflict_each_item_is_itself(
    *, are_retired: bool
) -> None:
    """All had one id: of two parts of a payment one was lost, and what came again told again."""
    world, merchant, _connector = await _world()
    await _says(world, merchant, _captured("A", 50))
    await _says(world, merchant, _captured("B", 10))
    world.advance(60)
    batched = (_captured("A", 60), _captured("B", 10), _captured("C", 70), _captured("D", 80))
    elsewhere = {**_captured("E", 90), "originalReference": "another"}
    await _says(world, merchant, *batched, elsewhere)
    before = [("payment_captured", 50), ("payment_captured", 10)]
    assert await _told(world, merchant) == before

    if are_retired:
        assert await world.retire_receipts(kept=timedelta(seconds=30)) == 2
    await world.insist(merchant)
    amounts = (60, 70, 80, 90)
    told = [*before, *(("payment_captured", value) for value in amounts)]
    assert await _told(world, merchant) == told
    for item in (*batched[1:], elsewhere, _captured("A", 60)):
        await _says(world, merchant, item)
    assert await _told(world, merchant) == told


@pytest.mark.parametrize(
    ("conflicting", "told"),
    [
        pytest.param([_captured("A", 60)], [50, 10, 60, 60], id="alone"),
        pytest.param([_captured("A", 60), _captured("B", 60)], [50, 10, 60, 60, 60], id="both"),
    ],
)
async def test_what_was_told_despite_a_conflict_stays_one_part_among_equal_ones(
    conflicting: list[dict[str, Any]], told: list[int]
) -> None:
    """A part of the same amount that follows is another one."""
    world, merchant, _connector = await _world()
    await _says(world, merchant, _captured("A", 50), _captured("B", 10))
    await _says(world, merchant, *conflicting)
    await world.insist(merchant)
    await _says(world, merchant, _captured("C", 60))
    assert [amount for _type, amount in await _told(world, merchant)] == told


@pytest.mark.parametrize("are_retired", [False, True])
async def test_what_was_told_with_another_option_does_not_conflict_in_a_batch(
    *, are_retired: bool
) -> None:
    """It means another event now, and is the same money: to insist on it told it twice."""
    world, merchant, connector = await _world(capture="manual")
    await _says(world, merchant, _captured("B", 10))
    whose = await world.merchant_itself(merchant)
    draft = ConnectorDraft(options={"capture": "manual_multiple"})
    await connectors.edit(world.control, world.caller, whose, connector, draft, if_version=None)
    world.directory.outdate(whose.id)
    if are_retired:
        assert await world.retire_receipts(after=timedelta(days=40), kept=timedelta(days=30)) == 1
    await _says(world, merchant, _captured("A", 50))
    await _says(world, merchant, _captured("A", 60), _captured("B", 10))
    await world.insist(merchant)
    assert await _told(world, merchant) == [
        ("payment_succeeded", 10),
        ("payment_captured", 50),
        ("payment_captured", 60),
    ]
