"""Processes that want the same receipts: nobody deadlocks, counts stay true, nothing is lost.

Statements are run bare: the store tries again what lost to another, and would hide that it did.
"""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from tests.support.inbound import FOR_S, PAYMENT, Inbound, after
from tests.support.postgres_hand import Hand, open_hand
from tests.support.world import OWNER, World

from payhooks.ids import first_id_at
from payhooks.model.connector import Connector
from payhooks.model.expectation import Expectation
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.accepting import Accepted, Arrival, KeyBusy
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import Conclusion, Link, Moved, ReceiptFilter, Reference, Wait
from payhooks.storage import documents, statements
from payhooks.storage.postgres import accepting, concluding
from payhooks.storage.postgres.concluding import CODES
from payhooks.storage.postgres.receiving import received

_SQL = statements.load("payhooks.storage.postgres", "receiving.sql")
_ACCEPT = statements.load("payhooks.storage.postgres", "accepting.sql")["accept_heard"]
_WRITE = statements.load("payhooks.storage.postgres", "expecting.sql")["write"]
_ROUNDS = 40
# Enough that the two statements overlap; unsorted, they then deadlock within these rounds.
_MET = 60
_ALL = Window(limit=100)
_HELD_MAX = 20
_THERE = "SELECT id FROM receipts WHERE merchant_id = $1 AND id = ANY ($2) ORDER BY id"
_COUNTED = (
    "SELECT h.quarantined, h.quarantined_bytes, count(r.id) AS held,"
    " coalesce(sum(octet_length(r.body)), 0)::bigint AS bytes FROM connector_health h"
    " LEFT JOIN receipts r ON r.merchant_id = h.merchant_id AND r.connector_id = h.connector_id"
    " AND r.state = $2 WHERE h.connector_id = $1 GROUP BY 1, 2"
)


@pytest.fixture
def inbound(world: World) -> Inbound:
    return Inbound(world)


async def _conclude(hand: Hand, *conclusions: Conclusion) -> None:
    await hand.run(_SQL["conclude"], *concluding.parameters(conclusions))


async def _accept(hand: Hand, arrivals: Sequence[Arrival]) -> None:
    parameters = [*accepting.parameters(arrivals), *concluding.parameters_of(arrivals)]
    await hand.run(_ACCEPT, OWNER, *parameters)


def _about(inbound: Inbound, receipt: Receipt, object_id: str) -> Conclusion:
    """Return that a receipt is about an object which others call by one name."""
    return inbound.conclusion(
        receipt,
        links=(Link(object_type=PAYMENT, object_id=object_id),),
        references=(Reference(reference="order-7", object_type=PAYMENT, object_id=object_id),),
    )


async def _telling(inbound: Inbound, template: Arrival, receipt: Receipt) -> Arrival:
    """Return an event that a receipt tells of one of a few objects, under its own key."""
    event = msgspec.structs.replace(template.event, id=inbound.world.ids.new_event())
    expected = inbound.expectation(await _of(inbound, receipt), f"t-{receipt.id[-1] % 5}")
    wait = Wait(expectation=expected, due_in_s=0.0)
    conclusion = _about(inbound, receipt, expected.object_id)
    return msgspec.structs.replace(
        template,
        event=event,
        idempotency=inbound.world.ids.new(),
        conclusion=msgspec.structs.replace(conclusion, waits=(wait,)),
    )


async def _of(inbound: Inbound, receipt: Receipt) -> Connector:
    connector = await inbound.store.connector(receipt.merchant_id, receipt.connector_id)
    assert connector is not None
    return connector


async def test_two_processes_that_conclude_the_same_receipts_do_not_deadlock(
    inbound: Inbound, database: str
) -> None:
    """Whoever was slow meets who claimed after it; both tell, in whatever order they like."""
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    template = await inbound.world.arrival(inbound.world.event(merchant))
    async with open_hand(database) as one, open_hand(database) as other:
        for _ in range(_ROUNDS):
            receipts = [inbound.receipt(connector) for _ in range(_MET)]
            await inbound.receive(*receipts)
            mine = [await _telling(inbound, template, receipt) for receipt in receipts]
            theirs = [await _telling(inbound, template, receipt) for receipt in receipts[::-1]]
            alone = [_about(inbound, receipt, "t-1") for receipt in receipts[::-1]]
            await asyncio.gather(_accept(one, mine), _accept(other, theirs))
            await _conclude(one, *alone)
    done = await inbound.store.receipts(connector.merchant_id, ReceiptFilter(), _ALL)
    assert {receipt.state for receipt in done} == {ReceiptState.PROCESSED}


