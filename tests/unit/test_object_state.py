"""What an object's events make of it: the fold, over the tables that ship."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.life_cycle import LifeCycle
from payhooks.catalogue.object_state import Entry, Mark, ObjectState, fold
from payhooks.ids import MerchantId, TimeOrderedIds
from payhooks.model.event import Event
from payhooks.testing.clock import ManualClock

pytestmark = pytest.mark.shows("E22")

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
Told = tuple[str, float | None] | tuple[str, float | None, Mapping[str, object]]
_PENDING = {"payins": [{"payinStatus": "PENDING", "codeStatus": "140005"}]}
_VALIDATED = {"payins": [{"payinStatus": "VALIDATED", "codeStatus": "140005"}]}


def _events(family: str, told: Sequence[Told]) -> list[Event]:
    """Return events in the order they are heard; each has its minute after noon, or None."""
    clock = ManualClock(NOON)
    ids = TimeOrderedIds(clock, Random(1))
    found = []
    for type_, minute, *data in told:
        found.append(
            Event(
                id=ids.new_event(),
                merchant_id=MerchantId(bytes(16)),
                type=type_,
                family=family,
                data=msgspec.json.encode(data[0] if data else {}),
                object_type="thing",
                object_id="1",
                occurred_at=None if minute is None else NOON + timedelta(minutes=minute),
            )
        )
    return found


def _fold(family: str, *told: Told, after: timedelta = timedelta(hours=1)) -> ObjectState:
    return fold(_events(family, told), CATALOGUE, now=NOON + after)


def _marks(state: ObjectState) -> list[list[str]]:
    return [[str(mark) for mark in entry.marks] for entry in state.entries]


@pytest.mark.parametrize(
    ("family", "told", "state", "marks"),
    [
        pytest.param(
            "owngateway",
            [("payment_processing", 1), ("payment_failed", 2), ("payment_succeeded", 3)],
            "succeeded",
            [[], [], ["correction"]],
            id="failed, and succeeded after all",
        ),
        pytest.param(
            "owngateway",
            [("payment_processing", 1), ("payment_succeeded", 3), ("payment_failed", 2)],
            "succeeded",
            [[], ["superseded"], ["correction"]],
            id="the failure is told after the success that followed it",
        ),
        pytest.param(
            "owngateway",
            [("payment_succeeded", None), ("payment_failed", None)],
            "succeeded",
            [[], ["superseded"]],
            id="without times the life cycle says that the failure was before",
        ),
        pytest.param(
            "owngateway",
            [("payment_succeeded", 1), ("payment_processing", 1)],
            "succeeded",
            [[], ["superseded"]],
            id="at one time the life cycle says which was before",
        ),
        pytest.param(
            "owngateway",
            [("payment_succeeded", 1), ("payment_failed", 2)],
            "failed",
            [[], ["irregular", "correction"]],
            id="what the table does not know moves the object and is marked",
        ),
        pytest.param(
            "owngateway",
            [("payment_succeeded", 1), ("payment_succeeded", 2)],
            "succeeded",
            [[], ["repeated"]],
            id="the same again",
        ),
        pytest.param(
            "merchant-console",
            [("ach.submitted", 1), ("ach.settled", 2), ("ach.returned", 3)],
            "returned",
            [[], [], ["correction"]],
            id="settled and returned",
        ),
        pytest.param(
            "merchant-console",
            [
                ("transaction.sale.success", 1),
                ("transaction.sale.voided", 2),
                ("transaction.sale.unvoided", 3),
            ],
            "approved",
            [[], [], ["correction"]],
            id="voided and unvoided",
        ),
        pytest.param(
            "merchant-console",
            [("ach.note_added", None), ("ach.submitted", None), ("ach.note_added", None)],
            "submitted",
            [[], [], []],
            id="a note moves nothing",
        ),
        pytest.param(
            "treezor",
            [("payin.update", 2, _VALIDATED), ("payin.create", 1, _PENDING)],
            "validated",
            [["superseded"], []],
            id="an update before its creation",
        ),
        pytest.param(
            "treezor",
            [("payin.update", None, _VALIDATED), ("payin.create", None, _PENDING)],
            "validated",
            [[], []],
            id="an update before its creation, without times",
        ),
        pytest.param(
            "owlpay",
            [
                ("payment_intent.created", 1),
                ("payment_intent.authorized", 2),
                ("payment_intent.partial_captured", 3),
                ("payment_intent.refund_created", 4),
                ("payment_intent.refunded", 5, {"status": "partial_refund"}),
                ("payment_intent.refund_created", 6),
                ("payment_intent.refunded", 7, {"status": "full_refund"}),
            ],
            "refunded",
            [[], [], [], [], [], [], []],
            id="refunded in parts",
        ),
        pytest.param(
            "foloosi",
            [("order.cancel", 1), ("order.success", 2)],
            "paid",
            [[], ["correction"]],
            id="an order that is paid after all",
        ),
        pytest.param(
            "foloosi",
            [("order.success", None), ("order.cancel", None)],
            "cancelled",
            [[], ["correction"]],
            id="where the life cycle goes both ways, as they were heard",
        ),
    ],
)
def test_the_state_and_what_is_unusual(
    family: str, told: list[Told], state: str, marks: list[list[str]]
) -> None:
    """Each is a thing that the providers' documents say does happen."""
    folded = _fold(family, *told)

    assert folded.state == state
    assert _marks(folded) == marks


