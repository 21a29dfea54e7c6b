"""A secret in the wrong place of a setting is refused, and not shown while it is."""

from random import Random

import pytest
from tests.support.server import SECRET_KEY

from payhooks.cli import configuration
from payhooks.clock import SystemClock
from payhooks.errors import InvalidError, UnavailableError
from payhooks.settings import load
from payhooks.storage.postgres import PostgresStore

CANARY = "canary5e1f"
# A password as generators make them, pasted into the URL as it is.
_PASTED = [
    pytest.param(f"12/{CANARY}", id="a slash"),
    pytest.param(f"{CANARY}?{CANARY}", id="a question mark"),
    pytest.param(f"{CANARY}#{CANARY}", id="a number sign"),
    pytest.param(f"a@b/{CANARY}", id="an at sign and a slash"),
    pytest.param(f"[{CANARY}", id="a bracket"),
]


@pytest.mark.shows("S13")
@pytest.mark.parametrize("password", _PASTED)
@pytest.mark.parametrize("name", ["DATABASE_URL", "EGRESS_PROXY", "SMTP_URL"])
def test_a_password_that_splits_its_url_is_refused_unseen(name: str, password: str) -> None:
    """Read as a host, a port or a path, half of it stood in the list of settings."""
    scheme = {"DATABASE_URL": "postgresql", "EGRESS_PROXY": "http", "SMTP_URL": "smtps"}[name]
    settings = {
        "PAYHOOKS_SECRET_KEY": SECRET_KEY,
        "PAYHOOKS_DATABASE_URL": "sqlite:///payhooks.db",
        f"PAYHOOKS_{name}": f"{scheme}://payhooks:{password}@db.example:5432/payhooks",
    }
    with pytest.raises(InvalidError) as caught:
        load(settings)
    assert [fault.pointer for fault in caught.value.faults] == [f"PAYHOOKS_{name}"]
    assert CANARY not in str(caught.value)


@pytest.mark.shows("S13")
async def test_a_url_that_the_driver_cannot_read_is_not_repeated() -> None:
    """What the driver says of a port that is none is a piece of the password."""
    url = f"postgresql://payhooks:{CANARY}/x@127.0.0.1/x"
    with pytest.raises(UnavailableError) as caught:
        await PostgresStore.open(url, clock=SystemClock(), random=Random(1))
    assert CANARY not in str(caught.value)


@pytest.mark.shows("S13")
def test_several_hosts_of_a_database_are_still_one_url() -> None:
    """A cluster with a standby is named so; the check must not take that for a password."""
    url = f"postgresql://payhooks:{CANARY}@a.example:5432,b.example:5433/payhooks?sslmode=require"
    settings = load({"PAYHOOKS_SECRET_KEY": SECRET_KEY, "PAYHOOKS_DATABASE_URL": url})
    shown = str(configuration.rows(settings))
    assert "b.example" in shown
    assert CANARY not in shown
    assert SECRET_KEY not in shown
