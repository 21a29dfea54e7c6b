"""One served process per file: starting one costs more than a hundred cases."""

from collections.abc import Iterator

import pytest
from tests.support.bad_input import Ground, ground
from tests.support.hearing_ground import Hearing, hearing
from tests.support.mollie_stand_in import Mollie, mollie_at


@pytest.fixture(scope="module")
def served_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Serve for the tests of one file."""
    with ground(tmp_path_factory.mktemp("input")) as found:
        yield found


@pytest.fixture(scope="session")
def mollie(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mollie]:
    """Call for payments of which the provider says nothing yet: to ask again takes ten seconds."""
    with hearing(tmp_path_factory.mktemp("input")) as heard, mollie_at(heard) as found:
        yield found


@pytest.fixture(scope="session")
def on(mollie: Mollie) -> Hearing:
    """Serve a merchant who hears providers, for the tests of all files that send what they do."""
    return mollie.on
