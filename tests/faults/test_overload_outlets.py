"""Who reads our log stands still or is gone, the collector of traces is down. Row F75.

Telling what happens must not hold up what happens; what could not be told is counted.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.piped_server import Piped
from tests.support.ports import free_port
from tests.support.server import Api, Server, Tenant, sqlite_url
from tests.support.soak import OtherProcess, receiver_process, wait_until_settled

EVENTS = 300


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def receiver(stack: ExitStack, tmp_path: Path) -> OtherProcess:
    return stack.enter_context(receiver_process(tmp_path / "journal"))


@pytest.fixture
def serve(stack: ExitStack, tmp_path: Path) -> Callable[..., Piped]:
    def serve(**environment: str) -> Piped:
        server = Piped(
            tmp_path / "server", stack.enter_context(sqlite_url(tmp_path)), **environment
        )
        stack.callback(server.close)
        server.start()
        return server

    return serve


def _publish(server: Server, receiver: OtherProcess) -> Tenant:
    tenant = Tenant(Api(server.port))
    tenant.endpoint(receiver.url("/ok"))
    events = [{"type": "payment_succeeded", "data": {"key": f"k{n}"}} for n in range(EVENTS)]
    tenant.api.post(f"{tenant.path}/events/batch", {"events": events})
    wait_until_settled(tenant, s=30)
    assert receiver.count() == EVENTS
    return tenant


def _until(is_so: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < ends_s
        threading.Event().wait(0.05)


def _metric(server: Server, name: str) -> float:
    text = str(Api(server.port).get("/metrics")["text"])
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


@pytest.mark.shows("F75")
def test_a_reader_of_the_log_that_stands_still_holds_up_nothing(
    serve: Callable[..., Piped], receiver: OtherProcess
) -> None:
    """A pager in a pipe is enough; the process must also still end when it is asked to."""
    server = serve()
    tenant = _publish(server, receiver)
    entries = list(tenant.api.pages(f"{tenant.path}/audit-log"))
    assert [each["action"] for each in entries][-1:] == ["merchant.created"]
    assert server.stop() == 0, server.said()


@pytest.mark.shows("F75")
def test_a_reader_of_the_log_that_is_gone_is_counted_and_holds_up_nothing(
    serve: Callable[..., Piped], receiver: OtherProcess
) -> None:
    """A shipper of logs that was restarted must not take the deliveries with it."""
    server = serve()
    server.close_reader()
    _publish(server, receiver)
    assert _metric(server, "payhooks_log_lines_dropped") >= EVENTS
    assert server.stop() == 0, server.said()


@pytest.mark.shows("F75")
def test_a_collector_of_traces_that_is_down_holds_up_nothing(
    serve: Callable[..., Piped], receiver: OtherProcess
) -> None:
    """Nor does it hold up the end: an orchestrator waits for no exporter."""
    server = serve(
        PAYHOOKS_TRACES="true",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}",
        # The time of one export: what it tries at the end takes as long, for each batch.
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
        OTEL_BSP_SCHEDULE_DELAY="100",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE="20",
    )
    _publish(server, receiver)
    _until(lambda: _metric(server, "payhooks_trace_spans_dropped") >= 20)
    began_s = time.monotonic()
    assert server.stop() == 0, server.said()
    # Fifteen batches would take fifteen seconds.
    assert time.monotonic() - began_s < 8
