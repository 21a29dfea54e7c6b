"""The publisher client: one event stored once, whatever the network does in between."""

import http.client
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from tests.support.publishing import STORED, Script

from payhooks.errors import InvalidError, UnavailableError
from payhooks.publisher import Answer, Client, Published, RefusedError, UnansweredError
from payhooks.publisher.__main__ import EXIT_USAGE, KEY_VARIABLE, main

ACCEPTED = Answer(status=202, headers={}, body=json.dumps(STORED).encode())


def _problem(status: int, **members: object) -> Answer:
    return Answer(status=status, headers={}, body=json.dumps({"title": "No", **members}).encode())


def test_publishes_with_a_key_and_returns_what_was_stored() -> None:
    script = Script(ACCEPTED)

    published = script.client().publish("a.b", {"n": 1}, idempotency_key="k-1")

    assert published == Published(
        id="evt_1",
        type="a.b",
        created_at="2030-01-01T00:00:00.000Z",
        deliveries=2,
        replayed=False,
        idempotency_key="k-1",
    )
    url, headers, body = script.requests[0]
    assert url == "https://hooks.example.com/v1/merchants/shop%2F17/events"
    assert headers["authorization"] == "Bearer phk_sandbox_x"
    assert headers["idempotency-key"] == "k-1"
    assert json.loads(body) == {"type": "a.b", "data": {"n": 1}}


def test_sends_every_field_it_was_given() -> None:
    script = Script(ACCEPTED)
    script.client().publish(
        "a.b",
        {},
        family="owlpay",
        object_type="payment",
        object_id="pay_1",
        occurred_at=datetime(2030, 1, 1, tzinfo=UTC),
        ordering_key="o",
        metadata={"cart": 5},
    )
    assert json.loads(script.requests[0][2]) == {
        "type": "a.b",
        "family": "owlpay",
        "object": {"type": "payment", "id": "pay_1"},
        "occurred_at": "2030-01-01T00:00:00+00:00",
        "ordering_key": "o",
        "metadata": {"cart": 5},
        "data": {},
    }


def test_bytes_of_json_go_out_as_they_are() -> None:
    """Sums are text to us; 1.10 must not become 1.1 on its way."""
    script = Script(ACCEPTED)
    script.client().publish("a.b", b'{ "amount": 1.10 }')
    assert script.requests[0][2].endswith(b'"data":{ "amount": 1.10 }}')


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(_problem(503), id="503"),
        pytest.param(_problem(429), id="429"),
        pytest.param(_problem(502), id="a proxy's 502"),
        pytest.param(Answer(status=408, headers={}, body=b"<html>"), id="a proxy's 408"),
        pytest.param(_problem(425), id="425"),
        pytest.param(_problem(409, retryable=True), id="the first is still at work"),
        pytest.param(Answer(status=202, headers={}, body=b'{"id":'), id="half an answer"),
        pytest.param(ConnectionResetError(), id="reset"),
        pytest.param(TimeoutError(), id="timeout"),
        pytest.param(http.client.IncompleteRead(b""), id="cut off"),
    ],
)
def test_asks_again_with_the_same_key_and_bytes(first: Answer | Exception) -> None:
    """The answer may be what was lost; another key would store the event twice."""
    replayed = Answer(
        status=202, headers={"idempotent-replayed": "true"}, body=json.dumps(STORED).encode()
    )
    script = Script(first, replayed)

    published = script.client().publish("a.b", {})

    assert published.replayed
    assert script.requests[0] == script.requests[1]
    assert len(published.idempotency_key) >= 20
    assert len(script.waits) == 1


def test_every_publish_draws_its_own_key() -> None:
    """Two events with one key would be one event."""
    script = Script(ACCEPTED, ACCEPTED)
    client = script.client()
    keys = {client.publish("a.b", {}).idempotency_key for _ in range(2)}
    assert len(keys) == 2


def _resting(retry_after: str) -> Answer:
    return Answer(status=503, headers={"retry-after": retry_after}, body=b"")


def test_waits_as_long_as_the_server_asks() -> None:
    script = Script(_resting("7"), ACCEPTED)
    script.client().publish("a.b", {})
    assert script.waits == [7.0]


def test_understands_a_date_to_come_back_at() -> None:
    """Proxies write it so."""
    at = datetime.now(UTC) + timedelta(seconds=20)  # noqa: TID251 - the client asks the machine
    script = Script(_resting(f"{at:%a, %d %b %Y %H:%M:%S} GMT"), ACCEPTED)
    script.client().publish("a.b", {})
    assert 15 < script.waits[0] <= 20


@pytest.mark.parametrize("retry_after", ["", "soon", "-5", "٣", "Mon, 99 Jan 2030 00:00:00 GMT"])
def test_waits_its_own_time_when_the_server_makes_no_sense(retry_after: str) -> None:
    script = Script(_resting(retry_after), ACCEPTED)
    script.client().publish("a.b", {})
    assert 0.5 <= script.waits[0] <= 1.0


