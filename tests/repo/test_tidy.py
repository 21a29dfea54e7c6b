"""Rules about the shape of the code that no linter of ours knows."""

import ast
import re
from pathlib import Path

import pytest
from tests.support.source_tree import (
    PACKAGE,
    ROOT,
    code_files,
    name_of,
    package_files,
    text_of,
    tracked_files,
    tree_of,
)

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
# Written in two pieces, so that this file does not break its own rule.
REMINDERS = ("TO" + "DO", "FIX" + "ME", "# XX" + "X", "break" + "point(")
SILENCED = re.compile(r"# (?:noqa|type: ignore|pragma)\b")
SILENCED_WITH_REASON = re.compile(
    r"#\snoqa: [A-Z]+\d+(?:, [A-Z]+\d+)* - \S|#\stype: ignore\[[\w-]+(?:, ?[\w-]+)*\] +# \S"
)


@pytest.mark.parametrize("path", code_files(), ids=name_of)
def test_files_and_functions_fit_in_a_head(path: Path) -> None:
    """Say what to do, not only what is wrong."""
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= FILE_LINES_MAX, "split the file along the nouns in it"
    if path.suffix != ".py":
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines; move leaves out"


@pytest.mark.parametrize("path", code_files(), ids=name_of)
def test_nothing_is_left_over(path: Path) -> None:
    """A reminder in the code is nobody's; an open question belongs where people look."""
    text = path.read_text(encoding="utf-8")
    for reminder in REMINDERS:
        assert reminder not in text, f"leftover {reminder}: remove it before merging"


@pytest.mark.parametrize(
    "path", [path for path in code_files() if path.suffix == ".py"], ids=name_of
)
def test_whoever_silences_a_tool_says_why(path: Path) -> None:
    """Without its reason nobody dares to remove it, and it silences the next one as well."""
    for number, line in enumerate(text_of(path).splitlines(), start=1):
        if SILENCED.search(line):
            assert SILENCED_WITH_REASON.search(line), f"line {number}: say why, after the code"


@pytest.mark.parametrize("path", package_files(), ids=name_of)
def test_only_commands_print(path: Path) -> None:
    """A server's stdout is its log: a stray line in it breaks whoever parses the log."""
    if path.relative_to(PACKAGE).parts[0] == "cli" or path.name == "__main__.py":
        return
    printed = [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"print", "pprint"}
    ]
    assert not printed, f"print at lines {printed}: log it, or return it"


def test_asserts_are_on() -> None:
    """We count on them in production; an optimising interpreter would drop them."""
    assert __debug__
    switches = ("PYTHON" + "OPTIMIZE", "python -" + "O", "python3 -" + "O", "PYTHON -" + "O")
    for path in tracked_files():
        text = text_of(path)
        for switch in switches:
            assert switch not in text, f"{name_of(path)} has {switch}"


def test_scripts_can_be_run() -> None:
    """A clone keeps the executable bit; a script without it is a README that lies."""
    for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"]:
        first = path.read_text(encoding="utf-8").split("\n", 1)[0]
        assert first.startswith("#!") == bool(path.stat().st_mode & 0o111), name_of(path)
