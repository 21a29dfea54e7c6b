"""Every command is in docs/cli.md, and the scripts people start are in the README."""

import importlib
from collections.abc import Iterator

import pytest
import typer
from tests.support.source_tree import PACKAGE, ROOT
from typer.main import get_command


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