async def test_two_processes_that_hear_of_the_same_overdue_payments_do_not_deadlock(
    inbound: Inbound, database: str
) -> None:
    """A provider was away; of each payment one connector says that it waits, one that it moved."""
    connector = await inbound.connector(await inbound.world.merchant())
    expected = [inbound.expectation(connector, f"t-{number}") for number in range(_MET)]
    for one in expected[::2]:
        await inbound.expects(one, due_in_s=3_600.0)
        overdue = msgspec.structs.replace(one, overdue=True)
        await inbound.store.write_expectation(overdue, due_in_s=3_600.0)

    async def ends(moved: Sequence[Expectation], waits: Sequence[Expectation]) -> list[Conclusion]:
        receipts = [await inbound.received(connector) for _ in range(2)]
        conclusion = inbound.conclusion(
            receipts[0],
            moved=tuple(
                Moved(object_type=one.object_type, object_id=one.object_id) for one in moved
            ),
        )
        waiting = tuple(Wait(expectation=one, due_in_s=3_600.0) for one in waits)
        return [conclusion, inbound.conclusion(receipts[1], waits=waiting)]

    async with open_hand(database) as here, open_hand(database) as there:
        for _ in range(_ROUNDS):
            early, late = expected[: _MET // 2], expected[_MET // 2 :]
            mine, theirs = await ends(late, early), await ends(early, late)
            await asyncio.gather(_conclude(here, *mine), _conclude(there, *theirs))
    due = await inbound.store.claim_expectations(limit=2 * _MET, for_s=FOR_S)
    assert {one.id for one in expected[::2]} <= {one.id for one in due}


async def test_news_that_comes_while_its_payment_is_written_as_overdue_is_not_lost(
    inbound: Inbound, database: str
) -> None:
    """What is not overdue yet, where whoever brings the news looks, is so a moment later."""
    connector = await inbound.connector(await inbound.world.merchant())
    expected = await inbound.expects(inbound.expectation(connector))
    await inbound.world.advance(1)
    assert await inbound.store.claim_expectations(limit=1, for_s=FOR_S)
    place = (expected.merchant_id, expected.object_type, expected.object_id, expected.id, 0)
    overdue = msgspec.structs.replace(expected, overdue=True)
    async with open_hand(database) as judging:
        await judging.begin()
        await judging.run(
            _WRITE, *place, 3_600.0, overdue.overdue, documents.encode(overdue).decode()
        )
        told = asyncio.create_task(inbound.moves(expected))
        await _is_waited_for(judging)
        await judging.commit()
        await told

    [due] = await inbound.store.claim_expectations(limit=1, for_s=FOR_S)
    assert due.overdue


async def test_the_counts_of_a_quarantine_stay_true_whoever_takes_from_it(
    inbound: Inbound, database: str
) -> None:
    """Evicted, retired and read again at once: a count that drifts would never come right."""
    connector = await inbound.connector(await inbound.world.merchant())
    forged = [[inbound.forged(connector) for _ in range(10)] for _ in range(_ROUNDS)]

    async def strangers(hand: Hand) -> None:
        for batch in forged:
            await hand.run(_SQL["receive"], OWNER, 30.0, _HELD_MAX, 10_000, *received(batch))

    async def person(hand: Hand) -> None:
        for batch in forged:
            ids = sorted(receipt.id for receipt in batch[::3])
            # Of those that are there: nobody names one that he has not seen.
            some = [row["id"] for row in await hand.run(_THERE, connector.merchant_id, ids)]
            values = ([connector.merchant_id] * len(some), some, ["{}"] * len(some))
            await hand.run(_SQL["reprocess"], *values, [CODES[ReceiptState.QUARANTINED]])

    async def retention(hand: Hand) -> None:
        for _ in range(_ROUNDS):
            await hand.run(_SQL["retire"], first_id_at(inbound.world.now()), 3)

    async with (
        open_hand(database) as first,
        open_hand(database) as second,
        open_hand(database) as third,
        open_hand(database) as fourth,
    ):
        await asyncio.gather(strangers(first), person(second), retention(third), retention(fourth))
        # Whoever takes may have come last, and left nothing to be counted.
        last = [inbound.forged(connector) for _ in range(10)]
        await first.run(_SQL["receive"], OWNER, 30.0, _HELD_MAX, 10_000, *received(last))
        [row] = await first.run(_COUNTED, connector.id, CODES[ReceiptState.QUARANTINED])
    assert 0 < row["held"] <= _HELD_MAX
    assert (row["quarantined"], row["quarantined_bytes"]) == (row["held"], row["bytes"])


async def test_an_objects_names_stay_when_its_old_receipts_go_while_a_new_one_comes(
    inbound: Inbound, database: str
) -> None:
    """Retention sees the last link go, and not yet the one that is being written."""
    connector = await inbound.connector(await inbound.world.merchant())
    old, new = await inbound.received(connector), await inbound.received(connector)
    await inbound.store.conclude([_about(inbound, old, "t-1")])
    before = first_id_at(inbound.world.now())
    async with open_hand(database) as concluding_, open_hand(database) as retiring:
        await concluding_.begin()
        await _conclude(concluding_, _about(inbound, new, "t-1"))
        retired = asyncio.create_task(retiring.run(_SQL["retire"], before, 10))
        await _is_waited_for(concluding_)
        await concluding_.commit()
        [row] = await retired

    assert row["count"] == 1
    names = await inbound.store.objects_called(connector.merchant_id, "order-7", limit=10)
    assert [name.object_id for name in names] == ["t-1"]


async def test_a_contested_receipt_costs_its_own_event_and_not_its_batch(
    inbound: Inbound, database: str
) -> None:
    """A process that stopped while it concluded one must not fail its neighbours."""
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    template = await inbound.world.arrival(inbound.world.event(merchant))
    receipts = [await inbound.received(connector) for _ in range(4)]
    arrivals = [await _telling(inbound, template, receipt) for receipt in receipts]
    async with open_hand(database) as hand:
        await hand.begin()
        await hand.run("SELECT 1 FROM receipts WHERE id = $1 FOR UPDATE", receipts[2].id)

        outcomes = await inbound.world.accept(*arrivals)

        assert [type(one) for one in outcomes] == [Accepted, Accepted, KeyBusy, Accepted]
        await hand.roll_back()
    assert await inbound.world.accept(*arrivals) == [Accepted(leased=())] * 4
    for receipt, arrival in zip(receipts, arrivals, strict=True):
        assert arrival.conclusion is not None
        assert await inbound.stored(receipt) == after(receipt, arrival.conclusion)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("x" * 100_000, id="longer than an index holds"),
        pytest.param("a\0b", id="with a character that no text holds"),
    ],
)
async def test_whatever_a_provider_calls_its_object_its_receipt_is_concluded(
    inbound: Inbound, name: str
) -> None:
    """One that could not be would be read again by everybody, for ever."""
    connector = await inbound.connector(await inbound.world.merchant())
    receipt = await inbound.received(connector, reason=name, query=name)
    assert await inbound.stored(receipt) == receipt
    expected = inbound.expectation(connector, name, object_type=name)
    conclusion = inbound.conclusion(
        receipt,
        detail=name,
        word=name,
        object_type=name,
        object_id=name,
        links=(Link(object_type=name, object_id=name, said=(name,)),),
        references=(Reference(reference=name, object_type=name, object_id=name),),
        waits=(Wait(expectation=expected, due_in_s=0.0),),
    )

    await inbound.store.conclude([conclusion])

    after_it = after(receipt, conclusion)
    merchant_id = connector.merchant_id
    assert await inbound.stored(receipt) == after_it
    assert await inbound.store.receipts_about(merchant_id, name, name, _ALL) == [after_it]
    assert len(await inbound.store.objects_called(merchant_id, name, limit=10)) == 1
    [waits] = await inbound.store.claim_expectations(limit=10, for_s=1.0)
    assert waits.object_id == name
    await inbound.store.forget_expectation(waits)
    assert await inbound.store.claim_expectations(limit=10, for_s=0.0) == []