def test_what_a_state_means_is_told_beside_it() -> None:
    """Who knows the unified events alone has to understand every family."""
    folded = _fold("merchant-console", ("ach.submitted", 1), ("ach.settled", 2))

    assert folded.unified is not None
    assert folded.unified.event == "payment_succeeded"
    assert folded.words == "The money is there."
    assert folded.final
    assert folded.since == NOON + timedelta(minutes=2)


def test_two_families_about_one_object_are_told_apart() -> None:
    """A payment that two vocabularies tell of goes its way in each of them."""
    ours = _events("owngateway", [("payment_processing", 1), ("payment_succeeded", 4)])
    theirs = _events("merchant-console", [("ach.submitted", 2), ("ach.settled", 3)])

    folded = fold([*ours, *theirs], CATALOGUE, now=NOON)

    assert folded.kind is not None
    assert (folded.kind.family, folded.state) == ("owngateway", "succeeded")
    assert [(entry.before, entry.after) for entry in folded.entries] == [
        ("start", "processing"),
        ("start", "submitted"),
        ("submitted", "settled"),
        ("processing", "succeeded"),
    ]


def test_an_event_of_an_unknown_type_leaves_the_state() -> None:
    """An operator's own types have no life cycle, and their events belong to the story."""
    events = _events("owngateway", [("payment_processing", 1), ("shop.noted", 2)])
    folded = fold(events, CATALOGUE, now=NOON)

    assert folded.state == "processing"
    assert folded.entries[-1].kind is None


def test_nothing_known_of_an_object_is_said_as_such() -> None:
    """Better no state than a made-up one."""
    folded = _fold("owngateway", ("shop.noted", 1))

    assert (folded.state, folded.words, folded.unified, folded.final) == (None, None, None, False)


@pytest.mark.parametrize(
    ("family", "type_", "after", "delayed"),
    [
        pytest.param("owngateway", "payment_processing", 23, False, id="less than a day"),
        pytest.param("owngateway", "payment_processing", 25, True, id="more than a day"),
        pytest.param("owngateway", "payment_succeeded", 25, False, id="no longer in processing"),
        pytest.param("merchant-console", "ach.submitted", 119, False, id="banks take days"),
        pytest.param("merchant-console", "ach.submitted", 121, True, id="not so many"),
    ],
)
def test_an_object_that_waits_too_long_is_delayed(
    family: str, type_: str, after: int, *, delayed: bool
) -> None:
    """How long is too long depends on the kind."""
    assert _fold(family, (type_, 0), after=timedelta(hours=after)).delayed is delayed


def test_processing_told_again_does_not_begin_the_wait_anew() -> None:
    """A provider that says every hour that it is at work would never be late."""
    told = [("payment_processing", 0), ("payment_processing", 60 * 23)]
    folded = _fold("owngateway", *told, after=timedelta(hours=25))

    assert folded.since == NOON
    assert folded.delayed


