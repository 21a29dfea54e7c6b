"""The figures of what it costs to look for card data are of what they say."""

from benchmarks.card_numbers import measure


def test_each_way_has_a_figure_and_only_what_has_a_card_is_found_to_have_one() -> None:
    """What found something is a hundred times slower, and would be measured as the usual."""
    costs = measure(rounds=3)
    assert [cost.name for cost in costs if cost.places] == ["a card", "256 KiB of digits apart"]
    assert all(cost.us > 0 for cost in costs)
