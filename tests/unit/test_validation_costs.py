"""The figures of what it costs to hold events to their schemas are of what they say."""

from benchmarks.validation import measure


def test_each_way_has_a_figure_of_events_that_it_found_right_or_wrong() -> None:
    """An example that went wrong would be measured as the cost of saying so."""
    costs = {cost.name: cost for cost in measure(rounds=3)}
    assert [name for name, cost in costs.items() if cost.findings] == ["warn, with faults"]
    assert all(cost.us > 0 for cost in costs.values())
