"""What can be seen from outside, and what must never be."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.flow import Flow, payment
from tests.support.stores import OpenedStore
from tests.support.world import World

from payhooks.model.attempt import OurFault
from payhooks.model.endpoint import Signature, SignatureType
from payhooks.observe import LineSink, Metrics, Recorder, configure_logs
from payhooks.observe.metrics import EVENT_TYPES_MAX
from payhooks.ports.sweeping import Pending
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock
from payhooks.testing.transport import answer


class Watched:
    """A flow whose telemetry is the real one, writing into memory."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.stream = io.BytesIO()
        self.sink = LineSink(self.stream)
        self.metrics = Metrics(dropped_lines=lambda: self.sink.dropped)
        log = configure_logs(self.sink, clock=self.clock, level="info")
        self.recorder = Recorder(
            metrics=self.metrics, log=log, lines=self.sink, clock=self.clock, tracer=None
        )
        self.world = World(OpenedStore(store=MemoryStore(clock=self.clock), clock=self.clock))

    def flow(self, status: int) -> Flow:
        return Flow(self.world, script=lambda _request: answer(status), telemetry=self.recorder)

    def lines(self) -> list[dict[str, object]]:
        self.sink.close()
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def watched() -> Iterator[Watched]:
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    yield Watched()
    logging.getLogger().handlers = handlers
    logging.getLogger().setLevel(level)


async def test_every_attempt_is_one_wide_line_with_every_id_in_it(watched: Watched) -> None:
    """Whoever is asked about a payment greps once."""
    flow = watched.flow(503)
    merchant = await watched.world.merchant()
    await watched.world.endpoint(merchant, signature=Signature(type=SignatureType.NONE))
    await flow.publish(merchant, payment())
    await flow.settled()
    [line] = [line for line in watched.lines() if line["event"] == "attempt"]
    assert line["outcome"] == "retry"
    assert line["status"] == 503
    assert line["reason"] == "http_5xx"
    assert line["attempt"] == 1
    for member, prefix in (
        ("merchant_id", "mer_"),
        ("endpoint_id", "ep_"),
        ("event_id", "evt_"),
        ("delivery_id", "del_"),
    ):
        assert str(line[member]).startswith(prefix)


@pytest.mark.shows("S13")
async def test_no_line_holds_what_was_published(watched: Watched) -> None:
    """Payloads are other people's payments."""
    flow = watched.flow(200)
    merchant = await watched.world.merchant()
    await watched.world.endpoint(merchant, signature=Signature(type=SignatureType.NONE))
    canary = payment(987_654_321)
    await flow.publish(merchant, canary)
    await flow.settled()
    watched.lines()
    assert b"987654321" not in watched.stream.getvalue()


async def test_metrics_count_what_happened(watched: Watched) -> None:
    flow = watched.flow(200)
    merchant = await watched.world.merchant()
    await watched.world.endpoint(merchant, signature=Signature(type=SignatureType.NONE))
    await flow.publish(merchant, payment(1, key="k"), payment(2))
    await flow.publish(merchant, payment(1, key="k"))
    await flow.settled()
    watched.metrics.set_pending(
        Pending(
            states=(("scheduled", 3),), oldest_s=1.5, endpoints=(("active", 1),), circuits_open=2
        )
    )
    text = watched.metrics.expose().decode()
    for sample in (
        'payhooks_events_accepted_total{event_type="payment.paid"} 2.0',
        "payhooks_events_repeated_total 1.0",
        'payhooks_delivery_attempts_total{outcome="delivered",reason="",status_class="2xx"} 2.0',
        'payhooks_deliveries_total{outcome="delivered"} 2.0',
        "payhooks_delivery_latency_seconds_count 2.0",
        'payhooks_deliveries_pending{state="scheduled"} 3.0',
        "payhooks_oldest_pending_age_seconds 1.5",
        "payhooks_circuit_open 2.0",
    ):
        assert sample in text
    watched.sink.close()


