"""The judge of the kill tests finds each kind of broken promise: it can say no."""

import dataclasses

import pytest
from tests.support.journal import Verdict, judge
from tests.support.publisher import Entry
from tests.support.receiver import Reception


def _entry(*ids: str) -> Entry:
    return Entry(sent=1, ids=set(ids))


JOURNAL = {"a": _entry("evt_a"), "b": _entry("evt_b"), "unknown": _entry()}


def _reception(key: str, *, sequence: int = 1, at_s: float = 0.0, **other: object) -> Reception:
    reception = Reception(at_s, "/ok", f"del_{key}", True, _data(key, sequence))  # noqa: FBT003 - verified
    return dataclasses.replace(reception, **other)  # type: ignore[arg-type]  # names of fields


def _data(key: str, sequence: int) -> dict[str, object]:
    return {"key": key, "object": "o", "sequence": sequence}


GOOD = [_reception("a"), _reception("b", sequence=2, at_s=1.0)]


def _judge(receptions: list[Reception], *, attempts: int = 1) -> Verdict:
    return judge(
        JOURNAL,
        receptions,
        paths=["/ok"],
        attempts=lambda _: attempts,
        ordered={"/ok": "object"},
    )


def test_what_was_kept_is_clean() -> None:
    verdict = _judge(GOOD)
    assert verdict.is_clean, str(verdict)
    assert (verdict.sent, verdict.acked, verdict.received) == (3, 2, 2)


def test_an_event_that_nobody_acknowledged_may_arrive() -> None:
    """Its request was cut off; whether it was stored, only the store knew."""
    extra = _reception("unknown", sequence=3, at_s=2.0)
    assert _judge([*GOOD, extra]).is_clean


def test_a_duplicate_that_the_record_accounts_for_is_counted_and_allowed() -> None:
    verdict = _judge([*GOOD, _reception("b", sequence=2, at_s=2.0)], attempts=2)
    assert verdict.is_clean
    assert verdict.duplicates == 1


@pytest.mark.parametrize(
    ("receptions", "kind"),
    [
        pytest.param(GOOD[:1], "lost", id="acknowledged and never received"),
        pytest.param(
            [*GOOD, _reception("x", sequence=3, at_s=2.0)], "phantom", id="never sent by anybody"
        ),
        pytest.param(
            [*GOOD, _reception("b", sequence=2, at_s=2.0)],
            "unexplained",
            id="twice, one on record",
        ),
        pytest.param(
            [*GOOD, _reception("b", sequence=2, at_s=2.0, message_id="del_other")],
            "unexplained",
            id="twice under two names",
        ),
        pytest.param(
            [GOOD[0], dataclasses.replace(GOOD[1], verified=False)], "unverified", id="unsigned"
        ),
        pytest.param(
            [_reception("a", at_s=2.0), _reception("b", sequence=2)], "disordered", id="out of turn"
        ),
        pytest.param(
            [*GOOD, _reception("a", at_s=3.0)], "disordered", id="a duplicate behind its follower"
        ),
    ],
)
def test_each_broken_promise_is_named(receptions: list[Reception], kind: str) -> None:
    """A judge that cannot say no would make every proof worthless."""
    assert kind in _judge(receptions).faults


def test_one_key_with_two_answers_is_named() -> None:
    journal = {"a": _entry("evt_1", "evt_2")}
    verdict = judge(journal, [_reception("a")], paths=["/ok"], attempts=lambda _: 1)
    assert verdict.faults == {"two_answers": 1}
