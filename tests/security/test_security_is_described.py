"""What we say of our security is what is shown, and nothing shown is left unsaid."""

import re

import pytest
from proofs.rows import rows
from tests.support.source_tree import ROOT

_MODEL = ROOT / "docs" / "threat-model.md"
_ID = re.compile(r"\bS\d\d\b")


@pytest.mark.shows("S48")
def test_the_threat_model_names_every_row_and_no_other() -> None:
    """A defence that no test shows is a hope; a test that no threat asks for is a habit."""
    named = set(_ID.findall(_MODEL.read_text(encoding="utf-8")))
    # Of how we tell: it has no threat of its own.
    assert set(rows("security")) - named == {"S48"}
    assert named <= set(rows("security"))


@pytest.mark.shows("S48")
def test_whoever_finds_a_hole_is_told_where_to_go_and_what_we_do() -> None:
    """Found in the first place that people look, and with an end in sight."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for words in ("privately", "working days", "docs/threat-model.md", "scripts/sbom"):
        assert words in text
    for linked in re.findall(r"\]\(([^)#]+)\)", text + _MODEL.read_text(encoding="utf-8")):
        assert (ROOT / linked).exists() or (_MODEL.parent / linked).exists(), linked
