"""What docs/operations.md promises to those who watch an installation is there to be watched."""

import re

from tests.support.source_tree import PACKAGE, ROOT

from payhooks.observe import Metrics

TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def _exposed() -> set[str]:
    """Return the names as Prometheus stores them, without the parts of histograms."""
    families = Metrics().registry.collect()
    suffix = {"counter": "_total", "info": "_info"}
    return {family.name + suffix.get(family.type, "") for family in families}


def test_every_metric_is_explained_and_none_that_is_not_there() -> None:
    """An alarm on a metric that does not exist never rings."""
    named = set(re.findall(r"`(payhooks_[a-z_]+)(?:\{[^`]*\})?`", TEXT))
    assert named == _exposed()


def test_every_alarm_is_explained() -> None:
    """Who is woken by one must find it."""
    raised = {
        kind
        for path in PACKAGE.rglob("*.py")
        for kind in re.findall(r"\balarmed\(\s*\"([a-z_]+)\"", path.read_text(encoding="utf-8"))
    }
    assert raised
    assert {kind for kind in raised if f"`{kind}`" not in TEXT} == set()
