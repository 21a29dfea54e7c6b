"""How PostgreSQL reads lists that people narrow: about as many rows as are shown.

One merchant has 60,000 events, of which three fail and six are of a rare type. The planner knows
how common types are on average, not which one is asked for.
"""

from collections.abc import Iterator

import pytest
from tests.support.postgres_plans import Explained, filled_database, id_text, small_id

from payhooks.ids import MerchantId
from payhooks.model.attempt import Reason
from payhooks.model.delivery import State
from payhooks.ports.reading import DeliveryFilter, EventFilter
from payhooks.storage import statements
from payhooks.storage.postgres import listing
from payhooks.storage.postgres.reading import events_statement

_GREATEST = b"\xff" * 16
_LEAST = bytes(16)
# Of a page of 20, with what is looked up of each row.
_READ_MAX = 1_000
_FEW = 100
_SQL = statements.load("payhooks.storage.postgres", "reading.sql")
_ONE = MerchantId((5_000).to_bytes(16, "big"))
_ROWS = 60_000
_TYPE = "CASE WHEN n % 20000 < 2 THEN 'rare.thing' ELSE 'common.thing_' || n % 4 END"

_FILL = f"""
INSERT INTO events (merchant_id, id, routing_version, fan_out, type, family, object_type,
  object_id, data)
SELECT {small_id("5000")}, {id_text("00000")}, 1, CASE WHEN n % 3 = 0 THEN 0 ELSE 1 END,
  {_TYPE}, 'shop', 'payment', n, '{{}}' FROM generate_series(1, {_ROWS}) n;
INSERT INTO deliveries (merchant_id, id, endpoint_id, finished_at, delivered_at, fence,
  attempts_made, dialect_version, state, event_type, dialect, reason)
SELECT {small_id("5000")}, {id_text("00001")}, {small_id("n % 5")}, now(), now(), 1, 1, 1,
  CASE n % 10000 WHEN 1 THEN 4 WHEN 2 THEN 5 ELSE 3 END, {_TYPE}, 'standard',
  CASE WHEN n % 10000 = 1 THEN 'tls' END
FROM generate_series(1, {_ROWS}) n WHERE n % 3 <> 0;
ANALYZE;
"""  # noqa: S608 - our own words only


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with filled_database(_FILL) as url:
        yield url


@pytest.mark.parametrize(
    ("filter_", "types"),
    [
        pytest.param(DeliveryFilter(), None, id="all"),
        pytest.param(DeliveryFilter(states=(State.FAILED,)), None, id="failed ones"),
        pytest.param(
            DeliveryFilter(states=(State.FAILED, State.CANCELLED), event_types=("rare.*",)),
            None,
            id="failed and cancelled ones of a pattern",
        ),
        pytest.param(DeliveryFilter(reason=Reason.TLS), None, id="of one reason"),
        pytest.param(DeliveryFilter(event_types=("rare.*",)), ["rare.thing"], id="of a rare type"),
        pytest.param(
            DeliveryFilter(event_types=("*",), states=(State.DELIVERED,)),
            ["common.thing_1", "common.thing_2", "rare.thing"],
            id="delivered ones of several types",
        ),
    ],
)
async def test_a_list_of_deliveries_reads_about_as_many_rows_as_it_shows(
    explained: Explained, filter_: DeliveryFilter, types: list[str] | None
) -> None:
    """Three in a million, far apart: an index that only gives the order is walked to its end."""
    page = listing.Page(filter_, types)

    rows = await explained.run(page.sql, _ONE, _GREATEST, _LEAST, 20, *page.arguments)

    assert rows
    await explained.assert_no_walk()
    assert explained.rows_read() < _READ_MAX


@pytest.mark.parametrize(
    "filter_",
    [
        pytest.param(EventFilter(types=("rare.thing",)), id="of a type"),
        pytest.param(EventFilter(types=("rare.thing",), status="delivered"), id="delivered"),
        pytest.param(EventFilter(types=("rare.thing",), status="unsubscribed"), id="unsubscribed"),
    ],
)
async def test_events_of_a_rare_type_are_found_without_reading_the_others(
    explained: Explained, filter_: EventFilter
) -> None:
    """What was told to nobody is found as well as what was delivered."""
    status = statements.load("payhooks.storage.postgres", "reading.sql")["status"]
    statement = listing.events_by_type(filter_)
    assert statement is not None
    waiting = () if filter_.status else (["rare.thing"],)

    rows = await explained.run(
        statement.replace("{status}", status),
        *(_ONE, _GREATEST, _LEAST, ["rare.thing"], 20, *waiting),
    )

    assert {row["type"] for row in rows} == {"rare.thing"}
    assert {row["status"] for row in rows} <= {"delivered", "unsubscribed", "failed"}
    await explained.assert_no_walk()
    assert explained.rows_read() < _READ_MAX


async def test_events_of_one_object_are_found_without_reading_the_others(
    explained: Explained,
) -> None:
    """Whoever looks a payment up waits for as many rows as it has."""
    rows = await explained.run(
        events_statement(EventFilter(object_id="77")), _ONE, _GREATEST, _LEAST, None, "77", None, 20
    )

    assert [row["object_id"] for row in rows] == ["77"]
    await explained.assert_no_walk()
    assert explained.rows_read() < _FEW


async def test_what_events_are_about_is_read_from_where_it_was_left(explained: Explained) -> None:
    """Asked for once a second by every process that follows orders."""
    page = _SQL["subjects"]
    rows = await explained.run(page, _ONE, _LEAST, 20)
    explained.plans.clear()

    assert len(await explained.run(page, _ONE, rows[-1]["id"], 20)) == 20

    await explained.assert_no_walk()
    assert explained.rows_read() < _FEW


async def test_types_are_told_without_reading_every_row(explained: Explained) -> None:
    """A pattern is asked for type by type: what types there are must cost no more than they."""
    rows = await explained.run(listing.SQL["types"], _ONE, 100)

    assert sorted(row["type"] for row in rows) == [
        *(f"common.thing_{number}" for number in range(4)),
        "rare.thing",
    ]
    await explained.assert_no_walk()
    assert explained.rows_read() < _READ_MAX
