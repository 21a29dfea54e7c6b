"""SQL in files of its own, beside the adapter that runs it: blocks that begin ``-- name: x``.

Editors and databases read such files as they are, and a plan test can run every one of them.
"""

import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final

_NAME: Final = re.compile(r"^-- name: ([a-z_0-9]+)[ \t]*$", re.MULTILINE)


def load(package: str, file: str) -> Mapping[str, str]:
    """Return the statements of *file*, which lies in *package*, by name.

    What stands before the first name is the file's own comment.
    """
    return parse(files(package).joinpath(file).read_text(encoding="utf-8"))


def parse(text: str) -> Mapping[str, str]:
    """Return the statements of *text* by name, without the closing semicolon."""
    _, *parts = _NAME.split(text)
    statements: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        assert name not in statements, f"two statements are named {name}"
        statement = body.strip().removesuffix(";")
        assert statement, f"{name} is empty"
        statements[name] = statement
    return MappingProxyType(statements)
