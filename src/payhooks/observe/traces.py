"""Traces: one client span per attempt, when OpenTelemetry is installed and asked for.

A span per attempt, not a trace over days: a delivery that is retried for three days must not
keep one open. Names follow the HTTP semantic conventions.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from payhooks.errors import InvalidError
from payhooks.ids import DELIVERY, EVENT, to_text
from payhooks.model.attempt import Attempt
from payhooks.ports.leasing import Leased


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
        self._provider = sdk.TracerProvider()
        self._provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("payhooks")
        self._client_kind = api.SpanKind.CLIENT

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

    def close(self) -> None:
        """Export what waits."""
        self._provider.shutdown()
