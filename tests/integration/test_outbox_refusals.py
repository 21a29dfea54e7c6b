"""What the server refuses of an outbox: set aside, shown, sent again, and in nobody's way."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.outbox import Hooks, commit, driver, outbox_database
from tests.support.publishing import STORED

from payhooks.publisher import Answer, Forwarder, Outbox, open_table
from payhooks.publisher.table import OutboxTable

pytest_plugins = ("tests.support.outbox_fixtures",)


@pytest.mark.shows("V64")
def test_a_refused_event_is_set_aside_and_holds_up_nobody(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder], outbox_table: OutboxTable
) -> None:
    """Not even those of its own object: what was refused never was an event."""
    hooks = Hooks()
    hooks.refused = {"b": 422}
    commit(outbox_url, "a", "b", "c", object_type="order", object_id="o")
    forwarder = forwarder_to(hooks)

    forwarder.forward()

    assert hooks.keys == ["a", "c"]
    assert forwarder.progress.refused == 1
    assert outbox_table.counts().failed == 1
    assert outbox_table.counts().waiting == 0
    [failed] = outbox_table.failed()
    assert (failed.idempotency_key, failed.attempts, failed.merchant) == ("b", 1, "shop")
    assert failed.event["data"] == {"name": "b"}
    assert failed.last_error == "422: No"
    assert outbox_table.failed(after=failed.id) == []
    forwarder.forward()
    assert len(hooks.requests) == 3, "it is not asked for again by itself"

    hooks.refused = {}
    assert outbox_table.resend(failed.id + 1) == 0
    assert outbox_table.resend(failed.id) == 1
    forwarder.forward()
    assert hooks.keys == ["a", "c", "b"]
    assert outbox_table.resend() == 0


@pytest.mark.shows("V64")
def test_an_event_that_spoils_the_whole_request_is_found_and_set_aside(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder], outbox_table: OutboxTable
) -> None:
    """A server whose parser is stricter than ours refuses the batch, and says not for whom."""
    hooks = Hooks()
    hooks.bodies_refused = {"k3"}
    commit(outbox_url, *[f"k{number}" for number in range(9)])
    forwarder_to(hooks).forward()
    assert sorted(hooks.keys) == sorted(f"k{number}" for number in range(9) if number != 3)
    assert [failed.idempotency_key for failed in outbox_table.failed()] == ["k3"]


@pytest.mark.shows("V64")
@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_a_wrong_key_or_merchant_sets_nothing_aside(
    outbox_url: str,
    forwarder_to: Callable[[Hooks], Forwarder],
    outbox_table: OutboxTable,
    status: int,
) -> None:
    """An expired key is mended in an hour, and no event may be missing then. Others go on."""
    hooks = Hooks()
    hooks.merchants_refused = {"gone": status}
    commit(outbox_url, "a", "b", merchant="gone")
    commit(outbox_url, "c")
    forwarder = forwarder_to(hooks)
    forwarder.forward()
    forwarder.forward()
    assert hooks.keys == ["c"]
    assert len(hooks.requests) == 2, "it is left alone for a while"
    assert outbox_table.counts().failed == 0
    assert outbox_table.counts().waiting == 2
    assert "merchant gone" in str(forwarder.progress.trouble)
    assert forwarder.progress.troubles == 1


@pytest.mark.shows("V64")
@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_page_from_another_server_sets_nothing_aside(
    outbox_url: str,
    forwarder_to: Callable[[Hooks], Forwarder],
    outbox_table: OutboxTable,
    status: int,
) -> None:
    """A TLS port that is spoken to in HTTP says 400 to every event; none of them is at fault."""
    hooks = Hooks()
    page = Answer(status=status, headers={}, body=b"<html>The plain HTTP request was sent to")
    hooks.before_answer = lambda _keys: page
    commit(outbox_url, "a", "b")
    forwarder = forwarder_to(hooks)
    forwarder.forward()
    assert outbox_table.counts().failed == 0
    assert outbox_table.counts().waiting == 2
    assert str(status) in str(forwarder.progress.trouble)


BY_HAND = {
    "a merchant of spaces and lines": ("a\nb", "k", '{"type":"a.b","data":{}}'),
    "no merchant": ("", "k", '{"type":"a.b","data":{}}'),
    "a key that is no header": ("shop", "k\u00e9", '{"type":"a.b","data":{}}'),
    "no key": ("shop", "", '{"type":"a.b","data":{}}'),
    "no JSON": ("shop", "k", "paid"),
    "nothing": ("shop", "k", ""),
    "two events in one": ("shop", "k", '{"type":"a.b","data":{}},{"type":"a.b","data":{}}'),
    "an object of nothing": ("shop", "k", "{}"),
    "a list": ("shop", "k", "[]"),
}


@pytest.mark.shows("V64")
@pytest.mark.parametrize("name", BY_HAND)
def test_a_row_that_no_outbox_wrote_is_set_aside_and_holds_up_nobody(
    outbox_url: str,
    forwarder_to: Callable[[Hooks], Forwarder],
    outbox_table: OutboxTable,
    name: str,
) -> None:
    """Somebody writes rows by hand, in a language of their own; they must not stop the others."""
    hooks = Hooks()
    _by_hand(outbox_url, *BY_HAND[name])
    commit(outbox_url, "a")
    forwarder_to(hooks).forward()
    assert hooks.keys == ["a"], "only what is an event is told"
    assert outbox_table.counts().waiting == 0
    [failed] = outbox_table.failed()
    assert "by hand" in failed.last_error
    assert outbox_table.failed() == [failed], "and it is shown"


@pytest.mark.shows("V64")
@pytest.mark.parametrize("body", [b"\xff", b'{"type":"a.b","data":{"name":"Z\xfcrich"}}'])
def test_bytes_that_are_no_text_are_set_aside_and_hold_up_nobody(
    tmp_path: Path, body: bytes
) -> None:
    """SQLite keeps what it is given, and its driver would not even show the rows beside it."""
    hooks = Hooks()
    with outbox_database("sqlite", tmp_path, str) as url:
        with driver(url) as connection:
            row = (b"shop", b"k", body)
            connection.execute(
                "INSERT INTO payhooks_outbox (merchant, idempotency_key, body) VALUES (?, ?, ?)",
                row,
            )
            connection.commit()
        commit(url, "a")
        forwarder = Forwarder(url, "https://hooks.example.com", "k", send=hooks.send)
        forwarder.forward()
        forwarder.stop()
        forwarder.run()  # hangs up
        assert hooks.keys == ["a"]
        table = open_table(url)
        [failed] = table.failed()
        table.close()
    assert "by hand" in failed.last_error


@pytest.mark.shows("V64")
def test_a_number_without_end_is_told_like_any_other(outbox_url: str) -> None:
    """The server takes it, so an event that was committed must not be called written by hand."""
    bodies: list[bytes] = []

    def send(_url: str, _headers: object, body: bytes) -> Answer:
        bodies.append(body)
        return Answer(status=202, headers={}, body=json.dumps({"data": [STORED]}).encode())

    digits = b"1" * 5_000
    with driver(outbox_url) as connection:
        Outbox("shop").write(connection, "a.b", b'{"n":%b}' % digits)
        connection.commit()
    forwarder = Forwarder(outbox_url, "https://hooks.example.com", "k", send=send)
    forwarder.forward()
    forwarder.stop()
    forwarder.run()  # hangs up
    assert forwarder.progress.forwarded == 1
    assert digits in bodies[0]


@pytest.mark.shows("V64")
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_row_of_another_language_is_told(
    outbox_url: str, forwarder_to: Callable[[Hooks], Forwarder], end: str
) -> None:
    """Other languages bind text as bytes, which SQLite keeps so, and end it with a line feed."""
    hooks = Hooks()
    _by_hand(outbox_url, "shop", "k", '{"type":"a.b","data":{}}' + end, "shop/o")
    commit(outbox_url, "a", object_type="order", object_id="o")
    forwarder_to(hooks).forward()
    assert hooks.keys == ["k", "a"]


def _by_hand(url: str, merchant: str, key: str, body: str, order_key: str | None = None) -> None:
    values: list[object] = [merchant, key, body, order_key]
    if url.startswith("sqlite"):
        values = [None if value is None else str(value).encode() for value in values]
    mark = "?" if url.startswith("sqlite") else "%s"
    statement = (
        "INSERT INTO payhooks_outbox (merchant, idempotency_key, body, order_key)"
        " VALUES (?, ?, ?, ?)"
    )
    with driver(url) as connection:
        connection.execute(statement.replace("?", mark), values)
        connection.commit()
