"""The command line: one command per file, parsing only; what it does is in the layers below."""

from payhooks.cli.root import app, main

__all__ = ["app", "main"]
