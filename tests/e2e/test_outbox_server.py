"""The forwarder and the real server: what it refuses, event by event or as a whole."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.outbox import TYPE, commit, driver, outbox_database, rows_of
from tests.support.server import Api, Server, Tenant

from payhooks.publisher import (
    Client,
    Forwarder,
    NewEvent,
    Outbox,
    Published,
    RefusedError,
    open_table,
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    with outbox_database("sqlite", tmp_path, str) as url:
        yield url


def _told(tenant: Tenant) -> list[str]:
    events = tenant.api.pages(f"{tenant.path}/events?type={TYPE}")
    return [event["data"]["name"] for event in events]


@pytest.mark.shows("V64")
def test_what_the_server_refuses_is_set_aside_with_its_words(
    on_sqlite: Server, database: str
) -> None:
    """A family that is not theirs to publish, and a key that was used with other content."""
    tenant = Tenant(Api(on_sqlite.port))
    url = f"http://127.0.0.1:{on_sqlite.port}"
    tenant.publish({"name": "first"}, key="used")
    commit(database, "used", "good", merchant=tenant.id)
    with driver(database) as connection:
        Outbox(tenant.id).write(connection, TYPE, {"name": "bad"}, family="payhooks")
        connection.commit()
    forwarder = Forwarder(database, url, tenant.key)
    with closing(open_table(database)) as table:
        forwarder.forward()
        failed = table.failed()

    assert sorted(_told(tenant)) == ["first", "good"]
    assert [each.event["data"]["name"] for each in failed] == ["used", "bad"]
    assert failed[0].last_error.startswith("409: ")
    assert "/family" in failed[1].last_error
    forwarder.stop()
    forwarder.run()


def test_a_key_that_the_server_does_not_know_sets_nothing_aside(
    on_sqlite: Server, database: str
) -> None:
    """It expired over night: in the morning it is exchanged, and everything is told."""
    tenant = Tenant(Api(on_sqlite.port))
    url = f"http://127.0.0.1:{on_sqlite.port}"
    commit(database, "a", merchant=tenant.id)
    wrong = Forwarder(database, url, "phk_sandbox_wrong")
    wrong.forward()
    assert "401" in str(wrong.progress.trouble)
    assert rows_of(database) == 1
    right = Forwarder(database, url, tenant.key)
    right.forward()
    assert _told(tenant) == ["a"]
    for forwarder in (wrong, right):
        forwarder.stop()
        forwarder.run()


def test_one_forwarder_serves_all_merchants_with_an_operators_key(
    on_sqlite: Server, database: str
) -> None:
    """A payment company has one outbox and many merchants; one of them is gone."""
    first, second = (Tenant(Api(on_sqlite.port), name) for name in ("One", "Two"))
    for merchant in (first.id, "mer_00000000000000000000000000", second.id):
        commit(database, "a", "b", merchant=merchant)
    forwarder = Forwarder(database, f"http://127.0.0.1:{on_sqlite.port}", first.api.key)
    forwarder.forward()
    assert sorted(_told(first)) == sorted(_told(second)) == ["a", "b"]
    assert rows_of(database) == 2
    assert "404" in str(forwarder.progress.trouble)
    forwarder.stop()
    forwarder.run()


def test_a_batch_of_the_client_has_the_servers_word_on_each_event(on_sqlite: Server) -> None:
    """The deepest event that the client lets go is one that the server takes."""
    tenant = Tenant(Api(on_sqlite.port))
    client = Client(f"http://127.0.0.1:{on_sqlite.port}", tenant.key, merchant=tenant.id)
    deep: dict[str, object] = {}
    for _ in range(28):
        deep = {"a": deep}
    events = [
        NewEvent(type=TYPE, data=deep, idempotency_key='"\\'),
        NewEvent(type=TYPE, data={}, family="payhooks"),
        NewEvent(type=TYPE, data=deep, idempotency_key='"\\'),
        NewEvent(type=TYPE, data={"x": "y" * 261_000}, idempotency_key="\\" * 255),
    ]
    first, second, third, fourth = client.publish_batch(events)
    assert isinstance(first, Published)
    assert isinstance(second, RefusedError)
    assert second.status == 422
    assert isinstance(third, Published)
    assert (third.id, third.replayed) == (first.id, True)
    assert isinstance(fourth, Published), "the largest that the client lets go"
