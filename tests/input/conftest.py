"""One served process per file: starting one costs more than a hundred cases."""

from collections.abc import Iterator

import pytest
from tests.support.bad_input import Ground, ground


@pytest.fixture(scope="module")
def served_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Serve for the tests of one file."""
    with ground(tmp_path_factory.mktemp("input")) as found:
        yield found
