"""Ids: sortable, derived where they must be, total when read."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payhooks import ids
from payhooks.ids import DeliveryId, EventId, TimeOrderedIds
from payhooks.testing import ManualClock

NOW = datetime(2030, 1, 1, 12, 0, 0, 123_000, tzinfo=UTC)
ID = st.binary(min_size=16, max_size=16)
EVENT_ID = st.binary(min_size=14, max_size=14).map(
    lambda head: EventId(head[:13] + bytes([head[13] & 0xF0]) + bytes(2))
)
NUMBER = st.integers(min_value=1, max_value=ids.NUMBER_MAX)
MOMENT = st.timedeltas(min_value=timedelta(), max_value=timedelta(days=2_900_000)).map(
    lambda elapsed: datetime(1970, 1, 1, tzinfo=UTC) + elapsed
)


def source(*, clock: ManualClock | None = None, seed: int = 0) -> TimeOrderedIds:
    return TimeOrderedIds(clock or ManualClock(NOW), Random(seed))


@given(ID)
@example(bytes(16))
@example(b"\xff" * 16)
def test_text_and_bytes_are_two_spellings_of_one_id(value: bytes) -> None:
    text = ids.to_text(ids.EVENT, value)
    assert len(text) == len("evt_") + 26
    assert ids.from_text(ids.EVENT, text) == value


def test_the_spelling_is_fixed() -> None:
    """Ids are in merchants' databases; the alphabet can never change."""
    value = bytes.fromhex("0123456789abcdeffedcba9876543210")
    assert ids.to_text(ids.DELIVERY, value) == "del_014D2PF2DBSQQZXQ5TK1V58CGG"
    assert ids.to_text(ids.EVENT, b"\xff" * 16) == "evt_7ZZZZZZZZZZZZZZZZZZZZZZZZZ"


@given(ID, ID)
def test_text_sorts_as_the_bytes_do(one: bytes, other: bytes) -> None:
    """Lists are paged by id; the order on the screen must be the order of the store."""
    assert (ids.to_text("evt", one) < ids.to_text("evt", other)) == (one < other)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("evt", id="a prefix alone"),
        pytest.param("evt_", id="nothing behind it"),
        pytest.param("0" * 26, id="no prefix"),
        pytest.param("del_" + "0" * 26, id="another prefix"),
        pytest.param("EVT_" + "0" * 26, id="a prefix in capitals"),
        pytest.param("evt_" + "0" * 25, id="one too short"),
        pytest.param("evt_" + "0" * 27, id="one too long"),
        pytest.param("evt_" + "0" * 25 + "U", id="a letter that is not in the alphabet"),
        pytest.param("evt_" + "0" * 25 + "a", id="a small letter"),
        pytest.param("evt_" + "0" * 25 + "\n", id="a newline at the end"),
        pytest.param("evt_8" + "0" * 25, id="129 bits"),
        pytest.param("evt_Z" + "Z" * 25, id="130 bits"),
    ],
)
def test_what_spells_no_id_is_none(text: str) -> None:
    """It came from a URL; the answer is 404, never a 500."""
    assert ids.from_text(ids.EVENT, text) is None


@given(st.text())
def test_reading_is_total_and_has_one_spelling_per_id(text: str) -> None:
    """Two spellings of one id would be two cache keys and two audit targets."""
    value = ids.from_text(ids.EVENT, text)
    assert value is None or ids.to_text(ids.EVENT, value) == text


@given(EVENT_ID, NUMBER)
def test_a_delivery_knows_its_event_and_its_endpoint(event_id: EventId, number: int) -> None:
    """So one pair has one delivery, whoever makes it and however often."""
    delivery = ids.delivery_id(event_id, number)
    assert ids.event_id_of(delivery) == event_id
    assert ids.endpoint_number_of(delivery) == number


@given(EVENT_ID, NUMBER)
def test_the_deliveries_of_an_event_are_one_range(event_id: EventId, number: int) -> None:
    """They are read with one range scan of the primary key."""
    delivery = ids.delivery_id(event_id, number)
    assert event_id < delivery <= ids.last_delivery_id_of(event_id)
    # The event's and the endpoint's part are apart in the text as well: 22 and 4 characters.
    assert ids.to_text("x", event_id)[:-4] == ids.to_text("x", delivery)[:-4]


