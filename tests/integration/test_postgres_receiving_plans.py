"""How PostgreSQL finds receipts: no more is read because more was heard.

One merchant has 30,000 receipts by five connectors, a few of them rare, and one object that its
provider told of 3,000 times. The planner knows how common things are on average, not which one is
asked for.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
from tests.support.postgres_plans import Explained, filled_database, id_text, small_id

from payhooks.ids import ConnectorId, EventId, MerchantId, ReceiptId
from payhooks.model.event import Event
from payhooks.model.expectation import Expectation
from payhooks.model.receipt import Receipt, ReceiptState, Verdict
from payhooks.ports.accepting import Arrival
from payhooks.ports.receiving import Conclusion, Link, Moved, Reference, Wait
from payhooks.storage import statements
from payhooks.storage.postgres import accepting, concluding
from payhooks.storage.postgres.concluding import CODES
from payhooks.storage.postgres.receiving import received

_PACKAGE = "payhooks.storage.postgres"
_SQL = statements.load(_PACKAGE, "receiving.sql")
_WAITS = statements.load(_PACKAGE, "expecting.sql")
_ACCEPT = statements.load(_PACKAGE, "accepting.sql")["accept_heard"]
_ROWS = 30_000
_QUARANTINED = 2_000
# Of a page of 20, with what is looked up of each row.
_READ_MAX = 600
_PAGE = 20
_MERCHANT = MerchantId((5_000).to_bytes(16, "big"))
_CONNECTOR = ConnectorId((1).to_bytes(16, "big"))
_GREATEST = b"\xff" * 16
_RECEIVED = CODES[ReceiptState.RECEIVED]
_PROCESSED = CODES[ReceiptState.PROCESSED]
_CONFLICTING = CODES[ReceiptState.CONFLICTING]
_UNMAPPED = CODES[ReceiptState.UNMAPPED]
_QUARANTINE = CODES[ReceiptState.QUARANTINED]
_ID = id_text("00000")
_AT = datetime(2026, 1, 1, tzinfo=UTC)

_FILL = f"""
INSERT INTO routing VALUES ({small_id("5000")}, 1);
INSERT INTO connectors (merchant_id, id, name, dialect, status, version, document)
SELECT {small_id("5000")}, {small_id("n")}, n, 'standard', 'active', 1, '{{}}'
FROM generate_series(0, 4) n;
INSERT INTO connector_health (merchant_id, connector_id, received, unverified, quarantined,
  quarantined_bytes)
SELECT {small_id("5000")}, {small_id("n")}, 1, 1, CASE n WHEN 1 THEN {_QUARANTINED} ELSE 0 END,
  CASE n WHEN 1 THEN {2 * _QUARANTINED} ELSE 0 END FROM generate_series(0, 4) n;
INSERT INTO receipts (merchant_id, id, connector_id, state, document, body)
SELECT {small_id("5000")}, {_ID}, {small_id(f"CASE WHEN n > {_ROWS} THEN 1 ELSE n % 5 END")},
  CASE WHEN n > {_ROWS} THEN {_QUARANTINE} WHEN n % 10000 = 1 THEN {_CONFLICTING}
    WHEN n % 10000 = 2 THEN {_UNMAPPED} WHEN n % 1000 = 3 THEN {_RECEIVED} ELSE {_PROCESSED} END,
  '{{}}', '{{}}' FROM generate_series(1, {_ROWS + _QUARANTINED}) n;
INSERT INTO heard (merchant_id, receipt_id, connector_id, processed, object_type, object_id)
SELECT {small_id("5000")}, {_ID}, {small_id("n % 5")}, n % 10 <> 1 OR n % 10000 = 11, 'payment',
  CASE WHEN n % 10 = 1 THEN 'busy' ELSE (n / 4)::text END
FROM generate_series(1, {_ROWS}) n;
UPDATE heard SET said = '["x"]' WHERE receipt_id IN (
  SELECT id FROM receipts WHERE state = {_PROCESSED} ORDER BY id LIMIT 100);
INSERT INTO told (merchant_id, object_type, object_id, connector_id, receipt_id, said)
SELECT {small_id("5000")}, 'payment', CASE WHEN n % 10 = 1 THEN 'told' ELSE (n / 4)::text END,
  {small_id("n % 5")}, {_ID}, '["x"]' FROM generate_series(1, {_ROWS}) n;
INSERT INTO object_references
SELECT {small_id("5000")}, 'order-' || n / 3, 'payment', n::text FROM generate_series(1, {_ROWS}) n;
INSERT INTO expectations (merchant_id, object_type, object_id, id, connector_id, due_at, overdue,
  document)
SELECT {small_id("5000")}, 'payment', n::text, {_ID}, {small_id("n % 5")},
  now() + (n - 10) * interval '1 minute', n % 1000 = 0, '{{}}' FROM generate_series(1, {_ROWS}) n;
