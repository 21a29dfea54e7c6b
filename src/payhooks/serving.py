"""One serving process from start to stop: HTTP in front, the worker beside it, signals above."""

import asyncio
import contextlib
import gc
import itertools
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Final

import uvicorn

from payhooks.api.app import create_application
from payhooks.api.protocol import guarded_http
from payhooks.bootstrap import Process
from payhooks.errors import UnavailableError
from payhooks.limits import KIB

# With a switch interval of 5 ms the thread that writes SQLite waits that long for its turn
# whenever the loop is busy; measured, this brings the median answer from 6-36 ms to 1.6.
SWITCH_INTERVAL_S: Final = 0.0005
GC_THRESHOLDS: Final = (50_000, 20, 50)  # most objects die young and without cycles
LOOK_EVERY_S: Final = 2.0
LOOKS_PER_COUNT: Final = 8  # counting what waits costs more than a look
KEEP_ALIVE_S: Final = 75
CONNECTIONS_MAX: Final = 4_000  # per process; a request above it is answered 503 at once
BACKLOG: Final = 2_048
HEADER_BYTES_MAX: Final = 16 * KIB
# Streams of `payhooks listen` do not end by themselves.
STREAMS_GRACE_S: Final = 5


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: what stops the process is decided here."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def prepare_process() -> None:
    """Set what the whole process needs: file descriptors, thread switching, collection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def bind(host: str, port: int, *, shared: bool) -> socket.socket:
    """Return a listening socket; *shared* lets several processes have the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    listener.set_inheritable(True)
    return listener


async def serve(process: Process, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, then drain. A second signal does not wait for the grace."""
    stop = stop_event()
    application = create_application(process.services)
    config = uvicorn.Config(
        application.app,
        http=guarded_http(process.services.control.ids, plain=application.plain),
        loop="none",
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        backlog=BACKLOG,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STREAMS_GRACE_S,
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
    )
    server = _Server(config)
    process.tallier.start()
    if process.sending is not None:
        process.sending.worker.start()
    watching = asyncio.create_task(_watch(process))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await asyncio.wait(
        [serving, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED
    )
    if process.sending is not None:
        process.sending.dispatcher.begin_no_more()
    server.should_exit = True
    await serving
    watching.cancel()
    await process.stop()


async def work(process: Process) -> None:
    """Work without serving until SIGTERM or SIGINT, then drain."""
    assert process.sending is not None
    stop = stop_event()
    process.tallier.start()
    process.sending.worker.start()
    watching = asyncio.create_task(_watch(process))
    await stop.wait()
    watching.cancel()
    await process.stop()


def stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set; the second one breaks the process off."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            loop.remove_signal_handler(number)
            signal.raise_signal(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


async def _watch(process: Process) -> None:
    """Look at the store from time to time: how it fares, and what waits in it."""
    for look in itertools.count():
        # Metrics of a store that does not answer stay as they were; readiness tells.
        with contextlib.suppress(UnavailableError):
            process.heed(await process.store.health())
            if look % LOOKS_PER_COUNT == 0:
                process.metrics.set_pending(await process.store.pending())
                process.metrics.set_overdue(await process.store.overdue_counts())
        await asyncio.sleep(LOOK_EVERY_S)