async def test_what_cannot_be_read_holds_up_nothing_else(inbound: Inbound, database: str) -> None:
    """A document that was damaged would be claimed first by everybody, and nothing after it."""
    connector = await inbound.connector(await inbound.world.merchant())
    waits = [inbound.expectation(connector, object_id) for object_id in ("pay_1", "pay_2")]
    for one in waits:
        await inbound.expects(one)
    first, second = await inbound.received(connector), await inbound.received(connector)
    await inbound.world.advance(FOR_S + 1)
    async with open_hand(database) as hand:
        await hand.run("UPDATE receipts SET document = '{' WHERE id = $1", first.id)
        await hand.run("UPDATE expectations SET document = '{' WHERE id = $1", waits[0].id)

    assert await inbound.store.claim_receipts(owner=OWNER, limit=10, for_s=FOR_S) == [second]
    claimed = await inbound.store.claim_expectations(limit=10, for_s=FOR_S)
    assert [one.id for one in claimed] == [waits[1].id]


async def _is_waited_for(hand: Hand) -> None:
    """Return when somebody waits for what *hand* has locked."""
    for _ in range(10_000):
        [row] = await hand.run(
            "SELECT count(*) AS count FROM pg_locks WHERE NOT granted"
            " AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        )
        if row["count"]:
            return
    raise AssertionError("nobody waits")
