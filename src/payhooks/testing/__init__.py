"""What a test of this package, ours or a user's, needs to own the world."""

from payhooks.testing.clock import ManualClock
from payhooks.testing.fetching import ScriptedFetcher
from payhooks.testing.telemetry import QuietTelemetry
from payhooks.testing.transport import ScriptedTransport

__all__ = ["ManualClock", "QuietTelemetry", "ScriptedFetcher", "ScriptedTransport"]
