"""Scripts: the same for the same seed, and true in their sums, ids and times."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payhooks.catalogue import Catalogue
from payhooks.catalogue.life_cycle import LifeCycle, ObjectKind, TypeEntry
from payhooks.errors import InvalidError
from payhooks.model.event_type import EventType, Provenance
from payhooks.sandbox import scenarios, script
from payhooks.sandbox.scenarios import Scenario
from payhooks.sandbox.script import Publication, Wishes

pytestmark = pytest.mark.shows("E15")

BEGINS_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
NAMES = ("paid", "refunded", "noted")
EXAMPLE = {
    "id": "pay_example",
    "reference": "of nobody",
    "amount": {"value": 1, "currency": "USD"},
    "lines": [{"id": "one"}, {"id": "two"}],
    "at": "2020-01-01",
    "left": True,
}
IDS = {"id": "pay_{hex:32}", "number": "{digits:8}", "key": "{uuid}-{alnum:5}-{alnum:5}"}
BIND = {
    "/id": "{id}",
    "/reference": "{invoice}",
    "/amount/value": "{amount|minor}",
    "/amount/currency": "{currency}",
    "/at": "{now+1d|day}",
    "/not/there": "{id}",
}
FILE = """
[variables]
amount = "125.00"
currency = "EUR"
unused = "1"

