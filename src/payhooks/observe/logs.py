"""Logs: one JSON object per line on standard output, written by a thread of its own.

A reader of the pipe that stands still must not hold up deliveries, so lines wait in a bounded
queue and what does not fit is dropped and counted. The audit log is in the database; nothing
that must be kept is only here.
"""

import logging
import threading
from collections import deque
from collections.abc import MutableMapping
from datetime import datetime
from typing import IO, Any, Final

import msgspec
import structlog

from payhooks.clock import Clock

LINES_WAITING_MAX: Final = 20_000  # a few seconds at full speed
# The thread looks this often instead of being woken by each line: at thousands of lines a
# second every wake-up would cost the event loop more than the line.
LOOK_EVERY_S: Final = 0.05


class LineSink:
    """Writes lines to a binary stream, in order, from its own thread, a moment later."""

    def __init__(self, stream: IO[bytes], *, waiting_max: int = LINES_WAITING_MAX) -> None:
        self._stream = stream
        self._waiting_max = waiting_max
        self._lines: deque[bytes] = deque()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-lines", daemon=True)
        self._thread.start()
        self.dropped = 0

    def msg(self, line: bytes) -> None:
        """Take one line without its end; drops and counts it if too many wait."""
        if len(self._lines) >= self._waiting_max:
            self.dropped += 1
        else:
            self._lines.append(line)  # atomic, as popleft is

    # structlog calls the method that is named like the level.
    debug = info = warning = error = critical = msg

    def close(self, *, wait_s: float = 1.0) -> None:
        """Write what waits, as far as that is possible in *wait_s*."""
        self._closing.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._closing.wait(LOOK_EVERY_S):
            self._write()
        self._write()

    def _write(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if not lines:
            return
        try:
            self._stream.write(b"\n".join([*lines, b""]))
            self._stream.flush()
        except (OSError, ValueError):
            self.dropped += len(lines)  # The reader is gone; deliveries go on.


def configure_logs(
    sink: LineSink, *, clock: Clock, level: str
) -> structlog.typing.FilteringBoundLogger:
    """Route everything that is logged, by libraries too, into *sink*; return our logger."""

    def stamp(
        _logger: object, method: str, facts: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        return {"ts": spell(clock.now()), "level": method, **facts}

    def render(_logger: object, _method: str, facts: MutableMapping[str, Any]) -> bytes:
        return msgspec.json.encode(facts, enc_hook=str)

    minimum = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[stamp, structlog.processors.format_exc_info, render],
        wrapper_class=structlog.make_filtering_bound_logger(minimum),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_Forward()]
    root.setLevel(max(minimum, logging.INFO))
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


def spell(at: datetime) -> str:
    """Return a time as every line has it: RFC 3339, UTC, milliseconds."""
    return at.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


class _Forward(logging.Handler):
    """Lines of libraries, in our form. Their arguments are formatted, never their locals."""

    def emit(self, record: logging.LogRecord) -> None:
        method = {"CRITICAL": "error"}.get(record.levelname, record.levelname.lower())
        log = getattr(structlog.get_logger(), method, structlog.get_logger().info)
        facts: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            facts["error_type"] = record.exc_info[0].__name__
        log(record.getMessage(), **facts)
