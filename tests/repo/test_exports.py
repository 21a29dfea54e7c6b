"""A package says what it is for: __all__ is exactly what its __init__ makes public."""

import ast
from pathlib import Path

import pytest
from tests.support.source_tree import name_of, package_files, tree_of

PACKAGES = [path for path in package_files() if path.name == "__init__.py"]


def _declared(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(name, ast.Name) and name.id == "__all__" for name in targets):
                assert node.value is not None
                return list(ast.literal_eval(node.value))
    return []


def _made_public(tree: ast.Module) -> set[str]:
    """Names from our own modules and names defined here; foreign imports are tools."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("payhooks"):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(target.id for target in targets if isinstance(target, ast.Name))
    return {name for name in names if not name.startswith("_") or name == "__version__"}


@pytest.mark.parametrize("path", PACKAGES, ids=name_of)
def test_a_package_exports_what_it_declares(path: Path) -> None:
    """Users import from packages; what slips in by accident would have to stay for ever."""
    tree = tree_of(path)
    declared = _declared(tree)
    assert len(declared) == len(set(declared)), "named twice"
    assert set(declared) == _made_public(tree)