[[scenarios]]
name = "in-two-parts"
title = "In two parts"
words = "Paid, then given back in part."
[scenarios.variables]
first = "50.00"
rest = "= amount - first + 0.50"
[[scenarios.steps]]
event = "paid"
object = "payment"
[[scenarios.steps]]
event = "refunded"
object = "refund"
after = "7d"
unset = ["/left", "/lines/0"]
[scenarios.steps.set]
"/of" = "{payment.id}"
"/rest" = "{rest|cents}"
"/lines/1/id" = "{id}"
"/none" = "{null}"
[[scenarios.steps]]
event = "noted"
object = "payment"
after = "0s"
set = { "/born" = "{born|z}", "/paris" = "{now|paris}", "/both" = "{number} of {currency}" }
if = "auto_capture"
"""


def _book(**types: dict[str, Any]) -> Catalogue:
    kind = ObjectKind(
        object="payment",
        title="Payment",
        words="",
        types=tuple(
            TypeEntry(
                name=name,
                words="",
                provenance=Provenance.DESIGNED,
                metadata={"changes": {"new": {"day": "{now|day}"}}} if name == "noted" else {},
            )
            for name in NAMES
        ),
        life_cycle=LifeCycle(states={}),
        family="shop",
        name="payment",
        ids=IDS,
        bind=BIND,
    )
    found = [
        EventType(
            family="shop",
            name=name,
            words="",
            provenance=Provenance.DESIGNED,
            kind="payment",
            object_type="payment",
            example=msgspec.json.encode(types.get(name, EXAMPLE)),
        )
        for name in NAMES
    ]
    return Catalogue(found, kinds={("shop", "payment"): kind})


BOOK = _book()


def _read(folder: Path, text: str = FILE) -> Scenario:
    file = folder / "shop.toml"
    file.write_text(text, encoding="utf-8")
    [scenario] = scenarios.read(file, BOOK)
    return scenario


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return _read(tmp_path_factory.mktemp("scenarios"))


def _written(scenario: Scenario, **wishes: Any) -> tuple[Publication, ...]:  # noqa: ANN401 - members
    said = Wishes(**{"seed": 1, **wishes})
    return script.write(scenario, BOOK, said, begins_at=BEGINS_AT).publications


def _data(publication: Publication) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(publication.data)
    return found


def test_what_stands_beside_the_data_comes_along(scenario: Scenario) -> None:
    """A provider that says what changed says it beside the object, and so does its sandbox."""
    *others, noted = _written(scenario)
    assert [one.metadata for one in others] == [None, None]
    assert noted.metadata == b'{"changes":{"new":{"day":"2026-11-28"}}}'


def test_a_step_is_its_example_with_the_run_written_over_it(scenario: Scenario) -> None:
    """What neither names stays: an example is a whole event."""
    paid, refunded, noted = _written(scenario)
    data = _data(paid)
    assert data["id"] == paid.object_id
    assert data["amount"] == {"value": 12500, "currency": "EUR"}
    assert data["at"] == "2026-11-22"
    assert data["reference"] == "of nobody"  # no scenario knows an invoice
    assert "not" not in data
    data = _data(refunded)
    assert (data["of"], data["rest"], data["none"]) == (paid.object_id, "7550", None)
    assert data["lines"] == [{"id": refunded.object_id}]
    assert "left" not in data
    data = _data(noted)
    assert data["born"] == "2026-11-21T09:30:00.000Z"
    assert data["paris"] == "2026-11-28 10:30:00"
    assert data["both"].endswith(" of EUR")
    assert noted.object_id == paid.object_id != refunded.object_id


def test_ids_look_as_the_kind_says(scenario: Scenario) -> None:
    """A receiver that checks the form of an id takes those of a play too."""
    paid, *_ = _written(scenario)
    assert paid.object_id.startswith("pay_")
    assert len(paid.object_id) == len("pay_") + 32
    int(paid.object_id.removeprefix("pay_"), 16)


@given(seed=st.integers(0, 2**53), other=st.integers(0, 2**53))
@example(seed=0, other=1)
def test_a_seed_plays_the_same_again(scenario: Scenario, seed: int, other: int) -> None:
    """Whoever takes a run over must go on with the same payment, to the byte."""
    assert _written(scenario, seed=seed) == _written(scenario, seed=seed)
    same = _written(scenario, seed=seed) == _written(scenario, seed=other)
    assert same == (seed == other)


@given(amount=st.integers(5_000, 10**9), first=st.integers(0, 5_000))
def test_sums_are_exact(scenario: Scenario, amount: int, first: int) -> None:
    """A cent lost to a float would be the first thing that somebody finds."""
    values = {"amount": f"{amount // 100}.{amount % 100:02}", "first": f"{first / 100:.2f}"}
    _, refunded, _ = _written(scenario, values=values)
    assert _data(refunded)["rest"] == str(amount - first + 50)


def test_times_go_forward_and_end_where_they_should(scenario: Scenario) -> None:
    """Two events of one moment would have no order."""
    at = [one.occurred_at - BEGINS_AT for one in _written(scenario)]
    assert at == [timedelta(), timedelta(days=7), timedelta(days=7, milliseconds=1)]
    assert script.length_ms(scenario, auto_capture=True) == 7 * 86_400_000 + 1


def test_a_step_that_the_settings_leave_out_is_not_played(scenario: Scenario) -> None:
    whole = script.write(scenario, BOOK, Wishes(seed=1, auto_capture=False), begins_at=BEGINS_AT)
    assert [one.type for one in whole.publications] == ["paid", "refunded"]
    assert whole.left_out == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param({"amonut": "1"}, "amonut; did you mean amount? There are: ", id="unknown"),
        pytest.param(
            {"unused": "1"},
            "There are: amount, currency, first.",
            id="used by nothing",
        ),
        pytest.param({"amount": "12,50"}, "as in 125.00", id="no amount"),
        pytest.param({"amount": "-1"}, "as in 125.00", id="negative"),
        pytest.param({"first": "500.00"}, "rest would be -374.50", id="negative sum"),
        pytest.param({"currency": "E\nR"}, "printable", id="control character"),
        pytest.param({"currency": ""}, "1 to 64", id="empty"),
        pytest.param({"currency": "banana"}, "three capital letters", id="no currency"),
        pytest.param({"rest": "1"}, "It follows from amount and first", id="computed"),
        pytest.param({"first": "7.129"}, "at most 2 decimals", id="cut"),
        pytest.param({"amount": "125.5", "currency": "JPY"}, "no decimals", id="cut to yen"),
    ],
)
def test_what_makes_no_sense_is_refused(
    scenario: Scenario, values: dict[str, str], words: str
) -> None:
    """By name, and with what there is: whoever typed it has to find it."""
    with pytest.raises(InvalidError) as caught:
        _written(scenario, values=values)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("125.00", "EUR", 12500), ("125", "JPY", 125), ("125.00", "JPY", 125), ("1.234", "KWD", 1234)],
)
def test_minor_units_are_those_of_the_currency(amount: str, currency: str, minor: int) -> None:
    """A hundred times too much in yen is what a merchant tests for."""
    type_ = BOOK.find("shop", "paid")
    assert type_ is not None
    alone = script.of_event(type_, {"amount": amount, "currency": currency})
    [paid] = _written(alone)
    assert _data(paid)["amount"]["value"] == minor


def test_two_scenarios_of_one_seed_are_of_different_objects(scenario: Scenario) -> None:
    """Else the second would go on with a payment that the first has ended."""
    other = msgspec.structs.replace(scenario, name="another")
    ones = {one.object_id for one in _written(scenario, seed=7)}
    assert not ones & {one.object_id for one in _written(other, seed=7)}


def test_a_member_of_a_list_is_set_by_its_number(scenario: Scenario) -> None:
    """Some providers send a list of one, and what is to be changed is in it."""
    type_ = BOOK.find("shop", "paid")
    assert type_ is not None
    alone = script.of_event(type_, scenario.variables)
    [said] = _written(alone, members={"lines.1.id": "three", "lines.0": 1})
    assert _data(said)["lines"] == [1, {"id": "three"}]
    for path in ("lines.2", "lines.x.id", "lines.-1"):
        with pytest.raises(InvalidError):
            _written(alone, members={path: 1})


def test_an_event_alone_is_a_scenario_of_one_step(scenario: Scenario) -> None:
    """Members are set as they are given, however deep; objects on the way are made."""
    type_ = BOOK.find("shop", "paid")
    assert type_ is not None
    alone = script.of_event(type_, scenario.variables)
    [said] = _written(alone, members={"amount.value": 3, "pay_back.required": True})
    data = _data(said)
    assert data["amount"] == {"value": 3, "currency": "EUR"}
    assert data["pay_back"] == {"required": True}
    assert data["id"] == said.object_id
    with pytest.raises(InvalidError):
        _written(alone, members={"id.deep": 1})


@given(count=st.integers(0, 60), percent=st.integers(0, 100), seed=st.integers(0, 2**32))
@example(count=2, percent=100, seed=0)
@example(count=2, percent=100, seed=5)
def test_disorder_moves_behind_and_loses_nothing(count: int, percent: int, seed: int) -> None:
    """Nobody comes more than three places late, and at 100 % something does."""
    places = script.order(count, percent=percent, seed=seed)
    assert sorted(places) == list(range(count))
    for at, place in enumerate(places):
        overtaken_by = [other for other in places[:at] if other > place]
        assert len(overtaken_by) <= script.HELD_BACK_BEHIND_MAX
    if percent == 0:
        assert places == sorted(places)
    if percent == 100 and count > 1:
        assert places != sorted(places)


@given(count=st.integers(0, 60), seed=st.integers(0, 2**32))
def test_all_or_nothing_is_sent_twice(count: int, seed: int) -> None:
    assert script.repeated(count, percent=0, seed=seed) == frozenset()
    assert script.repeated(count, percent=100, seed=seed) == frozenset(range(count))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        pytest.param('"EUR"', '"euro"', "three capital letters", id="currency"),
        pytest.param('event = "paid"', 'event = "payed"', "shop has no payed", id="event"),
        pytest.param("{payment.id}", "{payments.id}", "{payments.id} is neither", id="object"),
        pytest.param("{rest|cents}", "{rest|pence}", "no form pence", id="form"),
        pytest.param("{rest|cents}", "{rest|utc}", "no form utc", id="form of a time"),
        pytest.param("{born|z}", "{born|cents}", "no form cents", id="form of an amount"),
        pytest.param("{null}", "{null+1d}", "only a time", id="offset"),
        pytest.param("{null}", "{}", "no placeholder", id="empty"),
        pytest.param('"/of"', '"of"', "no JSON pointer", id="pointer"),
        pytest.param('after = "7d"', 'after = "a week"', "no span", id="span"),
        pytest.param("auto_capture", "auto_refund", "no condition", id="condition"),
        pytest.param("= amount - first", "= amount - frist", "no frist before it", id="sum"),
        pytest.param("= amount - first", "= amount -", "no sum", id="broken sum"),
        pytest.param('object = "refund"', 'objects = "refund"', "objects", id="member"),
        pytest.param("in-two-parts", "In two parts", "small letters", id="name"),
    ],
)
def test_a_file_that_is_not_understood_is_refused(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    """With the file named, and the scenario and the step where that is where it is."""
    assert old in FILE
    with pytest.raises(ValueError, match=r"^shop\.toml: ") as caught:
        _read(tmp_path, FILE.replace(old, new))
    assert words in str(caught.value)


def test_a_file_is_named_after_a_family(tmp_path: Path) -> None:
    """Its events are that family's words."""
    file = tmp_path / "shops.toml"
    file.write_text(FILE, encoding="utf-8")
    with pytest.raises(ValueError, match="named after no family"):
        scenarios.read(file, BOOK)
    part = tmp_path / "shop-refunds.toml"
    part.write_text(FILE, encoding="utf-8")
    assert [one.family for one in scenarios.read(part, BOOK)] == ["shop"]