ANALYZE;
"""  # noqa: S608 - our own words only


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with filled_database(_FILL) as url:
        yield url


async def _read_few(explained: Explained) -> None:
    await explained.assert_no_walk()
    # The driver asks once a connection how arrays are spelled.
    ours = [plan for plan in explained.plans if "typeinfo_tree" not in plan["Query Text"]]
    explained.plans = ours
    assert explained.rows_read() < _READ_MAX


async def test_receipts_that_nobody_holds_are_found_among_all(explained: Explained) -> None:
    """Asked for twice a second by every process, and nearly always there is none."""
    assert len(await explained.run(_SQL["claim"], 1, _PAGE, 10.0)) == _PAGE
    await _read_few(explained)
    assert "receipts_received" in explained.indexes()


async def test_what_was_heard_before_is_read_and_not_what_only_came(explained: Explained) -> None:
    """A provider that repeats itself 3,000 times must not make each time dearer."""
    rows = await explained.run(
        _SQL["heard_before"], _MERCHANT, _CONNECTOR, "payment", "busy", _PAGE, _PAGE
    )
    assert len(rows) == 3
    await _read_few(explained)
    assert "heard_object" in explained.indexes()


async def test_of_what_was_told_long_ago_only_the_newest_is_read(explained: Explained) -> None:
    """And what is too old is found among all of it."""
    rows = await explained.run(
        _SQL["heard_before"], _MERCHANT, _CONNECTOR, "payment", "told", _PAGE, _PAGE
    )
    assert len(rows) == _PAGE
    [row] = await explained.run(_SQL["forget_said"], _GREATEST, _PAGE)
    assert row["count"] == _PAGE
    await _read_few(explained)
    assert {"told_pkey", "told_age"} <= explained.indexes()


@pytest.mark.parametrize(
    ("connector_id", "states"),
    [
        pytest.param(None, None, id="all"),
        pytest.param(_CONNECTOR, range(9), id="of a connector"),
        pytest.param(_CONNECTOR, [_CONFLICTING, _UNMAPPED], id="rare ones of a connector"),
        pytest.param(None, [_CONFLICTING, _UNMAPPED], id="rare ones"),
        pytest.param(None, [_PROCESSED], id="common ones"),
    ],
)
async def test_a_list_of_receipts_reads_about_as_many_rows_as_it_shows(
    explained: Explained, connector_id: ConnectorId | None, states: Sequence[int] | None
) -> None:
    """Six that somebody has to look at, far apart among all that went well."""
    bindings: tuple[object, ...] = (_MERCHANT, _GREATEST, _PAGE)
    name = "receipts"
    if states is not None:
        name, bindings = "receipts_which", (*bindings, connector_id, list(states))
    assert await explained.run(_SQL[name], *bindings)
    await _read_few(explained)


@pytest.mark.parametrize("state", [_CONFLICTING, _PROCESSED])
async def test_receipts_are_counted_no_further_than_is_asked_for(
    explained: Explained, state: int
) -> None:
    """Two that a person has to look at, and all that went well."""
    least = bytes(16)
    [row] = await explained.run(_SQL["count_receipts"], _MERCHANT, state, least, _PAGE)
    assert 0 < row["count"] <= _PAGE
    await _read_few(explained)
    assert "receipts_listed" in explained.indexes()


async def test_what_is_to_be_read_again_is_found_from_the_oldest_on(explained: Explained) -> None:
    """A quarantine of ten thousand is walked through page by page, others' receipts beside it."""
    states = [_UNMAPPED, _QUARANTINE]
    after: bytes | None = None
    for _ in range(2):
        rows = await explained.run(
            _SQL["reprocessable"], _MERCHANT, _CONNECTOR, states, after, _PAGE
        )
        assert len(rows) == _PAGE
        after = rows[-1]["id"]
    await _read_few(explained)
    assert "receipts_listed" in explained.indexes()


async def test_receipts_about_an_object_and_its_names_are_found_by_index(
    explained: Explained,
) -> None:
    """The page of a payment, and the search for an order."""
    about = (_MERCHANT, None, _PAGE, "payment", "busy")
    assert len(await explained.run(_SQL["receipts_about"], *about)) == _PAGE
    ids = [row["id"] for row in await explained.run(_SQL["receipts_about"], *about)]
    linked = (_MERCHANT, "payment", "busy", ids)
    assert len(await explained.run(_SQL["linked_receipts"], *linked)) == _PAGE
    assert await explained.run(_SQL["objects_called"], _MERCHANT, "order-7", _PAGE)
    assert await explained.run(_SQL["references_of"], _MERCHANT, "payment", "7", _PAGE)
    await _read_few(explained)


async def test_what_is_due_and_what_is_overdue_is_found_by_index(explained: Explained) -> None:
    """Of 30,000 that wait as long as is usual, a few wait longer."""
    assert await explained.run(_WAITS["claim"], _PAGE, 10.0, [_MERCHANT]) == []
    assert await explained.run(_WAITS["claim_moved"], _PAGE, 10.0) == []
    assert len(await explained.run(_WAITS["claim"], _PAGE, 10.0, [])) == 10
    rows = await explained.run(_WAITS["overdue"], _MERCHANT, _GREATEST, _PAGE, None)
    assert len(rows) == _PAGE
    await _read_few(explained)
    assert {"expectations_due", "expectations_overdue"} <= explained.indexes()


