"""Logs: one JSON object per line on standard output, written by a thread of its own.

A reader of the pipe that stands still must not hold up deliveries, so lines wait in a bounded
queue and what does not fit is dropped and counted. The audit log is in the database; nothing
that must be kept is only here.
"""

import logging
import queue
import threading
from collections.abc import MutableMapping
from datetime import UTC
from typing import IO, Any, Final

import msgspec
import structlog

from payhooks.clock import Clock

LINES_WAITING_MAX: Final = 20_000  # a few seconds at full speed
_LINES_PER_WRITE: Final = 500
_STOP: Final = b""


class LineSink:
    """Writes lines to a binary stream, in order, from its own thread."""

    def __init__(self, stream: IO[bytes], *, waiting_max: int = LINES_WAITING_MAX) -> None:
        self._stream = stream
        self._queue: queue.Queue[bytes] = queue.Queue(waiting_max)
        self._thread = threading.Thread(target=self._run, name="log-lines", daemon=True)
        self._thread.start()
        self.dropped = 0

    def msg(self, line: bytes) -> None:
        """Take one line without its end; drops and counts it if too many wait."""
        try:
            self._queue.put_nowait(line + b"\n")
        except queue.Full:
            self.dropped += 1

    # structlog calls the method that is named like the level.
    debug = info = warning = error = critical = msg

    def close(self, *, wait_s: float = 1.0) -> None:
        """Write what waits, as far as that is possible in *wait_s*."""
        try:
            self._queue.put(_STOP, timeout=wait_s)
        except queue.Full:
            return
        self._thread.join(wait_s)

    def _run(self) -> None:
        while True:
            lines = [self._queue.get()]
            while len(lines) < _LINES_PER_WRITE and lines[-1] != _STOP:
                try:
                    lines.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            try:
                self._stream.write(b"".join(lines))
                self._stream.flush()
            except (OSError, ValueError):
                self.dropped += len(lines)  # The reader is gone; deliveries go on.
            if lines[-1] == _STOP:
                return


def configure_logs(
    sink: LineSink, *, clock: Clock, level: str
) -> structlog.typing.FilteringBoundLogger:
    """Route everything that is logged, by libraries too, into *sink*; return our logger."""

    def stamp(
        _logger: object, method: str, facts: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        at = clock.now().astimezone(UTC).isoformat(timespec="milliseconds")
        return {"ts": at.replace("+00:00", "Z"), "level": method, **facts}

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


class _Forward(logging.Handler):
    """Lines of libraries, in our form. Their arguments are formatted, never their locals."""

    def emit(self, record: logging.LogRecord) -> None:
        method = {"CRITICAL": "error"}.get(record.levelname, record.levelname.lower())
        log = getattr(structlog.get_logger(), method, structlog.get_logger().info)
        facts: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            facts["error_type"] = record.exc_info[0].__name__
        log(record.getMessage(), **facts)
