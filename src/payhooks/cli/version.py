"""``payhooks version``."""

import platform

from payhooks import __version__
from payhooks.cli.output import AsJson, as_json, line


def version(*, json: AsJson = False) -> None:
    """Print which version this is; `payhooks --version` does too."""
    if json:
        as_json({"payhooks": __version__, "python": platform.python_version()})
    else:
        line(f"payhooks {__version__}")