def test_event_types_do_not_become_labels_without_end(watched: Watched) -> None:
    """A publisher that makes types up must not eat the memory of the monitoring."""
    for number in range(2_000):
        watched.metrics.count_accepted(f"type{number}")
    samples = [
        line
        for line in watched.metrics.expose().decode().splitlines()
        if line.startswith("payhooks_events_accepted_total")
    ]
    assert len(samples) == EVENT_TYPES_MAX + 1
    assert 'payhooks_events_accepted_total{event_type="other"} 1500.0' in samples
    watched.sink.close()


def test_requests_that_no_receipt_is_made_of_are_counted(watched: Watched) -> None:
    """Nothing else in the metrics rises while a provider is refused."""
    watched.recorder.older_secret_used("stripe")
    watched.recorder.receipt_unjudged("paypal")
    older = 'payhooks_receipts_by_older_secret_total{dialect="stripe"} 1.0'
    assert older in watched.metrics.expose().decode()
    sample = 'payhooks_receipts_unjudged_total{dialect="paypal"} 1.0'
    assert sample in watched.metrics.expose().decode()
    watched.sink.close()


def test_requests_that_are_turned_away_are_counted_and_logged_now_and_then(
    watched: Watched,
) -> None:
    """Whoever is refused once comes again, and strangers as often as they like."""
    for status in (413, 413, 415):
        watched.recorder.request_turned_away(status, f"req_{status}")
    watched.clock.advance(timedelta(seconds=60))
    watched.recorder.request_turned_away(413, "req_later")
    shown = watched.metrics.expose().decode()
    assert 'payhooks_requests_turned_away_total{status="413"} 3.0' in shown
    assert 'payhooks_requests_turned_away_total{status="415"} 1.0' in shown
    told = [line["request_id"] for line in watched.lines() if line["event"] == "turned_away"]
    assert told == ["req_413", "req_415", "req_later"]


@pytest.mark.shows("S39")
def test_control_characters_cannot_forge_a_line(watched: Watched) -> None:
    watched.recorder.alarmed("our_fault", 'line\n{"event":"forged"}\x1b[2J')
    [line] = watched.lines()
    assert line["event"] == "alarm"
    assert b"\x1b" not in watched.stream.getvalue()


@pytest.mark.shows("S13", "S34")
def test_a_bug_is_told_without_the_words_of_its_exception(watched: Watched) -> None:
    """Exceptions of others quote what they choked on."""
    with pytest.raises(ValueError, match="4111") as caught:
        int("4111111111111111x")
    watched.recorder.bug_caught("attempt", caught.value)
    [line] = watched.lines()
    assert line["error_type"] == "ValueError"
    assert "test_a_bug_is_told" in str(line["place"])
    assert b"4111111111111111" not in watched.stream.getvalue()


@pytest.mark.shows("S39")
def test_lines_of_libraries_come_out_in_our_form(watched: Watched) -> None:
    logging.getLogger("some.library").warning("half %s", "done")
    [line] = watched.lines()
    assert (line["event"], line["logger"], line["level"]) == (
        "half done",
        "some.library",
        "warning",
    )


def test_a_reader_that_stands_still_costs_lines_and_not_deliveries(tmp_path: Path) -> None:
    """A full pipe must never hold up money."""

    class Stuck(io.RawIOBase):
        def write(self, _data: object) -> int:
            raise BlockingIOError

        def writable(self) -> bool:
            return True

    sink = LineSink(Stuck(), waiting_max=10)  # type: ignore[arg-type]  # any stream of bytes will do
    for _ in range(100):
        sink.msg(b"x")
    sink.close()
    assert sink.dropped > 0


async def test_our_own_fault_is_an_alarm(watched: Watched) -> None:
    flow = Flow(
        watched.world,
        script=lambda _request: OurFault(detail="resolver down"),
        telemetry=watched.recorder,
    )
    merchant = await watched.world.merchant()
    await watched.world.endpoint(merchant, signature=Signature(type=SignatureType.NONE))
    await flow.publish(merchant, payment())
    await flow.settled()
    await asyncio.sleep(0)
    alarms = [line for line in watched.lines() if line["event"] == "alarm"]
    assert [alarm["kind"] for alarm in alarms] == ["our_fault"]
