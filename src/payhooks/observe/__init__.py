"""What can be seen from outside: log lines, metrics, traces. Never bodies, never secrets."""

from payhooks.observe.logs import LineSink, configure_logs
from payhooks.observe.metrics import Metrics
from payhooks.observe.telemetry import Recorder

__all__ = ["LineSink", "Metrics", "Recorder", "configure_logs"]
