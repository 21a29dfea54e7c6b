"""Dialects that others bring: what is taken, and what is refused in one sentence."""

from dataclasses import dataclass

import pytest

from payhooks.dialects import registry
from payhooks.dialects.offered import Offer, accepted
from payhooks.dialects.standard import STANDARD, Standard
from payhooks.errors import InvalidError

pytestmark = pytest.mark.shows("V10")


class Changed:
    """The standard dialect, but for what a test says."""

    def __init__(self, **changed: object) -> None:
        for name in dir(STANDARD):
            if not name.startswith("_") and changed.get(name) is not _MISSING:
                setattr(self, name, changed.get(name, getattr(STANDARD, name)))


@dataclass
class Raising:
    """What answers no question."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("a text that nobody should see")


_MISSING = object()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param(Standard, "it is a class; name an object made of it", id="class"),
        pytest.param(None, "it has no name, version", id="nothing"),
        pytest.param(
            Changed(render=_MISSING, sign=_MISSING), "it has no render, sign", id="halves"
        ),
        pytest.param(Changed(verify=True), "its verify cannot be called", id="no method"),
        pytest.param(Changed(name="Acme"), "its name is not of", id="upper case"),
        pytest.param(Changed(name="a" * 41), "its name is not of", id="long"),
        pytest.param(Changed(name=7), "its name is no str", id="number for a name"),
        pytest.param(Changed(version="1"), "its version is no int", id="text for a version"),
        pytest.param(Changed(version=True), "its version is no int", id="switch for a version"),
        pytest.param(Changed(version=0), "its version is not between", id="version 0"),
        pytest.param(Changed(signs_by_default=1), "its signs_by_default is no bool", id="number"),
        pytest.param(Changed(retry_policy="often"), "its retry_policy is none of", id="policy"),
        pytest.param(Changed(timeout_s=3_600), "its timeout_s is not between", id="an hour"),
        pytest.param(Changed(timeout_s=float("nan")), "its timeout_s is not", id="not a number"),
        pytest.param(Changed(in_flight_max=0), "its in_flight_max is not", id="none in flight"),
        pytest.param(Raising(), "looking at it raises RuntimeError", id="raises"),
    ],
)
def test_what_is_no_dialect_is_refused_in_words(found: object, words: str) -> None:
    """Found out when it is first used, it would be found out by a payment."""
    said = accepted(found)
    assert isinstance(said, str)
    assert said.startswith(words)
    with pytest.raises(InvalidError) as caught:
        registry.register([Offer("it in acme 1.0", found)])
    [fault] = caught.value.faults
    assert fault.detail == f"it in acme 1.0 is no dialect: {said}."


@pytest.mark.parametrize("name", ["standard", "custom"])
def test_a_name_of_ours_cannot_be_taken(name: str) -> None:
    """Endpoints with it would speak something else after an install."""
    with pytest.raises(InvalidError, match=f"the name {name} is taken"):
        registry.register([Offer("it", Changed(name=name))])


def test_of_two_with_one_name_none_is_added() -> None:
    """Which of them an endpoint speaks must not depend on an order."""
    with pytest.raises(InvalidError, match="the name twice is taken"):
        registry.register([Offer("a", Changed(name="twice")), Offer("b", Changed(name="twice"))])
    assert "twice" not in registry.DIALECTS


def test_every_dialect_of_ours_could_be_brought_by_others() -> None:
    """What is asked of them is asked of us."""
    for dialect in registry.DIALECTS.values():
        words = accepted(dialect)
        assert words is dialect or dialect.name == "custom", words
