"""The console's guide and its pictures: each is shown, each is made by who follows the guide."""

import re
from typing import Final

from tests.support.source_tree import ROOT, text_of

GUIDE: Final = ROOT / "docs" / "console.md"
FOLDER: Final = ROOT / "docs" / "images" / "console"
WALK: Final = ROOT / "tests" / "e2e" / "console" / "test_console_guide.py"
_SHOWN: Final = re.compile(r"!\[[^\]]+\]\(images/console/([\w-]+)\.png\)")
_TAKEN: Final = re.compile(r'\.picture\(\s*"([\w-]+)"')
_BYTES_MAX: Final = 90_000


def test_the_guide_shows_each_picture_that_is_taken_for_it_once() -> None:
    """One that nobody takes again shows a console that is gone."""
    shown = _SHOWN.findall(text_of(GUIDE))
    assert shown
    assert len(shown) == len(set(shown))
    assert sorted(shown) == sorted(_TAKEN.findall(text_of(WALK)))
    assert text_of(GUIDE).count("![") == len(shown), "a picture from elsewhere, or without words"


def test_the_pictures_are_there_and_no_others() -> None:
    """What nobody looks at grows the clone of everybody."""
    kept = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert sorted(kept) == sorted(f"{name}.png" for name in _SHOWN.findall(text_of(GUIDE)))
    assert {name: size for name, size in kept.items() if size > _BYTES_MAX} == {}
