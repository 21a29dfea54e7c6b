"""Whatever the order in which a provider's messages come, what is told in the end is the same."""

from collections import Counter
from random import Random

import pytest
from tests.support.heard_histories import (
    OF_FAMILY,
    Word,
    event_of,
    played,
    provider_of,
    request_of,
    told_in_the_end,
    words_of,
)

from payhooks.catalogue import CATALOGUE
from payhooks.connectors.contract import Incoming
from payhooks.sandbox.scenarios import shipped

pytestmark = pytest.mark.shows("N03")

_SHUFFLES = 12
_REPEATED = 0.3
_SCENARIOS = sorted(
    (one.family, name) for name, one in shipped().scenarios.items() if one.family in OF_FAMILY
)


def _shuffled(requests: tuple[Incoming, ...], random: Random) -> list[Incoming]:
    many = [*requests, *[one for one in requests if random.random() < _REPEATED]]
    random.shuffle(many)
    return many


@pytest.mark.parametrize("family", OF_FAMILY)
def test_any_order_and_any_repetition_tells_what_the_ordered_story_does(family: str) -> None:
    """A provider promises no order; a merchant who books what is told must not notice."""
    provider, options = provider_of(family)
    names = [name for owner, name in _SCENARIOS if owner == family]
    assert names
    for name in names:
        requests = played(name)
        ordered = told_in_the_end(provider, options, requests)
        for turn in range(_SHUFFLES):
            shuffled = _shuffled(requests, Random(f"{name}/{turn}"))
            told = told_in_the_end(provider, options, shuffled)
            assert told == ordered, f"{name}, shuffle {turn}"


@pytest.mark.parametrize("family", OF_FAMILY)
def test_a_part_of_a_story_means_nothing_that_the_whole_does_not(family: str) -> None:
    """What was told cannot be taken back when the rest comes."""
    provider, options = provider_of(family)
    for name in [name for owner, name in _SCENARIOS if owner == family]:
        requests = played(name)
        whole = told_in_the_end(provider, options, requests)
        for turn in range(_SHUFFLES):
            random = Random(f"{name}/{turn}")
            part = [one for one in requests if random.random() < 0.5]
            assert told_in_the_end(provider, options, part) <= whole, f"{name}, part {turn}"


def test_the_stories_tell_of_money() -> None:
    """Two silences are equal as well."""
    told: dict[str, Counter[Word]] = {}
    for family, name in _SCENARIOS:
        provider, options = provider_of(family)
        said = told_in_the_end(provider, options, played(name))
        told[family] = told.get(family, Counter()) + said
    events = {family: {word[0] for word in words} for family, words in told.items()}
    assert {"payment_succeeded", "refund_succeeded", "payout_success"} <= events["owlpay"]
    assert {"payment_succeeded", "refund_failed", "dispute_accepted"} <= events["treezor"]
    assert {"payment_succeeded", "payment_failed"} <= events["merchant-console"]
    assert {"payment_captured", "dispute_won", "mandate_active"} <= events["owngateway"]
    assert events["foloosi"] == set(), "an order follows its payment, which tells of itself"


@pytest.mark.parametrize("family", OF_FAMILY)
def test_every_example_of_the_catalogue_is_read_and_can_be_told(family: str) -> None:
    """A type that nobody could read would be found by the first merchant who gets it."""
    provider, options = provider_of(family)
    types = [type_ for type_ in CATALOGUE.types if type_.family == family]
    assert types
    for type_ in types:
        request = request_of(provider.name, event_of(family, type_.name))
        heards = provider.read(request, options)
        assert [heard.type for heard in heards] == [type_.name]
        words_of(provider, options, heards)