def test_a_publisher_may_say_that_an_object_is_delayed() -> None:
    """It knows better than a clock."""
    assert _fold("owngateway", ("payment_processing", 1, {"delayed": True})).delayed
    assert not _fold("owngateway", ("payment_succeeded", 1, {"delayed": True})).delayed


def test_what_is_to_be_paid_back_is_shown_while_it_is() -> None:
    """A failed payment whose issuer has debited leaves a debt that somebody must see."""
    [event] = _events("owngateway", [("payment_failed", 1)])
    # To the digit: no double has these.
    pay_back = b'{"required": true, "amount": 12345678901234567.89, "fee": 10.00}'
    failed = msgspec.structs.replace(event, data=b'{ "pay_back" : %b }' % pay_back)

    assert fold([failed], CATALOGUE, now=NOON).pay_back == msgspec.Raw(pay_back)


@pytest.mark.parametrize("data", [b'{"pay_back":null}', b"{}", b"[]", b"null", b"", b'{"a":1e'])
def test_where_nothing_is_to_be_paid_back_nothing_is_shown(data: bytes) -> None:
    """Whatever an event's data is, or once was."""
    [event] = _events("owngateway", [("payment_failed", 1)])

    failed = msgspec.structs.replace(event, data=data)

    assert fold([failed], CATALOGUE, now=NOON).pay_back is None


def test_a_payload_that_was_removed_does_not_hide_the_others() -> None:
    """Removing what is personal must not lose a payment's state."""
    first, second = _events("owngateway", [("payment_processing", 1), ("payment_succeeded", 2)])
    removed = msgspec.structs.replace(first, data=b"")

    assert fold([removed, second], CATALOGUE, now=NOON).state == "succeeded"


_WORDS = st.sampled_from(
    [
        ("payment_processing", {}),
        ("payment_authorized", {}),
        ("payment_captured", {"status": "partially_captured"}),
        ("payment_captured", {"status": "partially_captured_and_capturable"}),
        ("payment_succeeded", {}),
        ("payment_failed", {}),
        ("payment_cancelled", {}),
        ("action_required", {}),
    ]
)


@given(words=st.lists(_WORDS, min_size=1, max_size=8), data=st.data())
def test_in_whatever_order_events_are_heard_they_say_the_same(
    words: list[tuple[str, dict[str, object]]], data: st.DataObject
) -> None:
    """Providers, networks and our own processes may each turn the order round."""
    events = _events("owngateway", [(type_, at, said) for at, (type_, said) in enumerate(words)])
    heard = data.draw(st.permutations(events))

    inorder, shuffled = (fold(each, CATALOGUE, now=NOON) for each in (events, heard))

    assert _moves(inorder.entries) == _moves(shuffled.entries)
    assert (inorder.state, inorder.unified, inorder.since) == (
        shuffled.state,
        shuffled.unified,
        shuffled.since,
    )
    assert not any(Mark.SUPERSEDED in entry.marks for entry in inorder.entries)


def _moves(entries: Sequence[Entry]) -> list[tuple[bytes, str, str]]:
    return [(entry.event.id, entry.before, entry.after) for entry in entries]


@given(
    told=st.lists(st.tuples(_WORDS, st.none() | st.integers(min_value=0, max_value=3)), max_size=8)
)
def test_whatever_is_told_each_entry_begins_where_the_one_before_ended(
    told: list[tuple[tuple[str, dict[str, object]], int | None]],
) -> None:
    """A history with a gap in it explains nothing."""
    folded = _fold("owngateway", *((type_, at, said) for (type_, said), at in told))

    state = "start"
    for entry in folded.entries:
        assert entry.before == state
        state = entry.after
    assert folded.state == (None if state == "start" else state)


def test_a_wait_that_cannot_be_read_is_refused() -> None:
    """A typing error in a family's file is found when it is read, not when a payment is late."""
    with pytest.raises(ValueError, match="waits"):
        LifeCycle(states={}, waits="soon")


def test_data_that_is_deeper_than_can_be_read_moves_its_object_all_the_same() -> None:
    """How deep that is depends on who looks: it must not be an error for some of them."""
    [event] = _events("owngateway", [("payment_succeeded", 1)])
    deep = msgspec.structs.replace(event, data=b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}")

    assert fold([deep], CATALOGUE, now=NOON).state == "succeeded"
