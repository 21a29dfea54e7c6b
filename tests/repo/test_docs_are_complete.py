"""What the code has, the docs have: a name that is not documented does not exist for users."""

import importlib
import re
from pathlib import Path

import pytest
from tests.support.printed_docs import PRINTED, error_classes, printed_in
from tests.support.source_tree import PACKAGE, ROOT

from payhooks.model.attempt import REASON_SENTENCES, Reason

DOCS = ROOT / "docs"


def _is_there(name: str) -> bool:
    return (PACKAGE / f"{name}.py").exists() or (PACKAGE / name / "__init__.py").exists()


@pytest.mark.parametrize("name", PRINTED)
def test_what_is_printed_is_what_the_code_says(name: str) -> None:
    """Regenerate, never edit."""
    assert printed_in(ROOT / name) == PRINTED[name]()


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained_in_the_words_people_see(reason: Reason) -> None:
    """Who reads "protocol" in the console searches the docs for exactly that."""
    text = " ".join((DOCS / "reasons.md").read_text(encoding="utf-8").split())
    assert f"## `{reason}` {REASON_SENTENCES[reason]}" in text


def test_every_error_is_documented() -> None:
    """Errors are part of the interface: those who catch them must be able to look them up."""
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    assert [error for error in error_classes() if f"`{error.__name__}`" not in text] == []


@pytest.mark.skipif(not _is_there("settings"), reason="there are no settings yet")
def test_settings_and_their_docs_name_the_same_settings() -> None:
    """A setting nobody can find is a setting nobody can turn; one that is gone misleads."""
    settings = importlib.import_module("payhooks.settings").Settings
    declared = {f"PAYHOOKS_{name.upper()}" for name in settings.model_fields}
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    named = {name.removesuffix("_FILE") for name in re.findall(r"`(PAYHOOKS_[A-Z0-9_]+)`", text)}
    assert declared - named == set(), "not documented"
    assert named - declared == set(), "documented, but gone"


def test_every_decision_is_in_the_index() -> None:
    """A decision that cannot be found is made again, differently."""
    index = (DOCS / "adr" / "README.md").read_text(encoding="utf-8")
    decisions = sorted((DOCS / "adr").glob("[0-9]*.md"))
    assert decisions
    for number, path in enumerate(decisions, start=1):
        title = path.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# ")
        assert path.name.startswith(f"{number:04}-"), "numbers have no gaps and no twins"
        assert f"({path.name})" in index, f"{path.name} is missing"
        assert title.partition(". ")[2] in index, f"{path.name} is called otherwise"


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.md")) + sorted(DOCS.rglob("*.md")), ids=str)
def test_every_link_between_our_files_leads_somewhere(path: Path) -> None:
    """A dead link on the first page says that nobody looks after the rest."""
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []
