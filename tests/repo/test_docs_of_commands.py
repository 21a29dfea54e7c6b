"""Every command is in docs/cli.md, and the scripts people start are in the README."""

import importlib
from collections.abc import Iterator

import pytest
import typer
from tests.support.source_tree import PACKAGE, ROOT
from typer.core import TyperGroup
from typer.main import get_command

from payhooks.cli import app
from payhooks.settings import Settings


def _paths_of(command: object, path: str) -> Iterator[str]:
    """Yield the full name of every command that does something."""
    children: dict[str, object] = getattr(command, "commands", {})
    if not children:
        yield path
    for name, child in sorted(children.items()):
        if not getattr(child, "hidden", False):
            yield from _paths_of(child, f"{path} {name}")


@pytest.mark.skipif(not (PACKAGE / "cli" / "__init__.py").exists(), reason="no commands yet")
def test_every_command_is_documented() -> None:
    """People find commands by reading the list, not by guessing."""
    module = importlib.import_module("payhooks.cli")
    applications = [value for value in vars(module).values() if isinstance(value, typer.Typer)]
    assert applications, "payhooks.cli holds the Typer application"
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    names = list(_paths_of(get_command(applications[0]), "payhooks"))
    assert [name for name in names if f"`{name}" not in text] == []


@pytest.mark.parametrize("script", ["dev", "test", "check", "bench", "prove"])
def test_every_script_is_in_the_readme(script: str) -> None:
    """The README is where a newcomer looks for what to type."""
    assert (ROOT / "scripts" / script).exists()
    assert f"scripts/{script}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["secret_key", "operator_key"])
def test_a_command_that_a_setting_names_is_whole(name: str) -> None:
    """It is copied into a terminal before anything else works."""
    description = Settings.model_fields[name].description or ""
    words = description.partition("ake one with: ")[2].split()
    command, context = get_command(app), None
    assert words.pop(0) == "payhooks"
    # As far as the parser goes: it refuses what is missing, and nothing is run.
    while isinstance(command, TyperGroup):
        context = command.context_class(command, parent=context)
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    command.make_context(None, words, parent=context)
