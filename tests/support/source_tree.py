"""Our own files, as the rules about them need to see them."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "src" / "payhooks"
_CODE_FOLDERS: Final = ("src", "tests", "scripts", "benchmarks", "proofs", "examples")


def package_files() -> list[Path]:
    """Return every Python file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def code_files() -> list[Path]:
    """Return every Python file and every script, tests included."""
    files = {
        path
        for folder in _CODE_FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix == ".py" or (path.is_file() and path.parent == ROOT / "scripts")
    }
    return sorted(files)


def tracked_files() -> list[Path]:
    """Return every text file that a clone has."""
    listed = subprocess.run(
        # Whoever owns the clone: in a container it is often not who runs the tests.
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],  # noqa: S607 - whichever is there
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()]


def text_of(path: Path) -> str:
    """Return what is in the file; bytes that are no text come out as replacement marks."""
    return path.read_text(encoding="utf-8", errors="replace")


def name_of(path: Path) -> str:
    """Return the path as it reads in a message."""
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    """Return the parsed file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports_of(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield each imported dotted name with its line; ``from a import b`` is ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def names_used(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield every dotted name the file mentions, aliases undone, with its line.

    ``from time import monotonic as tick; tick()`` is ``time.monotonic`` twice: renaming
    hides nothing.
    """
    origins: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.split(".")[0]
                origins[local] = alias.name if alias.asname else local
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                origins[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    yield from imports_of(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            dotted = _dotted(node)
            head, _, rest = dotted.partition(".")
            if head in origins:
                yield f"{origins[head]}.{rest}".rstrip("."), node.lineno


def _dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            inner = _dotted(value)
            return f"{inner}.{attribute}" if inner else ""
        case _:
            return ""
