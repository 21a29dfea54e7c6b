"""The figures of what dialects cost are there for each of them, and are of something."""

from benchmarks.dialects import OTHERS_US_MAX, STANDARD_US_MAX, measure

from payhooks.dialects.registry import DIALECTS


def test_every_dialect_has_a_figure_beside_the_yardstick() -> None:
    """One that is left out would pass its limit for ever."""
    costs = {cost.dialect: cost for cost in measure(rounds=3)}
    assert list(costs) == list(DIALECTS)
    assert costs["standard"].us_max == STANDARD_US_MAX == 15
    assert costs["owngateway"].us_max == OTHERS_US_MAX == 40
    for cost in costs.values():
        # Each makes an HMAC of more than the yardstick's bytes; half, for a machine in between.
        assert cost.us > cost.yardstick_us / 2 > 0
