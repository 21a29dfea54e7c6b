"""The command line that all verifiers of ``tests/outside`` have, each run as a script alone."""

import ast
import sys
from pathlib import Path

import pytest
from tests.support.outside import OUTSIDE, judged_outside

pytestmark = pytest.mark.shows("V15")

FILES = sorted(OUTSIDE.glob("*.py"))
# The format of the custom dialect's tests is nobody's, so nobody captures it.
SCRIPTS = [path.name for path in FILES if path.name not in {"command.py", "verify_shop.py"}]


@pytest.mark.parametrize("script", SCRIPTS)
def test_nothing_at_all_is_not_a_success(script: str) -> None:
    """An empty capture means that the capture is broken."""
    assert judged_outside(script, "a-secret", []) == (1, "verified 0 refused 0\n")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_imports_the_standard_library_alone(path: Path) -> None:
    """What is proven with the product's own code proves only that it agrees with itself."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or ".").partition(".")[0])
    assert imported
    assert imported <= sys.stdlib_module_names