def test_a_long_rest_is_the_callers_to_wait() -> None:
    """Blocking somebody's thread for an hour is no service, and coming early breaks the rule."""
    script = Script(_resting("3600"))
    with pytest.raises(UnansweredError) as caught:
        script.client().publish("a.b", {}, idempotency_key="k-1")
    assert caught.value.retry_after_s == 3600
    assert script.waits == []


def test_gives_up_after_five_and_says_which_key_to_use_again() -> None:
    """A drawn key is known to nobody else, and without it a repeat could store twice."""
    script = Script(*[ConnectionRefusedError()] * 5)
    with pytest.raises(UnansweredError) as caught:
        script.client().publish("a.b", {})
    assert isinstance(caught.value, UnavailableError)
    assert len(script.requests) == 5
    assert caught.value.idempotency_key == script.requests[0][1]["idempotency-key"]
    assert caught.value.idempotency_key in str(caught.value)
    assert len(script.waits) == 4
    for number, wait_s in enumerate(script.waits):
        assert 0.5 * 2**number <= wait_s <= 2**number


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(_problem(422, detail="data is missing"), id="422"),
        pytest.param(_problem(409, retryable=False), id="key used before"),
        pytest.param(Answer(status=401, headers={}, body=b"<html>"), id="not our server"),
        pytest.param(Answer(status=302, headers={}, body=b""), id="a redirect"),
        pytest.param(Answer(status=400, headers={}, body=b"[" * 100_000), id="deep"),
        pytest.param(Answer(status=200, headers={}, body=ACCEPTED.body), id="200 is no promise"),
    ],
)
def test_a_refusal_is_final(answer: Answer) -> None:
    """Asking again would get the same answer."""
    script = Script(answer)
    with pytest.raises(RefusedError) as caught:
        script.client().publish("a.b", {})
    assert caught.value.status == answer.status


def test_a_refusal_says_why() -> None:
    script = Script(_problem(422, detail="data is missing", errors=[{"pointer": "/data"}]))
    with pytest.raises(RefusedError, match="422: data is missing") as caught:
        script.client().publish("a.b", {})
    assert caught.value.problem["errors"] == [{"pointer": "/data"}]


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        ({"data": Decimal("1.10")}, "/data"),
        ({"data": float("nan")}, "/data"),
        ({"data": b'1},"type":"other"'}, "/data"),
        ({"data": "\udcff"}, "/data"),
        ({"data": {}, "idempotency_key": ""}, "/idempotency_key"),
        ({"data": {}, "idempotency_key": "a\r\nb"}, "/idempotency_key"),
        ({"data": {}, "idempotency_key": "k" * 256}, "/idempotency_key"),
        ({"data": {}, "object_type": "payment"}, "/object"),
        # Naive on purpose: it is what is refused.
        ({"data": {}, "occurred_at": datetime(2030, 1, 1)}, "/occurred_at"),  # noqa: DTZ001 - refused
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_refused_here(arguments: dict[str, object], pointer: str) -> None:
    """Before a request, with the name of the argument."""
    script = Script()
    publish = script.client().publish
    with pytest.raises(InvalidError) as caught:
        publish("a.b", **arguments)  # type: ignore[arg-type]  # wrong types are the point
    assert [fault.pointer for fault in caught.value.faults] == [pointer]
    assert not script.requests


def test_what_is_no_json_is_named_by_its_kind() -> None:
    """A sum is a Decimal to most who have one; they should not have to search for it."""
    with pytest.raises(InvalidError, match="Decimal") as caught:
        Script().client().publish("a.b", {"order": {"amount": Decimal("12.50")}})
    assert "12.50" not in str(caught.value)


@pytest.mark.parametrize(
    ("base_url", "key", "attempts_max"),
    [
        ("file:///etc/passwd", "k", 1),
        ("hooks.example.com", "k", 1),
        ("https://x", "", 1),
        ("https://x", "a\nb", 1),
        ("https://x", "k", 0),
    ],
)
def test_a_client_is_complete_or_refused(base_url: str, key: str, attempts_max: int) -> None:
    """At start, not at the first payment."""
    with pytest.raises(InvalidError):
        Client(base_url, key, merchant="m", attempts_max=attempts_max)


def test_a_server_that_broke_has_refused_nothing() -> None:
    """A gateway's 500 without a word may hide an event that was stored: it is asked again."""
    script = Script(Answer(status=500, headers={}, body=b"<html>"), ACCEPTED)
    assert script.client().publish("a.b", {}).id == "evt_1"
    assert len(script.requests) == 2


@pytest.mark.parametrize("member", ["id", "type", "created_at", "deliveries"])
def test_an_answer_with_another_kind_of_value_is_not_ours(member: str) -> None:
    """Whoever answers 202 to everything must not make an outbox forget what nobody stored."""
    lie = Answer(status=202, headers={}, body=json.dumps({**STORED, member: None}).encode())
    with pytest.raises(UnansweredError, match="not whole"):
        Script(*[lie] * 5).client().publish("a.b", {})


def test_the_command_without_a_key_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the first thing that everybody forgets."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    command = ["forward", "--database", "sqlite:///shop.db", "--url", "https://hooks.example.com"]
    assert main(command) == EXIT_USAGE
    assert "Set PAYHOOKS_API_KEY" in capsys.readouterr().err
