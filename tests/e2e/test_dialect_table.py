"""Every dialect with every signature and every authentication, over real sockets."""

from pathlib import Path

import pytest
from tests.support.captured import capturing
from tests.support.dialect_table import AUTHENTICATIONS, SIGNATURES, send_table, unverified
from tests.support.server import Server

from payhooks.dialects.registry import DIALECTS


@pytest.mark.shows("V16")
def test_each_request_is_verified_by_code_that_is_not_ours(
    on_sqlite: Server, tmp_path: Path
) -> None:
    """A merchant verifies with his own code; what agrees with itself alone helps him nothing."""
    with capturing() as capture:
        entries = list(send_table(on_sqlite, capture))
    assert unverified(entries) == {}
    assert len(entries) == len(DIALECTS) * len(SIGNATURES) * len(AUTHENTICATIONS)