async def test_receiving_into_a_full_quarantine_reads_only_what_goes(explained: Explained) -> None:
    """The provider waits for its answer, whatever strangers have sent before."""
    forged = [_receipt(n, ReceiptState.QUARANTINED) for n in range(10)]
    bounds = (1, 30.0, _QUARANTINED, 1_000_000)
    await explained.run(_SQL["receive"], *bounds, *received(forged))

    await _read_few(explained)
    rows = await explained.run(
        "SELECT quarantined, dropped FROM connector_health WHERE connector_id = $1", _CONNECTOR
    )
    assert [tuple(row) for row in rows] == [(_QUARANTINED, 10)]


async def test_concluding_with_an_event_and_alone_reads_its_own_rows(explained: Explained) -> None:
    """Once for each message that ever comes."""
    first, second = await _two(explained, _RECEIVED)
    event = Event(
        id=EventId(bytes([9] * 12 + [0] * 4)),
        merchant_id=_MERCHANT,
        type="payment_captured",
        family="owngateway",
        data=b"{}",
    )
    arrival = Arrival(
        event=event,
        routing_version=1,
        idempotency=None,
        content=bytes(16),
        deliveries=(),
        conclusion=_conclusion(first),
    )
    told = [*accepting.parameters([arrival]), *concluding.parameters_of([arrival])]
    await explained.run(_ACCEPT, 1, *told)
    await explained.run(_SQL["conclude"], *concluding.parameters([_conclusion(second)]))

    await _read_few(explained)
    rows = await explained.run("SELECT state FROM receipts WHERE id = ANY ($1)", [first, second])
    assert [row["state"] for row in rows] == [_PROCESSED, _PROCESSED]


async def test_what_moved_is_found_among_all_that_is_expected_by_its_key(
    explained: Explained,
) -> None:
    """With each news that is told, though mostly nothing is overdue, nor due soon."""
    first, second = await _two(explained, _RECEIVED)
    overdue, usual = [Moved(object_type="payment", object_id=n) for n in ("1000", "1001")]
    await explained.run(
        _SQL["conclude"],
        *concluding.parameters([_conclusion(first, usual), _conclusion(second, usual, overdue)]),
    )

    await _read_few(explained)
    assert "expectations_pkey" in explained.indexes()
    assert not {"expectations_due", "expectations_overdue"} & explained.indexes()
    rows = await explained.run(
        "SELECT object_id, due_at <= payhooks_now() AS due, heard_again FROM expectations"
        " WHERE object_id IN ('1000', '1001') ORDER BY object_id"
    )
    assert [tuple(row) for row in rows] == [("1000", True, 1), ("1001", False, 0)]


async def test_reading_again_and_retiring_read_their_own_rows(explained: Explained) -> None:
    """Retention runs beside the traffic, a slice at a time."""
    states = ([_MERCHANT] * 2, await _two(explained, _QUARANTINE), ["{}"] * 2, [_QUARANTINE])
    [row] = await explained.run(_SQL["reprocess"], *states)
    assert row["count"] == 2
    rests = ([_MERCHANT] * 2, await _two(explained, _RECEIVED), [60.0] * 2)
    await explained.run(_SQL["rest"], *rests)
    [row] = await explained.run(_SQL["retire"], _GREATEST, _PAGE)
    assert row["count"] == _PAGE
    await _read_few(explained)


async def _two(explained: Explained, state: int) -> list[ReceiptId]:
    rows = await explained.run("SELECT id FROM receipts WHERE state = $1 ORDER BY id", state)
    await explained.hear_all()
    explained.plans.clear()
    return [ReceiptId(row["id"]) for row in rows[:2]]


def _receipt(number: int, state: ReceiptState) -> Receipt:
    return Receipt(
        id=ReceiptId(bytes([8] * 15 + [number])),
        merchant_id=_MERCHANT,
        connector_id=_CONNECTOR,
        method="POST",
        query="",
        headers=(),
        body=b"{}",
        body_sha256=bytes(32),
        verdict=Verdict.UNVERIFIED,
        answered=401,
        state=state,
    )


def _conclusion(receipt_id: ReceiptId, *moved: Moved) -> Conclusion:
    object_id = receipt_id.hex()
    reference = Reference(reference="order-7", object_type="payment", object_id=object_id)
    return Conclusion(
        merchant_id=_MERCHANT,
        receipt_id=receipt_id,
        connector_id=_CONNECTOR,
        state=ReceiptState.PROCESSED,
        links=(Link(object_type="charge", object_id=object_id, said=("payment_captured",)),),
        references=(reference,),
        waits=(Wait(expectation=_expectation(object_id), due_in_s=0.0),),
        moved=moved,
    )


def _expectation(object_id: str) -> Expectation:
    return Expectation(
        id=bytes(16),
        merchant_id=_MERCHANT,
        connector_id=_CONNECTOR,
        object_type="payment",
        object_id=object_id,
        heard_type="charge",
        heard_id=object_id,
        since=_AT,
        due_at=_AT,
    )
