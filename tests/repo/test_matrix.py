"""The matrices of faults, bad input and security, held against the tests that show them."""

import re
from pathlib import Path
from typing import Final

import pytest
from proofs.report import promises
from proofs.rows import MATRIX, Row, rows

_ROOT: Final = Path(__file__).parents[2]
_KINDS: Final = sorted(path.name for path in MATRIX.iterdir() if path.is_dir())
_MARK: Final = re.compile(r"\bshows\(([^)]*)\)")
_ID: Final = re.compile(r'"([A-Z]+\d+)"')
_GIVEN_MAX: Final = 90  # of a line in the terminal


def _tests() -> str:
    files = (*_ROOT.glob("tests/**/*.py"), *_ROOT.glob("tests/**/*.toml"))
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(files))


def _all_rows() -> list[Row]:
    return [row for kind in _KINDS for row in rows(kind).values()]


def test_each_row_has_a_test_that_names_it() -> None:
    """A row that nothing shows would stand in the report as if somebody had looked."""
    named = set(_ID.findall(_tests()))
    assert [row.id for row in _all_rows() if row.id not in named] == []


def test_each_promise_points_to_rows_that_are_there() -> None:
    """The page of promises must not lean on what nobody shows."""
    known = {row.id for row in _all_rows()}
    assert {id_ for promise in promises() for id_ in promise["rows"]} - known == set()


def test_each_mark_names_a_row() -> None:
    """A mark with a slip of the pen is evidence for nothing."""
    marked = {id_ for mark in _MARK.findall(_tests()) for id_ in _ID.findall(mark)}
    assert sorted(marked - {row.id for row in _all_rows()}) == []


@pytest.mark.parametrize("row", _all_rows(), ids=lambda row: row.id)
def test_a_row_fits_its_line(row: Row) -> None:
    """Two short phrases: what happens, and what Payhooks does."""
    for phrase in (row.given, row.expected):
        assert phrase == phrase.strip()
        assert 0 < len(phrase) <= _GIVEN_MAX
        assert not phrase.endswith(".")
