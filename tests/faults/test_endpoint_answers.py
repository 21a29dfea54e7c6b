"""What a receiver answers, and what becomes of the delivery, its lane and its endpoint."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from tests.support.raw_server import Connection, Script, raw_server, says, says_and_closes
from tests.support.served_endpoints import LATER, Merchant, served, until
from tests.support.server import Json, Server

from payhooks import limits

BURST = 40
SCHEDULED_S = LATER[0]
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Please log in</html>"
ROUND = limits.IN_FLIGHT_PER_UNPROVEN_LANE


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as server:
        yield server


@pytest.fixture
async def merchant(server: Server) -> Merchant:
    return await asyncio.to_thread(Merchant, server)


def _says(answer: str) -> Script:
    return says(answer.encode() + b"Content-Length: 0\r\n\r\n")


def _at_rest(found: list[Json]) -> bool:
    return len(found) == BURST and all(each["status"] == "scheduled" for each in found)


@pytest.mark.parametrize(
    ("answer", "spent_max"),
    [
        pytest.param("HTTP/1.1 429 Busy\r\nRetry-After: 3600\r\n", ROUND, id="it asked for it"),
        # The fifth failure in a row opens the breaker; the others of its round had left.
        pytest.param("HTTP/1.1 500 Dead\r\n", 2 * ROUND, id="it is dead"),
    ],
)
@pytest.mark.shows("F50", "F53")
async def test_a_rest_holds_back_what_this_process_had_taken_already(
    merchant: Merchant, answer: str, spent_max: int
) -> None:
    """One burst must not spend an attempt of each event on a receiver that is known to be away."""
    async with raw_server(_says(answer)) as receiver:
        endpoint = await merchant.endpoint(f"http://127.0.0.1:{receiver.port}/")
        await merchant.publish(BURST)
        found = await until(lambda: merchant.deliveries(endpoint), _at_rest)
    assert 1 <= sum(each["attempts_made"] for each in found) <= spent_max


@pytest.mark.parametrize(
    ("headers", "due_in_s"),
    [
        pytest.param(["7200"], 7_200, id="seconds"),
        pytest.param(["@7200"], 7_200, id="a date"),
        pytest.param(["@-7200"], SCHEDULED_S, id="a date that is over"),
        pytest.param(["60"], SCHEDULED_S, id="earlier than the schedule"),
        pytest.param(["-5"], SCHEDULED_S, id="negative"),
        pytest.param(["NaN"], SCHEDULED_S, id="no number"),
        pytest.param(["1000000000"], 86_400, id="thirty years"),
        pytest.param(["7200", "9000"], 9_000, id="two of them"),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.shows("F50")
async def test_retry_after_is_honoured_between_the_schedule_and_a_day(
    merchant: Merchant, status: int, headers: list[str], due_in_s: float
) -> None:
    """Never earlier than the schedule, and nobody silences us for longer than a day."""
    now = datetime.now(UTC)  # noqa: TID251 - A served process goes by the machine's clock.
    values = [
        format_datetime(now + timedelta(seconds=int(value[1:])), usegmt=True)
        if value.startswith("@")
        else value
        for value in headers
    ]
    lines = "".join(f"Retry-After: {value}\r\n" for value in values)
    async with raw_server(_says(f"HTTP/1.1 {status} Later\r\n{lines}")) as receiver:
        endpoint = await merchant.endpoint(f"http://127.0.0.1:{receiver.port}/")
        await merchant.publish()
        found = await merchant.attempted(endpoint)
    due_s = (datetime.fromisoformat(found["due_at"]) - now).total_seconds()
    assert found["status"] == "scheduled"
    assert due_in_s - 2 <= due_s <= due_in_s * 1.1 + 20, "jitter only ever adds, a tenth at most"


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        pytest.param(PAGE, "delivered", None, id="200 with the page of a captive portal"),
        pytest.param(b"HTTP/1.1 201 Made\r\n\r\n", "delivered", None, id="201"),
        pytest.param(b"HTTP/1.1 204 Nothing\r\n\r\n", "delivered", None, id="204"),
        pytest.param(b"HTTP/1.1 299 Own\r\n\r\n", "delivered", None, id="299"),
        pytest.param(b"HTTP/1.1 199 Odd\r\n\r\n", "scheduled", "protocol", id="199"),
        pytest.param(b"HTTP/1.1 600 Own\r\n\r\n", "scheduled", "protocol", id="600"),
        pytest.param(b"<html>ok</html>\n", "scheduled", "protocol", id="HTTP 0.9"),
        pytest.param(b"\x00\xff\r\n\r\n", "scheduled", "protocol", id="garbage"),
    ],
)
@pytest.mark.shows("F51")
async def test_what_an_answer_makes_of_the_delivery(
    merchant: Merchant, answer: bytes, status: str, reason: str | None
) -> None:
    """A 2xx line is a yes, whatever follows it; nothing else is."""
    async with raw_server(says_and_closes(answer)) as receiver:
        endpoint = await merchant.endpoint(f"http://127.0.0.1:{receiver.port}/")
        await merchant.publish()
        found = await merchant.attempted(endpoint)
    assert (found["status"], found["reason"], found["attempts_made"]) == (status, reason, 1)


@pytest.mark.parametrize(
    ("when", "status", "reason"),
    [
        pytest.param("before", "scheduled", "protocol", id="before the request"),
        pytest.param("during", "scheduled", "protocol", id="while it is sent"),
        pytest.param("headers", "delivered", None, id="after the headers of a yes"),
        pytest.param("body", "delivered", None, id="in the body of a yes"),
    ],
)
@pytest.mark.shows("F43")
async def test_a_connection_that_is_reset(
    merchant: Merchant, when: str, status: str, reason: str | None
) -> None:
    """The status line decides: sending again after a yes would only make a duplicate."""

    async def resets(connection: Connection) -> None:
        if when == "during":
            await connection.read_exactly(100)
        if when in {"headers", "body"}:
            await connection.read_request()
            said = b"" if when == "headers" else b"half"
            await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + said)
            # Only what the caller has read is not overtaken by a reset.
            await asyncio.sleep(0.1)
        connection.reset()

    async with raw_server(resets) as receiver:
        endpoint = await merchant.endpoint(f"http://127.0.0.1:{receiver.port}/")
        await merchant.publish(metadata={"padding": "x" * 4_000})
        found = await merchant.attempted(endpoint)
    assert (found["status"], found["reason"], found["attempts_made"]) == (status, reason, 1)
    assert found["attempts"][0]["answer"]["truncated"] == (status == "delivered")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("kind", ["http", "https", "file", "gopher", "metadata"])
@pytest.mark.shows("F48")
async def test_a_redirect_is_a_failure_and_leads_nowhere(
    merchant: Merchant, status: int, kind: str
) -> None:
    """A signed payment event must not be sent where its owner never asked for it."""
    async with raw_server(_says("HTTP/1.1 200 OK\r\n")) as elsewhere:
        place = {
            "file": "file:///etc/passwd",
            "metadata": "http://169.254.169.254/latest/",
        }.get(kind, f"{kind}://127.0.0.1:{elsewhere.port}/")
        answer = f"HTTP/1.1 {status} Moved\r\nLocation: {place}\r\n"
        async with raw_server(_says(answer)) as receiver:
            endpoint = await merchant.endpoint(f"http://127.0.0.1:{receiver.port}/")
            await merchant.publish()
            found = await merchant.attempted(endpoint)
        assert (receiver.connections, elsewhere.connections) == (1, 0)
    assert (found["status"], found["reason"]) == ("scheduled", "redirect")
    assert found["attempts"][0]["status"] == status


@pytest.mark.shows("F49")
async def test_410_disables_its_endpoint_once_and_no_other(merchant: Merchant) -> None:
    """Whoever says it is gone for good is believed, everybody is told, and can undo it."""
    gone = True

    async def is_gone(connection: Connection) -> None:
        while await connection.read_request():
            line = b"410 Gone" if gone else b"200 OK"
            await connection.say(b"HTTP/1.1 " + line + b"\r\nContent-Length: 0\r\n\r\n")

    async with raw_server(is_gone) as receiver, raw_server(_says("HTTP/1.1 200 OK\r\n")) as other:
        url = f"http://127.0.0.1:{receiver.port}/"
        endpoint = await merchant.endpoint(url, retry_policy="standard")
        events = ["payment_succeeded", "webhook.disabled"]
        healthy = await merchant.endpoint(f"http://127.0.0.1:{other.port}/", events=events)
        await merchant.publish(BURST)
        disabled = await merchant.endpoint_once(endpoint, "disabled")
        assert disabled["disabled_reason"] == "gone"
        # Its own burst, and the one event that tells of it.
        await until(
            lambda: merchant.deliveries(healthy, status="delivered"),
            lambda found: len(found) == BURST + 1,
        )
        found = await until(lambda: merchant.deliveries(endpoint), _have_ended_or_wait)
        assert (await merchant.get(f"/endpoints/{healthy}"))["status"] == "active"
        gone = False
        await merchant.call("POST", f"/endpoints/{endpoint}/enable")
        waited = sum(each["status"] == "held" for each in found)
        await until(
            lambda: merchant.deliveries(endpoint, status="delivered"),
            lambda delivered: len(delivered) == waited,
        )
    failed = [each for each in found if each["status"] == "failed"]
    assert 1 <= len(failed) <= ROUND
    assert {(each["reason"], each["attempts_made"]) for each in failed} == {("gone", 1)}
    log = await merchant.get("/audit-log?limit=100")
    changes = [entry["action"] for entry in log["data"]]
    assert sum("disable" in action for action in changes) == 1
    told = await merchant.get("/events?type=webhook.disabled")
    assert len(told["data"]) == 1


def _have_ended_or_wait(found: list[Json]) -> bool:
    return len(found) == BURST and all(each["status"] in {"failed", "held"} for each in found)
