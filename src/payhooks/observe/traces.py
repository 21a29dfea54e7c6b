"""Traces: one client span per attempt, when OpenTelemetry is installed and asked for.

A span per attempt, not a trace over days: a delivery that is retried for three days must not
keep one open. Names follow the HTTP semantic conventions.
"""

import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from payhooks.errors import InvalidError
from payhooks.ids import DELIVERY, EVENT, to_text
from payhooks.model.attempt import Attempt
from payhooks.ports.leasing import Leased


class _Counting:
    """An exporter that counts what it did not get rid of. A collector that is down says so late."""

    def __init__(self, exporter: Any, succeeded: object) -> None:  # noqa: ANN401 - an extra's type
        self._exporter = exporter
        self._succeeded = succeeded
        self.shutdown = exporter.shutdown
        self.force_flush = exporter.force_flush
        self.dropped = 0

    def export(self, spans: Sequence[object]) -> object:
        """Export *spans*; they are not kept if that fails."""
        result: object = self._exporter.export(spans)
        if result is not self._succeeded:
            self.dropped += len(spans)
        return result


class Tracer:
    """Makes a finished span of every attempt. Exporter and sampling are set by ``OTEL_*``."""

    def __init__(self) -> None:
        """Start exporting.

        Raises:
            InvalidError: ``payhooks[otel]`` is not installed.

        """
        if find_spec("opentelemetry.sdk") is None:
            raise InvalidError.at(
                "PAYHOOKS_TRACES", "not_installed", "needs payhooks[otel]; install it"
            )
        # Imported here because it is an extra: most installations do not have it.
        api: Any = import_module("opentelemetry.trace")
        sdk: Any = import_module("opentelemetry.sdk.trace")
        export: Any = import_module("opentelemetry.sdk.trace.export")
        otlp: Any = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        self._exporter = _Counting(otlp.OTLPSpanExporter(), export.SpanExportResult.SUCCESS)
        # Not at exit: it would wait there for a collector that is down. See close().
        self._provider = sdk.TracerProvider(shutdown_on_exit=False)
        self._provider.add_span_processor(export.BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("payhooks")
        self._client_kind = api.SpanKind.CLIENT

    @property
    def dropped(self) -> int:
        """How many spans the collector did not take."""
        return self._exporter.dropped

    def attempt(self, leased: Leased, attempt: Attempt) -> None:
        """Record one attempt."""
        began_ns = int(attempt.at.timestamp() * 1e9)
        attributes: dict[str, str | int] = {
            "http.request.method": "POST",
            "http.request.resend_count": leased.attempts_made,
            "cloudevents.event_id": to_text(EVENT, leased.event.id),
            "cloudevents.event_type": leased.event.type,
            "payhooks.delivery_id": to_text(DELIVERY, leased.id),
        }
        if attempt.status is not None:
            attributes["http.response.status_code"] = attempt.status
        if attempt.peer is not None:
            attributes["network.peer.address"] = attempt.peer
        if attempt.reason is not None:
            attributes["error.type"] = attempt.reason.value
        span = self._tracer.start_span(
            "POST", kind=self._client_kind, start_time=began_ns, attributes=attributes
        )
        span.end(end_time=began_ns + int(attempt.timing.total_s * 1e9))

    def close(self, *, wait_s: float = 2.0) -> None:
        """Export what waits, as far as that is possible in *wait_s*."""
        # The exporter would try for half a minute where its collector is down, and whoever
        # asked this process to end would kill it meanwhile.
        closing = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        closing.start()
        closing.join(wait_s)
