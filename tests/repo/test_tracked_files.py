"""What goes into the repository must work, and mean something, on any machine."""

from pathlib import Path

import pytest
from tests.support.source_tree import name_of, text_of, tracked_files

# In pieces, so that this file does not name what it bans.
MACHINE_PATHS = ("/wo" + "rk/", "/ro" + "ot/", "/opt/" + "wheels", "/Us" + "ers/")
REGISTRIES = (
    "--index" + "-url",
    "--extra-index" + "-url",
    "--find" + "-links",
    "python" + "hosted",
    "pypi" + ".org",
)


@pytest.mark.parametrize("path", tracked_files(), ids=name_of)
def test_no_file_names_a_machine_or_a_registry(path: Path) -> None:
    """Where packages come from is the business of whoever installs; hashes say which."""
    text = text_of(path)
    for word in (*MACHINE_PATHS, *REGISTRIES):
        assert word not in text, f"names {word}"
