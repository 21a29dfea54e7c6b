"""The databases that outboxes are in: what they may be called, and what they do to a forwarder."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.outbox import TYPE, Hooks, commit, driver, outbox_database

from payhooks.errors import InvalidError
from payhooks.publisher import Forwarder, Outbox, open_table

pytest_plugins = ("tests.support.outbox_fixtures",)
S_MAX = 20.0


def test_a_pass_may_be_anybodys_thread(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder]
) -> None:
    """A loop of one's own may take its threads from a pool."""
    hooks = Hooks()
    forwarder = forwarder_to(hooks)
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        for name, pool in (("a", first), ("b", second), ("c", first)):
            commit(outbox_url, name)
            pool.submit(forwarder.forward).result(S_MAX)
    assert hooks.keys == ["a", "b", "c"]
    assert forwarder.progress.troubles == 0


def test_a_sqlite_file_of_two_names_has_one_forwarder_at_a_time(tmp_path: Path) -> None:
    """With a lock file for each name, two would tell the same events at once."""
    with outbox_database("sqlite", tmp_path, str) as url:
        commit(url, "a")
        (tmp_path / "other.db").symlink_to(tmp_path / "application.db")
        one, other = open_table(url), open_table(f"sqlite:///{tmp_path / 'other.db'}")
        with one.taken(10, []) as (rows, _), other.taken(10, []) as (others_rows, _):
            assert len(rows) == 1
            assert others_rows == []
        one.close()
        other.close()


def test_a_forwarder_makes_no_serializable_sale_fail(outbox_cluster: str, tmp_path: Path) -> None:
    """Read at that level too, its rows would make it a party to the sales' conflicts."""
    with outbox_database("postgres", tmp_path, lambda: outbox_cluster) as url:
        name = url.rpartition("/")[2]
        with driver(url) as connection:
            level = "SET default_transaction_isolation = 'serializable'"
            connection.execute(f'ALTER DATABASE "{name}" {level}')
            connection.commit()
        commit(url, "a")
        table = open_table(url)
        with table.taken(10, []) as (rows, _), driver(url) as one, driver(url) as another:
            assert len(rows) == 1
            one.execute("SELECT count(*) FROM business")
            another.execute("INSERT INTO business VALUES ('another')")
            another.commit()
            Outbox("shop").write(one, TYPE, {})
            one.commit()
        table.close()


@pytest.mark.parametrize(
    "credentials", ["shop:hunt@er2", "shop:hunt%zz2", "shop:hunt er2", "shop:hunt/er2", "u:p@q:er2"]
)
def test_a_password_that_is_not_encoded_is_refused_and_not_shown(credentials: str) -> None:
    """What libpq makes of it is part of its errors, and those are printed for everybody."""
    with pytest.raises(InvalidError, match="%40") as caught:
        Forwarder(f"postgresql://{credentials}@db.example.com/shop", "https://x", "k")
    assert not any(part in str(caught.value) for part in ("hunt", "er2"))
    assert caught.value.__cause__ is None


def test_a_database_that_fails_is_asked_again(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder]
) -> None:
    """It comes back by itself after a restart, as everything else does."""
    hooks = Hooks()
    forwarder = forwarder_to(hooks)
    with driver(outbox_url) as connection:
        connection.execute("ALTER TABLE payhooks_outbox RENAME TO away")
        connection.commit()
        assert forwarder.forward() >= 0.5
        assert "the database" in str(forwarder.progress.trouble)
        connection.execute("ALTER TABLE away RENAME TO payhooks_outbox")
        connection.commit()
    commit(outbox_url, "a")
    forwarder.forward()
    assert hooks.keys == ["a"]


def test_a_sqlite_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """An empty outbox beside the real one would be forwarded for ever."""
    forwarder = Forwarder(f"sqlite:///{tmp_path / 'typo.db'}", "https://x", "k")
    assert forwarder.forward() >= 0.5
    assert "unable to open" in str(forwarder.progress.trouble)
    assert not (tmp_path / "typo.db").exists()


@pytest.mark.parametrize(
    ("database", "base_url", "key", "poll_s"),
    [
        ("mysql://x", "https://x", "k", 1.0),
        ("sqlite:///", "https://x", "k", 1.0),
        ("sqlite:///x", "x", "k", 1.0),
        ("sqlite:///x", "https://x", "", 1.0),
        ("sqlite:///x", "https://x", "k", 0.0),
    ],
)
def test_a_forwarder_is_complete_or_refused(
    database: str, base_url: str, key: str, poll_s: float
) -> None:
    """At start, not when events have piled up."""
    with pytest.raises(InvalidError):
        Forwarder(database, base_url, key, poll_s=poll_s)