@pytest.mark.parametrize("number", [0, -1, ids.NUMBER_MAX + 1])
def test_an_endpoint_number_that_does_not_fit_is_a_bug(number: int) -> None:
    """One bit too many would be the delivery of another event."""
    with pytest.raises(AssertionError):
        ids.delivery_id(EventId(bytes(16)), number)


def test_a_delivery_id_is_not_an_event_id() -> None:
    """Mixing them up would make a delivery that belongs to nobody."""
    delivery = ids.delivery_id(source().new_event(), 1)
    with pytest.raises(AssertionError):
        ids.delivery_id(EventId(delivery), 2)


@given(st.lists(st.integers(min_value=0, max_value=5), max_size=50), st.integers(min_value=0))
def test_later_ids_are_greater(steps_ms: list[int], seed: int) -> None:
    """Also inside one millisecond: feeds and pages rely on it."""
    clock = ManualClock(NOW)
    made = source(clock=clock, seed=seed)
    values = [made.new()]
    for step_ms in steps_ms:
        clock.advance(timedelta(milliseconds=step_ms))
        values.append(made.new_event() if step_ms % 2 else made.new())
    assert values == sorted(set(values))


def test_ids_go_on_upwards_when_the_clock_goes_back() -> None:
    """A clock set back by an hour must not put new events before old ones."""
    clock = SteppingClock([NOW, NOW - timedelta(hours=1), NOW - timedelta(hours=1), NOW])
    made = source(clock=clock)
    values: list[bytes] = [made.new_event() for _ in range(4)]
    assert values == sorted(set(values))


def test_the_same_draw_twice_in_one_millisecond_makes_two_ids() -> None:
    """An id that is made twice is an event that overwrites another."""
    made = TimeOrderedIds(ManualClock(NOW), NoRandomness())
    values = [made.new() for _ in range(3)]
    assert values == sorted(set(values))


class NoRandomness(Random):
    """Draw zeros always."""

    def getrandbits(self, k: int, /) -> int:
        """Return zero."""
        return 0


class SteppingClock(ManualClock):
    """Tell the given times, one after the other."""

    def __init__(self, times: list[datetime]) -> None:
        super().__init__()
        self._times = iter(times)

    def now(self) -> datetime:
        """Return the next of the times."""
        return next(self._times)


def test_two_processes_that_start_together_make_different_ids() -> None:
    """Nothing coordinates them but 60 random bits."""
    one, other = source(seed=1), source(seed=2)
    assert {one.new_event() for _ in range(500)}.isdisjoint(other.new_event() for _ in range(500))


def test_the_same_seed_makes_the_same_ids() -> None:
    """A seed must replay a run of the simulator."""
    one, other = source(seed=7), source(seed=7)
    assert [one.new() for _ in range(5)] == [other.new() for _ in range(5)]


def test_an_id_tells_when_it_was_made() -> None:
    """The console shows it, and partitions are cut by it."""
    assert ids.made_at(source().new()) == NOW
    assert ids.made_at(source().new_event()) == NOW


@given(MOMENT)
@example(datetime(1970, 1, 1, tzinfo=UTC))
@example(datetime(2030, 1, 1, 0, 0, 0, 1, tzinfo=UTC))
def test_the_first_id_at_a_moment_bounds_what_was_made_then(moment: datetime) -> None:
    """A filter created[gte] must neither lose an event nor show an earlier one."""
    first = ids.first_id_at(moment)
    assert moment <= ids.made_at(first) < moment + timedelta(milliseconds=1)
    assert first[6:] == bytes(10)


def test_a_moment_before_1970_is_before_every_id() -> None:
    """A filter may ask for it; the answer is everything."""
    assert ids.first_id_at(datetime(1969, 12, 31, tzinfo=UTC)) == bytes(16)


def test_each_lease_of_each_delivery_has_its_own_attempt_id() -> None:
    """Derived, so the same on every read; and the late one beside the decisive one differs."""
    first = ids.delivery_id(source().new_event(), 1)
    second = DeliveryId(ids.delivery_id(ids.event_id_of(first), 2))
    texts = [
        ids.attempt_text(delivery, fence, late=late)
        for delivery in (first, second)
        for fence in (1, 2, 255, 256)
        for late in (False, True)
    ]
    assert len(set(texts)) == len(texts)
    assert ids.attempt_text(first, 1, late=False) == texts[0]
    read = ids.from_text(ids.ATTEMPT, texts[0])
    assert read is not None
    assert ids.made_at(read) == NOW
